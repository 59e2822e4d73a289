"""Figures with intervals, and what is said of two of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmpl.metrics.bootstrap import percentile_interval
from mmpl.training.ablation.comparison import BOOTSTRAP_SEED, Comparison, Figure, compare, figure

VALUES = np.linspace(0, 1, 40)
ONE = Figure(0.5, 0.4, 0.6)


def test_a_figure_is_the_measure_and_its_percentile_interval():
    def mean(rows):
        return VALUES[rows].mean()

    expected = percentile_interval(mean, 40, np.random.default_rng(BOOTSTRAP_SEED))
    assert figure(mean, 40) == Figure(0.5, expected.low, expected.high)


def test_the_difference_is_taken_on_the_same_resamples():
    """A constant lead has no spread, though either mean has."""
    row = compare("lead", 40, ("plain", lambda i: VALUES[i].mean()), ("full", lambda i: VALUES[i].mean() + 0.1))
    assert row.plain[1].high - row.plain[1].low > 0.1
    assert (row.difference.low, row.difference.high) == pytest.approx((0.1, 0.1))
    assert row.verdict == "full is better"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "full is better"),
        (-0.2, -0.01, "plain is better"),
        (-0.1, 0.1, "inconclusive"),
        (0.0, 0.1, "inconclusive"),
    ],
)
def test_verdicts(low, high, said):
    assert Comparison("x", 9, ("plain", ONE), ("full", ONE), Figure((low + high) / 2, low, high)).verdict == said


def test_a_difference_that_is_not_defined_is_inconclusive():
    row = compare("none", 5, ("plain", lambda i: math.nan), ("full", lambda i: 1.0))
    assert math.isnan(row.difference.value)
    assert row.verdict == "inconclusive"
