"""The adapter outside pytest: for pictures and for measuring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from mmpl_slicer.bootstrap import start_scene
from slicer_gui_adapter import pictures
from slicer_gui_adapter.session import Session


@contextmanager
def standalone(name: str) -> Iterator[object]:
    """A Qt application with settings of its own and a session of the adapter; gives the scene."""
    application = QtWidgets.QApplication([name])
    application.setOrganizationName(f"MMPL {name}")
    with tempfile.TemporaryDirectory() as folder:
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, folder)
        application.setStyle("Fusion")
        application.setFont(QtGui.QFont("DejaVu Sans", 9))
        pictures.use_theme("light")
        scene = start_scene()
        session = Session(application, Path(folder))
        try:
            yield scene
        finally:
            session.close()
