"""The cohort's curve by hand and against lifelines and the definition."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from mmpl.bundle.parts import check_cohort_survival
from mmpl.errors import InputError, TrainingError
from mmpl.training.kaplan_meier import kaplan_meier


def test_a_curve_worked_by_hand():
    # day:      5 relapse | 8 relapse and censored | 10 censored | 12 two relapses | 20 censored
    # at risk:  7           6                        4             3                 1
    # survival: 6/7         6/7 * 5/6 = 5/7          5/7           5/7 * 1/3 = 5/21  5/21
    curve = kaplan_meier([12, 5, 8, 8, 10, 12, 20], [1, 1, 1, 0, 0, 1, 0])
    assert curve.days == (0, 5, 8, 12, 20)
    assert curve.survival == pytest.approx((1, 6 / 7, 5 / 7, 5 / 21, 5 / 21), abs=1e-6)
    assert curve.at_risk == (7, 7, 6, 3, 1)
    assert (curve.patients, curve.events) == (7, 4)


def test_a_last_patient_who_relapses_ends_the_curve_at_nothing():
    curve = kaplan_meier([5, 9], [0, 1])
    assert (curve.days, curve.survival, curve.at_risk) == ((0, 9), (1, 0), (2, 1))


def test_without_a_relapse_the_curve_stays_at_one():
    curve = kaplan_meier([5, 9], [0, 0])
    assert (curve.days, curve.survival, curve.at_risk) == ((0, 9), (1, 1), (2, 1))


def test_a_relapse_on_day_0_is_a_step_of_its_own():
    curve = kaplan_meier([0, 9], [1, 0])
    assert (curve.days, curve.survival, curve.at_risk) == ((0, 0, 9), (1, 0.5, 0.5), (2, 2, 1))
    check_cohort_survival(curve, "test")


def a_cohort(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.integers(1, 60, 80).astype(float), draw.integers(0, 2, 80)


def at_day(curve, day: float) -> float:
    return curve.survival[np.searchsorted(curve.days, day, side="right") - 1]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_lifelines_on_every_day(seed):
    time, event = a_cohort(seed)
    curve = kaplan_meier(time, event)
    oracle = KaplanMeierFitter().fit(time, event)
    for day in range(int(time.max()) + 1):
        assert at_day(curve, day) == pytest.approx(float(oracle.predict(day)), abs=1e-6)
    check_cohort_survival(curve, "test")


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_product_over_relapse_days(seed):
    time, event = a_cohort(seed)
    curve = kaplan_meier(time, event)
    share = 1.0
    for day, survival, at_risk in list(zip(curve.days, curve.survival, curve.at_risk, strict=True))[1:]:
        assert at_risk == np.sum(time >= day)
        share *= 1 - np.sum((time == day) & (event == 1)) / np.sum(time >= day)
        assert survival == pytest.approx(share, abs=1e-6)
    assert curve.days[-1] == time.max()
    assert set(curve.days) == {0, time.max(), *time[event == 1]}


def test_a_cohort_without_follow_up_is_refused():
    with pytest.raises(TrainingError, match="no patient has a follow-up"):
        kaplan_meier([], [])


@pytest.mark.parametrize(("time", "event"), [([1, -2], [0, 1]), ([1, 2], [0, 2]), ([1, np.nan], [0, 1])])
def test_an_impossible_follow_up_is_refused(time, event):
    with pytest.raises(InputError):
        kaplan_meier(time, event)
