"""The front end's side of the worker: a real one, and what happens when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.worker.arrays import write_label_map, write_volume
from mmpl_slicer.worker_client import CRASHED, READY, STARTING, STOPPED, Callbacks, WorkerClient
from mmpl_slicer.worker_process import WorkerProcess

SLEEPER = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
SLEEPER += "print(p.pid, flush=True); time.sleep(600)"


class Heard:
    """Keeps what the callbacks are told."""

    def __init__(self):
        self.results, self.errors, self.steps, self.withdrawn = [], [], [], 0

    def _withdraw(self):
        self.withdrawn += 1

    @property
    def callbacks(self) -> Callbacks:
        return Callbacks(
            result=self.results.append,
            error=lambda kind, text: self.errors.append((kind, text)),
            progress=lambda step, fraction: self.steps.append((step, fraction)),
            withdrawn=self._withdraw,
        )


def until(client: WorkerClient, condition, seconds: float = 120) -> None:
    """Poll as a timer does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, client.log
        client.poll()
        time.sleep(0.01)


@pytest.fixture
def client():
    client = WorkerClient()
    yield client
    client.stop()


@pytest.fixture
def opened(client, tiny_bundle_path, tiny_patient):
    client.start()
    client.ask("open_bundle", path=str(tiny_bundle_path))
    volumes = {name: write_volume(client.folder, f"{name}.npy", getattr(tiny_patient, name)) for name in ("ct", "pet")}
    heard = Heard()
    client.ask("open_case", heard.callbacks, case_id="A", pet_units="SUVbw", **volumes)
    until(client, lambda: heard.results or heard.errors)
    assert heard.errors == []
    return client


def test_the_story_of_a_contour(opened, tiny_patient):
    assert opened.state == READY
    heard = Heard()
    opened.ask("segment", heard.callbacks)
    assert opened.is_busy
    until(opened, lambda: heard.results)
    assert not opened.is_busy
    assert ("segmenting", 1.0) in heard.steps
    edit = write_label_map(opened.folder, "edit.npy", tiny_patient.label_map.array)
    opened.ask("measure", heard.callbacks, label_map=edit)
    until(opened, lambda: len(heard.results) == 2)
    volumes = [heard.results[1]["results"]["lesions"][name]["volume_ml"] for name in ("GTVp", "GTVn")]
    truth = np.count_nonzero(tiny_patient.label_map.array) * tiny_patient.label_map.geometry.voxel_volume_ml
    assert sum(volumes) == pytest.approx(truth)


def test_nothing_blocks_while_the_worker_works(opened):
    heard = Heard()
    opened.ask("segment", heard.callbacks)
    worst = 0.0
    while not heard.results:
        started = time.perf_counter()
        opened.poll()
        worst = max(worst, time.perf_counter() - started)
        time.sleep(0.01)
    assert worst < 0.5  # a poll reads a queue; waiting for the segmentation would take seconds


def test_bad_input_reaches_who_asked(opened):
    heard = Heard()
    opened.ask("measure", heard.callbacks, label_map={"file": "missing.npy", "start_zyx": [0, 0, 0]})
    until(opened, lambda: heard.errors)
    ((kind, text),) = heard.errors
    assert kind == "input"
    assert "missing.npy" in text
    assert opened.state == READY


def test_cancel_withdraws_and_the_worker_goes_on(opened):
    running, waiting, after = Heard(), Heard(), Heard()
    opened.ask("segment", running.callbacks)
    opened.ask("segment", waiting.callbacks)
    until(opened, lambda: running.steps)
    opened.cancel()
    until(opened, lambda: not opened.is_busy)
    assert (running.withdrawn, waiting.withdrawn) == (1, 1)
    opened.ask("segment", after.callbacks)
    until(opened, lambda: after.results)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_worker_is_one_sentence_and_can_be_started_again(opened):
    heard = Heard()
    opened.ask("segment", heard.callbacks)
    until(opened, lambda: heard.steps)
    os.kill(opened._process.pid, signal.SIGKILL)
    until(opened, lambda: heard.errors, seconds=10)
    ((kind, text),) = heard.errors
    assert kind == "crash"
    assert "nothing you drew is lost" in text
    assert opened.state == CRASHED
    again = Heard()
    opened.start()
    assert opened.state == STARTING
    opened.ask("hello", again.callbacks)
    until(opened, lambda: again.results)
    assert opened.state == READY


def test_aborting_kills_and_tells_everybody(opened):
    running, pid = Heard(), opened.pid
    opened.ask("segment", running.callbacks)
    until(opened, lambda: running.steps)
    opened.cancel()
    assert opened.is_cancelling
    opened.abort()
    assert running.withdrawn == 1
    assert (opened.state, opened.is_busy) == (STOPPED, False)
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def test_asking_without_a_worker_is_told_at_the_next_poll(client):
    heard = Heard()
    client.ask("segment", heard.callbacks)
    assert heard.errors == []
    client.poll()
    assert heard.errors[0][0] == "crash"


def test_stopping_removes_the_folder_and_tells_nobody(opened):
    heard, folder = Heard(), opened.folder
    opened.ask("segment", heard.callbacks)
    opened.stop()
    opened.poll()
    assert not folder.exists()
    assert (heard.results, heard.errors, heard.withdrawn) == ([], [], 0)
    assert opened.state == STOPPED


CRASHING = """
import time, numpy as np
from mmpl_slicer.worker_client import READY, WorkerClient
client = WorkerClient()
client.start()
np.save(client.folder / "ct-1.npy", np.zeros((4, 4, 4), np.int16))
while client.state != READY:
    client.poll()
    time.sleep(0.01)
print(client.pid, client.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_front_end_that_crashes_leaves_nothing_of_the_patient_behind():
    front_end = subprocess.Popen([sys.executable, "-P", "-c", CRASHING], stdout=subprocess.PIPE, text=True)
    pid, folder = front_end.stdout.readline().split(maxsplit=1)
    assert os.path.isfile(os.path.join(folder.strip(), "ct-1.npy"))
    front_end.kill()
    front_end.wait()
    deadline = time.monotonic() + 60
    while _runs(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(folder.strip())


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    client = WorkerClient(python=str(tmp_path / "no python"))
    with pytest.raises(InputError, match="no python"):
        client.start()
    assert client.state == CRASHED
    assert client.folder is None


@pytest.mark.skipif(sys.platform == "win32", reason="/proc is Linux")
def test_killing_takes_the_children_along():
    process = WorkerProcess([sys.executable, "-c", SLEEPER])
    while not (said := process.lines()):
        time.sleep(0.01)
    child = int(said[0])
    assert _runs(child)
    process.kill()
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)
    process.kill()  # twice does no harm


def _runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_a_process_that_ends_is_heard_to_its_last_word():
    process = WorkerProcess([sys.executable, "-c", "import sys; print('a'); print('b'); print('log', file=sys.stderr)"])
    while process.exit_code is None:
        time.sleep(0.01)
    assert process.lines() == ["a", "b"]
    assert process.log == "log"
    assert not process.send("anyone?")
    process.kill()
