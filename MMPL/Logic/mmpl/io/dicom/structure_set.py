"""What a DICOM RT Structure Set holds, read defensively: damaged parts are named, never guessed."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from mmpl.errors import InputError
from mmpl.io.dicom.contours import Roi, nearest_planes_mm, plane_steps_mm, problem_with_contour, usual_step_mm
from mmpl.io.dicom.crossing import crossing_planes
from mmpl.io.dicom.headers import UNREADABLE, is_whole, sequence, text
from mmpl.io.dicom.repeated import repeats
from mmpl.notices import STRUCTURES_INCOMPLETE, Notice

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
CLOSED_TYPES = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
LISTED_NAMES = 20


@dataclass(frozen=True)
class StructureSet:
    """What an RTSTRUCT holds.

    Attributes
    ----------
    rois : in the file's order, also those without closed contours
    frame_of_reference_uids : of the structures with contours, without repeats; "" where one names none
    referenced_series_uids : image series that the structures were drawn on
    notices : what was left out, and why
    """

    rois: tuple[Roi, ...]
    frame_of_reference_uids: tuple[str, ...]
    referenced_series_uids: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


def read_structures(path: str | Path) -> StructureSet:
    """Read an RTSTRUCT.

    Only closed planar contours have an inside; points and open lines are left out with a notice, and so are contours
    that cannot be (fewer than 3 points, no area, coordinates that are not finite or not in threes) and repeats of a
    contour, wherever they begin and however they are rounded, which would cancel it. A notice says so, too, where
    contours of a structure overlap without one lying inside the other: what they share is outside by the even-odd rule;
    and where planes of it are unusually near, as a hole's beside its outline's, or those of two series.
    Of a number that is declared twice, the last name counts.

    Parameters
    ----------
    path : the file

    Raises
    ------
    InputError
        If it is no RTSTRUCT or holds no closed contour.
    """
    path = Path(path)
    data = _read(path)
    drawn = _by_number(data, "ROIContourSequence", "ReferencedROINumber")
    declared = _by_number(data, "StructureSetROISequence", "ROINumber")
    frame = _only_frame(data)
    nothing = Dataset()
    read = [
        _roi(number, declared.get(number, [nothing])[-1], drawn.get(number, []), frame)
        for number in dict.fromkeys([*declared, *drawn])
    ]
    rois = [roi for roi, _ in read]
    if not any(roi.contours for roi in rois):
        raise InputError(
            f"RTSTRUCT {path.name} holds no closed contour (structures: {listed(r.name for r in rois)}): "
            "export it with its contours"
        )
    frames = dict.fromkeys(roi.frame_of_reference_uid for roi in rois if roi.contours)
    said = [sentence for _, sentences in read for sentence in sentences]
    said += _repeated_numbers(declared) + _repeated_names(rois)
    notices = tuple(Notice(STRUCTURES_INCOMPLETE, sentence) for sentence in said)
    return StructureSet(_with_spacing(rois), tuple(frames), _series(data), notices)


def listed(names: Iterable[str]) -> str:
    """Names in quotation marks, the first twenty of them; "none" where there are none."""
    names = [repr(name) for name in names]
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return ", ".join(names[:LISTED_NAMES]) + more if names else "none"


def _read(path: Path) -> Dataset:
    if path.is_dir():
        raise InputError(f"RTSTRUCT {path.name} is a folder: give the one file that holds the structure set")
    if not path.exists():
        raise InputError(f"RTSTRUCT {path.name} does not exist: check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path)
            uid, whole = text(data, "SOPClassUID"), is_whole(data)
    except UNREADABLE as error:
        raise InputError(f"RTSTRUCT {path.name} is not a readable DICOM file: export it again") from error
    if not whole:
        raise InputError(f"RTSTRUCT {path.name} ends too early, so contours are missing: copy or export it again")
    if uid != RT_STRUCTURE_SET:
        kind = text(data, "Modality") or "unknown"
        raise InputError(f"RTSTRUCT {path.name} is no RT Structure Set (its modality is {kind}): give another file")
    return data


def _by_number(data: Dataset, keyword: str, number: str) -> dict[str, list[Dataset]]:
    """Items of a sequence by the structure's number: one structure's contours may be in several items."""
    items: dict[str, list[Dataset]] = {}
    for item in sequence(data, keyword):
        items.setdefault(text(item, number), []).append(item)
    return items


# --- one structure ------------------------------------------------------------------------------------


def _roi(number: str, declared: Dataset, drawn: list[Dataset], frame: str) -> tuple[Roi, list[str]]:
    """A structure, and sentences about what is missing in it."""
    contours, plain, skipped = _contours([item for one in drawn for item in sequence(one, "ContourSequence")])
    name = _name(declared)
    said = []
    if not name:
        name = f"ROI {number or '?'}"
        said.append(f"A structure has no name and is called {name!r} here.")
    if skipped:
        counts = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        said.append(
            f"Structure {name!r}: {skipped.total()} of {skipped.total() + len(contours)} contours were left out "
            f"({counts}): look whether they matter."
        )
    elif not contours:
        said.append(f"Structure {name!r} has no contours.")
    crossing, planes = crossing_planes(tuple(plain))
    if crossing:
        said.append(
            f"Structure {name!r}: on {crossing} of {planes} planes, contours overlap and none lies inside the other: "
            "what they share is left out, look whether it belongs to the structure."
        )
    if contours and (found := nearest_planes_mm(tuple(contours))):
        near, usual = found
        said.append(
            f"Structure {name!r}: it has planes {near:.2g} mm apart, where {usual:.2g} mm are usual; each stands for "
            "what is nearer to it than to the other, look whether they were drawn on one series."
        )
    uid = text(declared, "ReferencedFrameOfReferenceUID") or frame
    digits = int(number) if number.isdecimal() else 0
    return Roi(digits, name, tuple(contours), frame_of_reference_uid=uid), said


def _name(declared: Dataset) -> str:
    return " ".join(text(declared, "ROIName").split())


def _contours(items: list[Dataset]) -> tuple[list[np.ndarray], list[np.ndarray], Counter[str]]:
    """The closed contours, those of them that are not meant to be XORed, and how many were left out for what."""
    drawn, kinds, skipped = [], [], Counter()
    for item in items:
        kind = text(item, "ContourGeometricType")
        points, problem = _points(text(item, "ContourData"))
        if kind not in CLOSED_TYPES:
            skipped[f"of type {kind or 'unknown'}"] += 1
        elif problem:
            skipped[f"with {problem}"] += 1
        else:
            drawn.append(points)
            kinds.append(kind)
    plain = np.array([kind == "CLOSED_PLANAR" for kind in kinds], bool)
    twice = repeats(drawn) & plain
    if twice.any():
        skipped["given twice"] = int(twice.sum())
    contours = [points for points, again in zip(drawn, twice, strict=True) if not again]
    return contours, [points for points, one in zip(drawn, plain & ~twice, strict=True) if one], skipped


def _points(coordinates: str) -> tuple[np.ndarray, str | None]:
    """LPS points, shape (n, 3), and what is wrong with them as a closed contour."""
    try:
        values = np.array(coordinates.split("\\") if coordinates else [], dtype=np.float64)
    except ValueError:
        return np.empty((0, 3)), "a coordinate that is not a finite number"
    if len(values) % 3:
        return np.empty((0, 3)), "coordinates that do not come in threes"
    points = values.reshape(-1, 3)
    return points, problem_with_contour(points)


# --- all of them --------------------------------------------------------------------------------------


def _only_frame(data: Dataset) -> str:
    """The frame of reference of structures that do not name theirs: the only one of the file, else ""."""
    named = {text(item, "FrameOfReferenceUID") for item in sequence(data, "ReferencedFrameOfReferenceSequence")}
    named |= {text(data, "FrameOfReferenceUID")}
    named.discard("")
    return named.pop() if len(named) == 1 else ""


def _series(data: Dataset) -> tuple[str, ...]:
    uids = (
        text(series, "SeriesInstanceUID")
        for frame in sequence(data, "ReferencedFrameOfReferenceSequence")
        for study in sequence(frame, "RTReferencedStudySequence")
        for series in sequence(study, "RTReferencedSeriesSequence")
    )
    return tuple(dict.fromkeys(uid for uid in uids if uid))


def _repeated_numbers(declared: dict[str, list[Dataset]]) -> list[str]:
    return [
        f"{len(items)} structures have the number {number or '?'} ({listed(_name(item) for item in items)}): its "
        "contours are taken for those of the last one, look whether they are."
        for number, items in declared.items()
        if len(items) > 1
    ]


def _repeated_names(rois: Sequence[Roi]) -> list[str]:
    counts = Counter(roi.name for roi in rois)
    return [f"{count} structures have the name {name!r}." for name, count in counts.items() if count > 1]


def _with_spacing(rois: Sequence[Roi]) -> tuple[Roi, ...]:
    """Every structure learns the usual distance of planes in the set: one drawn in a plane or two needs it."""
    steps = np.concatenate([steps for roi in rois if roi.contours for steps in plane_steps_mm(roi.contours)])
    usual = usual_step_mm(steps) if len(steps) else None
    return tuple(replace(roi, spacing_mm=usual) for roi in rois)
