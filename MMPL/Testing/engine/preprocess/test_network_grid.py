"""Lengths, averages and intensities on the networks' grid."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.boxes import bounding_box
from mmpl.case import RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.lengths import padded_voxels, voxels_of
from mmpl.preprocess.network_grid import (
    background_values,
    felt_on_roi,
    network_input,
    pet_statistics,
    roi_index_to_network,
    to_network_grid,
    to_roi_grid,
)


def _roi(ct_hu: np.ndarray, pet_suv: np.ndarray) -> RoiCase:
    geometry = Geometry(ct_hu.shape[::-1], (1, 1, 1), (0, 0, 0))
    pet = Volume(pet_suv.astype(np.float32), geometry)
    return RoiCase("c", ct_hu.astype(np.float32), pet.array, geometry, (0, 0, 0), geometry, pet, "SUVbw")


@pytest.mark.parametrize(
    ("length", "spacing", "voxels", "padded"),
    [(128, 1, 128, 128), (128, 3, 43, 48), (128, 2, 64, 64), (200, 3, 67, 80), (310, 3, 103, 112), (1, 3, 1, 16)],
)
def test_lengths_are_physical(length, spacing, voxels, padded):
    assert voxels_of(length, spacing) == voxels
    assert padded_voxels(length, spacing) == padded


@pytest.mark.parametrize("spacing", [1, 1.0])
def test_at_one_millimetre_nothing_changes(spacing):
    array = np.random.default_rng(0).normal(size=(7, 8, 9)).astype(np.float32)
    np.testing.assert_array_equal(to_network_grid(array, spacing), array)
    assert not np.shares_memory(to_network_grid(array, spacing), array)
    np.testing.assert_allclose(to_roi_grid(array, spacing, array.shape), array, atol=1e-6)


@pytest.mark.parametrize("spacing", [3, 3.0])
def test_three_millimetre_voxels_are_block_means(spacing):
    array = np.random.default_rng(0).normal(size=(6, 9, 12)).astype(np.float32)
    blocks = array.reshape(2, 3, 3, 3, 4, 3).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(to_network_grid(array, spacing), blocks, atol=1e-6)


def test_last_voxel_averages_what_is_there():
    array = np.arange(8, dtype=np.float32).reshape(8, 1, 1) * np.ones((1, 3, 3), np.float32)
    # 8 mm are 2.67 voxels: 0-2, 3-5, and 6-7
    np.testing.assert_allclose(to_network_grid(array, 3.0)[:, 0, 0], [1, 4, 6.5])


def test_up_sampling_is_exact_on_ramps():
    shape = (12, 15, 18)
    z, y, x = np.indices(shape, dtype=np.float32)
    ramp = 2 * z - y + 0.5 * x + 3
    up = to_roi_grid(to_network_grid(ramp, 3.0), 3.0, shape)
    assert up.shape == shape
    inner = (slice(1, -1),) * 3  # outermost voxels lie beyond the last centre and take its value
    np.testing.assert_allclose(up[inner], ramp[inner], atol=1e-4)
    assert up[0, 5, 5] == pytest.approx(up[1, 5, 5], abs=1e-5)


@pytest.mark.parametrize("spacing", [1.0, 2.5, 4.0])
@pytest.mark.parametrize(
    "box",
    [
        (slice(0, 27), slice(0, 22), slice(0, 31)),
        (slice(3, 9), slice(21, 22), slice(10, 31)),
        (slice(0, 1), slice(7, 13), slice(0, 30)),
        (slice(4, 4), slice(7, 13), slice(0, 0)),
    ],
)
def test_a_part_is_that_part_of_the_whole(spacing, box):
    shape = (27, 22, 31)
    array = np.random.default_rng(1).random(tuple(voxels_of(n, spacing) for n in shape), dtype=np.float32)
    part = to_roi_grid(array, spacing, shape, box)
    assert part.dtype == np.float32
    np.testing.assert_allclose(part, to_roi_grid(array, spacing, shape)[box], rtol=3e-7)


@pytest.mark.parametrize("spacing", [1.0, 2.5, 4.0])
def test_what_a_box_is_felt_by_is_what_changes_with_it(spacing):
    shape_1mm, draw = (27, 22, 31), np.random.default_rng(2)
    shape = tuple(voxels_of(n, spacing) for n in shape_1mm)
    for _ in range(20):
        ends = [sorted(draw.choice(n + 1, 2, replace=False)) for n in shape]
        box, array = tuple(slice(*pair) for pair in ends), np.zeros(shape, np.float32)
        array[box] = 1
        assert felt_on_roi(box, spacing, shape, shape_1mm) == bounding_box(to_roi_grid(array, spacing, shape_1mm) > 0)
    assert felt_on_roi((slice(0, 0),) * 3, spacing, shape, shape_1mm) == (slice(0, 0),) * 3


def test_indices_are_mapped_by_voxel_centres():
    # network voxel 0 covers 1 mm voxels 0, 1, 2: its centre is index 1
    np.testing.assert_allclose(roi_index_to_network([1, 4, 2.5], 3.0), [0, 1, 0.5])


def test_intensities_by_hand():
    ct = np.array([[[-2000.0, -1024, 0, 512, 3000]]])
    pet = np.array([[[0.0, 0, 2, 4, 6]]])
    image = network_input(_roi(ct, pet), 1.0)
    np.testing.assert_allclose(image[1, 0, 0], [-1, -1, 0, 0.5, 1])
    # non-zero voxels 2, 4, 6: mean 4, population sd sqrt(8/3)
    np.testing.assert_allclose(image[0, 0, 0], (np.array([0, 0, 2, 4, 6]) - 4) / np.sqrt(8 / 3), rtol=1e-6)
    assert background_values(image) == pytest.approx((-4 / np.sqrt(8 / 3), -1.0))


def test_flat_and_empty_pet():
    assert pet_statistics(np.zeros((2, 2, 2), np.float32)) == (0.0, 1.0)
    assert pet_statistics(np.full((2, 2, 2), 3, np.float32)) == (3.0, 1.0)
    image = network_input(_roi(np.zeros((3, 3, 3)), np.zeros((3, 3, 3))), 1.0)
    assert (image[0] == 0).all()
