"""qMRMLWidget and the node combo box."""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtWidgets

import slicer
from slicer_gui_adapter.observations import Observations


class SceneWidget(QtWidgets.QWidget):
    """A widget that is given the scene."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._scene_was_set()
        self.mrmlSceneChanged.emit(scene)

    def _scene_was_set(self) -> None:
        """For subclasses."""


class MRMLWidget(SceneWidget):
    """The root of a panel."""

    def mrmlScene(self):
        return self._scene


def _kept(kind, name: str, start):
    """A property that the list of nodes depends on."""
    key = f"_kept_{name}"

    def change(self, value):
        setattr(self, key, value)
        self._refresh()

    return QtCore.Property(kind, lambda self: getattr(self, key, start), change)


class MRMLNodeComboBox(QtWidgets.QWidget):
    """The nodes of some classes, following the scene.

    Without a "None" entry the first node is chosen as soon as there is one.
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._node_id, self._attributes = None, "", []
        self._observations = Observations(self)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._combo.setMinimumContentsLength(6)
        self._combo.activated.connect(self._activate)
        row.addWidget(self._combo)
        self._refresh()

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        self._refresh()

    def _nodes(self) -> list:
        """Nodes on offer, in scene order within a type."""
        if self._scene is None:
            return []
        every = [n for t in self.property("nodeTypes") or [] for n in slicer.util.getNodesByClass(t, self._scene)]
        return [node for node in dict.fromkeys(every) if self._offers(node)]

    def _offers(self, node) -> bool:
        types, hidden = self.property("nodeTypes") or [], self.property("hideChildNodeTypes") or []
        if node.GetHideFromEditors() and not self.property("showHidden"):
            return False
        if any(node.IsA(name) for name in hidden):
            return False
        exact = not self.property("showChildNodeTypes")
        fits = any(node.GetClassName() == name if exact else node.IsA(name) for name in types)
        return fits and all(
            node.GetAttribute(key) is not None and value in (None, node.GetAttribute(key))
            for class_name, key, value in self._attributes
            if node.IsA(class_name)
        )

    def _refresh(self) -> None:
        """Read the scene again, keep the choice if it is still there."""
        self._observe()
        nodes = self._nodes()
        ids = [node.GetID() for node in nodes]
        self._combo.clear()
        if self.property("noneEnabled"):
            self._combo.addItem(self.property("noneDisplay"), "")
        for node in nodes:
            self._combo.addItem(node.GetName(), node.GetID())
        keep = self._node_id if self._node_id in ids else ""
        if not keep and ids and not self.property("noneEnabled"):
            keep = ids[0]
        self._choose(keep)

    def _observe(self) -> None:
        self._observations.clear()
        if self._scene is None:
            return
        events = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent", "EndBatchProcessEvent")
        # before a node goes, after those who listen with normal priority: Qt then chooses the row that takes its place
        self._observations.add(self._scene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, "_row_goes", -10.0)
        for event in events:
            self._observations.add(self._scene, getattr(slicer.vtkMRMLScene, event), "_refresh")
        for node in self._nodes():
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, "_refresh_names")

    def _row_goes(self, node) -> None:
        ids = [one.GetID() for one in self._nodes()]
        if node is None or node.GetID() != self._node_id or self._node_id not in ids:
            return
        at = ids.index(self._node_id)
        left = ids[at + 1 : at + 2] or ids[:at][-1:]
        self._choose(left[0] if left else "")

    def _refresh_names(self) -> None:
        for node in self._nodes():
            index = self._combo.findData(node.GetID())
            if index < 0:
                self._refresh()
                return
            if self._combo.itemText(index) != node.GetName():
                self._combo.setItemText(index, node.GetName())
                if node.GetID() == self._node_id:
                    self.currentNodeRenamed.emit(node.GetName())

    def _choose(self, node_id: str) -> None:
        self._combo.setCurrentIndex(self._combo.findData(node_id))
        if node_id == self._node_id:
            return
        self._node_id = node_id
        self.currentNodeChanged.emit(self.currentNode())
        self.currentNodeIDChanged.emit(node_id)

    def _activate(self, index: int) -> None:
        self._choose(self._combo.itemData(index))
        self.nodeActivated.emit(self.currentNode())

    def currentNode(self):
        return self._scene.GetNodeByID(self._node_id) if self._scene is not None and self._node_id else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        known = node_id if node_id and self._combo.findData(node_id) >= 0 else ""
        self._choose(known)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self._nodes()[index])

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int):
        return self._nodes()[index]

    def addNode(self, node_type: str = ""):
        node = self._scene.AddNewNodeByClass(node_type or self.property("nodeTypes")[0], self.property("baseName"))
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, node_type: str, name: str, value: str | None = None) -> None:
        self._attributes.append((node_type, name, value))
        self._refresh()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [held for held in self._attributes if held[:2] != (node_type, name)]
        self._refresh()

    nodeTypes = _kept("QStringList", "nodeTypes", [])
    hideChildNodeTypes = _kept("QStringList", "hideChildNodeTypes", [])
    showChildNodeTypes = _kept(bool, "showChildNodeTypes", True)
    showHidden = _kept(bool, "showHidden", False)
    noneEnabled = _kept(bool, "noneEnabled", False)
    noneDisplay = _kept(str, "noneDisplay", "None")
    addEnabled = _kept(bool, "addEnabled", True)
    removeEnabled = _kept(bool, "removeEnabled", True)
    renameEnabled = _kept(bool, "renameEnabled", False)
    editEnabled = _kept(bool, "editEnabled", False)
    selectNodeUponCreation = _kept(bool, "selectNodeUponCreation", True)
    baseName = _kept(str, "baseName", "")
    currentNodeID = QtCore.Property(str, lambda self: self._node_id, setCurrentNodeID, notify=currentNodeIDChanged)
