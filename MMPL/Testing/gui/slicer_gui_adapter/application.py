"""``slicer.app`` and its layout manager, reduced to what a panel may ask of them."""

from __future__ import annotations

from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

import slicer
from slicer_gui_adapter.contract import names

VERSION = (5, 12)


class _Contracted:
    """Says of a name that it lacks whether Slicer has it."""

    _list = ""

    def __getattr__(self, name):
        if name.startswith("__") or name not in names(self._list):
            raise AttributeError(f"{self._list} has no {name} in Slicer")
        raise AttributeError(f"{self._list}.{name} exists in Slicer but has no substitute: add one to application.py")


class SliceWidget:
    """What ``layoutManager().sliceWidget(name)`` gives: a slice node with its logic."""

    def __init__(self, logic):
        self._logic = logic

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()


class LayoutManager(_Contracted):
    """Three slice views that exist as nodes and logics only, made when first asked for."""

    _list = "slicer.app.layoutManager"

    def __init__(self, application_logic):
        self._application_logic = application_logic
        self._logic = None
        self._slices: dict[str, SliceWidget] = {}

    def sliceViewNames(self) -> tuple[str, ...]:
        return ("Red", "Green", "Yellow")

    def sliceWidget(self, name: str) -> SliceWidget | None:
        if name not in self.sliceViewNames():
            return None
        held = self._slices.get(name)
        if held is None or held.mrmlSliceNode() is None:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            logic.SetMRMLScene(slicer.mrmlScene)
            logic.AddSliceNode(name)
            self._application_logic.GetSliceLogics().AddItem(logic)
            held = self._slices[name] = SliceWidget(logic)
        return held

    def mrmlSliceLogics(self):
        return self._application_logic.GetSliceLogics()

    def layoutLogic(self):
        if self._logic is None:
            self._logic = slicer.vtkMRMLLayoutLogic()
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic

    @property
    def layout(self) -> int:
        node = self.layoutLogic().GetLayoutNode()
        return node.GetViewArrangement() if node is not None else 0

    def setLayout(self, layout: int) -> None:
        self.layoutLogic().GetLayoutNode().SetViewArrangement(layout)

    def resetSliceViews(self) -> None:
        for held in self._slices.values():
            held.sliceLogic().FitSliceToBackground()

    def _close(self) -> None:
        """Take every view out of the scene again."""
        made = [self._logic.GetLayoutNode()] if self._logic is not None else []
        for held in self._slices.values():
            logic = held.sliceLogic()
            plane = logic.GetSliceModelNode()
            made += [logic.GetSliceNode(), logic.GetSliceCompositeNode(), logic.GetSliceDisplayNode(), plane]
            made += [plane.GetParentTransformNode()] if plane is not None else []
            self._application_logic.GetSliceLogics().RemoveItem(logic)
            logic.SetMRMLScene(None)
        if self._logic is not None:
            self._logic.SetMRMLScene(None)
        for node in made:
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)

    def resetThreeDViews(self) -> None:
        """There are no 3D views here."""

    def mrmlScene(self):
        return slicer.mrmlScene


class Application(_Contracted):
    """``slicer.app``; properties are plain attributes, as PythonQt shows them."""

    _list = "slicer.app"
    applicationName = mainApplicationName = "Slicer"
    applicationVersion = f"{VERSION[0]}.{VERSION[1]}.3"
    majorVersion, minorVersion = VERSION
    releaseType, platform, os = "Stable", "linux-amd64", "linux"
    isInstalled = True

    def __init__(self, qt_application, folder: Path):
        self._qt = qt_application
        self._testing = False
        self.slicerHome = self.temporaryPath = self.cachePath = str(folder)
        self._settings = QtCore.QSettings()
        self._layout_manager = LayoutManager(self.applicationLogic())

    # Signals of the Qt application

    @property
    def aboutToQuit(self):
        return self._qt.aboutToQuit

    @property
    def paletteChanged(self):
        return self._qt.paletteChanged

    @property
    def focusChanged(self):
        return self._qt.focusChanged

    def applicationLogic(self):
        """The logic that ``mmpl_slicer.bootstrap`` made together with the scene."""
        return slicer.modules.mmpl_application_logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def moduleLogic(self, name: str):
        module = getattr(slicer.modules, name.lower(), None)
        return module.logic() if module is not None else None

    def processEvents(self, *_args) -> None:
        self._qt.processEvents()

    def testingEnabled(self) -> bool:
        return self._testing

    def settings(self):
        return self._settings

    userSettings = revisionUserSettings = settings

    def palette(self):
        return self._qt.palette()

    def font(self):
        return self._qt.font()

    def style(self):
        return self._qt.style()

    def topLevelWidgets(self):
        return QtWidgets.QApplication.topLevelWidgets()

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def setOverrideCursor(self, shape) -> None:
        QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(shape))

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def pauseRender(self) -> None:
        """Nothing renders by itself here."""

    def resumeRender(self) -> None:
        """Nothing renders by itself here."""

    def instance(self):
        return self._qt
