"""Mask thresholds: hand-worked overlaps, and no patient decides on their own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mmpl.preprocess.network_grid import to_roi_grid
from mmpl.steps import MaskProbabilities
from mmpl.training import mask_thresholds
from mmpl.training.cache import cache_case, load_cached
from mmpl.training.cohort import CohortCase
from mmpl.training.mask_thresholds import (
    CANDIDATES,
    PLAIN,
    OverlapTask,
    best_thresholds,
    count_overlaps,
    overlaps_by_threshold,
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


def cube(value: float, *sides: slice) -> np.ndarray:
    array = np.zeros((20, 20, 20), np.float32)
    array[sides] = value
    return array


def everywhere(primary: np.ndarray, node: np.ndarray) -> MaskProbabilities:
    return MaskProbabilities((slice(None),) * 3, np.stack([primary, node]), min(CANDIDATES))


def test_overlaps_are_of_what_is_drawn(empty_roi):
    core, rim = (slice(4, 8),) * 3, (slice(3, 9),) * 3
    primary = np.maximum(cube(0.5, *core), cube(0.3, *rim))
    node = np.maximum(cube(0.4, *(slice(14, 18),) * 3), cube(0.6, slice(0, 1), slice(0, 7), slice(0, 7)))  # 49 voxels
    node = np.maximum(node, cube(0.5, *core))  # GTVp's
    truth = (cube(1, *rim) + cube(2, *(slice(14, 18),) * 3)).astype(np.uint8)
    counted = overlaps_by_threshold(empty_roi((20, 20, 20)), everywhere(primary, node), truth)
    whole, inner, nothing = (216, 432), (64, 64 + 216), (0, 216)
    assert counted["GTVp"] == [whole] * 3 + [inner] * 4 + [nothing] * 4
    # the speck is too small; where GTVp is no longer drawn, GTVn would be, but it has gone as well
    assert counted["GTVn"] == [(64, 128)] * 5 + [(0, 64)] * 6


def test_truth_outside_the_box_where_anything_is_likely_counts(empty_roi):
    core = (slice(4, 8),) * 3
    truth = (cube(1, *core) + cube(1, *(slice(12, 16),) * 3) + cube(2, *(slice(0, 2),) * 3)).astype(np.uint8)
    inside = np.stack([np.full((4, 4, 4), 0.9, np.float32), np.zeros((4, 4, 4), np.float32)])
    counted = overlaps_by_threshold(empty_roi((20, 20, 20)), MaskProbabilities(core, inside, min(CANDIDATES)), truth)
    assert counted == {"GTVp": [(64, 3 * 64)] * len(CANDIDATES), "GTVn": [(0, 8)] * len(CANDIDATES)}


def test_thresholds_suit_the_1_mm_mask_not_the_network_grids(empty_roi):
    """A ball of 10 mm on a grid of 4 mm: cut there, every threshold is about as good; brought to 1 mm, it is not."""
    zyx = np.indices((60, 60, 60)) + 0.5
    truth = (np.linalg.norm(zyx - 30.0, axis=0) < 10).astype(np.uint8)
    shares = truth.reshape(15, 4, 15, 4, 15, 4).mean(axis=(1, 3, 5))
    at_1mm = to_roi_grid(shares, 4.0, truth.shape)
    counted = overlaps_by_threshold(empty_roi(truth.shape), everywhere(at_1mm, np.zeros_like(at_1mm)), truth)
    dice = {t: 2 * shared / total for t, (shared, total) in zip(CANDIDATES, counted["GTVp"], strict=True)}
    drawn = {t: int((at_1mm >= t).sum()) for t in CANDIDATES}
    assert all(total == drawn[t] + truth.sum() for t, (_, total) in zip(CANDIDATES, counted["GTVp"], strict=True))
    assert dice[0.5] > dice[0.2] + 0.1
    assert dice[0.5] > dice[0.6] + 0.01


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


def test_overlaps_are_counted_once_with_the_lesions_peaks(tmp_path, tiny_config, tiny_files, tiny_patient, monkeypatch):
    case = CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], tiny_files["mask"], "1")
    config = replace(tiny_config, network=replace(tiny_config.network, spacing_mm=4.0))
    cache_case(case, tmp_path / "cached", 4.0)
    path = tmp_path / "overlaps.json"
    task = OverlapTask(case, StageRun(config, tmp_path, 0, SEGMENTATION), tmp_path / "cached", path)
    truth = load_cached(tmp_path / "cached").label / np.float32(255)
    monkeypatch.setattr(mask_thresholds, "unseen_probabilities", lambda *given: truth)
    older = {"GTVp": [[0, 1]] * 9, "GTVn": [[0, 1]] * 9, "peaks": [0.5]}  # counted on the network grid
    path.write_text(json.dumps(older), encoding="utf-8")
    count_overlaps(task)
    assert len(read_peaks(path)) == 2
    assert read_peaks(path) == [1.0, 1.0]
    counted = read_overlaps(path)
    assert {name: counts.shape for name, counts in counted.items()} == {"GTVp": (11, 2), "GTVn": (11, 2)}
    voxel_mm3 = 1000 * tiny_patient.label_map.geometry.voxel_volume_ml
    for value, name in ((1, "GTVp"), (2, "GTVn")):
        shared, total = counted[name][CANDIDATES.index(0.5)]  # voxels of the 1 mm ROI
        true_mm3 = np.count_nonzero(tiny_patient.label_map.array == value) * voxel_mm3
        assert total == pytest.approx(2 * true_mm3, rel=0.1), name
        assert 2 * shared / total > 0.9, name
    before = path.stat().st_mtime_ns
    count_overlaps(task)
    assert path.stat().st_mtime_ns == before


def test_thresholds_lie_where_a_bundle_takes_them():
    assert all(0 < t < 1 for t in CANDIDATES)
    assert pytest.approx(np.arange(0.2, 0.71, 0.05)) == CANDIDATES
