"""Dose-volume figures by hand and against an analytic gradient."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.dose.statistics import dose_at_volume, dose_statistics
from mmpl.errors import InputError


def figures(doses, levels=(50.0,)):
    dose = np.asarray(doses, dtype=np.float32).reshape(1, 1, -1)
    return dose_statistics(dose, np.ones(dose.shape, dtype=bool), 0.5, levels)


def test_twenty_voxels_by_hand():
    found = figures(range(41, 61), levels=(50, 60, 61))  # 41 .. 60 Gy
    assert found.volume_ml == 10.0
    assert found.covered_share == 1.0
    assert found.mean_gy == pytest.approx(50.5)
    assert (found.min_gy, found.max_gy) == (41, 60)
    assert found.d95_gy == 42  # 19 of 20 voxels receive 42 Gy or more
    assert found.d98_gy == 41  # 19.6 voxels: the 20th
    assert found.d50_gy == 51  # 10 of 20 receive 51 Gy or more
    assert found.d2_gy == 60
    assert found.v_percent == pytest.approx((55.0, 5.0, 0.0))
    assert found.reason is None


def test_d2_of_a_hundred_voxels_is_the_second_highest():
    assert figures(range(100)).d2_gy == 98
    assert figures(range(100)).d98_gy == 2


@pytest.mark.parametrize("count", [1, 2, 7, 20, 99, 100, 101, 250])
@pytest.mark.parametrize("percent", [98.0, 95.0, 50.0, 2.0])
def test_the_definition_holds_voxel_by_voxel(count, percent):
    doses = np.sort(np.random.default_rng(count).uniform(0, 70, count))[::-1]
    found = dose_at_volume(doses, percent)
    assert np.mean(doses >= found) * 100 >= percent - 1e-9
    higher = doses[doses > found]
    assert len(higher) == 0 or np.mean(doses >= higher.min()) * 100 < percent


def test_a_level_is_reached_by_a_dose_that_was_rounded_below_it():
    rounded = np.float32(6999.96 * 0.01)
    assert figures([rounded] * 4, levels=(70.0,)).v_percent == (100.0,)
    assert figures([69.99] * 4, levels=(70.0,)).v_percent == (0.0,)


def test_the_part_without_dose_does_not_count():
    found = figures([np.nan, 40, 60, np.nan], levels=(50.0,))
    assert found.covered_share == 0.5
    assert found.volume_ml == 2.0
    assert (found.mean_gy, found.min_gy, found.d95_gy) == (50, 40, 40)
    assert found.v_percent == (50.0,)


def test_nothing_is_given_outside_the_dose_or_of_an_empty_contour():
    outside = figures([np.nan] * 3)
    assert outside.covered_share == 0.0
    assert outside.mean_gy is outside.d95_gy is outside.v_percent is None
    assert outside.reason == "the contour lies outside the dose grid"
    empty = dose_statistics(np.ones((1, 1, 2)), np.zeros((1, 1, 2), dtype=bool), 1.0)
    assert (empty.volume_ml, empty.covered_share, empty.mean_gy) == (0.0, None, None)
    assert empty.reason == "the contour is empty"


@pytest.mark.parametrize("mask", [np.ones((1, 1, 3)), np.ones((1, 1, 2), dtype=bool)], ids=["float", "other shape"])
def test_a_mask_that_does_not_fit_is_refused(mask):
    with pytest.raises(InputError, match="dose figures: the mask is"):
        dose_statistics(np.ones((1, 1, 3)), mask, 1.0)


def test_a_sphere_in_a_linear_dose():
    """Share of a sphere of radius r above height h: (2 - 3 h/r + (h/r)^3) / 4 of its volume."""
    radius, centre_gy, slope = 30.0, 60.0, 0.5
    z, y, x = np.meshgrid(*[np.arange(-31, 31) + 0.5] * 3, indexing="ij")
    found = dose_statistics(centre_gy + slope * z, x**2 + y**2 + z**2 < radius**2, 1e-3, (50.0, 60.0, 70.0))

    def share_above(gy):
        t = (gy - centre_gy) / slope / radius
        return (2 - 3 * t + t**3) / 4

    assert found.mean_gy == pytest.approx(centre_gy, abs=1e-9)
    assert found.v_percent == pytest.approx([100 * share_above(gy) for gy in (50, 60, 70)], abs=0.5)
    for dose, percent in ((found.d98_gy, 98), (found.d95_gy, 95), (found.d50_gy, 50), (found.d2_gy, 2)):
        # the dose steps by one layer of voxels: 0.5 Gy
        assert 100 * share_above(dose + 0.26) - 0.5 <= percent <= 100 * share_above(dose - 0.26) + 0.5
