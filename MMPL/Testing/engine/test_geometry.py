"""Voxel positions, bounds, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry, Volume, geometry_of_image, image_from_volume, volume_from_image

QUARTER_TURN = ((0, -1, 0), (1, 0, 0), (0, 0, 1))  # index i runs along +y, index j along -x
COS, SIN = np.cos(0.4), np.sin(0.4)
OBLIQUE = ((COS, 0, SIN), (0, 1, 0), (-SIN, 0, COS))


def test_physical_position_by_hand():
    geometry = Geometry((4, 5, 6), (2, 3, 4), (10, 20, 30), QUARTER_TURN)
    # i = 1 moves 2 mm along +y, j = 2 moves 6 mm along -x, k = 3 moves 12 mm along +z
    np.testing.assert_allclose(geometry.physical((1, 2, 3)), (4, 22, 42))


@pytest.mark.parametrize("direction", [QUARTER_TURN, OBLIQUE])
def test_index_undoes_physical(direction):
    geometry = Geometry((4, 5, 6), (0.97, 1.5, 3.27), (-10, 20, -300), direction)
    points = np.random.default_rng(0).uniform(-5, 12, (20, 3))
    np.testing.assert_allclose(geometry.index(geometry.physical(points)), points, atol=1e-9)


def test_a_grid_holds_what_lies_in_its_voxels_and_on_their_borders():
    """Two voxels of 3 mm along x about 1 and 4 mm: they reach from -0.5 to 5.5 mm, less what sums round."""
    grid = Geometry((2, 1, 1), (3.0, 1.0, 1.0), (1.0, 0.0, 0.0))
    x = [-0.51, -0.5, -0.5 - 1e-7, 2.5, 5.5 + 1e-7, 5.51]
    assert grid.holds([(value, 0.0, 0.0) for value in x]).tolist() == [False, True, True, True, True, False]
    assert not grid.holds([(1.0, 0.6, 0.0)]).any()


def test_physical_is_simpleitks():
    image = sitk.Image((7, 6, 5), sitk.sitkFloat32)
    image.SetSpacing((0.9, 1.1, 3.0))
    image.SetOrigin((-100, 12, 7))
    image.SetDirection(np.ravel(OBLIQUE).tolist())
    expected = image.TransformContinuousIndexToPhysicalPoint((1.5, 2.25, 3.75))
    np.testing.assert_allclose(geometry_of_image(image).physical((1.5, 2.25, 3.75)), expected, atol=1e-9)


def test_bounds_of_an_oblique_grid_hold_its_corners():
    # a 2D rotation by 0.4 rad in x-z of a 10 x 0 x 20 mm frame: extremes are sums of projected edges
    geometry = Geometry((11, 1, 11), (1, 1, 2), (0, 0, 0), OBLIQUE)
    low, high = geometry.bounds_lps()
    np.testing.assert_allclose(low, (0, 0, -10 * SIN), atol=1e-12)
    np.testing.assert_allclose(high, (10 * COS + 20 * SIN, 0, 20 * COS), atol=1e-12)


def test_bounds_of_a_flipped_grid():
    low, high = Geometry((3, 3, 3), (2, 2, 2), (10, 0, 0), ((-1, 0, 0), (0, 1, 0), (0, 0, 1))).bounds_lps()
    np.testing.assert_array_equal(low, (6, 0, 0))
    np.testing.assert_array_equal(high, (10, 4, 4))


def test_is_close_follows_positions_not_headers():
    geometry = Geometry((100, 100, 100), (1, 1, 1), (0, 0, 0))
    assert geometry.is_close(Geometry((100, 100, 100), (1, 1, 1), (5e-4, 0, 0)))
    assert not geometry.is_close(Geometry((100, 100, 100), (1, 1, 1), (2e-3, 0, 0)))
    # 2e-5 mm in the spacing adds up to 2e-3 mm at the far end
    assert not geometry.is_close(Geometry((100, 100, 100), (1.00002, 1, 1), (0, 0, 0)))
    assert not geometry.is_close(Geometry((100, 100, 99), (1, 1, 1), (0, 0, 0)))


@pytest.mark.parametrize(
    ("direction", "aligned"),
    [(QUARTER_TURN, True), (((-1, 0, 0), (0, 1, 0), (0, 0, -1)), True), (OBLIQUE, False)],
)
def test_axis_alignment(direction, aligned):
    assert Geometry((2, 2, 2), (1, 1, 1), (0, 0, 0), direction).is_axis_aligned() is aligned


def test_cropped_starts_where_asked_even_outside():
    geometry = Geometry((10, 10, 10), (1, 2, 3), (0, 0, 0), QUARTER_TURN)
    part = geometry.cropped((-1, 2, 3), (4, 5, 6))
    np.testing.assert_allclose(part.origin_mm, (-4, -1, 9))
    assert part.size == (4, 5, 6)
    assert part.shape == (6, 5, 4)


def test_voxel_volume():
    assert Geometry((2, 2, 2), (0.5, 2, 4), (0, 0, 0)).voxel_volume_ml == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": (0, 2, 2)}, "every axis needs at least one voxel"),
        ({"spacing_mm": (1, -1, 1)}, "must be positive on every axis"),
        ({"spacing_mm": (1, float("nan"), 1)}, "must be positive on every axis"),
        ({"origin_mm": (0, float("inf"), 0)}, "must be finite"),
        ({"direction": ((1, 0, 0), (1, 0, 0), (0, 0, 1))}, "not orthonormal"),
    ],
)
def test_impossible_geometries_are_refused(wrong, said):
    good = {"size": (2, 2, 2), "spacing_mm": (1, 1, 1), "origin_mm": (0, 0, 0)}
    with pytest.raises(GeometryError, match=said):
        Geometry(**{**good, **wrong})


def test_a_volume_checks_its_shape():
    with pytest.raises(GeometryError, match=r"\(2, 3, 4\).*\(4, 3, 2\)"):
        Volume(np.zeros((2, 3, 4)), Geometry((2, 3, 4), (1, 1, 1), (0, 0, 0)))


def test_image_round_trip():
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    volume = Volume(array, Geometry((5, 4, 3), (0.9, 1.1, 3), (1, 2, 3), QUARTER_TURN))
    back = volume_from_image(image_from_volume(volume))
    np.testing.assert_array_equal(back.array, array)
    assert back.geometry.is_close(volume.geometry, 1e-9)
    mask = image_from_volume(volume.with_array(array > 0))
    assert mask.GetPixelID() == sitk.sitkUInt8


def test_a_trimmed_volume_keeps_every_voxel_where_it_is():
    array = np.zeros((6, 7, 8), np.uint8)
    array[2:4, 0, 5] = 3
    whole = Volume(array, Geometry((8, 7, 6), (0.9, 1.1, 3), (1, 2, 3), QUARTER_TURN))
    part = whole.trimmed()
    assert part.array.shape == (4, 2, 3)  # a voxel around it, where there is one
    places = [v.geometry.physical(np.argwhere(v.array)[:, ::-1]) for v in (whole, part)]
    np.testing.assert_allclose(*places)


def test_nothing_is_trimmed_to_a_single_voxel():
    part = Volume(np.zeros((6, 7, 8), np.uint8), Geometry((8, 7, 6), (1, 1, 1), (0, 0, 0))).trimmed()
    assert part.array.shape == (1, 1, 1)
    assert not part.array.any()


def test_outer_corners_lie_half_a_voxel_beyond_the_centres():
    corners = Geometry((2, 3, 4), (1, 2, 3), (10, 20, 30)).outer_corners_lps
    assert corners.min(axis=0) == pytest.approx([9.5, 19, 28.5])
    assert corners.max(axis=0) == pytest.approx([11.5, 25, 40.5])
