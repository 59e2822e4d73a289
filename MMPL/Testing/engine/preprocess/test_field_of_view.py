"""The heads' patch: where it lies and what pads it."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.preprocess.field_of_view import cut_patch, lesion_centroid, outcome_patch


def _coordinates(shape) -> np.ndarray:
    """Channel 0 holds the flat index of each voxel, channel 1 zeros."""
    return np.stack([np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.zeros(shape, np.float32)])


def test_centroid_by_hand():
    labels = np.zeros((5, 6, 7), np.uint8)
    assert lesion_centroid(labels) is None
    labels[1, 2, 3] = 1
    labels[3, 4, 3] = 2
    np.testing.assert_array_equal(lesion_centroid(labels), (2, 3, 3))


@pytest.mark.parametrize(
    ("centre", "start"), [((12, 12, 12), (8, 8, 8)), ((11.5, 11.5, 11.5), (8, 8, 8)), ((0, 29, 40), (0, 22, 32))]
)
def test_patch_is_shifted_inside(centre, start):
    array = _coordinates((24, 30, 40))
    z, y, x = start
    expected = array[:, z : z + 8, y : y + 8, x : x + 8]
    np.testing.assert_array_equal(cut_patch(array, centre, 8), expected)


def test_small_grids_are_padded_with_air():
    array = _coordinates((4, 20, 20)) + 5
    patch = cut_patch(array, (1, 10, 10), 8)
    np.testing.assert_array_equal(patch[:, 2:6], array[:, :, 6:14, 6:14])
    assert (patch[0, :2] == 5).all()  # the lowest PET
    assert (patch[1, 6:] == -1).all()


@pytest.mark.parametrize("centre", [(12, 12, 12), (0, 0, 0), (23, 29, 39), (3, 20, 8)])
def test_margin_surrounds_the_same_window(centre):
    """Training cuts wider than inference; what it keeps without augmentation is inference's patch."""
    array = _coordinates((24, 30, 40))
    wide = cut_patch(array, centre, 8, margin=5)
    assert wide.shape == (2, 18, 18, 18)
    np.testing.assert_array_equal(wide[:, 5:-5, 5:-5, 5:-5], cut_patch(array, centre, 8))


def test_outcome_patch_looks_where_the_lesion_is():
    array = np.zeros((2, 103, 67, 67), np.float32)
    array[0, 50, 30, 40] = 1  # network voxel (50, 30, 40) holds 1 mm voxels 150-152, 90-92, 120-122
    patch = outcome_patch(array, (151, 91, 121), 3.0)
    assert patch.shape == (2, 48, 48, 48)
    z, y, x = np.argwhere(patch[0] == 1)[0]
    # start is round(index - 23.5), kept within 0 .. n - 48
    assert (z, y, x) == (50 - 26, 30 - 6, 40 - 16)
