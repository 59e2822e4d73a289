"""Which Python runs the worker, in which environment."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import qt

import slicer
from mmpl_slicer.worker_client import WorkerClient

SETTING = "MMPL/Python"
VARIABLE = "MMPL_PYTHON"  # for self-tests and managed computers; the setting comes first


def python_setting() -> str:
    """The interpreter of the settings, "" for none."""
    return str(qt.QSettings().value(SETTING, "") or "")


def chosen_python() -> str:
    """The interpreter that a site has chosen, "" for Slicer's own."""
    return python_setting() or os.environ.get(VARIABLE, "")


def choose_python(path: str) -> None:
    """Remember an interpreter, "" for Slicer's own."""
    qt.QSettings().setValue(SETTING, path)


def slicer_python() -> str:
    """Slicer's own Python: its launcher, since the bare interpreter lacks Slicer's library paths."""
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    beside = Path(str(slicer.app.slicerHome), "bin", name)
    found = shutil.which("PythonSlicer") or (str(beside) if beside.is_file() else None)
    return found or sys.executable


def make_client() -> WorkerClient:
    """A worker that is not started yet. Slicer's own environment would let another Python die silently."""
    return WorkerClient(python=chosen_python() or slicer_python(), environment=slicer.util.startupEnvironment())
