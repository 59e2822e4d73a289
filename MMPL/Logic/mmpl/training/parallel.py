"""Sharing work between processes, or doing it here; the results are the same, up to rounding where networks train."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context

from mmpl.progress import Progress

# What numpy's BLAS, OpenMP, numba and ITK read when they are loaded. Two processes with two threads each on two
# cores spend most of their time waiting for each other: preparing a case took ten times as long.
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


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
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread)
    with _environment(dict.fromkeys(THREAD_COUNTS, "1")):
        # each task that finds no idle process starts one, which inherits the environment
        for started in [pool.submit(int) for _ in range(workers)]:
            started.result()
    return pool


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


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for as long as children are started."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
