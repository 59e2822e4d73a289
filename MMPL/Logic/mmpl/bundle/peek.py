"""What a bundle says of itself, before the libraries that run it are installed.

Only the standard library and numpy are needed. Types are checked, content is not: whoever runs the bundle opens it
with ``mmpl.bundle.reader``, which verifies the schema and every checksum.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmpl.bundle.parts import (
    CohortSurvival,
    Thresholds,
    check_cohort_survival,
    check_format_version,
    check_risk_tertiles,
)
from mmpl.bundle.store import BUNDLE_JSON, bundle_sha256, open_store, read_bundle_json
from mmpl.errors import BundleError

THRESHOLD_NAMES = ("GTVp", "GTVn", "hpv")


@dataclass(frozen=True)
class BundleCard:
    """What a front end shows of a bundle; unverified.

    Attributes
    ----------
    sha256 : as ``Bundle`` has it: names what the bundle says and, unless a file is damaged, its whole content
    members : number of models
    radiomics : the feature set, as ``FeatureSet.from_dict`` reads it
    others : as in ``BundleInfo``
    """

    name: str
    version: str
    sha256: str
    created: str
    description: str
    training_data: str
    phantom: bool
    intended_use: str
    limitations: tuple[str, ...]
    licence: str
    clinical: tuple[str, ...]
    thresholds: Thresholds
    risk_tertiles: tuple[float, float]
    time_zero: str
    rfs_last_day: float
    members: int
    radiomics: Mapping[str, object]
    scores: Mapping[str, object]
    cohort_survival: CohortSurvival | None


def peek(path: str | Path) -> BundleCard:
    """Read what a bundle says of itself; its other files are neither read nor verified.

    Parameters
    ----------
    path : a bundle's folder, or a zip of it (with or without one enclosing folder)

    Raises
    ------
    BundleError
        If it is missing, unreadable or no bundle, or if what it says has another form than a bundle's.
    """
    path = Path(path)
    try:
        # a folder that is something else may be anyone's home: it is not searched
        if path.is_dir() and not (path / BUNDLE_JSON).is_file():
            raise BundleError(f"bundle {path} has no {BUNDLE_JSON}: it is not an MMPL bundle")
        raw = read_bundle_json(open_store(path), str(path))
    except OSError as error:
        raise BundleError(f"bundle {path} cannot be read ({error.strerror or error}): get it again") from error
    if not isinstance(raw, dict):
        raise BundleError(f"bundle {path}: {BUNDLE_JSON} holds no object: it is not an MMPL bundle")
    check_format_version(raw, str(path))
    return _card(_Fields(raw, str(path)), bundle_sha256(raw, str(path)))


def _card(fields: _Fields, sha256: str) -> BundleCard:
    thresholds = fields.object("thresholds")
    low, high = fields.numbers("risk_tertiles", exactly=2)
    check_risk_tertiles(low, high, fields.where)
    return BundleCard(
        name=fields.text("name"),
        version=fields.text("version"),
        sha256=sha256,
        created=fields.text("created"),
        description=fields.text("description"),
        training_data=fields.text("training_data"),
        phantom=fields.truth("phantom"),
        intended_use=fields.text("intended_use"),
        limitations=fields.texts("limitations"),
        licence=fields.text("licence"),
        clinical=fields.texts("clinical"),
        thresholds=Thresholds(*(thresholds.number(name) for name in THRESHOLD_NAMES)),
        risk_tertiles=(low, high),
        time_zero=fields.text("time_zero"),
        rfs_last_day=fields.number("rfs_last_day"),
        members=len(fields.array("members")),
        radiomics=fields.object("radiomics").raw,
        scores=fields.object("scores").raw,
        cohort_survival=_cohort_survival(fields),
    )


def _cohort_survival(fields: _Fields) -> CohortSurvival | None:
    if "cohort_survival" not in fields.raw:
        return None
    part = fields.object("cohort_survival")
    curve = CohortSurvival(
        part.numbers("days"),
        part.numbers("survival"),
        part.counts("at_risk"),
        part.count("patients"),
        part.count("events"),
    )
    check_cohort_survival(curve, fields.where)
    return curve


class _Fields:
    """Values of a JSON object by name, each of the type asked for.

    Parameters
    ----------
    raw : the parsed JSON object
    where : what to call the bundle in a message
    place : what comes before a field's name in a message
    """

    def __init__(self, raw: dict, where: str, place: str = ""):
        self.raw = raw
        self.where = where
        self._place = place

    def text(self, name: str) -> str:
        return self._text(self._value(name), name)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._text(value, name) for value in self.array(name))

    def truth(self, name: str) -> bool:
        value = self._value(name)
        return self._expect(value, name, isinstance(value, bool), "true or false")

    def number(self, name: str) -> float:
        return self._number(self._value(name), name)

    def numbers(self, name: str, exactly: int | None = None) -> tuple[float, ...]:
        values = self.array(name)
        self._expect(values, name, exactly in (None, len(values)), f"{exactly} numbers")
        return tuple(self._number(value, name) for value in values)

    def count(self, name: str) -> int:
        return self._count(self._value(name), name)

    def counts(self, name: str) -> tuple[int, ...]:
        return tuple(self._count(value, name) for value in self.array(name))

    def array(self, name: str) -> list:
        value = self._value(name)
        return self._expect(value, name, isinstance(value, list), "a list")

    def object(self, name: str) -> _Fields:
        value = self._value(name)
        self._expect(value, name, isinstance(value, dict), "an object")
        return _Fields(value, self.where, f"{self._place}{name}/")

    def _value(self, name: str) -> object:
        if name not in self.raw:
            raise BundleError(
                f"bundle {self.where} lacks {self._place}{name}: it is not an MMPL bundle, or a damaged one"
            )
        return self.raw[name]

    def _text(self, value: object, name: str) -> str:
        return self._expect(value, name, isinstance(value, str) and bool(value), "text")

    def _number(self, value: object, name: str) -> float:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return self._expect(value, name, plain and abs(value) <= sys.float_info.max, "a finite number")

    def _count(self, value: object, name: str) -> int:
        plain = isinstance(value, int) and not isinstance(value, bool)
        return self._expect(value, name, plain, "a whole number")

    def _expect(self, value, name: str, holds: bool, expected: str):
        """The value, or a BundleError where it is not what was expected."""
        if not holds:
            raise BundleError(
                f"bundle {self.where}: {self._place}{name} is {_short(value)}, expected {expected}: "
                "it is not an MMPL bundle, or a damaged one"
            )
        return value


def _short(value: object, most: int = 60) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= most else text[: most - 3] + "..."
