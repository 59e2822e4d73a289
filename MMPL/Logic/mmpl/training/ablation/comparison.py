"""Two ways judged on the same patients: each with its interval, and the difference with its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmpl.metrics.bootstrap import percentile_interval

BOOTSTRAP_SEED = 1
Measure = Callable[[np.ndarray], float]  # rows of patients, one of them more than once -> figure


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One measure of two ways.

    Attributes
    ----------
    what : the measure and where it is taken
    patients : that both were judged on, those whom the measure leaves out not counted
    plain, full : name -> figure, of the plain way and of the method's
    difference : the method's minus the plain way's, on the same resamples
    """

    what: str
    patients: int
    plain: tuple[str, Figure]
    full: tuple[str, Figure]
    difference: Figure

    @property
    def verdict(self) -> str:
        """In words; "inconclusive" where the interval of the difference holds 0."""
        if self.difference.low > 0:
            return f"{self.full[0]} is better"
        if self.difference.high < 0:
            return f"{self.plain[0]} is better"
        return "inconclusive"


def compare(
    what: str, rows: int, plain: tuple[str, Measure], full: tuple[str, Measure], *, patients: int | None = None
) -> Comparison:
    """Compare two measures, higher is better, by resampling patients.

    Parameters
    ----------
    what : the measure and where it is taken
    rows : of patients, that both measures take
    plain, full : (name, measure)
    patients : who have a figure, where the measures leave out some of the rows; None counts all
    """
    return Comparison(
        what,
        rows if patients is None else patients,
        (plain[0], figure(plain[1], rows)),
        (full[0], figure(full[1], rows)),
        figure(lambda drawn: full[1](drawn) - plain[1](drawn), rows),
    )


def figure(measure: Measure, patients: int) -> Figure:
    """A measure over all patients with its bootstrap interval; the resamples are the same for every measure."""
    interval = percentile_interval(measure, patients, np.random.default_rng(BOOTSTRAP_SEED))
    return Figure(float(measure(np.arange(patients))), interval.low, interval.high)
