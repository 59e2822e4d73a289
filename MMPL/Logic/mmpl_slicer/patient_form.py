"""The clinical form: which fields a bundle asks for, what is in force, and what differs from the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmpl.clinical.fields import FIELDS, HPV_STATUS, PRIMARY_SITE, ContinuousField, parse_record
from mmpl.clinical.tumour import known_hpv, primary_site
from mmpl.errors import ClinicalError
from mmpl_slicer.panel_state import FieldState, PatientState

UNKNOWN_OPTION = (None, "Unknown")
SITE_OPTIONS = (UNKNOWN_OPTION, ("oropharynx", "Oropharynx"), ("other", "Other site"))
HPV_OPTIONS = (UNKNOWN_OPTION, ("positive", "Positive"), ("negative", "Negative"))
EXTRA = {PRIMARY_SITE: ("Primary site", SITE_OPTIONS), HPV_STATUS: ("Known p16/HPV", HPV_OPTIONS)}


def patient_state(
    case_id: str, names, record: Mapping[str, object], tried: Mapping[str, object], hpv_as_known: bool
) -> PatientState:
    """The form of a bundle's clinical fields, site and known HPV first.

    Parameters
    ----------
    names : the bundle's field names
    record : as it was given
    tried : values in force instead
    """
    original = normal_values(record)
    values = normal_values({**record, **tried})
    fields = _form(names, values, original)
    return PatientState(
        case_id=case_id,
        fields=tuple(fields),
        tried=_tried(fields, original),
        known_hpv=values[HPV_STATUS],
        hpv_as_known=hpv_as_known and values[HPV_STATUS] is not None,
    )


def tried_text(record: Mapping[str, object], tried: Mapping[str, object]) -> str:
    """What is tried, and what the record says instead, whichever fields a bundle asks for; "" for nothing."""
    original = normal_values(record)
    return _tried(_form(FIELDS, normal_values({**record, **tried}), original), original)


def normal_values(record: Mapping[str, object]) -> dict[str, object]:
    """Field name -> value as the form holds it, None for Unknown; site and HPV status included.

    Raises
    ------
    ClinicalError
        If the record holds an unknown field or an impossible value.
    """
    values, _ = parse_record(record)
    return {**values, PRIMARY_SITE: primary_site(record), HPV_STATUS: known_hpv(record)}


def checked_value(name: str, value: object) -> object:
    """A value for a field, as the record keeps it.

    Raises
    ------
    ClinicalError
        If there is no such field or it cannot have this value.
    """
    if name not in FIELDS and name not in EXTRA:
        raise ClinicalError(f"{name!r} is not a field of the form: choose one of {', '.join((*EXTRA, *FIELDS))}")
    return normal_values({name: value})[name]


def without_unusable(record: Mapping[str, object]) -> tuple[dict, list[str]]:
    """A record's usable part, and the names of the fields that are unknown here or hold an impossible value."""
    usable, dropped = {}, []
    for name, value in record.items():
        try:
            usable[name] = checked_value(name, value)
        except ClinicalError:
            dropped.append(name)
    return usable, dropped


def _form(names: Iterable[str], values: Mapping, original: Mapping) -> list[FieldState]:
    fields = [_extra_field(name, values, original) for name in EXTRA]
    return fields + [_field(name, values, original) for name in names if name in FIELDS]


def _tried(fields: Iterable[FieldState], original: Mapping) -> str:
    changed = (f for f in fields if f.changed)
    return "; ".join(f"{f.label} {_shown(f, f.value)} (on record: {_shown(f, original[f.name])})" for f in changed)


def _field(name: str, values: Mapping, original: Mapping) -> FieldState:
    field = FIELDS[name]
    changed = values[name] != original[name]
    if isinstance(field, ContinuousField):
        return FieldState(name, field.label, field.unit, (), values[name], field.low, field.high, changed)
    options = (UNKNOWN_OPTION, *((code, f"{meaning}") for code, meaning in field.levels.items()))
    return FieldState(name, field.label, "", options, values[name], changed=changed)


def _extra_field(name: str, values: Mapping, original: Mapping) -> FieldState:
    label, options = EXTRA[name]
    return FieldState(name, label, "", options, values[name], changed=values[name] != original[name])


def _shown(field: FieldState, value: object) -> str:
    if value is None:
        return "Unknown"
    named = dict(field.options)
    return str(named[value]) if named else f"{value:g} {field.unit}".strip()
