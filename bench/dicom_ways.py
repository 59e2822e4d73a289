"""The sound PET/CT pairs that ``dicom_fuzz.py`` spoils: a smooth small body, written as DICOM in many ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mmpl.geometry import Geometry, Volume
from mmpl.phantom.dicom import Person, PetVariant, Storage, write_ct, write_pet

BEDS = (150.0, 120.0)
PLAIN = PetVariant(frame_s=BEDS)
PERSON = Person("HIDDEN-77123")
WAYS: dict[str, tuple[PetVariant, Storage]] = {
    "Bq/mL, START": (PLAIN, Storage()),
    "START, injection as a time": (replace(PLAIN, injection="time"), Storage()),
    "START, one slope": (replace(PLAIN, slope="series"), Storage(shuffled=True)),
    "START, series after the scan": (replace(PLAIN, series_time="after scan"), Storage()),
    "START, GE scan time": (replace(PLAIN, series_time="after scan", ge_scan_time=True), Storage()),
    "START, time zones": (
        replace(PLAIN, timezone="+0100", injection_timezone="+0000", injection="datetime"),
        Storage(),
    ),
    "ADMIN": (replace(PLAIN, decay_correction="ADMIN"), Storage()),
    "NONE, two beds": (replace(PLAIN, decay_correction="NONE"), Storage()),
    "Ga-68": (replace(PLAIN, nuclide="Ga-68", dose_bq=1.4e8), Storage()),
    "Philips, SUV factor": (replace(PLAIN, units="CNTS", philips_factors="suv"), Storage()),
    "Philips, activity factor": (replace(PLAIN, units="CNTS", philips_factors="activity"), Storage()),
    "SUV by weight": (replace(PLAIN, units="GML", suv_type="BW"), Storage()),
    "SUV by lean body mass": (replace(PLAIN, units="GML", suv_type="LBM"), Storage()),
    "SUV by body surface": (replace(PLAIN, units="CM2ML", suv_type="BSA"), Storage()),
    "implicit": (PLAIN, Storage("implicit")),
    "big endian": (PLAIN, Storage("big endian")),
    "deflated": (PLAIN, Storage("deflated")),
    "RLE": (PLAIN, Storage("RLE")),
    "JPEG-LS": (PLAIN, Storage("JPEG-LS")),
    "JPEG 2000": (PLAIN, Storage("JPEG 2000")),
    "multi-frame": (replace(PLAIN, injection="datetime"), Storage(multiframe=True)),
    "multi-frame, NONE": (replace(PLAIN, injection="datetime", decay_correction="NONE"), Storage(multiframe=True)),
}
COMPRESSED = ("RLE", "JPEG-LS", "JPEG 2000")


def a_pair() -> tuple[Volume, Volume]:
    """CT in HU and PET in SUV of a smooth body: values of neighbouring voxels and slices are alike."""
    ct_grid = Geometry((40, 36, 11), (3.1, 3.3, 2.5), (-60.0, -58.0, -12.0))
    pet_grid = Geometry((36, 34, 10), (4.07, 4.05, 3.27), (-71.0, -66.5, -15.0))
    rng = np.random.default_rng(11)

    def distance(grid: Geometry, centre, radii) -> np.ndarray:
        k, j, i = np.indices(grid.shape)
        return np.linalg.norm((grid.physical(np.stack([i, j, k], axis=-1)) - centre) / radii, axis=-1)

    body = 1.0 / (1.0 + np.exp(20.0 * (distance(pet_grid, (0, 0, 0), (52, 46, 300)) - 1.0)))
    lump = np.exp(-0.5 * distance(pet_grid, (18, -12, -2), (7, 6, 8)) ** 2)
    suv = (body * (1.1 + 0.25 * rng.standard_normal(pet_grid.shape) * 0.3) + 11.0 * lump).clip(0)
    inside = distance(ct_grid, (0, 0, 0), (52, 46, 300)) < 1.0
    bone = distance(ct_grid, (0, 20, 0), (10, 9, 300)) < 1.0
    hu = np.where(inside, 40.0, -1000.0) + np.where(bone, 700.0, 0.0) + 12.0 * rng.standard_normal(ct_grid.shape)
    return (
        Volume(np.rint(hu.clip(-1024)).astype(np.int16), ct_grid),
        Volume(suv.astype(np.float32), pet_grid),
    )


def write_base(base: Path) -> None:
    ct, pet = a_pair()
    for name, (variant, storage) in WAYS.items():
        write_pet(base / name / "pt", pet, variant, storage, PERSON)
        write_ct(base / name / "ct", ct, replace(storage, multiframe=False), PERSON)
