"""The flat ``qt`` module of Slicer, on PySide6."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from slicer_gui_adapter.contract import class_contract, names
from slicer_gui_adapter.strict import StrictModule, strict_class

_HOMES = (QtWidgets, QtGui, QtCore, QtUiTools)  # QtNetwork would need Kerberos libraries
MODAL_CLASSES = {"QDialog", "QMessageBox", "QInputDialog"}
MODAL_FUNCTIONS = ("question", "information", "warning", "critical", "getText", "getItem", "getInt", "getDouble")
_VIEWS = {"QTableView", "QTableWidget", "QTreeView", "QTreeWidget"}


class QtModule(StrictModule):
    """Makes each class when it is first asked for; a name that Slicer lacks, or PySide6, is refused."""

    def __getattr__(self, name):
        if name.startswith("__") or name not in names("qt"):
            raise AttributeError(f"qt.{name} does not exist in Slicer")
        real = next((getattr(home, name) for home in _HOMES if hasattr(home, name)), None)
        if real is None:
            raise AttributeError(f"qt.{name} exists in Slicer (Qt 5) but not in PySide6 (Qt 6): find another way")
        found = _with_contract(name, real)
        setattr(self, name, found)
        return found


def _with_contract(name: str, real):
    if name == "QFileDialog":
        return _file_dialog()
    if name in MODAL_CLASSES:
        real = _not_modal(real)
    contract = class_contract(f"qt.{name}")
    if contract is None:
        return real
    if name in _VIEWS:
        return strict_class(real, contract, _give_strict_headers)
    return strict_class(real, contract)


def _give_strict_headers(view) -> None:
    """Headers are made by Qt, hence not strict; strict ones take their place and their look."""
    header_class = qt.QHeaderView
    if isinstance(view, QtWidgets.QTreeView):
        header = header_class(QtCore.Qt.Orientation.Horizontal, view)
        header.setStretchLastSection(True)
        view.setHeader(header)
        return
    for orientation, put in (("Horizontal", view.setHorizontalHeader), ("Vertical", view.setVerticalHeader)):
        header = header_class(QtCore.Qt.Orientation[orientation], view)
        header.setSectionsClickable(True)
        header.setHighlightSections(True)
        put(header)


def _file_dialog() -> type:
    """QFileDialog whose static functions return a str, as PythonQt's do: the next of ``_chosen``, "" when empty."""
    chosen: list[str] = []

    def ask(*_args, **_kwargs) -> str:
        return chosen.pop(0) if chosen else ""

    functions = ("getExistingDirectory", "getOpenFileName", "getSaveFileName")
    body = {"_chosen": chosen, "exec": _would_wait, **{function: staticmethod(ask) for function in functions}}
    return type("QFileDialog", (QtWidgets.QFileDialog,), body)


def _would_wait(*_args, **_kwargs):
    raise AssertionError("a modal dialog waits for ever without a user: ask through slicer.util, which tests answer")


def _not_modal(real: type) -> type:
    """A dialog class that refuses to wait for a user."""
    body = {name: _would_wait for name in ("exec", "exec_") if hasattr(real, name)}
    body |= {name: staticmethod(_would_wait) for name in MODAL_FUNCTIONS if hasattr(real, name)}
    return type(real.__name__, (real,), body)


qt = QtModule("qt", __doc__)
