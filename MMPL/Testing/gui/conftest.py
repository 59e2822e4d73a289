"""A Qt application without a screen, the substitutes for Slicer's widgets, and an empty scene for every test."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is loaded: it is read once
sys.path.insert(0, str(Path(__file__).parent))

SAMPLE_UI = Path(__file__).with_name("sample_panel.ui")
FONT = "DejaVu Sans"
PACKAGES = "libegl1 libgl1 libglib2.0-0 libxkbcommon0 libdbus-1-3 libfontconfig1 fonts-dejavu-core"

try:
    from module_widget import load_module
    from PySide6 import QtCore, QtGui, QtWidgets
    from slicer_gui_adapter import pictures, waiting
    from slicer_gui_adapter.session import Session, install

    import slicer
    from mmpl_slicer.bootstrap import start_scene

    install()
except ImportError as error:
    raise ImportError(
        f"the panel's tests need PySide6 and its libraries ({error}): "
        f"install the extra 'test' and, on Debian, apt-get install -y {PACKAGES}"
    ) from error


@pytest.fixture(scope="session")
def qt_application(tmp_path_factory):
    """The QApplication: Fusion style, a readable font, light palette, settings of its own."""
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["tests"])
    application.setOrganizationName("MMPL tests")
    ini = QtCore.QSettings.Format.IniFormat
    QtCore.QSettings.setDefaultFormat(ini)
    QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, str(tmp_path_factory.mktemp("settings")))
    application.setStyle("Fusion")
    if FONT not in QtGui.QFontDatabase.families():
        pytest.fail(f"Qt finds no font {FONT}: on Debian, apt-get install -y libfontconfig1 fonts-dejavu-core")
    application.setFont(QtGui.QFont(FONT, 9))
    pictures.use_theme("light")
    return application


@pytest.fixture(scope="session")
def gui_scene(tmp_path_factory):
    return start_scene(tmp_path_factory.mktemp("scene-cache"))


@pytest.fixture(scope="module", autouse=True)
def slicer_session(qt_application, gui_scene, tmp_path_factory):
    """``slicer.app`` and the Qt functions of ``slicer.util``, for one test module."""
    session = Session(qt_application, tmp_path_factory.mktemp("slicer"))
    _empty(gui_scene)
    yield session
    session.close()


@pytest.fixture(autouse=True)
def scene(gui_scene, slicer_session):
    """The application's scene, emptied after each test that used it; windows made by the test are deleted."""
    added = []
    tag = gui_scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda *_: added.append(True))
    slicer_session.forget()
    before = waiting.windows()
    yield gui_scene
    QtWidgets.QApplication.processEvents()
    waiting.delete_windows_but(before)
    gui_scene.RemoveObserver(tag)
    QtCore.QSettings().clear()
    if added:
        _empty(gui_scene)


def _empty(scene) -> None:
    """Clear a scene; singletons of modules go too, since a cleared scene keeps them with their observers."""
    scene.Clear(False)
    for class_name in ("vtkMRMLScriptedModuleNode", "vtkMRMLSegmentEditorNode"):
        for node in slicer.util.getNodesByClass(class_name, scene):
            scene.RemoveNode(node)


@pytest.fixture
def widget(scene, slicer_session, monkeypatch):
    """The module's widget, opened. It shows all at once: on a busy machine it would leave some to the next ticks."""
    widget = load_module().MMPLWidget()
    monkeypatch.setattr("mmpl_qt.panel.KEPT_S", math.inf)
    widget.enter()
    yield widget
    widget.cleanup()


@pytest.fixture(autouse=True)
def no_hidden_errors(monkeypatch):
    """Fail a test during which a slot, an event handler or an observer raised: Qt and VTK would only print it."""
    hidden = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: hidden.append(error))
    yield hidden
    if hidden:
        raise hidden[0]


@pytest.fixture
def dialogs(slicer_session):
    """What the user was told and asked; put bools into ``dialogs.answers`` to answer."""
    return slicer_session.dialogs


@pytest.fixture
def installer(slicer_session):
    """What pip was asked to install."""
    return slicer_session.installer


@pytest.fixture
def chosen_paths(slicer_session):
    """Paths that the next file dialogs return, in order; with none left the user cancels."""
    return slicer_session.chosen_paths


@pytest.fixture
def dark_theme(qt_application):
    """Slicer's dark palette for one test."""
    pictures.use_theme("dark")
    yield
    pictures.use_theme("light")


@pytest.fixture
def grab():
    """``grab(widget, path, width)`` saves a PNG of a panel at its full height."""
    return pictures.grab


@pytest.fixture
def sample_panel(scene):
    """A small panel loaded from ``sample_panel.ui``, with the scene."""
    widget = slicer.util.loadUI(str(SAMPLE_UI))
    widget.setMRMLScene(scene)
    return widget


@pytest.fixture
def sample_ui(sample_panel):
    """The small panel's named widgets."""
    return slicer.util.childWidgetVariables(sample_panel)


@pytest.fixture
def process_events(qt_application):
    """``process_events(seconds)`` lets timers and events run for a while."""
    return waiting.process_events


@pytest.fixture
def wait_until(qt_application):
    """``wait_until(condition, seconds=5)`` runs the event loop until a condition holds, and fails if it never does."""
    return waiting.wait_until
