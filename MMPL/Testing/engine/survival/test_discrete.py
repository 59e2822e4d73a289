"""Discrete-time survival, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.survival.discrete import (
    BREAKS_DAYS,
    check_breaks,
    expected_time_days,
    interval_targets,
    survival_from_hazards,
)


def test_survival_is_the_running_product():
    np.testing.assert_allclose(survival_from_hazards([0.1, 0.5, 0.0]), [0.9, 0.45, 0.45])


def test_expected_time_by_hand():
    # S at the ends 0.9 and 0.45 of intervals of 300 and 500 days
    assert expected_time_days(survival_from_hazards([0.1, 0.5]), (0, 300, 800)) == pytest.approx(495.0)


def test_expected_time_spans_zero_to_the_last_limit():
    assert expected_time_days(np.ones(10)) == 6000.0
    assert expected_time_days(np.zeros((4, 10))).tolist() == [0.0] * 4


def test_expected_time_needs_as_many_values_as_intervals():
    with pytest.raises(InputError, match="9 survival values for 10 intervals"):
        expected_time_days(np.ones(9))


@pytest.mark.parametrize(
    ("time", "event", "survived", "failed"),
    [
        (50, 1, [0, 0, 0], [1, 0, 0]),
        (100, 1, [1, 0, 0], [0, 1, 0]),  # a limit belongs to the interval it opens
        (250, 1, [1, 1, 0], [0, 0, 1]),
        (400, 1, [1, 1, 1], [0, 0, 0]),  # relapse past the last limit
        (49, 0, [0, 0, 0], [0, 0, 0]),
        (50, 0, [1, 0, 0], [0, 0, 0]),  # censored at the midpoint
        (149, 0, [1, 0, 0], [0, 0, 0]),
        (260, 0, [1, 1, 1], [0, 0, 0]),
    ],
)
def test_interval_targets(time, event, survived, failed):
    got_survived, got_failed = interval_targets(np.array([time]), np.array([event]), (0, 100, 200, 300))
    assert got_survived.tolist() == [survived]
    assert got_failed.tolist() == [failed]


def test_the_default_limits():
    assert len(check_breaks(BREAKS_DAYS)) == 11
    survived, failed = interval_targets([1000.0], [1])
    assert survived[0].tolist() == [1, 1, 1] + [0] * 7
    assert failed[0].tolist() == [0, 0, 0, 1] + [0] * 6


@pytest.mark.parametrize(
    ("time", "event", "fault"),
    [([-1.0], [1], "-1"), ([np.nan], [1], "nan"), ([5.0], [2], "event 2"), ([5.0, 6.0], [1], "shape")],
)
def test_impossible_follow_up_is_refused(time, event, fault):
    with pytest.raises(InputError, match=fault):
        interval_targets(time, event)


@pytest.mark.parametrize("breaks", [(0,), (10, 20), (0, 5, 5), (0, np.nan, 3)])
def test_impossible_limits_are_refused(breaks):
    with pytest.raises(InputError):
        check_breaks(breaks)
