"""In which units a PET is, and by what it becomes body-weight SUV: said in words, and ready for the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

import slicer
from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import MMPLError, SuvError
from mmpl.io.pet_units import why_not_suv
from mmpl.io.suv import PET_BQML, Conversion, Typed, convert, convert_typed
from mmpl.io.suv.inputs import joined
from mmpl.report.text import sentence
from mmpl_slicer.dicom_files import PetHeader
from mmpl_slicer.input_report import GOOD, NOTE, InputReport, Line
from mmpl_slicer.volumes import suv_kind_of_node, units_code_of_node

SAMPLE_VOXELS = 200_000
BQML_CODES = ("BQML", "Bq/ml", "Bq/mL", "{counts}/s/ml")
OTHER_SUV_CODES = ("GML", "G/ML", "CM2ML", "CM2/ML")
COUNTS_CODES = ("CNTS", "{counts}")
WITHOUT = "contours are drawn without HPV and RFS"
# PETDICOMExtension's other kinds of SUV, in DICOM's words
EXTENSION_KINDS = {"SUVlbm": ("GML", "LBMJAMES128"), "SUVbsa": ("CM2ML", "BSA"), "SUVibw": ("GML", "IBW")}
EXTENSION_BSA = 10.0  # it divides m2 by kBq, which is a tenth of the cm2/mL that it says


def report_on_units(
    pet_node, typed: Mapping[str, float | None], header: PetHeader | None, kept: Conversion | None = None
) -> InputReport:
    """The part of the input check that is about the PET's units.

    Parameters
    ----------
    typed : as far as it is typed, field of :class:`mmpl.io.suv.Typed` -> value
    header : of its DICOM files, None without
    kept : what a header that is not there any more made of it
    """
    kind, code = suv_kind_of_node(pet_node), units_code_of_node(pet_node)
    array = slicer.util.arrayFromVolume(pet_node)
    reason = why_not_suv(fair_sample(array), units_stated=kind == PET_SUV)
    if kind == PET_SUV and reason is None:
        return InputReport((Line(GOOD, "The PET is in body-weight SUV, as its units say"),), pet_units=PET_SUV)
    if kind == PET_SUV:  # its header, if it has one, is that of the image before it was made SUV
        header, kept = None, None
    elif header is None and kept is None and not code and reason is None and not kind:
        text = "The PET has no units; its values are those of body-weight SUV and are taken as such."
        return InputReport((Line(NOTE, text),))
    asks = kind not in EXTENSION_KINDS
    try:
        conversion = _decided(kind, code, _typed(typed), header, kept)
    except MMPLError as problem:
        return InputReport((Line(NOTE, sentence(problem)),), asks_for_suv=asks, pet_units=PET_UNKNOWN)
    what = _what_it_is(kind, code, header, kept, reason)
    return _report(conversion, what, array, asks=asks and _is_of_activity(conversion, header), raw_reason=reason)


def _decided(kind: str, code: str, typed: Typed, header: PetHeader | None, kept: Conversion | None) -> Conversion:
    if header is None and kept is not None:
        return kept
    if kind in EXTENSION_KINDS:
        return of_extension(kind, header, typed)
    if header is not None:
        return _by_header(header, typed)
    return convert({"Units": "CNTS"}) if code in COUNTS_CODES else convert_typed(typed)


def of_extension(kind: str, header: PetHeader | None, typed: Typed) -> Conversion:
    """From another SUV of PETDICOMExtension to body weight.

    Its formulas (SUVFactorCalculator): lean body mass by James with 128 for men; ideal body weight, but the weight
    where that is less; body surface by Du Bois in m2 per kBq.
    """
    units, suv_type = EXTENSION_KINDS[kind]
    said = f"{kind} of 3D Slicer's PET DICOM extension to body-weight SUV"
    values = {} if header is None else header.values
    conversion = convert({**values, "Units": units, "SUVType": suv_type}, typed=typed)
    if conversion.missing:
        return _without_body(kind)
    if conversion.units != PET_SUV:
        return conversion
    if kind == "SUVibw":
        return replace(conversion, factor=max(1.0, conversion.factor), rule=said)
    if kind == "SUVbsa":
        doubt = "SUVbsa of the PET DICOM extension is a tenth of what its unit says: check SUVmax, or load SUVbw."
        doubts = (*conversion.doubts, doubt)
        return replace(conversion, factor=EXTENSION_BSA * conversion.factor, rule=said, doubts=doubts)
    return replace(conversion, rule=said)


def _without_body(kind: str) -> Conversion:
    said = f"The PET is in {kind} and its DICOM header does not give weight, height and sex: load it in SUVbw or Bq/mL."
    return Conversion(PET_UNKNOWN, None, said)


def fair_sample(array: np.ndarray) -> np.ndarray:
    """Every n-th voxel along each axis, at most about SAMPLE_VOXELS of them: enough to tell Bq/mL from SUV."""
    step = _step(array)
    return np.asarray(array[::step, ::step, ::step], dtype=np.float64)


def _step(array: np.ndarray) -> int:
    return max(1, int(np.ceil((array.size / SAMPLE_VOXELS) ** (1 / 3))))


def _typed(typed: Mapping[str, float | None]) -> Typed:
    known = {field.name for field in fields(Typed)}
    return Typed(**{name: value for name, value in typed.items() if name in known and value is not None})


def _by_header(header: PetHeader, typed: Typed) -> Conversion:
    values = header.values
    if "PhilipsSUVScaleFactor" in values and "PhilipsActivityScaleFactor" not in values:
        return convert(values)  # nothing that could be typed changes it
    uncorrected = str(values.get("DecayCorrection") or "").upper() == "NONE"
    try:
        frames = header.frames() if uncorrected else ()  # each slice has its own decay, with a typed time too
    except MMPLError as problem:
        said = f"The PET is not corrected for decay (DecayCorrection NONE) and cannot be made SUV: {problem}"
        raise SuvError(said) from problem
    conversion = convert(values, frames, typed)
    lacks_body = conversion.missing and conversion.units == PET_UNKNOWN
    return _without_body(f"SUV by {values.get('SUVType') or 'body surface'}") if lacks_body else conversion


def _is_of_activity(conversion: Conversion, header: PetHeader | None) -> bool:
    """Whether weight, dose and time convert it, or would."""
    units = "" if header is None else str(header.values.get("Units") or "").upper()
    return units == "BQML" or conversion.units == PET_BQML or "injected_mbq" in conversion.values


def _what_it_is(kind: str, code: str, header: PetHeader | None, kept: Conversion | None, reason: str | None) -> str:
    """The PET as it is, for the beginning of a sentence."""
    if kind == PET_SUV:
        return f"The PET is said to be in SUV, which its values cannot be ({reason})"
    if kind:
        return f"The PET is in {kind}"
    if header is None and kept is not None:
        return "The PET's DICOM header was read when this case was made"
    units = code if header is None else str(header.values.get("Units") or "").upper()
    if units in BQML_CODES:
        return "The PET is in Bq/mL"
    if units in COUNTS_CODES:
        return "The PET is in counts"
    if units in OTHER_SUV_CODES:
        return "The PET is in SUV, but not by body weight"
    return f"The PET is not in SUV ({f'units {units}' if units else reason})"


def _report(conversion: Conversion, what: str, array: np.ndarray, *, asks: bool, raw_reason: str | None) -> InputReport:
    notes = [Line(NOTE, doubt) for doubt in conversion.doubts]
    found = {"conversion": conversion, "suv_found": conversion.from_header, "asks_for_suv": asks}
    if conversion.units == PET_BQML:
        text = f"{what}: type {joined(conversion.missing)} to convert it, or {WITHOUT}."
        return InputReport((Line(NOTE, text), *notes), pet_units=PET_UNKNOWN, **found)
    if conversion.units != PET_SUV:
        if conversion.rule not in conversion.doubts:
            notes.append(Line(NOTE, sentence(conversion.rule)))
        text = f"The PET cannot be converted to SUV: {WITHOUT}."
        return InputReport((*notes, Line(NOTE, text)), pet_units=PET_UNKNOWN, **found)
    reason = why_not_suv(_converted(array, conversion), units_stated=True)
    how = f"with {_values_text(conversion)}. Rule: {conversion.rule}."
    if reason is not None:
        hint = "its values may be SUV already" if raw_reason is None else "check weight, activity and times"
        text = f"{what}: converted to SUV {how} But the result is no SUV ({reason}): {hint}; until then {WITHOUT}."
        return InputReport((Line(NOTE, text), *notes), pet_units=PET_UNKNOWN, **found)
    if conversion.rule.startswith("already"):
        return InputReport((Line(GOOD, "The PET is in body-weight SUV, as its units say"), *notes), **found)
    return InputReport((Line(GOOD, f"{what}: converted to SUV {how}"), *notes), **found)


def _converted(array: np.ndarray, conversion: Conversion) -> np.ndarray:
    """A fair sample of the PET in SUV.

    Raises
    ------
    SuvError
        If there is one factor a slice, and another number of slices.
    """
    factor = np.asarray(conversion.factor, dtype=float)
    if factor.ndim and len(factor) != len(array):
        raise SuvError(f"{len(factor)} SUV factors for {len(array)} slices: load the PET again")
    return fair_sample(array) * (factor[:: _step(array), None, None] if factor.ndim else factor)


def _values_text(conversion: Conversion) -> str:
    """The values used, for people."""
    values = conversion.values
    if "injected_mbq" in values:
        decay = f"{values['decay_min']:g}"
        if "decay_max_min" in values:
            decay = f"{values['decay_min']:.1f} to {values['decay_max_min']:.1f}"
        return (
            f"{values['weight_kg']:g} kg, {values['injected_mbq']:g} MBq, {decay} min of decay "
            f"(half-life {values['half_life_s'] / 60:.2f} min)"
        )
    if "philips_suv_factor" in values:
        return f"the factor {values['philips_suv_factor']:g}"
    sex = conversion.sources.get("sex", "").split(",")[0]
    parts = [f"{values[name]:g} {unit}" for name, unit in (("weight_kg", "kg"), ("height_cm", "cm")) if name in values]
    return ", ".join([*parts, sex] if sex else parts) or "the factor 1"
