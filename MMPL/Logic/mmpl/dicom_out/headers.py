"""The CT's headers, reduced to what an export refers to and carries over.

Nothing else of the source reaches the objects that are written. Values that the source lacks or that are no valid
DICOM are empty, so that an object of an anonymised image is valid too; where planes lie is the volume's geometry.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DS, TM

from mmpl.dicom_out.anonymity import Anonymity
from mmpl.dicom_source import DicomSource
from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl.io.dicom.headers import read_header, sequence, text, whole

UTF_8 = "ISO_IR 192"
DATE, TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
MOMENTS = {"PatientBirthDate": (DATE, DA), "StudyDate": (DATE, DA), "StudyTime": (TIME, TM)}
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
# the standard wants them there, empty or not
NAMES = ("PatientName", "ReferringPhysicianName")
IDS = {"PatientID": 64, "AccessionNumber": 16, "StudyID": 16}  # keyword: longest text
# carried over where the source has them
OPTIONAL = {"IssuerOfPatientID": 64, "PatientIdentityRemoved": 16, "LongitudinalTemporalInformationModified": 16}
CODE = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")
LONGEST_DESCRIPTION = 64
GROUPS, LONGEST_GROUP = 3, 64  # of a name: as spoken, written and pronounced
SAME_PLANE_MM = 0.01


@dataclass(frozen=True)
class SliceReference:
    """The image that a slice of the volume is: class and instance, and the frame's number where it has several."""

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None = None


@dataclass(frozen=True)
class SourceHeaders:
    """What an export knows of the CT.

    Attributes
    ----------
    headers : one a file, in slice order
    geometry : of the volume
    slices : for each slice the image that it is; None where the volume was resampled
    series_number : the CT's own, None where it is no number
    invalid : keyword -> the patient's name and IDs that the headers lack, since they are no valid DICOM; for
        comparison, never for print
    """

    headers: tuple[Dataset, ...]
    geometry: Geometry
    slices: tuple[SliceReference | None, ...]
    series_number: int | None
    invalid: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def first(self) -> Dataset:
        return self.headers[0]

    @property
    def frame_of_reference(self) -> str:
        return str(self.first.FrameOfReferenceUID)


def read_headers(source: DicomSource) -> SourceHeaders:
    """Read what the export needs of each file's header.

    Raises
    ------
    InputError
        If a file is missing, no DICOM image, lacks a UID to refer to, or is of another series than the first one.
    """
    if not source.files:
        raise InputError("the CT has no DICOM files to refer to: read it from a DICOM folder")
    if source.on_slices and len(source.files) != source.geometry.size[2]:
        raise InputError(f"the CT has {source.geometry.size[2]} slices and {len(source.files)} files: they must agree")
    raw = [_read(path, number) for number, path in enumerate(source.files, 1)]
    headers = tuple(_reduced(ds, number, source) for number, ds in enumerate(raw, 1))
    if len({(h.SeriesInstanceUID, h.StudyInstanceUID, h.FrameOfReferenceUID) for h in headers}) != 1:
        raise InputError("the CT's files are of several series, studies or frames of reference: give those of one")
    given = {keyword: text(raw[0], keyword) for keyword in ("PatientName", *IDS)}
    invalid = {keyword: value for keyword, value in given.items() if value and not headers[0][keyword].value}
    return SourceHeaders(headers, source.geometry, _slices(source, headers), whole(raw[0], "SeriesNumber"), invalid)


def anonymised(source: SourceHeaders, anonymity: Anonymity) -> SourceHeaders:
    """The same without identity; the images that it refers to have other UIDs."""
    headers = tuple(anonymity.header(h, source.invalid) for h in source.headers)
    other = {str(a.SOPInstanceUID): str(b.SOPInstanceUID) for a, b in zip(source.headers, headers, strict=True)}
    slices = tuple(s and SliceReference(s.sop_class_uid, other[s.sop_instance_uid], s.frame) for s in source.slices)
    return SourceHeaders(headers, source.geometry, slices, source.series_number)


def decimals(values) -> list[DS]:
    """Numbers as decimal strings of at most 16 characters."""
    return [DS(float(v), auto_format=True) for v in values]


def _read(path: Path, number: int) -> Dataset:
    """As the CT was read: a file without a preamble is as good."""
    header = read_header(path)
    if header is None:
        raise InputError(
            f"file {number} of the CT's series cannot be read as DICOM: look whether it is there and whole"
        )
    return header


def _reduced(ds: Dataset, number: int, source: DicomSource) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = UTF_8
    for keyword in REQUIRED:
        value = text(ds, keyword)
        if not value or "\\" in value:
            which = f"several {keyword}s" if value else f"no {keyword}"
            raise InputError(f"file {number} of the CT's series has {which}: results cannot refer to it as DICOM")
        setattr(header, keyword, value)
    _carry_over(ds, header)
    header.Modality = text(ds, "Modality") or "CT"
    header.Rows, header.Columns = int(ds.Rows), int(ds.Columns)
    if source.on_slices:
        _lay_in_plane(header, source.geometry, number - 1)
    elif "PerFrameFunctionalGroupsSequence" in ds:
        _copy_frames(ds, header, number, source.geometry)
    else:
        _copy_plane(ds, header, number, source.geometry)
    return header


def _carry_over(ds: Dataset, header: Dataset) -> None:
    for keyword in NAMES:
        setattr(header, keyword, _name(ds, keyword))
    for keyword, longest in IDS.items():
        setattr(header, keyword, _id(ds, keyword, longest))
    for keyword, longest in OPTIONAL.items():
        if value := _id(ds, keyword, longest):
            setattr(header, keyword, value)
    if value := _description(ds, "StudyDescription"):
        header.StudyDescription = value
    if value := text(ds, "DeidentificationMethod"):
        header.DeidentificationMethod = value
    if codes := sequence(ds, "DeidentificationMethodCodeSequence"):
        header.DeidentificationMethodCodeSequence = [_code(one) for one in codes]
    for keyword, (form, kind) in MOMENTS.items():
        value = text(ds, keyword)
        setattr(header, keyword, value if form.fullmatch(value) and _there_is(kind, value) else "")
    sex = text(ds, "PatientSex")
    header.PatientSex = sex if sex in ("M", "F", "O") else ""


def _there_is(kind: Callable[[str], object], value: str) -> bool:
    """Whether there is such a day or time: birth dates of which the year alone is known often end with 0000."""
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _code(item: Dataset) -> Dataset:
    """Written anew: an item's texts would keep the source's character set."""
    code = Dataset()
    for keyword in CODE:
        if value := text(item, keyword):
            setattr(code, keyword, value)
    return code


def _id(ds: Dataset, keyword: str, longest: int) -> str:
    """Empty where it is too long or several: a part of it would be another one's."""
    value = text(ds, keyword)
    return value if len(value) <= longest and _is_one(value) else ""


def _name(ds: Dataset, keyword: str) -> str:
    value = text(ds, keyword)
    groups = value.split("=")
    fits = len(groups) <= GROUPS and all(len(group) <= LONGEST_GROUP for group in groups)
    return value if fits and _is_one(value) else ""


def _description(ds: Dataset, keyword: str) -> str:
    """The first of several, and its beginning where it is too long: it identifies nothing."""
    first = text(ds, keyword).split("\\")[0]
    return "".join(c for c in first if not _is_control(c))[:LONGEST_DESCRIPTION].strip()


def _is_one(value: str) -> bool:
    return not any(c == "\\" or _is_control(c) for c in value)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


def _lay_in_plane(header: Dataset, geometry: Geometry, k: int) -> None:
    """Where slice k of the volume lies, the same digits for all slices."""
    direction = np.asarray(geometry.direction)
    header.ImagePositionPatient = decimals(geometry.physical((0, 0, k)))
    header.ImageOrientationPatient = decimals([*direction[:, 0], *direction[:, 1]])
    header.PixelSpacing = decimals([geometry.spacing_mm[1], geometry.spacing_mm[0]])
    _say_thickness(header, geometry)


def _say_thickness(item: Dataset, geometry: Geometry) -> None:
    """Slices as thick as they are apart: the volume's voxels, not the scanner's collimation."""
    item.SliceThickness, item.SpacingBetweenSlices = decimals([geometry.spacing_mm[2]] * 2)


def _copy_plane(ds: Dataset, header: Dataset, number: int, geometry: Geometry) -> None:
    """Where an image lies that is no slice of the volume."""
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        if not ds.get(keyword):
            raise InputError(f"file {number} of the CT's series does not say where it lies: {keyword} is missing")
        setattr(header, keyword, decimals(ds[keyword].value))
    _say_thickness(header, geometry)


def _copy_frames(ds: Dataset, header: Dataset, number: int, geometry: Geometry) -> None:
    """Planes of a multi-frame image: what lies where, and none of the rest that stands with each frame."""
    shared, frames = ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence
    try:
        orientation = _group(shared, frames[0], "PlaneOrientationSequence").ImageOrientationPatient
        spacing = _group(shared, frames[0], "PixelMeasuresSequence").PixelSpacing
        positions = [_group(shared, f, "PlanePositionSequence").ImagePositionPatient for f in frames]
    except (KeyError, AttributeError) as error:
        raise InputError(f"file {number} of the CT's series does not say where its frames lie") from error
    header.NumberOfFrames = len(positions)
    item = Dataset()
    item.PlaneOrientationSequence = [_item("ImageOrientationPatient", orientation)]
    item.PixelMeasuresSequence = [_item("PixelSpacing", spacing)]
    _say_thickness(item.PixelMeasuresSequence[0], geometry)
    header.SharedFunctionalGroupsSequence = [item]
    header.PerFrameFunctionalGroupsSequence = [Dataset() for _ in positions]
    for frame, position in zip(header.PerFrameFunctionalGroupsSequence, positions, strict=True):
        frame.PlanePositionSequence = [_item("ImagePositionPatient", position)]


def _group(shared: Dataset, frame: Dataset, keyword: str) -> Dataset:
    return (frame if keyword in frame else shared)[keyword].value[0]


def _item(keyword: str, values) -> Dataset:
    item = Dataset()
    setattr(item, keyword, decimals(values))
    return item


def _slices(source: DicomSource, headers: tuple[Dataset, ...]) -> tuple[SliceReference | None, ...]:
    if source.on_slices:
        return tuple(SliceReference(str(h.SOPClassUID), str(h.SOPInstanceUID)) for h in headers)
    if "PerFrameFunctionalGroupsSequence" not in headers[0]:
        return (None,) * source.geometry.size[2]
    return tuple(_frame_of_slice(headers[0], source.geometry, k) for k in range(source.geometry.size[2]))


def _frame_of_slice(header: Dataset, geometry: Geometry, k: int) -> SliceReference | None:
    """The frame that slice k is, found by its first voxel; None where the volume does not follow the frames."""
    if (header.Rows, header.Columns) != geometry.shape[1:]:
        return None
    frames = header.PerFrameFunctionalGroupsSequence
    positions = np.array([[float(v) for v in f.PlanePositionSequence[0].ImagePositionPatient] for f in frames])
    gaps = np.linalg.norm(positions - geometry.physical((0, 0, k)), axis=1)
    nearest = int(np.argmin(gaps))
    if gaps[nearest] > SAME_PLANE_MM:
        return None
    return SliceReference(str(header.SOPClassUID), str(header.SOPInstanceUID), nearest + 1)
