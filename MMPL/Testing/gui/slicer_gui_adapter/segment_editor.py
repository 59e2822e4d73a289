"""qMRMLSegmentEditorWidget: looks like the real one, undoes with the real segment editor logic, paints nothing."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

import slicer
from slicer_gui_adapter.qmrml_basics import MRMLNodeComboBox, MRMLWidget
from slicer_gui_adapter.segment_list import SegmentList

EFFECTS = (
    "Paint",
    "Erase",
    "Scissors",
    "Draw",
    "Fill between slices",
    "Grow from seeds",
    "Hollow",
    "Islands",
    "Level tracing",
    "Logical operators",
    "Margin",
    "Mask volume",
    "Smoothing",
    "Threshold",
)
WIDTH_ASKED_FOR = 369  # measured in Slicer 5.12


class SegmentEffect(QtCore.QObject):
    """An effect that can be chosen; its name is a property as in Slicer."""

    def __init__(self, name: str, parent):
        super().__init__(parent)
        self._name = name

    name = QtCore.Property(str, lambda self: self._name)


def _switch(part: str):
    """A property that shows or hides a part of the editor."""

    def change(self, shown: bool) -> None:
        self._parts[part].setVisible(shown)

    return QtCore.Property(bool, lambda self: not self._parts[part].isHidden(), change), change


class MRMLSegmentEditorWidget(MRMLWidget):
    """The embedded editor; effects can be chosen but only scripts change voxels."""

    segmentationNodeChanged = QtCore.Signal(object)
    sourceVolumeNodeChanged = QtCore.Signal(object)
    currentSegmentIDChanged = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._effects = [SegmentEffect(name, self) for name in EFFECTS]
        self._active, self._shortcuts, self._observes_views = None, False, False
        self._parts: dict[str, QtWidgets.QWidget] = {}
        self._build()

    def _build(self) -> None:
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(4, 4, 4, 4)
        self._segmentations = self._selector(grid, 0, "Segmentation:", "vtkMRMLSegmentationNode", "segmentation")
        self._volumes = self._selector(grid, 1, "Source volume:", "vtkMRMLScalarVolumeNode", "source")
        self._segmentations.currentNodeChanged.connect(self._segmentation_chosen)
        self._volumes.currentNodeChanged.connect(self._volume_chosen)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self._buttons("segment buttons", ("Add", "Remove")), 2)
        row.addWidget(self._buttons("show 3D", ("Show 3D",)), 1)
        row.addWidget(self._buttons("switch", ("\u2192",)))
        grid.addLayout(row, 2, 0, 1, 3)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self._effect_box(), 3, 0)
        self._list = SegmentList(self)
        self._list.currentCellChanged.connect(lambda row, *_: self._segment_chosen(row))
        grid.addWidget(self._list, 3, 1, 2, 2)
        undo_box = self._buttons("undo", ("\u21b6", "\u21b7"))
        self._undo_button, self._redo_button = undo_box.findChildren(QtWidgets.QPushButton)
        self._undo_button.clicked.connect(self.undo)
        self._redo_button.clicked.connect(self.redo)
        grid.addWidget(undo_box, 4, 0)
        self._show_undo_state()

    def _selector(self, grid, row: int, label: str, node_type: str, part: str) -> MRMLNodeComboBox:
        box = QtWidgets.QWidget(self)
        line = QtWidgets.QHBoxLayout(box)
        line.setContentsMargins(0, 0, 0, 0)
        combo = MRMLNodeComboBox(box)
        combo.setProperty("noneEnabled", True)
        combo.setProperty("nodeTypes", [node_type])
        line.addWidget(QtWidgets.QLabel(label, box))
        line.addWidget(combo, 1)
        grid.addWidget(box, row, 0, 1, 3)
        self._parts[part] = box
        return combo

    def _buttons(self, part: str, texts) -> QtWidgets.QWidget:
        box = QtWidgets.QWidget(self)
        line = QtWidgets.QHBoxLayout(box)
        line.setContentsMargins(0, 0, 0, 0)
        for text in texts:
            button = QtWidgets.QPushButton(text, box)
            button.setMinimumWidth(30)
            line.addWidget(button)
        self._parts[part] = box
        return box

    def _effect_box(self) -> QtWidgets.QWidget:
        box = QtWidgets.QFrame(self)
        box.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        grid = QtWidgets.QGridLayout(box)
        grid.setSpacing(2)
        for i, name in enumerate(EFFECTS):
            button = QtWidgets.QToolButton(box)
            button.setText(name[:2])
            button.setToolTip(name)
            button.setFixedSize(28, 28)
            button.clicked.connect(lambda _=False, name=name: self.setActiveEffectByName(name))
            grid.addWidget(button, i // 2, i % 2)
        return box

    def sizeHint(self):
        return QtCore.QSize(WIDTH_ASKED_FOR, max(380, super().sizeHint().height()))

    def minimumSizeHint(self):
        return self.sizeHint()

    # Nodes

    def _scene_was_set(self) -> None:
        self._logic.SetMRMLScene(self.mrmlScene())
        self._segmentations.setMRMLScene(self.mrmlScene())
        self._volumes.setMRMLScene(self.mrmlScene())
        if self.segmentationNode() is None and self.mrmlSegmentEditorNode() is not None:
            self.setSegmentationNode(self.mrmlSegmentEditorNode().GetSegmentationNode())

    def setMRMLSegmentEditorNode(self, node) -> None:
        self._logic.SetSegmentEditorNode(node)
        if node is not None:
            self.setSegmentationNode(node.GetSegmentationNode())

    def mrmlSegmentEditorNode(self):
        return self._logic.GetSegmentEditorNode()

    def setSegmentationNode(self, node) -> None:
        self._segmentations.setCurrentNode(node)

    def setSegmentationNodeID(self, node_id: str) -> None:
        self._segmentations.setCurrentNodeID(node_id)

    def segmentationNode(self):
        return self._segmentations.currentNode()

    def segmentationNodeID(self) -> str:
        return self._segmentations.property("currentNodeID")

    def _segmentation_chosen(self, node) -> None:
        self._logic.SetSegmentationNode(node)
        self._list.set_node(node)
        if self._list.segment_ids():
            self._list.selectRow(0)
        self._show_undo_state()
        self.segmentationNodeChanged.emit(node)

    def setSourceVolumeNode(self, node) -> None:
        self._volumes.setCurrentNode(node)

    def setSourceVolumeNodeID(self, node_id: str) -> None:
        self._volumes.setCurrentNodeID(node_id)

    def sourceVolumeNode(self):
        return self._volumes.currentNode()

    def sourceVolumeNodeID(self) -> str:
        return self._volumes.property("currentNodeID")

    def _volume_chosen(self, node) -> None:
        self._logic.SetSourceVolumeNode(node)
        self.sourceVolumeNodeChanged.emit(node)

    # Segments

    def currentSegmentID(self) -> str:
        ids, row = self._list.segment_ids(), self._list.currentRow()
        return ids[row] if 0 <= row < len(ids) else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        ids = self._list.segment_ids()
        self._list.selectRow(ids.index(segment_id)) if segment_id in ids else self._list.clearSelection()

    def _segment_chosen(self, row: int) -> None:
        segment_id = self.currentSegmentID()
        if row >= 0 and self.mrmlSegmentEditorNode() is not None:
            self._logic.SetCurrentSegmentID(segment_id)
        self.currentSegmentIDChanged.emit(segment_id)

    # Effects

    def activeEffect(self):
        return self._active

    def setActiveEffect(self, effect) -> None:
        self._active = effect
        node = self.mrmlSegmentEditorNode()
        if node is not None:
            node.SetActiveEffectName(effect.property("name") if effect is not None else "")

    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    def effectByName(self, name: str):
        return next((effect for effect in self._effects if effect.property("name") == name), None)

    def availableEffectNames(self) -> list[str]:
        return list(EFFECTS)

    def effectCount(self) -> int:
        return len(EFFECTS)

    # Undo

    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()
        self._show_undo_state()

    def undo(self) -> None:
        self._logic.Undo()
        self._show_undo_state()

    def redo(self) -> None:
        self._logic.Redo()
        self._show_undo_state()

    def _show_undo_state(self) -> None:
        self._undo_button.setEnabled(self._logic.CanUndo())
        self._redo_button.setEnabled(self._logic.CanRedo())

    def setMaximumNumberOfUndoStates(self, number: int) -> None:
        self._logic.SetMaximumNumberOfUndoStates(number)

    def setUndoEnabled(self, enabled: bool) -> None:
        self._parts["undo"].setVisible(enabled)

    # Shortcuts and views; what was asked is kept for tests

    def installKeyboardShortcuts(self, _parent=None) -> None:
        self._shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self._shortcuts = False

    def setupViewObservations(self) -> None:
        self._observes_views = True

    def removeViewObservations(self) -> None:
        self._observes_views = False

    def setAutoShowSourceVolumeNode(self, _shown: bool) -> None:
        """Slice views are not part of the editor here."""

    def updateWidgetFromMRML(self) -> None:
        self._list.refresh()
        self._show_undo_state()

    def setEffectNameOrder(self, _names) -> None:
        """The order of the buttons is fixed here."""

    segmentationNodeSelectorVisible, setSegmentationNodeSelectorVisible = _switch("segmentation")
    sourceVolumeNodeSelectorVisible, setSourceVolumeNodeSelectorVisible = _switch("source")
    switchToSegmentationsButtonVisible, setSwitchToSegmentationsButtonVisible = _switch("switch")
    addRemoveSegmentButtonsVisible, setAddRemoveSegmentButtonsVisible = _switch("segment buttons")
    show3DButtonVisible, setShow3DButtonVisible = _switch("show 3D")
    maximumNumberOfUndoStates = QtCore.Property(
        int, lambda self: self._logic.GetMaximumNumberOfUndoStates(), setMaximumNumberOfUndoStates
    )
