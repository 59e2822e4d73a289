"""A bundle's networks, run on the best backend that works here."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from mmpl.errors import BundleError
from mmpl.network.backends.base import (
    Backend,
    BackendChanged,
    BackendUnavailable,
    OutOfMemory,
    Runner,
    StoredNetwork,
    Tick,
    describe,
    no_tick,
)
from mmpl.network.config import NetworkConfig
from mmpl.network.model import SegmentationNet, parameter_count
from mmpl.notices import BACKEND_FALLBACK, PLAN_SHRUNK, Notice

KEPT_BYTES = 1.0e9  # weights that stay loaded between passes; more are read again when they are needed
BYTES_PER_PARAMETER = 4


class Networks:
    """Runs stored networks; keeps weights loaded, and falls back from a backend that fails.

    Case after case runs the same networks in the same order. Where not all fit, what is loaded stays, and one place
    is for the others in turn: to drop the one that ran longest ago would drop each just before it is needed.

    Parameters
    ----------
    backends : best first; the last one is the reference and must work
    config : of the networks
    why_not : why a backend that was asked for is not among them
    """

    def __init__(self, backends: Sequence[Backend], config: NetworkConfig, why_not: str | None = None):
        self._backends = list(backends)
        self._runners: OrderedDict[StoredNetwork, Runner] = OrderedDict()
        self._most = _how_many(config)
        self._warm: StoredNetwork | None = None
        self._said: list[Notice] = []
        if why_not is not None:
            self._say(why_not)

    @property
    def backend(self) -> Backend:
        """The one in use."""
        return self._backends[0]

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was fallen back from, and why."""
        return tuple(self._said)

    def run(
        self, network: StoredNetwork, batch: np.ndarray, tick: Tick = no_tick, *, planned: bool = False
    ) -> np.ndarray:
        """One pass: float32, shape (n, 2, z, y, x) -> logits, float32.

        Only the network that ran last keeps memory for its next pass.

        Parameters
        ----------
        planned : the batch is of a size that was planned for the backend in use: when that fails, the next one is not
            given it

        Raises
        ------
        OutOfMemory
            If the pass needs more memory than there is.
        BackendChanged
            If the backend fails and another one takes its place, where the pass is ``planned``.
        BackendUnavailable
            If the last backend fails.
        BundleError
            If the network's answer is not finite on the last backend, either.
        """
        if self._warm is not network:
            self.release()
        while True:
            self._warm = network
            try:
                tick(0.0)  # what comes before a pass may take its time, too
                return self._finite(network, self._runner(network)(batch, tick))
            except BackendUnavailable as error:
                if not self.fall_back(str(error)):
                    raise
                if planned:
                    raise BackendChanged(str(error)) from error

    def _finite(self, network: StoredNetwork, logits: np.ndarray) -> np.ndarray:
        """The answer, unless a voxel of it is no number: half precision overflows, and some cards get it wrong."""
        if math.isfinite(logits.sum(dtype=np.float64)):
            return logits
        if len(self._backends) > 1:
            raise BackendUnavailable(f"{network.what} gives numbers that are not finite")
        raise BundleError(
            f"{network.what}: the network gives numbers that are not finite on these images; use another bundle"
        )

    def release(self) -> None:
        """Give back what the network that ran last keeps for its next pass; its weights stay loaded."""
        if self._warm in self._runners:
            self._runners[self._warm].release()
        self._warm = None

    def drop_weights(self) -> bool:
        """Unload all weights, and from now on keep one network's only; False where that is so already."""
        warm, self._warm = self._runners.get(self._warm), None
        self._runners.clear()
        if warm is not None:
            warm.release()  # after the others are gone: what is given back is then free for other programs, too
        if self._most == 1:
            return False
        self._most = 1
        text = "Memory ran short: the weights of one network at a time are kept loaded, which takes longer."
        self._said.append(Notice(PLAN_SHRUNK, text))
        return True

    def fall_back(self, why: str) -> bool:
        """Leave the backend in use for the next one; False where it is the last."""
        if len(self._backends) == 1:
            return False
        left = self._backends.pop(0)
        self._runners.clear()
        self._warm = None
        self._say(f"{describe(left)} cannot run the networks here ({why.rstrip('.')})")
        return True

    def _say(self, why: str) -> None:
        text = f"{why}: {describe(self.backend)} is used instead, which is slower."
        self._said.append(Notice(BACKEND_FALLBACK, text))

    def _runner(self, network: StoredNetwork) -> Runner:
        if network not in self._runners:
            while len(self._runners) >= self._most:
                self._runners.popitem()
            try:
                self._runners[network] = self.backend.runner(network)
            except MemoryError as error:
                raise OutOfMemory(f"{network.what}: the weights do not fit") from error
        self._runners.move_to_end(network)
        return self._runners[network]


def _how_many(config: NetworkConfig) -> int:
    with torch.device("meta"):
        size = parameter_count(SegmentationNet(config)) * BYTES_PER_PARAMETER
    return max(1, int(KEPT_BYTES // size))
