"""The clinical form, made from the bundle's fields; changing a value is a what-if until it is kept."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

import slicer
from mmpl_qt.text import ORANGE, colored
from mmpl_qt.widgets import show_text, silent
from mmpl_slicer.panel_state import FieldState, PatientState


class StillComboBox(qt.QComboBox):
    """A list that the wheel scrolls past: no value changes while the panel is scrolled."""

    def wheelEvent(self, event):
        event.ignore()


class StillSpinBox(qt.QSpinBox):
    """A number that the wheel scrolls past."""

    def wheelEvent(self, event):
        event.ignore()


class PatientSection:
    """One row a field: a list for categories, a number box whose lowest value says Unknown."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.names: tuple[str, ...] = ()
        self.boxes: dict[str, object] = {}
        ui.resetButton.clicked.connect(lambda *_: presenter.reset_clinical())
        ui.keepButton.clicked.connect(lambda *_: presenter.keep_clinical())
        ui.loadButton.clicked.connect(lambda *_: self._load())
        ui.hpvAsKnown.toggled.connect(lambda *_: presenter.set_hpv_as_known(ui.hpvAsKnown.isChecked()))

    def render(self, state: PatientState) -> None:
        names = tuple(field.name for field in state.fields)
        if names != self.names:
            self._build(state.fields)
            self.names = names
        for field in state.fields:
            self._show(field)
        ui = self.ui
        ui.hpvAsKnown.setVisible(state.known_hpv is not None)
        with silent(ui.hpvAsKnown):
            ui.hpvAsKnown.setChecked(state.hpv_as_known)
        show_text(ui.triedLabel, colored(_("What-if: ") + state.tried, ORANGE) if state.tried else "")
        ui.resetButton.setEnabled(bool(state.tried) or state.hpv_as_known)
        ui.keepButton.setEnabled(bool(state.tried))

    def _build(self, fields: tuple[FieldState, ...]) -> None:
        rows = self.ui.formFrame.layout()
        for _name in self.names:
            rows.removeRow(0)
        self.boxes = {field.name: self._choices(field) if field.options else self._number(field) for field in fields}
        for field in fields:
            rows.addRow(f"{field.label}:", self.boxes[field.name])

    def _choices(self, field: FieldState):
        box = StillComboBox()
        box.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(10)
        for _value, label in field.options:
            box.addItem(label)
        values = [value for value, _label in field.options]
        box.currentIndexChanged.connect(
            lambda *_, name=field.name: self.presenter.set_clinical(name, values[box.property("currentIndex")])
        )
        return box

    def _number(self, field: FieldState):
        box = StillSpinBox()
        box.setRange(int(field.low) - 1, int(field.high))
        box.setSpecialValueText(_("Unknown"))
        box.setSuffix(f" {field.unit}")
        box.setKeyboardTracking(False)
        lowest = int(field.low) - 1

        def changed(*_args):
            value = box.property("value")
            self.presenter.set_clinical(field.name, None if value == lowest else value)

        box.valueChanged.connect(changed)
        return box

    def _show(self, field: FieldState) -> None:
        box = self.boxes[field.name]
        with silent(box):
            if field.options:
                box.setCurrentIndex([value for value, _label in field.options].index(field.value))
            else:
                box.setValue(int(field.low) - 1 if field.value is None else round(field.value))

    def _load(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Clinical record"), "", _("Clinical record") + " (*.json)"
        )
        path = path[0] if isinstance(path, tuple) else path  # PySide6 gives the filter too
        if path:
            self.presenter.load_clinical(path)
