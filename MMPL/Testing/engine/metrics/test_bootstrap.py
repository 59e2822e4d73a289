from __future__ import annotations

import math

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.metrics.bootstrap import percentile_interval
from mmpl.metrics.segmentation import CaseScore, Detection, Overlap, gtvn_f1_agg
from mmpl.metrics.survival import c_index


def test_mean_of_a_normal_sample_has_the_textbook_interval():
    sample = np.random.default_rng(0).normal(10, 2, 400)
    found = percentile_interval(lambda rows: sample[rows].mean(), 400, np.random.default_rng(1), n_resamples=4000)
    half = 1.96 * sample.std() / 20
    assert found.low == pytest.approx(sample.mean() - half, abs=0.02)
    assert found.high == pytest.approx(sample.mean() + half, abs=0.02)
    assert (found.n_resamples, found.n_undefined) == (4000, 0)


def test_two_patients_give_the_three_known_outcomes():
    # F1 of (both the found one, one of each, both the missed one) = 1, 2/3, 0 with chances 1/4, 1/2, 1/4.
    none = Overlap(0, 0, 0)
    found, missed = Detection(1, 0, 0), Detection(0, 0, 1)
    scores = [CaseScore("a", none, none, found, 0.001), CaseScore("b", none, none, missed, 0.001)]
    seen = []

    def statistic(rows):
        seen.append(gtvn_f1_agg([scores[i] for i in rows]))
        return seen[-1]

    found = percentile_interval(statistic, 2, np.random.default_rng(2), n_resamples=1000)
    values, counts = np.unique(seen, return_counts=True)
    assert values == pytest.approx([0, 2 / 3, 1])
    assert counts / 1000 == pytest.approx([0.25, 0.5, 0.25], abs=0.05)
    assert (found.low, found.high) == (0.0, 1.0)


def test_level_is_the_share_left_inside():
    found = percentile_interval(
        lambda rows: float(rows[0]), 1001, np.random.default_rng(3), n_resamples=20000, level=0.8
    )
    assert (found.low, found.high) == pytest.approx((100, 900), abs=15)


def test_same_seed_same_interval():
    sample = np.arange(30.0)
    a, b, c = (
        percentile_interval(lambda rows: sample[rows].mean(), 30, np.random.default_rng(seed), n_resamples=50)
        for seed in (5, 5, 6)
    )
    assert a == b
    assert a != c


def test_undefined_resamples_are_left_out_and_counted():
    # One event in three patients: a resample without patient 0, or of patient 0 alone, has no pair.
    time_days, event, risk = np.array([1, 2, 3]), np.array([1, 0, 0]), np.array([3.0, 2.0, 1.0])
    found = percentile_interval(
        lambda rows: c_index(time_days[rows], event[rows], risk[rows]),
        3,
        np.random.default_rng(7),
        n_resamples=900,
    )
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.n_undefined / 900 == pytest.approx((8 + 1) / 27, abs=0.05)
    never = percentile_interval(lambda rows: math.nan, 3, np.random.default_rng(0), n_resamples=10)
    assert math.isnan(never.low)
    assert never.n_undefined == 10


def test_refuses_no_patients_and_impossible_levels():
    with pytest.raises(InputError, match="0 patients"):
        percentile_interval(lambda rows: 0.0, 0, np.random.default_rng(0))
    with pytest.raises(InputError, match="level 95"):
        percentile_interval(lambda rows: 0.0, 3, np.random.default_rng(0), level=95)
