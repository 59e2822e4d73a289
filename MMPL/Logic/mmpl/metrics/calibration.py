"""Does what was predicted agree with what came true, group by group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mmpl.errors import InputError
from mmpl.metrics.classification import checked_probabilities


@dataclass(frozen=True)
class ReliabilityBin:
    """Patients of neighbouring probabilities.

    Attributes
    ----------
    n, positives : patients, and those of them with the outcome
    lowest, highest, mean_predicted : of their probabilities
    """

    n: int
    positives: int
    lowest: float
    highest: float
    mean_predicted: float

    @property
    def observed(self) -> float:
        """Share of patients with the outcome."""
        return self.positives / self.n


def reliability_bins(truth, probability, n_bins: int) -> tuple[ReliabilityBin, ...]:
    """Bins of equal count by rising probability, for a reliability diagram.

    Equal probabilities stay together, so with ties bins are unequal and may be fewer than asked for.

    Parameters
    ----------
    truth : bool or 0/1 array, shape (n,), True = positive
    probability : float array, shape (n,), in [0, 1]
    n_bins : at least 2

    Raises
    ------
    InputError
        If lengths differ, a truth is not 0 or 1, a probability is not in [0, 1], or there are fewer than 2 bins.

    References
    ----------
    Hosmer and Lemeshow, Commun Stat 1980;9:1043-1069 (groups by quantiles of the predicted probability).
    """
    truth, probability = checked_probabilities(truth, probability)
    if n_bins < 2:
        raise InputError(f"{n_bins} reliability bins: give at least 2")
    lower = np.searchsorted(np.sort(probability), probability, side="left")  # patients with a smaller probability
    number = lower * n_bins // max(probability.size, 1)
    return tuple(_bin(truth[number == k], probability[number == k]) for k in np.unique(number))


def _bin(truth: np.ndarray, probability: np.ndarray) -> ReliabilityBin:
    low, high, mean = (float(f(probability)) for f in (np.min, np.max, np.mean))
    return ReliabilityBin(truth.size, int(truth.sum()), low, high, mean)


def wilson_interval(positives: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share; unlike a bootstrap it does not shrink to a point where all or none are positive.

    Raises
    ------
    InputError
        If there is no patient, or ``positives`` is not between 0 and n.

    References
    ----------
    Wilson, J Am Stat Assoc 1927;22:209-212.
    """
    if n < 1 or not 0 <= positives <= n:
        raise InputError(f"interval of {positives} positives in {n} patients: give 0 to n positives of 1 or more")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = (positives + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (positives * (n - positives) / n + z2 / 4)) / (n + z2)
    return max(centre - half, 0.0), min(centre + half, 1.0)
