"""The widgets behave as those of real Slicer that they stand for."""

from __future__ import annotations

from pathlib import Path

import ctk
import pytest
import qt
from slicer_gui_adapter.peek import peek

import slicer

UI = Path(__file__).with_name("sample_panel.ui")


def add_volume(scene, name: str):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def shown_names(selector) -> list[str]:
    combo = peek(selector, "_combo")
    return [combo.itemText(i) for i in range(combo.count())]


def test_the_selector_follows_the_scene(scene, sample_ui):
    ct = add_volume(scene, "CT")
    assert shown_names(sample_ui.ctSelector) == ["None", "CT"]
    ct.SetName("planning CT")
    assert shown_names(sample_ui.ctSelector) == ["None", "planning CT"]
    scene.RemoveNode(ct)
    assert shown_names(sample_ui.ctSelector) == ["None"]


def test_the_selector_tells_which_node_was_chosen(scene, sample_ui):
    ct = add_volume(scene, "CT")
    heard = []
    sample_ui.ctSelector.currentNodeChanged.connect(heard.append)
    sample_ui.ctSelector.setCurrentNode(ct)
    scene.RemoveNode(ct)
    assert heard == [ct, None]
    assert sample_ui.ctSelector.currentNode() is None


def test_a_selector_without_none_takes_the_first_node(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.setProperty("nodeTypes", ["vtkMRMLScalarVolumeNode"])
    selector.setMRMLScene(scene)
    assert selector.currentNode() is None
    ct = add_volume(scene, "CT")
    add_volume(scene, "PET")
    assert selector.currentNode() is ct
    assert selector.property("currentNodeID") == ct.GetID()


def test_child_types_can_be_left_out(scene):
    selector = slicer.qMRMLNodeComboBox()
    selector.setProperty("nodeTypes", ["vtkMRMLScalarVolumeNode"])
    selector.setMRMLScene(scene)
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    assert selector.nodeCount() == 1
    selector.setProperty("hideChildNodeTypes", ["vtkMRMLLabelMapVolumeNode"])
    assert selector.nodeCount() == 0


def test_a_ui_file_becomes_strict_widgets_with_their_properties(scene, sample_panel, sample_ui):
    assert sample_ui.inputsButton.property("text") == "Inputs"
    assert sample_ui.inputsButton.property("contentsLineWidth") == 0
    assert sample_ui.ctSelector.property("SlicerParameterName") == "ct"
    assert sample_ui.folderEdit.property("filters") == 0x101
    assert sample_ui.ctSelector.mrmlScene() is scene
    assert sample_panel.layout().count() == 2
    with pytest.raises(AttributeError, match="property"):
        sample_ui.runButton.text()


def test_a_connection_between_qt_widgets_passes_its_argument(sample_ui):
    sample_ui.suvBox.click()
    assert not sample_ui.ageBox.isEnabled()
    sample_ui.suvBox.click()
    assert sample_ui.ageBox.isEnabled()


def test_a_child_is_found_by_name_or_by_parameter(sample_panel, sample_ui):
    assert slicer.util.findChild(sample_panel, "runButton") is sample_ui.runButton
    assert slicer.util.findChild(sample_panel, "", {"SlicerParameterName": "age"}) is sample_ui.ageBox
    with pytest.raises(RuntimeError):
        slicer.util.findChild(sample_panel, "noSuchButton")


def test_a_ui_file_with_an_unknown_class_is_refused(tmp_path):
    path = tmp_path / "wrong.ui"
    path.write_text(UI.read_text().replace("QSpinBox", "QNoSuchBox"))
    with pytest.raises(RuntimeError, match="QNoSuchBox"):
        slicer.util.loadUI(str(path))


def test_a_click_on_the_header_hides_the_contents(sample_panel, sample_ui, process_events):
    sample_panel.show()
    heard = []
    sample_ui.inputsButton.contentsCollapsed.connect(heard.append)
    before = peek(sample_panel, "sizeHint")().height()
    sample_ui.inputsButton.click()
    process_events()
    assert heard == [True]
    assert sample_ui.inputsButton.property("collapsed")
    assert not sample_ui.suvBox.isVisible()
    assert peek(sample_panel, "sizeHint")().height() < before
    sample_ui.inputsButton.click()
    assert sample_ui.suvBox.isVisible()


def test_what_was_hidden_before_stays_hidden_when_a_group_opens():
    group, hidden, shown = ctk.ctkCollapsibleGroupBox("More"), qt.QLabel("warning"), qt.QLabel("note")
    group.setLayout(qt.QVBoxLayout())
    for label in (hidden, shown):
        group.layout().addWidget(label)
    hidden.hide()
    group.setProperty("collapsed", True)
    assert shown.isHidden()
    group.setProperty("collapsed", False)
    assert (hidden.isHidden(), shown.isHidden()) == (True, False)


def test_a_picture_has_the_width_asked_for(sample_panel, grab, tmp_path):
    light = qt.QImage(str(grab(sample_panel, tmp_path / "light.png", 404)))
    assert light.width() == 404
    assert light.height() > 100


def test_the_dark_theme_darkens_a_picture(sample_panel, grab, tmp_path, dark_theme):
    dark = qt.QImage(str(grab(sample_panel, tmp_path / "dark.png", 404)))
    assert dark.pixelColor(1, 1).lightness() < 80


def test_an_error_in_a_slot_does_not_stay_hidden(no_hidden_errors):
    button = qt.QPushButton("Run")
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert isinstance(no_hidden_errors.pop(), ZeroDivisionError)
