"""Size and form of the mask, whatever lies inside."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import HAS_NUMBA, compiled
from mmpl.radiomics.families.surface import surface_and_volume
from mmpl.radiomics.mask_geometry import MaskGeometry

STEPS = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)])
ROUNDING = -1e-10  # mm2; an eigenvalue between this and 0 is 0, as in pyradiomics


def shape(mask: MaskGeometry, spacing_xyz_mm: tuple[float, float, float]) -> np.ndarray:
    """Shape features.

    Returns
    -------
    float64 array, shape (14,); NaN where the mask has no extent to divide by
    """
    spacing = np.array(spacing_xyz_mm[::-1])
    area, volume = surface_and_volume(mask.inside, spacing)
    slice_, column, row, whole = diameters(mesh_vertices(mask), spacing)
    least, minor, major = principal_variances(mask, spacing)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(
            [
                np.sqrt(minor / major),  # Elongation, Q3CK
                np.sqrt(least / major),  # Flatness, N17B
                4 * np.sqrt(least),  # LeastAxisLength, 7J51
                4 * np.sqrt(major),  # MajorAxisLength, TDIC
                column,  # Maximum2DDiameterColumn
                row,  # Maximum2DDiameterRow
                slice_,  # Maximum2DDiameterSlice
                whole,  # Maximum3DDiameter, L0JK
                volume,  # MeshVolume, RNU0
                4 * np.sqrt(minor),  # MinorAxisLength, P9VJ
                (36 * np.pi * volume**2) ** (1.0 / 3.0) / area,  # Sphericity, QCFX
                area,  # SurfaceArea, C0JK
                np.float64(area) / volume,  # SurfaceVolumeRatio, 2PR5
                mask.n_voxels * np.prod(spacing),  # VoxelVolume, YEKZ
            ]
        )


def principal_variances(mask: MaskGeometry, spacing_zyx_mm: np.ndarray) -> np.ndarray:
    """Variances of the voxel centres along their principal axes, mm2, ascending; NaN if below 0.

    The order of operations is pyradiomics': in a flat or straight mask the smallest is rounding alone, and its
    root is not small.
    """
    places = (mask.zyx + 1).T * spacing_zyx_mm  # counted from the border around the box
    places = (places - places.mean(axis=0)) / np.sqrt(mask.n_voxels)
    variances = np.real(np.linalg.eigvals(places.T.copy() @ places))
    variances = np.sort(np.where((variances < 0) & (variances > ROUNDING), 0.0, variances))
    return np.where(variances < 0, np.nan, variances)


def mesh_vertices(mask: MaskGeometry) -> np.ndarray:
    """Vertices of the mesh, half-way between a voxel and a neighbour outside, in half voxels: (n, zyx) int64."""
    padded = np.pad(mask.inside, 1)
    found = []
    for step in STEPS:
        z, y, x = mask.zyx + 1 + step[:, None]
        outside = ~padded[z, y, x]
        found.append((2 * mask.zyx[:, outside] + step[:, None]).T)
    return np.concatenate(found)


def diameters(vertices: np.ndarray, spacing_zyx_mm: np.ndarray) -> tuple[float, float, float, float]:
    """Longest distance between vertices of one slice (same z), column (same y), row (same x), and of any two.

    The ends of a longest distance are corners of the convex hull of their plane, of every axis' plane.
    """
    is_corner = np.ones(len(vertices), bool)
    longest = []
    for axis in range(3):
        one, two = (a for a in range(3) if a != axis)
        low = vertices.min(axis=0)
        span = int((vertices.max(axis=0) - low).max()) + 1
        key = vertices - low
        order = np.argsort((key[:, axis] * span + key[:, one]) * span + key[:, two])
        flat = np.ascontiguousarray(vertices[order][:, [axis, one, two]])
        corner, squared = plane_hulls(flat, spacing_zyx_mm[one] / 2, spacing_zyx_mm[two] / 2)
        is_corner[order] &= corner
        longest.append(float(np.sqrt(squared)))
    ends = vertices[is_corner] * (spacing_zyx_mm / 2)
    return *longest, float(np.sqrt(farthest(ends)))


@compiled
def plane_hulls(points, one_mm, two_mm):
    """Hull corners in each plane, and the longest squared distance within any plane.

    Parameters
    ----------
    points : int array, shape (n, 3): plane, and two coordinates, sorted by all three
    one_mm, two_mm : float, a step of either coordinate
    """
    n = points.shape[0]
    corner = np.zeros(n, np.bool_)
    longest = 0.0
    stack = np.empty(n, np.int64)
    first = 0
    while first < n:
        end = first
        while end < n and points[end, 0] == points[first, 0]:
            end += 1
        for forward in (True, False):
            m = 0
            for t in range(end - first):
                k = first + t if forward else end - 1 - t
                while m >= 2 and _turn(points, stack[m - 2], stack[m - 1], k) <= 0:
                    m -= 1
                stack[m] = k
                m += 1
            for t in range(m):
                corner[stack[t]] = True
        m = 0
        for k in range(first, end):
            if corner[k]:
                stack[m] = k
                m += 1
        for s in range(m):
            for t in range(s):
                a = (points[stack[s], 1] - points[stack[t], 1]) * one_mm
                b = (points[stack[s], 2] - points[stack[t], 2]) * two_mm
                longest = max(longest, a * a + b * b)
        first = end
    return corner, longest


@compiled
def _turn(points, a, b, c):
    """Above 0 where the way a, b, c turns left."""
    return (points[b, 1] - points[a, 1]) * (points[c, 2] - points[a, 2]) - (points[b, 2] - points[a, 2]) * (
        points[c, 1] - points[a, 1]
    )


@compiled
def _farthest(points):
    longest = 0.0
    for i in range(points.shape[0]):
        for j in range(i):
            a, b, c = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
            longest = max(longest, a * a + b * b + c * c)
    return longest


def _farthest_arrays(points):
    return max((float(((points[: i + 1] - p) ** 2).sum(axis=1).max()) for i, p in enumerate(points)), default=0.0)


farthest = _farthest if HAS_NUMBA else _farthest_arrays
"""Longest squared distance between any two points, shape (n, 3), mm."""
