"""Work spread over processes or machines, or done here: results are the same, up to rounding where networks train.

One pool serves a whole run::

    with open_pool(workers=4) as pool:
        results = pool.each(function, tasks, progress=progress, step="preparing cases")

A task and its result travel between processes, so they stay small: paths and settings, not images. What a task is
there for it writes to a folder that all workers share, whole or not at all, and it does nothing where that is done
already. Then nothing is lost when a run is stopped or a worker dies: the same run goes on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

from mmpl.errors import InputError, MMPLError
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

# Which of this machine's workers a task runs in, from 0; None elsewhere
LOCAL_NUMBER: ContextVar[int | None] = ContextVar("LOCAL_NUMBER", default=None)

LOOK_AGAIN_S = 1.0
ALMOST = 0.999  # of a task that has written all it is to write and has not come back

Lost = Callable[[object, str], object]  # a task and why it was given up -> what stands for its result
SoFar = Callable[[object], float]  # the share of a task that is done, read from what it has written


class Pool(Protocol):
    """Does many tasks of one kind."""

    def each(
        self,
        function: Callable,
        tasks: Sequence,
        *,
        progress: Progress,
        step: str,
        name: Callable[[object], str] | None = None,
        lost: Lost | None = None,
        so_far: SoFar | None = None,
    ) -> list:
        """``[function(task) for task in tasks]``, in order.

        Parameters
        ----------
        function : of a module, with one argument; whatever it and the tasks hold can be pickled
        tasks : as many as there are
        progress, step : told the share that is done, at the beginning and whenever a task ends
        name : what a task is called in a message; its number by default
        lost : what stands for the result of a task that ended its worker process again and again; without it the run
            ends with one sentence that names the task
        so_far : of tasks that take long; with it the share is told all along

        Raises
        ------
        MMPLError
            If a task ended its worker process too often, or no worker is left.
        Exception
            Whatever a task raises ends the others that are under way or wait. Results that tasks have written stay.
        """
        ...


class InlinePool:
    """Does one task after the other, in this process and with all its threads."""

    def each(
        self,
        function: Callable,
        tasks: Sequence,
        *,
        progress: Progress,
        step: str,
        name: Callable[[object], str] | None = None,
        lost: Lost | None = None,
        so_far: SoFar | None = None,
    ) -> list:
        return in_turn(function, tasks, progress, step, so_far)


def in_turn(function: Callable, tasks: Sequence, progress: Progress, step: str, so_far: SoFar | None = None) -> list:
    """One task after the other, in this process; arguments as of :meth:`Pool.each`."""
    results = []

    def tell() -> None:
        progress(step, share_done(tasks, range(len(results)), so_far))

    if tasks:
        tell()
    for task in tasks:
        with nullcontext() if so_far is None else _again_and_again(tell):
            result = function(task)
        results.append(result)
        tell()
    return results


def share_done(tasks: Sequence, ended: Collection[int], so_far: SoFar | None = None) -> float:
    """Of all tasks; ``ended`` are the numbers of those that have come to an end."""
    begun = [] if so_far is None else [so_far(task) for n, task in enumerate(tasks) if n not in ended]
    return (len(ended) + sum(min(share, ALMOST) for share in begun)) / len(tasks)


@contextmanager
def _again_and_again(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` now and then, in a thread, while the block lasts."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(LOOK_AGAIN_S):
            tell()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def open_pool(workers: int = 1, scheduler: str | None = None) -> Iterator[Pool]:
    """The pool of a run; its processes end with the block, at once where that ends with an error or Ctrl-C.

    Parameters
    ----------
    workers : up to 1 does the work in this process; more are processes of this machine with one thread each, started
        when there is something to do
    scheduler : address of a running Dask scheduler ("tcp://host:port"), or its scheduler file: its workers do the work

    Raises
    ------
    InputError
        If the scheduler does not answer, or both are given.
    MMPLError
        If Dask is not installed.
    """
    if scheduler is not None and workers > 1:
        raise InputError(f"{workers} workers and the scheduler {scheduler}: give one or the other")
    with ExitStack() as stack:
        if scheduler is None and workers <= 1:
            yield InlinePool()
            return
        clients, dask_pool = _dask()
        if scheduler is None:
            yield dask_pool.DaskPool(lambda: stack.enter_context(clients.local_client(workers)))
        else:
            client = stack.enter_context(clients.remote_client(scheduler))
            yield dask_pool.DaskPool(lambda: client)


def _dask():
    """The modules that need Dask, imported where they are needed only: it takes half a second."""
    try:
        from mmpl import dask_clients, dask_pool
    except ModuleNotFoundError as error:
        raise MMPLError(
            f"spreading work needs the Python package '{error.name}'; install it with: pip install 'mmpl[batch]'"
        ) from error
    return dask_clients, dask_pool
