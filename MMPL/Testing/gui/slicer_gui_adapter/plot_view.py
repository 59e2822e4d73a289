"""qMRMLPlotView: the chart of a plot view node, drawn offscreen into a widget."""

from __future__ import annotations

import numpy as np
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from mmpl_slicer.pictures import chart_picture
from slicer_gui_adapter.observations import Observations
from slicer_gui_adapter.qmrml_basics import SceneWidget


class MRMLPlotView(SceneWidget):
    """Redraws itself when the view node, the chart, a series or a table changes."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._view_node, self._pixels, self._is_due = None, None, False
        self._observations = Observations(self)
        self.setMinimumSize(50, 50)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Expanding)

    def sizeHint(self):
        return QtCore.QSize(200, 150)

    def setMRMLPlotViewNode(self, node) -> None:
        self._view_node = node
        self._forget_picture()

    def fitToContent(self) -> None:
        self._forget_picture()

    def _forget_picture(self) -> None:
        """A node changed: observe what is shown now and draw it when next asked to."""
        self._observations.clear()
        for node in self._nodes():
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, "_node_changed")
        self._pixels, self._is_due = None, False
        self.update()

    def _node_changed(self) -> None:
        """Nodes change many times in one update: they are looked at once, when the event loop comes round."""
        if not self._is_due:
            self._is_due = True
            QtCore.QTimer.singleShot(0, self._forget_picture)

    def _nodes(self) -> list:
        chart = self._chart_node()
        if chart is None:
            return [self._view_node] if self._view_node is not None else []
        series = [chart.GetNthPlotSeriesNode(i) for i in range(chart.GetNumberOfPlotSeriesNodes())]
        tables = [one.GetTableNode() for one in series if one is not None]
        return [node for node in (self._view_node, chart, *series, *tables) if node is not None]

    def _chart_node(self):
        """The chart that the view node names, None without one."""
        return self._view_node.GetPlotChartNode() if self._view_node is not None else None

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.white)
        if self._chart_node() is not None:
            size = (max(1, self.width()), max(1, self.height()))
            if self._pixels is None or self._pixels.shape[1::-1] != size:
                self._pixels = np.ascontiguousarray(chart_picture(self._chart_node(), size=size))
            height, width, _ = self._pixels.shape
            form = QtGui.QImage.Format.Format_RGB888
            painter.drawImage(0, 0, QtGui.QImage(self._pixels.data, width, height, 3 * width, form))
        painter.end()
