"""Resampling between grids, exact and fast.

An axis-aligned source (flips and permutations included) is resampled separably: one small matrix an axis, so a
1 mm region of 12 million voxels takes a fraction of a second. An oblique source goes through SimpleITK. Both follow
ITK's rules: cubic B-splines with mirrored boundaries, a point is inside up to half a voxel beyond the outermost
voxel centres, everything else is ``fill``.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mmpl.geometry import IDENTITY, Geometry, Volume, image_from_volume, nearest_voxel

SPLINE_MARGIN_VOXELS = 24  # the B-spline prefilter's memory fades as 0.268^n: 2e-14 after 24 voxels
INTERPOLATORS = {"bspline": sitk.sitkBSpline, "linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor}


def resample(volume: Volume, target: Geometry, *, method: str, fill: float) -> Volume:
    """Sample a volume at every voxel centre of a target grid.

    Parameters
    ----------
    volume : Volume, any direction
    target : Geometry, any direction
    method : "bspline" (order 3), "linear" or "nearest"
    fill : value outside the source

    Returns
    -------
    Volume on ``target``; dtype float32, or the source's for "nearest".
    """
    if volume.geometry.is_axis_aligned() and target.is_axis_aligned():
        return _resample_separable(volume, target, method, fill)
    return _resample_oblique(volume, target, method, fill)


def to_identity(volume: Volume) -> Volume:
    """Reorder and flip the voxels of an axis-aligned volume so that its direction is the identity.

    No voxel value changes; only the order in memory does.
    """
    geometry = volume.geometry
    direction = np.rint(np.asarray(geometry.direction))
    axis_of_lps = [int(np.argmax(np.abs(direction[row]))) for row in range(3)]
    signs = [direction[row, axis_of_lps[row]] for row in range(3)]
    # array axes are (z, y, x) = index axes (2, 1, 0)
    array = volume.array.transpose([2 - axis_of_lps[row] for row in (2, 1, 0)])
    array = array[tuple(slice(None, None, -1 if signs[row] < 0 else 1) for row in (2, 1, 0))]
    low, _ = geometry.bounds_lps()
    target = Geometry(
        [geometry.size[a] for a in axis_of_lps], [geometry.spacing_mm[a] for a in axis_of_lps], low, IDENTITY
    )
    return Volume(array, target)


def from_identity(volume: Volume, geometry: Geometry) -> Volume:
    """Undo :func:`to_identity`: put voxels back into the order of an axis-aligned grid."""
    direction = np.rint(np.asarray(geometry.direction))
    axis_of_lps = [int(np.argmax(np.abs(direction[row]))) for row in range(3)]
    signs = [direction[row, axis_of_lps[row]] for row in range(3)]
    array = volume.array[tuple(slice(None, None, -1 if signs[row] < 0 else 1) for row in (2, 1, 0))]
    order = [2 - axis_of_lps[row] for row in (2, 1, 0)]
    return Volume(np.ascontiguousarray(array.transpose(np.argsort(order))), geometry)


def apply_along_axes(array: np.ndarray, matrices_zyx) -> np.ndarray:
    """Multiply each axis of a (z, y, x) array by a matrix of shape (n_out, n_in); float32.

    The axis that shrinks most goes first, so that the others have less to do.
    """
    result = np.asarray(array, dtype=np.float32)
    order = sorted(range(3), key=lambda axis: matrices_zyx[axis].shape[0] / matrices_zyx[axis].shape[1])
    for axis in order:
        matrix = np.asarray(matrices_zyx[axis], dtype=np.float32)
        n_out, n_in = matrix.shape
        if axis == 0:
            tail = result.shape[1:]
            result = (matrix @ result.reshape(n_in, -1)).reshape(n_out, *tail)
        elif axis == 1:
            result = np.matmul(matrix, result)
        else:
            result = result @ matrix.T
    return result


def linear_matrix(positions: np.ndarray, n_in: int) -> np.ndarray:
    """Weights of linear interpolation at index positions; clamped at the ends. Shape (n_out, n_in)."""
    clamped = np.clip(positions, 0, n_in - 1)
    low = np.minimum(np.floor(clamped).astype(int), max(n_in - 2, 0))
    share = clamped - low
    matrix = np.zeros((len(positions), n_in))
    rows = np.arange(len(positions))
    matrix[rows, low] = 1 - share
    matrix[rows, np.minimum(low + 1, n_in - 1)] += share
    return matrix


def bspline_matrix(positions: np.ndarray, n_in: int) -> np.ndarray:
    """Weights of a cubic B-spline's coefficients at index positions, mirrored at the ends. Shape (n_out, n_in)."""
    first = np.floor(positions).astype(int) - 1
    t = positions - np.floor(positions)
    weights = np.stack(
        [(1 - t) ** 3 / 6, (4 - 6 * t**2 + 3 * t**3) / 6, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6, t**3 / 6]
    )
    matrix = np.zeros((len(positions), n_in))
    rows = np.arange(len(positions))
    for k in range(4):
        np.add.at(matrix, (rows, _mirrored(first + k, n_in)), weights[k])
    return matrix


def area_matrix(edges: np.ndarray, n_in: int) -> np.ndarray:
    """Weights that average unit voxels between consecutive edges (in voxels, voxel 0 spans 0..1).

    Parts of a bin that lie outside 0..n_in do not count; a bin wholly outside has weight zero everywhere.
    Shape (len(edges) - 1, n_in).
    """
    edges = np.asarray(edges, dtype=float)
    low = np.maximum(edges[:-1, None], np.arange(n_in)[None])
    high = np.minimum(edges[1:, None], np.arange(1, n_in + 1)[None])
    overlap = np.clip(high - low, 0, None)
    total = overlap.sum(axis=1, keepdims=True)
    return np.divide(overlap, total, out=np.zeros_like(overlap), where=total > 0)


def nearest_index(positions: np.ndarray, n_in: int) -> np.ndarray:
    """Index of the nearest voxel (halves go up, as in ITK), clamped to the volume."""
    return np.clip(nearest_voxel(positions), 0, n_in - 1)


def _mirrored(index: np.ndarray, n: int) -> np.ndarray:
    if n == 1:
        return np.zeros_like(index)
    period = 2 * (n - 1)
    index = np.abs(index) % period
    return np.where(index >= n, period - index, index)


def _inside(positions: np.ndarray, n_in: int) -> np.ndarray:
    return (positions >= -0.5 - 1e-6) & (positions <= n_in - 0.5 + 1e-6)


def _resample_separable(volume: Volume, target: Geometry, method: str, fill: float) -> Volume:
    source = to_identity(volume)
    target_low, _ = target.bounds_lps()
    plain = to_identity(Volume(np.broadcast_to(np.uint8(0), target.shape), target)).geometry
    positions = [
        (target_low[a] - source.geometry.origin_mm[a] + np.arange(plain.size[a]) * plain.spacing_mm[a])
        / source.geometry.spacing_mm[a]
        for a in (2, 1, 0)
    ]
    inside = [_inside(p, n) for p, n in zip(positions, source.array.shape, strict=True)]
    if not all(i.any() for i in inside):
        dtype = source.array.dtype if method == "nearest" else np.float32
        return Volume(np.full(target.shape, fill, dtype=dtype), target)
    array = _SEPARABLE[method](source.array, positions)
    for axis, ok in enumerate(inside):
        if not ok.all():
            array[tuple(~ok if a == axis else slice(None) for a in range(3))] = fill
    return from_identity(Volume(array, plain), target)


def _separable_nearest(array: np.ndarray, positions) -> np.ndarray:
    index = [nearest_index(p, n) for p, n in zip(positions, array.shape, strict=True)]
    return array[np.ix_(*index)]


def _separable_linear(array: np.ndarray, positions) -> np.ndarray:
    return apply_along_axes(array, [linear_matrix(p, n) for p, n in zip(positions, array.shape, strict=True)])


def _separable_bspline(array: np.ndarray, positions) -> np.ndarray:
    # only the part of the source that the target can feel is prefiltered
    starts, stops = [], []
    for p, n in zip(positions, array.shape, strict=True):
        starts.append(int(np.clip(np.floor(p.min()) - SPLINE_MARGIN_VOXELS, 0, n - 1)))
        stops.append(int(np.clip(np.ceil(p.max()) + SPLINE_MARGIN_VOXELS + 1, 1, n)))
    part = array[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))]
    coefficients = ndimage.spline_filter(part.astype(np.float32), order=3, output=np.float32, mode="mirror")
    matrices = []
    for p, start, n_all, n in zip(positions, starts, array.shape, part.shape, strict=True):
        clamped = np.clip(p, -0.5, n_all - 0.5)
        matrices.append(bspline_matrix(clamped - start, n))
    return apply_along_axes(coefficients, matrices)


_SEPARABLE = {"nearest": _separable_nearest, "linear": _separable_linear, "bspline": _separable_bspline}


def _resample_oblique(volume: Volume, target: Geometry, method: str, fill: float) -> Volume:
    source = volume
    if method != "nearest":
        source = volume.with_array(volume.array.astype(np.float32))
    pixel = sitk.sitkUnknown if method == "nearest" else sitk.sitkFloat32
    image = sitk.Resample(
        image_from_volume(source),
        target.size,
        sitk.Transform(),
        INTERPOLATORS[method],
        target.origin_mm,
        target.spacing_mm,
        np.asarray(target.direction).ravel().tolist(),
        float(fill),
        pixel,
    )
    array = sitk.GetArrayFromImage(image)
    return Volume(array.astype(bool) if volume.array.dtype == bool else array, target)
