"""Building blocks: convolution units, residual blocks and the two gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.aten, "mkldnn_convolution")


class Conv3d(nn.Conv3d):
    """PyTorch's, whose inference on a CPU is always done by oneDNN where PyTorch was built with it.

    PyTorch (2.13) itself chooses slower kernels for a single volume, unless it is large and has many
    channels, and for 1 x 1 x 1 convolutions on one thread.
    """

    def forward(self, x: Tensor) -> Tensor:
        if ONEDNN and torch.is_inference_mode_enabled() and x.device.type == "cpu" and x.dtype == torch.float32:
            return torch.ops.aten.mkldnn_convolution(
                x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
            )
        return super().forward(x)


class ConvUnit(nn.Sequential):
    """Convolution -> BatchNorm -> ReLU; size-preserving."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3):
        super().__init__(
            Conv3d(in_channels, out_channels, kernel, padding=kernel // 2),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """x = CBR3(x) + CBR1(x), then x = CBR3(x) + x for each further convolution."""

    def __init__(self, in_channels: int, out_channels: int, convolutions: int):
        super().__init__()
        self.first = ConvUnit(in_channels, out_channels)
        self.shortcut = ConvUnit(in_channels, out_channels, kernel=1)
        self.rest = nn.ModuleList(ConvUnit(out_channels, out_channels) for _ in range(convolutions - 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x) + self.shortcut(x)
        for unit in self.rest:
            x = unit(x) + x
        return x


class FusionGate(nn.Module):
    """Mix the fusion feature with what PET and CT streams say together.

    The mix is a two-way softmax per voxel and channel of two 1 x 1 x 1 convolutions of both features' concatenation.
    Weights and biases start at zero, so training starts from an even mix.
    """

    def __init__(self, stream_channels: int, fusion_channels: int):
        super().__init__()
        self.merge = ConvUnit(2 * stream_channels, fusion_channels)
        self.weigh_fusion = Conv3d(2 * fusion_channels, fusion_channels, 1)
        self.weigh_merged = Conv3d(2 * fusion_channels, fusion_channels, 1)
        for conv in (self.weigh_fusion, self.weigh_merged):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, fusion: Tensor, pet: Tensor, ct: Tensor) -> Tensor:
        merged = self.merge(torch.cat([pet, ct], dim=1))
        both = torch.cat([fusion, merged], dim=1)
        # a two-way softmax is a sigmoid of the difference
        share = torch.sigmoid(self.weigh_fusion(both) - self.weigh_merged(both))
        return share * fusion + (1 - share) * merged


class AttentionGate(nn.Module):
    """Skip connection weighted by where the coarser decoder feature looks.

    sigmoid(BN(conv1(ReLU(AvgPool2(BN(conv1 skip)) + BN(conv1 g))))), up-sampled trilinearly, times the skip.
    """

    def __init__(self, skip_channels: int, coarse_channels: int):
        super().__init__()
        self.of_skip = nn.Sequential(Conv3d(skip_channels, skip_channels, 1), nn.BatchNorm3d(skip_channels))
        self.of_coarse = nn.Sequential(Conv3d(coarse_channels, skip_channels, 1), nn.BatchNorm3d(skip_channels))
        self.pool = nn.AvgPool3d(2)
        self.decide = nn.Sequential(Conv3d(skip_channels, 1, 1), nn.BatchNorm3d(1), nn.Sigmoid())
        self.up = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=False)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        attention = self.decide(torch.relu(self.pool(self.of_skip(skip)) + self.of_coarse(coarse)))
        return skip * self.up(attention)
