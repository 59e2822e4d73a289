"""What a worker does for a case: the pipeline's numbers, and what it remembers between edits."""

from __future__ import annotations

import json

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
