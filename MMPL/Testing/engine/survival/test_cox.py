"""Cox members: by hand and against lifelines."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from mmpl.errors import BundleError
from mmpl.survival.cox import CoxMember, breslow_cumulative_hazard, log_partial_likelihood

LN = np.log


def test_log_partial_likelihood_by_hand():
    # weights 1, 2, 3; relapses at day 1 (at risk 6) and day 3 (at risk 3)
    assert log_partial_likelihood(LN([1, 2, 3]), [1, 2, 3], [1, 0, 1]) == pytest.approx(-LN(6))


def test_log_partial_likelihood_with_ties_by_hand():
    # both relapse at day 1 with 6 at risk
    value = log_partial_likelihood(LN([1, 2, 3]), [1, 1, 2], [1, 1, 0])
    assert value == pytest.approx(LN(2) - 2 * LN(6))


def test_baseline_hazard_by_hand():
    times, hazard = breslow_cumulative_hazard(LN([1, 2, 3]), [3, 2, 1], [1, 0, 1])
    assert times.tolist() == [1.0, 3.0]
    np.testing.assert_allclose(hazard, [1 / 6, 1 / 6 + 1 / 1])


def test_no_covariate_gives_nelson_aalen():
    times, hazard = breslow_cumulative_hazard(np.zeros(4), [1, 2, 2, 5], [1, 1, 1, 0])
    assert times.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(hazard, [1 / 4, 1 / 4 + 2 / 3])


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 2)) * [1.0, 3.0] + [0.0, 10.0]
    time = rng.exponential(1000 * np.exp(-0.8 * x[:, 0]))
    event = (rng.random(80) < 0.6).astype(int)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "T": time, "E": event})
    return frame, CoxPHFitter().fit(frame, "T", "E")


def test_likelihood_and_survival_match_lifelines(cohort):
    frame, fit = cohort
    x, time, event = frame[["a", "b"]], frame["T"].to_numpy(), frame["E"].to_numpy()
    means, sds = x.mean().to_numpy(), x.std(ddof=0).to_numpy()
    coefficients = fit.params_.to_numpy() * sds
    lp = ((x - means) / sds).to_numpy() @ coefficients
    assert log_partial_likelihood(lp, time, event) == pytest.approx(fit.log_likelihood_, abs=1e-8)
    times, hazard = breslow_cumulative_hazard(lp, time, event)
    theirs = fit.baseline_cumulative_hazard_.iloc[:, 0]
    np.testing.assert_allclose(hazard, theirs.loc[times], rtol=1e-8)
    zeros = np.zeros(2)
    member = CoxMember(("a", "b"), zeros, means, sds, coefficients, times, hazard, 0, 1, 0, "a")
    days = times[::7]
    expected = fit.predict_survival_function(x.iloc[[3]], times=days).to_numpy()[:, 0]
    np.testing.assert_allclose(member.survival(x.iloc[3].to_dict(), days), expected, rtol=1e-8)


@pytest.fixture
def member():
    return CoxMember(
        columns=("days", "age"),
        medians=[0.5, 60.0],
        means=[0.0, 62.0],
        sds=[2.0, 4.0],
        coefficients=[-0.8, 0.2],
        event_times=[100.0, 400.0],
        cumulative_hazard=[0.1, 0.3],
        lp_mean=0.1,
        lp_sd=0.5,
        ridge=0.01,
        deep_column="days",
        deep_mean=1000.0,
        deep_sd=200.0,
    )


def test_linear_predictor_and_contributions_by_hand(member):
    row = {"days": 600.0, "age": 66.0}  # (600 - 1000) / 200 = -2 -> -1 sd; age + 1 sd
    assert member.contributions(row) == pytest.approx({"days": 0.8, "age": 0.2})
    assert member.linear_predictor(row) == pytest.approx(1.0)
    assert member.standardised_risk(row) == pytest.approx(1.8)


def test_missing_values_are_the_training_medians(member):
    # days 0.5 (already standardised) -> -0.8 * 0.25; age 60 -> 0.2 * -0.5
    assert member.linear_predictor({"age": None, "days": math.nan}) == pytest.approx(-0.3)


def test_survival_steps_and_ends_with_the_last_event(member):
    row = {"days": 600.0, "age": 66.0}
    got = member.survival(row, [0.0, 99.9, 100.0, 399.0, 400.0, 400.1])
    expected = [1, 1, math.exp(-0.1 * math.e), math.exp(-0.1 * math.e), math.exp(-0.3 * math.e), math.nan]
    np.testing.assert_allclose(got, expected)
    assert member.last_event_days == 400.0


def test_shorter_expected_time_means_higher_risk_and_lower_survival(member):
    soon, late = {"days": 500.0, "age": 60.0}, {"days": 2000.0, "age": 60.0}
    assert member.linear_predictor(soon) > member.linear_predictor(late)
    assert member.survival(soon, [400.0])[0] < member.survival(late, [400.0])[0]


def test_an_extreme_covariate_gives_no_nan(member):
    curve = member.survival({"days": -1e9, "age": 60.0}, [0.0, 100.0, 400.0])
    assert curve.tolist() == [1.0, 0.0, 0.0]


def test_json_round_trip(member):
    again = CoxMember.from_dict(json.loads(json.dumps(member.to_dict())))
    assert again.to_dict() == member.to_dict()


@pytest.mark.parametrize(
    "damage",
    [
        {"columns": ["days"]},
        {"columns": ["age", "age"]},
        {"coefficients": [1.0, math.nan]},
        {"sds": [0.0, 1.0]},
        {"medians": "abc"},
        {"event_times": [400.0, 100.0]},
        {"event_times": []},
        {"cumulative_hazard": [0.3, 0.1]},
        {"cumulative_hazard": [-0.1, 0.1]},
        {"lp_sd": 0.0},
        {"lp_mean": None},
        {"deep_sd": -1.0},
        {"ridge": -1.0},
    ],
)
def test_damaged_members_are_refused(member, damage):
    data = {**copy.deepcopy(member.to_dict()), **damage}
    with pytest.raises(BundleError):
        CoxMember.from_dict(data)


def test_a_missing_entry_is_refused(member):
    data = member.to_dict()
    del data["event_times"]
    with pytest.raises(BundleError, match="event_times"):
        CoxMember.from_dict(data)
