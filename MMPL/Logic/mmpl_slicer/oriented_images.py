"""Masks as vtkOrientedImageData, the form in which segments hold voxels.

Only the box of voxels that matters is built or resampled: a lesion fills a thousandth of a CT.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

import slicer
from mmpl.boxes import bounding_box
from mmpl.components import connected
from mmpl.geometry import Geometry
from mmpl_slicer.volumes import LPS_TO_RAS, array_from_vtk_matrix, ijk_to_ras, vtk_matrix

ON_EDGE = 1e-3  # of a voxel: rounding is no way out of a grid


class Lost(NamedTuple):
    """Connected parts of a mask that hold no voxel's centre of a grid, although they lie within it.

    Attributes
    ----------
    lost, parts : how many are lost, of how many
    volume_ml : of those lost
    """

    lost: int
    parts: int
    volume_ml: float


def oriented_image(mask: np.ndarray, geometry: Geometry, start_zyx=(0, 0, 0)):
    """A uint8 oriented image of a mask, whose extent is the mask's bounding box.

    Parameters
    ----------
    mask : bool or integer array, shape (z, y, x); anything but 0 is inside
    geometry : Geometry of the grid
    start_zyx : voxel of the grid that the mask begins at

    Returns
    -------
    vtkOrientedImageData in RAS millimetres, 1 inside and 0 outside; one voxel of 0 for an empty mask
    """
    box = bounding_box(mask) or (slice(0, 1),) * 3
    image = slicer.vtkOrientedImageData()
    ends = [(a + axis.start, a + axis.stop - 1) for a, axis in zip(start_zyx, box, strict=True)]
    image.SetExtent([bound for axis in ends[::-1] for bound in axis])
    image.SetGeometryFromImageToWorldMatrix(vtk_matrix(ijk_to_ras(geometry)))
    voxels = np.ascontiguousarray(mask[box] != 0, dtype=np.uint8)
    scalars = numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def mask_on_grid(image, geometry: Geometry) -> np.ndarray:
    """An oriented image's voxels on a grid, by nearest neighbour.

    Parameters
    ----------
    image : vtkOrientedImageData; its extent may be smaller than the grid's or lie elsewhere
    geometry : Geometry of the wanted grid

    Returns
    -------
    bool array, shape (z, y, x); False outside the image
    """
    mask = np.zeros(geometry.shape, dtype=bool)
    found = mask_in_box(image, geometry)
    if found is not None:
        box, part = found
        mask[box] = part
    return mask


def mask_in_box(image, geometry: Geometry) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """The part of a grid that an oriented image can reach, and its voxels there; None where they do not meet.

    Returns
    -------
    slices (z, y, x) of the grid, bool array of their shape; or None
    """
    if image.IsEmpty():
        return None
    low, high = _index_box(image, geometry)
    if np.any(high <= low):
        return None
    part = geometry.cropped(low.tolist(), (high - low).tolist())
    return tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)), _resampled(image, part)


def volume_ml(image) -> float:
    """Of an oriented image's voxels that are not 0."""
    if image.IsEmpty():
        return 0.0
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    voxel_mm3 = abs(np.linalg.det(array_from_vtk_matrix(matrix)[:3, :3]))
    return np.count_nonzero(vtk_to_numpy(image.GetPointData().GetScalars())) * voxel_mm3 / 1000.0


def volume_outside_ml(image, geometry: Geometry) -> float:
    """How much of an oriented image lies beyond a grid, by the centres of its voxels; mL.

    Voxels are looked at only where the image's extent leaves the grid.
    """
    if image.IsEmpty():
        return 0.0
    to_index, extent, size = _to_index(image, geometry), np.array(image.GetExtent()), np.array(geometry.size)
    if not _leaves(to_index, extent[::2], extent[1::2], size):
        return 0.0
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    box = bounding_box(voxels)
    if box is None:
        return 0.0
    first = extent[::2] + [axis.start for axis in box[::-1]]
    last = extent[::2] + [axis.stop - 1 for axis in box[::-1]]
    if not _leaves(to_index, first, last, size):
        return 0.0
    voxel_ml = abs(np.linalg.det(to_index[:3, :3])) * geometry.voxel_volume_ml
    return _count_outside(voxels[box], first, to_index, size) * voxel_ml


def lost_between_voxels(image, geometry: Geometry, kept: tuple[tuple[slice, ...], np.ndarray] | None) -> Lost:
    """What an oriented image loses on its way to a grid because it lies between voxel centres.

    As :func:`mmpl.steps.lost_between_voxels` counts it of a label map; ``kept`` is its :func:`mask_in_box`.
    """
    voxels = np.zeros((0, 0, 0), np.uint8)
    if not image.IsEmpty():
        voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    box = bounding_box(voxels)
    to_index = _to_index(image, geometry)
    voxel_ml = abs(np.linalg.det(to_index[:3, :3])) * geometry.voxel_volume_ml
    if box is None or not voxel_ml > 0:  # a transform has made it flat
        return Lost(0, 0, 0.0)
    parts, count = connected(voxels[box])
    first = np.array(image.GetExtent()[::2]) + [axis.start for axis in box[::-1]]
    is_gone = np.arange(count + 1) > 0
    for found in () if kept is None else _parts_at(parts, first, np.linalg.inv(to_index), *kept):
        is_gone[found] = False
        if not is_gone.any():
            break
    if not is_gone.any():
        return Lost(0, count, 0.0)
    where = np.argwhere(is_gone[parts])
    within = where[~_is_beyond(_moved(to_index, where + first[::-1]), np.array(geometry.size)).any(axis=1)]
    lost = np.unique(parts[tuple(within.T)])
    voxels_lost = np.count_nonzero(np.isin(parts[tuple(where.T)], lost))
    return Lost(len(lost), count, float(voxels_lost * voxel_ml))


def _parts_at(
    parts: np.ndarray, first: np.ndarray, from_index: np.ndarray, box: tuple[slice, ...], mask: np.ndarray
) -> Iterator[np.ndarray]:
    """The parts that hold the voxel centres of a grid in a mask; of centres on a border, one side after another."""
    centres = _moved(from_index, np.argwhere(mask) + [axis.start for axis in box]) - first
    for side in itertools.product((ON_EDGE, -ON_EDGE), repeat=3):
        voxels = np.clip(np.floor(centres + 0.5 + side).astype(int), 0, np.array(parts.shape[::-1]) - 1)
        yield parts[tuple(voxels.T[::-1])]


def _moved(matrix: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Voxels (z, y, x), shape (n, 3), by a matrix of (i, j, k), as (i, j, k)."""
    return where[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]


def _count_outside(mask: np.ndarray, first: np.ndarray, to_index: np.ndarray, size: np.ndarray) -> int:
    """Voxels of a mask (z, y, x) that begins at ``first`` (i, j, k), whose index on the grid is none of the grid's."""
    count = 0
    for k in range(len(mask)):  # a slice at a time: indices take far more memory than the mask
        j, i = np.nonzero(mask[k])
        index = to_index[:3, :3] @ np.stack([i + first[0], j + first[1], np.full(len(i), k + first[2])])
        count += int(np.count_nonzero(_is_beyond(index + to_index[:3, 3:], size[:, None]).any(axis=0)))
    return count


def _leaves(to_index: np.ndarray, first: np.ndarray, last: np.ndarray, size: np.ndarray) -> bool:
    """Whether any voxel of a box, from its first (i, j, k) to its last, has its centre beyond the grid."""
    corners = np.array([(i, j, k, 1.0) for i, j, k in itertools.product(*zip(first, last, strict=True))])
    return bool(_is_beyond((to_index @ corners.T).T[:, :3], size).any())


def _is_beyond(index: np.ndarray, size: np.ndarray) -> np.ndarray:
    return (index < -0.5 - ON_EDGE) | (index > size - 0.5 + ON_EDGE)


def _index_box(image, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last index (i, j, k) of a grid that an oriented image can reach."""
    extent = image.GetExtent()
    corners = np.array([(i, j, k, 1.0) for i in extent[0:2] for j in extent[2:4] for k in extent[4:6]]) + np.array(
        [(a, b, c, 0.0) for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)]
    )
    index = (_to_index(image, geometry) @ corners.T).T[:, :3]
    low = np.clip(np.floor(index.min(axis=0)), 0, geometry.size).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, geometry.size).astype(int)
    return low, high


def _to_index(image, geometry: Geometry) -> np.ndarray:
    """From an oriented image's voxels (i, j, k) to indices of a grid, 4 x 4."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.linalg.inv(geometry.index_to_lps) @ LPS_TO_RAS @ array_from_vtk_matrix(matrix)


def _resampled(image, geometry: Geometry) -> np.ndarray:
    reference = slicer.vtkOrientedImageData()
    reference.SetDimensions(geometry.size)
    reference.SetGeometryFromImageToWorldMatrix(vtk_matrix(ijk_to_ras(geometry)))
    reference.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    result = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, reference, result)
    return vtk_to_numpy(result.GetPointData().GetScalars()).reshape(geometry.shape) != 0
