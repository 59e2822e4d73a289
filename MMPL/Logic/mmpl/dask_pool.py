"""Tasks on a Dask cluster. Imported by :mod:`mmpl.cluster` only, since Dask may be missing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distributed import CancelledError, Client, Future, KilledWorker, get_worker, wait

from mmpl.cluster import LOCAL_NUMBER, LOOK_AGAIN_S, Lost, SoFar, share_done
from mmpl.errors import MMPLError
from mmpl.progress import Progress
from mmpl.version import __version__

NO_WORKERS_S = 60.0  # a cluster without any worker for so long gets none

# What tells that the scheduler is gone, and what to say then
LOST = (CancelledError, OSError)
SCHEDULER_LOST = "the connection to the Dask scheduler was lost: see that it runs, then run the same again"
UNREAD = "deserialization of the task graph"  # in Dask's words for a scheduler that lacks a task's module


@dataclass(frozen=True)
class Sealed:
    """A task as Dask's logs and pages show it: by its name, since a task may hold a patient's record."""

    task: object
    name: str

    def __repr__(self) -> str:
        return self.name


def run_sealed(function: Callable, sealed: Sealed, version: str, one_thread: bool) -> object:
    """Do one task; this runs in a worker.

    Raises
    ------
    MMPLError
        If the worker has another MMPL than the one that sent the task.
    """
    if version != __version__:
        raise MMPLError(f"a worker has MMPL {__version__}, this is {version}: install the same on all machines")
    if one_thread:
        import torch

        torch.set_num_threads(1)
        LOCAL_NUMBER.set(int(get_worker().name))
    return function(sealed.task)


class DaskPool:
    """Satisfies :class:`mmpl.cluster.Pool`.

    There are as many tasks under way as there are workers, of one thread each. A worker that dies takes down all tasks
    that it was given, and Dask counts that against each of them: one that waits here is not blamed for another's fault.

    Parameters
    ----------
    connect : starts or finds the cluster; called when there is something to do
    """

    def __init__(self, connect: Callable[[], Client]):
        self._connect = connect
        self._client: Client | None = None

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
        if not tasks:
            return []
        progress(step, share_done(tasks, [], so_far))
        if self._client is None:
            self._client = self._connect()
        names = [f"task {n} of {len(tasks)}" if name is None else name(task) for n, task in enumerate(tasks, start=1)]
        results: dict[int, object] = {}
        waiting, running = deque(range(len(tasks))), {}
        try:
            while waiting or running:
                workers = self._workers()
                while waiting and len(running) < workers:
                    n = waiting.popleft()
                    running[self._submit(function, Sealed(tasks[n], names[n]))] = n
                finished = self._finished(running)
                for future in finished:
                    n = running.pop(future)
                    results[n] = _result(future, tasks[n], f"{step}: {names[n]}", lost)
                    progress(step, share_done(tasks, results, so_far))
                if not finished and so_far is not None:
                    progress(step, share_done(tasks, results, so_far))
        finally:
            if running:
                self._client.cancel(list(running), force=True)
        return [results[n] for n in range(len(tasks))]

    def _submit(self, function: Callable, sealed: Sealed) -> Future:
        return self._client.submit(run_sealed, function, sealed, __version__, _is_local(self._client), pure=False)

    def _finished(self, running: dict[Future, int]) -> list[Future]:
        """Those that have come to an end, after a wait; none now and then, so that new workers are seen."""
        try:
            with self._client.as_current():
                return list(wait(list(running), timeout=LOOK_AGAIN_S, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []
        except LOST as error:
            raise MMPLError(SCHEDULER_LOST) from error

    def _workers(self) -> int:
        """Tasks that can run at once; waits a while for a first worker."""
        started = time.monotonic()
        while True:
            try:
                threads_of = self._client.nthreads()
            except LOST as error:
                raise MMPLError(SCHEDULER_LOST) from error
            _require_one_thread_each(threads_of)
            if threads_of:
                return len(threads_of)
            if time.monotonic() - started > NO_WORKERS_S:
                raise MMPLError(_no_workers(self._client))
            time.sleep(LOOK_AGAIN_S)


def _result(future: Future, task: object, name: str, lost: Lost | None) -> object:
    try:
        return future.result()
    except CancelledError as error:
        raise MMPLError(SCHEDULER_LOST) from error
    except RuntimeError as error:
        if UNREAD in str(error):
            raise MMPLError("the Dask scheduler cannot read the tasks: install the same MMPL where it runs") from error
        raise
    except KilledWorker as error:
        times = error.allowed_failures + 1
        why = (
            f"{name} ended its worker process {times} times and is given up: the system may have ended it for want of "
            "memory; use fewer workers or more memory, or leave it out"
        )
        if lost is None:
            raise MMPLError(why) from None
        return lost(task, why)
    finally:
        future.release()  # else it is done again when its worker dies


def _require_one_thread_each(threads_of: Mapping[str, int]) -> None:
    """Refuse workers that would run several tasks at once: these would share networks and random numbers."""
    several = next((address for address, threads in threads_of.items() if threads > 1), None)
    if several is not None:
        raise MMPLError(
            f"the Dask worker {several} has {threads_of[several]} threads: start workers with '--nthreads 1', and as "
            "many as there is room for"
        )


def _is_local(client: Client) -> bool:
    return client.cluster is not None


def _no_workers(client: Client) -> str:
    long = f"for {NO_WORKERS_S:.0f} s"
    if _is_local(client):
        return f"no worker process of this machine has come up {long}: look for what ends them, then run the same again"
    address = client.scheduler.address
    return (
        f"the scheduler {address} has had no worker {long}: start some with 'dask worker {address} --nthreads 1', "
        "then run the same again"
    )
