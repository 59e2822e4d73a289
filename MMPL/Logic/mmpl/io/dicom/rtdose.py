"""Planned dose in Gy from a DICOM RT Dose object."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from mmpl.dicom_source import Patient
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.headers import UNREADABLE, number, numbers, patient_of, text
from mmpl.notices import DOSE_DOUBT, Notice
from mmpl.resample import apply_along_axes, linear_matrix

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
EVEN_MM = 0.05  # planes this close to an even grid are on it
FINEST_SHARE = 10  # an uneven grid may be made even with at most this many planes for each of its own
HIGHEST_GY = 200.0
LOWEST_GY = 1.0


@dataclass(frozen=True)
class DoseInfo:
    """What a dose object says of itself.

    Attributes
    ----------
    frame_of_reference_uid : "" where it names none
    patient : whose it is
    summation_type : DoseSummationType, "PLAN" for a whole plan; "" where it is not said
    dose_type : "PHYSICAL", "EFFECTIVE" or "" where it is not said
    notices : what a reader of the figures must know
    """

    frame_of_reference_uid: str
    summation_type: str
    dose_type: str
    patient: Patient = field(default_factory=Patient)
    notices: tuple[Notice, ...] = ()


def read_rtdose(path: str | Path) -> tuple[Volume, DoseInfo]:
    """Read a dose distribution.

    Planes are put in the order of the normal of row and column. Planes at uneven distances are resampled to even ones
    of the smallest distance by linear interpolation, with a notice.

    Parameters
    ----------
    path : the file

    Returns
    -------
    (Volume, DoseInfo) : dose in Gy, float32

    Raises
    ------
    InputError
        If it is no RT Dose, or the dose is not in Gy, an error distribution, or implausible.
    GeometryError
        If position, orientation, spacing or planes are missing or impossible.
    """
    path = Path(path)
    data = _read(path)
    _check_kind(data, path.name)
    dose = _dose_gy(data, path.name)
    offsets = _offsets_mm(data, len(dose), path.name)
    dose, step, notices = _even(dose, offsets, path.name)
    volume = Volume(np.ascontiguousarray(dose, dtype=np.float32), _geometry(data, dose, offsets.min(), step, path.name))
    summation, kind = text(data, "DoseSummationType").upper(), text(data, "DoseType").upper()
    notices += _doubts(summation, kind, float(dose.max()))
    return volume, DoseInfo(text(data, "FrameOfReferenceUID"), summation, kind, patient_of(data), tuple(notices))


def _read(path: Path) -> Dataset:
    if path.is_dir():
        raise InputError(f"dose {path.name} is a folder: give the one file that holds the dose")
    if not path.exists():
        raise InputError(f"dose {path.name} does not exist: check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path)
            uid = text(data, "SOPClassUID")
    except UNREADABLE as error:
        raise InputError(f"dose {path.name} is not a readable DICOM file: export it again") from error
    if uid != RT_DOSE:
        kind = text(data, "Modality") or "unknown"
        raise InputError(f"dose {path.name} is no RT Dose (its modality is {kind}): give another file")
    return data


def _check_kind(data: Dataset, name: str) -> None:
    units, kind = text(data, "DoseUnits").upper(), text(data, "DoseType").upper()
    if units != "GY":
        said = {"RELATIVE": "relative to a reference", "": "in units that are not given"}.get(units, f"in {units}")
        raise InputError(f"dose {name} is {said} (DoseUnits), expected GY: export the absolute dose")
    if kind not in ("PHYSICAL", "EFFECTIVE", ""):
        raise InputError(f"dose {name} is of type {kind}, a difference and no dose: export the plan's dose")


def _dose_gy(data: Dataset, name: str) -> np.ndarray:
    """Dose in Gy, float64, shape (planes, rows, columns), in the order stored."""
    scaling = number(data, "DoseGridScaling")
    if scaling is None or scaling <= 0:
        raise InputError(f"dose {name} does not say what a stored value means (DoseGridScaling): export it again")
    stored = _stored(data, name)
    if stored.ndim == 2:
        stored = stored[None]
    if stored.ndim != 3 or len(stored) < 2:
        raise InputError(f"dose {name} is a single plane or in colour: export the dose of the whole volume")
    dose = stored * scaling
    check_dose(dose, name)
    return dose


def check_dose(dose: np.ndarray, name: str) -> None:
    """Raise InputError where these values in Gy are no dose of a plan.

    Parameters
    ----------
    dose : array in Gy
    name : of the file, for messages
    """
    if not np.isfinite(dose).all():
        raise InputError(f"dose {name} has values that are NaN or infinite: export it again")
    if dose.min() < 0:
        raise InputError(f"dose {name} has negative values, as a difference of plans has: export the plan's dose")
    highest = float(dose.max())
    if highest == 0:
        raise InputError(f"dose {name} is 0 everywhere: calculate and export it again")
    if highest > HIGHEST_GY:
        raise InputError(
            f"dose {name} has a maximum of {highest:.4g} Gy, expected at most {HIGHEST_GY:g}: if it is in cGy "
            f"({highest / 100:.4g} Gy), export it in Gy"
        )


def _stored(data: Dataset, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return data.pixel_array
    except (*UNREADABLE, RuntimeError) as error:
        raise InputError(f"dose {name}: its voxels cannot be decoded: export it again, uncompressed") from error


# --- geometry -----------------------------------------------------------------------------------------


def _normal(data: Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions along a row, along a column, and their normal."""
    cosines = numbers(data, "ImageOrientationPatient", 6)
    if cosines is None:
        raise GeometryError(f"dose {name} does not say how it is oriented (ImageOrientationPatient): export it again")
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    return row, column, np.cross(row, column)


def _position(data: Dataset, name: str) -> np.ndarray:
    position = numbers(data, "ImagePositionPatient", 3)
    if position is None:
        raise GeometryError(f"dose {name} does not say where it lies (ImagePositionPatient): export it again")
    return np.array(position)


def _offsets_mm(data: Dataset, planes: int, name: str) -> np.ndarray:
    """Each stored plane's distance from ImagePositionPatient along the normal, shape (planes,).

    GridFrameOffsetVector holds these distances and begins with 0, or it holds z coordinates and begins with that of
    ImagePositionPatient, which is allowed for axial planes only (DICOM PS3.3 C.8.8.3.2).
    """
    values = numbers(data, "GridFrameOffsetVector", planes)
    if values is None:
        raise GeometryError(
            f"dose {name} does not give the position of each of its {planes} planes (GridFrameOffsetVector): export it "
            "again"
        )
    offsets, normal, z = np.array(values), _normal(data, name)[2], _position(data, name)[2]
    if offsets[0] == 0:
        return _monotone(offsets, name)
    if abs(offsets[0] - z) <= EVEN_MM and abs(abs(normal[2]) - 1.0) <= 1e-3:
        return _monotone((offsets - z) * np.sign(normal[2]), name)
    raise GeometryError(
        f"dose {name}: GridFrameOffsetVector begins neither with 0 nor with the position of the first axial plane: "
        "export it again"
    )


def _monotone(offsets: np.ndarray, name: str) -> np.ndarray:
    steps = np.diff(offsets)
    if not (np.all(steps > 1e-3) or np.all(steps < -1e-3)):
        raise GeometryError(f"dose {name}: its planes are out of order or coincide: export it again")
    return offsets


def _even(dose: np.ndarray, offsets: np.ndarray, name: str) -> tuple[np.ndarray, float, list[Notice]]:
    """Planes by rising offset at even distances, and that distance in mm."""
    if offsets[0] > offsets[-1]:
        dose, offsets = dose[::-1], offsets[::-1]
    planes = len(offsets)
    reach = offsets[-1] - offsets[0]
    if np.abs(offsets - np.linspace(offsets[0], offsets[-1], planes)).max() <= EVEN_MM:
        return dose, reach / (planes - 1), []
    steps = np.diff(offsets)
    count = round(reach / steps.min()) + 1
    if count > FINEST_SHARE * planes:
        raise GeometryError(
            f"dose {name}: its planes are {steps.min():.3g} to {steps.max():.3g} mm apart: export it on an even grid"
        )
    positions = np.interp(np.linspace(offsets[0], offsets[-1], count), offsets, np.arange(planes))
    same = [np.eye(n) for n in dose.shape[1:]]
    even = apply_along_axes(dose, [linear_matrix(positions, planes), *same])
    sentence = (
        f"The dose's planes are {steps.min():.3g} to {steps.max():.3g} mm apart; it was resampled to even planes by "
        "linear interpolation."
    )
    return even, reach / (count - 1), [Notice(DOSE_DOUBT, sentence)]


def _geometry(data: Dataset, dose: np.ndarray, first: float, step: float, name: str) -> Geometry:
    spacing = numbers(data, "PixelSpacing", 2)
    if spacing is None:
        raise GeometryError(f"dose {name} does not give its PixelSpacing: export it again")
    row, column, normal = _normal(data, name)
    planes, rows, columns = dose.shape
    between_rows, between_columns = spacing
    return Geometry(
        (columns, rows, planes),
        (between_columns, between_rows, step),
        tuple(_position(data, name) + first * normal),
        np.stack([row, column, normal], axis=1),
    )


# --- what a reader must know --------------------------------------------------------------------------


def _doubts(summation: str, kind: str, highest_gy: float) -> list[Notice]:
    found = []
    if summation != "PLAN":
        what = f"of {summation}" if summation else "of what it does not say"
        found.append(
            f"The dose is the sum {what} (DoseSummationType), not of one whole plan: its levels are not a plan's."
        )
    if kind == "EFFECTIVE":
        found.append("The dose is effective (weighted for biological effect), not physical: compare levels with care.")
    if not kind:
        found.append("The dose does not say whether it is physical or effective (DoseType).")
    return [*(Notice(DOSE_DOUBT, sentence) for sentence in found), *low_dose(highest_gy)]


def low_dose(highest_gy: float) -> list[Notice]:
    """A notice of a dose that is lower than any plan's, such as one given as a share of what is prescribed."""
    if highest_gy >= LOWEST_GY:
        return []
    text = f"The dose's maximum is only {highest_gy:.3g} Gy: look whether its units and scaling are right."
    return [Notice(DOSE_DOUBT, text)]
