"""Work spread over processes: in order, errors told, one thread each."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mmpl.progress import silent
from mmpl.training.parallel import THREAD_COUNTS, each

WORKERS = 3


def double(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} is negative")
    return 2 * n


def threads_of(meeting_place: Path) -> dict[str, int]:
    """This process' threads, once as many processes as there are tasks have come."""
    import numba
    import numpy as np
    import SimpleITK as sitk
    import torch
    from threadpoolctl import threadpool_info

    (meeting_place / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(meeting_place.iterdir())) < WORKERS and time.monotonic() < deadline:
        time.sleep(0.05)
    np.ones((2, 2)) @ np.ones((2, 2))
    pools = {f"{pool['internal_api']} {n}": pool["num_threads"] for n, pool in enumerate(threadpool_info())}
    itk = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    return {**pools, "torch": torch.get_num_threads(), "numba": numba.get_num_threads(), "itk": itk}


def process_of(folder: Path) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    heard = []
    found = each(double, [3, 1, 2], workers=workers, progress=lambda step, f: heard.append((step, f)), step="doubling")
    assert found == [6, 2, 4]
    assert heard[-1] == ("doubling", 1.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_in_a_task_is_raised_here(workers):
    with pytest.raises(ValueError, match="-1 is negative"):
        each(double, [1, -1], workers=workers, progress=silent, step="doubling")


def test_every_worker_process_keeps_to_one_thread(tmp_path):
    # two processes with two BLAS threads each on two cores took ten times as long
    before = {name: os.environ.get(name) for name in THREAD_COUNTS}
    found = each(threads_of, [tmp_path] * WORKERS, workers=WORKERS, progress=silent, step="threads")
    assert len(list(tmp_path.iterdir())) == WORKERS
    assert all(set(threads.values()) == {1} for threads in found), found
    assert any("openblas" in name for name in found[0])
    assert {name: os.environ.get(name) for name in THREAD_COUNTS} == before


@pytest.mark.parametrize(("workers", "tasks"), [(1, 2), (2, 1)])
def test_one_worker_or_one_task_stays_in_this_process(workers, tasks, tmp_path):
    found = each(process_of, [tmp_path] * tasks, workers=workers, progress=silent, step="pid")
    assert found == [os.getpid()] * tasks
