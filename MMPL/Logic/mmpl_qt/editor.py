"""Slicer's Segment Editor inside the panel."""

from __future__ import annotations

import slicer
from mmpl_slicer.editing import MAX_UNDO_STATES, segment_editor_node


class Editor:
    """The embedded editor, on the segmentation and the CT that the panel has chosen.

    Parameters
    ----------
    layout : takes the editor
    """

    def __init__(self, layout):
        self.widget = slicer.qMRMLSegmentEditorWidget()
        self.widget.setMaximumNumberOfUndoStates(MAX_UNDO_STATES)
        self.widget.setSegmentationNodeSelectorVisible(False)
        self.widget.setSourceVolumeNodeSelectorVisible(False)
        self.widget.setSwitchToSegmentationsButtonVisible(False)
        self.widget.setAutoShowSourceVolumeNode(False)
        layout.addWidget(self.widget)
        self.shown = (None, None)
        self.active = False

    def show(self, segmentation, ct) -> None:
        """Edit a segmentation on a CT's grid; either may be None."""
        if (segmentation, ct) == self.shown:
            return
        self.shown = (segmentation, ct)
        if segmentation is not None:
            self._use_scene()
        self.widget.setSegmentationNode(segmentation)  # before the volume: it takes the geometry from it
        self.widget.setSourceVolumeNode(ct if segmentation is not None else None)

    def save_undo(self) -> None:
        """Keep the segments as they are for the editor's undo."""
        if self.shown[0] is not None:
            self.widget.saveStateForUndo()

    def enter(self) -> None:
        """The panel is in front: the keys are the editor's."""
        if not self.active:
            self.widget.installKeyboardShortcuts()
            self.active = True
        if self.shown[0] is not None:
            self.widget.updateWidgetFromMRML()

    def leave(self) -> None:
        """Another module is in front. The views are listened to again with the next effect that is chosen."""
        self.widget.setActiveEffect(None)
        if self.active:
            self.widget.uninstallKeyboardShortcuts()
            self.active = False
        self.widget.removeViewObservations()

    def let_go(self) -> None:
        """Before the scene goes."""
        self.widget.setActiveEffect(None)
        self.widget.setSegmentationNode(None)
        self.shown = (None, None)

    def _use_scene(self) -> None:
        self.widget.setMRMLScene(slicer.mrmlScene)
        node = segment_editor_node(slicer.mrmlScene)
        if self.widget.mrmlSegmentEditorNode() is not node:
            self.widget.setMRMLSegmentEditorNode(node)
