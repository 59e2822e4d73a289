"""The self-tests of the module: the user's story in the application, on a synthetic patient.

Each takes the test case. They drive the widgets where a user would, and wait by events, since timers may stand still in
testing mode. Without the worker's packages those that need them are reported as skipped, not passed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import slicer
from mmpl_slicer.contour_nodes import add_segmentation
from mmpl_slicer.panel_state import EDITED, MODEL, NEEDS_SETUP
from mmpl_slicer.sample_data import load_phantom

LONGEST_S = 300.0
DOCK_WIDTH = 400
SCREENSHOTS = "MMPL_SCREENSHOTS"  # a folder: each test leaves a picture of the panel there


def import_brings_no_networks(test) -> None:
    """Loading the module imports neither torch nor monai into Slicer."""
    heavy = {"torch", "monai", "numba"}
    before = heavy & set(sys.modules)  # another extension may have loaded them
    widget_of_module()
    assert heavy & set(sys.modules) == before


def panel_guesses_and_checks_the_inputs(test) -> None:
    """With a PET and a CT in the scene, the panel has chosen them and finds nothing wrong."""
    widget, (ct, pet) = with_phantom()
    show_all(widget)
    state = widget.presenter.state
    assert (state.inputs.ct_id, state.inputs.pet_id) == (ct.GetID(), pet.GetID())
    assert state.inputs.usable, state.inputs.lines
    assert widget.ui.ctSelector.currentNode().GetID() == ct.GetID()
    assert widget.ui.segmentButton.isEnabled()
    widget.ui.ctSelector.setCurrentNode(pet)
    show_all(widget)
    assert not widget.presenter.state.inputs.usable
    assert not widget.ui.segmentButton.isEnabled()
    widget.ui.ctSelector.setCurrentNode(ct)
    assert widget.presenter.state.inputs.usable
    picture(widget, "inputs")


def panel_fits_a_narrow_dock(test) -> None:
    """Nothing in the panel asks for more than 400 px, the Segment Editor included."""
    widget, (ct, _pet) = with_phantom()
    widget.presenter.choose_segmentation(add_segmentation(slicer.mrmlScene, ct, "narrow"))
    show_all(widget)
    assert widget.ui.MMPLPanel.property("minimumSizeHint").width() <= DOCK_WIDTH


def segment_correct_undo_save(test) -> None:
    """Segment, correct with an effect of the editor, undo, try a value, save."""
    widget, (_ct, _pet) = with_phantom()
    presenter = widget.presenter
    segment(test, widget)
    assert [row.origin for row in presenter.state.contours.classes] == [MODEL, MODEL]
    assert presenter.state.results.hpv_probability is not None
    picture(widget, "segmented")
    first = presenter.results

    grow(widget, "GTVp")
    assert not presenter.state.results.current
    settle(test, widget)
    assert presenter.state.contours.classes[0].origin == EDITED
    volumes = [results["lesions"]["GTVp"]["volume_ml"] for results in (first, presenter.results)]
    assert volumes[1] > volumes[0]
    picture(widget, "corrected")

    widget.panel.editor.widget.undo()
    settle(test, widget)
    assert presenter.state.contours.classes[0].origin == MODEL
    assert presenter.results["hpv"]["probability"] == first["hpv"]["probability"]

    presenter.set_clinical("Age", 90)
    settle(test, widget)
    assert "Age 90" in presenter.state.patient.tried
    presenter.reset_clinical()
    settle(test, widget)
    assert presenter.results["rfs"]["risk"] == first["rfs"]["risk"]

    presenter.jump_to(presenter.state.contours.lesions[0].centre_lps)
    with tempfile.TemporaryDirectory(prefix="MMPL ü ") as folder:
        presenter.save(str(Path(folder, "out")))
        wait(test, widget, lambda: not presenter.running)
        assert Path(folder, "out", "results.json").is_file(), presenter.state.message
        assert Path(folder, "out", "report.html").is_file()


def scene_remembers_the_case(test) -> None:
    """A saved scene brings contours, results and values back, without a worker."""
    widget, _ = with_phantom()
    segment(test, widget)
    widget.presenter.set_clinical("Age", 66)
    settle(test, widget)
    before = widget.presenter.state
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "case.mrb"))
        assert save_scene(path)
        slicer.mrmlScene.Clear()
        load_scene(path)
    wait(test, widget, lambda: widget.presenter.state.results.available)
    after = widget.presenter.state
    assert after.results.hpv_probability == before.results.hpv_probability
    assert after.patient.tried == before.patient.tried
    assert [r.origin for r in after.contours.classes] == [r.origin for r in before.contours.classes]
    assert after.results.current
    picture(widget, "restored")


def closing_the_scene_in_a_run_is_clean(test) -> None:
    """The scene closes in the middle of a segmentation: the worker is gone, the panel is empty."""
    widget, _ = with_phantom()
    presenter = widget.presenter
    presenter.segment()
    wait(test, widget, lambda: presenter.state.work.step != "" or not presenter.running)
    slicer.mrmlScene.Clear()
    pump(widget)
    assert not presenter.engine.is_running
    assert presenter.state.inputs.ct_id == ""


def deleted_nodes_are_said(test) -> None:
    """Deleting the CT is one sentence, not an error."""
    widget, (ct, _pet) = with_phantom()
    slicer.mrmlScene.RemoveNode(ct)
    pump(widget)
    assert "CT was deleted" in widget.presenter.state.message
    assert widget.presenter.state.inputs.ct_id == ""


# --- what the tests share ----------------------------------------------------------------------


def widget_of_module():
    """The module's widget, shown."""
    slicer.util.selectModule("MMPL")
    return slicer.util.getModuleWidget("MMPL")


def save_scene(path: str) -> bool:
    return slicer.util.saveScene(path)


def load_scene(path: str) -> None:
    slicer.util.loadScene(path)


def with_phantom():
    """The widget, and the synthetic patient's CT and PET that it has guessed."""
    widget = widget_of_module()
    nodes = load_phantom(slicer.mrmlScene)
    widget.presenter.guess_inputs()
    pump(widget)
    return widget, nodes


def segment(test, widget) -> None:
    """Press Segment and wait for the numbers; skip where the worker lacks its packages."""
    presenter = widget.presenter
    presenter.segment()
    wait(test, widget, lambda: not presenter.running)
    if presenter.state.work.worker == NEEDS_SETUP:
        test.skipTest(presenter.state.message)
    assert presenter.state.message == ""
    settle(test, widget)


def grow(widget, segment_id: str) -> None:
    """Grow a segment with the editor's Margin effect, as a user does."""
    editor = widget.panel.editor.widget
    editor.setCurrentSegmentID(segment_id)
    editor.setActiveEffectByName("Margin")
    effect = editor.activeEffect()
    effect.setParameter("MarginSizeMm", 3.0)
    effect.self().onApply()
    editor.setActiveEffect(None)


def settle(test, widget) -> None:
    """Wait until the numbers are those of the contours."""
    presenter = widget.presenter
    wait(test, widget, lambda: presenter.state.results.current and not presenter.engine.is_busy)
    wait(test, widget, lambda: not presenter.desk.chores and not widget.panel.due)


def wait(test, widget, condition) -> None:
    """Let the application work until a condition holds."""
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > deadline:
            state = widget.presenter.state
            test.fail(f"waited {LONGEST_S:.0f} s: {state.message} {state.work}\n{widget.presenter.engine.log}")
        pump(widget)
        time.sleep(0.01)


def show_all(widget) -> None:
    """Let every section show what it is to show."""
    while widget.panel.due:
        widget.panel.tick()


def pump(widget) -> None:
    """One round of events; in testing mode timers may stand still."""
    slicer.app.processEvents()
    widget.panel.tick()


def picture(widget, name: str) -> None:
    """A picture of the panel, where a folder for them is named."""
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        slicer.app.processEvents()
        Path(folder).mkdir(parents=True, exist_ok=True)
        widget.ui.MMPLPanel.grab().save(str(Path(folder, f"{name}.png")))
