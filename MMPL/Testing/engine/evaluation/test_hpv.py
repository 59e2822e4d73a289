from __future__ import annotations

import json

import numpy as np
import pytest

from mmpl import batch, batch_folder, batch_job, batch_table
from mmpl.errors import InputError
from mmpl.evaluation.estimates import Bootstrap
from mmpl.evaluation.hpv import evaluate_hpv

COLUMNS = "PatientID,HPV Status,CenterID"
# of eight pairs 0.9 and 0.8 beat both negatives, 0.5 ties one and beats one, 0.3 beats one: 6.5 / 8
PROBABILITY = {"A": 0.9, "B": 0.8, "C": 0.5, "D": 0.3, "E": 0.5, "F": 0.1}
STATUS = {"A": 1, "B": 1, "C": 1, "D": 1, "E": 0, "F": 0}


@pytest.fixture
def six(table):
    pred = table("pred.csv", "PatientID,hpv_probability", *PROBABILITY.items())
    truth = table("truth.csv", COLUMNS, *((p, s, 1 + (p > "D")) for p, s in STATUS.items()))
    return pred, truth


def cohort(table, n=90, seed=1):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    status = (score + rng.normal(size=n) > -0.4).astype(int)
    probability = 1 / (1 + np.exp(-1.5 * score))
    centers = np.where(np.arange(n) < 4, 7, 1 + np.arange(n) % 2)
    ids = [f"P{k:03d}" for k in range(n)]
    pred = table("pred.csv", "PatientID,hpv_probability", *zip(ids, probability.tolist(), strict=True))
    truth = table("truth.csv", COLUMNS, *zip(ids, status.tolist(), centers.tolist(), strict=True))
    return pred, truth, probability, status, centers


def test_hand_worked_cohort_at_the_default_threshold(six, scored):
    found = scored("hpv", *six)
    values = {name: figure["value"] for name, figure in found["measures"].items()}
    assert values["auc"] == pytest.approx(6.5 / 8)
    assert (values["sensitivity"], values["specificity"], values["balanced_accuracy"]) == (0.75, 0.5, 0.625)
    assert values["brier"] == pytest.approx((0.01 + 0.04 + 0.25 + 0.49 + 0.25 + 0.01) / 6)
    assert values["calibration_gap"] == pytest.approx(3.1 / 6 - 4 / 6)
    assert found["settings"]["threshold"] == 0.5
    assert "default" in found["settings"]["threshold_from"]


def test_the_threshold_can_be_given(six, scored):
    found = scored("hpv", *six, "--threshold", 0.2)
    assert found["measures"]["sensitivity"]["value"] == 1.0
    assert [row["predicted_status"] for row in found["patients"]] == [1, 1, 1, 1, 1, 0]


def test_six_patients_get_no_interval(six, scored):
    assert {f["low"] for f in scored("hpv", *six)["measures"].values()} == {None}


def test_intervals_hold_the_value_and_follow_the_seed(table):
    pred, truth, *_ = cohort(table)

    def figures(seed):
        found = evaluate_hpv(pred, truth, bootstrap=Bootstrap(seed, 40))
        return [m.figure for m in found.measures]

    first = figures(3)
    assert all(f.low < f.value < f.high for f in first)
    assert first == figures(3)
    assert first != figures(4)


def test_a_bootstrapped_auc_has_about_delongs_width(table):
    # standard error by DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837-845, from its placements
    pred, truth, probability, status, _ = cohort(table, n=150)
    wins = (probability[status == 1][:, None] > probability[status == 0]).astype(float)
    error = np.sqrt(wins.mean(axis=1).var(ddof=1) / wins.shape[0] + wins.mean(axis=0).var(ddof=1) / wins.shape[1])
    auc = evaluate_hpv(pred, truth, bootstrap=Bootstrap(0, 600)).measures[0].figure
    assert auc.value == pytest.approx(wins.mean())
    assert auc.high - auc.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_centers_are_scored_apart_and_small_ones_have_no_interval(table, scored):
    pred, truth, probability, status, centers = cohort(table)
    rows = {row["center"]: row for row in scored("hpv", pred, truth)["tables"]["by_center"]}
    assert list(rows) == ["1", "2", "7"]
    of_first = centers == 1
    brier = np.mean((probability[of_first] - status[of_first]) ** 2)
    assert rows["1"]["brier"]["value"] == pytest.approx(brier)
    assert rows["1"]["n"] == of_first.sum()
    assert rows["1"]["auc"]["low"] is not None
    assert rows["7"]["n"] == 4
    assert rows["7"]["brier"]["value"] is not None
    assert rows["7"]["brier"]["low"] is None


def test_a_center_of_one_class_says_why_it_has_no_auc(six, evaluate):
    ran = evaluate("hpv", *six)
    assert "not given: the patients are all HPV-positive or all HPV-negative" in ran.out
    assert "not given: no patient is HPV-negative" not in ran.out  # specificity is not in the centers' table


def test_a_truth_without_centers_is_scored_and_says_so(table, scored, evaluate):
    pred = table("pred.csv", "PatientID,hpv_probability", *PROBABILITY.items())
    truth = table("truth.csv", "PatientID,HPV Status", *STATUS.items())
    assert scored("hpv", pred, truth)["tables"]["by_center"] == []
    assert "Not given: the truth has no column CenterID." in evaluate("hpv", pred, truth).out


def test_reliability_has_bins_of_equal_count(table, scored):
    pred, truth, probability, status, _ = cohort(table)
    rows = scored("hpv", pred, truth, "--bins", 3)["tables"]["reliability"]
    order = np.argsort(probability)
    assert [row["n"] for row in rows] == [30, 30, 30]
    assert rows[0]["mean_predicted"] == pytest.approx(probability[order[:30]].mean())
    assert rows[2]["observed"]["value"] == pytest.approx(status[order[60:]].mean())
    assert all(row["observed"]["low"] < row["observed"]["value"] < row["observed"]["high"] for row in rows)


def test_one_class_alone(table, scored):
    pred = table("pred.csv", "PatientID,hpv_probability", ("A", 0.9), ("B", 0.4))
    truth = table("truth.csv", COLUMNS, ("A", 1, 1), ("B", 1, 1))
    found = scored("hpv", pred, truth)["measures"]
    assert found["auc"]["value"] is None
    assert found["auc"]["reason"] == "the patients are all HPV-positive or all HPV-negative"
    assert found["specificity"]["reason"] == "no patient is HPV-negative"
    assert found["sensitivity"]["value"] == 0.5


def test_spellings_of_the_clinical_record_are_understood(table, scored):
    pred = table("pred.csv", "PatientID,hpv_probability", ("A", 0.9), ("B", 0.4), ("C", 0.4))
    truth = table("truth.csv", COLUMNS, ("A", "p16+", 1), ("B", "negative", 1), ("C", "unknown", 1))
    counts = scored("hpv", pred, truth)["counts"]
    assert (counts["HPV-positive"], counts["HPV-negative"], counts["left out: truth unknown"]) == (1, 1, 1)


def test_a_folder_in_hecktors_layout(table, scored, tmp_path):
    (tmp_path / "cohort" / "Task 3").mkdir(parents=True)
    truth = table("cohort/Task 3/HECKTOR_2025_Training_Task_3.csv", COLUMNS, ("A", 1, 1), ("B", 0, 1))
    pred = table("pred.csv", "PatientID,hpv_probability", ("A", 0.9), ("B", 0.4))
    assert scored("hpv", pred, truth.parents[1])["measures"]["auc"]["value"] == 1.0
    other = table("cohort/HECKTOR_2025_Training_Task_3.csv", COLUMNS, ("A", 0, 1), ("B", 1, 1))
    found = scored("hpv", pred, truth.parents[1])
    assert found["measures"]["auc"]["value"] == 1.0
    assert found["notes"][-1] == f"Of the truth's two tables {truth} is read, {other} is not."


# --- results.json -------------------------------------------------------------------------------------


def test_results_of_mmpl_bring_their_threshold(results_json, table, scored):
    for case_id, probability in (("A", 0.45), ("B", 0.3), ("C", 0.35)):
        folder = results_json(case_id, probability=probability, threshold=0.4)
    truth = table("truth.csv", COLUMNS, ("A", 1, 1), ("B", 0, 1), ("C", 1, 1))
    found = scored("hpv", folder, truth)
    assert (found["settings"]["threshold"], found["settings"]["threshold_from"]) == (0.4, "the results' own")
    assert found["measures"]["sensitivity"]["value"] == 0.5


def test_the_results_bundle_is_named(results_json, table, scored):
    truth = table("truth.csv", COLUMNS, ("A", 1, 1), ("B", 0, 1))
    results_json("A")
    found = scored("hpv", results_json("B"), truth)
    assert found["settings"]["bundle"] == "b 1 (sha256 000000000000, trained on phantoms)"
    results_json("A", of="f", phantom=False)
    found = scored("hpv", results_json("B", of="f", phantom=False), truth)
    assert found["settings"]["bundle"] == "b 1 (sha256 ffffffffffff)"
    table("pred.csv", "PatientID,hpv_probability", ("A", 0.9), ("B", 0.4))
    assert scored("hpv", truth.with_name("pred.csv"), truth)["settings"]["bundle"] is None


def test_results_that_cannot_be_scored(results_json, table, refused, tmp_path):
    truth = table("truth.csv", COLUMNS, ("A", 1, 1), ("B", 0, 1))
    results_json("A", threshold=0.4)
    folder = results_json("B", threshold=0.6)
    line = refused("hpv", folder, truth)
    assert line == "predictions were made with different thresholds, 0.4 to 0.6: give one with --threshold"
    results_json("B", probability=None, threshold=0.4)
    assert refused("hpv", folder, truth).startswith("1 of 2 patients (B) with an HPV status")
    results_json("A", threshold=0.4, name="again")
    assert "patient 'A' occurs twice (A and again); keep one" in refused("hpv", folder, truth)
    path = folder / "again" / "results.json"
    path.write_text(json.dumps({"case_id": "A"}), encoding="utf-8")
    assert "are not as mmpl writes them" in refused("hpv", folder, truth)
    path.write_text("{", encoding="utf-8")
    assert "cannot be read as JSON" in refused("hpv", folder, truth)
    (tmp_path / "nothing").mkdir()
    assert "no results.json in this folder or the folders in it" in refused("hpv", tmp_path / "nothing", truth)


def test_what_an_interrupted_run_left_in_a_hidden_folder_is_no_result(results_json, table, scored):
    results_json("A", probability=0.9)
    folder = results_json("B", probability=0.1)
    results_json("A", probability=0.1, name=".A.partial-0123abcd")
    results_json("C", name=".C.partial-0123abcd")
    truth = table("truth.csv", COLUMNS, ("A", 1, 1), ("B", 0, 1), ("C", "", 1))
    found = scored("hpv", folder, truth)
    assert found["measures"]["auc"]["value"] == 1.0
    assert found["counts"]["left out: truth unknown"] == 0


def test_of_a_batch_the_cases_that_are_done(results_json, table, scored, refused):
    for case_id in ("A", "B", "failed", "gone"):
        folder = results_json(case_id, probability=0.3)
    table("results/batch.json", "{}")
    rows = [("A", "done", ""), ("B", "done", ""), ("failed", "failed", "")]
    table("results/cases.csv", "case_id,status,hpv_probability", *rows)
    known = [("A", 1, 1), ("B", 0, 1)]
    found = scored("hpv", folder, table("truth.csv", COLUMNS, *known))
    assert [row["PatientID"] for row in found["patients"]] == ["A", "B"]
    truth = table("truth.csv", COLUMNS, *known, ("failed", 1, 1), ("gone", 1, 1))
    assert refused("hpv", folder, truth).startswith("2 of 4 patients (failed, gone) with an HPV status in ")
    (folder / "batch.json").unlink()  # a folder with a table of the same name is not a batch
    assert len(scored("hpv", folder, truth)["patients"]) == 4


def test_a_batch_whose_table_is_another_is_refused(results_json, table, refused):
    folder = results_json("A")
    table("results/batch.json", "{}")
    table("results/cases.csv", "PatientID", ("A",))
    line = refused("hpv", folder, table("truth.csv", COLUMNS, ("A", 1, 1)))
    assert line.endswith("is not the table that mmpl batch writes, with case_id and status a case: run the batch again")


def test_a_batch_that_has_not_ended_is_refused(results_json, table, refused):
    folder = results_json("A")
    table("results/batch.json", "{}")
    assert refused("hpv", folder, table("truth.csv", COLUMNS, ("A", 1, 1))) == (
        f"{folder}: this batch has not ended, it has no cases.csv: wait for it, or give the same mmpl batch command "
        "again"
    )


def test_the_names_of_a_batch_are_those_it_writes():
    assert (batch_folder.MANIFEST, batch_folder.CASES) == (batch.MANIFEST, batch_table.CASES)
    assert batch_table.COLUMNS[:2] == (batch_folder.CASE_ID, batch_folder.STATUS)
    assert batch_folder.DONE == batch_job.DONE


def test_thresholds_bins_and_resamples_that_cannot_be(six, refused):
    assert refused("hpv", *six, "--threshold", 1.5) == "threshold 1.5: give a probability from 0 to 1"
    assert refused("hpv", *six, "--bins", 1) == "1 reliability bins: give at least 2"
    assert "the seed must be 0 or more" in refused("hpv", *six, "--seed", -1)
    with pytest.raises(InputError, match="0 resamples"):
        Bootstrap(0, 0)
