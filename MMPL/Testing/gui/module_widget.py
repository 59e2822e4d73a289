"""MMPL.py as Slicer loads it: by its file, into ``sys.modules``, its widget built without a parent.

Under another name than in Slicer: "MMPL" is the folder that pytest imports tests from.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "slicer_module_MMPL"
MODULE_FILE = Path(__file__).resolve().parents[2] / "MMPL.py"


def load_module():
    """The Python module of MMPL.py, loaded once."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    spec = importlib.util.spec_from_file_location(NAME, MODULE_FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module
