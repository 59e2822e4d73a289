"""The RFS members' combination."""

from __future__ import annotations

import math

import pytest

from mmpl.errors import InputError
from mmpl.survival.cox import CoxMember
from mmpl.survival.ensemble import combine_rfs, null_rfs, risk_group


def a_member(column, coefficient, event_times, hazard, lp_sd=1.0):
    return CoxMember((column,), [0.0], [0.0], [1.0], [coefficient], event_times, hazard, 0.0, lp_sd, 0.01, "deep")


@pytest.fixture
def members():
    first = a_member("x", 1.0, [100.0, 800.0], [0.2, 0.5], lp_sd=2.0)
    second = a_member("y", 2.0, [300.0, 1000.0], [0.1, 0.4])
    return (first, second)


@pytest.fixture
def outcome(members):
    rows = [{"x": 1.0, "y": 5.0}, {"x": 1.0, "y": 0.0}]
    return combine_rfs(members, rows, time_zero="end of radiotherapy", tertiles=(0.0, 0.2), deep_days=[900, 1100])


def test_risk_is_the_mean_of_standardised_linear_predictors(outcome):
    result, _ = outcome
    assert result.members == (0.5, 0.0)
    assert (result.risk, result.risk_group) == (0.25, "high")
    assert result.deep_restricted_mean_days == 1000.0
    assert result.time_zero == "end of radiotherapy"


def test_curve_is_the_mean_with_the_members_range(outcome):
    curve = outcome[0].curve
    assert curve.days[:3] == (0.0, 30.0, 60.0)
    assert curve.survival[0] == 1.0
    at = curve.days.index(330.0)
    first, second = math.exp(-0.2 * math.e), math.exp(-0.1)
    assert curve.survival[at] == pytest.approx((first + second) / 2)
    assert curve.members_low[at] == pytest.approx(first)
    assert curve.members_high[at] == pytest.approx(second)


def test_nothing_is_said_beyond_the_earliest_last_event_of_the_members(outcome):
    curve = outcome[0].curve
    told = dict(zip(curve.days, curve.survival, strict=True))
    assert told[780.0] is not None
    assert told[810.0] is None
    assert curve.members_low[curve.days.index(810.0)] is None
    assert curve.days[-1] == 1800.0  # the last step within five years


def test_survival_at_years(outcome):
    at = outcome[0].survival_at
    assert at["1y"] == pytest.approx((math.exp(-0.2 * math.e) + math.exp(-0.1)) / 2)
    assert at["2y"] == at["1y"]  # 730.5 days, no step between
    assert (at["3y"], at["5y"]) == (None, None)


def test_the_members_range_is_that_of_the_very_day():
    """A member's last step is on day 363, after the curve's last day of the year (360): the range must have it."""
    rows = [{"x": 0.0}, {"x": 0.0}]
    members = [a_member("x", 1.0, [363.0, 800.0], [0.5, 0.6]), a_member("x", 1.0, [100.0, 800.0], [0.1, 0.2])]
    result, _ = combine_rfs(members, rows, time_zero="t", tertiles=(0, 1), deep_days=[])
    assert result.members_at["1y"] == pytest.approx((math.exp(-0.5), math.exp(-0.1)))  # 0.607 and 0.905
    assert result.survival_at["1y"] == pytest.approx((math.exp(-0.5) + math.exp(-0.1)) / 2)
    on_day_360 = result.curve.members_low[result.curve.days.index(360.0)]
    assert on_day_360 == pytest.approx(math.exp(-0.1))
    assert result.members_at["5y"] is None


def test_contributions_are_averaged_over_all_members_and_add_up(outcome, members):
    _, contributions = outcome
    # first member: 1 * 1 of x; second: 2 * 0 of y
    assert [(c.feature, c.value, c.effect) for c in contributions] == [("x", 1.0, 0.5), ("y", 2.5, 0.0)]
    assert sum(c.effect for c in contributions) == pytest.approx((1.0 + 0.0) / 2)


def test_curve_reaches_past_five_years_where_the_members_do():
    late = a_member("x", 1.0, [100.0, 2500.0], [0.2, 0.5])
    result, _ = combine_rfs([late], [{"x": 0.0}], time_zero="t", tertiles=(0, 1), deep_days=[])
    assert result.curve.days[-1] == 2490.0
    assert result.curve.survival[-1] == pytest.approx(math.exp(-0.2))
    assert result.deep_restricted_mean_days is None


@pytest.mark.parametrize(
    ("risk", "group"), [(-1, "low"), (-0.5, "low"), (0, "intermediate"), (0.5, "intermediate"), (0.6, "high")]
)
def test_risk_group(risk, group):
    assert risk_group(risk, (-0.5, 0.5)) == group


def test_falling_cut_points_are_refused(members):
    with pytest.raises(InputError, match="cut points"):
        combine_rfs(members, [{}, {}], time_zero="t", tertiles=(1.0, 0.0), deep_days=[])


def test_null_result_keeps_its_reason():
    result = null_rfs("end of radiotherapy", "no lesion")
    assert (result.risk, result.curve, result.reason) == (None, None, "no lesion")
    assert set(result.survival_at.values()) == set(result.members_at.values()) == {None}
