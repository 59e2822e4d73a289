"""A stage's batches: who is in them hangs on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mmpl.training.config import StageConfig
from mmpl.training.patches import Patch, Seed
from mmpl.training.prefetch import in_order, stacked
from mmpl.training.ranks import ALONE, Ranks

SETTLING = 100  # patients whose crops BatchNorm's averages are over; more would hardly change them

Order = Callable[[np.random.Generator], np.ndarray]  # which patient comes when
IsWide = Callable[[np.random.Generator, bool], bool]  # (draw, settling) -> whether the next batch sees the wide field


class Patches(Protocol):
    """What batches are made of."""

    def patch(self, index: int, seed: Seed, *, wide: bool = False) -> Patch: ...


@dataclass(frozen=True)
class Planned:
    """A batch to be made: this process's part of it.

    Attributes
    ----------
    places : (place in the epoch, patient) of each patch
    """

    epoch: int
    places: Sequence[tuple[int, int]]
    wide: bool


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch; that after the last is the one BatchNorm settles over, every process's own.

    Attributes
    ----------
    data : what patches are made of, in any thread
    order : which patient comes when
    stage : epochs and patches a batch
    seed : of the stage
    ranks : the processes that share each batch
    device : what batches are for
    threads : that make them
    is_wide : which batches see the wide field
    """

    data: Patches
    order: Order
    stage: StageConfig
    seed: int
    ranks: Ranks
    device: torch.device
    threads: int
    is_wide: IsWide = lambda draw, settling: False

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        return in_order(self._made, self._plan(epoch), self.threads)

    def _plan(self, epoch: int) -> Iterator[Planned]:
        settling = epoch == self.stage.epochs
        ranks = ALONE if settling else self.ranks
        seed = self.seed + 17 * (epoch + 1)
        patients, draw = self.order(np.random.default_rng(seed)).tolist(), np.random.default_rng(seed + 1)
        places = list(enumerate(patients))[: SETTLING if settling else None]
        for first in range(0, len(places), self.stage.batch_size):
            wide = self.is_wide(draw, settling)
            batch = places[first : first + self.stage.batch_size]
            mine = ranks.share(batch)
            together, wanted = (ranks.normalised(n, self.device) for n in (len(batch), self.stage.batch_size))
            # BatchNorm cannot learn from a single patch at the coarsest level
            if mine and (together > 1 or wanted == 1 or len(places) <= self.stage.batch_size):
                yield Planned(epoch, mine, wide)

    def _made(self, planned: Planned) -> tuple[Tensor, ...]:
        # a patch hangs on its place in the epoch alone: not on who makes it, nor on those made before
        patches = [
            self.data.patch(patient, (self.seed, planned.epoch, place), wide=planned.wide)
            for place, patient in planned.places
        ]
        return tuple(stacked(parts, self.device) for parts in zip(*patches, strict=True))
