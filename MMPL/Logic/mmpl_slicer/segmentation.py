"""Label maps and editable segments: GTVp and GTVn, named, coloured and coded, on the CT's grid."""

from __future__ import annotations

import numpy as np
import vtk

import slicer
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS, SegmentSpec
from mmpl_slicer.oriented_images import mask_on_grid, oriented_image
from mmpl_slicer.segment_mapping import mapping_by_name
from mmpl_slicer.subject_hierarchy import place_beside
from mmpl_slicer.volumes import array_from_vtk_matrix, from_world, geometry_of_node, to_world, vtk_matrix

TERMINOLOGY_TAG = "TerminologyEntry"
GRID_TOLERANCE_MM = 1e-3


def create_segmentation(label_map: Volume, ct_node, scene, name: str = "MMPL segmentation"):
    """Add a segmentation with the segments GTVp and GTVn; a class without voxels is ready to be painted.

    Parameters
    ----------
    label_map : Volume of uint8, 1 = GTVp, 2 = GTVn, on the CT's grid
    ct_node : vtkMRMLScalarVolumeNode, whose geometry the segmentation takes
    scene : vtkMRMLScene
    name : name of the node

    Returns
    -------
    vtkMRMLSegmentationNode, beside the CT in the subject hierarchy

    Raises
    ------
    GeometryError
        If the label map does not lie on the CT's grid.
    InputError
        If the label map holds a value that is not 0, 1 or 2.
    """
    _check_label_map(label_map, ct_node)
    node = empty_segmentation(ct_node, scene, name)
    _fill(node, label_map)
    return node


def empty_segmentation(ct_node, scene, name: str):
    """Add a segmentation on the CT's grid and beside it, whose GTVp and GTVn are ready to be painted."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
    node.SetSourceRepresentationToBinaryLabelmap()
    for spec in SEGMENTS.values():
        add_segment(node, spec)
    _style(node.GetDisplayNode())
    place_beside(scene, node, ct_node)
    return node


def add_segment(segmentation_node, spec: SegmentSpec) -> str:
    """Add the empty segment of one class, named, coloured and coded; returns its ID."""
    segmentation = segmentation_node.GetSegmentation()
    segment_id = segmentation.AddEmptySegment(spec.id, spec.name, spec.color)
    segmentation.GetSegment(segment_id).SetTag(TERMINOLOGY_TAG, spec.terminology_tag)
    return segment_id


def update_segmentation(segmentation_node, label_map: Volume, ct_node) -> None:
    """Replace the voxels of GTVp and GTVn, adding a segment that is missing; other segments stay.

    Raises
    ------
    GeometryError, InputError
        As ``create_segmentation``.
    """
    _check_label_map(label_map, ct_node)
    for spec in SEGMENTS.values():
        if find_segment(segmentation_node, spec) is None:
            add_segment(segmentation_node, spec)
    _fill(segmentation_node, label_map)


def find_segment(segmentation_node, spec: SegmentSpec) -> str | None:
    """ID of a class's segment: by name, else by MMPL's ID, as ``mapping_by_name`` has it; None when absent."""
    own = [i for i, label in mapping_by_name(segmentation_node).items() if label == spec.label]
    return spec.id if spec.id in own else next(iter(own), None)


def label_map_from_segmentation(segmentation_node, reference_volume_node) -> Volume:
    """GTVp and GTVn on a volume's grid; where segments overlap, GTVp wins.

    Parameters
    ----------
    segmentation_node : vtkMRMLSegmentationNode; a missing class counts as empty, other segments are ignored
    reference_volume_node : vtkMRMLScalarVolumeNode that gives the grid, normally the CT

    Returns
    -------
    Volume of uint8, 1 = GTVp, 2 = GTVn

    Raises
    ------
    InputError
        If the segmentation has neither a GTVp nor a GTVn segment.
    """
    found = {spec.label: find_segment(segmentation_node, spec) for spec in SEGMENTS.values()}
    if not any(found.values()):
        names = " or ".join(spec.name for spec in SEGMENTS.values())
        raise InputError(
            f"segmentation {segmentation_node.GetName()!r} has no segment named {names}: rename or add one"
        )
    geometry = geometry_of_node(reference_volume_node)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for label in sorted(found, reverse=True):
        if found[label]:
            labels[segment_mask(segmentation_node, found[label], geometry)] = label
    return Volume(labels, geometry)


def segment_mask(segmentation_node, segment_id: str, geometry: Geometry) -> np.ndarray:
    """One segment on a grid (world LPS), bool array of shape (z, y, x); nothing where it is empty."""
    image = slicer.vtkOrientedImageData()
    # Not the logic's GetSegmentBinaryLabelmapRepresentation: it returns neighbours of a shared layer too.
    if not segmentation_node.GetBinaryLabelmapRepresentation(segment_id, image):
        return np.zeros(geometry.shape, dtype=bool)
    move_to_world(image, segmentation_node)
    return mask_on_grid(image, geometry)


def show_closed_surface(segmentation_node) -> None:
    """Make the 3D surfaces of all segments and show them."""
    segmentation_node.CreateClosedSurfaceRepresentation()
    display = segmentation_node.GetDisplayNode()
    display.SetPreferredDisplayRepresentationName3D(
        slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    )
    display.SetVisibility3D(True)


def _fill(segmentation_node, label_map: Volume) -> None:
    for spec in SEGMENTS.values():
        image = oriented_image(label_map.array == spec.label, label_map.geometry)
        move_from_world(image, segmentation_node)
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
            image,
            segmentation_node,
            find_segment(segmentation_node, spec),
            slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE,
        )


def move_to_world(image, segmentation_node) -> None:
    """Apply the segmentation's linear parent transform to one of its images."""
    if segmentation_node.GetParentTransformNode() is not None:
        _move(image, to_world(segmentation_node))


def move_from_world(image, segmentation_node) -> None:
    """Undo the segmentation's linear parent transform on an image that is to become one of its own.

    Raises
    ------
    GeometryError
        If the transform is not linear, or makes all flat.
    """
    if segmentation_node.GetParentTransformNode() is not None:
        _move(image, from_world(segmentation_node))


def _move(image, by: np.ndarray) -> None:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(vtk_matrix(by @ array_from_vtk_matrix(matrix)))


def _style(display) -> None:
    """Outlines that stay readable over a fused PET/CT: a firm line round the voxels, a faint fill."""
    display.SetOpacity2DOutline(1.0)
    display.SetOpacity2DFill(0.15)
    display.SetSliceIntersectionThickness(2)
    display.SetPreferredDisplayRepresentationName2D(
        slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    )


def _check_label_map(label_map: Volume, ct_node) -> None:
    grid = geometry_of_node(ct_node)
    if not label_map.geometry.is_close(grid, GRID_TOLERANCE_MM):
        raise GeometryError(
            f"label map of size {label_map.geometry.size} does not lie on the grid of {ct_node.GetName()!r}"
            f" (size {grid.size}): resample it to the CT first"
        )
    strange = sorted(set(np.unique(label_map.array).tolist()) - {0, *SEGMENTS})
    if strange:
        raise InputError(f"label map holds the values {strange}: only 0, 1 (GTVp) and 2 (GTVn) are known")
