"""A dose distribution on another grid."""

from __future__ import annotations

import numpy as np

from mmpl.geometry import Geometry, Volume
from mmpl.resample import resample


def dose_on(dose: Volume, grid: Geometry) -> np.ndarray:
    """Dose at every voxel centre of a grid, by linear interpolation.

    Parameters
    ----------
    dose : Volume, Gy
    grid : Geometry, any direction

    Returns
    -------
    float32 array, shape (z, y, x), Gy; NaN more than half a dose voxel beyond the outermost dose points, within that
    half voxel the dose at the nearest border
    """
    return resample(dose, grid, method="linear", fill=np.nan).array
