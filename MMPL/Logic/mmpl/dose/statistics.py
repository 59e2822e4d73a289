"""Dose-volume figures of one contour.

References
----------
ICRU Report 83: Prescribing, Recording, and Reporting Photon-Beam IMRT. J ICRU 2010;10(1): D98, D50, D2 and V.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.case import PlannedDose
from mmpl.errors import InputError

LEVELS_GY = PlannedDose.levels_gy
LEVEL_TOLERANCE_GY = 1e-3  # stored doses are rounded: a plan of 70 Gy must not miss the level of 70
NO_VOXEL = "the contour is empty"
NOT_COVERED = "the contour lies outside the dose grid"


@dataclass(frozen=True)
class DoseFigures:
    """Dose in one contour, in Gy; all None with a ``reason`` where there is none.

    Attributes
    ----------
    volume_ml : of the whole contour
    covered_share : share of the contour that the dose grid covers, 0 to 1; the figures are of that part. None if empty
    mean_gy, min_gy, max_gy : over voxels
    d98_gy, d95_gy, d50_gy, d2_gy : the dose that 98, 95, 50 and 2 % of the volume receive at least
    v_percent : for each level, percent of the volume that receives at least that dose
    reason : why nothing is given
    """

    volume_ml: float
    covered_share: float | None
    mean_gy: float | None = None
    min_gy: float | None = None
    max_gy: float | None = None
    d98_gy: float | None = None
    d95_gy: float | None = None
    d50_gy: float | None = None
    d2_gy: float | None = None
    v_percent: tuple[float, ...] | None = None
    reason: str | None = None


def dose_statistics(
    dose_on_grid: np.ndarray, mask: np.ndarray, voxel_volume_ml: float, levels_gy: Sequence[float] = LEVELS_GY
) -> DoseFigures:
    """Figures of the voxels of a contour that the dose covers, each voxel counting alike.

    Parameters
    ----------
    dose_on_grid : float array, shape (z, y, x), Gy; NaN where there is no dose
    mask : bool array of that shape
    voxel_volume_ml : float
    levels_gy : doses of the V figures; a dose up to 0.001 Gy below a level reaches it

    Raises
    ------
    InputError
        If the mask is not bool, or not of the dose's shape.
    """
    if mask.dtype != bool or mask.shape != dose_on_grid.shape:
        raise InputError(
            f"dose figures: the mask is {mask.dtype} of shape {mask.shape}; give a bool array of shape "
            f"{dose_on_grid.shape}"
        )
    inside = dose_on_grid[mask].astype(np.float64)
    volume_ml = len(inside) * voxel_volume_ml
    if not len(inside):
        return DoseFigures(volume_ml, None, reason=NO_VOXEL)
    dose = np.sort(inside[np.isfinite(inside)])[::-1]
    covered = len(dose) / len(inside)
    if not len(dose):
        return DoseFigures(volume_ml, covered, reason=NOT_COVERED)
    near_max_and_min = (dose_at_volume(dose, percent) for percent in (98.0, 95.0, 50.0, 2.0))
    volumes = tuple(100.0 * float(np.mean(dose >= level - LEVEL_TOLERANCE_GY)) for level in levels_gy)
    return DoseFigures(
        volume_ml, covered, float(dose.mean()), float(dose[-1]), float(dose[0]), *near_max_and_min, volumes
    )


def dose_at_volume(falling_gy: np.ndarray, percent: float) -> float:
    """The highest dose that at least ``percent`` of the voxels receive.

    Of n voxels by falling dose it is the one of rank ceil(n * percent / 100), at least the first: no interpolation
    between voxels, so it is a dose that a voxel has.

    Parameters
    ----------
    falling_gy : float array, shape (n,), n >= 1, sorted from high to low
    percent : above 0, up to 100
    """
    rank = math.ceil(len(falling_gy) * percent / 100.0 - 1e-9)
    return float(falling_gy[max(rank, 1) - 1])
