"""Batches made side by side, ahead of the network that learns from them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mmpl.training.config import TrainingConfig

MOST_THREADS = 16
Item, Made = TypeVar("Item"), TypeVar("Made")


def in_order(make: Callable[[Item], Made], plan: Iterable[Item], threads: int) -> Iterator[Made]:
    """``make`` of every item of a plan, in order, by several threads.

    At most ``threads`` are being made or wait to be taken. What goes wrong in making one is raised in its place.
    """
    plan = iter(plan)
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(pool.submit(make, item) for item in islice(plan, threads))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in islice(plan, 1))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)


def patch_threads(
    config: TrainingConfig, device: torch.device, cores: int, environ: Mapping[str, str] = os.environ
) -> int:
    """How many threads make patches for one network.

    The settings' number; else one for a CPU, which takes far longer over a patch than its making took, and for a
    graphics card this process's share of the cores but one. ``workers`` and what torchrun has started here share.
    """
    if config.patch_threads:
        return config.patch_threads
    if device.type == "cpu":
        return 1
    processes = max(config.workers, int(environ.get("LOCAL_WORLD_SIZE", "1")))
    return min(max(cores // processes - 1, 1), MOST_THREADS)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def stacked(parts: Sequence[Tensor], device: torch.device) -> Tensor:
    """CPU tensors of one shape as a batch for a device: a graphics card can fetch it from pinned memory by itself."""
    for_card = device.type == "cuda"
    with torch.cuda.device(device) if for_card else nullcontext():  # this thread's own is the first card
        batch = torch.empty((len(parts), *parts[0].shape), dtype=parts[0].dtype, pin_memory=for_card)
    for place, part in zip(batch.numpy(), parts, strict=True):
        np.copyto(place, part.numpy())  # PyTorch would start threads of its own in each of ours
    return batch
