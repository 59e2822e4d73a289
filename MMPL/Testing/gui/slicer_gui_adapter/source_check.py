"""Names in widget code that Slicer does not have, found without running it."""

from __future__ import annotations

import ast
from pathlib import Path

from slicer_gui_adapter.contract import class_contract, names
from slicer_gui_adapter.strict import DIFFERENT

LISTED = ("qt", "ctk", "slicer.util", "slicer.app", "slicer.modules", "slicer.packaging", "slicer.i18n")
IMPORTABLE = (*LISTED, "slicer.parameterNodeWrapper", "slicer.testing", "slicer.ScriptedLoadableModule")
WIDGET_PREFIXES = ("qMRML", "qSlicer")


def problems(path: Path) -> list[str]:
    """One line for each name of a Python file that Slicer lacks."""
    return problems_of(path.read_text(encoding="utf-8"), path.name)


def problems_of(source: str, filename: str = "source") -> list[str]:
    """One line for each name of a source text that Slicer lacks.

    Parameters
    ----------
    source : Python code
    filename : for the lines
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        reason = _reason(node)
        if reason:
            found.append(f"{filename}:{node.lineno}: {reason}")
    return sorted(set(found))


def _reason(node: ast.AST) -> str | None:
    if isinstance(node, ast.ImportFrom):
        return _import_reason(node)
    if not isinstance(node, ast.Attribute):
        return None
    owner, name = _dotted(node.value), node.attr
    if owner in LISTED:
        return None if name in names(owner) else f"{owner}.{name} does not exist in Slicer"
    if owner == "slicer":
        return _slicer_reason(name)
    if owner == "slicer.app.layoutManager()":
        return None if name in names("slicer.app.layoutManager") else f"the layout manager has no {name} in Slicer"
    return _member_reason(owner, name)


def _import_reason(node: ast.ImportFrom) -> str | None:
    if node.module not in IMPORTABLE:
        return None
    missing = [alias.name for alias in node.names if alias.name not in names(node.module) | {"*"}]
    return f"{node.module} has no {', '.join(missing)} in Slicer" if missing else None


def _slicer_reason(name: str) -> str | None:
    if name.startswith(WIDGET_PREFIXES):
        return None if name in names("slicer.qMRML") else f"slicer.{name} does not exist in Slicer"
    if name in names("slicer.util") and not name.startswith("vtk"):
        return f"slicer.{name} exists on slicer-core only: write slicer.util.{name}"
    return None


def _member_reason(owner: str | None, name: str) -> str | None:
    """A class attribute such as ``qt.QSizePolicy.Expanding``."""
    contract = class_contract(owner) if owner else None
    if contract is None or name in contract.usable - DIFFERENT or name.startswith("__"):
        return None
    return f"{owner}.{name} is no method, signal or constant in Slicer"


def _dotted(node: ast.AST) -> str | None:
    """``slicer.app.layoutManager()`` for such an expression, None for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return f"{owner}.{node.attr}" if owner else None
    if isinstance(node, ast.Call):
        called = _dotted(node.func)
        return f"{called}()" if called else None
    return None
