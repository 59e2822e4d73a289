"""Choices that outlive a patient, and boxes that signal more often than the user means something."""

from __future__ import annotations

import shutil
import sys

import pytest
from module_widget import load_module

import slicer
from mmpl.bundle.store import default_bundle_path
from mmpl_qt import worker_python
from mmpl_slicer.case_record import MODEL, add_record
from mmpl_slicer.contour_nodes import MODEL_ROLE, add_segmentation
from mmpl_slicer.sample_data import load_phantom


@pytest.fixture
def widget(widget):
    """With the box about the worker unfolded."""
    widget.ui.workerBox.setChecked(True)
    return widget


@pytest.fixture
def bundle(tmp_path):
    """A model's folder of its own."""
    return shutil.copytree(default_bundle_path(), tmp_path / "model of ours")


def test_a_folder_is_chosen_by_the_file_in_it_and_given_up_by_an_empty_box(widget, bundle):
    widget.ui.bundlePath.setCurrentPath(str(bundle / "bundle.json"))
    assert widget.presenter.bundle_path == str(bundle)
    assert widget.ui.bundlePath.property("currentPath") == str(bundle)
    widget.ui.bundlePath.setCurrentPath("")
    assert widget.presenter.bundle_path == ""


def test_a_path_that_is_being_typed_is_waited_for(widget, bundle):
    for end in range(1, len(str(bundle)) + 1):
        widget.ui.bundlePath.setCurrentPath(str(bundle)[:end])
    assert widget.presenter.bundle_path == str(bundle)
    assert widget.presenter.state.inputs.bundle_problem == ""


def test_the_worker_is_started_anew_once_for_another_python(widget, monkeypatch):
    restarts = []
    monkeypatch.setattr(widget.presenter, "restart_worker", lambda: restarts.append(True))
    for end in range(1, len(sys.executable) + 1):
        widget.ui.pythonPath.setCurrentPath(sys.executable[:end])
    assert worker_python.chosen_python() == sys.executable
    assert restarts == [True]
    widget.ui.pythonPath.setCurrentPath("")
    assert worker_python.chosen_python() == ""


def test_the_model_and_the_pen_outlive_the_scene(widget, scene, bundle):
    widget.ui.bundlePath.setCurrentPath(str(bundle))
    widget.ui.autoUpdate.click()
    assert not widget.presenter.auto_update
    scene.Clear(False)
    assert widget.presenter.bundle_path == str(bundle)
    assert not widget.presenter.auto_update
    assert widget.logic.getParameterNode().bundlePath == str(bundle)


def test_they_outlive_slicer_too(widget, scene, bundle):
    widget.ui.bundlePath.setCurrentPath(str(bundle))
    widget.cleanup()
    for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode", scene):
        scene.RemoveNode(node)
    again = load_module().MMPLWidget()
    assert again.presenter.bundle_path == str(bundle)
    again.cleanup()


def test_a_deleted_ct_is_not_replaced_by_its_neighbour(widget, scene):
    ct, pet = load_phantom(scene)
    widget.presenter.guess_inputs()
    scene.RemoveNode(ct)
    assert widget.ui.ctSelector.currentNode() is None
    assert widget.ui.petSelector.currentNode() is pet
    assert "The CT was deleted" in widget.presenter.state.message


def test_the_models_own_contours_are_not_chosen_for_editing(widget, scene):
    ct, pet = load_phantom(scene)
    models = add_segmentation(scene, ct, "PHA-0024", MODEL_ROLE)
    add_record(scene, ct, pet, "PHA-0024").set(MODEL, models)
    widget.presenter.guess_inputs()
    widget.ui.segmentationSelector.setCurrentNode(models)
    assert widget.presenter.segmentation is None
    assert widget.ui.segmentationSelector.currentNode() is None
    assert "compared with, not edited" in widget.presenter.state.message


def test_a_fault_is_said_once_and_the_panel_goes_on(widget, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(widget.presenter, "tick", broken)
    widget.panel.tick()
    widget.panel.tick()
    assert "ZeroDivisionError" in widget.presenter.message
    assert len([record for record in caplog.records if "fault of the panel" in record.message]) == 1
    monkeypatch.undo()
    widget.panel.tick()
    assert widget.panel.timer.isActive()
