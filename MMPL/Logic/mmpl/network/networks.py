"""A bundle's networks, run on the best backend that works here."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from mmpl.errors import InputError
from mmpl.lengths import MULTIPLE
from mmpl.machine import FREE_SHARE, GB, MOST_PASS_BYTES, free_bytes, give_back, usable_bytes
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
from mmpl.notices import BACKEND_FALLBACK, PLAN_SHRUNK, Notice

SPARE_BYTES = 0.25e9  # for networks that stay ready where memory is not plentiful


class Networks:
    """Runs stored networks; keeps them ready, and falls back from a backend that fails.

    A pass and the networks that stay ready beside it take at most what a pass may take. Case after case runs the same
    networks in the same order. Where not all fit, what is ready stays, and one place is for the others in turn: to drop
    the one that ran longest ago would drop each just before it is needed. Those of segmentation go first: their boxes
    change from case to case, for which some libraries have to make them ready again.

    Parameters
    ----------
    backends : best first; the last one is the reference and must work
    config : of the networks
    why_not : why a backend that was asked for is not among them
    memory_gb : that a pass may take; None: from what is free, at most 2.75 GB
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        config: NetworkConfig,
        why_not: str | None = None,
        *,
        memory_gb: float | None = None,
    ):
        self._backends, self._config, self._memory_gb = list(backends), config, memory_gb
        self._runners: OrderedDict[StoredNetwork, Runner] = OrderedDict()
        self._one_at_a_time = False
        self._warm: StoredNetwork | None = None
        self._set_aside: list[Backend] = []
        self._said: list[Notice] = []
        self._said_of_case: list[Notice] = []
        if why_not is not None:
            self._said.append(self._fallen_back(why_not))

    @property
    def backend(self) -> Backend:
        """The one in use."""
        return self._backends[0]

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was fallen back from, and why; what memory was too little for, of this case only."""
        return (*self._said, *self._said_of_case)

    def begin_case(self) -> None:
        """Start afresh where memory ran short in the case before: it may be free again by now."""
        if self._set_aside:
            self._change_to([*self._set_aside, *self._backends])
            self._set_aside = []
        self._one_at_a_time = False
        self._said_of_case.clear()

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
        InputError
            If the network's answer is not finite on the last backend, either: on these images, perhaps on others it is.
        """
        if self._warm is not network:
            self.release()
        while True:
            self._warm = network
            try:
                tick(0.0)  # what comes before a pass may take its time, too
                runner = self._runner(network, batch.shape[0] * math.prod(batch.shape[2:]))
                return self._finite(network, runner(batch, tick))
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
        raise InputError(
            f"{network.what}: the network gives numbers that are not finite on these images: look at their voxels, "
            "or use another bundle"
        )

    def release(self) -> None:
        """Give back what the network that ran last keeps for its next pass; it stays ready."""
        if self._warm in self._runners:
            self._runners[self._warm].release()
        self._warm = None

    def give_way(self) -> None:
        """Before a case is planned: where memory is not plentiful, what networks keep of it is the case's."""
        free = free_bytes(self.backend.device) if self._memory_gb is None else None
        if free is not None and FREE_SHARE * free < MOST_PASS_BYTES:
            self._unload_to(int(SPARE_BYTES // self.backend.kept_bytes(self._config)))

    def drop_weights(self) -> bool:
        """Unload all networks, and for the rest of the case keep one only; False where that is so already."""
        self._unload_all()
        if self._one_at_a_time:
            return False
        self._one_at_a_time = True
        text = "Memory ran short: the weights of one network at a time are kept loaded, which takes longer."
        self._said_of_case.append(Notice(PLAN_SHRUNK, text))
        return True

    def fall_back(self, why: str) -> bool:
        """Leave a backend that is broken for the next one, for good; False where it is the last."""
        if len(self._backends) == 1:
            return False
        left = self.backend
        self._change_to(self._backends[1:])
        self._said.append(self._fallen_back(f"{describe(left)} cannot run the networks here ({why.rstrip('.')})"))
        return True

    def fall_back_for_memory(self, why: str = "too little memory") -> bool:
        """Leave the backend in use until the case is over, for the next that may do with less; False where none may.

        The same library on the same device in a precision that needs more for the smallest pass would fail as well.
        """
        used, least = self.backend, MULTIPLE**3
        for place, backend in enumerate(self._backends[1:], start=1):
            same = (backend.name, backend.device) == (used.name, used.device)
            if not same or self._need(backend, least) <= self._need(used, least):
                return self._set_aside_to(place, why)
        return False

    def prefer_what_holds(self, voxels: int) -> bool:
        """Go on to the first backend that runs such a pass within its limit, if any; whether that is another one."""
        holding = [n for n, backend in enumerate(self._backends) if self._need(backend, voxels) <= self._limit(backend)]
        if not holding or holding[0] == 0:
            return False
        need, limit = self._need(self.backend, voxels), self._limit(self.backend)
        why = f"a pass takes {need / GB:.3g} GB, of {limit / GB:.3g} GB that it may take"
        return self._set_aside_to(holding[0], why)

    def _set_aside_to(self, place: int, why: str) -> bool:
        left = self.backend
        self._set_aside += self._backends[:place]
        self._change_to(self._backends[place:])
        text = f"{describe(left)} cannot run the networks here ({why})"
        self._said_of_case.append(self._fallen_back(text))
        return True

    def _change_to(self, backends: list[Backend]) -> None:
        self._unload_all()
        self._backends = backends

    def _unload_all(self) -> None:
        """What is given back after the networks are gone is free for other programs, too."""
        self.release()
        self._runners.clear()
        give_back(self.backend.device)

    def _fallen_back(self, why: str) -> Notice:
        return Notice(BACKEND_FALLBACK, f"{why}: {describe(self.backend)} is used instead, which is slower.")

    def _need(self, backend: Backend, voxels: int) -> int:
        return backend.pass_bytes(self._config, voxels)

    def _limit(self, backend: Backend) -> float:
        return usable_bytes(backend.device, self._memory_gb)

    def _places(self, network: StoredNetwork, voxels: int) -> int:
        """How many networks may be ready while this one passes over so many voxels, itself among them."""
        if self._one_at_a_time:
            return 1
        most = MOST_PASS_BYTES if self._memory_gb is None else self._memory_gb * GB
        need, one = self._need(self.backend, voxels), self.backend.kept_bytes(self._config)
        places = 1 + int(max(0, most - need) // one)
        free = free_bytes(self.backend.device) if self._memory_gb is None and network not in self._runners else None
        if free is not None and FREE_SHARE * free < need + one:
            places = min(places, len(self._runners))
        return max(1, places)

    def _unload_to(self, most: int, besides: StoredNetwork | None = None) -> None:
        """Keep so many networks beside one that stays."""
        before = len(self._runners)
        while len(others := [n for n in self._runners if n is not besides]) > most:
            segmenting = [n for n in others if n.outputs is None]
            del self._runners[(segmenting or others)[-1]]
        if len(self._runners) < before:
            give_back(self.backend.device)

    def _runner(self, network: StoredNetwork, voxels: int) -> Runner:
        self._unload_to(self._places(network, voxels) - 1, besides=network)
        if network not in self._runners:
            try:
                self._runners[network] = self.backend.runner(network)
            except MemoryError as error:
                raise OutOfMemory(f"{network.what}: the weights do not fit") from error
        self._runners.move_to_end(network)
        return self._runners[network]
