from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from mmpl.evaluation import follow_up

TRUTH = "PatientID,Relapse,RFS,CenterID"
DAYS = (182, 365, 730, 1095, 1825)


def cohort(table, n=80, *, columns=TRUTH, last=2600, seed=2):
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    relapse_day, leaving = rng.exponential(1500 * np.exp(-risk)), rng.uniform(60, last, n)
    # whole days would be tied, and scikit-survival hides a relapse by the censorings of its own day
    event, days = (relapse_day <= leaving).astype(int), np.minimum(relapse_day, leaving)
    ids = [f"P{k:03d}" for k in range(n)]
    survival = np.exp(-np.array(DAYS) / 1500 * np.exp(risk[:, None]))
    pred = table(
        "pred.csv",
        "PatientID,risk," + ",".join(f"survival_{d}" for d in DAYS),
        *([p, r, *s] for p, r, s in zip(ids, risk.tolist(), survival.tolist(), strict=True)),
    )
    rows = zip(ids, event.tolist(), days.tolist(), (1 + np.arange(n) % 2).tolist(), strict=True)
    return pred, table("truth.csv", columns, *rows), (risk, event, days, survival)


@pytest.fixture
def four(table):
    # 1-2, 1-3 right, 1-4 wrong, 3-4 wrong; patient 2 leaves before 3 and 4
    pred = table("pred.csv", "PatientID,risk", ("A", 0.8), ("B", 0.5), ("C", 0.2), ("D", 0.9))
    truth = table("truth.csv", TRUTH, ("A", 1, 100, 1), ("B", 0, 200, 1), ("C", 1, 300, 2), ("D", 1, 400, 2))
    return pred, truth


def test_hand_worked_c_index(four, scored):
    found = scored("rfs", *four)
    assert found["measures"]["c_index"]["value"] == 0.5
    assert found["measures"]["c_index"]["low"] is None
    assert (found["counts"]["patients scored"], found["counts"]["relapses"]) == (4, 3)
    assert [row["risk_group"] for row in found["patients"]] == ["intermediate", "low", "low", "high"]


def test_without_curves_what_needs_them_is_not_given(four, scored, evaluate):
    found = scored("rfs", *four)
    assert found["measures"]["integrated_brier"]["reason"] == "no survival curve was given"
    by_year = {row["years"]: row for row in found["tables"]["by_year"]}
    assert by_year[1]["brier"]["reason"] == "no survival curve was given"
    assert by_year[1]["auc"]["value"] == 0.0  # A and C relapsed within the year, D has a higher risk and had not
    assert by_year[2]["auc"]["reason"] == "no follow-up beyond 2 years"
    text = evaluate("rfs", *four).out
    assert "Integrated Brier score (lower is better): not given, no survival curve was given" in text
    assert "not given: no follow-up beyond 2 years" in text


def test_all_censored(table, scored, evaluate):
    pred = table("pred.csv", "PatientID,risk,survival_365,survival_730", ("A", 1, 0.9, 0.8), ("B", 2, 0.8, 0.7))
    truth = table("truth.csv", TRUTH, ("A", 0, 900, 1), ("B", 0, 1000, 1))
    found = scored("rfs", pred, truth)
    measures = found["measures"]
    assert "no two patients can be ordered" in measures["c_index"]["reason"]
    assert measures["integrated_brier"]["reason"] == "no patient relapsed"
    assert measures["log_rank_p"]["reason"] == "no patient relapsed"
    assert found["tables"]["by_year"][1]["auc"]["reason"] == "nobody relapsed within 2 years"
    assert found["tables"]["by_year"][1]["brier"]["reason"] == "no patient relapsed"
    assert {row["observed"]["value"] for row in found["tables"]["by_group"]} == {1.0}
    assert "nan" not in evaluate("rfs", pred, truth).out.lower()


def test_a_whole_cohort_agrees_with_scikit_survival(table, scored):
    sksurv = pytest.importorskip("sksurv.metrics")
    pred, truth, (risk, event, days, survival) = cohort(table)
    found = scored("rfs", pred, truth)
    known = np.array(list(zip(event == 1, days, strict=True)), dtype=[("event", bool), ("time", float)])
    c, *_ = sksurv.concordance_index_censored(event == 1, days, risk)
    assert found["measures"]["c_index"]["value"] == pytest.approx(c)
    assert found["measures"]["c_index"]["low"] < c < found["measures"]["c_index"]["high"]
    whole = sksurv.integrated_brier_score(known, known, survival, np.array(DAYS, float))
    assert found["measures"]["integrated_brier"]["value"] == pytest.approx(whole, rel=1e-6)
    assert found["settings"]["integrated_brier_days"] == [182, 1825]
    years = np.array([1, 2, 3, 5]) * 365.25
    auc, _ = sksurv.cumulative_dynamic_auc(known, known, risk, years)
    assert [row["auc"]["value"] for row in found["tables"]["by_year"]] == pytest.approx(auc.tolist(), rel=1e-6)
    _, brier = sksurv.brier_score(known, known, survival[:, 1:], years)
    assert [row["brier"]["value"] for row in found["tables"]["by_year"]] == pytest.approx(brier.tolist(), rel=1e-6)


def test_the_reference_knows_nothing_of_the_patient(table, scored):
    # without censoring, Kaplan-Meier is the share that is free: its Brier score is share (1 - share)
    risk, days = [3, 2, 1, 0], [100, 300, 500, 3000]
    pred = table("pred.csv", "PatientID,risk,survival_365", *((f"P{k}", r, 0.5) for k, r in enumerate(risk)))
    truth = table("truth.csv", TRUTH, *((f"P{k}", 1, d, 1) for k, d in enumerate(days)))
    first = scored("rfs", pred, truth)["tables"]["by_year"][0]
    assert first["brier"]["value"] == pytest.approx(0.25)
    assert first["brier_reference"] == pytest.approx(0.5 * 0.5)
    assert (first["at_risk"], first["relapsed"]) == (2, 2)


def test_calibration_compares_each_groups_mean_with_kaplan_meier(table, scored):
    groups = ("low", "low", "high", "high")
    pred = table(
        "pred.csv",
        "PatientID,risk,risk_group,survival_730",
        *((f"P{k}", k, g, s) for k, (g, s) in enumerate(zip(groups, (0.9, 0.7, 0.4, 0.2), strict=True))),
    )
    truth = table("truth.csv", TRUTH, ("P0", 0, 900, 1), ("P1", 1, 800, 1), ("P2", 1, 100, 1), ("P3", 0, 1000, 1))
    found = scored("rfs", pred, truth)
    low, high = found["tables"]["by_group"]
    assert (low["group"], low["n"], low["relapses"]) == ("low", 2, 1)
    assert (low["predicted"]["value"], low["observed"]["value"]) == pytest.approx((0.8, 1.0))
    assert (high["predicted"]["value"], high["observed"]["value"]) == pytest.approx((0.3, 0.5))
    assert found["settings"]["risk_groups"] == "as given with the predictions"


def test_a_group_that_relapsed_to_the_last_patient_is_calibrated(table, scored, tmp_path):
    rows = [("A", 3, "high", 0.2), ("B", 2, "high", 0.4), ("C", 1, "low", 0.8), ("D", 0, "low", 0.6)]
    pred = table("pred.csv", "PatientID,risk,risk_group,survival_730", *rows)
    truth = table("truth.csv", TRUTH, ("A", 1, 100, 1), ("B", 1, 400, 1), ("C", 0, 900, 1), ("D", 1, 950, 1))
    found = scored("rfs", pred, truth, "--html", tmp_path / "report.html")
    low, high = found["tables"]["by_group"]
    assert (low["observed"]["value"], high["observed"]["value"]) == (1.0, 0.0)
    page = (tmp_path / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "low: predicted 70 %, observed 100 %; high: predicted 30 %, observed 0 %." in page


def test_years_after_the_last_relapse_are_scored(table, scored):
    rows = [("A", 3, 0.2), ("B", 2, 0.4), ("C", 1, 0.6), ("D", 0, 0.8)]
    pred = table("pred.csv", "PatientID,risk,survival_730", *rows)
    truth = table("truth.csv", TRUTH, *((f"{p}", 1, 100 * k, 1) for k, p in enumerate("ABCD", start=1)))
    second = scored("rfs", pred, truth)["tables"]["by_year"][1]
    assert second["brier"]["value"] == pytest.approx((0.04 + 0.16 + 0.36 + 0.64) / 4)
    assert second["brier_reference"] == 0.0
    assert second["auc"]["reason"] == "no follow-up beyond 2 years"
    alone = scored("rfs", pred, table("truth.csv", TRUTH, ("A", 1, 100, 1)), "--only-common")["tables"]["by_year"][1]
    assert alone["brier"]["reason"] == "a single patient cannot be scored"


def test_half_a_follow_up_is_left_out_with_a_note(four, table, scored, evaluate):
    pred, _ = four
    rows = [("A", 1, 100, 1), ("B", 0, 200, 1), ("C", 1, "", 2), ("D", "", 400, 2), ("X", 1, "", 2)]
    found = scored("rfs", pred, table("truth.csv", TRUTH, *rows))
    assert (found["counts"]["patients scored"], found["counts"]["left out: truth unknown"]) == (2, 2)
    note = "Left out with Relapse or RFS alone, which says nothing without the other: 2 of 4 patients (C, D)."
    assert note in found["notes"]
    assert note in evaluate("rfs", pred, table("truth.csv", TRUTH, *rows)).out
    empty = scored("rfs", pred, table("truth.csv", TRUTH, *rows[:2], ("C", "", "", 2), ("D", "", "", 2)))
    assert empty["counts"]["left out: truth unknown"] == 2
    assert not [n for n in empty["notes"] if "alone" in n]


def test_groups_that_some_patients_lack_are_not_used_and_a_note_says_so(table, scored):
    rows = [("A", 3, "high"), ("B", 2, "low"), ("C", 1, "")]
    pred = table("pred.csv", "PatientID,risk,risk_group", *rows)
    truth = table("truth.csv", TRUTH, ("A", 1, 90, 1), ("B", 0, 900, 1), ("C", 0, 950, 1))
    found = scored("rfs", pred, truth)
    assert found["settings"]["risk_groups"] == (
        "thirds of the risk of these very patients, not cut points that were set before; the groups given with the "
        "predictions are not used, since 2 of 3 patients have one"
    )
    assert found["notes"] == [f"Risk groups: {found['settings']['risk_groups']}."]
    bare = scored("rfs", table("pred.csv", "PatientID,risk", *(r[:2] for r in rows)), truth)
    assert "given with" not in bare["settings"]["risk_groups"]


def test_calibration_without_follow_up_beyond_two_years(table, scored):
    pred, truth, _ = cohort(table, last=700)
    found = scored("rfs", pred, truth)
    assert {row["observed"]["reason"] for row in found["tables"]["by_group"]} == {"no follow-up beyond 2 years"}
    assert found["tables"]["by_year"][1]["brier"]["reason"] == "no follow-up beyond 2 years"


def test_a_curve_that_some_patients_lack(table, scored):
    rows = [("A", 3, 0.9, 0.5), ("B", 2, 0.9, ""), ("C", 1, 0.9, 0.8)]
    pred = table("pred.csv", "PatientID,risk,survival_365,survival_730", *rows)
    truth = table("truth.csv", TRUTH, ("A", 1, 90, 1), ("B", 0, 900, 1), ("C", 0, 950, 1))
    found = scored("rfs", pred, truth)["tables"]["by_year"]
    assert found[0]["brier"]["value"] is not None
    assert found[1]["brier"]["reason"] == "1 of 3 patients have no predicted survival at 2 years"


def test_a_curve_that_says_nothing_of_the_years(table, scored):
    pred = table("pred.csv", "PatientID,risk,survival_500", ("A", 1, 0.9), ("B", 2, 0.9))
    truth = table("truth.csv", TRUTH, ("A", 1, 90, 1), ("B", 0, 900, 1))
    found = scored("rfs", pred, truth)
    assert found["tables"]["by_year"][0]["brier"]["reason"] == "2 of 2 patients have no predicted survival at 1 year"
    assert "share fewer than two days" in found["measures"]["integrated_brier"]["reason"]


def test_one_patient_alone(table, scored):
    pred = table("pred.csv", "PatientID,risk,survival_365,survival_730", ("A", 1, 0.9, 0.8))
    found = scored("rfs", pred, table("truth.csv", TRUTH, ("A", 1, 900, 1)))
    assert found["measures"]["integrated_brier"]["reason"] == "a single patient cannot be scored"
    assert found["tables"]["by_year"][0]["brier"]["reason"] == "a single patient cannot be scored"
    assert found["measures"]["log_rank_p"]["reason"] == "all patients are in one risk group"


def test_curves_that_cannot_be(table, refused):
    truth = table("truth.csv", TRUTH, ("A", 1, 90, 1))

    def line(*cells):
        return refused("rfs", table("pred.csv", "PatientID,risk,survival_730,survival_365", ("A", *cells)), truth)

    assert line(1, 0.9, 0.8).endswith(
        "line 2 (A): survival_730 is 0.9, more than survival_365 (0.8); survival can only fall"
    )
    assert line(1, 0.9, "").endswith("survival_365 is empty but a later day is given; fill it in")
    assert line(1, 1.3, 1).endswith("survival_730 is 1.3, expected a probability from 0 to 1")
    assert line("inf", 0.8, 0.9).endswith("risk is inf, expected a finite number, higher for earlier relapse")
    bad = table("pred.csv", "PatientID,risk,survival_45321", ("A", 1, 0.5))
    assert "column 'survival_45321' is past a hundred years; give days" in refused("rfs", bad, truth)


def test_centers_are_scored_apart(table, scored):
    pred, truth, (risk, event, days, _) = cohort(table, n=60)
    rows = scored("rfs", pred, truth)["tables"]["by_center"]
    from lifelines.utils import concordance_index

    for k, row in enumerate(rows):
        own = np.arange(60) % 2 == k
        assert (row["center"], row["n"], row["relapses"]) == (str(k + 1), 30, event[own].sum())
        assert row["c_index"]["value"] == pytest.approx(concordance_index(days[own], -risk[own], event[own]))


def test_results_of_mmpl(results_json, table, scored):
    for case_id, risk, group in (("A", 1.0, "high"), ("B", -1.0, "low"), ("C", 0.0, "low")):
        folder = results_json(case_id, risk=risk, group=group, survival=(1.0, 0.9 - 0.1 * risk, 0.6 - 0.2 * risk, None))
    truth = table("truth.csv", TRUTH, ("A", 1, 200, 1), ("B", 0, 1000, 1), ("C", 1, 900, 2))
    found = scored("rfs", folder, truth)
    assert found["measures"]["c_index"]["value"] == 1.0
    assert found["settings"]["risk_groups"] == "as given with the predictions"
    assert [row["predicted_rfs_2_years"] for row in found["patients"]] == pytest.approx([0.4, 0.8, 0.6])
    assert found["tables"]["by_year"][2]["brier"]["reason"] == "3 of 3 patients have no predicted survival at 3 years"


def test_the_years_of_results_are_scored_by_what_they_say_of_the_years(results_json, table, scored):
    # the curve's days are 360 and 720, and it ends 11 days before the second year
    curve, at = [1 - 0.01 * k for k in range(25)], {"1y": 0.875, "2y": 0.75}
    for case_id, risk in (("A", 1.0), ("B", -1.0)):
        folder = results_json(case_id, risk=risk, survival=curve, step=30.0, at=at)
    found = scored("rfs", folder, table("truth.csv", TRUTH, ("A", 1, 600, 1), ("B", 0, 1000, 1)))
    assert [row["predicted_rfs_2_years"] for row in found["patients"]] == [0.75, 0.75]
    by_year = [row["brier"] for row in found["tables"]["by_year"]]
    assert by_year[0]["value"] == pytest.approx(0.125**2)
    assert by_year[1]["value"] == pytest.approx((0.75**2 + 0.25**2) / 2)
    assert found["settings"]["integrated_brier_days"] == [30, 730.5]


def test_results_of_several_bundles_are_refused(results_json, table, refused, scored):
    """Risks of two bundles have no common zero: pooled, their order says nothing."""
    results_json("A", risk=1.0)
    folder = results_json("B", risk=11.0, of="f", phantom=False)
    truth = table("truth.csv", TRUTH, ("A", 1, 100, 1), ("B", 1, 200, 1))
    for options in ((), ("--only-common",)):
        assert refused("rfs", folder, truth, *options) == (
            f"predictions {folder} were made by 2 bundles: 'A' by b 1 (sha256 000000000000, trained on phantoms), "
            "'B' by b 1 (sha256 ffffffffffff); give the results of one"
        )
    results_json("B", risk=0.0)
    assert scored("rfs", folder, truth)["settings"]["bundle"].startswith("b 1 (sha256 0")


def test_results_without_a_risk_are_no_prediction(results_json, table, refused):
    folder = results_json("A", risk=None)
    results_json("B")
    truth = table("truth.csv", TRUTH, ("A", 1, 200, 1), ("B", 0, 1000, 1))
    assert refused("rfs", folder, truth).startswith("1 of 2 patients (A) with a follow-up in ")


def test_a_missing_library_is_named(four, refused, monkeypatch):
    real = importlib.util.find_spec
    hidden = lambda name, *rest: None if name == "torchsurv" else real(name, *rest)  # noqa: E731
    monkeypatch.setattr(follow_up.importlib.util, "find_spec", hidden)
    assert refused("rfs", *four) == "scoring RFS needs torchsurv: install them, or mmpl with its extra 'train'"
