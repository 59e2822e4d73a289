"""What an evaluation found, as plain data that becomes text, JSON and a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmpl.results import RESEARCH_USE, json_ready

FORMAT_VERSION = "1.0"
NOT_GIVEN = "not given"


@dataclass(frozen=True)
class Figure:
    """One measure.

    Attributes
    ----------
    value : float, or None with a ``reason``
    low, high : 95 % interval, or None
    n_undefined : bootstrap resamples in which the measure was undefined, left out of the interval
    reason : why there is no value
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n_undefined: int = 0
    reason: str | None = None

    @classmethod
    def not_given(cls, reason: str) -> Figure:
        return cls(None, reason=reason)

    @property
    def text(self) -> str:
        """ "0.812 (0.702 to 0.901)", three decimals; "not given" without a value."""
        return self.value_text + (f" ({self.low:.3f} to {self.high:.3f})" if self.low is not None else "")

    @property
    def value_text(self) -> str:
        """The value alone; a p-value, and whatever else is too small for three decimals, is "below 0.001"."""
        if self.value is None:
            return NOT_GIVEN
        return "below 0.001" if 0 < self.value < 0.0005 else f"{self.value:.3f}"


@dataclass(frozen=True)
class Measure:
    """A figure of the whole cohort, named for programs (``key``) and people (``label``)."""

    key: str
    label: str
    figure: Figure


@dataclass(frozen=True)
class FigureTable:
    """Rows of numbers, text and figures; a cell that is None has nothing to say.

    Attributes
    ----------
    key, title : for programs and for people
    columns : cell name to heading, in order
    rows : cell name to value
    note : a sentence below it
    """

    key: str
    title: str
    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, object]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """An svg element with its title and a sentence below it."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Everything that one evaluation says.

    Attributes
    ----------
    task, title : "hpv", "HPV status"
    counts : what was counted to whom, in words: "patients scored": 58
    settings : how it was done: threshold, matching rule, seed, ...
    measures : the cohort's figures, the most important first
    tables, charts : in order
    notes : sentences that a reader must know
    patients : a row a patient, all with the same names
    """

    task: str
    title: str
    counts: Mapping[str, object]
    settings: Mapping[str, object]
    measures: Sequence[Measure]
    tables: Sequence[FigureTable]
    charts: Sequence[Chart]
    patients: Sequence[Mapping[str, object]]
    notes: Sequence[str] = field(default=())

    def as_dict(self) -> dict:
        """JSON-ready; NaN becomes null."""
        return json_ready(
            {
                "format_version": FORMAT_VERSION,
                "notice": RESEARCH_USE,
                "task": self.task,
                "counts": dict(self.counts),
                "settings": dict(self.settings),
                "measures": {m.key: dataclasses.asdict(m.figure) for m in self.measures},
                "tables": {t.key: [_plain(row) for row in t.rows] for t in self.tables},
                "notes": list(self.notes),
                "patients": [dict(row) for row in self.patients],
            }
        )


def _plain(row: Mapping[str, object]) -> dict:
    return {k: dataclasses.asdict(v) if isinstance(v, Figure) else v for k, v in row.items()}


def cell_text(value: object) -> str:
    """A cell of a table as people read it: counts whole, shares with three decimals."""
    if isinstance(value, Figure):
        return value.text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def reasons(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """The different reasons why figures in the rows are not given, in order."""
    found = (v.reason for row in rows for v in row.values() if isinstance(v, Figure))
    return list(dict.fromkeys(reason for reason in found if reason))
