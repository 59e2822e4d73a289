"""The module's code and .ui files name nothing that real Slicer lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from slicer_gui_adapter import source_check, ui_check

MODULE_FOLDER = Path(__file__).resolve().parents[2]
WIDGET_CODE = MODULE_FOLDER / "Logic" / "mmpl_qt"
MODULE_FILE = MODULE_FOLDER / "MMPL.py"
UI_FOLDER = MODULE_FOLDER / "Resources" / "UI"

UI = """<ui version="4.0"><class>panel</class><widget class="{root}" name="panel">
<layout class="QVBoxLayout"><property name="leftMargin"><number>0</number></property>
<item><widget class="QLabel" name="label"><property name="{property}"><string>x</string></property></widget></item>
<item><widget class="qMRMLNodeComboBox" name="selector"/></item></layout></widget>
<connections><connection><sender>panel</sender><signal>{signal}(vtkMRMLScene*)</signal>
<receiver>selector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""
GOOD_UI = {"root": "qMRMLWidget", "property": "text", "signal": "mrmlSceneChanged"}


def widget_sources() -> list[Path]:
    return sorted(WIDGET_CODE.rglob("*.py")) + [path for path in [MODULE_FILE] if path.is_file()]


@pytest.fixture
def panel_exists():
    """These tests wait for the panel's code, and only for that."""
    if not WIDGET_CODE.exists() and not MODULE_FILE.exists():
        pytest.skip("MMPL/Logic/mmpl_qt and MMPL/MMPL.py are not there yet")


def test_widget_code_names_only_what_slicer_has(panel_exists):
    sources = widget_sources()
    assert sources, "MMPL/Logic/mmpl_qt holds no Python file to check"
    assert [problem for path in sources for problem in source_check.problems(path)] == []


def test_ui_files_name_only_what_slicer_has(panel_exists):
    files = sorted(UI_FOLDER.glob("*.ui"))
    assert files, "MMPL/Resources/UI holds no .ui file to check"
    assert [problem for path in files for problem in ui_check.problems(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "qt.QNoSuchThing()",
        "ctk.ctkNoSuchThing()",
        "slicer.util.noSuchFunction()",
        "slicer.app.noSuchMember",
        "slicer.app.layoutManager().noSuchMember()",
        "slicer.modules.nosuchmodule",
        "slicer.qMRMLNoSuchWidget()",
        "slicer.getNode('x')",
        "qt.QSizePolicy.NoSuchPolicy",
        "qt.QLabel.text",
        "from slicer.util import noSuchFunction",
        "from slicer.parameterNodeWrapper import noSuchAnnotation",
    ],
)
def test_a_name_that_slicer_lacks_is_found(line):
    assert len(source_check.problems_of(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "qt.QTimer.singleShot(0, f)",
        "qt.QSizePolicy.Expanding",
        "slicer.util.getNode('x')",
        "slicer.app.layoutManager().sliceWidget('Red').sliceLogic()",
        "slicer.qMRMLPlotView()",
        "slicer.vtkMRMLScene()",
        "slicer.modules.mmpl",
        "from slicer.ScriptedLoadableModule import *",
    ],
)
def test_a_name_that_slicer_has_is_no_problem(line):
    assert source_check.problems_of(line) == []


def test_a_good_ui_file_has_no_problem():
    assert ui_check.problems_of(UI.format(**GOOD_UI)) == []


@pytest.mark.parametrize("change", [{"root": "QWidget"}, {"property": "caption"}, {"signal": "sceneChanged"}])
def test_a_wrong_name_in_a_ui_file_is_found(change):
    assert ui_check.problems_of(UI.format(**GOOD_UI | change))
