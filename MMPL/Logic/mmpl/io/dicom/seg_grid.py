"""Frames of a segmentation as a label map: on a grid that they lie on, or on the one that they span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.case import GTVN, GTVP
from mmpl.errors import GeometryError
from mmpl.geometry import Geometry, Volume

ON_GRID_VOXELS = 0.02  # how far a frame's corners may lie off the grid's voxels


@dataclass(frozen=True)
class Frame:
    """One plane: pixel (0, 0) in LPS mm, and the mask of each label in it."""

    position: np.ndarray
    masks: dict[int, np.ndarray]


@dataclass(frozen=True)
class Plane:
    """What all frames have in common: axes of columns and rows in LPS, pixel sizes (x, y), shape (y, x).

    ``between_mm`` is what the file says of the planes' distance, ``thickness_mm`` of their thickness; None where it
    says nothing. Reconstructions overlap, so that a thickness is no distance.
    """

    across: np.ndarray
    down: np.ndarray
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    between_mm: float | None
    thickness_mm: float | None

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.across, self.down)


def on_grid(frames: Sequence[Frame], plane: Plane, grid: Geometry) -> Volume | None:
    """The label map on a grid whose voxels the frames' pixels are; None where they are not.

    Frames may be smaller than the grid's slices; what they hold must lie inside it.
    """
    labels = np.zeros(grid.shape, np.uint8)
    places = [_place(frame.position, plane, grid) for frame in frames]
    if any(place is None for place in places):
        return None
    for label in (GTVN, GTVP):  # GTVp last: it wins
        for frame, (i, j, k) in zip(frames, places, strict=True):
            if label in frame.masks:
                labels[k, j : j + plane.shape[0], i : i + plane.shape[1]][frame.masks[label]] = label
    return Volume(labels, grid)


def _place(position: np.ndarray, plane: Plane, grid: Geometry) -> np.ndarray | None:
    """Index (i, j, k) of a frame's first pixel, if its four corners are the voxels that they should be."""
    rows, columns = plane.shape
    x, y = plane.across * plane.spacing_mm[0], plane.down * plane.spacing_mm[1]
    steps = np.array([(0, 0, 0), (columns - 1, 0, 0), (0, rows - 1, 0), (columns - 1, rows - 1, 0)])
    corners = grid.index(position + steps[:, :1] * x + steps[:, 1:2] * y)
    first = np.round(corners[0]).astype(int)
    fits = np.abs(corners - (first + steps)).max() <= ON_GRID_VOXELS
    inside = (first >= 0).all() and (first + steps[3] < grid.size).all()
    return first if fits and inside else None


def on_own_grid(frames: Sequence[Frame], plane: Plane, name: str) -> Volume:
    """The label map on the regular grid that the frames span."""
    positions = np.array([f.position for f in frames])
    heights = positions @ plane.normal
    between = _spacing(heights, plane, name)
    lowest = int(np.argmin(heights))
    direction = np.column_stack([plane.across, plane.down, plane.normal])
    slices = int(np.round((heights.max() - heights.min()) / between)) + 1
    size = (plane.shape[1], plane.shape[0], slices)
    own = Geometry(size, (*plane.spacing_mm, between), positions[lowest], direction)
    label_map = on_grid(frames, plane, own)
    if label_map is None:
        raise GeometryError(f"mask {name} has frames that are not on one regular grid: export it as one volume")
    return label_map


def _spacing(heights: np.ndarray, plane: Plane, name: str) -> float:
    """Distance of planes in mm: what the file says, or the smallest gap; the thickness where neither can tell."""
    gaps = np.diff(np.sort(heights))
    gaps = gaps[gaps > 1e-3]
    if len(gaps) > 1 and plane.between_mm is None and _all_multiples(gaps, gaps.min()):
        return float(gaps.min())  # however thin or thick the planes are
    if len(gaps):
        return _smallest_step(gaps, plane.between_mm or plane.thickness_mm)
    said_mm = plane.between_mm or plane.thickness_mm
    if said_mm is None:
        raise GeometryError(f"mask {name} has one plane and no slice thickness: export it as a volume")
    return said_mm


def _all_multiples(gaps: np.ndarray, step_mm: float) -> bool:
    return bool(np.abs(gaps - np.round(gaps / step_mm) * step_mm).max() < ON_GRID_VOXELS * step_mm)


def _smallest_step(gaps: np.ndarray, said_mm: float | None) -> float:
    """What the file says where all gaps are multiples of it (planes left out), else the smallest gap."""
    if said_mm is not None:
        steps = np.maximum(np.round(gaps / said_mm), 1)
        if np.abs(gaps - steps * said_mm).max() < ON_GRID_VOXELS * said_mm:
            return float(gaps.sum() / steps.sum())
    return float(gaps.min())
