"""Work spread over processes: in order, errors told, lost workers replaced, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

import mmpl
from mmpl import cluster, dask_clients, dask_pool
from mmpl.cluster import LOCAL_NUMBER, InlinePool, Pool, open_pool
from mmpl.errors import GeometryError, InputError, MMPLError
from mmpl.progress import silent
from mmpl.version import __version__

DEATHS = 2  # that the pool of this module bears of one task
BETWEEN_S = 0.05


@pytest.fixture(scope="module")
def two() -> Iterator[Pool]:
    """Two processes, started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dask_clients.LOCAL, "distributed.scheduler.allowed-failures", DEATHS - 1)
        with open_pool(workers=2) as pool:
            yield pool


@pytest.fixture(params=["inline", "processes"])
def pool(request) -> Pool:
    return InlinePool() if request.param == "inline" else request.getfixturevalue("two")


def double(n: int) -> int:
    if n < 0:
        raise GeometryError(f"{n} is negative: give another")
    return 2 * n


def leave_mark(task: tuple[Path, int]) -> int:
    folder, n = task
    if n < 0:
        raise ValueError(f"{n} is negative")
    time.sleep(BETWEEN_S)
    (folder / str(n)).touch()
    return n


def count_up(task: tuple[Path, int]) -> None:
    """Write a letter after the other, up to so many, and stay a while after each."""
    while counted(task) < 1:
        with task[0].open("a") as file:
            file.write("x")
        time.sleep(6 * BETWEEN_S)


def counted(task: tuple[Path, int]) -> float:
    path, most = task
    return path.stat().st_size / most if path.exists() else 0.0


def die_at_first(task: tuple[Path, int]) -> int:
    """Task 1 kills its process unless a file says that it has done so."""
    folder, n = task
    if n == 1 and not (folder / "died").exists():
        (folder / "died").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die_if_odd(n: int) -> int:
    if n % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def process_of(task: object) -> int:
    time.sleep(BETWEEN_S)
    return os.getpid()


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# --- what any pool does -----------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_tasks(pool):
    assert pool.each(double, [3, 1, 2, 5, 4], progress=silent, step="doubling") == [6, 2, 4, 10, 8]


def test_nothing_to_do_gives_nothing(pool):
    assert pool.each(double, [], progress=silent, step="doubling") == []


def test_the_beginning_and_every_finished_task_are_told(pool):
    heard = []
    pool.each(double, [3, 1, 2, 5], progress=lambda step, f: heard.append((step, f)), step="doubling")
    assert heard == [("doubling", share) for share in (0, 0.25, 0.5, 0.75, 1.0)]


def test_how_far_long_tasks_are_is_told_all_along(pool, tmp_path, monkeypatch):
    """Networks train for hours, and two of them at once end at about the same time."""
    for module in (cluster, dask_pool):
        monkeypatch.setattr(module, "LOOK_AGAIN_S", BETWEEN_S)
    heard = []
    tasks = [(tmp_path / "one", 3), (tmp_path / "other", 3)]
    pool.each(count_up, tasks, progress=lambda step, f: heard.append(f), step="counting", so_far=counted)
    assert heard[0] == 0
    assert heard == sorted(heard)
    assert {1 / 6, 1 / 3}.intersection(heard), "nothing was told before a task had ended"
    assert heard.count(1.0) == 1, "a task that has not come back is not done"
    assert heard[-1] == 1.0


def test_the_share_begins_where_an_earlier_run_ended(pool, tmp_path):
    (tmp_path / "one").write_text("xx")
    heard = []
    pool.each(count_up, [(tmp_path / "one", 4)], progress=lambda step, f: heard.append(f), step="x", so_far=counted)
    assert heard[0] == 0.5


def test_an_error_keeps_its_type_and_text(pool):
    with pytest.raises(GeometryError) as caught:
        pool.each(double, [1, -1, 2], progress=silent, step="doubling")
    assert str(caught.value) == "-1 is negative: give another"


def test_an_error_keeps_what_is_finished_and_starts_nothing_more(pool, tmp_path):
    tasks = [(tmp_path, n) for n in (1, 2, -1, *range(3, 40))]
    with pytest.raises(ValueError, match="-1 is negative"):
        pool.each(leave_mark, tasks, progress=silent, step="marking")
    time.sleep(4 * BETWEEN_S)
    done = {int(p.name) for p in tmp_path.iterdir()}
    assert {1} <= done
    assert len(done) < 10
    assert pool.each(double, [4], progress=silent, step="doubling") == [8]  # the pool goes on


# --- processes of this machine ----------------------------------------------------------------------------------------


def test_one_worker_is_this_process():
    with open_pool() as pool:
        assert pool.each(process_of, [1, 2], progress=silent, step="pid") == [os.getpid()] * 2


def test_several_workers_are_other_processes_and_stay(two):
    first, again = (set(two.each(process_of, range(6), progress=silent, step="pid")) for _ in range(2))
    assert os.getpid() not in first
    assert len(first) == 2
    assert first == again


def number_of(task: object) -> int | None:
    time.sleep(BETWEEN_S)
    return LOCAL_NUMBER.get()


def test_several_workers_know_their_numbers(two):
    assert set(two.each(number_of, range(12), progress=silent, step="x")) == {0, 1}
    assert InlinePool().each(number_of, [0], progress=silent, step="x") == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell the connections of processes to root only")
def test_nothing_listens_but_on_the_loopback_interface(two):
    ours = {os.getpid(), *two.each(process_of, range(6), progress=silent, step="pid")}
    listening = [c for c in psutil.net_connections("inet") if c.pid in ours and c.status == psutil.CONN_LISTEN]
    assert {c.pid for c in listening} == ours
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_a_worker_that_is_killed_loses_no_result(two, tmp_path):
    found = two.each(die_at_first, [(tmp_path, n) for n in range(5)], progress=silent, step="dying once")
    assert len(found) == 5
    assert None not in found
    assert found[1] != int((tmp_path / "died").read_text())


def test_a_task_that_always_kills_its_worker_is_named(two):
    with pytest.raises(MMPLError, match=rf"^cases: CASE-3 ended its worker process {DEATHS} times and is given up"):
        two.each(die_if_odd, [0, 2, 3], progress=silent, step="cases", name=lambda n: f"CASE-{n}")


def test_something_else_can_stand_for_a_lost_result(two):
    found = two.each(die_if_odd, [0, 3, 2], progress=silent, step="cases", lost=lambda task, why: (task, why))
    assert found[0::2] == [0, 2]
    task, why = found[1]
    assert task == 3
    assert why.startswith("cases: task 2 of 3 ended its worker process")


def test_an_error_outside_ends_the_processes():
    def fail_beside_the_pool() -> None:
        with open_pool(workers=2) as pool:
            pids.update(pool.each(process_of, range(4), progress=silent, step="pid"))
            raise ValueError("enough")

    pids: set[int] = set()
    with pytest.raises(ValueError, match="enough"):
        fail_beside_the_pool()
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not [pid for pid in pids if is_running(pid)]


SLEEPERS = """
import signal, sys, time
from mmpl.cluster import open_pool
from mmpl.progress import silent
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started without
    with open_pool(workers=2) as pool:
        print(*pool.each(abs, [1, -2], progress=silent, step="warming up"))
        sys.stdout.flush()
        pool.each(time.sleep, [600, 600, 600], progress=silent, step="sleeping")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent in another way there")
def test_ctrl_c_ends_busy_processes_and_says_nothing_of_dask(tmp_path, request):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    paths = os.pathsep.join([str(Path(mmpl.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.Popen(
        [sys.executable, tmp_path / "sleepers.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
    request.addfinalizer(run.kill)
    assert run.stdout.readline() == "1 2\n"
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) >= 2
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does it
    _, errors = run.communicate(timeout=60)
    psutil.wait_procs(children, timeout=10)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "distributed." not in errors.split("Traceback")[0]
    assert not [child for child in children if is_running(child.pid)]


# --- a cluster that runs already --------------------------------------------------------------------------------------


@pytest.fixture
def running_cluster() -> Iterator[LocalCluster]:
    """A scheduler with an address, and one worker in a thread."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    ) as cluster:
        yield cluster


def test_a_running_cluster_does_the_work_and_stays(running_cluster, tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": running_cluster.scheduler_address}))
    for scheduler in (running_cluster.scheduler_address, str(file)):
        with open_pool(scheduler=scheduler) as pool:
            assert pool.each(double, [3, 1, 2], progress=silent, step="doubling") == [6, 2, 4]


def test_workers_of_several_threads_are_refused():
    """Two cases in one process would share its networks and random numbers."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
        ) as cluster,
        open_pool(scheduler=cluster.scheduler_address) as pool,
        pytest.raises(MMPLError, match="has 2 threads: start workers with '--nthreads 1'"),
    ):
        pool.each(double, [1, 2], progress=silent, step="doubling")


def test_a_scheduler_without_workers_is_told(running_cluster, monkeypatch):
    monkeypatch.setattr(dask_pool, "NO_WORKERS_S", 0.0)
    running_cluster.scale(0)
    while running_cluster.scheduler.workers:
        time.sleep(BETWEEN_S)
    address = running_cluster.scheduler_address
    with (
        open_pool(scheduler=address) as pool,
        pytest.raises(MMPLError, match=f"the scheduler {address} has had no worker"),
    ):
        pool.each(double, [1, 2], progress=silent, step="doubling")


def test_a_scheduler_that_goes_away_is_told(running_cluster):
    with open_pool(scheduler=running_cluster.scheduler_address) as pool:
        leaving = threading.Timer(4 * BETWEEN_S, running_cluster.close)
        leaving.start()
        with pytest.raises(MMPLError, match=r"^the connection to the Dask scheduler was lost: see that it runs"):
            pool.each(time.sleep, [BETWEEN_S] * 200, progress=silent, step="sleeping")
        leaving.join()


def test_a_scheduler_without_mmpl_is_told():
    class Refused:
        """A future of a task that the scheduler could not unpickle, as Dask words it."""

        def result(self):
            raise RuntimeError("Error during deserialization of the task graph. This frequently occurs if ...")

        def release(self):
            pass

    with pytest.raises(MMPLError, match=r"^the Dask scheduler cannot read the tasks: install the same MMPL"):
        dask_pool._result(Refused(), 1, "step: task 1 of 1", None)


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(dask_clients, "ANSWER_S", 0.2)
    with pytest.raises(InputError, match=r"^no Dask scheduler answers at tcp://127\.0\.0\.1:9: check the address"):
        open_pool(scheduler="tcp://127.0.0.1:9").__enter__()


def test_a_file_that_is_no_scheduler_file_is_told(tmp_path):
    (tmp_path / "scheduler.json").write_text("not JSON")
    with pytest.raises(InputError, match=r"scheduler\.json holds no address: give an address such as tcp://host:8786"):
        open_pool(scheduler=str(tmp_path / "scheduler.json")).__enter__()


def test_what_is_no_address_is_refused():
    with pytest.raises(InputError, match=r"^scheduler 'somewhere': give an address such as tcp://host:8786"):
        open_pool(scheduler="somewhere").__enter__()


def test_workers_and_a_scheduler_are_one_too_many():
    with pytest.raises(InputError, match=r"^2 workers and the scheduler tcp://host:1: give one or the other"):
        open_pool(workers=2, scheduler="tcp://host:1").__enter__()


def test_dask_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for name in ("dask_clients", "dask_pool"):
        monkeypatch.delitem(sys.modules, f"mmpl.{name}")
        monkeypatch.delattr(mmpl, name)
    with pytest.raises(
        MMPLError, match=r"needs the Python package 'distributed'; install it with: pip install 'mmpl\["
    ):
        open_pool(workers=2).__enter__()


def test_a_worker_of_another_version_is_refused():
    sealed = dask_pool.Sealed(3, "task 1 of 1")
    assert dask_pool.run_sealed(double, sealed, __version__, False) == 6
    with pytest.raises(MMPLError, match=f"a worker has MMPL {__version__}, this is 0.0.0"):
        dask_pool.run_sealed(double, sealed, "0.0.0", False)


def test_a_task_shows_its_name_only():
    assert repr(dask_pool.Sealed({"Age": 61}, "task 1 of 1")) == "task 1 of 1"
