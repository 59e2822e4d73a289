"""The triple-stream backbone and its three heads.

Written from the description in Meng et al., npj Precision Oncology 8:232 (2024) and Lin et al., MMPL (HECKTOR 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmpl.network.blocks import AttentionGate, Conv3d, FusionGate, ResidualBlock
from mmpl.network.config import LEVELS, NetworkConfig


class Stream(nn.ModuleList):
    """One residual block a level."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], convolutions: tuple[int, ...]):
        widths = (in_channels, *channels[:-1])
        super().__init__(map(ResidualBlock, widths, channels, convolutions))


class Backbone(nn.Module):
    """PET, CT and fusion encoders with gated fusion, and an attention-gated decoder.

    Input: float tensor (batch, 2, z, y, x), channel 0 PET, channel 1 CT; each side a multiple of 16.
    Output: the four decoder features, coarse to fine.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.pet = Stream(1, config.stream_channels, config.encoder_convs)
        self.ct = Stream(1, config.stream_channels, config.encoder_convs)
        self.fusion = Stream(2, config.fusion_channels, config.encoder_convs)
        self.gates = nn.ModuleList(map(FusionGate, config.stream_channels, config.fusion_channels))
        skips = config.fusion_channels[-2::-1]
        coarse = (config.fusion_channels[-1], *config.decoder_channels[:-1])
        self.attention = nn.ModuleList(map(AttentionGate, skips, coarse))
        self.decoder = nn.ModuleList(
            ResidualBlock(c + s, d, n)
            for c, s, d, n in zip(coarse, skips, config.decoder_channels, config.decoder_convs, strict=True)
        )
        self.pool = nn.MaxPool3d(2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> list[Tensor]:
        return self._decode(self._encode(x))

    def _encode(self, x: Tensor) -> list[Tensor]:
        pet, ct, fusion = x[:, :1], x[:, 1:], x
        features = []
        for level in range(LEVELS):
            if level:
                pet, ct, fusion = self.pool(pet), self.pool(ct), self.pool(fusion)
            pet, ct = self.pet[level](pet), self.ct[level](ct)
            fusion = self.gates[level](self.fusion[level](fusion), pet, ct)
            features.append(fusion)
        return features

    def _decode(self, features: list[Tensor]) -> list[Tensor]:
        coarse, *skips = features[::-1]
        outputs = []
        for skip, gate, block in zip(skips, self.attention, self.decoder, strict=True):
            coarse = block(torch.cat([self.up(coarse), gate(skip, coarse)], dim=1))
            outputs.append(coarse)
        return outputs


class SegmentationNet(nn.Module):
    """Stage 1: logits of GTVp and GTVn, two independent channels. (batch, 2, z, y, x)."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.backbone = Backbone(config)
        self.head = Conv3d(config.decoder_channels[-1], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[-1])


class OutcomeNet(nn.Module):
    """Stages 2 and 3: pooled decoder features -> ``outputs`` logits. (batch, outputs).

    One output is the HPV logit; K outputs are the logits of surviving each time interval.
    """

    def __init__(self, config: NetworkConfig, outputs: int):
        super().__init__()
        self.backbone = Backbone(config)
        self.head = nn.Sequential(
            nn.Linear(sum(config.decoder_channels), config.hidden_units),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_units, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled = [feature.mean(dim=(2, 3, 4)) for feature in self.backbone(x)]
        return self.head(torch.cat(pooled, dim=1))


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
