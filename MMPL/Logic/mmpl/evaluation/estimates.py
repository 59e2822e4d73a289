"""Measures with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError
from mmpl.evaluation.findings import Figure
from mmpl.metrics.bootstrap import Interval, percentile_interval

FEW_PATIENTS = 10  # below, an interval says more than the data do
LEVEL = 0.95


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes
    ----------
    seed : 0 or more; the same seed gives the same intervals
    n_resamples : at least 1
    """

    seed: int = 0
    n_resamples: int = 2000

    def __post_init__(self):
        if self.seed < 0 or self.n_resamples < 1:
            raise InputError(
                f"bootstrap with seed {self.seed} and {self.n_resamples} resamples: the seed must be 0 or more, "
                "the resamples at least 1"
            )

    def settings(self) -> dict[str, object]:
        """For the record of an evaluation."""
        return {
            "interval": "95 %, percentile bootstrap over patients",
            "bootstrap_seed": self.seed,
            "bootstrap_resamples": self.n_resamples,
        }


Statistic = Callable[[np.ndarray], Sequence[float]]


def estimate(
    names: Sequence[str], statistic: Statistic, n_patients: int, bootstrap: Bootstrap, reason: Mapping[str, str]
) -> dict[str, Figure]:
    """Several measures of one cohort, each with its interval from the same resamples.

    Parameters
    ----------
    names : of the measures
    statistic : takes int rows, shape (n_patients,), in which a patient may occur more than once; gives the
        measures in the order of ``names``, NaN where one is undefined
    n_patients : int; fewer than 10 get no interval
    bootstrap : Bootstrap
    reason : by name, why a measure is undefined when it is

    Returns
    -------
    dict of Figure by name
    """
    values = statistic(np.arange(n_patients)) if n_patients else [math.nan] * len(names)
    intervals: Sequence[Interval | None] = [None] * len(names)
    if n_patients >= FEW_PATIENTS:
        intervals = _joint_intervals(statistic, len(names), n_patients, bootstrap)
    return {
        name: _figure(float(value), interval, reason.get(name, "it is undefined for these patients"))
        for name, value, interval in zip(names, values, intervals, strict=True)
    }


def _figure(value: float, interval: Interval | None, reason: str) -> Figure:
    if math.isnan(value):
        return Figure.not_given(reason)
    if interval is None or interval.n_undefined > interval.n_resamples:  # of most resamples nothing is known
        return Figure(value)
    return Figure(value, interval.low, interval.high, interval.n_undefined)


def _joint_intervals(statistic: Statistic, n_measures: int, n_patients: int, bootstrap: Bootstrap) -> list[Interval]:
    """One interval a measure; the statistic is computed once a resample, since the seed gives the same ones again."""
    seen: list[Sequence[float]] = []

    def first(rows: np.ndarray) -> float:
        seen.append(statistic(rows))
        return seen[-1][0]

    def interval(function) -> Interval:
        rng = np.random.default_rng(bootstrap.seed)
        return percentile_interval(function, n_patients, rng, n_resamples=bootstrap.n_resamples, level=LEVEL)

    intervals = [interval(first)]
    for k in range(1, n_measures):
        column = iter([values[k] for values in seen])
        intervals.append(interval(lambda rows, column=column: next(column)))
    return intervals
