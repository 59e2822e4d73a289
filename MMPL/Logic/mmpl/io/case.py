"""A case from its files, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mmpl.case import PET_SUV, PET_UNKNOWN, Case, PlannedDose
from mmpl.dicom_source import DicomSource, Patient
from mmpl.errors import InputError, SuvError
from mmpl.geometry import Volume
from mmpl.io.hounsfield import why_not_hu
from mmpl.io.images import check_finite, check_varies, is_dicom, read_volume
from mmpl.io.nifti import position_doubt
from mmpl.io.pet_units import CONSEQUENCE, guess_pet_units, odd_voxels, why_not_suv
from mmpl.io.suv import Conversion, Typed, convert, convert_typed
from mmpl.io.suv.conversion import TYPED
from mmpl.io.suv.inputs import joined
from mmpl.notices import CT_DOUBT, PET_NOT_SUV, POSITION_DOUBT, SUV_DOUBT, Notice

AUTO, SUV, BQML = "auto", "suv", "bqml"
JUDGED = "no unit in the file: judged from the voxel values"
NOT_HU = (
    "look whether this is the CT, and whether its rescale slope and intercept were applied; what comes of other values "
    "than HU means nothing."
)
HOW_TO_TYPE = "type what is missing (--weight-kg, --injected-mbq, --decay-min)"


@dataclass(frozen=True)
class Reading:
    """What a user says of the images.

    Attributes
    ----------
    ct_series, pt_series : which series of a DICOM folder: number, UID or part of the description
    any_pair : use CT and PET together though the headers speak against it
    typed : what SUV needs, where the PET's header is silent or wrong
    ignore_frame_of_reference : use a dose (or contours) though nothing says that it shares the CT's coordinates
    dose : planned dose, RTDOSE or an image in Gy; None for none
    dose_levels_gy : doses whose volumes are reported
    pet_units : of a PET whose file does not say: "auto" judges by the voxels, "suv", or "bqml" (then ``typed`` counts)
    """

    ct_series: str | None = None
    pt_series: str | None = None
    any_pair: bool = False
    typed: Typed = field(default_factory=Typed)
    pet_units: str = AUTO
    ignore_frame_of_reference: bool = False
    dose: Path | None = None
    dose_levels_gy: tuple[float, ...] = PlannedDose.levels_gy


@dataclass(frozen=True)
class _Image:
    volume: Volume
    source: DicomSource | None = None
    dicom: object = None  # DicomVolume
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class PetRead:
    """A PET, read.

    Attributes
    ----------
    volume : Volume, SUVbw where ``units`` is "SUVbw"
    units : "SUVbw" or "unknown"
    provenance : how it came to be in its units
    notices : what the reader must know
    """

    volume: Volume
    units: str
    provenance: Mapping[str, object]
    notices: tuple[Notice, ...]


def read_pet(path: Path, *, series: str | None = None, typed: Typed | None = None, pet_units: str = AUTO) -> PetRead:
    """Read a PET alone, in SUV where it can be.

    Raises
    ------
    InputError, SuvError
        As :func:`read_case`.
    """
    image = _finite(_read_one(Path(path), "PET", series))
    volume, units, provenance, notices = _in_suv(image, Reading(typed=typed or Typed(), pet_units=pet_units))
    if units is None:
        units, notice = guess_pet_units(volume)
        provenance = {"rule": JUDGED, **provenance}
        notices = (*notices, *(() if notice is None else (notice,)))
    return PetRead(volume, units, {"pet_units": units, **provenance}, (*image.notices, *notices))


def read_case(
    case_id: str,
    ct_path: Path,
    pt_path: Path,
    clinical: Mapping[str, object] | None = None,
    reading: Reading | None = None,
) -> Case:
    """Read CT and PET from files; what :func:`case_from_volumes` then does. Training and inference both start here.

    A PET in DICOM becomes body-weight SUV by its header; ``provenance`` then holds every value and rule used.

    Raises
    ------
    InputError
        If a file is missing, is no 3D image, or its voxels cannot be used; if a folder holds several series that may
        be meant, or CT and PET do not belong together.
    SuvError
        If typed values cannot be, or are not enough.
    """
    reading = reading or Reading()
    ct, pet, notices = _read_both(Path(ct_path), Path(pt_path), reading)
    pet = _finite(pet)
    volume, units, provenance, more = _in_suv(pet, reading)
    case = case_from_volumes(case_id, ct.volume, volume, clinical=clinical, pet_units=units, provenance=provenance)
    dose, found = _read_dose(reading, ct.source)
    notices = (*notices, *ct.notices, *pet.notices, *more, *case.notices, *found)
    return replace(case, ct_source=ct.source, pet_source=pet.source, notices=notices, dose=dose)


def case_from_volumes(
    case_id: str,
    ct: Volume,
    pet: Volume,
    *,
    clinical: Mapping[str, object] | None = None,
    pet_units: str | None = None,
    provenance: Mapping[str, object] | None = None,
) -> Case:
    """A case of images that are in memory: voxels checked, the PET's unit judged unless ``pet_units`` states it.

    Raises
    ------
    InputError
        If voxels cannot be used.
    """
    ct, ct_notice = check_finite(ct, "CT")
    pet, pet_notice = check_finite(pet, "PET")
    check_varies(ct, "CT")
    check_varies(pet, "PET")
    no_hu = why_not_hu(ct.array)
    ct_doubt = None if no_hu is None else Notice(CT_DOUBT, f"The CT's values {no_hu}: {NOT_HU}")
    units, units_notice = guess_pet_units(pet) if pet_units is None else (pet_units, None)
    rule = JUDGED if pet_units is None else "stated with the image"
    return Case(
        case_id=case_id,
        ct=_whole_numbers(ct),
        pet=pet,
        pet_units=units,
        clinical=dict(clinical or {}),
        provenance={"pet_units": units, "rule": rule, **(provenance or {})},
        notices=tuple(n for n in (ct_notice, ct_doubt, pet_notice, units_notice) if n is not None),
    )


def _whole_numbers(ct: Volume) -> Volume:
    """A CT in half the memory: int16 where that holds every number, as it does for nearly all scanners'."""
    with np.errstate(invalid="ignore"):  # what int16 cannot hold comes back as another number
        small = ct.array.astype(np.int16)
    return ct.with_array(small) if np.array_equal(small, ct.array) else ct


def apply_conversion(
    pet: Volume, conversion: Conversion, *, how_to_type: str = HOW_TO_TYPE
) -> tuple[Volume, str, dict, tuple[Notice, ...]]:
    """A PET by a conversion: the volume, its units, their provenance, and what the reader must know.

    Where something is missing, or the result cannot be SUV, the units are unknown: nothing downstream reads them.
    """
    provenance = {"rule": conversion.rule, "suv": conversion.record()}
    doubts = tuple(Notice(SUV_DOUBT, f"SUV: {doubt}") for doubt in conversion.doubts)
    if conversion.units != PET_SUV:
        why = f"it lacks {joined(conversion.missing)}; {how_to_type}" if conversion.missing else conversion.rule
        text = f"The PET is not in SUV ({why.rstrip('.')}): {CONSEQUENCE}"
        return pet, PET_UNKNOWN, provenance, (Notice(PET_NOT_SUV, text), *doubts)
    pet = conversion.apply(pet)
    finite, _ = check_finite(pet, "PET")
    reason, odd = why_not_suv(finite.array, units_stated=True), odd_voxels(finite.array)
    if reason is not None:
        text = (
            f"The PET was converted by {conversion.rule}, but the result is no SUV ({reason}): look at weight, "
            f"injected activity and times; until then {CONSEQUENCE}"
        )
        return pet, PET_UNKNOWN, provenance, (Notice(PET_NOT_SUV, text), *doubts)
    if odd is not None:
        text = f"SUV: {odd}: look whether it is an injection site, an artefact or noise, and lies in a contour"
        doubts = (*doubts, Notice(SUV_DOUBT, text))
    return pet, PET_SUV, provenance, doubts


def _read_both(ct_path: Path, pt_path: Path, reading: Reading) -> tuple[_Image, _Image, tuple[Notice, ...]]:
    if is_dicom(ct_path) and is_dicom(pt_path):
        from mmpl.io.dicom.choose import choose_pair
        from mmpl.io.dicom.read import read_series

        ct, pet, notices = choose_pair(
            ct_path, pt_path, ct_wanted=reading.ct_series, pet_wanted=reading.pt_series, any_pair=reading.any_pair
        )
        return _dicom(read_series(ct, f"CT {ct_path}")), _dicom(read_series(pet, f"PET {pt_path}")), notices
    return _read_one(ct_path, "CT", reading.ct_series), _read_one(pt_path, "PET", reading.pt_series), ()


def _read_one(path: Path, what: str, wanted: str | None) -> _Image:
    if is_dicom(path):
        from mmpl.io.images import read_dicom

        return _dicom(read_dicom(path, what, wanted))
    if wanted is not None:
        raise InputError(f"{what} {path} is no DICOM folder: a series can be chosen only of one")
    volume = read_volume(path, what=what)
    doubt = position_doubt(path, what)
    return _Image(volume, notices=() if doubt is None else (Notice(POSITION_DOUBT, f"The {what}'s file {doubt}."),))


def _dicom(read) -> _Image:
    return _Image(read.volume, read.source, read, read.notices)


def _finite(pet: _Image) -> _Image:
    """A PET whose units can be judged: a single voxel that is no number would make it no SUV."""
    volume, notice = check_finite(pet.volume, "PET")
    return pet if notice is None else replace(pet, volume=volume, notices=(*pet.notices, notice))


def _read_dose(reading: Reading, ct: DicomSource | None) -> tuple[PlannedDose | None, tuple[Notice, ...]]:
    if reading.dose is None:
        return None, ()
    from mmpl.io.dicom.frame_of_reference import check_frames, check_patient
    from mmpl.io.dicom.rtdose import check_dose, low_dose, read_rtdose

    if not is_dicom(reading.dose):
        volume = read_volume(reading.dose, what="dose")
        check_dose(volume.array, reading.dose.name)
        notices = tuple(low_dose(float(volume.array.max())))
        return PlannedDose(volume, levels_gy=reading.dose_levels_gy), notices
    volume, info = read_rtdose(reading.dose)
    frame, patient = ("", Patient()) if ct is None else (ct.frame_of_reference, ct.patient)
    uids, override = (info.frame_of_reference_uid,), reading.ignore_frame_of_reference
    notices = (
        *info.notices,
        *check_patient(info.patient, patient, what="the dose", override=reading.any_pair),
        *check_frames(uids, frame or None, what="the dose", override=override),
    )
    kinds = info.dose_type or None, info.summation_type or None
    return PlannedDose(volume, *kinds, levels_gy=reading.dose_levels_gy), notices


def _in_suv(pet: _Image, reading: Reading) -> tuple[Volume, str | None, dict, tuple[Notice, ...]]:
    """The PET, its units (None: judge by the voxels), their provenance, notices."""
    if pet.dicom is not None:
        return apply_conversion(pet.volume, _of_header(pet.dicom, reading))
    if reading.pet_units == SUV:
        return pet.volume, PET_SUV, _stated_suv(reading.typed), ()
    if reading.pet_units == BQML or reading.typed.activity or _is_to_be_converted(pet.volume, reading.typed):
        conversion = convert_typed(reading.typed)
        if conversion.missing:
            raise SuvError(f"to convert the PET from Bq/mL, {joined(conversion.missing)} is missing: {HOW_TO_TYPE}")
        return apply_conversion(pet.volume, conversion)
    if why_not_suv(pet.volume.array) is None and reading.typed.anything:
        return pet.volume, None, {"suv": convert({"Units": "GML"}, (), reading.typed).record()}, ()
    return pet.volume, None, {}, ()


def _of_header(dicom, reading: Reading) -> Conversion:
    stated = dicom.header.get("Units")
    if reading.pet_units == AUTO:
        return convert(dicom.header, dicom.frames, reading.typed)
    if stated or reading.pet_units == SUV:
        raise SuvError(
            f"the PET is DICOM, whose header says its units ({stated or 'nothing here'}): --pt-units is for images "
            "that do not say, and of DICOM only bqml where the header says nothing"
        )
    found = convert({**dicom.header, "Units": "BQML"}, dicom.frames, reading.typed)
    return replace(found, sources={**found.sources, "units": f"Bq/mL, {TYPED}"})


def _stated_suv(typed: Typed) -> dict:
    if typed.activity:
        raise SuvError("the PET is said to be in SUV: injected activity, time and half-life have no place then")
    record = {"suv": convert({"Units": "GML"}, (), typed).record()} if typed.anything else {}
    return {**record, "rule": "stated to be body-weight SUV"}


def _is_to_be_converted(pet: Volume, typed: Typed) -> bool:
    """A weight was typed for a PET whose voxels are no SUV."""
    return typed.weight_kg is not None and why_not_suv(pet.array) is not None
