"""What a worker does for a case: the pipeline's numbers, and what it remembers between edits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mmpl.errors import ClinicalError, InputError
from mmpl.geometry import Volume
from mmpl.pipeline import assess, predict
from mmpl.progress import silent
from mmpl.report.validate import validate_results
from mmpl.worker.arrays import read_label_map, write_label_map, write_volume
from mmpl.worker.session import Session


def without_timings(results: dict) -> dict:
    return {k: v for k, v in results.items() if k not in ("timings_s", "inputs")}


@pytest.fixture
def session(tmp_path, tiny_bundle_path, tiny_case):
    session = Session(tmp_path)
    session.open_bundle({"path": str(tiny_bundle_path)}, silent)
    arguments = {
        "case_id": tiny_case.case_id,
        "ct": write_volume(tmp_path, "ct.npy", tiny_case.ct),
        "pet": write_volume(tmp_path, "pet.npy", tiny_case.pet),
        "pet_units": tiny_case.pet_units,
        "clinical": dict(tiny_case.clinical),
    }
    session.open_case(json.loads(json.dumps(arguments)), silent)
    return session


@pytest.fixture
def edit(session, tmp_path):
    """Sends a label map as a front end does."""

    def send(label_map: np.ndarray, **arguments) -> dict:
        return session.measure({"label_map": write_label_map(tmp_path, "edit.npy", label_map), **arguments}, silent)

    return send


def test_the_bundle_says_what_a_form_and_a_card_need(tmp_path, tiny_bundle_path):
    told = Session(tmp_path).open_bundle({"path": str(tiny_bundle_path)}, silent)
    assert told["members"] == 2
    assert "Age" in told["clinical"]
    assert told["training_data"]
    assert set(told["card"]) == {"description", "intended_use", "limitations", "licence"}


def test_segmenting_is_predict(session, tmp_path, tiny_case, tiny_ensemble):
    told = session.segment({}, silent)
    expected = predict(tiny_case, tiny_ensemble)
    label_map = read_label_map(tmp_path, told["label_map"], tiny_case.ct.geometry.shape)
    np.testing.assert_array_equal(label_map, expected.label_map.array)
    assert without_timings(told["results"]) == without_timings(expected.results.as_dict())
    assert told["deep_is_current"]


def test_measuring_given_contours_is_assess(edit, tiny_patient, tiny_outcome):
    told = edit(tiny_patient.label_map.array)
    assert without_timings(told["results"]) == without_timings(tiny_outcome.results.as_dict())
    assert told["deep_is_current"]


def test_an_edit_keeps_the_networks_scores_until_they_are_asked_for(edit, session, tiny_patient):
    edit(tiny_patient.label_map.array)
    before = session.outcome.deep
    eroded = tiny_patient.label_map.array.copy()
    eroded[np.argwhere(eroded)[0][0]] = 0
    edit(eroded)
    assert session.outcome.deep is before
    edit(eroded, deep="refresh")
    assert session.outcome.deep is not before


def test_scores_are_out_of_date_once_the_lesions_have_moved(edit, tiny_patient):
    label_map = tiny_patient.label_map
    assert edit(label_map.array)["deep_is_current"]
    step = round(30 / label_map.geometry.spacing_mm[0])
    moved = np.roll(label_map.array, step, axis=2)
    assert not edit(moved)["deep_is_current"]
    assert edit(moved, deep="refresh")["deep_is_current"]


def test_contours_can_be_wiped_off_and_drawn_again(edit, session, tiny_patient):
    first = edit(tiny_patient.label_map.array)
    kept = session.outcome.deep
    nothing = edit(np.zeros_like(tiny_patient.label_map.array))
    assert nothing["results"]["hpv"]["probability"] is None
    again = edit(tiny_patient.label_map.array)
    assert session.outcome.deep is kept
    assert without_timings(again["results"]) == without_timings(first["results"])


def test_a_what_if_measures_the_same_contours(edit, session, tiny_patient):
    first = edit(tiny_patient.label_map.array)
    older = session.measure({"clinical": {**tiny_patient.clinical, "Age": 80}}, silent)
    assert older["results"]["lesions"] == first["results"]["lesions"]
    assert older["results"]["rfs"]["risk"] != first["results"]["rfs"]["risk"]
    back = session.measure({"clinical": dict(tiny_patient.clinical)}, silent)
    assert without_timings(back["results"]) == without_timings(first["results"])


def test_an_impossible_what_if_changes_nothing(edit, session, tiny_patient):
    edit(tiny_patient.label_map.array)
    before = session.outcome
    with pytest.raises(ClinicalError):
        session.measure({"clinical": {"Age": 900}}, silent)
    assert session.outcome is before


def test_what_is_saved_is_assess_of_the_same_mask(edit, session, tmp_path, tiny_patient, tiny_case, tiny_ensemble):
    label_map = tiny_patient.label_map
    edit(label_map.array)
    moved = np.roll(label_map.array, round(30 / label_map.geometry.spacing_mm[0]), axis=2)
    edit(moved)
    told = session.save({"out": str(tmp_path / "out")}, silent)
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    validate_results(saved)
    assert told["deep_is_current"]
    expected = assess(tiny_case, Volume(moved, label_map.geometry), tiny_ensemble).results.as_dict()
    assert without_timings(saved) == without_timings(json.loads(json.dumps(expected)))


@pytest.mark.parametrize(
    ("action", "message"),
    [("segment", "no case is open"), ("measure", "no case is open"), ("open_case", "no model is loaded")],
)
def test_requests_out_of_turn_are_answered_with_what_to_do(tmp_path, action, message):
    with pytest.raises(InputError, match=message):
        Session(tmp_path).actions()[action]({}, silent)


def test_a_measure_without_contours_is_refused(session):
    with pytest.raises(InputError, match="no contours yet"):
        session.measure({}, silent)


def test_another_bundle_keeps_the_case(session, tiny_bundle_path):
    case = session.prepared.case
    session.open_bundle({"path": str(tiny_bundle_path)}, silent)
    assert session.prepared.case is case
    assert session.outcome is None


def test_a_preview_is_what_one_member_draws_and_comes_before_the_result(session, tmp_path, tiny_case, tiny_ensemble):
    told, steps = [], []
    session.tell = lambda **part: told.append((dict(part), len(steps)))
    answer = session.segment({"preview": True}, lambda step, fraction: steps.append(step))
    ((part, when),) = told
    assert 0 < when < len(steps)
    shape = tiny_case.ct.geometry.shape
    first = replace(tiny_ensemble, members=tiny_ensemble.members[:1])
    np.testing.assert_array_equal(
        read_label_map(tmp_path, part["label_map"], shape), predict(tiny_case, first).label_map.array
    )
    expected = predict(tiny_case, tiny_ensemble).label_map.array
    np.testing.assert_array_equal(read_label_map(tmp_path, answer["label_map"], shape), expected)


def test_without_preview_nothing_is_told_before_the_result(session):
    told = []
    session.tell = lambda **part: told.append(part)
    session.segment({}, silent)
    assert told == []


def test_a_pet_in_bqml_is_converted_here(session, tmp_path, tiny_case, tiny_patient):
    # 1 half-life of decay: half of 320 MBq is left for 80 kg, so that SUV 1 is 2000 Bq/mL
    suv = {"weight_kg": 80.0, "injected_mbq": 320.0, "decay_min": 100.0, "half_life_s": 6000.0}
    raw = tiny_case.pet.with_array(tiny_case.pet.array * 2000.0)
    arguments = {
        "case_id": "raw",
        "ct": write_volume(tmp_path, "ct.npy", tiny_case.ct),
        "pet": write_volume(tmp_path, "raw.npy", raw),
        "suv": suv,
    }
    session.open_case(json.loads(json.dumps(arguments)), silent)
    case = session.prepared.case
    assert case.pet_units == "SUVbw"
    np.testing.assert_allclose(case.pet.array, tiny_case.pet.array, rtol=1e-5)
    assert case.provenance["suv"] == suv
    label_map = write_label_map(tmp_path, "edit.npy", tiny_patient.label_map.array)
    told = session.measure({"label_map": label_map}, silent)
    assert told["results"]["inputs"]["pet"]["provenance"]["suv"] == suv


def test_a_known_hpv_status_goes_to_rfs_only_when_asked_for(edit, session, tiny_patient):
    label_map, clinical = tiny_patient.label_map.array, {**tiny_patient.clinical, "HPV Status": "negative"}
    predicted = edit(label_map, clinical=clinical)["results"]
    tried = edit(label_map, clinical=clinical, hpv_as_known=True)["results"]
    assert tried["hpv"] == predicted["hpv"]
    assert tried["rfs"]["risk"] != predicted["rfs"]["risk"]
    assert "HPV_AS_KNOWN" in {warning["code"] for warning in tried["warnings"]}
    assert edit(label_map, clinical=clinical)["results"]["rfs"] == predicted["rfs"]


def test_a_what_if_of_hpv_is_never_saved(edit, session, tmp_path, tiny_patient):
    clinical = {**tiny_patient.clinical, "HPV Status": "negative"}
    edit(tiny_patient.label_map.array, clinical=clinical, hpv_as_known=True)
    session.save({"out": str(tmp_path / "out"), "clinical": clinical, "hpv_as_known": True}, silent)
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert "HPV_AS_KNOWN" not in {warning["code"] for warning in saved["warnings"]}


@pytest.mark.parametrize("edited", [True, False])
def test_the_models_contours_stand_in_the_report_where_they_differ(session, tmp_path, tiny_patient, edited):
    model = tiny_patient.label_map.array
    label_map = np.roll(model, 2, axis=0) if edited else model
    told = session.save(
        {
            "out": str(tmp_path / "out"),
            "label_map": write_label_map(tmp_path, "edit.npy", label_map),
            "model_label_map": write_label_map(tmp_path, "model.npy", model),
        },
        silent,
    )
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert told["results"]["lesions"] == saved["lesions"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert ("before correction" in report.lower() or "model's contours" in report.lower()) == edited


def test_nothing_is_out_of_date_where_no_scores_are_given(edit, session, tiny_patient):
    edit(tiny_patient.label_map.array)
    told = edit(np.zeros_like(tiny_patient.label_map.array))
    assert told["deep_is_current"]
    assert not told["deep_is_kept"]
