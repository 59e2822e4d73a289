"""What a network says of a patient it did not train on is computed once, and kept without loss where masks are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mmpl.network.model import SegmentationNet
from mmpl.preprocess.prepare import prepare
from mmpl.steps import draw, probabilities_at_1mm
from mmpl.training import stages, unseen
from mmpl.training.mask_thresholds import CANDIDATES
from mmpl.training.stages import SEGMENTATION, StageRun
from mmpl.training.unseen import (
    LEAST,
    keep_probabilities,
    kept_path,
    kept_probabilities,
    unseen_labels,
    unseen_probabilities,
)

SPACING_MM = 4.0


def smooth(seed: int) -> np.ndarray:
    """Probabilities with blobs, some at the border, on a floor that is low but nowhere zero."""
    noise = np.random.default_rng(seed).normal(size=(2, 18, 14, 12))
    blurred = ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 1.5))
    logits = 8 * (blurred / blurred.std() - 1.5)
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_masks_are_the_same_from_what_is_kept(tmp_path, empty_roi, seed):
    probabilities, roi = smooth(seed), empty_roi((72, 56, 48))
    probabilities[:, 12:] *= 0.05  # an end that need not be kept whole
    keep_probabilities(tmp_path / "kept" / "c.npz", probabilities)
    kept = kept_probabilities(tmp_path / "kept" / "c.npz")
    assert kept.dtype == np.float32
    assert np.count_nonzero(kept) < probabilities.size
    for threshold in CANDIDATES:
        pair = (threshold, CANDIDATES[-1] + CANDIDATES[0] - threshold)
        whole, from_kept = (
            draw(roi, probabilities_at_1mm(roi, p, SPACING_MM, min(pair)), pair) for p in (probabilities, kept)
        )
        assert whole.any(), pair
        np.testing.assert_array_equal(from_kept, whole)


def test_no_threshold_is_as_low_as_what_is_dropped():
    assert min(CANDIDATES) > LEAST


def test_where_nothing_is_likely_nothing_is_kept(tmp_path):
    path = tmp_path / "c.npz"
    keep_probabilities(path, np.full((2, 5, 6, 7), LEAST / 2, np.float32))
    kept = kept_probabilities(path)
    assert kept.shape == (2, 5, 6, 7)
    assert not kept.any()


@pytest.fixture
def passes(monkeypatch, tiny_config):
    """The networks' passes; they find one lesion."""
    made = []

    def run(image, members, plan, **how):
        made.append(image.shape)
        probabilities = np.zeros(image.shape, np.float32)
        probabilities[0, 18:22, 10:14, 10:14] = 0.9
        return probabilities

    monkeypatch.setattr(unseen, "segment_by_plan", run)
    monkeypatch.setattr(stages, "trained_network", lambda run: SegmentationNet(run.config.network).eval())
    return made


def test_one_pass_serves_every_threshold(tmp_path, tiny_config, tiny_case, passes):
    run, roi = StageRun(tiny_config, tmp_path, 0, SEGMENTATION), prepare(tiny_case)
    first = unseen_labels(run, "TINY-1", roi, (0.5, 0.5))
    assert first.any()
    wider = unseen_labels(run, "TINY-1", roi, (0.2, 0.5))
    assert np.count_nonzero(wider) > np.count_nonzero(first)
    assert len(passes) == 1
    unseen_labels(run, "TINY-2", roi, (0.5, 0.5))
    unseen_labels(replace(run, folder=tmp_path / "another network"), "TINY-1", roi, (0.5, 0.5))
    assert len(passes) == 3


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"no archive"])
def test_a_damaged_file_is_made_anew(tmp_path, tiny_config, tiny_case, passes, damage):
    run, roi = StageRun(tiny_config, tmp_path, 0, SEGMENTATION), prepare(tiny_case)
    first = unseen_labels(run, "TINY-1", roi, (0.5, 0.5))
    path = kept_path(run, "TINY-1")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(unseen_labels(run, "TINY-1", roi, (0.5, 0.5)), first)
    assert len(passes) == 2
    assert kept_probabilities(path) is not None


def test_a_file_with_any_byte_damaged_is_refused_or_read_as_it_was(tmp_path):
    path, probabilities = tmp_path / "c.npz", smooth(0)[:, :6, :6, :6]
    keep_probabilities(path, probabilities)
    whole, first = path.read_bytes(), kept_probabilities(path)
    refused = 0
    for n in range(len(whole)):
        path.write_bytes(whole[:n] + bytes([whole[n] ^ 0xFF]) + whole[n + 1 :])
        kept = kept_probabilities(path)
        refused += kept is None
        assert kept is None or np.array_equal(kept, first)  # a time stamp, say
    assert refused > len(whole) / 2


def test_probabilities_asked_for_whole_are_whole(tmp_path, tiny_config, tiny_case, passes):
    """Lesions' peaks may lie below what is kept: they are never read from a kept file."""
    run, roi = StageRun(tiny_config, tmp_path, 0, SEGMENTATION), prepare(tiny_case)
    for count in (1, 2):
        assert unseen_probabilities(run, "TINY-1", roi).max() == np.float32(0.9)
        assert len(passes) == count
