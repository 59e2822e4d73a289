"""What is said stays until it is read or is no longer so: results that come meanwhile take back their own only."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from mmpl_slicer.segmentation import create_segmentation

GTVP_LPS = (12.0, -6.0, -25.0)
NO_MEMORY = "There is not enough memory for this case: close other programs, or choose the CPU."
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def full(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


def fail_the_run(front, text: str) -> None:
    """Have the worker say that it has no memory for what it does."""
    waiting = front.presenter.engine.client._waiting
    callbacks = waiting.pop(max(waiting))
    callbacks.error("memory", text)


def test_why_a_run_failed_outlasts_a_stroke_that_was_made_meanwhile(segmented):
    presenter, before = segmented.presenter, segmented.volume
    segmented.segment_until_preview()
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    fail_the_run(segmented, NO_MEMORY)
    assert not presenter.running
    segmented.settle()
    assert segmented.volume > before
    assert segmented.state.message == NO_MEMORY
    segmented.segment()  # sees to it that nothing is said any more


def test_what_was_left_out_of_a_record_is_said_over_the_measurement_that_follows(segmented):
    presenter = segmented.presenter
    presenter.data.clinical = {"Age": 61, "Shoe size": 44}
    presenter.record.save()
    images = presenter.ct, presenter.pet
    presenter.choose_inputs(None, None)
    presenter.choose_inputs(*images)
    segmented.settle()
    assert segmented.state.message == "Left out of the clinical record, since unknown here: Shoe size."


def test_a_scene_that_was_not_saved_is_said_over_the_what_if_that_comes_back(segmented, tmp_path, monkeypatch):
    presenter = segmented.presenter
    presenter.set_clinical("HPV Status", "positive")
    presenter.set_hpv_as_known(True)
    segmented.settle()
    monkeypatch.setattr(os, "replace", full)
    presenter.save(str(tmp_path / "out"), with_scene=True)
    segmented.until(lambda: not presenter.running)
    segmented.settle()
    assert "scene.mrb" in segmented.state.message


def test_why_a_measurement_failed_is_not_said_over_the_next(segmented, monkeypatch):
    presenter = segmented.presenter
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
        segmented.rest()
    assert "No space left on device" in segmented.state.message
    presenter.update_now()
    segmented.settle()
    assert segmented.state.message == ""


@posix
def test_a_worker_that_is_up_again_is_not_said_to_have_stopped(own_front, nodes):
    presenter = own_front.presenter
    presenter.choose_inputs(*nodes)
    own_front.segment()
    os.kill(presenter.engine.client.pid, signal.SIGKILL)
    own_front.until(lambda: "has stopped" in own_front.state.message)
    presenter.update_now()
    own_front.rest()
    assert own_front.state.results.current
    assert own_front.state.message == ""


def test_an_impossible_value_is_said_until_another_can_be_used(segmented):
    presenter = segmented.presenter
    presenter.set_clinical("Gender", 1)
    presenter.set_clinical("Age", 900)
    segmented.settle()
    assert "Age" in segmented.state.message
    presenter.set_clinical("Age", 90)
    assert segmented.state.message == ""


def test_a_weight_that_cannot_be_is_said_until_another_is_typed(segmented):
    presenter = segmented.presenter
    presenter.set_suv_field("weight_kg", -1.0)
    assert "eight" in segmented.state.message
    presenter.set_suv_field("weight_kg", 70.0)
    assert segmented.state.message == ""


def test_contours_that_can_be_read_again_are_not_said_to_be_out_of_reach(segmented, scene):
    presenter = segmented.presenter
    node = presenter.segmentation
    warp = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    node.SetAndObserveTransformNodeID(warp.GetID())
    segmented.rest()
    assert "transform" in segmented.state.message
    node.SetAndObserveTransformNodeID(None)
    segmented.rest()
    assert segmented.state.results.current
    assert segmented.state.message == ""


def test_another_segmentation_answers_that_one_was_deleted(segmented, tiny_patient, scene):
    presenter = segmented.presenter
    mine = create_segmentation(tiny_patient.label_map, presenter.ct, scene, "mine")
    scene.RemoveNode(presenter.segmentation)
    assert "deleted" in segmented.state.message
    presenter.choose_segmentation(mine)
    assert segmented.state.message == ""


def test_that_a_run_goes_on_is_not_said_after_it(segmented):
    segmented.presenter.segment()
    segmented.presenter.segment()
    assert segmented.state.message == "Segmentation is running already."
    segmented.until(lambda: not segmented.presenter.running)
    assert segmented.state.message == ""
