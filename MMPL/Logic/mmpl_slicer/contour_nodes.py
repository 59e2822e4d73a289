"""Contours into the scene: the segmentation that is edited, and beside it the model's own, which nobody edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import slicer
from mmpl.geometry import Geometry
from mmpl.segments import SEGMENTS, SegmentSpec
from mmpl_slicer.contours import Contours, read_contours
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.segmentation import add_segment, empty_segmentation, find_segment, move_from_world
from mmpl_slicer.subject_hierarchy import place_beside, take_out
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE, ROLE_ATTRIBUTE
from mmpl_slicer.volumes import geometry_of_node

EDITED_ROLE, MODEL_ROLE, DRAWING_ROLE = "segmentation", "model contours", "drawing"
TAKEN_ROLE = "taken from the model"  # a segmentation of the user's own that holds, or held, contours of the model
TITLES = {EDITED_ROLE: "MMPL segmentation", MODEL_ROLE: "MMPL model contours", DRAWING_ROLE: "MMPL preview"}
OWN_CLASSES = {spec.id: label for label, spec in SEGMENTS.items()}
MODEL_FADE = 0.55  # how far the model's colours go to white: seen beside the corrected ones


def add_segmentation(scene, ct_node, case_id: str, role: str = EDITED_ROLE):
    """A new segmentation with empty GTVp and GTVn on the CT's grid; its name is new to the scene."""
    node = empty_segmentation(ct_node, scene, scene.GenerateUniqueName(f"{case_id} {TITLES[role]}"))
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetAttribute(CASE_ATTRIBUTE, case_id)
    if role != EDITED_ROLE:
        _fade(node)
    return node


def is_ours(node, case_id: str) -> bool:
    """Whether MMPL made a segmentation to be edited for this case: another patient's is none of its own."""
    if node is None or node.GetAttribute(ROLE_ATTRIBUTE) != EDITED_ROLE:
        return False
    return node.GetAttribute(CASE_ATTRIBUTE) == case_id


def is_models(node) -> bool:
    """Whether a segmentation holds what the model drew or is drawing, which nobody edits."""
    return node is not None and node.GetAttribute(ROLE_ATTRIBUTE) in (MODEL_ROLE, DRAWING_ROLE)


def is_from_model(node, case_id: str) -> bool:
    """Whether the model's contours of this case were put into a segmentation, whatever has become of them since."""
    if node is None or node.GetAttribute(ROLE_ATTRIBUTE) not in (EDITED_ROLE, TAKEN_ROLE):
        return False
    return node.GetAttribute(CASE_ATTRIBUTE) == case_id


def give_away(node, case_id: str) -> None:
    """Make a segmentation with contours of a case's model the user's own: nothing of ours is done with it."""
    node.SetAttribute(ROLE_ATTRIBUTE, TAKEN_ROLE)
    node.SetAttribute(CASE_ATTRIBUTE, case_id)


def set_contours(node, contours: Contours, ct: Geometry, labels: Iterable[int] = tuple(SEGMENTS)) -> None:
    """Replace the voxels of MMPL's own segments of some classes; one that was deleted is made again.

    Raises
    ------
    GeometryError
        If the segmentation lies under a non-linear transform.
    """
    for label in labels:
        set_segment(node, _segment_of(node, SEGMENTS[label]), contours, ct, label)


def _segment_of(node, spec: SegmentSpec) -> str:
    """The segment of a class, made where it is missing; of the model's own, the one with its ID, whatever its name."""
    if is_models(node):
        found = spec.id if node.GetSegmentation().GetSegment(spec.id) is not None else None
    else:
        found = find_segment(node, spec)
    return found or add_segment(node, spec)


def set_segment(node, segment_id: str, contours: Contours, ct: Geometry, label: int) -> None:
    """Replace one segment's voxels by a class of contours, which lie on the CT's grid in the world."""
    mask = contours.labels == label
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not mask.any():
        logic.ClearSegment(node, segment_id)
        return
    image = oriented_image(mask, ct, contours.start_zyx)
    move_from_world(image, node)
    logic.SetBinaryLabelmapToSegment(image, node, segment_id, logic.MODE_REPLACE)


def return_class(node, classes: Mapping[str, int], model: Contours, ct: Geometry, label: int) -> None:
    """Put the model's contour of one class into the first segment that is this class, and empty its others."""
    _hold_voxels(node)
    own = [segment_id for segment_id, one in classes.items() if one == label]
    if not own:
        own = [add_segment(node, SEGMENTS[label])]
    set_segment(node, own[0], model, ct, label)
    nothing = Contours(model.labels[:0], model.start_zyx)
    for segment_id in own[1:]:
        set_segment(node, segment_id, nothing, ct, label)


def _hold_voxels(node) -> None:
    """Make voxels what a segmentation is drawn in, where it came as surfaces or planar contours (an RTSTRUCT)."""
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    segmentation = node.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != name and segmentation.CreateRepresentation(name):
        segmentation.SetSourceRepresentationName(name)


def add_drawing(scene, ct_node, case_id: str):
    """A new hidden segmentation in which a run draws; no scene is saved with it until it is the model's."""
    node = add_segmentation(scene, ct_node, case_id, DRAWING_ROLE)
    show(node, False)
    take_out(scene, node)  # the data tree saves items without their nodes, too
    _save_with_scene(node, False)
    return node


def make_models(drawing, ct_node, before) -> None:
    """Make a drawing that is finished the model's own contours, in place of those ``before``, which leave the scene."""
    scene, case_id = drawing.GetScene(), drawing.GetAttribute(CASE_ATTRIBUTE)
    if before is None:
        drawing.SetName(scene.GenerateUniqueName(f"{case_id} {TITLES[MODEL_ROLE]}"))
    else:
        drawing.SetName(before.GetName())
        scene.RemoveNode(before)
    drawing.SetAttribute(ROLE_ATTRIBUTE, MODEL_ROLE)
    place_beside(scene, drawing, ct_node)
    _save_with_scene(drawing, True)


def model_contours(node, ct_node) -> Contours | None:
    """What the model drew, None where the scene has lost it."""
    return None if node is None else read_contours(node, OWN_CLASSES, geometry_of_node(ct_node))


def show(node, visible: bool) -> None:
    """Show or hide a segmentation in all views."""
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(visible)


def is_shown(node) -> bool:
    return node is not None and node.GetDisplayNode() is not None and bool(node.GetDisplayNode().GetVisibility())


def _save_with_scene(node, saved: bool) -> None:
    for one in (node, node.GetDisplayNode()):
        one.SetSaveWithScene(saved)


def _fade(node) -> None:
    """Pale outlines without fill, so that the model's contour is told from the corrected one."""
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    for spec in SEGMENTS.values():
        color = [c + (1 - c) * MODEL_FADE for c in spec.color]
        segmentation.GetSegment(spec.id).SetColor(*color)
        segmentation.GetSegment(spec.id).SetName(f"{spec.name} (model)")
    display.SetOpacity2DFill(0.0)
    display.SetSliceIntersectionThickness(1)
