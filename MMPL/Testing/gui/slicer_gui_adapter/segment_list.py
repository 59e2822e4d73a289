"""A table of segments: visibility, colour swatch and name."""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

import slicer
from slicer_gui_adapter.observations import Observations
from slicer_gui_adapter.qmrml_basics import MRMLWidget


class SegmentList(QtWidgets.QTableWidget):
    """The segments of one segmentation node, followed through its events."""

    EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")

    def __init__(self, parent=None):
        super().__init__(0, 3, parent)
        self._node = None
        self._observations = Observations(self)
        self.setHorizontalHeaderLabels(["", "", "Name"])
        self.verticalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        for column in (0, 1):
            self.setColumnWidth(column, 28)

    def node(self):
        return self._node

    def set_node(self, node) -> None:
        self._node = node
        self._observations.clear()
        if node is not None:
            events = [getattr(slicer.vtkSegmentation, name) for name in self.EVENTS]
            for event in events:
                self._observations.add(node.GetSegmentation(), event, "refresh")
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, "refresh")
        self.refresh()

    def segment_ids(self) -> list[str]:
        return list(self._node.GetSegmentation().GetSegmentIDs()) if self._node is not None else []

    def refresh(self) -> None:
        ids = self.segment_ids()
        self.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            segment = self._node.GetSegmentation().GetSegment(segment_id)
            swatch = QtWidgets.QTableWidgetItem()
            swatch.setIcon(_swatch(QtGui.QColor.fromRgbF(*segment.GetColor())))
            cells = (QtWidgets.QTableWidgetItem("\u25c9"), swatch, QtWidgets.QTableWidgetItem(segment.GetName()))
            for column, cell in enumerate(cells):
                self.setItem(row, column, cell)


def _swatch(color: QtGui.QColor) -> QtGui.QIcon:
    """A square that a selected row does not hide."""
    pixmap = QtGui.QPixmap(12, 12)
    pixmap.fill(color)
    return QtGui.QIcon(pixmap)


class MRMLSegmentsTableView(MRMLWidget):
    """qMRMLSegmentsTableView, as far as panels show one."""

    selectionChanged = QtCore.Signal(object, object)

    def __init__(self, parent=None):
        super().__init__(parent)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._list = SegmentList(self)
        column.addWidget(self._list)

    def segmentationNode(self):
        return self._list.node()

    def setSegmentationNode(self, node) -> None:
        self._list.set_node(node)

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted({index.row() for index in self._list.selectedIndexes()})
        return [self._list.segment_ids()[row] for row in rows]

    def setSelectedSegmentIDs(self, segment_ids) -> None:
        self._list.clearSelection()
        for segment_id in segment_ids:
            self._list.selectRow(self._list.segment_ids().index(segment_id))

    segmentCount = QtCore.Property(int, lambda self: len(self._list.segment_ids()))
