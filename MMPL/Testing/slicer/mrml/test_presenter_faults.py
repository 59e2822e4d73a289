"""A worker that dies, cannot start or lacks packages; disks that are full; bundles that are gone: one sentence each."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys

import numpy as np
import pytest

import slicer
from mmpl_slicer import engine_session
from mmpl_slicer.panel_state import EDITED, FAILED, IDLE, NEEDS_SETUP, STOPPED
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.worker_client import WorkerClient

GTVP_LPS = (12.0, -6.0, -25.0)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and scripts are POSIX")


def is_one_sentence(text: str) -> bool:
    return bool(text) and text[0].isupper() and text.endswith(".") and "\n" not in text


def kill(front) -> None:
    os.kill(front.presenter.engine.client._process.pid, signal.SIGKILL)


@pytest.fixture
def own_segmented(own_front, nodes):
    own_front.presenter.choose_inputs(*nodes)
    own_front.segment()
    return own_front


@posix
def test_a_worker_that_dies_loses_no_contour(own_segmented):
    front, presenter = own_segmented, own_segmented.presenter
    # in the middle of a run
    digest, before = presenter.contours.digest, presenter.results
    presenter.segment()
    front.until(lambda: front.state.work.step.startswith("Segmenting"))
    kill(front)
    front.until(lambda: not presenter.running)
    assert front.state.work.worker == FAILED
    assert is_one_sentence(front.state.message)
    assert "nothing you drew is lost" in front.state.message
    assert presenter.contours.digest == digest
    assert presenter.results is before
    # an edit is kept, and does not start by itself what has just died
    front.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    front.rest()
    assert front.state.work.worker == FAILED
    assert front.origins == [EDITED, FROM_MODEL]
    presenter.restart_worker()
    front.settle()
    assert front.state.message == ""
    assert front.state.work.worker == IDLE
    assert front.volume > before["lesions"]["GTVp"]["volume_ml"]
    # while it has nothing to do
    kill(front)
    front.until(lambda: front.state.work.worker == FAILED)
    assert is_one_sentence(front.state.message)
    # Segment, too, starts it anew
    front.segment()
    assert front.origins == [FROM_MODEL, FROM_MODEL]


@posix
def test_a_worker_that_dies_during_the_first_run_leaves_nothing(own_front, nodes, scene):
    own_front.presenter.choose_inputs(*nodes)
    own_front.segment_until_preview()
    kill(own_front)
    own_front.until(lambda: not own_front.presenter.running)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene) == []
    assert own_front.state.work.can_segment


@posix
def test_restarting_in_the_middle_of_a_run_ends_it(own_segmented):
    presenter = own_segmented.presenter
    digest = presenter.contours.digest
    own_segmented.segment_until_preview()
    presenter.restart_worker()
    assert own_segmented.state.work.worker == STOPPED
    assert presenter.running == ""
    assert presenter.contours.digest == digest
    own_segmented.segment()


@posix
def test_stopping_the_worker_ends_all_that_was_asked_of_it(own_segmented):
    front, presenter = own_segmented, own_segmented.presenter
    before = front.volume
    front.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    front.until(lambda: presenter.engine.client.is_busy)
    presenter.segment()
    presenter.stop_worker()
    assert (presenter.running, front.state.work.worker) == ("", STOPPED)
    assert front.state.results.stale_text == "Stale: press Update"
    assert front.origins == [EDITED, FROM_MODEL]
    front.ticks(0.3)
    assert front.state.work.worker == STOPPED  # its files may be in use by whoever stopped it
    presenter.update_now()
    front.settle()
    assert front.volume > before


UNFIT_LINE = '{"id": null, "event": "unfit", "missing": ["torch", "numba"], "python": "x"}'


@posix
@pytest.mark.parametrize(
    ("script", "worker", "said"),
    [
        (f"echo '{UNFIT_LINE}'; exit 3", NEEDS_SETUP, "torch, numba"),
        ("echo hello; echo '[1]'; exit 1", FAILED, "exit code 1"),
        ("exit 0", FAILED, "exit code 0"),
    ],
    ids=["lacks packages", "another program", "nothing"],
)
def test_a_python_that_is_not_fit(make_front, nodes, tmp_path, script, worker, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    front = make_front(make_client=lambda: WorkerClient(python=str(python)))
    front.presenter.choose_inputs(*nodes)
    front.presenter.segment()
    front.until(lambda: not front.presenter.running)
    assert front.state.work.worker == worker
    assert said in front.state.message
    assert is_one_sentence(front.state.message)
    assert not front.presenter.engine.is_busy


def test_what_is_missing_is_named(make_front, nodes):
    """A Python without site-packages: the real check of the real worker."""
    isolated = {**os.environ, "PYTHONPATH": ""}

    class Bare(WorkerClient):
        def __init__(self):
            super().__init__(start=self._without_site, environment=isolated)

        def _without_site(self, command, environment, log, folder):
            from mmpl_slicer.worker_process import WorkerProcess

            return WorkerProcess([command[0], "-S", *command[1:]], environment, log, folder)

    front = make_front(make_client=Bare)
    front.presenter.choose_inputs(*nodes)
    front.presenter.segment()
    front.until(lambda: not front.presenter.running)
    assert front.state.work.worker == NEEDS_SETUP
    assert {"torch", "numpy", "pillow"} <= set(front.presenter.engine.missing)
    assert all(name in front.state.message for name in front.presenter.engine.missing)


def test_no_interpreter_at_the_path(make_front, nodes, shared_client, tmp_path):
    clients = [WorkerClient(python=str(tmp_path / "no python"))]
    front = make_front(make_client=lambda: clients.pop() if clients else shared_client)
    front.presenter.choose_inputs(*nodes)
    front.presenter.segment()
    front.ticks(0.02)
    assert "no python" in front.state.message
    assert is_one_sentence(front.state.message)
    assert front.state.work.worker == FAILED
    assert front.presenter.running == ""
    front.segment()  # another Python was chosen


def test_a_result_folder_that_is_a_file(segmented, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("mine", encoding="utf-8")
    segmented.presenter.save(str(occupied))
    segmented.until(lambda: not segmented.presenter.running)
    assert str(occupied) in segmented.state.message
    assert is_one_sentence(segmented.state.message)
    assert segmented.state.save.text == ""
    assert occupied.read_text(encoding="utf-8") == "mine"
    assert segmented.state.results.current


def test_no_folder_is_asked_for(segmented):
    segmented.presenter.save("")
    assert segmented.state.message == "Choose a folder to save to."


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_while_contours_are_handed_over(segmented, monkeypatch, tmp_path):
    presenter, before = segmented.presenter, segmented.volume
    monkeypatch.setattr(np, "save", full)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.rest()
    assert "No space left on device" in segmented.state.message
    assert is_one_sentence(segmented.state.message)
    assert not segmented.state.results.current
    presenter.save(str(tmp_path))
    assert presenter.running == ""
    assert "No space left on device" in segmented.state.message
    monkeypatch.undo()
    presenter.update_now()
    segmented.settle()
    assert segmented.volume > before


def test_a_full_disk_while_images_are_handed_over(chosen, monkeypatch):
    monkeypatch.setattr(engine_session, "write_in_parts", full)
    chosen.presenter.segment()
    chosen.until(lambda: not chosen.presenter.running)
    assert "No space left on device" in chosen.state.message
    assert is_one_sentence(chosen.state.message)
    monkeypatch.undo()
    chosen.segment()


def test_a_full_disk_while_the_scene_is_saved(segmented, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "replace", full)
    segmented.presenter.save(str(tmp_path / "out"), with_scene=True)
    segmented.until(lambda: not segmented.presenter.running)
    assert segmented.state.save.text == f"Saved to {tmp_path / 'out'}"
    assert "scene.mrb" in segmented.state.message
    assert not (tmp_path / "out" / "scene.mrb").exists()


def test_no_bundle_at_the_path(chosen, tmp_path):
    chosen.presenter.choose_bundle(str(tmp_path / "absent"))
    assert not chosen.state.work.can_segment
    assert "absent" in chosen.state.inputs.bundle_problem
    assert chosen.state.work.why_not == chosen.state.inputs.bundle_problem
    chosen.presenter.segment()
    assert is_one_sentence(chosen.state.message)


@pytest.fixture
def own_bundle(tiny_bundle_path, tmp_path):
    return shutil.copytree(tiny_bundle_path, tmp_path / "bundle")


def test_a_bundle_that_goes_while_it_is_loaded(own_front, nodes, own_bundle):
    chosen, presenter = own_front, own_front.presenter
    presenter.choose_inputs(*nodes)
    presenter.choose_bundle(str(own_bundle))
    chosen.segment()
    shutil.rmtree(own_bundle)
    before = chosen.volume
    chosen.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    chosen.settle()
    assert chosen.volume > before
    presenter.restart_worker()
    presenter.update_now()
    chosen.until(lambda: chosen.state.message != "")
    assert str(own_bundle) in chosen.state.message
    assert is_one_sentence(chosen.state.message)
    assert chosen.origins == [EDITED, FROM_MODEL]


def test_a_damaged_bundle_is_refused_with_its_reason(chosen, own_bundle):
    weights = max(own_bundle.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    chosen.presenter.choose_bundle(str(own_bundle))
    chosen.presenter.segment()
    chosen.until(lambda: not chosen.presenter.running)
    assert weights.name in chosen.state.message
    assert is_one_sentence(chosen.state.message)
    assert not chosen.presenter.engine.is_busy


def test_a_device_that_is_not_there(chosen):
    chosen.presenter.choose_device("cuda:7")
    chosen.presenter.segment()
    chosen.until(lambda: not chosen.presenter.running)
    assert "'cuda:7' is not on this machine" in chosen.state.message
    chosen.presenter.choose_device("")
    chosen.segment()


def test_devices_are_known_once_the_worker_runs(segmented):
    best, cpu, *cards = segmented.state.inputs.devices
    assert (best.id, cpu.id) == ("", "cpu")
    assert "cores" in cpu.label
    assert best.label.startswith("Automatic: ")
    assert best.label.removeprefix("Automatic: ") in (cards or [cpu])[0].label


def test_a_chosen_cpu_is_not_the_automatic_choice(chosen):
    assert chosen.state.inputs.device == ""
    assert [one.id for one in chosen.state.inputs.devices] == ["", "cpu"]
    chosen.presenter.choose_device("cpu")
    assert chosen.state.inputs.device == "cpu"


def test_a_device_of_another_computer_is_shown_as_chosen(segmented):
    """A scene from elsewhere may bring it: shown as Automatic, nobody could choose Automatic."""
    segmented.presenter.choose_device("cuda:7")
    segmented.presenter.publish()
    last = segmented.state.inputs.devices[-1]
    assert (last.id, last.label) == ("cuda:7", "cuda:7, not on this computer")
    segmented.presenter.choose_device("")
    segmented.presenter.publish()
    assert "cuda:7" not in {one.id for one in segmented.state.inputs.devices}


def test_a_save_can_be_cancelled_and_leaves_nothing(segmented, tmp_path):
    presenter = segmented.presenter
    presenter.save(str(tmp_path / "out"))
    assert segmented.state.work.can_cancel
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    assert not segmented.state.work.can_cancel
    assert not (tmp_path / "out" / "results.json").exists()
    segmented.settle()
    assert segmented.state.results.current
