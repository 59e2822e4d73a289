"""A bundle's networks, run on the best backend that works here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from mmpl.network.backends.base import (
    Backend,
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
from mmpl.notices import BACKEND_FALLBACK, Notice

KEPT_BYTES = 1.0e9  # weights that stay loaded between passes; more are read again when they are needed
BYTES_PER_PARAMETER = 4


class Networks:
    """Runs stored networks; keeps the weights last used loaded, and falls back from a backend that fails.

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

    def run(self, network: StoredNetwork, batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray:
        """One pass: float32, shape (n, 2, z, y, x) -> logits, float32.

        Only the network that ran last keeps memory for its next pass.

        Raises
        ------
        OutOfMemory
            If the pass needs more memory than there is.
        BackendUnavailable
            If the last backend fails.
        """
        if self._warm is not network:
            self.release()
            self._warm = network
        while True:
            try:
                return self._runner(network)(batch, tick)
            except BackendUnavailable as error:
                if not self.fall_back(str(error)):
                    raise

    def release(self) -> None:
        """Give back what the network that ran last keeps for its next pass; its weights stay loaded."""
        if self._warm in self._runners:
            self._runners[self._warm].release()
        self._warm = None

    def drop_weights(self) -> bool:
        """Unload all weights, and from now on keep one network's only; False where that is so already."""
        self._runners.clear()
        fewer, self._most = self._most > 1, 1
        return fewer

    def fall_back(self, why: str) -> bool:
        """Leave the backend in use for the next one; False where it is the last."""
        if len(self._backends) == 1:
            return False
        left = self._backends.pop(0)
        self._runners.clear()
        self._say(f"{describe(left)} cannot run the networks here ({why.rstrip('.')})")
        return True

    def _say(self, why: str) -> None:
        text = f"{why}: {describe(self.backend)} is used instead, which is slower."
        self._said.append(Notice(BACKEND_FALLBACK, text))

    def _runner(self, network: StoredNetwork) -> Runner:
        if network not in self._runners:
            while len(self._runners) >= self._most:
                self._runners.popitem(last=False)
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
