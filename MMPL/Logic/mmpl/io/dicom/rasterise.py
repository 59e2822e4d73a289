"""Contours as voxels of any grid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmpl.geometry import Geometry
from mmpl.io.dicom.contours import Planes, Roi, inside_outlines, parts_of

NUDGE_MM = 1e-6  # a centre this little short of a border, by rounding, counts as on it


def rasterise(roi: Roi, geometry: Geometry) -> np.ndarray:
    """Voxels whose centre lies inside a structure, on a grid of any direction.

    A contour plane stands for a slab of space (see :func:`mmpl.io.dicom.contours.parts_of`): half-way to the
    neighbouring planes, half a usual step at the ends and at gaps. A voxel belongs to the structure when its centre,
    moved along the contours' normal into the plane of the slab that it lies in, is inside by the even-odd rule: a
    contour inside another is a hole, and so is what a keyhole contour leaves out; what two crossing contours share is
    left out, too (:func:`mmpl.io.dicom.structure_set.read_structures` says so). A centre on a border belongs to the
    side of larger coordinates. The grid may be finer or coarser than the contours and tilted against them by any angle.

    Limits: shapes are not interpolated between planes, so a grid finer than the contours shows steps; voxels are in or
    out, so a structure smaller than the voxels may have none.

    Parameters
    ----------
    roi : Roi
    geometry : Geometry

    Returns
    -------
    bool array, shape (z, y, x) of the grid; all False without contours or outside the grid

    Raises
    ------
    InputError
        If the contours do not lie in parallel planes.
    """
    mask = np.zeros(geometry.shape, dtype=bool)
    for _, box, part in parts_on(roi, geometry):
        mask[box] |= part
    return mask


def parts_on(roi: Roi, geometry: Geometry) -> Iterator[tuple[Planes, tuple[slice, ...], np.ndarray]]:
    """Each part of a structure, the box (z, y, x) of the grid that it may reach, and which voxels of that it holds.

    What is drawn in a single plane, of unknown thickness, is as thick as the grid's slices.
    """
    for planes in parts_of(roi, geometry.spacing_mm[2]) if roi.contours else ():
        start, stop = _index_box(planes, geometry)
        stop = np.maximum(start, stop)
        part = np.zeros((stop - start)[::-1], dtype=bool)
        if part.size:
            _fill(part, planes, geometry.cropped(start, stop - start))
        yield planes, tuple(slice(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True)), part


def _index_box(planes: Planes, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """First and last-plus-one voxel (i, j, k) of the box that holds all slabs, within the grid."""
    index = geometry.index(corners_mm(planes))
    start = np.maximum(np.floor(index.min(axis=0)), 0).astype(int)
    return start, np.minimum(np.ceil(index.max(axis=0)) + 1, geometry.size).astype(int)


def corners_mm(planes: Planes) -> np.ndarray:
    """Corners of the slabs' bounding boxes, LPS points, shape (n, 3)."""
    return np.concatenate([_corners(slab) for slab in planes.slabs]) @ planes.axes


def _corners(slab) -> np.ndarray:
    """The eight corners (u, v, depth) of a slab's bounding box."""
    points = np.concatenate(slab.outlines)
    u, v = zip(points.min(axis=0), points.max(axis=0), strict=True)
    return np.stack(np.meshgrid(u, v, (slab.low_mm, slab.high_mm)), axis=-1).reshape(-1, 3)


def _fill(mask: np.ndarray, planes: Planes, grid: Geometry) -> None:
    """Layer by layer along the index axis that is nearest to the normal; points of a layer are sorted by v once."""
    steps = planes.axes @ np.asarray(grid.direction) * np.asarray(grid.spacing_mm)  # (u, v, depth) of one index step
    along = int(np.abs(steps[2] / np.asarray(grid.spacing_mm)).argmax())
    others = [axis for axis in (2, 1, 0) if axis != along]
    layers = np.moveaxis(mask, 2 - along, 0)  # a view: the other two axes stay in (z, y, x) order
    i, j = np.indices(layers.shape[1:]).reshape(2, -1)
    origin = planes.axes @ np.asarray(grid.origin_mm) + NUDGE_MM
    points = origin[:, None] + steps[:, others[0]][:, None] * i + steps[:, others[1]][:, None] * j
    order = np.argsort(points[1], kind="stable")
    points = points[:, order]
    inside = np.empty(len(order), dtype=bool)
    for number, layer in enumerate(layers):
        inside[order] = _inside(planes, points + (number * steps[:, along])[:, None])
        layer[...] = inside.reshape(layer.shape)


def _inside(planes: Planes, points: np.ndarray) -> np.ndarray:
    """Which of the points (u, v, depth), shape (3, n) and sorted by v, lie inside; bool array, shape (n,)."""
    u, v, depth = points
    slab_of = np.searchsorted([slab.high_mm for slab in planes.slabs], depth, side="right")
    inside = np.zeros(len(u), dtype=bool)
    for number in np.unique(slab_of[slab_of < len(planes.slabs)]):
        slab = planes.slabs[number]
        here = (slab_of == number) & (depth >= slab.low_mm)
        inside[here] = inside_outlines(u[here], v[here], slab.outlines)
    return inside
