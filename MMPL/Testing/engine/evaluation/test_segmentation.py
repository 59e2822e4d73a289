"""Label maps through the command line; the measures themselves are tested with mmpl.metrics."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from mmpl.geometry import Geometry

P, N = 1, 2
TRUTH = {  # bars of four voxels a slice: (label, start, stop, row)
    "A.nii.gz": [(P, 0, 8, 0), (N, 0, 6, 6)],
    "B.nii.gz": [(P, 0, 4, 0), (N, 0, 6, 6), (N, 8, 14, 6)],
    "C.nii.gz": [(N, 0, 4, 6)],
}
PRED = {
    "A/mask.nii.gz": [(P, 4, 12, 0), (N, 0, 6, 6)],  # half of the GTVp; the node
    "B/mask.nii.gz": [(P, 0, 4, 0), (N, 0, 14, 6)],  # the GTVp; one bar over both nodes
    "C/mask.nii.gz": [(P, 0, 2, 0)],  # a GTVp that is not there; no node
}


@pytest.fixture
def both(label_maps):
    return label_maps("pred", PRED), label_maps("truth", TRUTH)


def values(found) -> dict:
    return {name: figure["value"] for name, figure in found["measures"].items()}


def test_hand_worked_cohort(both, scored):
    found = scored("segmentation", *both)
    assert values(found) == pytest.approx(
        {
            "gtvp_dice": (0.5 + 1.0) / 2,
            "gtvn_dice_agg": 2 * (6 + 12) / ((6 + 6) + (14 + 12) + 4),
            "gtvn_f1_agg": 2 * 2 / (2 * 2 + 0 + 2),  # a bridge finds one node; the other and C's are missed
        }
    )
    counts = found["counts"]
    assert (counts["nodes found"], counts["nodes invented"], counts["nodes missed"]) == (2, 0, 2)
    assert counts["no GTVp in the truth, left out of its Dice"] == 1
    assert counts["of these with a predicted GTVp"] == 1


def test_nodes_count_by_their_volume_whatever_the_grid(label_maps, table, scored):
    # the same box of nodes in space twice; on voxels of half the length it is twice as many
    fine = Geometry((32, 12, 10), (1.0, 2.0, 3.0), (-15.5, -11.0, -13.0))
    truth = label_maps("truth", {"A.nii.gz": [(N, 0, 8, 6)]})
    pred = label_maps("pred", {"A.nii.gz": [(N, 4, 12, 6)]})  # Dice 0.5
    label_maps("truth", {"B.nii.gz": [(N, 0, 16, 6)]}, fine)
    label_maps("pred", {"B.nii.gz": [(N, 0, 16, 6)]}, fine)  # Dice 1
    centers = table("centers.csv", "PatientID,CenterID", ("A", 1), ("B", 1))
    found = scored("segmentation", pred, truth, "--centers", centers)
    assert values(found)["gtvn_dice_agg"] == pytest.approx(0.75)
    assert found["tables"]["by_center"][0]["gtvn_dice_agg"]["value"] == pytest.approx(0.75)
    assert [row["gtvn_truth_ml"] for row in found["patients"]] == pytest.approx([8 * 4 * 12 / 1000] * 2)


def test_the_matching_rule_is_an_option(both, scored):
    found = scored("segmentation", *both, "--matching", "any")
    assert values(found)["gtvn_f1_agg"] == pytest.approx(2 * 3 / (2 * 3 + 1))  # the bridge finds both
    strict = scored("segmentation", *both, "--iou", 0.5)
    assert values(strict)["gtvn_f1_agg"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 3))  # 6/14 is not above
    assert strict["settings"]["iou_above"] == 0.5


def test_connectivity_is_an_option(label_maps, scored):
    # two bars that touch along an edge only: one node for 18 and 26, two for 6
    nodes = [(N, 0, 4, 2), (N, 4, 8, 4)]
    pred, truth = label_maps("pred", {"A.nii.gz": nodes}), label_maps("truth", {"A.nii.gz": nodes})
    found = {c: scored("segmentation", pred, truth, "--connectivity", c)["counts"]["nodes found"] for c in (6, 18, 26)}
    assert found == {6: 2, 18: 1, 26: 1}


def test_a_line_a_patient(both, evaluate, tmp_path):
    ran = evaluate("segmentation", *both, "--csv", tmp_path / "patients.csv")
    assert ran.code == 0
    with (tmp_path / "patients.csv").open(newline="", encoding="utf-8") as stream:
        a, b, c = csv.DictReader(stream)
    assert (a["PatientID"], float(a["gtvp_dice"]), float(a["gtvn_dice"])) == ("A", 0.5, 1.0)
    assert float(a["gtvp_truth_ml"]) == pytest.approx(8 * 4 * 12 / 1000)
    assert (b["nodes_found"], b["nodes_invented"], b["nodes_missed"]) == ("1", "0", "1")
    assert (c["gtvp_dice"], float(c["gtvp_predicted_ml"])) == ("", pytest.approx(2 * 4 * 12 / 1000))


def test_nothing_predicted_and_nothing_true(label_maps, scored):
    pred, truth = label_maps("pred", {"A.nii.gz": []}), label_maps("truth", {"A.nii.gz": []})
    found = scored("segmentation", pred, truth)
    assert values(found) == {"gtvp_dice": None, "gtvn_dice_agg": None, "gtvn_f1_agg": None}
    assert found["measures"]["gtvp_dice"]["reason"] == "no patient has a GTVp in the truth"
    assert found["measures"]["gtvn_f1_agg"]["reason"] == "there is no GTVn, neither predicted nor true"


def test_an_empty_prediction_misses_everything(label_maps, scored):
    pred, truth = label_maps("pred", {path: [] for path in TRUTH}), label_maps("truth", TRUTH)
    assert set(values(scored("segmentation", pred, truth)).values()) == {0.0}


# --- patients -----------------------------------------------------------------------------------------


def test_a_missing_prediction_is_refused_or_counts_as_empty(label_maps, refused, scored):
    pred, truth = label_maps("pred", {"B.nii.gz": TRUTH["B.nii.gz"]}), label_maps("truth", TRUTH)
    line = refused("segmentation", pred, truth)
    assert line.startswith("2 of 3 patients (A, C) with contours in ")
    assert line.endswith("--missing-as-empty to count them as found empty, or --only-common to score the others")
    empty = scored("segmentation", pred, truth, "--missing-as-empty")
    assert values(empty)["gtvp_dice"] == 0.5
    assert empty["counts"]["predictions missing, counted as empty"] == 2
    assert [row["prediction_missing"] for row in empty["patients"]] == [1, 0, 1]
    common = scored("segmentation", pred, truth, "--only-common")
    assert values(common)["gtvp_dice"] == 1.0
    assert (common["counts"]["patients scored"], common["counts"]["left out: no prediction"]) == (1, 2)
    assert "give one" in refused("segmentation", pred, truth, "--only-common", "--missing-as-empty")


def test_a_prediction_without_a_truth(both, label_maps, refused, scored):
    label_maps("pred", {"X.nii.gz": []})
    assert refused("segmentation", *both).startswith("1 of 4 patients (X) with a label map in ")
    assert scored("segmentation", *both, "--only-common")["counts"]["left out: not in the truth"] == 1


def test_hectors_layout_brings_its_centers(label_maps, table, scored, tmp_path):
    truth = label_maps("cohort/Task 1", {f"{n[0]}/{n}": bars for n, bars in TRUTH.items()})
    label_maps("cohort/Task 1", {"A/A__CT.nii.gz": [], "A/A__PT.nii.gz": []})  # images, not label maps
    table("cohort/Task 1/HECKTOR_2025_Training_Task_1.csv", "PatientID,CenterID", ("A", 1), ("B", 2), ("C", 2))
    found = scored("segmentation", label_maps("pred", PRED), truth.parent)
    rows = {row["center"]: row for row in found["tables"]["by_center"]}
    assert (rows["1"]["n"], rows["1"]["gtvp_dice"]["value"]) == (1, 0.5)
    assert (rows["2"]["n"], rows["2"]["with_gtvp"], rows["2"]["true_nodes"]) == (2, 1, 3)
    assert rows["2"]["gtvn_dice_agg"]["value"] == pytest.approx(2 * 12 / (14 + 12 + 4))


def test_only_images_are_passed_over_whatever_the_patients_name(label_maps, scored):
    bars = {name: [(P, 0, 4, 0)] for name in ("A__1.nii.gz", "B.nii.gz", "C__CT__2.nii.gz", "__CT_D.nrrd")}
    images = ("A__1__CT.nii.gz", "B__PT.nii.gz", "B__CTPlanning.nii.gz", "B__RTDOSE.nii.gz", "B__pet.mha", "B__ct.nrrd")
    truth = label_maps("truth", {**bars, **dict.fromkeys(images, ())})
    found = scored("segmentation", label_maps("pred", bars), truth)
    assert [row["PatientID"] for row in found["patients"]] == ["A__1", "B", "C__CT__2", "__CT_D"]
    assert found["counts"]["patients scored"] == 4


def test_centers_can_be_given_in_a_table(both, table, scored, refused):
    assert scored("segmentation", *both)["tables"]["by_center"] == []
    centers = table("centers.csv", "PatientID,CenterID", ("A", "3.0"), ("B", 10))
    found = scored("segmentation", *both, "--centers", centers)
    assert [row["center"] for row in found["tables"]["by_center"]] == ["3", "10", "not recorded"]
    bad = table("bad.csv", "PatientID,Center", ("A", 3))
    assert "has no column 'CenterID'" in refused("segmentation", *both, "--centers", bad)


def test_folders_that_cannot_be_scored(both, label_maps, refused, tmp_path):
    pred, truth = both
    assert "absent is no folder: give one that holds" in refused("segmentation", tmp_path / "absent", truth)
    (tmp_path / "bare").mkdir()
    assert "bare holds no label map: expected PatientID.nii.gz" in refused("segmentation", tmp_path / "bare", truth)
    label_maps("pred", {"A.nii.gz": []})
    line = refused("segmentation", pred, truth)
    assert "patient 'A' has two label maps, " in line
    assert "A.nii.gz" in line


def test_labels_that_mean_nothing(label_maps, refused):
    pred = label_maps("pred", {"A.nii.gz": [(3, 0, 4, 0)]})
    line = refused("segmentation", pred, label_maps("truth", {"A.nii.gz": []}))
    assert line.startswith("prediction of A ")
    assert "holds the values 3: only 0 (background), 1 (GTVp) and 2 (GTVn) are understood" in line


def test_of_a_batch_the_masks_of_cases_that_are_done(both, table, refused, scored):
    pred, truth = both
    table("pred/batch.json", "{}")
    assert "pred: this batch has not ended" in refused("segmentation", pred, truth)
    table("pred/cases.csv", "case_id,status", ("A", "done"), ("B", "done"), ("C", "failed"))
    assert refused("segmentation", pred, truth).startswith("1 of 3 patients (C) with contours in ")
    assert scored("segmentation", pred, truth, "--only-common")["counts"]["patients scored"] == 2


# --- grids --------------------------------------------------------------------------------------------


def test_another_grid_is_refused_with_both(label_maps, refused):
    coarse = Geometry((8, 6, 10), (4.0, 4.0, 3.0), (-14.0, -10.0, -13.0))
    pred, truth = label_maps("pred", {"A.nii.gz": []}, coarse), label_maps("truth", {"A.nii.gz": []})
    assert refused("segmentation", pred, truth) == (
        "patient A: the prediction's grid (8 x 6 x 10 voxels of 4 x 4 x 3 mm from -14, -10, -13 mm) is not the truth's "
        "(16 x 12 x 10 voxels of 2 x 2 x 3 mm from -15, -11, -13 mm); give --resample to bring predictions to it"
    )


def test_a_shifted_or_turned_grid_of_the_same_size_is_another_grid(label_maps, refused, grid):
    truth = label_maps("truth", {"A.nii.gz": []})
    shifted = label_maps("pred", {"A.nii.gz": []}, replace(grid, origin_mm=(-14.0, -11.0, -13.0)))
    assert "from -14, -11, -13 mm) is not the truth's" in refused("segmentation", shifted, truth)
    turned = replace(grid, direction=np.diag([-1.0, -1.0, 1.0]))
    assert "turned axes) is not the truth's" in refused(
        "segmentation", label_maps("pred2", {"A.nii.gz": []}, turned), truth
    )


def test_resampling_is_an_option(label_maps, scored):
    # the same box in space: voxels of half the length along x
    fine = Geometry((32, 12, 10), (1.0, 2.0, 3.0), (-15.5, -11.0, -13.0))
    pred = label_maps("pred", {"A.nii.gz": [(P, 8, 16, 0)]}, fine)
    truth = label_maps("truth", {"A.nii.gz": [(P, 4, 8, 0)]})
    found = scored("segmentation", pred, truth, "--resample")
    assert values(found)["gtvp_dice"] == 1.0
    assert found["counts"]["predictions resampled to the truth's grid"] == 1
    assert found["patients"][0]["prediction_resampled"] == 1


def test_what_is_predicted_outside_the_truths_grid_is_counted(label_maps, scored, evaluate, grid):
    # the truth ends after 8 of the 16 voxels along x; the node that is predicted in A goes on for 5 more
    cropped = replace(grid, size=(8, 12, 10))
    true = [(P, 0, 4, 0), (N, 6, 8, 6)]
    pred = label_maps("pred", {"A.nii.gz": [(P, 0, 4, 0), (N, 6, 13, 6)], "B.nii.gz": true})
    truth = label_maps("truth", {"A.nii.gz": true, "B.nii.gz": true}, cropped)
    found = scored("segmentation", pred, truth, "--resample")
    assert values(found) == {"gtvp_dice": 1.0, "gtvn_dice_agg": 1.0, "gtvn_f1_agg": 1.0}
    assert found["counts"]["predictions with voxels outside the truth's grid"] == 1
    assert [row["predicted_outside_ml"] for row in found["patients"]] == pytest.approx([5 * 4 * 12 / 1000, 0])
    note = (
        "Predicted outside the truth's grid and not scored, neither as volume nor as invented nodes: 0.240 mL in 1 "
        "of 2 patients (A). Figures on a truth that is cropped around the lesions are too favourable."
    )
    assert note in found["notes"]
    assert note in evaluate("segmentation", pred, truth, "--resample").out


def test_a_turned_or_coarser_prediction_inside_the_truths_grid_has_nothing_outside(label_maps, scored, grid):
    # the same outer borders: centres of coarse voxels, seen along turned axes, lie inside up to the last one
    coarse = Geometry((8, 6, 5), (4.0, 4.0, 6.0), (14.0, 10.0, -11.5), np.diag([-1.0, -1.0, 1.0]))
    pred = label_maps("pred", {"A.nii.gz": [(P, 0, 8, 4)]}, coarse)
    truth = label_maps("truth", {"A.nii.gz": [(P, 0, 16, 0)]})
    found = scored("segmentation", pred, truth, "--resample")
    assert found["patients"][0]["prediction_resampled"] == 1
    assert found["counts"]["predictions with voxels outside the truth's grid"] == 0
    assert found["patients"][0]["predicted_outside_ml"] == 0
    assert not [note for note in found["notes"] if "outside" in note]


def test_a_prediction_wholly_outside_the_truths_grid_is_refused(label_maps, refused, scored, grid):
    far = replace(grid, origin_mm=(485.0, -11.0, -13.0))
    pred = label_maps("pred", {"A.nii.gz": [(P, 0, 4, 0)]}, far)
    truth = label_maps("truth", {"A.nii.gz": [(P, 0, 4, 0)]})
    assert refused("segmentation", pred, truth, "--resample") == (
        "patient A: all that is predicted (0.192 mL) lies outside the truth's grid (16 x 12 x 10 voxels of 2 x 2 x 3 "
        "mm from -15, -11, -13 mm), so none of it can be scored: check that both are of the same scan, or give a truth "
        "that covers the prediction"
    )
    nothing = label_maps("nothing", {"A.nii.gz": []}, far)
    assert values(scored("segmentation", nothing, truth, "--resample"))["gtvp_dice"] == 0.0


def test_a_grid_that_differs_by_rounding_is_the_same(label_maps, scored, grid):
    near = replace(grid, origin_mm=(-15.0005, -11.0, -13.0))
    found = scored(
        "segmentation",
        label_maps("pred", {"A.nii.gz": [(P, 0, 4, 0)]}, near),
        label_maps("truth", {"A.nii.gz": [(P, 0, 4, 0)]}),
    )
    assert values(found)["gtvp_dice"] == 1.0
    assert found["counts"]["predictions resampled to the truth's grid"] == 0
