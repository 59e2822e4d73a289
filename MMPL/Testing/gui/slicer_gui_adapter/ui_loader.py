"""``slicer.util.loadUI``: .ui files become strict widgets.

PySide6's loader knows neither the properties of substituted classes nor signals written in Python, so both are taken
out of the file first and applied afterwards by name.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets

import slicer
from slicer_gui_adapter.contract import QT_CLASS_PREFIXES, is_known_class
from slicer_gui_adapter.ctk_widgets import ctk
from slicer_gui_adapter.qt_module import qt

_NATIVE = {
    QtWidgets.QWidget.staticMetaObject.property(i).name()
    for i in range(QtWidgets.QWidget.staticMetaObject.propertyCount())
}


def load_ui(path):
    """The root widget of a .ui file.

    Raises
    ------
    RuntimeError
        If the file is missing or names a class or a connection that does not exist.
    """
    if not Path(path).is_file():
        raise RuntimeError(f"Could not load UI file: file not found {path}")
    tree = ElementTree.fromstring(Path(path).read_text(encoding="utf-8"))
    connections = _take_connections(tree)
    properties = _take_properties(tree)
    widget = _Loader().load_text(ElementTree.tostring(tree))
    if widget is None:
        raise RuntimeError(f"Could not load UI file: {path}")
    by_name = {child.objectName(): child for child in [widget, *widget.findChildren(QtCore.QObject)]}
    for name, found in properties.items():
        for key, value in found:
            by_name[name].setProperty(key, value)
    for connection in connections:
        _connect(by_name, *connection)
    return widget


def widget_class(class_name: str) -> type:
    """The strict class of a name in a .ui file."""
    if not is_known_class(class_name):
        raise RuntimeError(f"the .ui file names {class_name}, which Slicer does not have")
    if class_name.startswith("ctk"):
        return getattr(ctk, class_name)
    if class_name.startswith(QT_CLASS_PREFIXES):
        return getattr(slicer, class_name)
    return getattr(qt, class_name)


class _Loader(QtUiTools.QUiLoader):
    def load_text(self, text: bytes):
        self.made = []
        buffer = QtCore.QBuffer()
        buffer.setData(QtCore.QByteArray(text))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = self.load(buffer)
        if widget is not None:
            widget._made_by_loader = self.made  # Python must hold what it made as long as the root lives
        return widget

    def createWidget(self, class_name, parent=None, name=""):
        if class_name == "Line":
            return super().createWidget(class_name, parent, name)
        widget = widget_class(class_name)(parent) if parent is not None else widget_class(class_name)()
        widget.setObjectName(name)
        self.made.append(widget)
        return widget

    def createLayout(self, class_name, parent=None, name=""):
        layout_class = getattr(qt, class_name)
        owned = isinstance(parent, QtWidgets.QWidget)
        layout = layout_class(parent) if owned else layout_class()
        layout.setObjectName(name)
        self.made.append(layout)
        return layout


def _take_connections(tree) -> list[tuple[str, str, str, str]]:
    """Remove the <connections> and return (sender, signal, receiver, slot), with argument lists."""
    found = []
    for section in tree.findall("connections"):
        for connection in section.findall("connection"):
            found.append(tuple(connection.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot")))
        tree.remove(section)
    return found


def _connect(by_name: dict, sender_name: str, signal: str, receiver_name: str, slot: str) -> None:
    for name in (sender_name, receiver_name):
        if name not in by_name:
            raise RuntimeError(f"the .ui file connects {name}, which is not in it")
    sender, receiver = by_name[sender_name], by_name[receiver_name]
    if sender.metaObject().indexOfSignal(signal) >= 0 and receiver.metaObject().indexOfSlot(slot) >= 0:
        QtCore.QObject.connect(sender, QtCore.SIGNAL(signal), receiver, QtCore.SLOT(slot))
        return
    signal, slot = signal.split("(")[0], slot.split("(")[0]
    if not hasattr(sender, signal) or not hasattr(receiver, slot):
        raise RuntimeError(
            f"the .ui file connects {sender_name}.{signal} to {receiver_name}.{slot}: one does not exist"
        )
    getattr(sender, signal).connect(getattr(receiver, slot))


def _take_properties(tree) -> dict[str, list[tuple[str, object]]]:
    """Remove properties that only substituted classes have and return them by object name."""
    found: dict[str, list[tuple[str, object]]] = {}
    for widget in tree.iter("widget"):
        if not widget.get("class", "").startswith(QT_CLASS_PREFIXES):
            continue
        for element in [e for e in widget.findall("property") if e.get("name") not in _NATIVE]:
            value = _value(element[0], widget.get("class"))
            found.setdefault(widget.get("name"), []).append((element.get("name"), value))
            widget.remove(element)
    return found


def _value(element, class_name: str):
    """The Python value of <bool>, <string>, <number>, <double>, <stringlist>, <enum> or <set>."""
    text = element.text or ""
    if element.tag in ("enum", "set"):
        return _enum_value(text, class_name)
    if element.tag == "stringlist":
        return [item.text or "" for item in element.findall("string")]
    return {"bool": lambda t: t == "true", "number": int, "double": float}.get(element.tag, str)(text)


def _enum_value(text: str, class_name: str) -> int:
    value = 0
    for part in filter(None, text.split("|")):
        owner, _, name = part.rpartition("::")
        holder = widget_class(owner) if owner.startswith(QT_CLASS_PREFIXES) else getattr(qt, owner or class_name)
        member = getattr(holder, name)
        value |= getattr(member, "value", member)
    return value
