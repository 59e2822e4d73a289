"""A CT as a DICOM series: one CT Image object a slice, on request taken with a tilted gantry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.phantom.dicom.activity import decimal_text
from mmpl.phantom.dicom.body import Body
from mmpl.phantom.dicom.files import content_of, instance_numbers, save_series
from mmpl.phantom.dicom.headers import Series, add_pixels, add_place, date_text, new_dataset, time_text
from mmpl.phantom.dicom.person import Person, make_uid
from mmpl.phantom.dicom.storage import Storage
from mmpl.phantom.dicom.tilt import TiltedSlices, tilted

INTERCEPT_HU = -1024
HU_RANGE = (INTERCEPT_HU, INTERCEPT_HU + 32767)


@dataclass(frozen=True)
class CtScan:
    """When a CT was taken and by what.

    Attributes
    ----------
    began : Series and Acquisition Date and Time, or None for two minutes after the study began
    manufacturer : Manufacturer (0008,0070)
    timezone : Timezone Offset From UTC (0008,0201) such as "+0100", or None
    """

    began: datetime | None = None
    manufacturer: str = "MMPL phantom"
    timezone: str | None = None


def write_ct(
    folder: Path,
    ct_hu: Volume,
    storage: Storage | None = None,
    person: Person | None = None,
    body: Body | None = None,
    frame_of_reference: str | None = None,
    scan: CtScan | None = None,
) -> tuple[Path, ...]:
    """Write a CT; the same arguments give the same bytes.

    Parameters
    ----------
    folder : where the files go; made if missing
    ct_hu : Volume, HU, rounded to whole ones; DICOM slices run along its k axis
    storage : how the series lies on disk; with a tilt the slices are resampled (:mod:`mmpl.phantom.dicom.tilt`)
    person, body : whose it is
    frame_of_reference : UID; the person's if None
    scan : when and by what it was taken

    Returns
    -------
    tuple of paths, slice by slice along k

    Raises
    ------
    InputError
        If a voxel is not finite or beyond what 16 bits hold, a multi-frame CT is asked for, or the transfer syntax
        has no encoder here.
    OutputError
        If the folder cannot be written.
    """
    storage, person, scan = storage or Storage(), person or Person(), scan or CtScan()
    _check(ct_hu, storage)
    series = _series(ct_hu, storage, person, body or Body(), frame_of_reference, scan)
    slices = tilted(ct_hu, storage.tilt_deg)
    return save_series(folder, _slice_datasets(series, slices, storage), series, storage)


def _check(ct_hu: Volume, storage: Storage) -> None:
    low, high = float(ct_hu.array.min()), float(ct_hu.array.max())
    if not (low >= HU_RANGE[0] and high <= HU_RANGE[1]):
        raise InputError(f"phantom CT from {low:g} to {high:g} HU: give {HU_RANGE[0]} to {HU_RANGE[1]}")
    if storage.multiframe:
        raise InputError("multi-frame CT: only PET is written so; write one file a slice")


def _series(ct_hu, storage, person: Person, body: Body, frame_of_reference: str | None, scan: CtScan) -> Series:
    space = frame_of_reference or person.frame_of_reference
    return Series(
        person=person,
        body=body,
        sop_class=CTImageStorage,
        modality="CT",
        number=1,
        description="CT of an MMPL phantom",
        uid=make_uid("CT series", person, body, storage, space, scan, content_of(ct_hu)),
        frame_of_reference=space,
        began=scan.began or person.studied_at + timedelta(minutes=2),
        manufacturer=scan.manufacturer,
        timezone=scan.timezone,
    )


def _slice_datasets(series: Series, slices: TiltedSlices, storage: Storage) -> Iterator[Dataset]:
    numbers = instance_numbers(len(slices.array), storage, series.uid)
    stored = np.rint(slices.array).astype(int) - INTERCEPT_HU
    for k, number in enumerate(numbers):
        ds = new_dataset(series, series.instance_uid(k))
        _add_image_attributes(ds, series, storage.tilt_deg)
        add_place(ds, slices.plane, slices.positions_mm[k])
        ds.InstanceNumber = number
        add_pixels(ds, stored[k])
        yield ds


def _add_image_attributes(ds: Dataset, series: Series, tilt_deg: float) -> None:
    """CT Image module (PS3.3 C.8.2.1)."""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientPosition = "HFS"
    ds.AcquisitionNumber = 1
    ds.AcquisitionDate, ds.AcquisitionTime = date_text(series.began), time_text(series.began)
    ds.ContentDate, ds.ContentTime = date_text(series.began), time_text(series.began)
    ds.KVP = "120"
    ds.GantryDetectorTilt = decimal_text(tilt_deg)
    ds.RescaleIntercept = str(INTERCEPT_HU)
    ds.RescaleSlope = "1"
    ds.RescaleType = "HU"
    ds.LossyImageCompression = "00"
