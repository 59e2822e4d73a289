"""The same network with less arithmetic, for conversion: equal up to rounding, and for evaluation only.

The first convolutions of a decoder block read [up(g), s]: a coarse feature, each voxel repeated 2 x 2 x 2 times, beside
a skip. A convolution is linear, so the two parts can be convolved apart and added. Of the repeated part, a 3 x 3 x 3
kernel meets only 2 x 2 x 2 different voxels, so its 27 products a voxel are 8: a transposed convolution of stride 2
with a 4 x 4 x 4 kernel of sums. A 1 x 1 x 1 convolution is done before the voxels are repeated. BatchNorm's scale and
shift go into the kernels. The fusion gate needs the difference of two convolutions only: that is one convolution, and
it too is split by what it reads, so that nothing is concatenated.

At the finest level the PET and the CT stream are run as one, with kernels that are zero between the two: libraries
compute 16 channels at a time, and the streams have 8. What reads one of them further down reads both, and is zero for
the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmpl.network.blocks import ConvUnit, FusionGate, ResidualBlock
from mmpl.network.config import LEVELS
from mmpl.network.model import Backbone


def fold(net: nn.Module) -> nn.Module:
    """Replace, in place, the gates and decoder blocks of a network in evaluation mode; returns the network.

    Parameters
    ----------
    net : SegmentationNet or OutcomeNet
    """
    backbone = net.backbone
    coarse = [block.first[0].in_channels - gate.of_skip[0].in_channels for block, gate in _stages(backbone)]
    backbone.decoder = nn.ModuleList(
        FoldedBlock(block, channels) for (block, _), channels in zip(_stages(backbone), coarse, strict=True)
    )
    backbone.gates = nn.ModuleList(map(FoldedGate, backbone.gates))
    backbone.both = JointBlock(backbone.pet[0], backbone.ct[0])
    own = backbone.pet[0].first[0].out_channels
    for part, stream in enumerate((backbone.pet, backbone.ct)):
        stream[0] = nn.Identity()
        for unit in (stream[1].first, stream[1].shortcut):
            _read_both(unit, part * own)
    backbone.__class__ = FoldedBackbone
    return net


def _stages(backbone: Backbone) -> list[tuple[ResidualBlock, nn.Module]]:
    return list(zip(backbone.decoder, backbone.attention, strict=True))


class FoldedBackbone(Backbone):
    """A backbone with joint streams at the finest level, whose decoder blocks take coarse feature and skip apart."""

    def _encode(self, x: Tensor) -> list[Tensor]:
        both = self.both(x)
        fusion = self.gates[0].of_both(self.fusion[0](x), both)
        both = self.pool(both)
        features, pet, ct = [fusion], both, both
        for level in range(1, LEVELS):
            pet, ct = self.pet[level](pet), self.ct[level](ct)
            fusion = self.gates[level](self.fusion[level](self.pool(fusion)), pet, ct)
            features.append(fusion)
            if level < LEVELS - 1:
                pet, ct = self.pool(pet), self.pool(ct)
        return features

    def _decode(self, features: list[Tensor]) -> list[Tensor]:
        coarse, *skips = features[::-1]
        outputs = []
        for skip, gate, block in zip(skips, self.attention, self.decoder, strict=True):
            coarse = block(coarse, gate(skip, coarse))
            outputs.append(coarse)
        return outputs


class FoldedGate(nn.Module):
    """A fusion gate with one convolution of the fusion feature and one of the merged one."""

    def __init__(self, gate: FusionGate):
        super().__init__()
        self.merge = gate.merge
        kernel = (gate.weigh_fusion.weight - gate.weigh_merged.weight).detach()
        bias = (gate.weigh_fusion.bias - gate.weigh_merged.bias).detach()
        channels = kernel.shape[1] // 2
        self.of_fusion = _conv(kernel[:, :channels], bias)
        self.of_merged = _conv(kernel[:, channels:], None)

    def forward(self, fusion: Tensor, pet: Tensor, ct: Tensor) -> Tensor:
        return self.of_both(fusion, torch.cat([pet, ct], dim=1))

    def of_both(self, fusion: Tensor, both: Tensor) -> Tensor:
        merged = self.merge(both)
        share = torch.sigmoid(self.of_fusion(fusion) + self.of_merged(merged))
        return merged + share * (fusion - merged)


class JointBlock(nn.Module):
    """Two residual blocks of one input channel each, as one of two: gives the channels of one, then of the other."""

    def __init__(self, one: ResidualBlock, other: ResidualBlock):
        super().__init__()
        self.first, self.shortcut = _joint(one.first, other.first), _joint(one.shortcut, other.shortcut)
        self.rest = nn.ModuleList(map(_joint, one.rest, other.rest))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x)) + torch.relu(self.shortcut(x))
        for unit in self.rest:
            x = torch.relu(unit(x)) + x
        return x


class FoldedBlock(nn.Module):
    """A residual block of [up(coarse), skip], see the module's text."""

    def __init__(self, block: ResidualBlock, coarse_channels: int):
        super().__init__()
        kernel, bias = with_batch_norm(block.first)
        self.of_skip = _conv(kernel[:, coarse_channels:], bias)
        self.of_coarse = _transposed(summed_kernel(kernel[:, :coarse_channels]))
        kernel, bias = with_batch_norm(block.shortcut)
        self.shortcut_of_skip = _conv(kernel[:, coarse_channels:], bias)
        self.shortcut_of_coarse = _conv(kernel[:, :coarse_channels], None)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.rest = block.rest

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        first = torch.relu(self.of_skip(skip) + self.of_coarse(coarse))
        shortcut = torch.relu(self.shortcut_of_skip(skip) + self.up(self.shortcut_of_coarse(coarse)))
        x = first + shortcut
        for unit in self.rest:
            x = unit(x) + x
        return x


def _joint(one: ConvUnit, other: ConvUnit) -> nn.Conv3d:
    """A convolution that does what two units do on the two halves of its channels, up to their ReLU."""
    (first, first_bias), (second, second_bias) = with_batch_norm(one), with_batch_norm(other)
    kernel = torch.cat([_beside_zeros(first, second, before=False), _beside_zeros(second, first, before=True)])
    return _conv(kernel, torch.cat([first_bias, second_bias]))


def _beside_zeros(kernel: Tensor, other: Tensor, *, before: bool) -> Tensor:
    """A kernel that reads the other's inputs too, before or after its own, and makes nothing of them."""
    nothing = kernel.new_zeros(kernel.shape[0], other.shape[1], *kernel.shape[2:])
    return torch.cat([nothing, kernel] if before else [kernel, nothing], dim=1)


def _read_both(unit: ConvUnit, first: int) -> None:
    """Make a unit read a joint stream, in place: its own channels begin at ``first``, the rest count nothing."""
    old = unit[0]
    kernel = old.weight.new_zeros(old.out_channels, 2 * old.in_channels, *old.kernel_size)
    kernel[:, first : first + old.in_channels] = old.weight.detach()
    unit[0] = _conv(kernel, old.bias.detach())


def with_batch_norm(unit: ConvUnit) -> tuple[Tensor, Tensor]:
    """Kernel (out, in, z, y, x) and bias (out,) that give what convolution and BatchNorm of a unit give together."""
    convolution, norm = unit[0], unit[1]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    kernel = convolution.weight * scale.reshape(-1, 1, 1, 1, 1)
    return kernel.detach(), ((convolution.bias - norm.running_mean) * scale + norm.bias).detach()


def summed_kernel(kernel: Tensor) -> Tensor:
    """The 4 x 4 x 4 kernel of the transposed convolution that a 3 x 3 x 3 one over repeated voxels is.

    Along one axis w becomes (w2, w1 + w2, w0 + w1, w0): coarse voxel X is met by fine voxel f at index f + 1 - 2 X, and
    lies under f + j where f + j is 2 X or 2 X + 1.

    Parameters
    ----------
    kernel : shape (out, in, 3, 3, 3)

    Returns
    -------
    shape (in, out, 4, 4, 4), as PyTorch stores transposed convolutions
    """
    for axis in (2, 3, 4):
        first, middle, last = kernel.unbind(axis)
        kernel = torch.stack([last, middle + last, first + middle, first], dim=axis)
    return kernel.transpose(0, 1).contiguous()


def _conv(kernel: Tensor, bias: Tensor | None) -> nn.Conv3d:
    outputs, inputs, size = kernel.shape[:3]
    conv = nn.Conv3d(inputs, outputs, size, padding=size // 2, bias=bias is not None)
    conv.weight = nn.Parameter(kernel.contiguous())
    if bias is not None:
        conv.bias = nn.Parameter(bias)
    return conv


def _transposed(kernel: Tensor) -> nn.ConvTranspose3d:
    inputs, outputs, size = kernel.shape[:3]
    conv = nn.ConvTranspose3d(inputs, outputs, size, stride=2, padding=1, bias=False)
    conv.weight = nn.Parameter(kernel)
    return conv
