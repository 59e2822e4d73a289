from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from mmpl.errors import GeometryError, InputError
from mmpl.metrics.segmentation import (
    ANY,
    CaseScore,
    Detection,
    DetectionRule,
    Overlap,
    detect,
    gtvn_dice_agg,
    gtvn_f1_agg,
    gtvp_mean_dice,
    lesion_iou,
    overlap,
    score_case,
    summarise,
)

SHAPE = (4, 6, 30)


def line(*ranges):
    """Bars along x, 2 x 2 voxels thick; (start, stop) each."""
    mask = np.zeros(SHAPE, bool)
    for start, stop in ranges:
        mask[1:3, 2:4, start:stop] = True
    return mask


def case(patient_id="a", p=(0, 0, 1), n=(0, 0, 0), found=(0, 0, 0), voxel_ml=0.001):
    return CaseScore(patient_id, Overlap(*p), Overlap(*n), Detection(*found), voxel_ml)


def test_overlap_of_shifted_bars():
    found = overlap(line((0, 10)), line((4, 14)))
    assert found == Overlap(shared=24, predicted=40, truth=40)
    assert found.dice == pytest.approx(0.6)


def test_gtvp_dice_is_a_mean_over_patients_and_leaves_empty_truth_out():
    scores = [case(p=(5, 10, 10)), case(p=(10, 10, 10)), case(p=(0, 8, 0)), case(p=(0, 0, 0))]
    assert gtvp_mean_dice(scores) == pytest.approx((0.5 + 1.0) / 2)
    summary = summarise(scores)
    assert (summary["gtvp_empty_truth"], summary["gtvp_invented"]) == (2, 1)


def test_missed_gtvp_counts_as_zero():
    assert gtvp_mean_dice([case(p=(0, 0, 10)), case(p=(10, 10, 10))]) == 0.5


def test_gtvn_dice_pools_voxels_before_dividing():
    # 2 (9 + 0 + 0) / (10 + 10 + 0 + 4 + 6 + 0); the mean of each patient's Dice would be 0.3
    scores = [case(n=(9, 10, 10)), case(n=(0, 0, 4)), case(n=(0, 6, 0))]
    assert gtvn_dice_agg(scores) == pytest.approx(18 / 30)


def test_gtvn_dice_pools_volumes_not_voxels():
    # 20 mL of nodes each: 10000 voxels of 2 mm3 at Dice 0.9, 2500 of 8 mm3 at Dice 0.5. Summed as voxels: 0.82
    scores = [case(n=(9000, 10000, 10000), voxel_ml=0.002), case(n=(1250, 2500, 2500), voxel_ml=0.008)]
    assert gtvn_dice_agg(scores) == pytest.approx(0.7)


def test_what_is_stored_is_read_again():
    score = case("CHUP-001", (1, 2, 3), (4, 5, 6), (1, 0, 2), 0.0036)
    assert CaseScore.from_dict(json.loads(json.dumps(asdict(score)))) == score


def test_f1_pools_lesions_before_dividing():
    scores = [case(found=(2, 1, 0)), case(found=(0, 0, 3)), case(found=(1, 0, 0))]
    assert gtvn_f1_agg(scores) == pytest.approx(6 / (6 + 1 + 3))


def test_cohort_without_any_lesion_is_undefined():
    scores = [case(p=(0, 0, 0))]
    assert all(math.isnan(f(scores)) for f in (gtvp_mean_dice, gtvn_dice_agg, gtvn_f1_agg))
    assert all(math.isnan(f([])) for f in (gtvp_mean_dice, gtvn_dice_agg, gtvn_f1_agg))


def test_bridged_nodes_are_one_find_or_two_by_the_rule():
    # One bar of 20 over two nodes of 9: IoU 9/20 with each.
    prediction, truth = line((0, 20)), line((0, 9), (11, 20))
    assert lesion_iou(prediction, truth) == pytest.approx(np.array([[0.45, 0.45]]))
    assert detect(prediction, truth, DetectionRule()) == Detection(tp=1, fp=0, fn=1)
    assert detect(prediction, truth, DetectionRule(matching=ANY)) == Detection(tp=2, fp=0, fn=0)


def test_split_node_leaves_one_part_false_or_not_by_the_rule():
    prediction, truth = line((0, 9), (11, 20)), line((0, 20))
    assert detect(prediction, truth, DetectionRule()) == Detection(tp=1, fp=1, fn=0)
    assert detect(prediction, truth, DetectionRule(matching=ANY)) == Detection(tp=1, fp=0, fn=0)


def test_one_to_one_finds_the_largest_set_of_pairs():
    # Truths A and B, side by side, three rows thick. A long prediction of one row meets A (10/40) and
    # B (8/42); a short one meets A alone (10/30). Giving A to the long one would leave B without.
    prediction, truth = np.zeros((5, 3, 22), bool), np.zeros((5, 3, 22), bool)
    truth[:3, 1, 0:10] = True
    truth[:3, 1, 12:22] = True
    prediction[2, 1, 0:20] = True
    prediction[0, 1, 0:10] = True
    iou = lesion_iou(prediction, truth)
    assert iou == pytest.approx(np.array([[10 / 30, 0], [10 / 40, 8 / 42]]))
    loose = DetectionRule(iou_threshold=0.15)
    assert detect(prediction, truth, loose) == Detection(tp=2, fp=0, fn=0)


def test_iou_must_exceed_the_threshold():
    # IoU 3/10 exactly is no find; 4/10 is.
    truth = line((0, 10))
    assert detect(line((0, 3)), truth, DetectionRule()) == Detection(tp=0, fp=1, fn=1)
    assert detect(line((0, 4)), truth, DetectionRule()) == Detection(tp=1, fp=0, fn=0)


def test_empty_prediction_and_empty_truth():
    empty, bars = np.zeros(SHAPE, bool), line((0, 4), (8, 12))
    for rule in (DetectionRule(), DetectionRule(matching=ANY)):
        assert detect(empty, bars, rule) == Detection(tp=0, fp=0, fn=2)
        assert detect(bars, empty, rule) == Detection(tp=0, fp=2, fn=0)
        assert detect(empty, empty, rule) == Detection(tp=0, fp=0, fn=0)


@pytest.mark.parametrize(("step", "lesions"), [((0, 0, 1), (1, 1, 1)), ((0, 1, 1), (2, 1, 1)), ((1, 1, 1), (2, 2, 1))])
def test_connectivity_decides_what_one_lesion_is(step, lesions):
    truth = np.zeros((3, 3, 3), bool)
    truth[0, 0, 0] = truth[step] = True
    nothing = np.zeros_like(truth)
    counted = [detect(nothing, truth, DetectionRule(connectivity=c)).fn for c in (6, 18, 26)]
    assert counted == list(lesions)


def test_case_is_scored_by_class():
    prediction, truth = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    prediction[line((0, 4))], truth[line((0, 8))] = 1, 1
    prediction[line((10, 14), (20, 24))], truth[line((10, 14))] = 2, 2
    score = score_case("CHUP-001", prediction, truth, voxel_ml=0.002)
    assert (score.gtvp, score.voxel_ml) == (Overlap(16, 16, 32), 0.002)
    assert score.gtvn == Overlap(16, 32, 16)
    assert score.gtvn_detection == Detection(tp=1, fp=1, fn=0)
    summary = summarise([score])
    assert summary["gtvp_dice"] == pytest.approx(2 / 3)
    assert summary["gtvn_dice_agg"] == pytest.approx(2 / 3)
    assert summary["gtvn_f1_agg"] == pytest.approx(2 / 3)
    assert (summary["gtvn_tp"], summary["gtvn_fp"], summary["gtvn_fn"]) == (1, 1, 0)


def test_refuses_other_grids_labels_and_rules():
    good = np.zeros(SHAPE, np.uint8)
    with pytest.raises(GeometryError, match="CHUP-001"):
        score_case("CHUP-001", good[1:], good, voxel_ml=0.001)
    with pytest.raises(InputError, match=r"labels \[3\] in the truth"):
        score_case("CHUP-001", good, np.full_like(good, 3), voxel_ml=0.001)
    for wrong in ({"iou_threshold": 1.0}, {"matching": "greedy"}, {"connectivity": 8}):
        with pytest.raises(InputError):
            DetectionRule(**wrong)
