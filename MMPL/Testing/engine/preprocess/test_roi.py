"""Where the region of interest is put."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.geometry import Geometry, Volume
from mmpl.notices import ROI_FALLBACK
from mmpl.preprocess.grid import common_grid
from mmpl.preprocess.roi import clean_pet, cranial_slab, find_centre, roi_geometry, shifted_to_hold


def test_slab_is_the_top_quarter():
    slab = cranial_slab(Geometry((10, 11, 40), (1, 1, 1), (0, 0, -5)))
    assert slab.size == (10, 11, 10)
    assert slab.origin_mm == (0, 0, 25)
    assert cranial_slab(Geometry((10, 11, 1), (1, 1, 1), (0, 0, 0))).size[2] == 1


def test_brain_centroid_is_found(a_case, brain_lps):
    grid = common_grid(a_case.ct.geometry, a_case.pet.geometry)
    centre, notice = find_centre(a_case.pet, grid)
    assert notice is None
    # the slab is 100..199.9 mm; the sphere spans 100..180, so all of it counts
    np.testing.assert_allclose(centre, brain_lps, atol=1.5)


def test_largest_component_wins_over_a_hotter_small_one(sphere):
    geometry = Geometry((40, 40, 80), (3, 3, 3), (0, 0, 0))
    pet = 1 + 9.0 * sphere(geometry, (30, 60, 210), 20) + 50.0 * sphere(geometry, (100, 60, 210), 7)
    grid = common_grid(geometry, geometry)
    centre, _ = find_centre(Volume(pet.astype(np.float32), geometry), grid)
    np.testing.assert_allclose(centre, (30, 60, 210), atol=1.5)


def test_hot_bladder_below_the_slab_does_not_matter(sphere):
    geometry = Geometry((40, 40, 80), (3, 3, 3), (0, 0, 0))
    pet = 1 + 9.0 * sphere(geometry, (30, 60, 210), 20) + 500.0 * sphere(geometry, (90, 90, 50), 40)
    centre, _ = find_centre(Volume(pet.astype(np.float32), geometry), common_grid(geometry, geometry))
    np.testing.assert_allclose(centre, (30, 60, 210), atol=1.5)


@pytest.mark.parametrize(
    "direction",
    [((1, 0, 0), (0, 1, 0), (0, 0, -1)), ((0, 0, 1), (1, 0, 0), (0, -1, 0)), ((-1, 0, 0), (0, -1, 0), (0, 0, 1))],
)
def test_superior_is_plus_z_however_stored(direction, sphere):
    size, spacing = (41, 45, 51), (4, 4, 4)
    middle = Geometry(size, spacing, (0, 0, 0), direction).physical((20, 22, 25))
    geometry = Geometry(size, spacing, -middle, direction)
    low, high = geometry.bounds_lps()
    hot = np.array([5.0, -6.0, high[2] - 24])
    decoy = np.array([5.0, -6.0, low[2] + 24])
    pet = 1 + 9.0 * sphere(geometry, hot, 18) + 20.0 * sphere(geometry, decoy, 18)
    centre, notice = find_centre(Volume(pet.astype(np.float32), geometry), common_grid(geometry, geometry))
    assert notice is None
    np.testing.assert_allclose(centre, hot, atol=1.5)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_nothing_hot_falls_back_to_the_slab_centre(level):
    geometry = Geometry((21, 21, 41), (2, 2, 2), (0, 0, 0))
    grid = common_grid(geometry, geometry)  # 41 x 41 x 81 mm; slab of 20 voxels, 61..80
    centre, notice = find_centre(Volume(np.full(geometry.shape, level, np.float32), geometry), grid)
    np.testing.assert_allclose(centre, (20, 20, 70.5))
    assert notice.code == ROI_FALLBACK
    assert notice.text.endswith("check that the head is in the field of view.")


def test_box_in_the_middle_of_a_large_grid():
    grid = Geometry((400, 400, 600), (1, 1, 1), (-200, -200, -100))
    roi = roi_geometry(grid, (0.4, 0, 200))
    assert roi.size == (200, 200, 310)
    assert roi.origin_mm == (-96, -96, 48)  # the multiples of 12 nearest to -100 and to 200 - 155


def test_box_is_shifted_inside():
    grid = Geometry((300, 300, 400), (1, 1, 1), (0, 0, 0))
    roi = roi_geometry(grid, (290, 3, 399))
    low, high = roi.bounds_lps()
    np.testing.assert_array_equal(low, (96, 0, 84))  # the last multiples of 12 from which it ends inside
    np.testing.assert_array_equal(high, (295, 199, 393))


def test_without_room_for_a_multiple_of_12_the_box_is_where_it_fits():
    roi = roi_geometry(Geometry((205, 400, 310), (1, 1, 1), (1, 0, 5)), (103, 200, 160))
    assert roi.origin_mm == (3, 96, 5)  # x may start at 1 to 6


def test_a_centre_found_a_little_aside_gives_the_same_box():
    grid = Geometry((400, 400, 600), (1, 1, 1), (-203, -195, -101))
    boxes = {roi_geometry(grid, (x, 3.0, z)).origin_mm for x in (-1.4, 0.2, 1.3) for z in (198.7, 200.9)}
    assert boxes == {(-96, -96, 48)}
    for shifted in ((-7, 0, 0), (0, 5, 0), (0, 0, -11)):  # an oblique image's bounding box starts elsewhere
        moved = grid.cropped(shifted, np.array(grid.size) - shifted)
        assert roi_geometry(moved, (0.2, 3.0, 200)).origin_mm == (-96, -96, 48)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_smaller_grids_are_centred_and_padded(axis):
    size = [400, 400, 600]
    size[axis] = 101
    roi = roi_geometry(Geometry(size, (1, 1, 1), (0, 0, 0)), (200, 200, 300))
    box = (200, 200, 310)
    assert roi.size == box
    assert roi.origin_mm[axis] % 12 == 0
    assert abs(roi.origin_mm[axis] + (box[axis] - 101) // 2) <= 6


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_smaller_grid_lies_wholly_in_the_box(axis):
    for short in range(1, 15):
        for origin in range(-6, 6):
            size, start = [400, 400, 600], [0, 0, 0]
            size[axis] = (200, 200, 310)[axis] - short
            start[axis] = origin
            grid = Geometry(size, (1, 1, 1), start)
            first = roi_geometry(grid, (200, 200, 300)).index(grid.origin_mm)[axis]
            assert 0 <= first <= short


@pytest.mark.parametrize(
    ("low", "high", "moved"),
    [
        ((5, 5, 5), (100, 100, 100), (0, 0, 0)),
        ((-1, 5, 5), (100, 100, 100), (-16, 0, 0)),
        ((5, 5, 100), (100, 100, 326), (0, 0, 32)),  # 17 mm beyond index 309
        ((50, -16, 5), (215, 100, 100), (16, -16, 0)),
        ((5, 5, -100), (100, 100, 500), (0, 0, 48)),  # longer than the box: centred, 200 - 154.5 = 45.5 -> 48
        ((10, 5, 5), (200, 100, 100), (0, 0, 0)),  # 1 mm beyond 199; moved by 16, 6 mm would leave on the other side
        ((14, 5, 5), (205, 100, 100), (16, 0, 0)),  # 6 mm beyond; moved, 2 mm on the other side
    ],
)
def test_lattice_shift_by_hand(low, high, moved):
    roi = Geometry((200, 200, 310), (1, 1, 1), (7.25, -30.5, 11))
    shifted = shifted_to_hold(roi, roi.physical(low), roi.physical(high))
    np.testing.assert_allclose(np.subtract(shifted.origin_mm, roi.origin_mm), moved)
    assert shifted.size == roi.size


def test_pet_cleaning():
    values = np.array([-0.3, 0.0, 9.99e-4, 1e-3, 2.5], dtype=np.float32)
    np.testing.assert_array_equal(clean_pet(values), np.array([0, 0, 0, 1e-3, 2.5], np.float32))
    assert clean_pet(values).dtype == np.float32
