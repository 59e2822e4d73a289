"""Running networks on arrays, and loading their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mmpl.errors import BundleError
from mmpl.network.config import NetworkConfig
from mmpl.network.model import OutcomeNet, SegmentationNet

HPV_OUTPUTS = 1


def segmentation_net(config: NetworkConfig, weights: Mapping[str, Tensor], what: str) -> SegmentationNet:
    """A segmentation network in evaluation mode with these weights."""
    return _loaded(SegmentationNet(config), weights, what)


def outcome_net(config: NetworkConfig, outputs: int, weights: Mapping[str, Tensor], what: str) -> OutcomeNet:
    """An HPV (1 output) or RFS (K outputs) network in evaluation mode with these weights."""
    return _loaded(OutcomeNet(config, outputs), weights, what)


def stored_weights(net: nn.Module) -> dict[str, Tensor]:
    """State as it is stored: kernels in half precision, vectors (biases, BatchNorm) in single.

    BatchNorm's running variances can lie below what half precision resolves; vectors are a few kilobytes.
    """
    return {
        name: value.detach().cpu().to(torch.float16 if value.ndim > 1 else torch.float32).contiguous()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def predict_batch(net: nn.Module, batch: np.ndarray) -> np.ndarray:
    """One forward pass; float32 in and out, shape (n, channels, z, y, x) -> (n, ...)."""
    device = next(net.parameters()).device
    tensor = torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32))
    with torch.inference_mode():
        output = net(tensor.to(device).contiguous(memory_format=torch.channels_last_3d))
    return output.float().cpu().numpy()


def check_weights(config: NetworkConfig, outputs: int | None, weights: Mapping[str, Tensor], what: str) -> None:
    """Raise BundleError unless these are finite weights of such a network; no network is allocated.

    ``outputs`` is None for the segmentation network.
    """
    with torch.device("meta"):
        net = SegmentationNet(config) if outputs is None else OutcomeNet(config, outputs)
    _check(net, weights, what)


def _check(net: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    own = net.state_dict()
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    if set(weights) != wanted:
        odd = sorted(set(weights) ^ wanted)[0]
        raise BundleError(f"{what}: tensor '{odd}' is missing or unknown: the weights are of another network")
    for name in wanted:
        if weights[name].shape != own[name].shape:
            raise BundleError(
                f"{what}: tensor '{name}' has shape {tuple(weights[name].shape)}, "
                f"expected {tuple(own[name].shape)}: the weights are of another network"
            )
        if not math.isfinite(weights[name].sum(dtype=torch.float64)):  # some libraries make numbers of what is none
            raise BundleError(f"{what}: tensor '{name}' holds numbers that are not finite: the weights are damaged")


def _loaded(net: nn.Module, weights: Mapping[str, Tensor], what: str) -> nn.Module:
    _check(net, weights, what)
    net.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return net.eval().to(memory_format=torch.channels_last_3d)
