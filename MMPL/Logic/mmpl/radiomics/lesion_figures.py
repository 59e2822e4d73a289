"""Size and uptake of a contour and of each of its connected lesions.

Volumes are counted on the CT grid that the contour lives on. Uptake is read from native PET voxels: the
contour goes to the PET grid, because resampling the PET would overshoot SUVmax.

References
----------
MTV at 41 % of the maximum: Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328-354.
SUVpeak: Wahl et al., J Nucl Med 2009;50(Suppl 1):122S-150S (PERCIST); IBSI global intensity peak (0F91),
Zwanenburg et al., Radiology 2020;295:328-338.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.components import connected
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume, nearest_voxel
from mmpl.resample import to_identity
from mmpl.results import ClassFigures, LesionComponent, LesionFigures

PEAK_RADIUS_MM = 10.0 * (3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)  # 6.2 mm: a sphere of 1 mL


@dataclass(frozen=True)
class Lesion:
    """One 26-connected component on the CT grid.

    Attributes
    ----------
    volume_ml : float
    centroid_lps_mm : (x, y, z)
    pet_voxels : int array, shape (n, 3), PET voxel indices (i, j, k); n = 0 outside the PET
    holds_centre : whether the lesion holds the centres of its PET voxels; False for a speck within one of them
    """

    volume_ml: float
    centroid_lps_mm: tuple[float, float, float]
    pet_voxels: np.ndarray
    holds_centre: bool


def class_figures(mask: Volume, pet_native: Volume | None, *, mtv_fraction: float = 0.41) -> ClassFigures:
    """Figures of one class: the total and its components by falling volume.

    A PET voxel belongs to a lesion when its centre lies in one of the lesion's CT voxels. A lesion so
    small that it holds no PET voxel centre is given the uptake of the PET voxel its centroid lies in, and
    no more than its own volume as MTV. Voxels without a finite value are left out. SUVpeak is the highest
    mean over a 1 mL sphere centred on a voxel of the lesion; every PET voxel whose centre lies in the sphere
    counts, in the lesion or not. The total's MTV and TLG are sums over the lesions, its SUVmax and SUVpeak
    the highest, its SUVmean the mean over the voxels of all, each counted once.

    Parameters
    ----------
    mask : Volume, bool array, on the CT grid
    pet_native : Volume in SUVbw, as read; None when it is not in SUV
    mtv_fraction : fraction of the lesion's SUVmax above which a voxel is metabolic, in (0, 1]

    Returns
    -------
    ClassFigures; uptake is None without PET in SUV or where no PET voxel falls inside

    Raises
    ------
    InputError
        If the mask is not bool or the fraction is not in (0, 1].
    """
    if mask.array.dtype != bool:
        raise InputError(f"lesion figures: the mask is {mask.array.dtype}; give one bool mask a class")
    if not 0.0 < mtv_fraction <= 1.0:
        raise InputError(f"MTV fraction {mtv_fraction}: give a fraction of SUVmax above 0 and up to 1")
    lesions = find_lesions(mask, None if pet_native is None else pet_native.geometry)
    figures = [lesion_figures(lesion, pet_native, mtv_fraction) for lesion in lesions]
    components = tuple(
        LesionComponent(number, lesion.centroid_lps_mm, one)
        for number, (lesion, one) in enumerate(zip(lesions, figures, strict=True), start=1)
    )
    return ClassFigures(total_figures(lesions, figures, pet_native), components)


def find_lesions(mask: Volume, pet_geometry: Geometry | None) -> list[Lesion]:
    """26-connected components by falling volume (ties: by position), with their PET voxels."""
    box = bounding_box(mask.array)
    if box is None:
        return []
    labels, count = connected(mask.array[box])
    start_xyz = [s.start for s in reversed(box)]
    grid = mask.geometry.cropped(start_xyz, labels.shape[::-1])
    voxels_zyx = np.nonzero(labels)
    of_voxel = labels[voxels_zyx]
    sizes = np.bincount(of_voxel, minlength=count + 1)
    mean_xyz = np.stack(
        [np.bincount(of_voxel, axis, minlength=count + 1)[1:] / sizes[1:] for axis in reversed(voxels_zyx)],
        axis=1,
    )
    centroids = grid.physical(mean_xyz)
    pet_voxels = _pet_voxels(labels, grid, pet_geometry, centroids)
    order = sorted(range(count), key=lambda i: -sizes[i + 1])
    return [
        Lesion(float(sizes[i + 1] * grid.voxel_volume_ml), tuple(float(v) for v in centroids[i]), *pet_voxels[i])
        for i in order
    ]


def _pet_voxels(
    labels: np.ndarray, grid: Geometry, pet: Geometry | None, centroids: np.ndarray
) -> list[tuple[np.ndarray, bool]]:
    """PET voxel indices (i, j, k) of each label, nearest neighbour by physical position; whether it holds a centre."""
    nothing = np.empty((0, 3), dtype=int)
    if pet is None:
        return [(nothing, False)] * len(centroids)
    if grid.is_axis_aligned():  # a centre just between two voxels is the one's on the same side, however it is stored
        plain = to_identity(Volume(labels, grid))
        labels, grid = plain.array, plain.geometry
    candidates = _voxels_near(grid, pet)
    nearest = nearest_voxel(grid.index(pet.physical(candidates)))
    inside = np.all((nearest >= 0) & (nearest < np.asarray(grid.size)), axis=1)
    candidates, nearest = candidates[inside], nearest[inside]
    hit = labels[nearest[:, 2], nearest[:, 1], nearest[:, 0]]
    found = []
    for label, centroid in enumerate(centroids, start=1):
        voxels = candidates[hit == label]
        holds_centre = len(voxels) > 0
        if not holds_centre:
            voxel = nearest_voxel(pet.index(centroid))
            within = np.all((voxel >= 0) & (voxel < np.asarray(pet.size)))
            voxels = voxel[None] if within else nothing
        found.append((voxels, holds_centre))
    return found


def _voxels_near(grid: Geometry, pet: Geometry) -> np.ndarray:
    """Indices (i, j, k) of the PET voxels in a box that holds every voxel of ``grid``, shape (n, 3)."""
    index = pet.index(grid.outer_corners_lps)
    low = np.maximum(np.floor(index.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0)), np.asarray(pet.size) - 1).astype(int)
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def lesion_figures(lesion: Lesion, pet: Volume | None, mtv_fraction: float) -> LesionFigures:
    """Figures of one connected lesion."""
    suv = finite_uptake(lesion.pet_voxels, pet)
    if not suv.size:
        return LesionFigures(lesion.volume_ml, None, None, None, None, None)
    suv_max = float(suv.max())
    # Without uptake a fraction of the maximum means nothing.
    metabolic = suv[suv >= mtv_fraction * suv_max] if suv_max > 0 else suv[:0]
    mtv_ml = metabolic.size * pet.geometry.voxel_volume_ml
    if not lesion.holds_centre:  # most of the voxel around a speck is no tumour, or its neighbour's
        mtv_ml = min(mtv_ml, lesion.volume_ml)
    tlg_g = mtv_ml * float(metabolic.mean()) if metabolic.size else 0.0
    return LesionFigures(lesion.volume_ml, suv_max, suv_peak(pet, lesion.pet_voxels), float(suv.mean()), mtv_ml, tlg_g)


def finite_uptake(pet_voxels: np.ndarray, pet: Volume | None) -> np.ndarray:
    """SUV of the PET voxels (i, j, k), shape (n, 3), that have one: float64, shape (n,)."""
    if pet is None:
        return np.empty(0)
    i, j, k = pet_voxels.T
    suv = pet.array[k, j, i].astype(np.float64)
    return suv[np.isfinite(suv)]


def suv_peak(pet: Volume, voxels: np.ndarray) -> float | None:
    """Highest mean over a 1 mL sphere centred on one of the voxels (IBSI 0F91).

    Parameters
    ----------
    pet : Volume, SUVbw
    voxels : int array, shape (n, 3), indices (i, j, k) of the possible centres

    Returns
    -------
    float, or None where no sphere holds a finite value
    """
    if not len(voxels):
        return None
    reach = np.floor(PEAK_RADIUS_MM / np.asarray(pet.geometry.spacing_mm)).astype(int)[::-1]
    low, high = voxels.min(axis=0)[::-1], voxels.max(axis=0)[::-1]
    suv = _box_with_margin(pet.array, low, high, reach)
    finite = np.isfinite(suv)
    suv = np.where(finite, suv, 0.0)
    shape = high - low + 1
    sums, counts = np.zeros(shape), np.zeros(shape, dtype=np.int32)
    for start in _sphere_offsets(reach, pet.geometry.spacing_mm[::-1]) + reach:
        window = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
        sums += suv[window]
        counts += finite[window]
    at = tuple((voxels[:, ::-1] - low).T)
    sums, counts = sums[at], counts[at]
    return float((sums[counts > 0] / counts[counts > 0]).max()) if counts.any() else None


def _sphere_offsets(reach: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Index steps whose length is at most the peak radius, shape (n, 3); axes as in the arguments."""
    steps = np.array(list(itertools.product(*[range(-r, r + 1) for r in reach])))
    return steps[np.linalg.norm(steps * np.asarray(spacing_mm), axis=1) <= PEAK_RADIUS_MM]


def _box_with_margin(array: np.ndarray, low: np.ndarray, high: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """The array from ``low - margin`` to ``high + margin``, float64, NaN beyond its edges; all (z, y, x)."""
    first, last = low - margin, high + margin + 1
    inner = tuple(slice(max(a, 0), b) for a, b in zip(first, last, strict=True))
    out = np.full(last - first, np.nan)
    cropped = array[inner]
    offset = np.maximum(-first, 0)
    out[tuple(slice(o, o + n) for o, n in zip(offset, cropped.shape, strict=True))] = cropped
    return out


def total_figures(lesions: list[Lesion], figures: list[LesionFigures], pet: Volume | None) -> LesionFigures:
    """The class as a whole, from its lesions."""
    volume_ml = float(sum(one.volume_ml for one in figures))
    measured = [one for one in figures if one.suv_max is not None]
    if not measured:
        return LesionFigures(volume_ml, None, None, None, None, None)
    uptake = finite_uptake(np.unique(np.concatenate([one.pet_voxels for one in lesions]), axis=0), pet)
    return LesionFigures(
        volume_ml,
        max(one.suv_max for one in measured),
        max(one.suv_peak for one in measured),
        float(uptake.mean()),
        sum(one.mtv_ml for one in measured),
        sum(one.tlg_g for one in measured),
    )
