"""Edits as the Segment Editor's effects make them: through its logic, with undo."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import slicer
from mmpl.boxes import bounding_box
from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.segmentation import move_from_world, segment_mask
from mmpl_slicer.volumes import geometry_of_node

ADD = slicer.vtkSlicerSegmentEditorLogic.ModificationModeAdd
REMOVE = slicer.vtkSlicerSegmentEditorLogic.ModificationModeRemove
SET = slicer.vtkSlicerSegmentEditorLogic.ModificationModeSet
EDITOR_SINGLETON_TAG = "MMPL"
MAX_UNDO_STATES = 10


class SegmentEditor:
    """Scripted painting in one segmentation, with the events and the undo of Slicer's own effects.

    Parameters
    ----------
    scene : vtkMRMLScene
    segmentation_node : vtkMRMLSegmentationNode
    source_volume_node : vtkMRMLScalarVolumeNode, whose grid is painted on; normally the CT
    """

    def __init__(self, scene, segmentation_node, source_volume_node):
        self.segmentation_node = segmentation_node
        self.geometry = geometry_of_node(source_volume_node)
        self.editor_node = segment_editor_node(scene)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetMaximumNumberOfUndoStates(MAX_UNDO_STATES)
        self.logic.SetSegmentEditorNode(self.editor_node)
        self.logic.SetSegmentationNode(segmentation_node)
        self.logic.SetSourceVolumeNode(source_volume_node)

    def apply_labelmap(self, segment_id: str, mask: np.ndarray, mode: int = ADD) -> None:
        """Add, remove or set voxels of a segment after saving the state for undo.

        Parameters
        ----------
        segment_id : ID of the segment
        mask : bool array, shape (z, y, x), on the source volume's grid
        mode : ADD, REMOVE or SET

        Raises
        ------
        InputError
            If the segment does not exist.
        """
        self._check_segment(segment_id)
        volume = Volume(np.asarray(mask), self.geometry)
        self.logic.SaveStateForUndo()
        self.logic.SetCurrentSegmentID(segment_id)
        image = oriented_image(volume.array, volume.geometry)
        move_from_world(image, self.segmentation_node)
        self.logic.ModifySegmentByLabelmap(self.segmentation_node, segment_id, image, mode, False, False)

    def undo(self) -> bool:
        """Take the last edit back; False when there is none."""
        if not self.logic.CanUndo():
            return False
        self.logic.Undo()
        return True

    def redo(self) -> bool:
        """Make the last undone edit again; False when there is none."""
        if not self.logic.CanRedo():
            return False
        self.logic.Redo()
        return True

    def mask(self, segment_id: str) -> np.ndarray:
        """A segment's voxels on the source volume's grid: bool array, shape (z, y, x)."""
        self._check_segment(segment_id)
        return segment_mask(self.segmentation_node, segment_id, self.geometry)

    def grow_segment(self, segment_id: str, mm: float) -> None:
        """Add every voxel whose centre is at most ``mm`` from the segment's voxel centres."""
        mask = self.mask(segment_id)
        if mask.any():
            self.apply_labelmap(segment_id, voxels_within(mask, self.geometry.spacing_mm, mm), ADD)

    def shrink_segment(self, segment_id: str, mm: float) -> None:
        """Remove every voxel whose centre is at most ``mm`` from a voxel centre outside the segment.

        The image's border is no outside: a segment that touches it keeps its voxels there.
        """
        mask = self.mask(segment_id)
        if mask.any():
            self.apply_labelmap(segment_id, rim_of(mask, self.geometry.spacing_mm, mm), REMOVE)

    def add_ball(self, segment_id: str, center_lps, radius_mm: float) -> None:
        """Paint a ball: every voxel whose centre is at most ``radius_mm`` from a point (LPS mm)."""
        self.apply_labelmap(segment_id, ball_mask(self.geometry, center_lps, radius_mm), ADD)

    def erase_ball(self, segment_id: str, center_lps, radius_mm: float) -> None:
        """Erase a ball: every voxel whose centre is at most ``radius_mm`` from a point (LPS mm)."""
        self.apply_labelmap(segment_id, ball_mask(self.geometry, center_lps, radius_mm), REMOVE)

    def _check_segment(self, segment_id: str) -> None:
        if self.segmentation_node.GetSegmentation().GetSegment(segment_id) is None:
            ids = list(self.segmentation_node.GetSegmentation().GetSegmentIDs())
            raise InputError(f"segment {segment_id!r} does not exist: the segmentation has {ids}")


def segment_editor_node(scene):
    """MMPL's Segment Editor parameter node of a scene, made when absent."""
    node = scene.GetSingletonNode(EDITOR_SINGLETON_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(EDITOR_SINGLETON_TAG)
        node = scene.AddNode(node)
    return node


def ball_mask(geometry, center_lps, radius_mm: float) -> np.ndarray:
    """Voxels whose centre is at most ``radius_mm`` from a point: bool array, shape (z, y, x)."""
    mask = np.zeros(geometry.shape, dtype=bool)
    centre = geometry.index(center_lps)
    reach = radius_mm / np.asarray(geometry.spacing_mm)
    low = np.clip(np.ceil(centre - reach), 0, geometry.size).astype(int)
    high = np.clip(np.floor(centre + reach) + 1, 0, geometry.size).astype(int)
    if np.any(high <= low):
        return mask
    # Axes are orthonormal, so distances are those of scaled indices, oblique or not.
    steps = [
        ((np.arange(lo, hi) - c) * s) ** 2 for lo, hi, c, s in zip(low, high, centre, geometry.spacing_mm, strict=True)
    ]
    inside = steps[2][:, None, None] + steps[1][None, :, None] + steps[0][None, None, :] <= radius_mm**2
    mask[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = inside
    return mask


def voxels_within(mask: np.ndarray, spacing_mm, reach_mm: float) -> np.ndarray:
    """Voxels whose centre is at most ``reach_mm`` from a voxel centre of a mask, the mask included.

    Parameters
    ----------
    mask : bool array, shape (z, y, x)
    spacing_mm : (x, y, z)
    reach_mm : physical distance, exact Euclidean

    Returns
    -------
    bool array, shape (z, y, x)
    """
    return _near(mask, mask, spacing_mm, reach_mm)


def rim_of(mask: np.ndarray, spacing_mm, depth_mm: float) -> np.ndarray:
    """Voxels of a mask whose centre is at most ``depth_mm`` from a voxel centre outside it.

    Parameters
    ----------
    mask : bool array, shape (z, y, x)
    spacing_mm : (x, y, z)
    depth_mm : physical distance, exact Euclidean

    Returns
    -------
    bool array, shape (z, y, x)
    """
    return _near(~mask, mask, spacing_mm, depth_mm) & mask


def _near(target: np.ndarray, around: np.ndarray, spacing_mm, reach_mm: float) -> np.ndarray:
    """Voxels near a target, computed only in the surroundings of another mask."""
    spacing_zyx = tuple(spacing_mm)[::-1]
    near = np.zeros(target.shape, dtype=bool)
    box = bounding_box(around, tuple(int(np.ceil(reach_mm / s)) + 1 for s in spacing_zyx))
    if box is not None and target[box].any():
        near[box] = ndimage.distance_transform_edt(~target[box], sampling=spacing_zyx) <= reach_mm
    return near
