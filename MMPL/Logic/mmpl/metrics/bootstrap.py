"""Percentile intervals by resampling patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Attributes
    ----------
    low, high : float, NaN when the statistic was undefined in every resample
    n_resamples : resamples that the interval rests on
    n_undefined : resamples in which the statistic was NaN, left out
    """

    low: float
    high: float
    n_resamples: int
    n_undefined: int


def percentile_interval(
    statistic: Callable[[np.ndarray], float],
    n_patients: int,
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interval of a cohort's statistic under resampling of its patients with replacement.

    Whole patients are drawn, so it holds for means and for statistics that sum counts over the cohort
    alike: ``percentile_interval(lambda rows: gtvn_f1_agg([scores[i] for i in rows]), len(scores), rng)``.

    Parameters
    ----------
    statistic : takes int rows, shape (n_patients,), in which a patient may occur more than once
    n_patients : int
    rng : numpy Generator, seeded by the caller
    n_resamples : int
    level : float in (0, 1)

    Raises
    ------
    InputError
        If there is no patient, no resample, or the level is not in (0, 1).

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if n_patients < 1 or n_resamples < 1:
        raise InputError(f"bootstrap of {n_patients} patients with {n_resamples} resamples: give at least one")
    if not 0.0 < level < 1.0:
        raise InputError(f"interval level {level}: give a value between 0 and 1, such as 0.95")
    draws = (rng.integers(0, n_patients, n_patients) for _ in range(n_resamples))
    values = np.array([statistic(rows) for rows in draws], dtype=float)
    defined = values[~np.isnan(values)]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail)) if defined.size else (float("nan"),) * 2
    return Interval(float(low), float(high), int(defined.size), int(values.size - defined.size))
