"""The fixed region of interest: a 200 x 200 x 310 mm box found from the brain's uptake."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mmpl.components import connected
from mmpl.geometry import Geometry, Volume
from mmpl.notices import ROI_FALLBACK, Notice
from mmpl.resample import resample

ROI_SIZE_MM = (200, 200, 310)  # x, y, z; the grid is 1 mm, so voxels too
CRANIAL_FRACTION = 0.25
Z_SCORE_THRESHOLD = 1.0
LATTICE_MM = 16
# A box starts at a multiple of this in LPS where it can: networks of 1, 2, 3, 4 or 6 mm voxels then see the same
# patient in the same voxels, though the centre found moves by a millimetre with how the images are stored.
START_MM = 12


def cranial_slab(grid: Geometry) -> Geometry:
    """The cranial-most quarter of an identity-direction grid (+z is superior in LPS)."""
    depth = max(1, round(grid.size[2] * CRANIAL_FRACTION))
    return grid.cropped((0, 0, grid.size[2] - depth), (grid.size[0], grid.size[1], depth))


def find_centre(pet: Volume, grid: Geometry) -> tuple[np.ndarray, Notice | None]:
    """Centre of the ROI in LPS mm: the centroid of the largest hot component of the cranial slab.

    Parameters
    ----------
    pet : Volume, native PET
    grid : Geometry, the common 1 mm grid

    Returns
    -------
    (3,) LPS position and, when no voxel is hot, a notice that the slab's centre was taken.
    """
    slab = cranial_slab(grid)
    values = clean_pet(resample(pet, slab, method="bspline", fill=0.0).array)
    spread = float(values.std())
    hot = values > values.mean() + Z_SCORE_THRESHOLD * spread if spread > 0 else np.zeros(values.shape, bool)
    if not hot.any():
        centre = slab.physical((np.asarray(slab.size) - 1) / 2)
        text = (
            "No uptake stands out in the top quarter of the images: the region of interest is centred there blindly; "
            "check that the head is in the field of view."
        )
        return centre, Notice(ROI_FALLBACK, text)
    labels, _ = connected(hot)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    where = ndimage.find_objects(labels)[counts.argmax() - 1]
    largest = labels[where] == counts.argmax()
    offset = np.array([s.start for s in where])
    centroid_zyx = np.array(ndimage.center_of_mass(largest)) + offset
    return slab.physical(centroid_zyx[::-1]), None


def roi_geometry(grid: Geometry, centre_lps) -> Geometry:
    """The box around a centre, on the common grid's lattice, shifted inside it where it would leave it.

    Where the grid is smaller than the box on an axis, the box is centred on the grid, holds all of it, and the rest is
    padding. It starts at the nearest multiple of 12 mm from LPS 0, unless no such start keeps the smaller of the two
    within the other.
    """
    centre = np.rint(grid.index(centre_lps)).astype(int)
    size, whole = np.array(ROI_SIZE_MM), np.array(grid.size)
    start = centre - size // 2
    start = np.where(whole >= size, np.clip(start, 0, whole - size), -((size - whole) // 2))
    origin = np.rint(grid.origin_mm).astype(int)
    ends = origin, origin + whole - size  # starts at which both begin, or end, together
    low, high = np.ceil(np.minimum(*ends) / START_MM), np.floor(np.maximum(*ends) / START_MM)
    steps = np.clip(np.rint((origin + start) / START_MM), low, np.maximum(low, high))
    snapped = (steps * START_MM - origin).astype(int)
    return grid.cropped(np.where(high < low, start, snapped), size)


def shifted_to_hold(roi: Geometry, low_lps, high_lps) -> Geometry:
    """The ROI moved on a 16 mm lattice so that it holds a box, or leaves as little of its length outside as can be.

    Parameters
    ----------
    roi : Geometry, 1 mm, identity direction
    low_lps, high_lps : (3,) LPS mm, the voxel-centre bounds of what must be held
    """
    low, high = roi.index(low_lps), roi.index(high_lps)
    size = np.asarray(roi.size)
    need_up = np.ceil(np.maximum(high - (size - 1), 0) / LATTICE_MM)
    need_down = np.ceil(np.maximum(-low, 0) / LATTICE_MM)
    shift = np.where(need_up > 0, need_up, -need_down) * LATTICE_MM
    middle = np.rint(((low + high) / 2 - (size - 1) / 2) / LATTICE_MM) * LATTICE_MM

    def outside(shift: np.ndarray) -> np.ndarray:
        return np.maximum(shift - low, 0) + np.maximum(high - shift - (size - 1), 0)

    shift = np.where(high - low > size - 1, middle, shift)
    # moved as far as one side asks, a box that hardly fits may leave on the other
    for other in (middle, np.zeros(3)):
        shift = np.where(outside(other) < outside(shift), other, shift)
    return roi.cropped(shift.astype(int), roi.size)


def clean_pet(pet_suv: np.ndarray) -> np.ndarray:
    """PET after spline resampling: negatives and values below 1e-3 become 0, so that air is zero again."""
    return np.where(pet_suv < 1e-3, np.float32(0), pet_suv).astype(np.float32, copy=False)
