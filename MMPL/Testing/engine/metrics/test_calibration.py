from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from mmpl.errors import InputError
from mmpl.metrics.calibration import ReliabilityBin, reliability_bins, wilson_interval


def test_hand_worked_bins():
    truth, probability = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    low, high = reliability_bins(truth, probability, 2)
    assert (low.n, low.positives, low.lowest, low.highest) == (3, 1, 0.1, 0.3)
    assert (low.mean_predicted, low.observed) == pytest.approx((0.2, 1 / 3))
    assert (high.n, high.observed, high.mean_predicted) == (3, pytest.approx(2 / 3), pytest.approx(0.7))


def test_equal_probabilities_stay_together():
    found = reliability_bins([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.9], 4)
    assert found == (ReliabilityBin(3, 2, 0.5, 0.5, 0.5), ReliabilityBin(1, 0, 0.9, 0.9, 0.9))


def test_fewer_patients_than_bins_and_none():
    assert [b.n for b in reliability_bins([1, 0], [0.2, 0.8], 5)] == [1, 1]
    assert reliability_bins([], [], 5) == ()


def test_agrees_with_scikit_learns_quantile_bins():
    rng = np.random.default_rng(3)
    probability = rng.random(200)
    truth = rng.random(200) < probability
    observed, predicted = calibration_curve(truth, probability, n_bins=5, strategy="quantile")
    found = reliability_bins(truth, probability, 5)
    assert [b.observed for b in found] == pytest.approx(observed.tolist())
    assert [b.mean_predicted for b in found] == pytest.approx(predicted.tolist())


def test_wilson_interval_of_published_cases():
    # Newcombe, Stat Med 1998;17:857-872, table I: 81/263, 15/148, 0/20, 1/29
    for (positives, n), expected in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert wilson_interval(positives, n) == pytest.approx(expected, abs=5e-5)


def test_refuses_one_bin_and_nobody():
    with pytest.raises(InputError, match="1 reliability bins: give at least 2"):
        reliability_bins([1, 0], [0.2, 0.8], 1)
    with pytest.raises(InputError, match="interval of 0 positives in 0 patients"):
        wilson_interval(0, 0)
    with pytest.raises(InputError, match="interval of 4 positives in 3 patients"):
        wilson_interval(4, 3)
