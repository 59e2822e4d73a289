"""Substitutes offer nothing beyond real Slicer's listing, and refuse what the two Qt bindings do not share."""

from __future__ import annotations

from operator import methodcaller

import ctk
import pytest
import qt
from slicer_gui_adapter.contract import api, class_contract, names
from slicer_gui_adapter.ctk_widgets import substitutes
from slicer_gui_adapter.peek import peek
from slicer_gui_adapter.session import MRML_WIDGETS
from slicer_gui_adapter.util_functions import Dialogs, replacements

import slicer

VIRTUAL = {"sizeHint", "minimumSizeHint"}
SUBSTITUTES = {f"ctk.{name}": real for name, real in substitutes().items()} | {
    f"slicer.{name}": real for name, real in MRML_WIDGETS.items()
}


@pytest.mark.parametrize("key", SUBSTITUTES)
def test_a_substitute_adds_no_name_of_its_own(key):
    contract = class_contract(key)
    own = {
        name
        for klass in SUBSTITUTES[key].__mro__
        if klass.__module__.startswith("slicer_gui_adapter")
        for name in vars(klass)
        if not name.startswith("_") and name != "staticMetaObject"
    }
    assert own - contract.usable - contract.properties - VIRTUAL == set()


@pytest.mark.parametrize("module", ["ScriptedLoadableModule", "parameterNodeWrapper", "i18n", "packaging", "testing"])
def test_a_supplied_module_has_only_names_that_slicer_lists(module):
    supplied = {name for name in vars(getattr(slicer, module)) if not name.startswith("_")}
    assert supplied
    assert supplied <= names(f"slicer.{module}")


@pytest.mark.parametrize("name", ["ScriptedLoadableModule", "ScriptedLoadableModuleWidget"])
def test_scripted_classes_have_only_methods_that_slicer_lists(name):
    own = {key for key in vars(getattr(slicer.ScriptedLoadableModule, name)) if not key.startswith("_")}
    assert own <= set(api()["slicer.ScriptedLoadableModule"][name])


def test_the_application_has_only_names_that_slicer_lists():
    offered = {n for n in {*vars(type(slicer.app)), *vars(slicer.app)} if not n.startswith("_")}
    layout = {n for n in vars(type(slicer.app.layoutManager())) if not n.startswith("_")}
    assert offered <= names("slicer.app")
    assert layout <= names("slicer.app.layoutManager")


def test_replaced_util_functions_are_those_that_slicer_lists():
    assert set(replacements(Dialogs())) <= names("slicer.util")


def test_a_property_cannot_be_called_nor_read_as_an_attribute():
    label = qt.QLabel("PET")
    with pytest.raises(AttributeError, match=r'\.property\("text"\), change it by \.setText'):
        label.text()
    with pytest.raises(AttributeError, match="attribute in PythonQt and a call in PySide6"):
        _ = label.text
    with pytest.raises(AttributeError, match="text"):
        label.text = "CT"
    assert label.property("text") == "PET"


@pytest.mark.parametrize("name", ["sizeHint", "width", "windowTitle", "isVisibleX", "connect", "findChild"])
def test_names_that_differ_are_refused(name):
    with pytest.raises(AttributeError):
        eval(f"qt.QWidget().{name}", {"qt": qt})


def test_what_is_a_method_in_both_bindings_works():
    box = qt.QCheckBox("PET is in SUV")
    heard = []
    box.toggled.connect(heard.append)
    box.setChecked(True)
    assert box.isChecked()
    assert heard == [True]


def test_qt_still_finds_virtual_methods_by_itself():
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.show()
    assert peek(editor, "sizeHint")().width() == 369


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_qt_finds_them_too_when_an_attribute_load_ends_an_object():
    class Held(list):
        let_go = property(methodcaller("clear"))

    class Listener:
        def hear(self):
            """A timer that is connected to a method asks for its own virtual disconnectNotify when the method goes."""

    timer, held = qt.QTimer(), Held([Listener()])
    timer.timeout.connect(held[0].hear)
    assert held.let_go is None


def test_a_subclass_has_its_own_names_and_overrides():
    class Panel(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.resized = 0

        def resizeEvent(self, event):
            self.resized += 1

    panel = Panel()
    panel.resize(50, 60)
    panel.show()
    assert panel.resized
    with pytest.raises(AttributeError, match="property"):
        panel.width()


def test_a_widget_takes_no_new_attributes():
    with pytest.raises(AttributeError, match="no new attributes"):
        qt.QLabel().caseName = "A"


def test_a_substitutes_private_parts_are_refused(scene):
    with pytest.raises(AttributeError, match="has no _combo"):
        _ = slicer.qMRMLNodeComboBox()._combo


def test_old_style_enums_and_isinstance_work():
    table = qt.QTableWidget(1, 1)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    table.setItem(0, 0, qt.QTableWidgetItem("GTVp"))
    assert table.item(0, 0).text() == "GTVp"
    assert isinstance(table, qt.QAbstractItemView)
    assert isinstance(table, qt.QWidget)
    assert not isinstance(table, qt.QLabel)


def test_a_header_made_by_qt_is_strict_too():
    with pytest.raises(AttributeError, match="property"):
        qt.QTableWidget(1, 1).horizontalHeader().defaultSectionSize()


@pytest.mark.parametrize("name", ["QNoSuchThing", "QStringConverter"])
def test_qt_has_only_what_slicer_lists(name):
    with pytest.raises(AttributeError, match="does not exist in Slicer"):
        getattr(qt, name)


def test_ctk_and_util_have_only_what_slicer_lists():
    with pytest.raises(AttributeError, match="does not exist in Slicer"):
        _ = ctk.ctkNoSuchThing
    with pytest.raises(AttributeError, match="has no substitute yet"):
        _ = ctk.ctkSliderWidget
    with pytest.raises(AttributeError, match="does not exist in Slicer"):
        _ = slicer.util.TESTING_DATA_URL
    with pytest.raises(AttributeError, match=r"slicer\.app has no noSuchMember"):
        _ = slicer.app.noSuchMember
