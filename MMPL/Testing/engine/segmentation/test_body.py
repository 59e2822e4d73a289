"""Where the patient is."""

from __future__ import annotations

import numpy as np

from mmpl.segmentation.body import body_box
from mmpl.segmentation.regions import Box, whole

AIR, TISSUE = -1.0, 0.04


def test_the_box_around_the_largest_part_with_a_margin():
    array = np.zeros((2, 40, 50, 60), np.float32)
    array[1] = AIR
    array[1, 10:30, 20:40, 15:45] = TISSUE
    array[1, 2:4, 2:4, 2:4] = TISSUE  # a cushion
    assert body_box(array, 4.0) == Box((8, 18, 13), (32, 42, 47))
    # in cells of 4 voxels the patient is 8..32, 20..40, 12..48
    assert body_box(array, 1.0) == Box((0, 12, 4), (40, 48, 56))


def test_air_inside_the_patient_belongs_to_them():
    array = np.full((2, 20, 20, 20), AIR, np.float32)
    array[1, 4:16, 4:16, 4:16] = TISSUE
    array[1, 8:12, 8:12, 8:12] = AIR
    assert body_box(array, 8.0) == Box((3, 3, 3), (17, 17, 17))


def test_without_a_patient_everything_is_looked_at():
    assert body_box(np.full((2, 8, 9, 10), AIR, np.float32), 1.0) == whole((8, 9, 10))
