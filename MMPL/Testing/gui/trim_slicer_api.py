"""Cut the full listing of a real Slicer's scripting interface down to ``slicer_api.json``.

The full listing was written inside 3D Slicer 5.12.3 by walking ``qt``, ``ctk``, ``slicer.app``, ``slicer.util`` and the
widget classes with ``dir``. Two thirds of it repeat QWidget, so each class keeps only what it adds to one base class.
Run it when a newer Slicer's listing replaces the old one:

    python MMPL/Testing/gui/trim_slicer_api.py full_listing.json MMPL/Testing/gui/slicer_api.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

BASE = "qt.QWidget"
KINDS = ("methods", "signals", "properties", "other")
WHOLE = ("slicer", "python", "qt", "ctk", "slicer.app", "slicer.app.layoutManager", "slicer.modules", "slicer.qMRML")
NAMES_ONLY = ("slicer.i18n", "slicer.packaging", "slicer.parameterNodeWrapper", "slicer.testing", "slicer.util")
SCRIPTED = "slicer.ScriptedLoadableModule"


def trim(full: dict) -> dict:
    """The listing without repetition: sorted names, property types, classes as additions to QWidget."""
    small = {key: full[key] for key in WHOLE}
    small |= {key: sorted(full[key]) for key in NAMES_ONLY}
    small[SCRIPTED] = {name: sorted(entry["methods"]) for name, entry in full[SCRIPTED].items()}
    base = full["classes"][BASE]
    small["classes"] = {
        name: _addition(entry, base) if name != BASE else _complete(entry)
        for name, entry in full["classes"].items()
        if entry is not None
    }
    return small


def _complete(entry: dict) -> dict:
    return {kind: entry.get(kind, {} if kind == "properties" else []) for kind in KINDS}


def _addition(entry: dict, base: dict) -> dict:
    """What a class adds to QWidget, or all of it when it is no widget."""
    entry = _complete(entry)
    if any(set(base[kind]) - set(entry[kind]) for kind in ("methods", "signals", "properties")):
        return entry
    own = {kind: sorted(set(entry[kind]) - set(base[kind])) for kind in ("methods", "signals", "other")}
    properties = {k: v for k, v in entry["properties"].items() if k not in base["properties"]}
    return {"extends": BASE, **own, "properties": properties}


def text_of(small: dict) -> str:
    """One line a class or list, so that a newer Slicer's differences read well."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in small.items() if key != "classes"]
    classes = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(small["classes"].items())]
    return "{\n" + ",\n".join([*lines, '"classes": {\n' + ",\n".join(classes) + "\n}"]) + "\n}\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(text_of(trim(json.loads(Path(sys.argv[1]).read_text()))))
