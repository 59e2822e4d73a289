"""The clinical fields of HECKTOR 2025 and how a raw record becomes normal values.

One code path for the CSV, the JSON and the panel. What is an error and what is a notice:

* **Unknown, silently**: None, NaN, an empty text, "unknown", "n/a", "MX" and the like.
* **Unknown, with a notice** (``UNSEEN_CATEGORY``): a value of the right kind that is not among the categories
  of its field, such as Performance Status 7 or Gender "X". The prediction goes on without it.
* **ClinicalError**: a value that cannot mean anything for its field (a list, a dictionary, a truth value for
  an age, a text that is no number for an age, an infinite number, an age outside 0-120), a field that
  MMPL does not know, or one that is given twice.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmpl.errors import ClinicalError
from mmpl.notices import CLINICAL_MISSING, UNSEEN_CATEGORY, Notice

NOT_A_CATEGORY, NOT_IN_TRAINING = "is not among its categories", "did not occur in the training data"
UNKNOWN_SPELLINGS = frozenset(
    {"", "unknown", "nan", "na", "n/a", "none", "null", "-", "?", "missing", "not known", "not available"}
)


@dataclass(frozen=True)
class ContinuousField:
    """A number with a range.

    Attributes
    ----------
    name : HECKTOR column name
    label, unit : for people
    low, high : allowed range, both included
    """

    name: str
    label: str
    unit: str
    low: float
    high: float

    def parse(self, value: object) -> float | None:
        """The value as a float in range, or None.

        Raises
        ------
        ClinicalError
            If the value is no finite number in range.
        """
        number = _as_number(value)
        if number is None or isinstance(value, bool) or not math.isfinite(number):
            raise ClinicalError(f"{self.name} is {value!r}: give a number in {self.unit}, or leave it empty")
        if not self.low <= number <= self.high:
            raise ClinicalError(
                f"{self.name} is {value!r}: it must lie between {self.low:g} and {self.high:g} {self.unit}, "
                "or be left empty"
            )
        return number


@dataclass(frozen=True)
class CategoricalField:
    """One of a few integer codes.

    Attributes
    ----------
    name : HECKTOR column name
    label : for people
    levels : code to its meaning
    spellings : accepted text, in lower case, to code; the codes themselves are always accepted
    unknown : further spellings of Unknown
    unit : always empty; there so that all fields can be shown alike
    """

    name: str
    label: str
    levels: Mapping[int, str]
    spellings: Mapping[str, int] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    unit: str = ""

    def parse(self, value: object) -> int | None:
        """The code, or None for an unseen category (the caller gives the notice).

        Raises
        ------
        ClinicalError
            If the value is neither text nor a finite number, or is a truth value where none is accepted.
        """
        if isinstance(value, bool) and str(value).lower() not in self.spellings:
            raise ClinicalError(f"{self.name} is {value!r}: give {self.choices}, or leave it empty")
        if isinstance(value, str | bool) and str(value).strip().lower() in self.spellings:
            return self.spellings[str(value).strip().lower()]
        number = _as_number(value)
        if number is None:
            if isinstance(value, str):
                return None
            raise ClinicalError(f"{self.name} is {value!r}: give {self.choices}, or leave it empty")
        if not math.isfinite(number):
            raise ClinicalError(f"{self.name} is {value!r}: give {self.choices}, or leave it empty")
        return int(number) if number in self.levels else None

    @property
    def choices(self) -> str:
        """The categories as one phrase."""
        return " or ".join(f"{code} ({meaning})" for code, meaning in self.levels.items())


_YES_NO = {"yes": 1, "no": 0, "y": 1, "n": 0, "true": 1, "false": 0}

AGE = ContinuousField("Age", "Age", "years", 0.0, 120.0)
GENDER = CategoricalField(
    "Gender",
    "Gender",
    {0: "female", 1: "male"},
    {"f": 0, "female": 0, "woman": 0, "w": 0, "m": 1, "male": 1, "man": 1},
)
TOBACCO = CategoricalField("Tobacco Consumption", "Tobacco", {0: "no", 1: "yes"}, _YES_NO)
ALCOHOL = CategoricalField("Alcohol Consumption", "Alcohol", {0: "no", 1: "yes"}, _YES_NO)
PERFORMANCE = CategoricalField(
    "Performance Status",
    "Performance status (ECOG/Zubrod)",
    {
        0: "fully active",
        1: "restricted",
        2: "ambulatory, unable to work",
        3: "limited self-care",
        4: "disabled",
    },
)
TREATMENT = CategoricalField(
    "Treatment",
    "Treatment",
    {0: "radiotherapy only", 1: "chemoradiotherapy"},
    {
        **_YES_NO,
        "rt": 0,
        "radiotherapy": 0,
        "radiotherapy only": 0,
        "crt": 1,
        "chemoradiotherapy": 1,
        "chemoradiation": 1,
        "radiochemotherapy": 1,
    },
)
M_STAGE = CategoricalField(
    "M-stage",
    "M stage",
    {0: "M0", 1: "M1"},
    {"m0": 0, "cm0": 0, "pm0": 0, "m1": 1, "cm1": 1, "pm1": 1},
    frozenset({"mx", "x"}),
)

Field = ContinuousField | CategoricalField
FIELDS: dict[str, Field] = {f.name: f for f in (AGE, GENDER, TOBACCO, ALCOHOL, PERFORMANCE, TREATMENT, M_STAGE)}

PRIMARY_SITE = "Primary Site"
HPV_STATUS = "HPV Status"
NOT_FEATURES = (
    "PatientID",
    "CenterID",
    "Relapse",
    "RFS",
    HPV_STATUS,
    PRIMARY_SITE,
    "Task 1",
    "Task 2",
    "Task 3",
)


def parse_record(raw: Mapping[str, object]) -> tuple[dict[str, object | None], tuple[Notice, ...]]:
    """Normalise a raw clinical record from a CSV row, a JSON object or the panel.

    Field names are matched without regard to case, spaces, underscores and hyphens.

    Parameters
    ----------
    raw : field name to raw value; absent fields are Unknown

    Returns
    -------
    record : every name in ``FIELDS`` to its value: float (continuous), int code (categorical) or None
        (Unknown)
    notices : one ``UNSEEN_CATEGORY`` for each value that is not among its field's categories

    Raises
    ------
    ClinicalError
        If a field is unknown to MMPL, is given twice, or has a value that cannot mean anything (see above).
    """
    values = by_known_name(raw)
    record: dict[str, object | None] = {}
    notices: list[Notice] = []
    for name, clinical_field in FIELDS.items():
        value = values.get(name)
        record[name] = None
        if is_unknown(value, getattr(clinical_field, "unknown", frozenset())):
            continue
        record[name] = clinical_field.parse(value)
        if record[name] is None:
            notices.append(
                Notice(
                    UNSEEN_CATEGORY,
                    f"{name} {value!r} {NOT_A_CATEGORY} ({clinical_field.choices}); it is taken as Unknown",
                )
            )
    return record, tuple(notices)


def without_value(text: str) -> str:
    """The text of an ``UNSEEN_CATEGORY`` notice without the value that it quotes, which may be any text of a record."""
    for name in FIELDS:
        for what in (NOT_A_CATEGORY, NOT_IN_TRAINING):
            if text.startswith(name) and what in text:
                return f"{name}: the value {what}{text.rpartition(what)[2]}"
    return "A clinical value is taken as Unknown"


def missing_notice(record: Mapping[str, object | None]) -> tuple[Notice, ...]:
    """One ``CLINICAL_MISSING`` notice that names the Unknown fields of a normalised record, or nothing."""
    missing = [name for name in FIELDS if record.get(name) is None]
    if not missing:
        return ()
    taken = ["the training cohort's median stands in for the age"] if AGE.name in missing else []
    taken += ["the models know an unknown value as such"] if set(missing) - {AGE.name} else []
    return (Notice(CLINICAL_MISSING, f"Unknown: {', '.join(missing)}; {', and '.join(taken)}"),)


def _squeeze(name: object) -> str:
    return "".join(c for c in str(name).lower() if c not in " _-")


_CANONICAL = {_squeeze(name): name for name in (*FIELDS, *NOT_FEATURES)}


def canonical_name(key: object) -> str | None:
    """MMPL's own name of a field, whatever its case, spaces, underscores and hyphens; None for none of them."""
    return _CANONICAL.get(_squeeze(key))


def by_known_name(raw: Mapping[str, object]) -> dict[str, object]:
    """The values of a raw record under MMPL's own names of its fields.

    Raises
    ------
    ClinicalError
        If a field is unknown to MMPL or is given twice.
    """
    values: dict[str, object] = {}
    for key, value in raw.items():
        name = canonical_name(key)
        if name is None:
            raise ClinicalError(
                f"clinical record: {key!r} is not a field MMPL knows; the fields are {', '.join(FIELDS)}, "
                f"and {', '.join(NOT_FEATURES)} are read but are no features"
            )
        if name in values:
            raise ClinicalError(f"clinical record: {name} is given twice (once as {key!r}); keep one")
        values[name] = value
    return values


def is_unknown(value: object, further: frozenset[str] = frozenset()) -> bool:
    """Whether a raw value is None, NaN, an empty text, "unknown" and the like, or one of ``further``."""
    if value is None:
        return True
    if isinstance(value, str):
        text = value.strip().lower()
        return text in UNKNOWN_SPELLINGS or text in further
    return isinstance(value, numbers.Real) and bool(value != value)  # NaN; a huge whole number has no float


def _as_number(value: object) -> float | None:
    """The number a real number or a text stands for; None when it stands for none."""
    if not isinstance(value, numbers.Real | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):  # a whole number of hundreds of digits
        return None
