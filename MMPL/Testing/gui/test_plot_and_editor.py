"""The plot view draws and the segment editor undoes, with Slicer's own logic underneath."""

from __future__ import annotations

import numpy as np
import pytest
import qt
from slicer_gui_adapter.peek import peek

import slicer
from mmpl.geometry import Geometry
from mmpl_slicer.editing import ball_mask, segment_editor_node
from mmpl_slicer.oriented_images import oriented_image


def test_the_plot_view_draws_its_chart(scene, chart_view, process_events):
    view, table = chart_view
    picture = pixels(view)
    assert picture.shape[:2] == (200, 300)
    assert (picture != 255).any()
    table.GetTable().GetColumnByName("y").SetTuple1(1, 0.1)
    table.GetTable().Modified()
    table.Modified()
    process_events()  # the view looks at its nodes once for many changes
    assert (pixels(view) != picture).any()


@pytest.fixture
def chart_view(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    slicer.util.updateTableFromArray(table, np.array([[0.0, 1.0], [1.0, 0.8], [2.0, 0.7]]), ["x", "y"])
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "RFS")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    view_node = scene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    view_node.SetPlotChartNodeID(chart.GetID())
    view = slicer.qMRMLPlotView()
    view.setMRMLScene(scene)
    view.setMRMLPlotViewNode(view_node)
    view.setFixedSize(300, 200)
    view.show()
    return view, table


def pixels(widget) -> np.ndarray:
    image = widget.grab().toImage().convertToFormat(qt.QImage.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def test_the_editor_undoes_a_scripted_edit(scene, edited):
    editor, segmentation, ct, paint = edited
    editor.saveStateForUndo()
    paint("GTVp")
    painted = voxels(segmentation, ct)
    assert painted > 0
    editor.undo()
    assert voxels(segmentation, ct) == 0
    editor.redo()
    assert voxels(segmentation, ct) == painted


@pytest.fixture
def edited(scene):
    """An editor on an empty GTVp, and a function that paints a ball as an effect does."""
    geometry = Geometry((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    ct = slicer.util.addVolumeFromArray(np.zeros((20, 20, 20), np.int16), np.diag([-2.0, -2.0, 2.0, 1.0]), "CT")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "contours")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    segmentation.GetSegmentation().AddEmptySegment("GTVp", "GTVp", (1.0, 0.0, 0.0))
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMaximumNumberOfUndoStates(10)
    editor.setMRMLSegmentEditorNode(segment_editor_node(scene))
    editor.setMRMLScene(scene)
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(ct)

    def paint(segment_id: str) -> None:
        ball = oriented_image(ball_mask(geometry, (20.0, 20.0, 20.0), 6.0), geometry)
        logic = peek(editor, "_logic")
        logic.ModifySegmentByLabelmap(segmentation, segment_id, ball, logic.ModificationModeAdd, False, False)

    return editor, segmentation, ct, paint


def voxels(segmentation, ct) -> int:
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "GTVp", ct)
    return 0 if array is None else int(array.sum())


def test_the_editor_lists_segments_and_effects(edited):
    editor, segmentation, ct, _ = edited
    assert editor.segmentationNode() is segmentation
    assert editor.sourceVolumeNode() is ct
    assert editor.currentSegmentID() == "GTVp"
    segmentation.GetSegmentation().AddEmptySegment("GTVn", "GTVn", (0.0, 1.0, 0.0))
    editor.setCurrentSegmentID("GTVn")
    assert editor.currentSegmentID() == "GTVn"
    editor.setActiveEffectByName("Paint")
    assert editor.activeEffect().property("name") == "Paint"
    editor.setActiveEffect(None)
    assert editor.activeEffect() is None
    editor.setSegmentationNode(None)
    assert editor.segmentationNode() is None


def test_parts_of_the_editor_can_be_hidden(edited):
    editor, *_ = edited
    editor.setSegmentationNodeSelectorVisible(False)
    editor.setSwitchToSegmentationsButtonVisible(False)
    assert not editor.property("segmentationNodeSelectorVisible")
    assert editor.property("sourceVolumeNodeSelectorVisible")
