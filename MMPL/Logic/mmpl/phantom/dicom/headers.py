"""What CT and PET headers have in common: patient, study, series, equipment, place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset

from mmpl.geometry import Geometry
from mmpl.phantom.dicom.activity import decimal_text
from mmpl.phantom.dicom.body import Body
from mmpl.phantom.dicom.person import Person, make_uid

IMPLEMENTATION_UID = make_uid("implementation")


@dataclass(frozen=True)
class Series:
    """One series of a visit.

    Attributes
    ----------
    person, body : whose it is
    sop_class : SOP Class UID
    modality, number, description : Modality, Series Number, Series Description
    uid : Series Instance UID
    frame_of_reference : UID
    began : Series Date and Time
    manufacturer : text
    timezone : offset such as "+0100", or None
    """

    person: Person
    body: Body
    sop_class: str
    modality: str
    number: int
    description: str
    uid: str
    frame_of_reference: str
    began: datetime
    manufacturer: str
    timezone: str | None = None

    def instance_uid(self, position: int | str) -> str:
        return make_uid("instance", self.uid, position)


def new_dataset(series: Series, instance_uid: str) -> Dataset:
    """A data set with the patient's, study's, series', space's and equipment's attributes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = series.sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = instance_uid
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds.file_meta.ImplementationVersionName = "MMPL_PHANTOM"
    ds.SOPClassUID = series.sop_class
    ds.SOPInstanceUID = instance_uid
    if series.timezone is not None:
        ds.TimezoneOffsetFromUTC = series.timezone
    _add_person(ds, series.person, series.body)
    _add_series(ds, series)
    return ds


def add_place(ds: Dataset, geometry: Geometry, position_mm: np.ndarray) -> None:
    """Image plane: rows run along the geometry's i axis, columns along j."""
    ds.PixelSpacing = [decimal_text(s) for s in geometry.spacing_mm[1::-1]]  # between rows first
    ds.SliceThickness = decimal_text(geometry.spacing_mm[2])
    ds.ImageOrientationPatient = orientation_text(geometry)
    ds.ImagePositionPatient = position_text(position_mm)


def orientation_text(geometry: Geometry) -> list[str]:
    """Direction cosines of a row and of a column."""
    direction = np.asarray(geometry.direction)
    return [_cosine_text(c) for c in (*direction[:, 0], *direction[:, 1])]


def position_text(position_mm: np.ndarray) -> list[str]:
    return [decimal_text(p) for p in position_mm]


def add_pixels(ds: Dataset, stored: np.ndarray, bits: int = 16) -> None:
    """Image pixel attributes of one slice, or of frames, of signed 16-bit values; the bytes come when it is saved."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated = 16
    ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.PixelRepresentation = 1
    ds.PixelData = np.ascontiguousarray(stored, dtype="<i2").tobytes()
    ds["PixelData"].VR = "OW"


def date_text(when: datetime) -> str:
    return when.strftime("%Y%m%d")


def time_text(when: datetime) -> str:
    return when.strftime("%H%M%S.%f")


def datetime_text(when: datetime) -> str:
    return when.strftime("%Y%m%d%H%M%S.%f")


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _cosine_text(cosine: float) -> str:
    """Rounded so that no minus zero and no 6e-17 stands in a header."""
    return decimal_text(round(cosine, 9) + 0.0)


def _add_person(ds: Dataset, person: Person, body: Body) -> None:
    ds.PatientName = person.name
    ds.PatientID = person.patient_id
    ds.PatientBirthDate = person.born.strftime("%Y%m%d")
    ds.PatientSex = body.sex
    ds.PatientAge = f"{person.age_years:03d}Y"
    ds.PatientWeight = decimal_text(body.weight_kg)
    ds.PatientSize = decimal_text(body.height_m)
    ds.StudyInstanceUID = person.study_uid
    ds.StudyDate, ds.StudyTime = date_text(person.studied_at), time_text(person.studied_at)
    ds.StudyID = "1"
    ds.StudyDescription = "MMPL phantom, synthetic: no person was scanned"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""


def _add_series(ds: Dataset, series: Series) -> None:
    ds.Modality = series.modality
    ds.SeriesInstanceUID = series.uid
    ds.SeriesNumber = series.number
    ds.SeriesDescription = series.description
    ds.SeriesDate, ds.SeriesTime = date_text(series.began), time_text(series.began)
    ds.BodyPartExamined = "HEADNECK"
    ds.FrameOfReferenceUID = series.frame_of_reference
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = series.manufacturer
    ds.ManufacturerModelName = "MMPL phantom"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
