"""Measures of a probability for a yes/no outcome, such as HPV status."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from mmpl.errors import InputError


def sensitivity(truth, probability, threshold: float) -> float:
    """Share of positives with probability >= threshold; NaN without positives.

    Parameters
    ----------
    truth : bool or 0/1 array, shape (n,), True = positive
    probability : float array, shape (n,), in [0, 1]
    threshold : float

    Raises
    ------
    InputError
        If lengths differ, a truth is not 0 or 1, or a probability is not in [0, 1].
    """
    truth, probability = checked_probabilities(truth, probability)
    return _mean(probability[truth] >= threshold)


def specificity(truth, probability, threshold: float) -> float:
    """Share of negatives with probability < threshold; NaN without negatives. See ``sensitivity``."""
    truth, probability = checked_probabilities(truth, probability)
    return _mean(probability[~truth] < threshold)


def balanced_accuracy(truth, probability, threshold: float) -> float:
    """Mean of sensitivity and specificity; NaN when one class is absent. See ``sensitivity``."""
    return (sensitivity(truth, probability, threshold) + specificity(truth, probability, threshold)) / 2


def roc_auc(truth, probability) -> float:
    """Chance that a positive has the higher probability, ties half; NaN when one class is absent.

    Parameters and errors as in ``sensitivity``.

    References
    ----------
    Hanley and McNeil, Radiology 1982;143:29-36 (area = Mann-Whitney U / (n_pos n_neg)).
    """
    truth, probability = checked_probabilities(truth, probability)
    n_pos, n_neg = int(truth.sum()), int((~truth).sum())
    if not n_pos or not n_neg:
        return float("nan")
    u = rankdata(probability)[truth].sum() - n_pos * (n_pos + 1) / 2
    return float(u / (n_pos * n_neg))


def brier(truth, probability) -> float:
    """Mean squared difference of probability and outcome, 0 is perfect; NaN without patients.

    Parameters and errors as in ``sensitivity``.

    References
    ----------
    Brier, Mon Weather Rev 1950;78:1-3 (the form for two outcomes, in [0, 1]).
    """
    truth, probability = checked_probabilities(truth, probability)
    return _mean((probability - truth) ** 2)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def checked_probabilities(truth, probability) -> tuple[np.ndarray, np.ndarray]:
    """Truth as bool and probability as float64, both of shape (n,); errors as in ``sensitivity``."""
    truth, probability = np.asarray(truth), np.asarray(probability, dtype=float)
    if truth.ndim != 1 or truth.shape != probability.shape:
        raise InputError(f"{truth.shape} truths and {probability.shape} probabilities: give one a patient")
    if not np.isin(truth, (0, 1)).all():
        raise InputError("a truth is neither 0 nor 1; leave patients without an outcome out")
    wrong = np.flatnonzero(~((probability >= 0) & (probability <= 1)))
    if wrong.size:
        raise InputError(f"probability of patient {wrong[0]} is {probability[wrong[0]]}; expected 0 to 1")
    return truth.astype(bool), probability
