"""From a case as read to the fixed 1 mm ROI. Training and inference both call :func:`prepare`."""

from __future__ import annotations

import numpy as np

from mmpl.case import Case, RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.notices import SMALL_OVERLAP, Notice
from mmpl.preprocess.grid import common_grid, placement_grid
from mmpl.preprocess.roi import clean_pet, find_centre, roi_geometry
from mmpl.resample import resample

CT_AIR_HU, CT_MAX_HU = -1024, 3071
SMALL_OVERLAP_MM = 100


def prepare(case: Case, *, roi: Geometry | None = None) -> RoiCase:
    """Bring PET and CT onto the 1 mm ROI.

    Parameters
    ----------
    case : Case
    roi : Geometry, optional
        A ROI to use instead of the one found from the uptake (contours that leave it need another).

    Returns
    -------
    RoiCase

    Raises
    ------
    GeometryError
        If PET and CT do not overlap.
    """
    grid = common_grid(case.ct.geometry, case.pet.geometry, case_id=case.case_id)
    notices = list(case.notices)
    if min(grid.size) < SMALL_OVERLAP_MM:
        extent = " x ".join(str(n) for n in grid.size)
        text = f"PET and CT share only {extent} mm: what lies outside is neither segmented nor measured."
        notices.append(Notice(SMALL_OVERLAP, text))
    if roi is None:
        placement = placement_grid(grid, case.ct, case.pet)
        centre, notice = find_centre(case.pet, placement)
        notices += [notice] if notice else []
        roi = roi_geometry(placement, centre)
    else:
        centre = roi.physical((np.asarray(roi.size) - 1) / 2)
    ct = _on_roi(_in_range(case.ct), grid, roi, fill=CT_AIR_HU)
    pet = _on_roi(case.pet, grid, roi, fill=0.0)
    return RoiCase(
        case_id=case.case_id,
        ct_hu=np.clip(ct, CT_AIR_HU, CT_MAX_HU),
        pet_suv=clean_pet(pet),
        geometry=roi,
        centre_lps=tuple(float(v) for v in centre),
        ct_geometry=case.ct.geometry,
        pet_native=case.pet,
        pet_units=case.pet_units,
        notices=tuple(notices),
    )


def _in_range(ct: Volume) -> Volume:
    """A CT clipped before it is resampled.

    The spline rings around metal and padding by a share of their step, and metal of an extended scale (20,000 HU) would
    ring far into the tissue beside it.
    """
    if ct.array.min() >= CT_AIR_HU and ct.array.max() <= CT_MAX_HU:
        return ct
    return ct.with_array(np.clip(ct.array, CT_AIR_HU, CT_MAX_HU))


def _on_roi(volume: Volume, grid: Geometry, roi: Geometry, *, fill: float) -> np.ndarray:
    """B-spline samples inside the common grid; ``fill`` where the ROI reaches beyond it."""
    start = np.rint(grid.index(roi.origin_mm)).astype(int)
    low = np.maximum(start, 0)
    high = np.minimum(start + roi.size, grid.size)
    array = np.full(roi.shape, fill, dtype=np.float32)
    if np.any(high <= low):
        return array
    inner = resample(volume, grid.cropped(low, high - low), method="bspline", fill=fill).array
    where = tuple(slice(a, b) for a, b in zip((low - start)[::-1], (high - start)[::-1], strict=True))
    array[where] = inner
    return array


def label_on_roi(label_map: Volume, roi: Geometry) -> np.ndarray:
    """A label map, nearest neighbour, on the ROI; uint8, shape (z, y, x). Only the part with labels is resampled."""
    return _labels_on(label_map, roi)


def label_on_ct(label_map: np.ndarray, roi: Geometry, ct: Geometry) -> Volume:
    """A label map from the ROI back to exactly the CT's grid, nearest neighbour; 0 outside the ROI."""
    return Volume(_labels_on(Volume(label_map.astype(np.uint8, copy=False), roi), ct), ct)


def _labels_on(label_map: Volume, grid: Geometry) -> np.ndarray:
    part = label_map.trimmed()
    labels = np.zeros(grid.shape, label_map.array.dtype)
    index = grid.index(part.geometry.outer_corners_lps)
    low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, grid.size)
    if np.all(high > low):
        inner = resample(part, grid.cropped(low, high - low), method="nearest", fill=0).array
        labels[tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))] = inner
    return labels
