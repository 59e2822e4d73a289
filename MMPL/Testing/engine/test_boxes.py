"""Boxes around what is not zero."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.boxes import bounding_box


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
def test_the_box_reaches_from_the_first_to_the_last_voxel(dtype):
    array = np.zeros((5, 6, 7), dtype)
    array[1, 4, 2] = 1
    array[3, 2, 5] = 1
    assert bounding_box(array) == (slice(1, 4), slice(2, 5), slice(2, 6))


def test_negative_values_count():
    array = np.zeros((3, 3), np.int16)
    array[2, 0] = -1
    assert bounding_box(array) == (slice(2, 3), slice(0, 1))


def test_a_margin_ends_at_the_border():
    array = np.zeros((5, 6, 7), np.uint8)
    array[0, 3, 5] = 9
    assert bounding_box(array, 1) == (slice(0, 2), slice(2, 5), slice(4, 7))
    assert bounding_box(array, (0, 1, 2)) == (slice(0, 1), slice(2, 5), slice(3, 7))


@pytest.mark.parametrize("shape", [(4, 4, 4), (0, 4, 4)])
def test_nothing_has_no_box(shape):
    assert bounding_box(np.zeros(shape, bool)) is None


def test_a_view_that_is_not_contiguous():
    array = np.zeros((8, 8, 8), bool)
    array[2, 4, 6] = True
    assert bounding_box(array[::2, ::2, ::2].transpose(2, 1, 0)) == (slice(3, 4), slice(2, 3), slice(1, 2))
