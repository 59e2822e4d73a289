"""What of a PET's DICOM header SUV needs, as plain values (see :mod:`mmpl.io.suv.header`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom.dataset import Dataset

from mmpl.io.dicom.headers import private, sequence, text
from mmpl.io.suv.header import acquisition_of
from mmpl.io.suv.moments import gap

KEYWORDS = (
    "Units",
    "SUVType",
    "CorrectedImage",
    "DecayCorrection",
    "DecayFactor",
    "PatientWeight",
    "PatientSize",
    "PatientSex",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ActualFrameDuration",
    "FrameReferenceTime",
    "TimezoneOffsetFromUTC",
    "NumberOfSlices",
)
TRACER_KEYWORDS = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
    "Radiopharmaceutical",
)


def header_values(dataset: Dataset) -> dict[str, str]:
    """Keyword -> text of what is there."""
    found = {name: text(dataset, name) for name in KEYWORDS}
    tracers = sequence(dataset, "RadiopharmaceuticalInformationSequence")
    if len(tracers) > 1:
        found["Injections"] = str(len(tracers))
    for tracer in tracers[:1]:
        found |= {name: text(tracer, name) for name in TRACER_KEYWORDS}
        for code in sequence(tracer, "RadionuclideCodeSequence")[:1]:
            found |= {"RadionuclideCode": text(code, "CodeValue"), "RadionuclideMeaning": text(code, "CodeMeaning")}
    found["PhilipsSUVScaleFactor"] = private(dataset, 0x7053, "Philips PET Private Group", 0x00)
    found["PhilipsActivityScaleFactor"] = private(dataset, 0x7053, "Philips PET Private Group", 0x09)
    found["GEScanDateTime"] = private(dataset, 0x0009, "GEMS_PETD_01", 0x0D)
    return {name: value for name, value in found.items() if value}


def earliest_header(headers: Iterable[Mapping[str, object]]) -> Mapping[str, object] | None:
    """The header of the image that was acquired first; headers without Units are of no images."""
    found = [one for one in headers if "Units" in one]
    if not found:
        return None
    first = found[0]
    for one in found[1:]:
        ours, theirs = acquisition_of(first), acquisition_of(one)
        if theirs is not None and (ours is None or gap(theirs, ours) < 0):
            first = one
    return first
