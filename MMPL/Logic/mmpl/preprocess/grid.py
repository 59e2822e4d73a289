"""The common 1 mm grid of PET and CT."""

from __future__ import annotations

import numpy as np

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry, Volume

GRID_SPACING_MM = 1.0
PADDING_TOLERANCE = 1e-3  # HU or SUV; what differs from the padding by more is content
AXIS_NAMES = ("left-right", "front-back", "head-foot")  # LPS


def common_grid(ct: Geometry, pet: Geometry, *, case_id: str = "case") -> Geometry:
    """Axis-aligned 1 mm grid over the physical intersection of PET and CT.

    The box runs from the larger of the two lowest voxel-centre coordinates to the smaller of the two highest, per
    LPS axis, both rounded to whole millimetres; the direction is the identity whatever the inputs' are. So the same
    patient is sampled at the same points however the images are stored.

    Raises
    ------
    GeometryError
        If the two boxes do not meet.
    """
    ct_low, ct_high = ct.bounds_lps()
    pet_low, pet_high = pet.bounds_lps()
    low, high = np.maximum(ct_low, pet_low), np.minimum(ct_high, pet_high)
    if np.any(high < low):
        axis = AXIS_NAMES[int(np.argmin(high - low))]
        gap = float(-(high - low).min())
        raise GeometryError(
            f"{case_id}: PET and CT do not overlap ({gap:.1f} mm apart in the {axis} direction); "
            "check that both belong to the same patient and study"
        )
    first, last = _whole(low), _whole(high)
    return Geometry(last - first + 1, (GRID_SPACING_MM,) * 3, first * GRID_SPACING_MM)


def _whole(coordinate_mm: np.ndarray) -> np.ndarray:
    """The nearest grid point, counted from LPS 0; halves go up, rounding noise or not."""
    return np.floor(coordinate_mm / GRID_SPACING_MM + 0.5 + 1e-6).astype(int)


def placement_grid(grid: Geometry, ct: Volume, pet: Volume) -> Geometry:
    """The part of the common grid on which the cranial slab and the ROI are placed.

    For axis-aligned images this is the whole common grid. The bounding box of an oblique image grows with its tilt,
    by corners that hold padding or air, and "the top quarter" would move away from the head with it; so what counts
    there is where the image holds something, and no more than its reach along its own axes. Voxels are still
    sampled on the whole common grid.
    """
    bounds = [content_bounds_lps(volume) for volume in (ct, pet) if not volume.geometry.is_axis_aligned()]
    if not bounds:
        return grid
    low = np.ceil(np.max([grid.index(low) for low, _ in bounds], axis=0) - 1e-6).astype(int)
    high = np.floor(np.min([grid.index(high) for _, high in bounds], axis=0) + 1e-6).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, np.asarray(grid.size) - 1)
    return grid if np.any(high < low) else grid.cropped(low, high - low + 1)


def content_bounds_lps(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest LPS coordinate of an oblique image's content.

    Padding is what has the value of the first voxel, when all eight corners have it.
    """
    low, high = volume.geometry.axis_bounds_lps()
    corners = volume.array[np.ix_(*[(0, n - 1) for n in volume.array.shape])]
    if np.ptp(corners) > 0:
        return low, high
    zyx = np.argwhere(np.abs(volume.array - corners.flat[0]) > PADDING_TOLERANCE)
    if zyx.size == 0:
        return low, high
    points = volume.geometry.physical(zyx[:, ::-1])
    return np.maximum(low, points.min(axis=0)), np.minimum(high, points.max(axis=0))
