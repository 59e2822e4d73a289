"""The common 1 mm grid of PET and CT."""

from __future__ import annotations

import numpy as np

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry

GRID_SPACING_MM = 1.0
AXIS_NAMES = ("left-right", "front-back", "head-foot")  # LPS


def common_grid(ct: Geometry, pet: Geometry, *, case_id: str = "case") -> Geometry:
    """Axis-aligned 1 mm grid over the physical intersection of PET and CT.

    The box runs from the larger of the two lowest voxel-centre coordinates to the smaller of the two highest, per
    LPS axis; the direction is the identity whatever the inputs' are.

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
    size = np.floor((high - low) / GRID_SPACING_MM + 1e-6).astype(int) + 1
    return Geometry(size, (GRID_SPACING_MM,) * 3, low)
