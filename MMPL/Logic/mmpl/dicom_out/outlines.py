"""Outlines of a mask's slice that read back as that mask.

An outline runs 0.49 of a voxel beyond the centres of the outermost voxels (contourpy at level 0.51 of a mask of 0
and 1). So it keeps the voxels' extent but for a hundredth, a point-in-polygon test at voxel centres gives the mask
back, and so does a reader that rounds points to voxels first. Voxels that touch by a corner only have outlines of
their own. A single voxel's outline is a diamond.

rt-utils, the library mostly used for writing structure sets, puts the points on the centres of the outermost voxels
(OpenCV's contours), which shrinks every outline by half a voxel; hence none of it here.
"""

from __future__ import annotations

import itertools

import contourpy
import numpy as np

from mmpl.boxes import bounding_box

LEVEL = 0.51
ABOVE_ALL = 2.0


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Outlines of one slice, one for each 4-connected part.

    Holes are joined to the outline around them by channels of no width (the keyhole technique, DICOM PS3.3
    C.8.8.6.3): readers that unite outlines and readers that XOR them then see the same.

    Parameters
    ----------
    mask : bool, shape (y, x)

    Returns
    -------
    list of float arrays, shape (n, 2): (x, y) in voxel indices, not closed
    """
    box = bounding_box(mask)
    if box is None:
        return []
    rows, columns = box
    padded = np.pad(mask[box], 1).astype(float)
    generator = contourpy.contour_generator(z=padded, name="serial", fill_type=contourpy.FillType.OuterOffset)
    shift = np.array([columns.start - 1, rows.start - 1], dtype=float)
    return [
        _in_one(points, offsets) + shift for points, offsets in zip(*generator.filled(LEVEL, ABOVE_ALL), strict=True)
    ]


def _in_one(points: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """One polygon of an outer ring and its holes; contourpy closes each ring by repeating its first point."""
    points = np.round(points, 2)  # what they are: whole, or 0.49 beyond; interpolation leaves digits behind
    outer, *holes = (points[a : b - 1] for a, b in itertools.pairwise(offsets))
    ring = outer
    for hole in sorted(holes, key=lambda h: h[:, 0].min()):
        ring = _with_hole(ring, hole)
    return _without_straight_points(ring)


def _with_hole(ring: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Join a hole to the ring by a channel from its leftmost point to the left.

    That point lies on a row of voxel centres, and so does the next point of the outline on the left in this row.
    Between the two are voxels of the mask only: the channel meets no other hole. Holes come sorted from the left,
    so that whatever it ends on is part of the ring already.
    """
    start = int(np.argmin(hole[:, 0]))
    left, row = hole[start]
    candidates = np.flatnonzero((ring[:, 1] == row) & (ring[:, 0] < left))
    end = candidates[np.argmax(ring[candidates, 0])]
    around = np.concatenate([hole[start:], hole[: start + 1]])
    return np.concatenate([ring[: end + 1], around, ring[end:]])


def _without_straight_points(ring: np.ndarray) -> np.ndarray:
    """Leave out points between two others on one straight line; ends of channels stay."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    onward = (before * after).sum(axis=1) > 0
    return ring[~((np.abs(cross) < 1e-9) & onward)]
