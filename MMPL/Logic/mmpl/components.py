"""Connected parts of a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

TWENTY_SIX = np.ones((3, 3, 3), dtype=bool)  # voxels that share a face, an edge or a corner


def connected(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """26-connected parts of a 3D array: each voxel's part, int32 counted from 1, 0 outside; and how many there are."""
    return ndimage.label(mask, structure=TWENTY_SIX)
