"""One step of a run shared between processes, or done here. A whole run opens one pool: :mod:`mmpl.cluster`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmpl.cluster import THREAD_COUNTS, open_pool
from mmpl.progress import Progress

__all__ = ["THREAD_COUNTS", "each"]


def each(function: Callable, tasks: Sequence, *, workers: int, progress: Progress, step: str) -> list:
    """``[function(task) for task in tasks]``, spread over processes, in order.

    One thread a process for several workers; this process, with all its threads, for one worker or one task.
    """
    with open_pool(workers if len(tasks) > 1 else 1) as pool:
        return pool.each(function, tasks, progress=progress, step=step)
