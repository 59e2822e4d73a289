"""Pictures of a case without a screen: fused slices with outlines, 3D surfaces, the RFS chart.

Slices follow the radiological convention: the patient's right is on the left of the picture, seen from the
feet (axial) or from the front (coronal); sagittal slices look to the left of the picture, anterior left.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import vtk

import slicer
from mmpl_slicer.bootstrap import application_logic
from mmpl_slicer.offscreen import offscreen_window, window_pixels, write_png
from mmpl_slicer.segmentation import show_closed_surface
from mmpl_slicer.volumes import ijk_to_ras, ras_from_lps, volume_from_node, vtk_matrix

ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
EDGE_LETTERS = {"Axial": "RLAP", "Coronal": "RLSI", "Sagittal": "APSI"}  # left, right, top, bottom
SKIN_HU = -300.0
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
PET_OPACITY = 0.4


def slice_picture(
    scene,
    ct_node,
    pet_node,
    orientation: str,
    point_lps,
    *,
    size: tuple[int, int] = (480, 480),
    field_of_view_mm: float = 240.0,
    pet_opacity: float = PET_OPACITY,
) -> np.ndarray:
    """PET over CT with the outlines of every visible segmentation.

    Parameters
    ----------
    scene : vtkMRMLScene
    ct_node, pet_node : vtkMRMLScalarVolumeNode; ``pet_node`` may be None
    orientation : "Axial", "Coronal" or "Sagittal"
    point_lps : position at the picture's centre, LPS mm
    size : (width, height) pixels
    field_of_view_mm : width of the picture
    pet_opacity : 0 (CT only) to 1 (PET only)

    Returns
    -------
    uint8 array of shape (height, width, 3), first row at the top

    Raises
    ------
    RenderingError
        If this computer cannot draw without a screen.
    """
    window = offscreen_window(size)
    with _slice_logic(scene, f"MMPL{orientation}") as logic:
        _show_layers(logic, ct_node, pet_node, pet_opacity)
        _aim(logic.GetSliceNode(), orientation, point_lps, size, field_of_view_mm)
        renderer = vtk.vtkRenderer()
        renderer.SetBackground(*BLACK)
        window.AddRenderer(renderer)
        # Before the displayable managers: added after, segment fill would blend with black.
        renderer.AddViewProp(_image_actor(logic))
        manager_class = slicer.vtkMRMLSegmentationsDisplayableManager2D
        with _displayable_manager(renderer, logic.GetSliceNode(), manager_class):
            for actor in _edge_letters(orientation, size):
                renderer.AddViewProp(actor)
            return window_pixels(window)


def surface_picture(
    scene, segmentation_node, ct_node=None, *, size: tuple[int, int] = (480, 480), view_lps=(0.5, -1.0, 0.15)
) -> np.ndarray:
    """Closed surfaces of the segments in 3D, seen from the patient's front left, skin as a veil.

    Parameters
    ----------
    scene : vtkMRMLScene
    segmentation_node : vtkMRMLSegmentationNode; its closed surfaces are made when absent
    ct_node : CT for the skin, None for none
    size : (width, height) pixels
    view_lps : direction from the patient to the eye, LPS

    Returns
    -------
    uint8 array of shape (height, width, 3), first row at the top

    Raises
    ------
    RenderingError
        If this computer cannot draw without a screen.
    """
    window = offscreen_window(size)
    show_closed_surface(segmentation_node)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(*WHITE)
    renderer.SetUseDepthPeeling(True)
    window.SetAlphaBitPlanes(True)
    window.AddRenderer(renderer)
    if ct_node is not None:
        renderer.AddActor(_skin_actor(ct_node))
    manager_class = slicer.vtkMRMLSegmentationsDisplayableManager3D
    with (
        _view_node(scene, "MMPLSurfaces") as view_node,
        _displayable_manager(renderer, view_node, manager_class),
    ):
        _place_camera(renderer, view_lps)
        return window_pixels(window)


def chart_picture(chart_node, *, size: tuple[int, int] = (720, 480)) -> np.ndarray:
    """A plot chart node drawn as Slicer's plot view draws it.

    Parameters
    ----------
    chart_node : vtkMRMLPlotChartNode
    size : (width, height) pixels

    Returns
    -------
    uint8 array of shape (height, width, 3), first row at the top

    Raises
    ------
    RenderingError
        If this computer cannot draw without a screen.
    """
    window = offscreen_window(size)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(*WHITE)
    window.AddRenderer(renderer)
    # Not a vtkContextView, which would open a window of its own on a screen that is not there.
    canvas = vtk.vtkContextActor()
    canvas.GetScene().SetRenderer(renderer)
    canvas.GetScene().AddItem(_chart(chart_node))
    renderer.AddActor(canvas)
    return window_pixels(window)


def write_case_pictures(scene, nodes, point_lps, folder: str | Path) -> dict[str, Path]:
    """Write the three slices through a point, the surfaces and the RFS chart as PNG files.

    Parameters
    ----------
    scene : vtkMRMLScene
    nodes : CaseNodes of ``mmpl_slicer.demo_scene``
    point_lps : position of the slices, LPS mm
    folder : where the files go

    Returns
    -------
    Paths by "axial", "coronal", "sagittal", "surfaces" and "rfs"

    Raises
    ------
    RenderingError
        If this computer cannot draw without a screen.
    OutputError
        If a file cannot be written.
    """
    pictures = {
        orientation.lower(): slice_picture(scene, nodes.ct, nodes.pet, orientation, point_lps)
        for orientation in ORIENTATIONS
    }
    pictures["surfaces"] = surface_picture(scene, nodes.segmentation, nodes.ct)
    pictures["rfs"] = chart_picture(nodes.results.chart)
    return {name: write_png(pixels, Path(folder) / f"{name}.png") for name, pixels in pictures.items()}


@contextmanager
def _slice_logic(scene, layout_name: str):
    """A slice view's logic with nodes of its own, which leave the scene again."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application_logic())
    logic.SetMRMLScene(scene)
    logic.AddSliceNode(layout_name)
    logics = application_logic().GetSliceLogics()
    logics.AddItem(logic)
    try:
        yield logic
    finally:
        plane = logic.GetSliceModelNode()
        made = [logic.GetSliceNode(), logic.GetSliceCompositeNode(), logic.GetSliceDisplayNode(), plane]
        made.append(plane.GetParentTransformNode() if plane is not None else None)
        logics.RemoveItem(logic)
        logic.SetMRMLScene(None)
        for node in made:
            if node is not None and scene.IsNodePresent(node):
                scene.RemoveNode(node)


@contextmanager
def _view_node(scene, layout_name: str):
    node = slicer.vtkMRMLViewNode()
    node.SetLayoutName(layout_name)
    node.SetSingletonTag(layout_name)
    node = scene.AddNode(node)
    try:
        yield node
    finally:
        scene.RemoveNode(node)


def _show_layers(logic, ct_node, pet_node, pet_opacity: float) -> None:
    composite = logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(ct_node.GetID())
    composite.SetForegroundVolumeID(pet_node.GetID() if pet_node is not None else None)
    composite.SetForegroundOpacity(pet_opacity)


def _aim(slice_node, orientation: str, point_lps, size, field_of_view_mm: float) -> None:
    width, height = size
    slice_node.SetOrientation(orientation)
    slice_node.SetDimensions(width, height, 1)
    slice_node.SetFieldOfView(field_of_view_mm, field_of_view_mm * height / width, 1.0)
    slice_node.JumpSliceByCentering(*ras_from_lps(point_lps))
    slice_node.UpdateMatrices()


def _image_actor(logic) -> vtk.vtkActor2D:
    """The blended layers; the connection is taken after the layers are set, since it changes with them."""
    logic.UpdatePipeline()
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    return actor


@contextmanager
def _displayable_manager(renderer, view_node, manager_class):
    """Let one displayable manager draw the scene of a view node; it lets go before the view node goes."""
    manager = manager_class()
    manager.SetMRMLApplicationLogic(application_logic())
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.AddDisplayableManager(manager)
    group.SetMRMLDisplayableNode(view_node)
    try:
        yield
    finally:
        group.SetMRMLDisplayableNode(None)
        renderer.GetRenderWindow().Finalize()


def _edge_letters(orientation: str, size: tuple[int, int]) -> list[vtk.vtkTextActor]:
    """Letters of the patient's sides at the middle of the picture's edges."""
    width, height = size
    left, right, top, bottom = EDGE_LETTERS[orientation]
    return [
        _letter(left, 16, height // 2),
        _letter(right, width - 16, height // 2),
        _letter(top, width // 2, height - 16),
        _letter(bottom, width // 2, 16),
    ]


def _letter(text: str, x: int, y: int) -> vtk.vtkTextActor:
    actor = vtk.vtkTextActor()
    actor.SetInput(text)
    actor.SetPosition(x, y)
    style = actor.GetTextProperty()
    style.SetColor(1.0, 0.9, 0.2)
    style.SetFontSize(18)
    style.SetBold(True)
    style.SetJustificationToCentered()
    style.SetVerticalJustificationToCentered()
    return actor


def _skin_actor(ct_node) -> vtk.vtkActor:
    """A veil at the air-skin border of a CT, at half the in-plane resolution."""
    volume = volume_from_node(ct_node)
    image = vtk.vtkImageData()
    image.ShallowCopy(ct_node.GetImageData())
    shrink = vtk.vtkImageShrink3D()
    shrink.SetInputData(image)
    shrink.SetShrinkFactors(*_shrink_factors(volume.geometry.spacing_mm))
    surface = vtk.vtkFlyingEdges3D()
    surface.SetInputConnection(shrink.GetOutputPort())
    surface.SetValue(0, SKIN_HU)
    place = vtk.vtkTransform()
    place.SetMatrix(vtk_matrix(ijk_to_ras(volume.geometry)))
    to_ras = vtk.vtkTransformPolyDataFilter()
    to_ras.SetInputConnection(surface.GetOutputPort())
    to_ras.SetTransform(place)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(to_ras.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(0.8, 0.72, 0.65)
    actor.GetProperty().SetOpacity(0.2)
    return actor


def _shrink_factors(spacing_mm) -> list[int]:
    """Whole factors that bring each axis to about 3 mm."""
    return [max(1, round(3.0 / s)) for s in spacing_mm]


def _place_camera(renderer, view_lps) -> None:
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(0.0, 0.0, 0.0)
    camera.SetPosition(*ras_from_lps(view_lps))
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.SetViewAngle(30.0)
    renderer.ResetCamera()
    camera.Zoom(1.1)


def _chart(chart_node) -> vtk.vtkChartXY:
    chart = vtk.vtkChartXY()
    chart.SetTitle(chart_node.GetTitle() or "")
    chart.GetTitleProperties().SetFontSize(18)
    chart.SetShowLegend(chart_node.GetLegendVisibility())
    for i in range(chart_node.GetNumberOfPlotSeriesNodes()):
        _add_plot(chart, chart_node.GetNthPlotSeriesNode(i))
    _title_axis(chart.GetAxis(vtk.vtkAxis.BOTTOM), chart_node.GetXAxisTitle(), chart_node.GetGridVisibility())
    left = chart.GetAxis(vtk.vtkAxis.LEFT)
    _title_axis(left, chart_node.GetYAxisTitle(), chart_node.GetGridVisibility())
    if not chart_node.GetYAxisRangeAuto():
        left.SetBehavior(vtk.vtkAxis.FIXED)
        left.SetRange(*chart_node.GetYAxisRange())
    return chart


def _add_plot(chart, series) -> None:
    plot = chart.AddPlot(vtk.vtkChart.LINE)
    table = series.GetTableNode().GetTable()
    plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
    plot.SetLabel(series.GetName())
    plot.SetColorF(*series.GetColor())
    plot.SetWidth(series.GetLineWidth())
    plot.GetPen().SetLineType(series.GetLineStyle())


def _title_axis(axis, title: str | None, grid: bool) -> None:
    axis.SetTitle(title or "")
    axis.SetGridVisible(grid)
    axis.GetTitleProperties().SetFontSize(16)
    axis.GetLabelProperties().SetFontSize(14)
