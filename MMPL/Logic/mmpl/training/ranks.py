"""A training run in several processes that torchrun started: each network trains on all of them at once.

Every process runs the same code. Networks see each batch in equal shares and average their gradients (DDP); all other
work is dealt out by task. The folders are shared, so whatever one process has written the others find.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from mmpl.cluster import in_turn
from mmpl.progress import Progress

LONGEST_WAIT = timedelta(hours=12)  # for a process that has more to do than the others
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run.

    Attributes
    ----------
    rank : 0 to size - 1
    size : processes
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> Sequence[T]:
        """This process's part of a batch, all parts of one length, so that up to size - 1 items are left out.

        Neighbours stay together: of a batch that alternates between two classes every part holds both.
        """
        length = len(batch) // self.size
        return batch[self.rank * length : (self.rank + 1) * length]

    def normalised(self, batch_size: int, device: torch.device) -> int:
        """How many patches of a batch BatchNorm sees together: all on graphics cards, on CPUs this process's part."""
        length = batch_size // self.size
        return length * self.size if device.type == "cuda" else length

    def parallel(self, net: nn.Module) -> nn.Module:
        """The network, with gradients that are averaged over all processes and, on graphics cards, joint BatchNorm."""
        if self.size == 1:
            return net
        device = next(net.parameters()).device
        if device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
            return nn.parallel.DistributedDataParallel(net, device_ids=[device])
        return nn.parallel.DistributedDataParallel(net)

    def mean(self, value: float, device: torch.device) -> float:
        """The mean of one number a process."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return float(total) / self.size

    def wait(self) -> None:
        """Until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def one_first(self, do: Callable[[], T]) -> T:
        """Do something in the first process, and then in the others, who find what it has written."""
        if self.is_first:
            done = do()
        self.wait()
        return done if self.is_first else do()


ALONE = Ranks()


def current() -> Ranks:
    """This process among those that :func:`joined` has joined; alone otherwise."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE


def launched(environ: Mapping[str, str] = os.environ) -> int:
    """How many processes torchrun has started for this command; 1 without it."""
    return int(environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(environ: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did; on graphics cards each takes the one of its local rank."""
    if launched(environ) == 1 or dist.is_initialized():
        yield current()
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(environ.get("LOCAL_RANK", "0")))
    backend = "nccl" if cuda and dist.is_nccl_available() else "gloo"  # PyTorch for Windows has no NCCL
    dist.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        yield current()
    finally:
        dist.destroy_process_group()


def collective(function: Callable) -> Callable:
    """Mark a task that all processes do together."""
    function.is_collective = True
    return function


class RankPool:
    """Deals tasks out to the processes of a run; see :class:`mmpl.cluster.Pool`. Collective ones are done by all."""

    def __init__(self, ranks: Ranks):
        self._ranks = ranks

    def each(
        self, function: Callable, tasks: Sequence, *, progress: Progress, step: str, name=None, lost=None, so_far=None
    ) -> list:
        ranks = self._ranks
        together = getattr(function, "is_collective", False)
        mine = range(len(tasks)) if together else range(ranks.rank, len(tasks), ranks.size)
        found = in_turn(function, [tasks[n] for n in mine], progress, step, so_far)
        results = dict(zip(mine, found, strict=True))
        if not together:
            parts: list[dict | None] = [None] * ranks.size
            dist.all_gather_object(parts, results)
            results = {n: result for part in parts for n, result in part.items()}
        ranks.wait()
        return [results[n] for n in range(len(tasks))]
