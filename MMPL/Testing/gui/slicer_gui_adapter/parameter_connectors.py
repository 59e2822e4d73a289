"""How a widget shows and changes a parameter: one row per widget class, matched exactly as Slicer does."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6 import QtWidgets

from slicer_gui_adapter.parameter_fields import Field


@dataclass
class Connector:
    """One widget and its parameter."""

    read: Callable[[], object]
    write: Callable[[object], None]
    changed: object
    _slots: list = field(default_factory=list)

    def on_change(self, function: Callable[[], None]) -> None:
        def slot(*_):
            function()

        self.changed.connect(slot)
        self._slots.append(slot)

    def stop(self) -> None:
        for slot in self._slots:
            self.changed.disconnect(slot)
        self._slots.clear()


def connector(parameter: Field, widget) -> Connector:
    """The connector of a widget.

    Raises
    ------
    ValueError
        If Slicer has none for this widget and type, so that connectGui would fail there.
    """
    class_name = widget.metaObject().className()
    row = _ROWS.get((class_name, _kind(parameter)))
    if row is None:
        raise ValueError(f"no connector ties a {class_name} to parameter {parameter.name} ({parameter.kind.__name__})")
    return row(widget, parameter)


def _kind(parameter: Field):
    return "node" if parameter.is_node else parameter.kind


def _check_box(widget, _parameter) -> Connector:
    return Connector(widget.isChecked, widget.setChecked, widget.toggled)


def _spin_box(widget, _parameter) -> Connector:
    return Connector(lambda: widget.property("value"), widget.setValue, widget.valueChanged)


def _line_edit(widget, _parameter) -> Connector:
    return Connector(lambda: widget.property("text"), widget.setText, widget.textChanged)


def _label(widget, _parameter) -> Connector:
    return Connector(lambda: widget.property("text"), widget.setText, widget.objectNameChanged)


def _combo_box(widget, parameter: Field) -> Connector:
    if parameter.choices is None:
        raise ValueError(f"parameter {parameter.name}: a QComboBox needs Annotated[..., Choice([...])]")
    QtWidgets.QComboBox.clear(widget)
    widget.addItems([str(choice) for choice in parameter.choices])
    return Connector(
        lambda: parameter.kind(widget.property("currentText")),
        lambda value: widget.setCurrentText(str(value)),
        widget.currentIndexChanged,
    )


def _path(widget, _parameter) -> Connector:
    return Connector(
        lambda: pathlib.Path(widget.property("currentPath")),
        lambda value: widget.setCurrentPath(str(value)),
        widget.currentPathChanged,
    )


def _path_text(widget, _parameter) -> Connector:
    return Connector(lambda: widget.property("currentPath"), widget.setCurrentPath, widget.currentPathChanged)


def _node(widget, _parameter) -> Connector:
    return Connector(widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)


_ROWS = {
    ("QCheckBox", bool): _check_box,
    ("QPushButton", bool): _check_box,
    ("ctkCollapsibleButton", bool): _check_box,
    ("QSpinBox", int): _spin_box,
    ("QSlider", int): _spin_box,
    ("QDoubleSpinBox", float): _spin_box,
    ("QLineEdit", str): _line_edit,
    ("QLabel", str): _label,
    ("QComboBox", str): _combo_box,
    ("QComboBox", int): _combo_box,
    ("ctkPathLineEdit", pathlib.Path): _path,
    ("ctkPathLineEdit", str): _path_text,
    ("qMRMLNodeComboBox", "node"): _node,
}
