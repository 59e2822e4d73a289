"""What every backend offers, and how a network is handed to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from mmpl.network.config import NetworkConfig
from mmpl.network.run import outcome_net, segmentation_net

FP32, BF16, FP16 = "fp32", "bf16", "fp16"
BYTES = {FP32: 4, BF16: 2, FP16: 2}

Tick = Callable[[float], None]  # told the finished fraction of one pass all along; what it raises stops the pass


def no_tick(fraction: float) -> None:
    """A tick that lets everything go on."""


class OutOfMemory(Exception):
    """A pass needs more memory than there is. Whoever planned it plans a smaller one."""


class BackendChanged(Exception):
    """The backend in use failed and was left for the next one, which has other costs: plan again."""


class BackendUnavailable(Exception):
    """A backend cannot run a network here; its text is one sentence that says why."""


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network as a bundle holds it.

    Attributes
    ----------
    config : NetworkConfig
    outputs : of the HPV (1) or RFS (K) head; None for the segmentation network
    weights : read when they are needed
    sha256 : of the weights' file
    what : what to call it in a message
    """

    config: NetworkConfig
    outputs: int | None
    weights: Callable[[], Mapping[str, Tensor]]
    sha256: str
    what: str

    def module(self) -> nn.Module:
        """The PyTorch network, in evaluation mode, on the CPU.

        Raises
        ------
        BundleError
            If the weights are of another network.
        """
        weights = self.weights()
        if self.outputs is None:
            return segmentation_net(self.config, weights, self.what)
        return outcome_net(self.config, self.outputs, weights, self.what)


class Runner(Protocol):
    """One network, ready to run: float32, shape (n, 2, z, y, x), each side a multiple of 16 -> logits, float32.

    ``tick`` hears how far the pass is. ``release`` gives back the working memory that a pass keeps for the next one;
    the network stays ready.

    Raises
    ------
    OutOfMemory
        The runner stays usable for smaller arrays.
    BackendUnavailable
        If the backend fails otherwise.
    """

    def __call__(self, batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray: ...

    def release(self) -> None: ...


class Backend(Protocol):
    """A library on a device in a precision.

    Attributes
    ----------
    name : of the library, for people
    device : as PyTorch names it: "cpu", "cuda:0"
    precision : "fp32", "bf16" or "fp16"
    """

    name: str
    device: str
    precision: str

    def runner(self, network: StoredNetwork) -> Runner:
        """Make a network ready to run.

        Raises
        ------
        BackendUnavailable
            If this backend cannot.
        """
        ...

    def pass_bytes(self, config: NetworkConfig, voxels: int) -> int:
        """Memory that one pass over so many voxels takes besides the weights, predicted from measurements."""
        ...

    def kept_bytes(self, config: NetworkConfig) -> int:
        """Memory that a network which is ready takes between its passes."""
        ...

    def pass_seconds(self, config: NetworkConfig, voxels: int) -> float:
        """Time that one pass over so many voxels takes on a machine like the one it was measured on."""
        ...


def describe(backend: Backend) -> str:
    """The backend in a few words, as reports name it."""
    return f"{backend.name}, {backend.precision}, {backend.device}"


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoid, float32, in one new array."""
    out = np.negative(logits, dtype=np.float32)
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and its reciprocal 0, as it should be
        np.exp(out, out=out)
    out += 1.0
    return np.reciprocal(out, out=out)
