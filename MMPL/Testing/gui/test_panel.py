"""The panel as a user meets it: real widgets of Qt, a real scene, a real worker."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from module_widget import MODULE_FILE, load_module
from slicer_gui_adapter.peek import peek
from slicer_gui_adapter.pictures import needed_width

import slicer
from mmpl.geometry import Volume
from mmpl_qt import packages, self_test, worker_python
from mmpl_slicer.bootstrap import application_logic
from mmpl_slicer.editing import voxels_within
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.sample_data import load_phantom
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.segmentation import create_segmentation, segment_mask
from mmpl_slicer.volumes import geometry_of_node, node_from_volume

IMPORT_TIME = """
import sys, time
sys.path.insert(0, {gui!r})
from slicer_gui_adapter.session import install
install()
import slicer.ScriptedLoadableModule, slicer.parameterNodeWrapper
before = set(sys.modules)
from module_widget import load_module
load_module()
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(sorted(new & {{"torch", "monai", "numba", "jsonschema", "scipy", "SimpleITK", "mmpl", "mmpl_slicer", "mmpl_qt"}}))
"""


@pytest.fixture
def phantom(scene):
    return load_phantom(scene)


@pytest.fixture
def worker_box(with_inputs):
    """The panel with its box about the worker unfolded: what is folded away cannot be pressed."""
    with_inputs.ui.workerBox.setChecked(True)
    return with_inputs


@pytest.fixture
def with_inputs(widget, phantom):
    """The panel after the user has opened it on a scene with a PET and a CT."""
    widget.exit()
    widget.enter()
    return widget


def until(widget, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, (widget.presenter.state.message, widget.presenter.engine.log)
        slicer.app.processEvents()
        time.sleep(0.005)


def test_the_module_brings_nothing_heavy(tmp_path):
    code = IMPORT_TIME.format(gui=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_empty_scene_asks_for_images(widget):
    assert not widget.ui.segmentButton.isEnabled()
    assert "Choose PET and CT" in widget.ui.whyNotLabel.property("text")
    assert "research use only" in widget.ui.noticeLabel.property("text")


def test_entering_the_module_guesses_the_inputs(with_inputs, phantom):
    ct, pet = phantom
    assert with_inputs.ui.ctSelector.currentNode() is ct
    assert with_inputs.ui.petSelector.currentNode() is pet
    assert with_inputs.ui.segmentButton.isEnabled()


def test_what_takes_long_to_show_lets_the_rest_follow_at_the_next_ticks(widget, phantom, monkeypatch):
    parts, show = widget.panel.sections["message"]

    def slowly(state):
        time.sleep(0.03)
        show(state)

    monkeypatch.setattr("mmpl_qt.panel.KEPT_S", 0.02)
    monkeypatch.setitem(widget.panel.sections, "message", (parts, slowly))
    widget.exit()
    widget.enter()
    assert widget.presenter.state.work.can_segment
    assert not widget.ui.segmentButton.isEnabled()
    while widget.panel.due:
        widget.panel.tick()
    assert widget.ui.segmentButton.isEnabled()


def test_the_selectors_are_the_users(with_inputs, phantom):
    ct, pet = phantom
    ui = with_inputs.ui
    ui.ctSelector.setCurrentNode(pet)
    assert "chosen as CT and as PET" in ui.checkLabel.property("text")
    ui.petSelector.setCurrentNode(ct)
    assert with_inputs.presenter.state.inputs.can_swap
    ui.swapButton.click()
    assert (ui.ctSelector.currentNode(), ui.petSelector.currentNode()) == (ct, pet)
    assert with_inputs.presenter.state.inputs.usable


def test_a_pet_in_bqml_asks_for_what_is_missing(widget, scene, phantom):
    ct, pet = phantom
    activity = node_from_volume(
        Volume(slicer.util.arrayFromVolume(pet) * 5000.0, geometry_of_node(pet)), scene, "raw PT"
    )
    widget.ui.ctSelector.setCurrentNode(ct)
    widget.ui.petSelector.setCurrentNode(activity)
    ui = widget.ui
    assert not ui.suvFrame.isHidden()
    assert "weight" in ui.checkLabel.property("text")
    for spin, value in ((ui.weightSpin, 70.0), (ui.activitySpin, 350.0), (ui.decaySpin, 0.0)):
        spin.setValue(value)
    assert "converted to SUV with 70 kg, 350 MBq" in ui.checkLabel.property("text")
    ui.weightSpin.setValue(0.0)
    assert "weight" in ui.checkLabel.property("text")


def test_the_form_is_made_of_the_bundles_fields(with_inputs):
    boxes = with_inputs.panel.patient.boxes
    assert set(boxes) >= {"Age", "Gender", "Primary Site", "HPV Status"}
    assert boxes["Age"].property("text").startswith("Unknown")
    boxes["Age"].setValue(61)
    assert with_inputs.presenter.data.clinical_in_force["Age"] == 61
    assert "Age 61" in with_inputs.ui.triedLabel.property("text")
    with_inputs.ui.keepButton.click()
    assert with_inputs.presenter.data.clinical["Age"] == 61
    assert with_inputs.ui.triedLabel.isHidden()
    boxes["Gender"].setCurrentIndex(2)
    assert with_inputs.presenter.data.clinical_in_force["Gender"] == 1
    with_inputs.ui.resetButton.click()
    assert boxes["Gender"].property("currentIndex") == 0


def test_segments_of_other_names_are_asked_about_once(with_inputs, scene, phantom):
    ct, _ = phantom
    geometry = geometry_of_node(ct)
    node = create_segmentation(Volume(phantom_labels(geometry), geometry), ct, scene, "mine")
    for old, new in (("GTVp", "Tumor left"), ("GTVn", "LN level 2")):
        segment = node.GetSegmentation().GetSegment(old)
        node.GetSegmentation().RemoveSegment(old)
        segment.SetName(new)
        node.GetSegmentation().AddSegment(segment, new)
    with_inputs.ui.segmentationSelector.setCurrentNode(node)
    assert not with_inputs.ui.questionFrame.isHidden()
    answers = with_inputs.panel.contours.answers
    assert [box.property("currentText") for box in answers.values()] == ["GTVp", "GTVn"]
    with_inputs.ui.questionButton.click()
    assert with_inputs.ui.questionFrame.isHidden()
    with_inputs.ui.segmentationSelector.setCurrentNode(None)
    with_inputs.ui.segmentationSelector.setCurrentNode(node)
    assert with_inputs.ui.questionFrame.isHidden()
    assert with_inputs.presenter.contours.digests[1]


def phantom_labels(geometry):
    import numpy as np

    labels = np.zeros(geometry.shape, np.uint8)
    labels[40:50, 90:100, 90:100] = 1
    labels[40:50, 120:126, 90:100] = 2
    return labels


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_panel_fits_400_pixels(with_inputs, theme, request):
    if theme == "dark":
        request.getfixturevalue("dark_theme")
    assert needed_width(with_inputs.parent) <= 400


def test_the_parameter_node_remembers_the_choice(with_inputs, phantom):
    chosen = with_inputs.logic.getParameterNode()
    assert (chosen.ct, chosen.pet) == phantom
    chosen.autoUpdate = False
    assert not with_inputs.ui.autoUpdate.isChecked()
    assert not with_inputs.presenter.auto_update


def test_set_up_goes_through_slicers_installer(worker_box, installer, monkeypatch):
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: "numba" not in str(requirement))
    worker_box.ui.setupButton.click()
    assert any("numba" in str(asked) for asked in installer.asked)


def test_set_up_without_the_pytorch_extension_says_what_to_do(worker_box, monkeypatch):
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: False)
    worker_box.ui.setupButton.click()
    assert "PyTorch extension" in worker_box.ui.messageLabel.property("text")


def test_set_up_from_a_folder_of_wheels_asks_no_network(worker_box, installer, monkeypatch, tmp_path):
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: bool(installer.asked))
    wheels = tmp_path / "wheels for MMPL"
    wheels.mkdir()
    worker_box.ui.wheelFolder.setCurrentPath(str(wheels))
    worker_box.ui.setupButton.click()
    (asked,) = installer.asked
    assert "--no-index" in str(asked)
    assert str(wheels) in str(asked)
    assert "torch" in str(asked)
    assert set(packages.remembered()) >= {"torch", "safetensors"}


def test_what_a_failed_set_up_has_installed_is_remembered(worker_box, monkeypatch):
    there: set[str] = set()

    class Logic:
        def installTorch(self, **_choices):
            there.add("torch")
            return sys  # the module

    def fail(*_arguments, **_choices):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(slicer.packaging, "pip_check", lambda one: any(str(one).startswith(name) for name in there))
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=Logic))
    monkeypatch.setattr(slicer.packaging, "pip_ensure", fail)
    worker_box.ui.setupButton.click()
    assert "installation failed" in worker_box.ui.messageLabel.property("text")
    assert packages.remembered() == ("torch",)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *_arguments, **_choices: there.add("safetensors"))
    worker_box.ui.setupButton.click()
    assert packages.remembered() == ("safetensors", "torch")


def test_removing_what_was_not_installed_in_the_middle_of_a_run_ends_it(worker_box):
    ui, presenter = worker_box.ui, worker_box.presenter
    ui.segmentButton.click()
    assert presenter.running
    ui.removeButton.click()
    assert not presenter.running
    assert ui.messageLabel.property("text").count("MMPL has installed nothing into this Slicer.") == 1
    assert presenter.state.work.can_segment
    assert not presenter.engine.is_running


def test_another_python_is_the_sites_to_fill(worker_box, tmp_path):
    worker_box.ui.pythonPath.setCurrentPath(sys.executable)
    assert worker_python.chosen_python() == sys.executable
    worker_box.ui.setupButton.click()
    assert "pip install" in worker_box.ui.messageLabel.property("text")
    worker_box.ui.pythonPath.setCurrentPath("")
    assert worker_python.chosen_python() == ""


# --- the self-tests that real Slicer runs, here with the adapter's widgets ---------------------------


def paint_as_margin(widget, segment_id: str) -> None:
    """What the Margin effect does: the adapter's buttons do not paint."""
    editor = widget.panel.editor.widget
    node = widget.presenter.segmentation
    geometry = geometry_of_node(widget.presenter.ct)
    mask = segment_mask(node, segment_id, geometry)
    grown = voxels_within(mask, geometry.spacing_mm, 3.0)
    editor.saveStateForUndo()
    peek(editor, "_logic").ModifySegmentByLabelmap(
        node,
        segment_id,
        oriented_image(grown, geometry),
        slicer.vtkSlicerSegmentEditorLogic.ModificationModeSet,
        False,
        False,
    )


@pytest.fixture
def self_tests(widget, scene, monkeypatch, tmp_path):
    """MMPLTest with this panel, and with what slicer-core lacks: effects, and scenes by the application's reader."""
    monkeypatch.setattr(self_test, "widget_of_module", lambda: widget)
    monkeypatch.setattr(self_test, "grow", paint_as_margin)
    monkeypatch.setattr(self_test, "save_scene", lambda path: bool(save_mrb(scene, path)))
    monkeypatch.setattr(self_test, "load_scene", lambda path: load_mrb(scene, path))
    monkeypatch.setattr(self_test, "LONGEST_S", 120.0)
    return load_module().MMPLTest()


# but for the one about imports: other tests load networks here; test_the_module_brings_nothing_heavy is strict
NAMES = [n for n in dir(load_module().MMPLTest) if n.startswith("test_") and n != "test_import_brings_no_networks"]


@pytest.mark.parametrize("name", NAMES)
def test_self_test(self_tests, name):
    self_tests.setUp()
    getattr(self_tests, name)()


def test_there_are_self_tests():
    assert len(NAMES) >= 6
    assert MODULE_FILE.is_file()
    assert application_logic() is not None
