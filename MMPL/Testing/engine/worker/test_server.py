"""A real worker process, spoken to in lines."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from mmpl.errors import InputError
from mmpl.version import __version__
from mmpl.worker.arrays import write_label_map, write_volume
from mmpl.worker.server import Speaker, described


class Worker:
    """The other end of the lines."""

    def __init__(self, folder, *program):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, *(program or ("-m", "mmpl.worker")), str(folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "log.txt").open("w"),
            text=True,
            encoding="utf-8",
        )
        self.count = 0
        assert self.hear() == {"id": None, "event": "ready", "protocol": 1}

    def ask(self, do, **arguments) -> int:
        self.count += 1
        self.say(json.dumps({"id": self.count, "do": do, **arguments}))
        return self.count

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def end_of(self, request_id) -> dict:
        """The message that ends a request; whatever else is said meanwhile is kept in ``heard``."""
        self.heard = []
        while (message := self.hear())["id"] != request_id or message["event"] == "progress":
            self.heard.append(message)
        return message

    def told(self, do, **arguments) -> dict:
        return self.end_of(self.ask(do, **arguments))


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    # a folder as hospitals have them
    worker = Worker(tmp_path_factory.mktemp("Müller PET CT"))
    yield worker
    worker.process.kill()
    worker.process.wait()


@pytest.fixture(scope="module")
def opened(worker, tiny_bundle_path, tiny_case):
    assert worker.told("open_bundle", path=str(tiny_bundle_path))["event"] == "result"
    ct, pet = (write_volume(worker.folder, f"{n}.npy", getattr(tiny_case, n)) for n in ("ct", "pet"))
    told = worker.told("open_case", case_id="Ü-1", ct=ct, pet=pet, pet_units=tiny_case.pet_units)
    assert told["event"] == "result", told
    return worker


def test_hello_says_versions_and_devices(worker):
    told = worker.told("hello")
    assert told["event"] == "result"
    assert told["version"] == __version__
    assert told["torch"] == torch.__version__
    assert told["devices"][0]["id"] == "cpu"


def test_segments_and_tells_progress(opened):
    told = opened.told("segment")
    assert told["event"] == "result"
    assert told["results"]["case_id"] == "Ü-1"
    fractions = [m["fraction"] for m in opened.heard if m.get("step") == "segmenting"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_of_many_edits_the_latest_is_measured(opened, tiny_patient):
    label_map = tiny_patient.label_map.array.copy()
    numbers = []
    for n in range(6):
        label_map[np.argwhere(label_map)[0][0]] = 0
        edit = write_label_map(opened.folder, f"edit-{n}.npy", label_map)
        numbers.append(opened.ask("measure", label_map=edit))
    told = opened.end_of(numbers[-1])
    assert told["event"] == "result"
    ended = {m["id"]: m["event"] for m in opened.heard if m["event"] != "progress"}
    assert set(ended) == set(numbers[:-1])
    assert set(ended.values()) <= {"dropped", "cancelled", "result"}
    assert "dropped" in ended.values()
    volume = told["results"]["lesions"]["GTVp"]["volume_ml"] + told["results"]["lesions"]["GTVn"]["volume_ml"]
    assert volume == pytest.approx(np.count_nonzero(label_map) * tiny_patient.label_map.geometry.voxel_volume_ml)


def test_a_cancelled_request_ends_and_the_worker_goes_on(opened):
    running = opened.ask("segment")
    while opened.hear()["event"] != "progress":
        pass
    opened.ask("cancel")
    assert opened.end_of(running)["event"] == "cancelled"
    assert opened.told("segment")["event"] == "result"


def test_bad_input_is_one_sentence_and_costs_nothing(opened):
    told = opened.told("measure", label_map={"file": "missing.npy", "start_zyx": [0, 0, 0]})
    assert (told["event"], told["kind"]) == ("error", "input")
    assert "missing.npy" in told["text"]
    told = opened.told("measure")
    assert told["event"] == "result"


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '{"do": "segment"}', '{"id": "x", "do": "segment"}'])
def test_a_line_that_is_no_request_is_said_and_skipped(worker, line):
    worker.say(line)
    told = worker.hear()
    assert (told["id"], told["event"], told["kind"]) == (None, "error", "fault")
    assert worker.told("hello")["event"] == "result"


def test_an_unknown_request_is_a_fault(worker):
    told = worker.told("dance")
    assert told["kind"] == "fault"
    assert "'dance'" in told["text"]


def test_prints_of_libraries_do_not_reach_the_messages(tmp_path):
    worker = Worker(tmp_path, "-c", NOISY)
    assert worker.told("hello")["event"] == "result"
    worker.process.stdin.close()
    worker.process.wait(timeout=20)
    assert worker.process.stdout.read() == ""
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "from Python" in log
    assert "from C" in log


NOISY = """
import os, sys
from mmpl.worker import session
from mmpl.worker.__main__ import main
def hello(self, arguments, progress):
    print("from Python", flush=True)
    os.write(1, b"from C\\n")
    return {}
session.Session.hello = hello
main()
"""


def test_the_worker_ends_when_the_front_end_goes_away(tmp_path):
    worker = Worker(tmp_path)
    worker.process.stdin.close()
    assert worker.process.wait(timeout=20) == 0
    assert tmp_path.is_dir()  # given, and not this worker's to remove


def test_a_front_end_that_is_gone_is_told_nothing():
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    Speaker(Gone()).say(1, "cancelled")


def test_it_ends_in_the_middle_of_work_too(tmp_path, tiny_bundle_path, tiny_case):
    worker = Worker(tmp_path)
    worker.told("open_bundle", path=str(tiny_bundle_path))
    ct, pet = (write_volume(worker.folder, f"{n}.npy", getattr(tiny_case, n)) for n in ("ct", "pet"))
    worker.told("open_case", case_id="1", ct=ct, pet=pet, pet_units=tiny_case.pet_units)
    worker.ask("segment")
    started = time.monotonic()
    worker.process.stdin.close()
    assert worker.process.wait(timeout=60) == 0
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_no_memory_is_said_as_such(error):
    told = described(error)
    assert told["kind"] == "memory"
    assert "not enough memory" in told["text"]


def test_a_fault_is_named():
    assert described(ZeroDivisionError("division by zero"))["kind"] == "fault"
    assert "ZeroDivisionError" in described(ZeroDivisionError("division by zero"))["text"]
    assert issubclass(InputError, Exception)
