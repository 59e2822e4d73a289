"""Slicer's own plot view inside the panel."""

from __future__ import annotations

import slicer

VIEW_TAG = "MMPL"


class RfsPlot:
    """Shows one chart; its view node is made when there is something to show.

    Parameters
    ----------
    layout : takes the view
    """

    def __init__(self, layout):
        self.view = slicer.qMRMLPlotView()
        self.view.setMRMLScene(slicer.mrmlScene)
        self.view.setMinimumHeight(230)
        layout.addWidget(self.view)
        self.shown = None

    def show(self, chart_id: str) -> None:
        """Show a chart, "" for none."""
        view_node = self._view_node() if chart_id else None
        if view_node is not None and view_node.GetPlotChartNodeID() != chart_id:
            view_node.SetPlotChartNodeID(chart_id)
        if view_node is not self.shown:
            self.shown = view_node
            self.view.setMRMLPlotViewNode(view_node)

    def let_go(self) -> None:
        """Before the scene goes."""
        self.view.setMRMLPlotViewNode(None)
        self.shown = None

    def _view_node(self):
        node = slicer.mrmlScene.GetSingletonNode(VIEW_TAG, "vtkMRMLPlotViewNode")
        if node is None:
            node = slicer.vtkMRMLPlotViewNode()
            node.SetSingletonTag(VIEW_TAG)
            node.SetLayoutName(VIEW_TAG)
            node.SetName("MMPL RFS")
            node.SetHideFromEditors(True)
            node = slicer.mrmlScene.AddNode(node)
        # Slicer shows whatever chart was made last in every plot view, unless told not to
        node.SetDoPropagatePlotChartSelection(False)
        return node
