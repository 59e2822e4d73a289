"""A PET of known SUV as a DICOM series: one PET Image object a slice, or one Enhanced PET object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.phantom.dicom.activity import Frame, decimal_text, frames_of_slices, header_values, stored_values
from mmpl.phantom.dicom.enhanced_pet import ENHANCED_PET, enhanced_dataset
from mmpl.phantom.dicom.files import content_of, instance_numbers, save_series
from mmpl.phantom.dicom.headers import Series, add_pixels, add_place, code_item, date_text, new_dataset, time_text
from mmpl.phantom.dicom.person import Person, make_uid
from mmpl.phantom.dicom.radiopharmaceutical import agent_item
from mmpl.phantom.dicom.storage import Storage
from mmpl.phantom.dicom.variant import PetVariant
from mmpl.phantom.dicom.vendors import add_private_attributes

EMPTY_WHEN_OMITTED = ("PatientSex", "AcquisitionTime", "ActualFrameDuration")  # DICOM wants them there, if only empty


def write_pet(
    folder: Path,
    suv: Volume,
    variant: PetVariant | None = None,
    storage: Storage | None = None,
    person: Person | None = None,
    frame_of_reference: str | None = None,
) -> tuple[Path, ...]:
    """Write a PET of known body-weight SUV; the same arguments give the same bytes.

    Parameters
    ----------
    folder : where the files go; made if missing
    suv : Volume, body-weight SUV, g/mL; DICOM slices run along its k axis
    variant : how the header tells SUV
    storage : how the series lies on disk
    person : whose it is
    frame_of_reference : UID; the person's if None

    Returns
    -------
    tuple of paths, slice by slice along k; one path for a multi-frame object

    Raises
    ------
    InputError
        If a voxel is not finite, a gantry tilt is asked for, there are more beds than slices, the variant cannot be
        told by Enhanced PET, or the transfer syntax has no encoder here.
    OutputError
        If the folder cannot be written.
    """
    variant, storage, person = variant or PetVariant(), storage or Storage(), person or Person()
    _check(suv, storage)
    frames = frames_of_slices(variant, suv.geometry.size[2])
    stored, slopes = stored_values(header_values(suv.array, variant, frames), variant.slope)
    series = _series(suv, variant, storage, person, frame_of_reference)
    if storage.multiframe:
        datasets = iter([enhanced_dataset(series, suv.geometry, variant, frames, stored, slopes)])
    else:
        datasets = _slice_datasets(series, suv, variant, storage, frames, stored, slopes)
    return save_series(folder, datasets, series, storage)


def _check(suv: Volume, storage: Storage) -> None:
    if not np.isfinite(suv.array).all():
        raise InputError("phantom PET with voxels that are not finite: DICOM cannot store them")
    if storage.tilt_deg:
        raise InputError(f"gantry tilt of {storage.tilt_deg} degrees for a PET: only a CT's gantry tilts")


def _series(suv: Volume, variant, storage, person: Person, frame_of_reference: str | None) -> Series:
    space = frame_of_reference or person.frame_of_reference
    return Series(
        person=person,
        body=variant.body,
        sop_class=ENHANCED_PET if storage.multiframe else PositronEmissionTomographyImageStorage,
        modality="PT",
        number=2,
        description="PET of an MMPL phantom",
        uid=make_uid("PET series", person, variant, storage, space, content_of(suv)),
        frame_of_reference=space,
        began=variant.series_began,
        manufacturer=variant.manufacturer,
        timezone=variant.timezone,
    )


def _slice_datasets(series, suv: Volume, variant, storage, frames, stored, slopes) -> Iterator[Dataset]:
    slices = len(frames)
    numbers = instance_numbers(slices, storage, series.uid)
    for k, number in enumerate(numbers):
        ds = new_dataset(series, series.instance_uid(k))
        _add_series_attributes(ds, variant, slices)
        _add_image_attributes(ds, variant, frames[k], slopes[k])
        add_place(ds, suv.geometry, suv.geometry.physical((0, 0, k)))
        ds.InstanceNumber = number
        ds.ImageIndex = k + 1
        add_pixels(ds, stored[k])
        add_private_attributes(ds, variant, frames[k])
        _omit(ds, variant)
        yield ds


def _add_series_attributes(ds: Dataset, variant: PetVariant, slices: int) -> None:
    """PET Series and PET Isotope modules (PS3.3 C.8.9.1, C.8.9.2)."""
    ds.SeriesType = ["WHOLE BODY" if len(variant.frame_s) > 1 else "STATIC", "IMAGE"]
    ds.Units = variant.units
    if variant.suv_type is not None:
        ds.SUVType = variant.suv_type
    ds.CountsSource = "EMISSION"
    ds.NumberOfSlices = slices
    ds.CorrectedImage = list(variant.corrections)
    ds.RandomsCorrectionMethod = "DLYD"
    ds.AttenuationCorrectionMethod = "measured, CT"
    ds.ScatterCorrectionMethod = "model"
    ds.DecayCorrection = variant.decay_correction
    ds.ReconstructionMethod = "none: drawn by a program"
    ds.CollimatorType = "NONE"
    ds.RadiopharmaceuticalInformationSequence = [agent_item(variant)]
    _add_patient_orientation(ds)


def _add_patient_orientation(ds: Dataset) -> None:
    """NM/PET Patient Orientation module (PS3.3 C.8.4.6): on the back, head first."""
    lying = code_item("102538003", "SCT", "recumbent")
    lying.PatientOrientationModifierCodeSequence = [code_item("40199007", "SCT", "supine")]
    ds.PatientOrientationCodeSequence = [lying]
    ds.PatientGantryRelationshipCodeSequence = [code_item("102540008", "SCT", "headfirst")]


def _add_image_attributes(ds: Dataset, variant: PetVariant, frame: Frame, slope: str) -> None:
    """PET Image module (PS3.3 C.8.9.4)."""
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.AcquisitionDate, ds.AcquisitionTime = date_text(frame.start), time_text(frame.start)
    ds.ContentDate, ds.ContentTime = date_text(variant.series_began), time_text(variant.series_began)
    ds.ActualFrameDuration = round(1000.0 * frame.duration_s)
    ds.FrameReferenceTime = decimal_text(frame.reference_time_ms)
    if frame.decay_factor is not None:
        ds.DecayFactor = decimal_text(frame.decay_factor)
    ds.RescaleIntercept = "0"
    ds.RescaleSlope = slope
    ds.LossyImageCompression = "00"


def _omit(ds: Dataset, variant: PetVariant) -> None:
    for place in (ds, ds.RadiopharmaceuticalInformationSequence[0]):
        for keyword in variant.omitted:
            if keyword not in place:
                continue
            if keyword in EMPTY_WHEN_OMITTED:
                place[keyword].value = None
            elif keyword == "RadionuclideCodeSequence":
                place.RadionuclideCodeSequence = []
            else:
                del place[keyword]
