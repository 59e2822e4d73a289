"""Where the patient is: nothing is looked for in the air around."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.segmentation.regions import Box, whole

SKIN_HU = -300.0
CT_SCALE_HU = 1024.0  # the networks' CT channel is HU / 1024
MARGIN_MM = 8.0


def body_box(network_array: np.ndarray, spacing_mm: float) -> Box:
    """The box around the patient, with 8 mm of air.

    The patient is the largest connected part of the CT above -300 HU. Where there is none, the whole grid is returned.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x), channel 1 the CT divided by 1024 HU
    """
    grid = whole(network_array.shape[1:])
    labels, count = ndimage.label(network_array[1] > SKIN_HU / CT_SCALE_HU)
    if count == 0:
        return grid
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    at = bounding_box(labels == sizes.argmax())
    body = Box(tuple(s.start for s in at), tuple(s.stop for s in at))
    return body.grown(max(1, round(MARGIN_MM / spacing_mm))).within(grid)
