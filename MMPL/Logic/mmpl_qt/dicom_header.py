"""DICOM values of a volume that Slicer has loaded from its DICOM database."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import slicer

KEYWORDS = (
    "Units",
    "SUVType",
    "CorrectedImage",
    "DecayCorrection",
    "PatientWeight",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
)
TRACER_KEYWORDS = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)


def header_of(node) -> Mapping[str, object] | None:
    """DICOM keyword -> plain value for a volume, None where it does not come from the database.

    The series' earliest acquisition is the earlier of its first and last image: beds are scanned in order.
    """
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None:
        return None
    files = [database.fileForInstance(uid) for uid in {uids[0], uids[-1]}]
    return _header(tuple(sorted(file for file in files if file and Path(file).is_file())))


@lru_cache(maxsize=16)
def _header(files: tuple[str, ...]) -> Mapping[str, object] | None:
    import pydicom

    return earliest_header([pydicom.dcmread(file, stop_before_pixels=True) for file in files])


def earliest_header(datasets) -> Mapping[str, object] | None:
    """The values of the image that was acquired first; objects of a series that are no images do not count."""
    headers = [one for one in map(header_values, datasets) if "Units" in one]
    moments = ("AcquisitionDate", "AcquisitionTime")
    return min(headers, key=lambda one: tuple(str(one.get(key, "")) for key in moments)) if headers else None


def header_values(dataset) -> dict[str, object]:
    found = {name: _plain(dataset.get(name)) for name in KEYWORDS}
    tracers = dataset.get("RadiopharmaceuticalInformationSequence")
    if tracers:
        found |= {name: _plain(tracers[0].get(name)) for name in TRACER_KEYWORDS}
    return {name: value for name, value in found.items() if value not in (None, "")}


def _plain(value) -> object:
    if value is None or isinstance(value, int | float | str):
        return value
    return "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)
