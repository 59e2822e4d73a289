"""Sharing work between processes, or doing it here; the results are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from mmpl.progress import Progress


class InlineExecutor(Executor):
    """Runs each task at once, in this process."""

    def submit(self, function: Callable, /, *args, **kwargs) -> Future:
        future: Future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def executor(workers: int) -> Executor:
    """One thread a process for several workers; this process, with all its threads, for one."""
    if workers <= 1:
        return InlineExecutor()
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread)


def each(function: Callable, tasks: Sequence, *, workers: int, progress: Progress, step: str) -> list:
    """``[function(task) for task in tasks]``, spread over processes, in order."""
    if not tasks:
        return []
    with executor(workers if len(tasks) > 1 else 1) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        for n, future in enumerate(as_completed(futures), start=1):
            future.result()
            progress(step, n / len(futures))
    return [future.result() for future in futures]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
