"""The folded network gives what the plain one gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mmpl.network.blocks import ConvUnit
from mmpl.network.config import NetworkConfig
from mmpl.network.folded import fold, summed_kernel, with_batch_norm
from mmpl.network.model import OutcomeNet, SegmentationNet

DEMO = NetworkConfig.demo()


def trained(net):
    """With BatchNorm statistics, biases and gates that are not as they began."""
    torch.manual_seed(0)
    for name, value in net.named_parameters():
        if "weigh_" in name or value.ndim == 1:
            nn.init.normal_(value, mean=1.0 if name.endswith("1.weight") else 0.0, std=0.2)
    net.train()
    with torch.no_grad():
        for _ in range(10):
            net(torch.randn(2, 2, 16, 16, 16) * 2)
    return net.eval()


def test_kernel_along_one_axis_by_hand():
    kernel = torch.zeros(1, 1, 3, 3, 3)
    kernel[0, 0, :, 1, 1] = torch.tensor([1.0, 10.0, 100.0])
    # the other axes hold (0, 1, 0), which becomes (0, 1, 1, 0)
    np.testing.assert_array_equal(summed_kernel(kernel)[0, 0, :, 1, 2], [100, 110, 11, 1])
    np.testing.assert_array_equal(summed_kernel(kernel)[0, 0, :, 0, 2], [0, 0, 0, 0])


def test_a_transposed_convolution_is_a_convolution_of_repeated_voxels():
    torch.manual_seed(0)
    kernel, coarse = torch.randn(4, 3, 3, 3, 3), torch.randn(1, 3, 4, 5, 6)
    expected = nn.functional.conv3d(
        nn.functional.interpolate(coarse, scale_factor=2, mode="nearest"), kernel, padding=1
    )
    found = nn.functional.conv_transpose3d(coarse, summed_kernel(kernel), stride=2, padding=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batch_norm_goes_into_the_kernel():
    unit = trained(nn.Sequential(ConvUnit(2, 3)))[0]
    kernel, bias = with_batch_norm(unit)
    image = torch.randn(1, 2, 5, 6, 7)
    with torch.no_grad():
        plain = unit[1](unit[0](image))
        np.testing.assert_allclose(nn.functional.conv3d(image, kernel, bias, padding=1), plain, atol=1e-5)


@pytest.mark.parametrize("net", [SegmentationNet(DEMO), OutcomeNet(DEMO, 10)], ids=["segmentation", "outcome"])
def test_the_whole_network_is_the_same(net):
    net = trained(net)
    image = torch.randn(1, 2, 32, 16, 48)
    with torch.no_grad():
        expected = net(image)
        found = fold(copy.deepcopy(net))(image)
    assert expected.std() > 1e-2
    np.testing.assert_allclose(found, expected, atol=1e-5)
