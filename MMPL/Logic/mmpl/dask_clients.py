"""A Dask cluster of this machine for one run, or one that runs already. Imported by :mod:`mmpl.cluster` only."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cryptography  # noqa: F401  (Security.temporary needs it, and would say so with a traceback)
import dask
import psutil
from distributed import Client, LocalCluster, Nanny, Security

from mmpl.cluster import THREAD_COUNTS
from mmpl.errors import InputError

LOOPBACK = "127.0.0.1"
ADDRESSES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
ANSWER_S = 5.0  # a scheduler that has not answered by then is not there

LOCAL = {
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.daemon": True,
    "distributed.worker.preload": [],
    "distributed.nanny.preload": [],
    "distributed.scheduler.preload": [],
    "distributed.nanny.environ": {},
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_COUNTS, "1"),
    "distributed.scheduler.allowed-failures": 3,
    # A task that holds the interpreter for minutes (a library that does not let go of it) is no dead worker; that a
    # process of this machine has died is seen at once, by its connection.
    "distributed.scheduler.worker-ttl": None,
    # Dask looks that long after a process has died whether there is another in its place, and ends the place if not:
    # also where the second one has just died, too.
    "distributed.deploy.lost-worker-timeout": "1000 days",
}


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Processes of this machine, one thread each, that hear from this process only.

    Dask's limit of memory is off. It gives each process its share of the machine's memory, pauses one at 80 % of it
    and ends it at 95 %; but a case or a fold takes what it takes for a while, and results are too small to be spilled.
    """
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)  # and so it stays: connections tell of their end after the cluster's
    with tempfile.TemporaryDirectory(prefix="mmpl-") as scratch, _kept_environment(), dask.config.set(LOCAL):
        cluster = _local_cluster(workers, scratch)
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            _end(cluster)


def _local_cluster(workers: int, scratch: str) -> LocalCluster:
    with _kept_environment():
        os.environ.update(dict.fromkeys(THREAD_COUNTS, "1"))  # what is set already, Dask does not change
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=LOOPBACK,
            # others who are logged in reach the loopback interface, too, and who reaches a worker can run anything
            security=Security.temporary(),
            protocol="tls://",
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
            memory_limit=0,
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
        )


def _end(cluster: LocalCluster) -> None:
    """End the processes at once: whatever they still do, nobody waits for it."""
    for nanny in cluster.workers.values():
        if isinstance(nanny, Nanny):
            nanny.close_gracefully()  # it does not start its process again
            with suppress(psutil.NoSuchProcess):
                if nanny.pid is not None:
                    psutil.Process(nanny.pid).kill()
    cluster.close()


@contextmanager
def remote_client(scheduler: str) -> Iterator[Client]:
    """A cluster that runs already; it stays when this run ends.

    Raises
    ------
    InputError
        If nobody answers at the address, or it is none.
    """
    address = _address(scheduler)
    with _quiet(), ExitStack() as stack:
        try:
            client = stack.enter_context(Client(address, timeout=ANSWER_S, set_as_default=False))
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {scheduler}: check the address, or start one with 'dask scheduler'"
            ) from error
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask would tell of each attempt to connect, with its traceback; what matters is said in one sentence."""
    before = [(handler, handler.level) for handler in logging.getLogger("distributed").handlers]
    for handler, _ in before:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in before:
            handler.setLevel(level)


def _address(scheduler: str) -> str:
    if scheduler.startswith(ADDRESSES):
        return scheduler
    wanted = "give an address such as tcp://host:8786, or the file that 'dask scheduler --scheduler-file' writes"
    if not Path(scheduler).is_file():
        raise InputError(f"scheduler '{scheduler}': {wanted}")
    try:
        return str(json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"scheduler file {scheduler} holds no address: {wanted}") from error


@contextmanager
def _kept_environment() -> Iterator[None]:
    """Put back what Dask sets here whenever it starts a process, so that the process finds it."""
    before = {name: os.environ.get(name) for name in (*THREAD_COUNTS, "PYTHONHASHSEED")}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
