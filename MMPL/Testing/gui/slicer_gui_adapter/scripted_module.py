"""``slicer.ScriptedLoadableModule``: base classes of a scripted module, its widget, its logic and its test."""

from __future__ import annotations

import logging
import unittest
from pathlib import Path

import slicer
from slicer_gui_adapter.qt_module import qt

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


def _resource_path(module_name: str, filename) -> str:
    return str(Path(slicer.util.modulePath(module_name)).parent / "Resources" / filename)


class ScriptedLoadableModule:
    """Fills in the module's entry in the list of modules; ``parent`` takes plain attributes."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies = "", [], []
        parent.contributors, parent.helpText, parent.acknowledgementText = [], "", ""
        parent.hidden = False

    def resourcePath(self, filename) -> str:
        return _resource_path(self.moduleName, filename)

    def getDefaultModuleDocumentationLink(self, docPage=None) -> str:
        return f'<p>See the <a href="{docPage or self.moduleName}">documentation</a>.</p>'

    def runTest(self, msec=100, **_kwargs) -> None:
        """Slicer finds <module>Test and runs it; here pytest does."""


class ScriptedLoadableModuleWidget:
    """The module's panel: ``self.parent`` is a qMRMLWidget, ``self.layout`` its column."""

    def __init__(self, parent=None):
        self.developerMode = False
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent if parent is not None else _new_parent()
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()

    def resourcePath(self, filename) -> str:
        return _resource_path(self.moduleName, filename)

    def setup(self) -> None:
        self.setupDeveloperSection()

    def setupDeveloperSection(self) -> None:
        """Shown in developer mode only, which is off."""

    def cleanup(self) -> None:
        """For subclasses."""

    def onReload(self) -> None:
        """Clean up and set the panel up again in the same place."""
        self.cleanup()
        while self.layout.count():
            widget = self.layout.takeAt(0).widget()
            if widget is not None:
                widget.deleteLater()
        self.setup()

    def onReloadAndTest(self, **_kwargs) -> None:
        self.onReload()

    def onTest(self, **_kwargs) -> None:
        """Here pytest runs the tests."""

    def onEditSource(self) -> None:
        """There is no editor to open."""


def _new_parent():
    parent = slicer.qMRMLWidget()
    parent.setLayout(qt.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    return parent


class ScriptedLoadableModuleLogic:
    """Keeps the module's parameters in one node of the scene, saved with it."""

    def __init__(self, parent=None):
        self.mrmlScene = None
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        if self.isSingletonParameterNode:
            found = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if found is not None:
                # Closing a scene keeps singletons but empties them.
                if found.GetAttribute("ModuleName") != self.moduleName:
                    found.SetAttribute("ModuleName", self.moduleName)
                return found
        else:
            every = self.getAllParameterNodes()
            if every:
                return every[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A unittest with a ``runTest`` that Slicer's "Reload and Test" calls."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None) -> None:
        logging.info(message)
        slicer.app.processEvents()

    def takeScreenshot(self, name, description, type=-1) -> None:
        """There is no screen."""

    def runTest(self) -> None:
        """For subclasses."""
