"""The common 1 mm grid by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry
from mmpl.preprocess.grid import common_grid


def _grid(size, spacing, origin, **more) -> Geometry:
    return Geometry(size, spacing, origin, **more)


def test_box_is_the_intersection_of_voxel_centres():
    ct = _grid((11, 21, 31), (2, 1, 1), (0, -5, 10))  # 0..20, -5..15, 10..40
    pet = _grid((5, 5, 5), (4, 6, 8), (3.5, -10, 0))  # 3.5..19.5, -10..14, 0..32
    grid = common_grid(ct, pet)
    assert grid.origin_mm == (4, -5, 10)  # 3.5 rounded up
    assert grid.size == (17, 20, 23)  # 4..20, -5..14, 10..32, ends included
    assert grid.spacing_mm == (1, 1, 1)
    np.testing.assert_array_equal(grid.direction, np.eye(3))


@pytest.mark.parametrize(("end", "size"), [(1.4, 2), (1.5, 3), (1.7, 3)])
def test_ends_between_grid_points_are_rounded(end, size):
    grid = common_grid(_grid((4, 4, 4), (1, 1, 1), (0, 0, 0)), _grid((2, 2, 2), (end, end, end), (0, 0, 0)))
    assert grid.origin_mm == (0, 0, 0)
    assert grid.size == (size, size, size)


def test_the_same_place_has_the_same_grid_points_wherever_the_images_start():
    ct = _grid((200, 200, 200), (1, 1, 1), (-100, -100, -100))
    for start in (-20.3, -19.8, -7.45, 0.0, 0.49):
        grid = common_grid(ct, _grid((30, 30, 30), (3.27, 3.27, 3.27), (start, start, start)))
        assert grid.origin_mm == (round(start),) * 3


def test_rounding_noise_costs_no_voxel():
    grid = common_grid(_grid((301, 2, 2), (0.1, 1, 1), (0.3, 0, 0)), _grid((301, 2, 2), (0.1, 1, 1), (0.3, 0, 0)))
    assert grid.size[0] == 31


def test_flipped_and_oblique_inputs_give_an_identity_grid():
    flip = ((-1, 0, 0), (0, -1, 0), (0, 0, 1))
    ct = _grid((11, 11, 11), (1, 1, 1), (10, 10, 0), direction=flip)  # 0..10 in x and y
    pet = _grid((11, 11, 11), (1, 1, 1), (2, 3, 4))
    grid = common_grid(ct, pet)
    assert (grid.origin_mm, grid.size) == ((2, 3, 4), (9, 8, 7))
    half = np.sqrt(0.5)
    turned = _grid((11, 11, 11), (1, 1, 1), (0, 0, 0), direction=((half, -half, 0), (half, half, 0), (0, 0, 1)))
    wide = _grid((101, 101, 101), (1, 1, 1), (-50, -50, -50))
    # a square of 10 mm turned by 45 degrees spans 14.14 mm in x, centred on 0, and 0..14.14 in y
    grid = common_grid(wide, turned)
    assert grid.origin_mm == (-7, 0, 0)  # -7.07 rounded
    assert grid.size == (15, 15, 11)


def test_touching_in_one_plane_is_one_voxel():
    grid = common_grid(_grid((5, 5, 5), (1, 1, 1), (0, 0, 0)), _grid((5, 5, 5), (1, 1, 1), (0, 0, 4)))
    assert grid.size == (5, 5, 1)
    assert grid.origin_mm == (0, 0, 4)


@pytest.mark.parametrize(
    ("origin", "where"),
    [
        ((44.5, 0, 0), "40.5 mm apart in the left-right direction"),
        ((0, -24, 0), "20.0 mm apart in the front-back direction"),
        ((0, 0, 500), "496.0 mm apart in the head-foot direction"),
    ],
)
def test_no_overlap_is_an_error_that_says_where(origin, where):
    with pytest.raises(GeometryError) as error:
        common_grid(_grid((5, 5, 5), (1, 1, 1), (0, 0, 0)), _grid((5, 5, 5), (1, 1, 1), origin), case_id="P-7")
    assert str(error.value) == (
        f"P-7: PET and CT do not overlap ({where}); check that both belong to the same patient and study"
    )
