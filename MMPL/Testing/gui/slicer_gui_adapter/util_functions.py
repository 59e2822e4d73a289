"""The functions of ``slicer.util`` that need Qt, a main window or a person's answer.

slicer-core ships ``slicer.util`` whole; what is not replaced here is Slicer's own code and runs as it is.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from types import SimpleNamespace

from PySide6 import QtCore

from slicer_gui_adapter.ui_loader import load_ui

MODULE_FOLDER = Path(__file__).resolve().parents[3]  # where MMPL.py lies


class Dialogs:
    """Records what the user would have been told or asked, and answers from ``answers``.

    Attributes
    ----------
    shown : list of (kind, text) in order; kinds are "info", "warning", "error", "yes/no", "ok/cancel", "retry/close",
        "message", "delay", "status" and "module"
    answers : bools for the next questions; with none left, a question fails the test that asked it
    """

    def __init__(self):
        self.shown: list[tuple[str, str]] = []
        self.answers: list[bool] = []

    def texts(self, kind: str) -> list[str]:
        return [text for shown_kind, text in self.shown if shown_kind == kind]

    def clear(self) -> None:
        self.shown.clear()
        self.answers.clear()

    def tells(self, kind: str):
        def display(text, windowTitle=None, parent=None, standardButtons=None, **_kwargs):
            self.shown.append((kind, text))

        return display

    def asks(self, kind: str):
        def display(text, windowTitle=None, parent=None, **_kwargs) -> bool:
            self.shown.append((kind, text))
            if not self.answers:
                raise AssertionError(f"a question came up that the test does not answer: {text!r}")
            return self.answers.pop(0)

        return display


def replacements(dialogs: Dialogs) -> dict[str, object]:
    """Functions for ``slicer.util`` by name."""
    return {
        "loadUI": load_ui,
        "findChildren": find_children,
        "childWidgetVariables": child_widget_variables,
        "mainWindow": lambda: None,
        "modulePath": lambda moduleName: str(MODULE_FOLDER / f"{moduleName}.py"),
        "infoDisplay": dialogs.tells("info"),
        "warningDisplay": dialogs.tells("warning"),
        "errorDisplay": dialogs.tells("error"),
        "messageBox": lambda text, parent=None, **_kwargs: dialogs.shown.append(("message", text)),
        "confirmYesNoDisplay": dialogs.asks("yes/no"),
        "confirmOkCancelDisplay": dialogs.asks("ok/cancel"),
        "confirmRetryCloseDisplay": dialogs.asks("retry/close"),
        "delayDisplay": lambda message, *_args, **_kwargs: dialogs.shown.append(("delay", message)),
        "showStatusMessage": lambda message, duration=0: dialogs.shown.append(("status", message)),
        "selectModule": lambda module: dialogs.shown.append(("module", str(module))),
        "selectedModule": lambda: (dialogs.texts("module") or ["MMPL"])[-1],
        "forceRenderAllViews": lambda: None,
    }


def find_children(widget=None, name="", text="", title="", className=""):
    """Descendants that meet every criterion given; patterns as in a shell. The widget itself counts, as in Slicer."""
    if widget is None:
        return []
    wanted = {"objectName": name, "text": text, "title": title}
    found = [widget, *QtCore.QObject.findChildren(widget, QtCore.QObject)]
    return [child for child in found if _fits(child, wanted) and _is_of(child, className)]


def _fits(child, wanted: dict[str, str]) -> bool:
    return all(fnmatch.fnmatchcase(str(child.property(key) or ""), value) for key, value in wanted.items() if value)


def _is_of(child, class_name: str) -> bool:
    return not class_name or fnmatch.fnmatchcase(child.metaObject().className(), class_name)


def child_widget_variables(widget) -> SimpleNamespace:
    """Named descendants as attributes; Qt's own parts, whose names start with qt_, included as in Slicer."""
    named = [(child.objectName(), child) for child in find_children(widget)]
    return SimpleNamespace(**{name: child for name, child in named if name})
