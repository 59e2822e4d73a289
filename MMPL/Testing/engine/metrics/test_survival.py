from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from lifelines.utils import concordance_index
from torchsurv.stats.ipcw import get_ipcw

from mmpl.errors import InputError
from mmpl.metrics.survival import Concordance, c_index, censoring_weights, concordance, event_weights


def test_hand_worked_cohort():
    # Pairs with a known order: 1-2 right, 1-3 right, 1-4 wrong, 3-4 wrong; 2 is censored before 3 and 4.
    time_days, event, risk = [100, 200, 300, 400], [1, 0, 1, 1], [0.8, 0.5, 0.2, 0.9]
    assert concordance(time_days, event, risk) == Concordance(concordant=2, discordant=2, tied_risk=0)
    assert c_index(time_days, event, risk) == 0.5


def test_higher_risk_means_earlier_relapse():
    assert c_index([1, 2, 3], [1, 1, 1], [3.0, 2.0, 1.0]) == 1.0
    assert c_index([1, 2, 3], [1, 1, 1], [1.0, 2.0, 3.0]) == 0.0


def test_equal_risks_count_half():
    assert concordance([1, 2, 3], [1, 1, 0], [5, 5, 1]) == Concordance(2, 0, 1)
    assert c_index([1, 2, 3], [1, 1, 0], [5, 5, 1]) == pytest.approx(2.5 / 3)


def test_equal_times_compare_an_event_with_a_censoring_only():
    assert concordance([10, 10], [1, 0], [2, 1]) == Concordance(1, 0, 0)
    assert concordance([10, 10], [0, 1], [2, 1]) == Concordance(0, 1, 0)
    assert concordance([10, 10], [1, 1], [2, 1]) == Concordance(0, 0, 0)


def test_nothing_to_compare_is_undefined():
    assert math.isnan(c_index([1, 2, 3], [0, 0, 0], [1, 2, 3]))
    assert math.isnan(c_index([], [], []))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_lifelines_on_ties_and_censoring(seed):
    rng = np.random.default_rng(seed)
    time_days = rng.integers(1, 40, 150)
    event = rng.random(150) < 0.4
    risk = rng.integers(0, 12, 150) / 4.0
    assert c_index(time_days, event, risk) == pytest.approx(concordance_index(time_days, -risk, event), rel=1e-12)


def test_refuses_what_it_cannot_order():
    with pytest.raises(InputError, match="one of each"):
        c_index([1, 2], [1, 0], [1.0])
    with pytest.raises(InputError, match="neither 0 nor 1"):
        c_index([1, 2], [1, np.nan], [1.0, 2.0])
    with pytest.raises(InputError, match="risk of patient 1 is nan"):
        c_index([1, 2], [1, 0], [1.0, np.nan])


def test_censoring_weights_of_a_hand_worked_cohort():
    # Day 1 relapse, 2 censored, 3 relapse and censored, 4 censored. At risk of censoring: on day 2 four of whom
    # one goes (G = 3/4); on day 3, after the relapse, two of whom one goes (G = 3/8); on day 4 the last (G = 0).
    time_days, event = [1, 2, 3, 3, 4], [1, 0, 1, 0, 0]
    found = censoring_weights(time_days, event, [0, 1, 1.9, 2, 2.5, 3, 4, 9])
    assert found == pytest.approx([1, 1, 1, 4 / 3, 4 / 3, 8 / 3, 0, 0])


def test_event_weights_of_a_hand_worked_cohort():
    # The same cohort and G; on its own day a relapse comes before the censorings: those of day 3 do not count yet.
    time_days, event = [1, 2, 3, 3, 4], [1, 0, 1, 0, 0]
    assert event_weights(time_days, event) == pytest.approx([1, 1, 4 / 3, 4 / 3, 8 / 3])


def test_weights_of_relapses_and_of_who_is_free_add_up_to_the_patients():
    rng = np.random.default_rng(5)
    time_days, event = rng.integers(1, 12, 90), rng.random(90) < 0.5
    for day in (3, 7.5, 10):
        relapsed = event_weights(time_days, event)[event & (time_days <= day)].sum()
        free = np.count_nonzero(time_days > day) * censoring_weights(time_days, event, [day])[0]
        assert relapsed + free == pytest.approx(90)


def test_without_censoring_everybody_weighs_one():
    assert censoring_weights([1, 2, 2], [1, 1, 1], [0.5, 2, 3]).tolist() == [1, 1, 1]
    assert event_weights([1, 2, 2], [1, 1, 1]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_event_weights_agree_with_torchsurv_where_no_times_are_tied(seed):
    rng = np.random.default_rng(seed)
    time_days, event = rng.permutation(200)[:80] + 1.0, rng.random(80) < 0.5
    expected = get_ipcw(torch.from_numpy(event), torch.from_numpy(time_days)).numpy()
    assert event_weights(time_days, event)[event] == pytest.approx(expected[event], rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_censoring_weights_agree_with_torchsurv(seed):
    rng = np.random.default_rng(seed)
    time_days, event = rng.integers(1, 30, 80).astype(float), rng.random(80) < 0.5
    at = np.concatenate((time_days, rng.integers(0, 40, 20) + 0.5))
    expected = get_ipcw(torch.from_numpy(event), torch.from_numpy(time_days), torch.from_numpy(at)).numpy()
    assert censoring_weights(time_days, event, at) == pytest.approx(expected, rel=1e-6)
