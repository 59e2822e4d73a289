"""What is contoured now: the label map that segments make on the CT's grid, without ever building all of it.

Read once, after the events of an edit are over: while the Segment Editor works, its segments are now and then empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import vtk

import slicer
from mmpl.boxes import bounding_box
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS
from mmpl_slicer.oriented_images import Lost, lost_between_voxels, mask_in_box, volume_ml, volume_outside_ml
from mmpl_slicer.segmentation import GRID_TOLERANCE_MM, move_to_world
from mmpl_slicer.volumes import LPS_TO_RAS, array_from_vtk_matrix

Box = tuple[slice, ...]
DIGITS = 6  # of what is left out: rounding does not make results be of other contours


@dataclass(frozen=True, eq=False)
class Contours:
    """A label map as the box that holds it.

    Attributes
    ----------
    labels : uint8 array, shape of the box (z, y, x); 1 GTVp, 2 GTVn
    start_zyx : first voxel of the box on the CT's grid
    digests : label -> fingerprint of the class's voxels, "" where it is empty
    overlap_voxels : how many voxels are in both classes; they count as GTVp
    on_other_grid : True when a segment's voxels do not lie on the CT's and were brought there by nearest neighbour
    outside_ml : label -> volume that lies beyond the CT's grid and is in no voxel here; without those that have none
    outside : share of the volume of all classes that lies there
    between : label -> connected parts that lie on the CT's grid and hold no voxel's centre of it; without labels that
        have none
    """

    labels: np.ndarray
    start_zyx: tuple[int, int, int]
    digests: Mapping[int, str] = field(default_factory=dict)
    overlap_voxels: int = 0
    on_other_grid: bool = False
    outside_ml: Mapping[int, float] = field(default_factory=dict)
    outside: float = 0.0
    between: Mapping[int, Lost] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not any(self.digests.values())

    @property
    def digest(self) -> str:
        """Fingerprint of all classes together."""
        return "/".join(self.digests.get(label, "") for label in sorted(SEGMENTS))

    @property
    def between_ml(self) -> dict[int, float]:
        """Label -> volume that lies between the voxels."""
        return {label: lost.volume_ml for label, lost in self.between.items()}

    @property
    def left_out(self) -> dict | None:
        """What the segments hold and the label map does not, as the worker is told of it; None for nothing."""
        if not self.outside and not self.between:
            return None
        between = [
            {"class_name": SEGMENTS[label].name, "lost": one.lost, "lesions": one.parts, "volume_ml": one.volume_ml}
            for label, one in sorted(self.between.items())
        ]
        return {"outside": self.outside, "between": between}

    @property
    def fingerprint(self) -> str:
        """Of all that results tell of the contours: what is left out of them, too."""
        return self.digest if self.left_out is None else f"{self.digest} without {json.dumps(self.left_out)}"

    def on_grid(self, geometry: Geometry) -> Volume:
        """The whole label map, uint8, on the CT's grid."""
        whole = np.zeros(geometry.shape, np.uint8)
        whole[tuple(slice(a, a + n) for a, n in zip(self.start_zyx, self.labels.shape, strict=True))] = self.labels
        return Volume(whole, geometry)


def contours_of_label_map(label_map: np.ndarray, start_zyx=(0, 0, 0), **seen) -> Contours:
    """Contours of a label map (z, y, x) whose first voxel is ``start_zyx`` of the CT's grid."""
    box = bounding_box(label_map)
    if box is None:
        return Contours(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), dict.fromkeys(SEGMENTS, ""), **seen)
    labels = np.ascontiguousarray(label_map[box])
    start = tuple(int(a + s.start) for a, s in zip(start_zyx, box, strict=True))
    return Contours(labels, start, {label: _digest(labels == label, start) for label in SEGMENTS}, **seen)


def read_contours(segmentation_node, classes: Mapping[str, int], geometry: Geometry) -> Contours:
    """The contours that segments make on a grid now.

    Parameters
    ----------
    segmentation_node : vtkMRMLSegmentationNode
    classes : segment ID -> label; segments that are not named are ignored
    geometry : of the CT, world LPS

    Raises
    ------
    InputError
        If segments that are no voxels cannot be made voxels, as contours without SlicerRT.
    GeometryError
        If the segmentation lies under a non-linear transform.
    """
    segmentation = _with_label_maps(segmentation_node.GetSegmentation())
    found: list[tuple[int, Box, np.ndarray]] = []
    on_other_grid, outside_ml, between = False, dict.fromkeys(SEGMENTS, 0.0), dict.fromkeys(SEGMENTS, Lost(0, 0, 0.0))
    for segment_id, label in classes.items():
        image = _image_of(segmentation, segment_id)
        if image is None:
            continue
        move_to_world(image, segmentation_node)
        outside_ml[label] += volume_outside_ml(image, geometry)
        boxed = mask_in_box(image, geometry)
        shares_grid = _shares_grid(image, geometry)
        if not shares_grid:
            both = zip(between[label], lost_between_voxels(image, geometry, boxed), strict=True)
            between[label] = Lost(*(a + b for a, b in both))
        if boxed is not None and boxed[1].any():
            found.append((label, *boxed))
            on_other_grid |= not shares_grid
    seen = {
        "on_other_grid": on_other_grid,
        "outside_ml": {label: ml for label, ml in outside_ml.items() if ml},
        "between": {
            label: one._replace(volume_ml=_rounded(one.volume_ml)) for label, one in between.items() if one.lost
        },
    }
    if beyond := sum(outside_ml.values()):
        whole = _volume_ml(segmentation, segmentation_node, classes)
        seen["outside"] = _rounded(min(1.0, beyond / whole))
    if not found:
        return contours_of_label_map(np.zeros((0, 0, 0), np.uint8), **seen)
    return _together(found, **seen)


def _volume_ml(segmentation, node, classes: Mapping[str, int]) -> float:
    """Of some segments of a node, in the world, wherever they lie."""
    total = 0.0
    for segment_id in classes:
        image = _image_of(segmentation, segment_id)
        if image is not None:
            move_to_world(image, node)
            total += volume_ml(image)
    return total


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def holds_voxels(segmentation_node) -> bool:
    """Whether any segment, of whatever class, holds anything, wherever it lies."""
    segmentation = _with_label_maps(segmentation_node.GetSegmentation())
    images = (_image_of(segmentation, segment_id) for segment_id in segmentation.GetSegmentIDs())
    return any(image is not None and image.GetScalarRange()[1] > 0 for image in images)


def _together(found: list[tuple[int, Box, np.ndarray]], **seen) -> Contours:
    start = [min(box[axis].start for _, box, _ in found) for axis in range(3)]
    stop = [max(box[axis].stop for _, box, _ in found) for axis in range(3)]
    labels = np.zeros([b - a for a, b in zip(start, stop, strict=True)], np.uint8)
    overlap = 0
    for label, box, mask in sorted(found, key=lambda one: -one[0]):  # GTVp last: it wins
        part = labels[tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, start, strict=True))]
        overlap += int(np.count_nonzero(mask & (part != 0) & (part != label)))
        part[mask] = label
    return contours_of_label_map(labels, start, overlap_voxels=overlap, **seen)


def _digest(mask: np.ndarray, start_zyx) -> str:
    box = bounding_box(mask)
    if box is None:
        return ""
    part = mask[box]
    where = [int(a + s.start) for a, s in zip(start_zyx, box, strict=True)]
    content = np.packbits(part).tobytes()
    return hashlib.blake2b(repr((where, part.shape)).encode() + content, digest_size=12).hexdigest()


def _with_label_maps(segmentation):
    """The segmentation, or a copy with voxels where it holds surfaces or planar contours (an RTSTRUCT) only."""
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    if segmentation.GetNumberOfSegments() == 0 or segmentation.ContainsRepresentation(name):
        return segmentation
    copy = slicer.vtkSegmentation()
    copy.DeepCopy(segmentation)
    if not copy.CreateRepresentation(name):
        raise InputError(
            f"The segmentation's segments ({segmentation.GetSourceRepresentationName()}) cannot be made voxels here: "
            "install the extension SlicerRT, or bring them as a label map."
        )
    return copy


def _image_of(segmentation, segment_id: str):
    """A copy of one segment's voxels, 1 inside; None where it has none."""
    segment = segmentation.GetSegment(segment_id)
    if segment is None:
        return None
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    shared = segment.GetRepresentation(name)
    if shared is None or shared.IsEmpty():
        return None
    image = slicer.vtkOrientedImageData()
    # segments share a layer: only voxels of this one's value are its own
    threshold = vtk.vtkImageThreshold()
    threshold.SetInputData(shared)
    value = segment.GetLabelValue()
    threshold.ThresholdBetween(value, value)
    threshold.SetInValue(1)
    threshold.SetOutValue(0)
    threshold.SetOutputScalarTypeToUnsignedChar()
    threshold.Update()
    image.ShallowCopy(threshold.GetOutput())
    image.CopyDirections(shared)
    return image


def _shares_grid(image, geometry: Geometry) -> bool:
    """Whether an image's voxel centres are voxel centres of a grid."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_index = np.linalg.inv(geometry.index_to_lps) @ LPS_TO_RAS @ array_from_vtk_matrix(matrix)
    extent = image.GetExtent()
    corners = np.array([(i, j, k, 1.0) for i in extent[0:2] for j in extent[2:4] for k in extent[4:6]])
    index = (to_index @ corners.T).T[:, :3]
    axes = np.abs(to_index[:3, :3])
    whole = np.allclose(np.sort(axes, axis=0), [[0] * 3, [0] * 3, [1] * 3], atol=1e-4)
    off_mm = np.abs(index - np.rint(index)) * np.asarray(geometry.spacing_mm)
    return bool(whole and off_mm.max() <= 10 * GRID_TOLERANCE_MM)
