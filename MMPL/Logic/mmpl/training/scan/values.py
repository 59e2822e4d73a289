"""Cells of the tables: what they mean, and which cannot be right."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mmpl.centers import tidy_centers
from mmpl.clinical.fields import AGE, FIELDS, is_unknown
from mmpl.errors import ClinicalError
from mmpl.training.folds import FOLDS
from mmpl.training.layout import CENTER_ID, HPV_STATUS, RELAPSE, RFS, TARGETS
from mmpl.training.scan.problems import Problem
from mmpl.training.scan.tables import Row

YOUNGEST_YEARS = 15  # below: no adult's cancer, more likely a slip
LONGEST_RFS_DAYS = 10_958  # thirty years
FEW_DAYS = 240  # a cohort with no longer follow-up than this has likely written months or years
COHORT = 10  # patients from which on what concerns all of them is said
CODES = {RELAPSE: "1 (relapse) or 0 (none)", HPV_STATUS: "1 (positive) or 0 (negative)"}

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*"
_DATE = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[ t].*)?|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}|"
    rf"\d{{1,4}}[-/. ]+{_MONTH}(?:[-/. ]+\d+)?|{_MONTH}[-/. ]+\d{{1,4}}",
    re.IGNORECASE,
)


def number_of(text: str | None) -> float | None:
    """A finite number, or None; problems are reported by :func:`value_problems`."""
    if is_unknown(text):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def value_problems(row: Row) -> list[Problem]:
    """What is wrong with the cells of one row."""
    problems = []
    for column, text in row.values.items():
        if is_unknown(text):
            continue
        found = _spreadsheet_slip(column, text)
        if found is None and column in CODES:
            found = _code(column, text)
        elif found is None and column == RFS:
            found = _days(text)
        elif found is None and column in FIELDS:
            found = _clinical(column, text)
        if found is not None:
            code, what, remedy = found
            problems.append(Problem(code, row.patient_id, row.where, what, remedy))
    return problems


def _spreadsheet_slip(column: str, text: str) -> tuple[str, str, str] | None:
    """Every column that is read holds numbers, or words that look like neither of these."""
    if column not in FIELDS and column not in TARGETS:
        return None
    if _DECIMAL_COMMA.fullmatch(text) or _THOUSANDS.fullmatch(text):
        return "VALUE_DECIMAL_COMMA", f"{column} is '{text}', expected a number", f"write {_readings(text)}"
    if _DATE.fullmatch(text):
        return (
            "VALUE_DATE",
            f"{column} is '{text}', a date, expected a number",
            "a spreadsheet may have changed it: format the column as text and enter it again",
        )
    return None


def _readings(text: str) -> str:
    """Without its commas; one before three digits may part thousands or decimals, several part thousands only."""
    whole, decimal = text.replace(",", ""), text.replace(",", ".")
    if not _THOUSANDS.fullmatch(text):
        return decimal
    return f"{whole} or {decimal}, whichever it is" if text.count(",") == 1 else whole


def _code(column: str, text: str) -> tuple[str, str, str] | None:
    if number_of(text) in (0, 1):
        return None
    return "VALUE_IMPOSSIBLE", f"{column} is '{text}', expected 0 or 1", f"write {CODES[column]}, or leave it empty"


def _days(text: str) -> tuple[str, str, str] | None:
    value = number_of(text)
    if value is None or value < 0:
        what = f"{RFS} is '{text}', expected a number of days, 0 or more"
        return "VALUE_IMPOSSIBLE", what, "correct it, or leave it empty"
    if value > LONGEST_RFS_DAYS:
        what = f"{RFS} is {text} days, which is {value / 365.25:.0f} years"
        return "VALUE_IMPOSSIBLE", what, "write days, or leave it empty"
    return None


def _clinical(column: str, text: str) -> tuple[str, str, str] | None:
    if _says_unknown(column, text):
        return None
    field = FIELDS[column]
    try:
        value = field.parse(text)
    except ClinicalError as error:
        what, _, remedy = str(error).partition(": ")
        return "VALUE_IMPOSSIBLE", what, remedy or "correct it, or leave it empty"
    if value is None:
        return "VALUE_UNSEEN", f"{column} is '{text}', which is taken as Unknown", f"write {field.choices}"
    if field is AGE and value < YOUNGEST_YEARS:
        return "VALUE_UNLIKELY", f"{column} is {text} years", "check it; it is used as it is"
    return None


def _says_unknown(column: str, text: str) -> bool:
    """Whether it is one of the field's own words for Unknown, such as MX of the M stage."""
    return text.strip().lower() in getattr(FIELDS.get(column), "unknown", ())


def merged(rows: Sequence[Row]) -> tuple[dict[str, str], list[Problem]]:
    """One patient's values from all tables, the last table's where they differ; a value wins over Unknown."""
    known: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        for column, text in row.values.items():
            if not (is_unknown(text) or _says_unknown(column, text)):
                known[column].append((text, row.where))
    problems = [
        _conflict(rows[0].patient_id, column, found[-1], other)
        for column, found in known.items()
        if (other := next((pair for pair in found if not _same(column, pair[0], found[-1][0])), None)) is not None
    ]
    return {column: found[-1][0] for column, found in known.items()}, problems


def _conflict(patient_id: str, column: str, last: tuple[str, str], other: tuple[str, str]) -> Problem:
    text = f"{column} is '{last[0]}' here, and '{other[0]}' in {other[1]}"
    if column in TARGETS:
        return Problem("TARGETS_CONFLICT", patient_id, last[1], text, "correct one of them")
    return Problem("VALUES_CONFLICT", patient_id, last[1], text, f"correct one of them; '{last[0]}' is used")


def _same(column: str, first: str, second: str) -> bool:
    """Whether two texts mean the same: "M0" and "0" do."""
    a, b = number_of(first), number_of(second)
    if a is not None and b is not None:
        return a == b
    meant = _meant(column, first)
    return first.casefold() == second.casefold() or (meant is not None and meant == _meant(column, second))


def _meant(column: str, text: str) -> float | int | None:
    """The value of a clinical field; None of another column, and of a text that means nothing there."""
    try:
        return FIELDS[column].parse(text) if column in FIELDS else None
    except ClinicalError:
        return None


def cohort_problems(records: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """What only all of a patient's tables, or all patients, together show."""
    return [*_half_follow_up(records), *_not_days(records), *_no_centre_split(records)]


def _half_follow_up(records: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    halves = []
    for patient_id, record in records.items():
        given = [column for column in (RELAPSE, RFS) if column in record]
        if len(given) == 1:
            other = RFS if given == [RELAPSE] else RELAPSE
            text = f"{given[0]} without {other}: the patient is left out of RFS"
            halves.append(Problem("FOLLOW_UP_HALF", patient_id, "all tables", text, f"fill in {other}"))
    return halves


def _not_days(records: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    days = [d for record in records.values() if (d := number_of(record.get(RFS))) is not None]
    if len(days) < COHORT or not 0 < max(days) < FEW_DAYS:
        return []
    text = f"the longest {RFS} of {len(days)} patients is {max(days):g}, as if it were in months or years"
    return [Problem("RFS_NOT_DAYS", "", "all tables", text, "training takes it as days: convert it")]


def _no_centre_split(records: Mapping[str, Mapping[str, str]]) -> list[Problem]:
    """A cohort of one hospital trains well by the patient split; the default settings want the centre split, too."""
    if len(records) < COHORT:
        return []
    centers = tidy_centers({patient_id: record.get(CENTER_ID) for patient_id, record in records.items()})
    unknown, known = sum(not c for c in centers.values()), {c for c in centers.values() if c}
    if unknown:
        text = f"{unknown} of {len(records)} patients have no {CENTER_ID}, which the centre split needs"
    elif len(known) < FOLDS:
        counted = f"{len(known)} centre{'' if len(known) == 1 else 's'}"
        text = f"{counted}: the centre split needs one for each of {FOLDS} folds"
    else:
        return []
    return [Problem("NO_CENTRE_SPLIT", "", "all tables", text, "set 'splits: [patient]' in the training settings")]
