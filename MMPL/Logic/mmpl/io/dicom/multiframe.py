"""Enhanced multi-frame objects: each frame as a slice (DICOM PS3.3, C.7.6.16)."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from mmpl.io.dicom.headers import PixelBytes, functional_group, number, number_of, sequence, text, whole
from mmpl.io.dicom.pet_header import header_values
from mmpl.io.dicom.single import pixel_format, place_of
from mmpl.io.dicom.slices import Slice
from mmpl.io.suv.header import LEAST_BQ

UNIT_CODES = {"Bq/ml": "BQML", "{SUVbw}g/ml": "GML", "g/ml{SUVbw}": "GML", "g/ml": "GML", "{counts}": "CNTS"}
OF_THE_OBJECT = ("AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime")  # of its first frame, not of each


def frames_of(dataset: Dataset, path: Path, pixels: PixelBytes | None = None) -> list[Slice | str]:
    """The frames of a multi-frame object; what is wrong with one in its place."""
    per_frame = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    count, rows, columns = whole(dataset, "NumberOfFrames"), whole(dataset, "Rows"), whole(dataset, "Columns")
    if not count or not rows or not columns or len(per_frame) != count:
        return ["multi-frame objects whose frames are not described"]
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    whole_header = _series_header(dataset)
    stored = pixel_format(dataset, pixels, count * rows * columns)
    return [
        _frame(path, index, groups, shared, whole_header, (rows, columns), stored)
        for index, groups in enumerate(per_frame)
    ]


def _frame(path, index, groups, shared, whole_header, size, stored) -> Slice | str:
    groups_of_place = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    place = place_of(*(functional_group(groups, shared, keyword) for keyword in groups_of_place), what="frames")
    if isinstance(place, str):
        return place
    position, orientation, spacing = place
    transformation = functional_group(groups, shared, "PixelValueTransformationSequence")
    content = functional_group(groups, shared, "FrameContentSequence")
    header = {k: v for k, v in whole_header.items() if k not in OF_THE_OBJECT}
    if begun := text(content, "FrameAcquisitionDateTime"):
        header["AcquisitionDateTime"] = begun
    if duration := number(content, "FrameAcquisitionDuration"):
        header["ActualFrameDuration"] = str(duration)
    slope, intercept = number(transformation, "RescaleSlope"), number(transformation, "RescaleIntercept")
    mapping = functional_group(groups, shared, "RealWorldValueMappingSequence")
    if "Units" not in header and (units := _units(mapping)):
        header["Units"] = units  # the mapping's unit goes with its own slope
        slope = _first(number(mapping, "RealWorldValueSlope"), slope)
        intercept = _first(number(mapping, "RealWorldValueIntercept"), intercept)
    rows, columns = size
    return Slice(
        path=path,
        position=position,
        orientation=orientation,
        spacing=spacing,
        rows=rows,
        columns=columns,
        slope=slope,
        intercept=intercept,
        pixels=stored,
        header=header,
        frame=index,
        thickness_mm=number(functional_group(groups, shared, "PixelMeasuresSequence"), "SliceThickness") or None,
    )


def _first(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value


def _units(mapping: Dataset) -> str:
    """DICOM's PET unit by the code of a real-world value mapping; "" where there is none."""
    for code in sequence(mapping, "MeasurementUnitsCodeSequence")[:1]:
        return UNIT_CODES.get(text(code, "CodeValue"), text(code, "CodeValue"))
    return ""


def _series_header(dataset: Dataset) -> dict[str, str]:
    """What an enhanced PET says in other words than a PET of single images."""
    found = header_values(dataset)
    done = {"ATTN": "AttenuationCorrected", "DECY": "DecayCorrected"}
    listed = [code for code, keyword in done.items() if text(dataset, keyword).upper() == "YES"]
    if any(text(dataset, keyword) for keyword in done.values()):
        found.setdefault("CorrectedImage", "\\".join(listed) or "NONE")
    if dose := number_of(found.get("RadionuclideTotalDose", "")):
        found["RadionuclideTotalDose"] = repr(dose * 1e6 if dose < LEAST_BQ else dose)  # MBq here, Bq elsewhere
    moment = text(dataset, "DecayCorrectionDateTime")
    if text(dataset, "DecayCorrected").upper() == "NO":
        found["DecayCorrection"] = "NONE"
    elif moment:
        found |= {"DecayCorrection": "START", "GEScanDateTime": "", "DecayCorrectionDateTime": moment}
    return {k: v for k, v in found.items() if v}
