"""Measures by day against hand-worked cases, a published trial and scikit-survival."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmpl.evaluation.follow_up import (
    Cohort,
    auc_at,
    brier_at,
    integrated,
    kaplan_meier_at,
    kaplan_meier_steps,
    log_rank,
    median_follow_up,
    survival_at,
)

# Weeks of remission in childhood leukaemia, True = relapse: Freireich et al., Blood 1963;21:699-716, as in
# Gehan, Biometrika 1965;52:203-223
TREATED = [
    *((6, True), (6, True), (6, True), (7, True), (10, True), (13, True), (16, True), (22, True), (23, True)),
    *((6, False), (9, False), (10, False), (11, False), (17, False), (19, False), (20, False), (25, False)),
    *((32, False), (32, False), (34, False), (35, False)),
]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def cohort(time_days, event, risk) -> Cohort:
    return Cohort(np.array(time_days, float), np.array(event, bool), np.array(risk, float))


# Day 1 relapse, 2 censored, 3 relapse, 5 censored. On day 4: G is 2/3 from day 2 on, so the relapse of day 3
# and who is free on day 4 count 3/2, the relapse of day 1 counts 1, who left on day 2 counts nothing.
FOUR = ([1, 2, 3, 5], [1, 0, 1, 0])


def test_hand_worked_auc_with_censoring():
    # who is free has risk 2: the relapse of day 1 (risk 3) is above, that of day 3 (risk 1) below
    assert auc_at(cohort(*FOUR, [3, 9, 1, 2]), np.array([4.0])) == pytest.approx([1 / 2.5])
    assert auc_at(cohort(*FOUR, [1, 9, 3, 2]), np.array([4.0])) == pytest.approx([1.5 / 2.5])
    assert auc_at(cohort(*FOUR, [2, 9, 2, 2]), np.array([4.0])) == pytest.approx([0.5])


def test_hand_worked_brier_with_censoring():
    survival = np.array([[0.1], [0.5], [0.4], [0.8]])
    expected = (0.1**2 + 1.5 * 0.4**2 + 1.5 * 0.2**2) / 4
    assert brier_at(cohort(*FOUR, [0] * 4), survival, np.array([4.0])) == pytest.approx([expected])


def test_only_the_order_of_risks_matters_to_the_auc():
    tiny = cohort([100, 200, 300, 800], [1, 1, 1, 0], [4e-9, 3e-9, 2e-9, 1e-9])
    assert auc_at(tiny, np.array([150.0, 250.0])).tolist() == [1.0, 1.0]


def test_undefined_days_are_nan():
    found = auc_at(cohort(*FOUR, [3, 9, 1, 2]), np.array([0.5, 4.0, 5.0]))
    assert [math.isnan(v) for v in found] == [True, False, True]  # nobody relapsed yet; nobody is left
    never = cohort([1, 2, 3], [0, 0, 0], [1, 2, 3])
    assert np.isnan(auc_at(never, np.array([1.5]))).all()
    assert np.isnan(brier_at(never, np.ones((3, 1)), np.array([1.5]))).all()
    assert np.isnan(brier_at(cohort(*FOUR, [0] * 4), np.ones((4, 1)), np.array([5.0]))).all()


def test_tied_times_of_relapse_and_censoring():
    # Day 2: a relapse and a censoring, of three at risk. The relapse comes first and counts 1. Then one of two leaves:
    # G = 1/2, so on day 3 who is free counts 2, and all together 3 as they are: (s1^2 + 2 (1 - s3)^2) / 3.
    tied = cohort([2, 2, 5], [1, 0, 0], [2, 3, 1])
    survival = np.array([[0.3], [0.5], [0.9]])
    assert brier_at(tied, survival, np.array([3.0])) == pytest.approx([(0.09 + 2 * 0.01) / 3])
    assert auc_at(tied, np.array([3.0])).tolist() == [1.0]


def test_a_tied_censoring_does_not_raise_the_weight_of_a_relapse_in_the_auc():
    # Relapses on day 1 (risk 1) and day 2 (risk 3), one censoring on day 2; free on day 3 is risk 2. The relapses
    # count 1 each, so half of them lie above who is free.
    tied = cohort([1, 2, 2, 5], [1, 1, 0, 0], [1, 3, 0, 2])
    assert auc_at(tied, np.array([3.0])) == pytest.approx([0.5])


def test_kaplan_meier_for_everybody_scores_its_own_variance():
    four = cohort([100, 100, 200, 300], [1, 0, 0, 0], [0] * 4)  # 3/4 are free on day 150
    assert brier_at(four, np.full((4, 1), 0.75), np.array([150.0])) == pytest.approx([0.75 * 0.25])
    rng = np.random.default_rng(4)
    many = cohort(rng.integers(1, 20, 150), rng.random(150) < 0.4, np.zeros(150))  # many ties
    days = np.array([3.5, 9.0, 14.0])
    shares = np.array([kaplan_meier_at(many.time_days, many.event, day).value for day in days])
    assert brier_at(many, np.tile(shares, (150, 1)), days) == pytest.approx(shares * (1 - shares))


def test_brier_after_the_last_relapse():
    # day 100 relapse, 200 censored of three at risk (G = 2/3), 300 and 400 relapses that count 3/2 each: four in all
    ended = cohort([100, 200, 300, 400], [1, 0, 1, 1], [0] * 4)
    survival = np.array([[0.5], [0.9], [0.4], [0.2]])
    expected = (0.5**2 + 1.5 * 0.4**2 + 1.5 * 0.2**2) / 4
    for day in (400.0, 730.5):
        assert brier_at(ended, survival, np.array([day])) == pytest.approx([expected])
        assert brier_at(ended, np.ones((4, 1)), np.array([day])) == pytest.approx([1.0])
    # who was followed longest is censored, if only on the day of the last relapse: part of the patients is not known
    for last in ([1, 0, 1, 0], [1, 1, 0, 0]):
        assert np.isnan(brier_at(cohort([100, 200, 400, 400], last, [0] * 4), survival, np.array([400.0, 730.5]))).all()


def test_the_integrated_score_is_the_mean_over_days():
    assert integrated(np.array([0.1, 0.3, 0.2]), np.array([0.0, 10.0, 30.0])) == pytest.approx((2 + 5) / 30)


@pytest.mark.parametrize("seed", range(3))
def test_auc_and_brier_agree_with_scikit_survival(seed):
    sksurv = pytest.importorskip("sksurv.metrics")
    rng = np.random.default_rng(seed)
    n = 120
    # no day twice: scikit-survival hides a relapse by the censorings of its own day
    many = cohort(rng.permutation(900)[:n] + 1, rng.random(n) < 0.4, np.round(rng.normal(size=n), 1))
    truth = np.array(list(zip(many.event, many.time_days, strict=True)), dtype=[("event", bool), ("time", float)])
    days = np.array([90.5, 200.5, 400.5, 600.5])
    survival = np.exp(-days / 1000 * np.exp(many.risk[:, None]))
    auc, _ = sksurv.cumulative_dynamic_auc(truth, truth, many.risk, days)
    assert auc_at(many, days) == pytest.approx(auc, rel=1e-6)
    _, brier = sksurv.brier_score(truth, truth, survival, days)
    assert brier_at(many, survival, days) == pytest.approx(brier, rel=1e-6)
    whole = sksurv.integrated_brier_score(truth, truth, survival, days)
    assert integrated(brier_at(many, survival, days), days) == pytest.approx(whole, rel=1e-6)


# --- Kaplan-Meier -------------------------------------------------------------------------------------


def test_published_kaplan_meier_of_a_trial():
    time, event = np.array(TREATED, dtype=float).T
    steps = dict(kaplan_meier_steps(time, event.astype(bool)))
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}
    assert steps.keys() == published.keys()
    assert [steps[week] for week in published] == pytest.approx(list(published.values()), abs=6e-4)


@pytest.fixture
def trial() -> tuple[list, list, list]:
    """Times, relapses and groups of the 42 children."""
    times = [t for t, _ in TREATED] + PLACEBO
    events = [e for _, e in TREATED] + [True] * len(PLACEBO)
    return times, events, ["treated"] * len(TREATED) + ["placebo"] * len(PLACEBO)


def test_published_log_rank_of_a_trial(trial):
    times, events, groups = trial
    assert len(times) == 42
    found = log_rank(cohort(times, events, [0] * 42), groups)
    assert found.value == pytest.approx(math.erfc(math.sqrt(16.79 / 2)), rel=0.01)  # chi-squared 16.79, 1 degree


def test_a_group_that_left_before_the_first_relapse_is_no_degree_of_freedom(trial):
    times, events, groups = trial
    with_third = cohort([*times, *[0.5] * 4], [*events, *[False] * 4], [0] * 46)
    found = log_rank(with_third, [*groups, *["third"] * 4])
    assert found.value == pytest.approx(log_rank(cohort(times, events, [0] * 42), groups).value, rel=1e-9)
    assert found.value == pytest.approx(math.erfc(math.sqrt(16.79 / 2)), rel=0.01)


def test_a_group_that_is_censored_on_the_day_of_the_first_relapse_counts():
    # day 1: one of the two of a relapses, with one of b and one of c at risk. a: 1 - 2/4 = 1/2, b and c: -1/4 each;
    # a's variance 2/4 * 2/4, b's and c's 1/4 * 3/4: chi-squared 1 with two degrees of freedom, p = exp(-1/2)
    found = log_rank(cohort([1, 2, 1, 1], [1, 0, 0, 0], [0] * 4), ["a", "a", "b", "c"])
    assert found.value == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize(
    ("times", "events", "reason"),
    [
        ([9, 9, 9, 9], [1, 1, 1, 1], "all who were followed up to the first relapse relapsed on that day"),
        ([1, 9, 2, 9], [0, 1, 0, 1], "all who were followed up to the first relapse relapsed on that day"),
        ([1, 9, 2, 3], [0, 1, 0, 0], "only one risk group was followed up to the first relapse"),
        ([5, 9, 2, 3], [1, 1, 0, 0], "only one risk group was followed up to the first relapse"),
    ],
)
def test_log_rank_is_not_given_where_groups_cannot_differ(times, events, reason):
    found = log_rank(cohort(times, events, [0] * 4), ["a", "a", "b", "b"])
    assert (found.value, found.reason) == (None, reason)


def test_log_rank_without_groups_or_relapses():
    assert log_rank(cohort([1, 2], [1, 1], [0, 0]), ["low", "low"]).reason == "all patients are in one risk group"
    assert log_rank(cohort([1, 2], [0, 0], [0, 0]), ["low", "high"]).reason == "no patient relapsed"


def test_kaplan_meier_on_a_day_has_greenwoods_interval():
    # 3 of 4 free after day 10: Greenwood's variance of log(-log S) is (1 / (4 * 3)) / log(3/4)^2
    time, event = np.array([10.0, 20.0, 20.0, 20.0]), np.array([True, False, False, False])
    found = kaplan_meier_at(time, event, 15)
    shift = 1.959964 * math.sqrt(1 / 12) / abs(math.log(0.75))
    assert found.value == pytest.approx(0.75)
    assert (found.low, found.high) == pytest.approx((0.75 ** math.exp(shift), 0.75 ** math.exp(-shift)), rel=1e-5)


def test_kaplan_meier_without_relapse_has_no_interval_and_without_follow_up_no_value():
    time, event = np.array([10.0, 400.0]), np.array([False, False])
    assert (kaplan_meier_at(time, event, 20).value, kaplan_meier_at(time, event, 20).low) == (1.0, None)
    assert kaplan_meier_at(time, event, 2 * 365.25).reason == "no follow-up beyond 2 years"


def test_kaplan_meier_stays_at_zero_after_the_last_relapse():
    time = np.array([100.0, 200.0, 300.0, 400.0])
    for event in ([True] * 4, [True, False, True, True]):
        found = kaplan_meier_at(time, np.array(event), 730.5)
        assert (found.value, found.low, found.high, found.reason) == (0.0, None, None, None)
    for event, days in (([True, True, True, False], time), ([True, True, True, False], np.array([1.0, 2.0, 4.0, 4.0]))):
        assert kaplan_meier_at(days, np.array(event), 730.5).reason == "no follow-up beyond 2 years"


def test_median_follow_up_counts_relapses_as_leaving():
    # reverse Kaplan-Meier: 1 of 4 leaves on day 10, relapse on day 20, then 1 of 2 on day 30: 3/8
    found = median_follow_up(np.array([10.0, 20.0, 30.0, 40.0]), np.array([False, True, False, False]))
    assert found == 30
    assert median_follow_up(np.array([10.0, 20.0]), np.array([True, True])) is None


# --- predicted curves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "expected"), [(0, 1.0), (30, 0.9), (59, 0.9), (60, 0.8), (62, 0.8), (62.1, math.nan), (20, math.nan)]
)
def test_a_curve_holds_until_its_next_day(day, expected):
    assert survival_at(np.array([30.0, 60.0]), np.array([0.9, 0.8]), day) == pytest.approx(expected, nan_ok=True)


def test_a_value_is_not_stretched_over_a_year():
    days, survival = np.array([365.0, 1825.0]), np.array([0.9, 0.5])
    assert survival_at(days, survival, 365.25) == 0.9
    assert math.isnan(survival_at(days, survival, 730.5))
    assert survival_at(days, survival, 1826.25) == 0.5
    assert math.isnan(survival_at(np.empty(0), np.empty(0), 0))
