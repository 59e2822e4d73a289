"""Six centres' scanners: grids, point spread, noise, dental streaks, and how files are oriented."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mmpl.case import GTVN, GTVP
from mmpl.geometry import Geometry, Volume
from mmpl.phantom.anatomy import BOTTOM_MM, NOT_TUMOUR, TOP_MM, Anatomy, Tissue
from mmpl.phantom.lesions import Lesion, paint_lesion

FINE_MM = 2.2  # grid on which activity is laid out before the PSF
FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
SHOULDER_W_MM = -75.0


@dataclass(frozen=True)
class Scanner:
    """One centre's PET/CT.

    Attributes
    ----------
    ct_size : pixels in plane
    ct_spacing_mm : (in plane, slice)
    ct_noise_hu : standard deviation in soft tissue of the neck
    contrast_hu : enhancement of vessels (0 without contrast medium)
    metal_rate : share of patients with dental streaks
    pet_size : pixels in plane
    pet_spacing_mm : (in plane, slice)
    pet_fwhm_mm : point spread
    pet_noise : relative noise at SUV 1
    ct_axes, pet_axes : LPS axis (0, 1, 2) that each index axis i, j, k runs along
    ct_flips, pet_flips : whether it runs against it
    """

    ct_size: int
    ct_spacing_mm: tuple[float, float]
    ct_noise_hu: float
    contrast_hu: float
    metal_rate: float
    pet_size: int
    pet_spacing_mm: tuple[float, float]
    pet_fwhm_mm: float
    pet_noise: float
    ct_axes: tuple[int, int, int] = (0, 1, 2)
    ct_flips: tuple[bool, bool, bool] = (False, False, False)
    pet_axes: tuple[int, int, int] = (0, 1, 2)
    pet_flips: tuple[bool, bool, bool] = (False, False, False)


SCANNERS: dict[int, Scanner] = {
    1: Scanner(200, (1.37, 2.5), 12.0, 90.0, 0.10, 84, (3.65, 3.27), 6.0, 0.09),
    2: Scanner(
        192,
        (1.52, 3.0),
        10.0,
        60.0,
        0.30,
        80,
        (4.06, 3.0),
        6.5,
        0.08,
        ct_flips=(False, False, True),
        pet_flips=(False, False, True),
    ),
    3: Scanner(208, (1.27, 2.5), 14.0, 110.0, 0.15, 76, (4.00, 4.0), 5.5, 0.10),
    4: Scanner(192, (1.46, 2.5), 16.0, 0.0, 0.30, 88, (3.52, 3.0), 7.0, 0.12, ct_flips=(True, True, False)),
    5: Scanner(
        184,
        (1.60, 2.0),
        13.0,
        80.0,
        0.20,
        78,
        (4.07, 5.0),
        6.8,
        0.11,
        ct_axes=(1, 2, 0),
        ct_flips=(False, True, False),
    ),
    6: Scanner(216, (1.20, 3.0), 15.0, 100.0, 0.10, 92, (3.30, 2.8), 5.0, 0.10),
}


@dataclass(frozen=True)
class Lines:
    """Voxel centres of an LPS-aligned grid: three rising 1D arrays in mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def geometry(self) -> Geometry:
        lines = (self.x, self.y, self.z)
        return Geometry(
            tuple(len(line) for line in lines),
            tuple(float(line[1] - line[0]) for line in lines),
            tuple(float(line[0]) for line in lines),
        )


@dataclass(frozen=True)
class Scan:
    """What the scanner hands over: CT in HU, PET in SUV, and the truth on the CT grid."""

    ct: Volume
    pet: Volume
    label_map: Volume


def acquire(rng: np.random.Generator, scanner: Scanner, anatomy: Anatomy, lesions: tuple[Lesion, ...]) -> Scan:
    """Scan a patient on a centre's PET/CT."""
    ct_lines, pet_lines = _field_of_view(rng, scanner, anatomy)
    ct, labels = _acquire_ct(rng, scanner, anatomy, lesions, ct_lines)
    pet = _acquire_pet(rng, scanner, anatomy, lesions, pet_lines)
    return Scan(
        ct=reorient(Volume(ct, ct_lines.geometry), scanner.ct_axes, scanner.ct_flips),
        pet=reorient(Volume(pet, pet_lines.geometry), scanner.pet_axes, scanner.pet_flips),
        label_map=reorient(Volume(labels, ct_lines.geometry), scanner.ct_axes, scanner.ct_flips),
    )


def _field_of_view(rng, scanner: Scanner, anatomy: Anatomy) -> tuple[Lines, Lines]:
    """CT and PET grids: different size, spacing and origin, about the same body."""
    z_low = anatomy.pose.shift_mm[2] + BOTTOM_MM * anatomy.pose.scale[2] + rng.uniform(-4.0, 6.0)
    z_high = anatomy.pose.shift_mm[2] + TOP_MM * anatomy.pose.scale[2] + rng.uniform(0.0, 8.0)
    middle_xy = np.array(anatomy.pose.shift_mm[:2]) + rng.uniform(-4.0, 4.0, 2) + (0.0, 8.0)
    ct = _lines(middle_xy, scanner.ct_size, scanner.ct_spacing_mm, z_low, z_high)
    pet_z = (z_low + rng.uniform(-6.0, 2.0), z_high + rng.uniform(-2.0, 6.0))
    pet = _lines(middle_xy + rng.uniform(-3.0, 3.0, 2), scanner.pet_size, scanner.pet_spacing_mm, *pet_z)
    return ct, pet


def _lines(middle_xy, size: int, spacing_mm, z_low: float, z_high: float) -> Lines:
    in_plane, slice_mm = spacing_mm
    steps = (np.arange(size) - (size - 1) / 2) * in_plane
    z = z_low + slice_mm * np.arange(int((z_high - z_low) / slice_mm) + 1)
    return Lines(middle_xy[0] + steps, middle_xy[1] + steps, z)


def _allowed(codes: np.ndarray) -> np.ndarray:
    table = np.ones(256, bool)
    table[list(NOT_TUMOUR)] = False
    return table[codes]


def _acquire_ct(rng, scanner: Scanner, anatomy: Anatomy, lesions, lines: Lines):
    """HU (int16) and label map (uint8) on the CT grid."""
    codes = anatomy.tissue_codes(lines.x, lines.y, lines.z)
    hu = anatomy.hu[codes]
    labels = np.zeros(codes.shape, np.uint8)
    for lesion in sorted(lesions, key=lambda lesion: -lesion.label):  # GTVp last: it overwrites GTVn
        painted = paint_lesion(lesion, lines.x, lines.y, lines.z, _Allowed(codes))
        if painted is None:
            continue
        np.copyto(hu[painted.box], painted.hu, where=painted.mask)
        labels[painted.box][painted.mask] = lesion.label
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    noise *= _slice_noise_hu(scanner, anatomy, lines.z)[:, None, None]
    hu += noise
    sigma = 0.55
    ndimage.gaussian_filter1d(hu, sigma, axis=2, truncate=2.5, output=hu)
    ndimage.gaussian_filter1d(hu, sigma, axis=1, truncate=2.5, output=hu)
    _add_streaks(rng, hu, codes, lines)
    np.clip(hu, -1024, 3071, out=hu)
    return np.rint(hu).astype(np.int16), labels


class _Allowed:
    """Where tumour may grow, worked out only in the box that is asked for."""

    def __init__(self, codes: np.ndarray):
        self.codes = codes

    def __getitem__(self, box) -> np.ndarray:
        return _allowed(self.codes[box])


def _slice_noise_hu(scanner: Scanner, anatomy: Anatomy, z_mm) -> np.ndarray:
    """White noise before smoothing (which halves it); more where the shoulders absorb."""
    w = anatomy.pose.canonical_w(z_mm)
    shoulders = 1.0 + 0.6 / (1.0 + np.exp((w - SHOULDER_W_MM) / 6.0))
    return (1.9 * scanner.ct_noise_hu * shoulders).astype(np.float32)


def _add_streaks(rng, hu: np.ndarray, codes: np.ndarray, lines: Lines) -> None:
    """Dark and bright rays from dental metal, in its own slices and in place."""
    slices = np.flatnonzero((codes == Tissue.METAL).any(axis=(1, 2)))
    for k in slices:
        rows, columns = np.nonzero(codes[k] == Tissue.METAL)
        for side in (columns < columns.mean(), columns >= columns.mean()):
            if not side.any():
                continue
            dy = (lines.y - lines.y[rows[side]].mean())[:, None]
            dx = (lines.x - lines.x[columns[side]].mean())[None, :]
            rays = np.cos(rng.integers(7, 12) * np.arctan2(dy, dx) + rng.uniform(0, 2 * np.pi))
            fade = 260.0 * np.exp(-np.hypot(dx, dy) / 28.0)
            hu[k] += np.where(codes[k] != Tissue.AIR, rays * fade, 0.0).astype(np.float32)


def _acquire_pet(rng, scanner: Scanner, anatomy: Anatomy, lesions, lines: Lines) -> np.ndarray:
    """SUV (float32) on the PET grid: activity on a fine grid, point spread, sampling, noise."""
    fine = _fine_lines(lines)
    codes = anatomy.tissue_codes(fine.x, fine.y, fine.z)
    suv = anatomy.suv[codes]
    for lesion in sorted(lesions, key=lambda lesion: -lesion.label):
        painted = paint_lesion(lesion, fine.x, fine.y, fine.z, _Allowed(codes))
        if painted is not None:
            np.copyto(suv[painted.box], painted.suv, where=painted.mask)
    sigma = scanner.pet_fwhm_mm * FWHM_TO_SIGMA / FINE_MM
    suv = ndimage.gaussian_filter(suv, sigma, truncate=2.5)
    for axis, (line, fine_line) in enumerate(((lines.z, fine.z), (lines.y, fine.y), (lines.x, fine.x))):
        suv = _interpolate(suv, (line - fine_line[0]) / FINE_MM, axis)
    noise = ndimage.gaussian_filter(rng.standard_normal(suv.shape, dtype=np.float32), 0.7, truncate=2.0)
    noise /= noise.std()
    suv += scanner.pet_noise * np.sqrt(suv + 0.05) * noise
    return np.maximum(suv, 0.0).astype(np.float32)


def _fine_lines(lines: Lines) -> Lines:
    """A fine grid that reaches a little beyond the PET's."""
    made = (
        line[0] - FINE_MM + FINE_MM * np.arange(int(np.ceil((line[-1] - line[0]) / FINE_MM)) + 3)
        for line in (lines.x, lines.y, lines.z)
    )
    return Lines(*made)


def _interpolate(array: np.ndarray, position: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis at fractional indices."""
    low = np.clip(position.astype(int), 0, array.shape[axis] - 2)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = (position - low).astype(np.float32).reshape(shape)
    return np.take(array, low, axis) * (1 - weight) + np.take(array, low + 1, axis) * weight


def reorient(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same voxels in the same places, stored along other axes.

    Parameters
    ----------
    volume : Volume with direction identity
    axes : old index axis (0 = i, 1 = j, 2 = k) that becomes each new index axis
    flips : whether each new axis runs backwards
    """
    g = volume.geometry
    start = [g.size[a] - 1 if flip else 0 for a, flip in zip(axes, flips, strict=True)]
    corner = np.zeros(3)
    corner[list(axes)] = start
    signs = np.where(flips, -1.0, 1.0)
    direction = np.eye(3)[:, list(axes)] * signs
    geometry = replace(
        g,
        size=tuple(g.size[a] for a in axes),
        spacing_mm=tuple(g.spacing_mm[a] for a in axes),
        origin_mm=tuple(g.physical(corner)),
        direction=tuple(map(tuple, direction)),
    )
    array = np.transpose(volume.array, [2 - a for a in axes[::-1]])
    array = array[tuple(slice(None, None, -1 if flip else 1) for flip in flips[::-1])]
    return Volume(np.ascontiguousarray(array), geometry)


def lesion_volume_ml(label_map: Volume, label: int) -> float:
    """Volume of one class on the label map, mL."""
    if label not in (GTVP, GTVN):
        raise ValueError(f"label {label}: 1 (GTVp) or 2 (GTVn)")
    return float(np.count_nonzero(label_map.array == label)) * label_map.geometry.voxel_volume_ml
