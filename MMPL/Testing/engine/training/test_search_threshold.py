"""The search threshold, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.training.mask_thresholds import CANDIDATES
from mmpl.training.search_threshold import HIGHEST, SearchThreshold, fit_search_threshold, lesion_peaks


def test_peak_of_each_lesion_whichever_class_sees_it():
    label = np.zeros((2, 6, 6, 6), np.uint8)
    label[0, 0:2, 0:2, 0:2] = 255
    label[1, 4, 4, 4] = 128
    label[1, 5, 5, 5] = 200  # joined by a corner: one lesion
    label[1, 0, 5, 5] = 127  # less than half a voxel: none
    probabilities = np.zeros((2, 6, 6, 6), np.float32)
    probabilities[1, 1, 1, 1] = 0.7  # GTVp taken for a node
    probabilities[1, 5, 5, 5] = 0.25
    probabilities[0, 0, 5, 5] = 1.0
    assert lesion_peaks(probabilities, label) == pytest.approx([0.7, 0.25])
    assert lesion_peaks(probabilities, np.zeros_like(label)) == []


@pytest.mark.parametrize(
    ("peaks", "value", "missed"),
    [
        ([0.9, 0.5, 0.3], 0.1, 0),  # never above 0.1
        ([0.9, 0.02, 0.3], 0.01, 0),  # half of the lowest
        ([0.9, 0.02, 0.0004], 0.01, 1),  # a lesion that the network says nothing of cannot be searched for
        ([0.0, 0.0], 0.1, 2),
        ([0.9, 0.0012], 0.001, 0),  # never below 0.001
    ],
)
def test_half_of_the_lowest_peak(peaks, value, missed):
    assert fit_search_threshold(peaks) == SearchThreshold(pytest.approx(value), len(peaks), missed)


def test_without_lesions_everything_is_searched():
    assert fit_search_threshold([]) == SearchThreshold(0.0, 0, 0)


def test_none_is_above_a_threshold_of_masks():
    assert min(CANDIDATES) >= HIGHEST
