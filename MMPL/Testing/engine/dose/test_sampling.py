"""A dose on another grid."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.dose.sampling import dose_on
from mmpl.geometry import Geometry, Volume

DOSE_GRID = Geometry((12, 11, 10), (3, 3, 4), (-18, -16, -20))
TURN = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])


def points_of(grid):
    k, j, i = np.indices(grid.shape)
    return grid.physical(np.stack([i, j, k], axis=-1))


def linear_dose(points):
    return 40 + points @ (0.3, -0.2, 0.5)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1, 1, -1]), TURN], ids=["plain", "flipped", "oblique"])
def test_a_linear_dose_is_sampled_exactly(direction):
    grid = Geometry((9, 8, 7), (1.1, 0.9, 1.3), direction @ np.array([-5, -4, -4]), direction)
    dose = Volume(linear_dose(points_of(DOSE_GRID)).astype(np.float32), DOSE_GRID)
    sampled = dose_on(dose, grid)
    assert sampled.dtype == np.float32
    np.testing.assert_allclose(sampled, linear_dose(points_of(grid)), rtol=1e-5)


@pytest.mark.parametrize("direction", [np.eye(3), TURN], ids=["plain", "oblique"])
def test_there_is_no_dose_beyond_half_a_voxel(direction):
    grid = Geometry((60, 5, 5), (1, 1, 1), direction @ np.array([-30, 0, 0]), direction)
    sampled = dose_on(Volume(np.full(DOSE_GRID.shape, 60, np.float32), DOSE_GRID), grid)
    index = DOSE_GRID.index(points_of(grid))
    inside = np.all((index >= -0.5) & (index <= np.array(DOSE_GRID.size) - 0.5), axis=-1)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(np.isfinite(sampled), inside)
    np.testing.assert_allclose(sampled[inside], 60)
