"""Between the 1 mm ROI and the grid the networks see.

Every length is physical: at a spacing of s mm a length of L mm becomes round(L / s) voxels, and a window is padded
to a multiple of 16. Going down averages the 1 mm voxels under each network voxel (at 1 mm: the identity); going up
is linear.
"""

from __future__ import annotations

import numpy as np

from mmpl.boxes import Box
from mmpl.case import RoiCase
from mmpl.lengths import voxels_of
from mmpl.resample import apply_along_axes, area_matrix, linear_matrix

CT_CLIP_HU = 1024.0


def to_network_grid(array: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Average a 1 mm array (z, y, x) over voxels of ``spacing_mm``; float32."""
    if spacing_mm == 1:
        return np.array(array, dtype=np.float32)
    matrices = [area_matrix(np.arange(voxels_of(n, spacing_mm) + 1) * spacing_mm, n) for n in array.shape]
    return apply_along_axes(array, matrices)


def to_roi_grid(
    array: np.ndarray, spacing_mm: float, shape_1mm: tuple[int, int, int], box: Box | None = None
) -> np.ndarray:
    """Linear interpolation of a network-grid array back to 1 mm; float32.

    Parameters
    ----------
    array : shape (z, y, x)
    shape_1mm : of the whole ROI
    box : the part of it that is asked for; all by default, else the result has the box's shape
    """
    wanted = box or tuple(slice(0, n) for n in shape_1mm)
    matrices, felt = [], []
    for n, m, part in zip(shape_1mm, array.shape, wanted, strict=True):
        matrix = _to_1mm(n, m, spacing_mm)[part]
        columns = np.flatnonzero(matrix.any(axis=0))
        felt.append(slice(columns[0], columns[-1] + 1) if columns.size else slice(0, 1))
        matrices.append(matrix[:, felt[-1]])
    return apply_along_axes(array[tuple(felt)], matrices)


def felt_on_roi(box: Box, spacing_mm: float, shape: tuple[int, int, int], shape_1mm: tuple[int, int, int]) -> Box:
    """The box of the 1 mm ROI whose voxels :func:`to_roi_grid` gives a share of any voxel in a network-grid box.

    Parameters
    ----------
    box : of an array of ``shape``; empty on an axis: so is the result
    """
    felt = []
    for n, m, part in zip(shape_1mm, shape, box, strict=True):
        rows = np.flatnonzero(_to_1mm(n, m, spacing_mm)[:, part].any(axis=1))
        felt.append(slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0))
    return tuple(felt)


def _to_1mm(n_1mm: int, n: int, spacing_mm: float) -> np.ndarray:
    """Weights (n_1mm, n) of one axis' voxels."""
    return linear_matrix((np.arange(n_1mm) + 0.5) / spacing_mm - 0.5, n)


def roi_index_to_network(index_1mm, spacing_mm: float) -> np.ndarray:
    """Continuous network voxel index of a continuous 1 mm voxel index (same axis order in and out)."""
    return (np.asarray(index_1mm, dtype=float) + 0.5) / spacing_mm - 0.5


def network_input(roi: RoiCase, spacing_mm: float) -> np.ndarray:
    """PET and CT as the networks see them: float32, shape (2, z, y, x), channel 0 PET, channel 1 CT.

    CT is clipped to [-1024, 1024] HU and scaled to [-1, 1]; PET is z-scored over the non-zero voxels of the ROI
    (all zero: left at zero).
    """
    ct = np.clip(roi.ct_hu, -CT_CLIP_HU, CT_CLIP_HU) / CT_CLIP_HU
    mean, spread = pet_statistics(roi.pet_suv)
    pet = to_network_grid((roi.pet_suv - mean) / spread, spacing_mm)
    return np.stack([pet, to_network_grid(ct, spacing_mm)])


def pet_statistics(pet_suv: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over non-zero voxels; (0, 1) when there are none or they are constant."""
    values = pet_suv[pet_suv != 0]
    if values.size == 0:
        return 0.0, 1.0
    spread = float(values.std(dtype=np.float64))
    return float(values.mean(dtype=np.float64)), spread if spread > 0 else 1.0


def background_values(network_array: np.ndarray) -> tuple[float, float]:
    """What air looks like to the network: (PET, CT) fill values for padding."""
    return float(network_array[0].min()), -1.0
