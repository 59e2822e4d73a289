"""Are a CT's values HU? What a lost rescale intercept, a window or a wrong choice of image leaves behind."""

from __future__ import annotations

import numpy as np

AIR_HU, LEAST_SHARE = -500.0, 0.01
POSSIBLE_HU = (-10_000.0, 35_000.0)


def why_not_hu(array: np.ndarray) -> str | None:
    """What speaks against HU, as "the CT's values ..." goes on; None where nothing does.

    Parameters
    ----------
    array : finite voxels of a CT, air around the patient included
    """
    low, high = float(array.min()), float(array.max())
    if low < POSSIBLE_HU[0] or high > POSSIBLE_HU[1]:
        return f"reach from {low:.6g} to {high:.6g}, which no HU do"
    if np.mean(array < AIR_HU) < LEAST_SHARE:
        return f"reach from {low:.6g} to {high:.6g}, and hardly any is air (below {AIR_HU:g} HU)"
    if np.mean(array > AIR_HU) < LEAST_SHARE:
        return f"reach from {low:.6g} to {high:.6g}, and hardly any is tissue (above {AIR_HU:g} HU)"
    return None
