"""Mask thresholds: hand-worked overlaps, and no patient decides on their own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmpl.network.model import SegmentationNet
from mmpl.training import mask_thresholds
from mmpl.training.mask_thresholds import (
    CANDIDATES,
    PLAIN,
    OverlapTask,
    best_thresholds,
    count_overlaps,
    overlap,
    read_overlaps,
    read_peaks,
    thresholds_by_fold,
)
from mmpl.training.stages import SEGMENTATION, StageRun


def counts(gtvp_dice: dict[float, float], gtvn_dice: dict[float, float], gtvn_total: int = 100):
    """A patient whose Dice is this at these thresholds and 0 at the others."""

    def pairs(dice, total):
        return np.array([(dice.get(t, 0.0) * total / 2, total) for t in CANDIDATES])

    return {"GTVp": pairs(gtvp_dice, 100), "GTVn": pairs(gtvn_dice, gtvn_total)}


def test_overlap_counts_voxels():
    mask, truth = np.zeros((2, 4, 4, 4), bool)
    mask[0, :2], truth[0, 1:4] = True, True
    assert overlap(mask, truth) == (4, 8 + 12)


def test_gtvp_counts_patients_alike_and_gtvn_voxels():
    small = counts({0.3: 0.9, 0.5: 0.1}, {0.3: 0.9, 0.5: 0.1}, gtvn_total=10)
    large = counts({0.3: 0.2, 0.5: 0.8}, {0.3: 0.2, 0.5: 0.8}, gtvn_total=1000)
    # GTVp: mean Dice 0.55 against 0.45. GTVn: (9 + 200) / 1010 against (1 + 800) / 1010
    assert best_thresholds([small, large]) == (0.3, 0.5)


def test_a_patient_without_a_primary_does_not_vote_on_gtvp():
    none = {"GTVp": np.zeros((len(CANDIDATES), 2), int), "GTVn": counts({}, {0.4: 0.5})["GTVn"]}
    # at the lowest thresholds something is drawn in a patient who has nothing
    drawn = {"GTVp": np.array([(0, 7)] * 3 + [(0, 0)] * (len(CANDIDATES) - 3)), "GTVn": none["GTVn"]}
    assert best_thresholds([counts({0.35: 0.7}, {0.4: 0.5}), none, drawn]) == (0.35, 0.4)


def test_equal_thresholds_end_nearest_to_one_half():
    flat = counts(dict.fromkeys(CANDIDATES, 0.6), {0.3: 0.6, 0.45: 0.6})
    assert best_thresholds([flat]) == (0.5, 0.45)


def test_without_labels_or_lesions_they_are_one_half():
    assert best_thresholds([]) == PLAIN
    empty = np.zeros((len(CANDIDATES), 2), int)
    assert best_thresholds([{"GTVp": empty, "GTVn": empty}]) == PLAIN


def test_a_folds_patients_do_not_decide_on_their_own_thresholds():
    folds = {"a": 0, "b": 0, "c": 1, "d": 2}
    overlaps = {p: counts({0.4: 0.5}, {0.4: 0.5}) for p in folds}
    before = thresholds_by_fold(overlaps, folds, 3)
    overlaps["a"] = overlaps["b"] = counts({0.2: 1.0}, {0.6: 1.0})
    after = thresholds_by_fold(overlaps, folds, 3)
    assert before == [(0.4, 0.4)] * 3
    assert after[0] == before[0]
    assert after[1] == after[2] == (0.2, 0.6)


def test_overlaps_are_counted_once_with_the_lesions_peaks(tmp_path, tiny_config, write_arrays, monkeypatch):
    label = np.zeros((2, 39, 25, 25))
    label[0, 10:14, 10:14, 10:14] = label[1, 30:32, 5:7, 5:7] = label[1, 2:4, 5:7, 5:7] = 255
    path = tmp_path / "overlaps.json"
    run = StageRun(tiny_config, tmp_path, 0, SEGMENTATION)
    task = OverlapTask(run, write_arrays(tmp_path / "a", np.ones((2, 39, 25, 25)), label), path)
    monkeypatch.setattr(mask_thresholds, "trained_network", lambda run: SegmentationNet(run.config.network).eval())
    path.write_text(json.dumps({"GTVp": [], "GTVn": []}), encoding="utf-8")  # of a run before there were peaks
    count_overlaps(task)
    assert len(read_peaks(path)) == 3
    assert all(0 < peak < 1 for peak in read_peaks(path))
    counted = read_overlaps(path)
    assert {name: counts.shape for name, counts in counted.items()} == {"GTVp": (9, 2), "GTVn": (9, 2)}
    assert (counted["GTVp"][:, 1] >= 64).all()
    assert (counted["GTVn"][:, 1] >= 16).all()
    before = path.stat().st_mtime_ns
    count_overlaps(task)
    assert path.stat().st_mtime_ns == before


def test_thresholds_lie_where_a_bundle_takes_them():
    assert all(0 < t < 1 for t in CANDIDATES)
    assert pytest.approx(np.arange(0.2, 0.61, 0.05)) == CANDIDATES
