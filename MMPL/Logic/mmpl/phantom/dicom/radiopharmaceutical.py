"""What was injected, when and how much, as DICOM has it."""

from __future__ import annotations

from datetime import timedelta

from pydicom.dataset import Dataset

from mmpl.phantom.dicom.activity import decimal_text
from mmpl.phantom.dicom.headers import code_item, datetime_text, time_text
from mmpl.phantom.dicom.variant import PetVariant


def agent_item(variant: PetVariant) -> Dataset:
    """Item of the Radiopharmaceutical Information Sequence of a PET Image: dose in Bq (PS3.3 C.8.9.2)."""
    item = _codes(variant)
    item.Radiopharmaceutical = variant.radionuclide.tracer
    if variant.injection in ("time", "both"):
        item.RadiopharmaceuticalStartTime = time_text(variant.injected_at)
    if variant.injection in ("datetime", "both"):
        item.RadiopharmaceuticalStartDateTime = injection_text(variant)
    item.RadionuclideTotalDose = decimal_text(variant.dose_bq / 1e6 if variant.dose_in_mbq else variant.dose_bq)
    item.RadionuclideHalfLife = decimal_text(variant.radionuclide.half_life_s)
    return item


def enhanced_agent_item(variant: PetVariant) -> Dataset:
    """The same of an Enhanced PET Image: dose in MBq, other than in a PET Image (PS3.3 C.8.22.4)."""
    item = _codes(variant)
    item.RadiopharmaceuticalAgentNumber = 1
    item.RadiopharmaceuticalStartDateTime = injection_text(variant)
    item.RadionuclideTotalDose = decimal_text(variant.dose_bq / 1e6)
    item.RadionuclideHalfLife = decimal_text(variant.radionuclide.half_life_s)
    item.AdministrationRouteCodeSequence = [code_item("47625008", "SCT", "Intravenous route")]
    return item


def injection_text(variant: PetVariant) -> str:
    """Start DateTime: as the other times, or in a time zone of its own with its suffix."""
    if variant.injection_timezone is None:
        return datetime_text(variant.injected_at)
    elsewhere = variant.injected_at + _offset(variant.injection_timezone) - _offset(variant.timezone)
    return datetime_text(elsewhere) + variant.injection_timezone


def _offset(text: str) -> timedelta:
    minutes = 60 * int(text[1:3]) + int(text[3:])
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)


def _codes(variant: PetVariant) -> Dataset:
    nuclide = variant.radionuclide
    item = Dataset()
    item.RadionuclidePositronFraction = decimal_text(nuclide.positron_fraction)
    item.RadionuclideCodeSequence = [
        code_item(nuclide.codes[variant.code_scheme], variant.code_scheme, nuclide.meaning)
    ]
    item.RadiopharmaceuticalCodeSequence = [code_item(nuclide.tracer_code, "SCT", nuclide.tracer_meaning)]
    return item
