from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mmpl.errors import InputError
from mmpl.metrics.classification import balanced_accuracy, brier, roc_auc, sensitivity, specificity

TRUTH = [1, 1, 1, 1, 0, 0]
PROBABILITY = [0.9, 0.8, 0.5, 0.3, 0.5, 0.1]


def test_hand_worked_cohort():
    assert sensitivity(TRUTH, PROBABILITY, 0.5) == 0.75  # 0.5 reaches the threshold
    assert specificity(TRUTH, PROBABILITY, 0.5) == 0.5
    assert balanced_accuracy(TRUTH, PROBABILITY, 0.5) == 0.625
    # of 8 pairs: 0.9 and 0.8 beat both (4), 0.5 ties one and beats one (1.5), 0.3 beats one (1)
    assert roc_auc(TRUTH, PROBABILITY) == pytest.approx(6.5 / 8)
    assert brier(TRUTH, PROBABILITY) == pytest.approx((0.01 + 0.04 + 0.25 + 0.49 + 0.25 + 0.01) / 6)


def test_one_class_alone_is_undefined():
    assert math.isnan(balanced_accuracy([1, 1], [0.2, 0.9], 0.5))
    assert math.isnan(roc_auc([0, 0], [0.2, 0.9]))
    assert math.isnan(brier([], []))
    assert brier([1, 1], [0.5, 0.5]) == 0.25


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(120) < 0.8
    probability = np.round(np.clip(0.4 * truth + rng.normal(0.4, 0.2, 120), 0, 1), 1)
    expected = sklearn_metrics.balanced_accuracy_score(truth, probability >= 0.6)
    assert balanced_accuracy(truth, probability, 0.6) == pytest.approx(expected, rel=1e-12)
    assert roc_auc(truth, probability) == pytest.approx(sklearn_metrics.roc_auc_score(truth, probability), rel=1e-12)
    assert brier(truth, probability) == pytest.approx(sklearn_metrics.brier_score_loss(truth, probability), rel=1e-12)


def test_refuses_unknown_truth_and_impossible_probability():
    with pytest.raises(InputError, match="neither 0 nor 1"):
        roc_auc([1, np.nan], [0.5, 0.5])
    with pytest.raises(InputError, match=r"patient 1 is 1\.2"):
        brier([1, 0], [0.5, 1.2])
    with pytest.raises(InputError, match="patient 0 is nan"):
        brier([1, 0], [np.nan, 0.2])
    with pytest.raises(InputError, match="one a patient"):
        brier([1, 0], [0.5])
