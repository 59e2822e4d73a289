"""Where the patient is: nothing is looked for in the air around."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.segmentation.regions import Box, whole

SKIN_HU = -300.0
CT_SCALE_HU = 1024.0  # the networks' CT channel is HU / 1024
MARGIN_MM = 8.0
CELL_MM = 4.0


def body_box(network_array: np.ndarray, spacing_mm: float) -> Box:
    """The box around the patient, with 8 mm of air.

    The patient is the largest connected part of the CT above -300 HU, looked at in cells of about 4 mm (a cell is the
    patient's when any of its voxels is). Where there is none, the whole grid is returned.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x), channel 1 the CT divided by 1024 HU
    """
    grid, cell = whole(network_array.shape[1:]), max(1, round(CELL_MM / spacing_mm))
    labels, count = ndimage.label(_any_of_cells(network_array[1] > SKIN_HU / CT_SCALE_HU, cell))
    if count == 0:
        return grid
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    at = bounding_box(labels == sizes.argmax())
    body = Box(tuple(s.start * cell for s in at), tuple(s.stop * cell for s in at))
    return body.grown(max(1, round(MARGIN_MM / spacing_mm))).within(grid)


def _any_of_cells(mask: np.ndarray, cell: int) -> np.ndarray:
    padded = np.pad(mask, [(0, -n % cell) for n in mask.shape])
    return padded.reshape([m for n in padded.shape for m in (n // cell, cell)]).any(axis=(1, 3, 5))
