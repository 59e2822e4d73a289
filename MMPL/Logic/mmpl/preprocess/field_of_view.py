"""The 128 mm patch the HPV and RFS heads look at."""

from __future__ import annotations

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.lengths import padded_voxels
from mmpl.preprocess.network_grid import background_values, roi_index_to_network

FIELD_OF_VIEW_MM = 128.0


def lesion_centroid(label_map: np.ndarray) -> np.ndarray | None:
    """Centroid (z, y, x) of all labelled voxels of a 1 mm ROI label map; None when there are none."""
    box = bounding_box(label_map)
    if box is None:
        return None
    return np.array([axis.mean() + s.start for axis, s in zip(np.nonzero(label_map[box]), box, strict=True)])


def outcome_patch(network_array: np.ndarray, centre_zyx_1mm, spacing_mm: float) -> np.ndarray:
    """Cut the heads' patch around a 1 mm ROI index, shifted inside the grid; padded with air where it is too small.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x), see :func:`mmpl.preprocess.network_grid.network_input`
    centre_zyx_1mm : (3,) continuous voxel index on the 1 mm ROI
    spacing_mm : of the network grid

    Returns
    -------
    float32, shape (2, w, w, w) with w = round(128 / spacing) padded to a multiple of 16
    """
    window = padded_voxels(FIELD_OF_VIEW_MM, spacing_mm)
    return cut_patch(network_array, roi_index_to_network(centre_zyx_1mm, spacing_mm), window)


def outcome_patch_start(shape: tuple[int, int, int], centre_zyx_1mm, spacing_mm: float) -> tuple[int, int, int]:
    """First voxel (z, y, x) of :func:`outcome_patch` on a network grid of this shape: it says which patch that is."""
    window = padded_voxels(FIELD_OF_VIEW_MM, spacing_mm)
    centres = roi_index_to_network(centre_zyx_1mm, spacing_mm)
    return tuple(_start(centre, n, window) for centre, n in zip(centres, shape, strict=True))


def _start(centre: float, n: int, window: int) -> int:
    start = round(float(centre) - (window - 1) / 2)
    return min(max(start, 0), n - window) if n >= window else -((window - n) // 2)


def cut_patch(
    network_array: np.ndarray, centre_zyx, window: int, margin: int = 0, fills: tuple[float, float] | None = None
) -> np.ndarray:
    """Cube of ``window`` voxels around a continuous network index; see :func:`outcome_patch`.

    With a ``margin`` the cube is that much wider on every side (air where it leaves the grid), for augmentation to
    draw from; its middle is the same window. ``fills`` is the air of (PET, CT) where it is known already: to find it
    takes a look at the whole array.
    """
    wide = window + 2 * margin
    patch = np.empty((network_array.shape[0],) + (wide,) * 3, dtype=np.float32)
    for channel, fill in enumerate(fills or background_values(network_array)):
        patch[channel] = fill
    source, target = [], []
    for centre, n in zip(centre_zyx, network_array.shape[1:], strict=True):
        start = _start(centre, n, window) - margin
        low, high = max(start, 0), min(start + wide, n)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    patch[(slice(None), *target)] = network_array[(slice(None), *source)]
    return patch
