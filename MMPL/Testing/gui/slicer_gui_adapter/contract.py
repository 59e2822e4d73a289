"""What real Slicer offers to widget code: the names in ``slicer_api.json``.

The file was written by 3D Slicer 5.12.3 (Qt 5.15, PythonQt) and trimmed by ``trim_slicer_api.py``. PythonQt tells
properties (attributes), methods and signals apart; widget code may use only what is valid there and in PySide6 alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

API_PATH = Path(__file__).resolve().parents[1] / "slicer_api.json"
OWN_MODULES = frozenset({"mmpl", "mmplWidget", "MMPLInstance"})  # there once our own module is loaded
QT_CLASS_PREFIXES = ("ctk", "qMRML", "qSlicer")


@dataclass(frozen=True)
class ClassContract:
    """One class as PythonQt shows it."""

    name: str
    methods: frozenset[str]
    signals: frozenset[str]
    properties: frozenset[str]
    other: frozenset[str]

    @property
    def constants(self) -> frozenset[str]:
        """Enum values, which PythonQt lists among the properties; unlike those they start in upper case."""
        return frozenset(name for name in self.properties if name[0].isupper()) | self.other

    @property
    def usable(self) -> frozenset[str]:
        """Names that mean the same in both bindings."""
        return self.methods | self.signals | self.constants


@cache
def api() -> dict:
    return json.loads(API_PATH.read_text())


def names(module: str) -> frozenset[str]:
    """Names in "qt", "ctk", "slicer.util", "slicer.modules", "slicer.packaging" and the other lists.

    Parameters
    ----------
    module : key of ``slicer_api.json``
    """
    found = api()[module]
    if isinstance(found, dict) and "methods" in found:
        return frozenset().union(*(found.get(kind, ()) for kind in ("methods", "properties", "signals", "other")))
    return frozenset(found) | (OWN_MODULES if module == "slicer.modules" else frozenset())


@cache
def class_contract(key: str) -> ClassContract | None:
    """The contract of "qt.QLabel", "ctk.ctkPathLineEdit", "slicer.qMRMLWidget"; None where Slicer told only a name."""
    entry = api()["classes"].get(key)
    if entry is None:
        return None
    base = class_contract(entry["extends"]) if "extends" in entry else None
    kinds = ("methods", "signals", "properties", "other")
    parts = {kind: frozenset(entry[kind]) | (getattr(base, kind) if base else frozenset()) for kind in kinds}
    return ClassContract(key, **parts)


def key_of(class_name: str) -> str:
    """Where a class of a .ui file lives: "QLabel" -> "qt.QLabel", "ctkMenuButton" -> "ctk.ctkMenuButton"."""
    if class_name.startswith("ctk"):
        return f"ctk.{class_name}"
    return f"slicer.{class_name}" if class_name.startswith(("qMRML", "qSlicer")) else f"qt.{class_name}"


def is_known_class(class_name: str) -> bool:
    """True if Slicer has a widget class of this name."""
    module = {"ctk": "ctk", "slicer": "slicer.qMRML"}.get(key_of(class_name).split(".")[0], "qt")
    return class_name in names(module)
