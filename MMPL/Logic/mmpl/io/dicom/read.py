"""A series as a volume, with what an export and SUV need of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmpl.dicom_source import DicomSource
from mmpl.errors import InputError
from mmpl.geometry import Volume
from mmpl.io.dicom.pet_header import earliest_header
from mmpl.io.dicom.pixels import read_stack, straightened
from mmpl.io.dicom.plausible import remarks_on_grid, remarks_on_values
from mmpl.io.dicom.series import PET, Series
from mmpl.io.dicom.stack import Stack, stack
from mmpl.io.dicom.stored import remarks_on_stored
from mmpl.io.images import BACKGROUND
from mmpl.io.suv.header import Frame, frame_of
from mmpl.notices import DICOM_SERIES, Notice

THINNED_OUT = 1.9  # mm of step a mm of thickness
ALIKE = (
    "Units", "SUVType", "DecayCorrection", "CorrectedImage", "PatientWeight", "PatientSize", "PatientSex",
    "RadionuclideTotalDose", "RadionuclideHalfLife", "RadionuclideCode", "RadionuclideMeaning",
    "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime", "TimezoneOffsetFromUTC", "SeriesDate",
    "SeriesTime", "GEScanDateTime", "DecayCorrectionDateTime", "PhilipsSUVScaleFactor", "PhilipsActivityScaleFactor",
)  # fmt: skip


@dataclass(frozen=True)
class DicomVolume:
    """A series, read.

    Attributes
    ----------
    volume : Volume, float32, in the unit of the series (HU; what the PET's Units say)
    source : its files, for exports
    series : what it was read from
    header : PET: the header of the earliest image, see :mod:`mmpl.io.suv.header`; empty for a CT
    frames : PET: what decay needs of each slice, in the volume's order; empty for a CT
    notices : what was left out or mended
    """

    volume: Volume
    source: DicomSource
    series: Series
    header: Mapping[str, object]
    frames: tuple[Frame, ...]
    notices: tuple[Notice, ...]


def read_series(series: Series, where: str) -> DicomVolume:
    """Read a series.

    Parameters
    ----------
    where : what and where it is, for messages: "PET /folder"

    Raises
    ------
    InputError
        If pixels cannot be read, or the series is a single slice or mixes patients.
    GeometryError
        If slices are missing, unevenly spaced or displaced.
    """
    name = f"{where}: {series.name}"
    if any(what.startswith("patients") for what in series.strays):
        raise InputError(f"{name} mixes patients or frames of reference: sort the files and export it again")
    ordered = stack(series.slices, name)
    stored = read_stack(ordered, name, series.kind)
    outside = BACKGROUND[series.kind]
    volume = straightened(stored, ordered.shift_mm, outside) if ordered.tilted else stored
    on_slices = not ordered.tilted and ordered.slices[0].frame is None
    source = DicomSource(_files(ordered), volume.geometry, on_slices, series.frame_of_reference, series.patient)
    is_pet = series.kind == PET
    headers = [one.header for one in ordered.slices]
    return DicomVolume(
        volume=volume,
        source=source,
        series=series,
        header=(earliest_header(headers) or headers[0]) if is_pet else {},
        frames=tuple(map(frame_of, headers)) if is_pet else (),
        notices=tuple(
            Notice(DICOM_SERIES, text)
            for text in (
                *_remarks(series, ordered, is_pet),
                *remarks_on_stored(ordered.slices, series.kind),
                *remarks_on_grid(stored.geometry, series.kind),
                *remarks_on_values(stored, series.kind, outside),
            )
        ),
    )


def _files(ordered: Stack) -> tuple:
    return tuple(dict.fromkeys(one.path for one in ordered.slices))


def _remarks(series: Series, ordered: Stack, is_pet: bool) -> list[str]:
    found = [f"{series.kind}: {count} {what} left out." for what, count in series.strays.items()]
    if ordered.doubles:
        count = len(ordered.doubles)
        found.append(f"{series.kind}: {count} image{' is' if count == 1 else 's are'} there twice; one copy is used.")
    if ordered.tilted:
        found.append(
            f"{series.kind}: its slices are displaced from each other (a tilted gantry); it was resampled to a grid "
            "whose axes are perpendicular."
        )
    found += _thickness_remarks(ordered, series.kind)
    if is_pet:
        found += _pet_remarks([one.header for one in ordered.slices])
    return found


def _thickness_remarks(ordered: Stack, kind: str) -> list[str]:
    """Where as much lies between slices as in them: the series may have been thinned out evenly."""
    thickness, step = ordered.slices[0].thickness_mm, ordered.geometry.spacing_mm[2]
    if thickness is None or step < THINNED_OUT * thickness:
        return []
    return [
        f"{kind}: its slices lie {step:.3g} mm apart and are {thickness:.3g} mm thick: look whether every second one "
        "is missing."
    ]


def _pet_remarks(headers: list[Mapping[str, str]]) -> list[str]:
    found = []
    differ = [keyword for keyword in ALIKE if len({one.get(keyword) for one in headers}) > 1]
    if differ:
        found.append(f"PET: its images do not agree on {', '.join(differ)}; those of the first image are used.")
    stated = max((int(text) for one in headers if (text := one.get("NumberOfSlices", "")).isdecimal()), default=0)
    if stated > len(headers):
        found.append(f"PET: by its header (NumberOfSlices) it has {stated} slices, {len(headers)} are there.")
    return found
