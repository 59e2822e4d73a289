"""PyTorch: on any device, and the reference that every other backend is compared with."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import nn

from mmpl.machine import CPU, give_back
from mmpl.network.backends.base import (
    BF16,
    BYTES,
    FP16,
    FP32,
    BackendUnavailable,
    OutOfMemory,
    StoredNetwork,
    Tick,
    no_tick,
)
from mmpl.network.blocks import ConvUnit
from mmpl.network.config import NetworkConfig
from mmpl.network.model import SegmentationNet, parameter_count
from mmpl.network.run import predict_batch

# PyTorch's CPU allocator, elsewhere and on Windows; a card's driver; what else cuDNN and cuBLAS say; oneDNN, which does
# not say why
OUT_OF_MEMORY = (
    "allocate memory",
    "not enough memory",
    "out of memory",
    "ALLOC_FAILED",
    "could not create a primitive",
)
DTYPES = {FP32: torch.float32, BF16: torch.bfloat16, FP16: torch.float16}
# Feature maps of the finest level that are alive at once, in units of the fusion stream's channels. Measured on a CPU:
# 760 to 880 bytes a voxel at full width. A GPU: guessed.
ALIVE_CPU, ALIVE_GPU = 14, 10
GFLOP_PER_SECOND = {"cpu": 45.0, "cuda": 20_000.0}  # of two cores of a CPU
MOST_THREADS = 16  # beyond, memory is what holds a pass up
GFLOP_PER_VOXEL_FULL = 479.6 / 128**3  # the full-width network; others by the square of their finest fusion channels


@dataclass(frozen=True)
class TorchBackend:
    """See :class:`mmpl.network.backends.base.Backend`. Reduced precision is autocast, on CUDA only."""

    device: str = CPU
    precision: str = FP32
    name: str = "PyTorch"

    def runner(self, network: StoredNetwork) -> TorchRunner:
        with named_errors(self.device):
            return TorchRunner(network.module().to(self.device), self.precision)

    def pass_bytes(self, config: NetworkConfig, voxels: int) -> int:
        alive = ALIVE_CPU if self.device == CPU else ALIVE_GPU
        return alive * config.fusion_channels[0] * BYTES[self.precision] * voxels

    def kept_bytes(self, config: NetworkConfig) -> int:
        return weights_bytes(config)

    def pass_seconds(self, config: NetworkConfig, voxels: int) -> float:
        pairs = thread_pairs() if self.device == CPU else 1.0
        return gflop(config, voxels) / (GFLOP_PER_SECOND[self.device.split(":")[0]] * pairs)


def thread_pairs() -> float:
    """How many times the two cores, on which speeds were measured, PyTorch's threads are."""
    return min(torch.get_num_threads(), MOST_THREADS) / 2


def gflop(config: NetworkConfig, voxels: int) -> float:
    """Arithmetic of one pass, roughly: it grows with the square of the width."""
    return GFLOP_PER_VOXEL_FULL * voxels * (config.fusion_channels[0] / 16) ** 2


@cache
def weights_bytes(config: NetworkConfig) -> int:
    """A network's weights in single precision, as they are loaded on every device."""
    with torch.device("meta"):
        return parameter_count(SegmentationNet(config)) * BYTES[FP32]


class TorchRunner:
    """A PyTorch network behind the runners' interface."""

    def __init__(self, net: nn.Module, precision: str = FP32):
        self.net = net
        self._precision = precision

    def __call__(self, batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray:
        device = next(self.net.parameters()).device
        with ticking(self.net, tick), computing_in(self._precision, device), named_errors(device.type):
            return predict_batch(self.net, batch)

    def release(self) -> None:
        device = next(self.net.parameters()).device.type
        if device != CPU:  # there a pass keeps nothing, and networks take turns at every correction
            give_back(device)


@contextmanager
def computing_in(precision: str, device: torch.device):
    """Autocast for reduced precision; in fp32 a graphics card is kept from rounding to TF32, as it would by itself."""
    with ExitStack() as stack:
        if precision != FP32:
            stack.enter_context(torch.autocast(device.type, DTYPES[precision]))
        elif device.type != CPU:
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield


@contextmanager
def named_errors(device: str):
    """Too little memory is OutOfMemory, whatever it is called; what else a graphics card refuses, BackendUnavailable.

    On the CPU, the last resort, a fault that is not of memory is one of the program and keeps its name.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:
        if any(words in str(error) for words in OUT_OF_MEMORY):
            raise OutOfMemory(str(error)) from error
        if torch.device(device).type == CPU:
            raise
        raise BackendUnavailable(str(error).partition("\n")[0] or "it does not say why") from error


@contextmanager
def ticking(net: nn.Module, tick: Tick):
    """Call ``tick`` before every convolution unit: what it raises ends the pass there."""
    units = [m for m in net.modules() if isinstance(m, ConvUnit)]
    done = iter(range(len(units)))
    hooks = [unit.register_forward_pre_hook(lambda *_: tick(next(done) / len(units))) for unit in units]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
