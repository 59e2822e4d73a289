"""Clinical values to numbers, with everything that was fitted on the training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.clinical.fields import FIELDS, NOT_IN_TRAINING, CategoricalField, ContinuousField
from mmpl.errors import BundleError
from mmpl.notices import UNSEEN_CATEGORY, Notice

UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Scaling:
    """Fitted figures of one continuous field: the median imputes, mean and sd standardise."""

    median: float
    mean: float
    sd: float


@dataclass(frozen=True)
class ClinicalEncoder:
    """One-hot columns with an explicit Unknown, z-scored continuous columns.

    Attributes
    ----------
    scalings : continuous field name to its Scaling; a field with no known training value has no entry
        and no column
    levels : categorical field name to the codes seen in training, rising
    """

    scalings: Mapping[str, Scaling]
    levels: Mapping[str, tuple[int, ...]]

    @classmethod
    def fit(cls, records: Sequence[Mapping[str, object | None]]) -> ClinicalEncoder:
        """Fit on the normalised records (see ``parse_record``) of the training rows.

        The mean and sd are those after imputing the median. An sd of zero is stored as 1.
        """
        scalings, levels = {}, {}
        for name, clinical_field in FIELDS.items():
            known = [r[name] for r in records if r.get(name) is not None]
            if isinstance(clinical_field, CategoricalField):
                levels[name] = tuple(sorted({int(v) for v in known}))
            elif known:
                scalings[name] = _fit_scaling(known, len(records))
        return cls(scalings, levels)

    @property
    def columns(self) -> tuple[str, ...]:
        """All column names, in the order of ``FIELDS``."""
        return tuple(c for name in FIELDS for c in self.columns_of(name))

    def columns_of(self, field: str) -> tuple[str, ...]:
        """The columns that one field becomes: "Age", or "Gender=0", "Gender=1", "Gender=Unknown"."""
        if field in self.levels:
            return tuple(f"{field}={level}" for level in (*self.levels[field], UNKNOWN))
        return (field,) if field in self.scalings else ()

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """Field name to its columns, for the fields that have any."""
        return {name: self.columns_of(name) for name in FIELDS if self.columns_of(name)}

    def encode(self, record: Mapping[str, object | None]) -> dict[str, float]:
        """Columns of one normalised record.

        A category that the training rows did not have goes to Unknown; ``unseen`` tells of it.
        """
        row: dict[str, float] = {}
        for name in FIELDS:
            value = record.get(name)
            if name in self.levels:
                level = value if value in self.levels[name] else UNKNOWN
                row.update({c: float(c == f"{name}={level}") for c in self.columns_of(name)})
            elif name in self.scalings:
                s = self.scalings[name]
                row[name] = ((s.median if value is None else float(value)) - s.mean) / s.sd
        return row

    def unseen(self, record: Mapping[str, object | None]) -> tuple[Notice, ...]:
        """A notice for each category of a record that the training rows did not have."""
        return tuple(
            Notice(
                UNSEEN_CATEGORY,
                f"{name} {record[name]} {NOT_IN_TRAINING}; it is taken as Unknown",
            )
            for name, levels in self.levels.items()
            if record.get(name) is not None and record[name] not in levels
        )

    def to_dict(self) -> dict:
        """JSON-ready; ``from_dict`` reads it back."""
        return {
            "continuous": {n: {"median": s.median, "mean": s.mean, "sd": s.sd} for n, s in self.scalings.items()},
            "categorical": {n: list(levels) for n, levels in self.levels.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> ClinicalEncoder:
        """Read what ``to_dict`` wrote.

        Raises
        ------
        BundleError
            If a field is unknown or of the wrong kind, or a figure is missing, not finite or impossible.
        """
        try:
            scalings = {
                n: Scaling(float(s["median"]), float(s["mean"]), float(s["sd"])) for n, s in data["continuous"].items()
            }
            levels = {n: tuple(int(v) for v in values) for n, values in data["categorical"].items()}
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise BundleError(
                f"clinical encoder: {error!r} while reading it; the bundle is damaged, get it again"
            ) from error
        _check_kinds(scalings, levels)
        return cls(scalings, levels)


def _fit_scaling(known: Sequence[float], n_rows: int) -> Scaling:
    values = np.asarray(known, dtype=float)
    median = float(np.median(values))
    imputed = np.concatenate([values, np.full(n_rows - len(values), median)])
    sd = float(imputed.std())
    return Scaling(median, float(imputed.mean()), sd if sd > 1e-12 else 1.0)


def _check_kinds(scalings: Mapping[str, Scaling], levels: Mapping[str, tuple[int, ...]]) -> None:
    for name, s in scalings.items():
        if not isinstance(FIELDS.get(name), ContinuousField):
            raise BundleError(f"clinical encoder: {name!r} is not a continuous field of this version of MMPL")
        if not all(math.isfinite(v) for v in (s.median, s.mean, s.sd)) or s.sd <= 0:
            raise BundleError(f"clinical encoder: {name} has impossible figures {s}; get the bundle again")
    categorical = {n for n, f in FIELDS.items() if isinstance(f, CategoricalField)}
    if set(levels) != categorical:
        raise BundleError(
            f"clinical encoder: categorical fields {sorted(levels)} where this version of MMPL has "
            f"{sorted(categorical)}; train the bundle again"
        )
    for name, codes in levels.items():
        if not set(codes) <= set(FIELDS[name].levels):
            raise BundleError(f"clinical encoder: {name} has levels {codes} outside {FIELDS[name].choices}")
