"""MMPL.py as Slicer loads it: by its file, into ``sys.modules``, its widget built without a parent."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

MODULE_FILE = Path(__file__).resolve().parents[2] / "MMPL.py"


def load_module():
    """The Python module of MMPL.py, loaded once."""
    known = sys.modules.get("MMPL")
    if known is not None and getattr(known, "__file__", None) == str(MODULE_FILE):
        return known
    spec = importlib.util.spec_from_file_location("MMPL", MODULE_FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["MMPL"] = module
    spec.loader.exec_module(module)
    return module
