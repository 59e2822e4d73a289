"""What a worker does for a case: the pipeline's numbers, and what it remembers between edits."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from mmpl.errors import ClinicalError, InputError, OutputError, SuvError
from mmpl.geometry import Volume
from mmpl.io.case import apply_conversion
from mmpl.io.suv import Conversion, Typed, convert_typed
from mmpl.phantom.dicom import Storage, write_ct
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


@pytest.mark.parametrize("drawn", [False, True])
def test_what_is_left_out_of_contours_is_said_of_them(edit, session, tiny_patient, drawn):
    label_map = tiny_patient.label_map.array
    if drawn:
        session.segment({}, silent)
        label_map = session.drawing.label_map.array
    lost = {"class_name": "GTVn", "lost": 1, "lesions": 3, "volume_ml": 0.2}
    warnings = edit(label_map, left_out={"outside": 0.25, "between": [lost]})["results"]["warnings"]
    said = {one["code"]: one["text"] for one in warnings}
    assert said["MASK_OUTSIDE_CT"].startswith("25.0 % of the contoured volume lies outside the CT")
    assert said["MASK_BETWEEN_VOXELS"].startswith("1 of 3 GTVn lesions of the mask (0.2 mL) hold no voxel centre")
    assert "MASK_OUTSIDE_CT" not in {one["code"] for one in edit(label_map, left_out=None)["results"]["warnings"]}


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


def test_results_of_another_ct_on_the_same_grid_are_not_replaced(edit, session, tmp_path, tiny_patient):
    edit(tiny_patient.label_map.array)
    session.save({"out": str(tmp_path / "out")}, silent)
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    results["inputs"]["ct"]["fingerprint"] = "another patient's"
    (tmp_path / "out" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OutputError, match="with other images than this one's: choose another folder"):
        session.save({"out": str(tmp_path / "out")}, silent)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


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


@pytest.fixture
def open_with(session, tmp_path, tiny_case):
    """Opens the tiny case with a PET of other voxels and a conversion, as a front end does."""

    def send(factors, conversion: dict, **arguments):
        scale = np.broadcast_to(np.asarray(factors, dtype=np.float32), len(tiny_case.pet.array))
        raw = tiny_case.pet.with_array(tiny_case.pet.array * scale[:, None, None])
        told = {
            "case_id": "raw",
            "ct": write_volume(tmp_path, "ct.npy", tiny_case.ct),
            "pet": write_volume(tmp_path, "raw.npy", raw),
            "conversion": conversion,
            **arguments,
        }
        session.open_case(json.loads(json.dumps(told)), silent)
        return session.prepared.case

    return send


def test_a_pet_in_bqml_is_converted_by_what_the_front_end_decided(
    open_with, session, tmp_path, tiny_case, tiny_patient
):
    # 1 half-life of decay: half of 320 MBq is left for 80 kg, so that SUV 1 is 2000 Bq/mL
    conversion = convert_typed(Typed(weight_kg=80.0, injected_mbq=320.0, decay_min=100.0, half_life_s=6000.0))
    case = open_with(2000.0, conversion.to_dict())
    assert case.pet_units == "SUVbw"
    np.testing.assert_allclose(case.pet.array, tiny_case.pet.array, rtol=1e-5)
    label_map = write_label_map(tmp_path, "edit.npy", tiny_patient.label_map.array)
    told = session.measure({"label_map": label_map}, silent)
    provenance = told["results"]["inputs"]["pet"]["provenance"]
    # what the command line writes for the same values
    _, _, expected, notices = apply_conversion(tiny_case.pet.with_array(tiny_case.pet.array * 2000.0), conversion)
    assert (provenance["suv"], provenance["rule"]) == (expected["suv"], expected["rule"])
    assert provenance["suv"]["factor"] == pytest.approx(1 / 2000.0)
    warned = {warning["text"] for warning in told["results"]["warnings"]}
    assert {notice.text for notice in notices} <= warned
    validate_results(told["results"])


def test_each_slice_has_its_factor(open_with, tiny_case):
    factors = np.linspace(3000.0, 2000.0, len(tiny_case.pet.array))
    conversion = Conversion("SUVbw", tuple((1 / factors).tolist()), "not corrected for decay")
    case = open_with(factors, conversion.to_dict())
    np.testing.assert_allclose(case.pet.array, tiny_case.pet.array, rtol=1e-5)
    assert case.provenance["suv"]["factor_range"] == pytest.approx([1 / 3000.0, 1 / 2000.0])


def test_factors_of_another_number_of_slices_are_refused(open_with, tiny_case):
    with pytest.raises(SuvError, match="3 SUV factors for 40 slices"):
        open_with(1.0, Conversion("SUVbw", (1.0, 1.0, 1.0), "by slice").to_dict())


def test_a_conversion_that_lacks_something_says_so_in_the_panels_words(open_with):
    case = open_with(2000.0, convert_typed(Typed(weight_kg=80.0)).to_dict())
    assert case.pet_units == "unknown"
    (text,) = [notice.text for notice in case.notices if notice.code == "PET_NOT_SUV"]
    assert "the injected activity (MBq)" in text
    assert "type what is missing under the inputs" in text


def test_a_conversion_that_cannot_be_is_refused(open_with):
    with pytest.raises(SuvError, match=r"factor is -1\.0"):
        open_with(1.0, {**Conversion("SUVbw", 1.0, "rule").to_dict(), "factor": -1.0})


@pytest.fixture
def ct_files(tmp_path, tiny_case):
    """The tiny CT as DICOM, not in the order of its slices."""
    ct = tiny_case.ct.with_array(np.maximum(tiny_case.ct.array, -1024.0))
    return sorted(write_ct(tmp_path / "ct", ct, Storage(shuffled=True)))


def test_saved_as_dicom_it_refers_to_the_cts_slices(session, tmp_path, tiny_patient, ct_files):
    told = session.save(
        {
            "out": str(tmp_path / "out"),
            "label_map": write_label_map(tmp_path, "edit.npy", tiny_patient.label_map.array),
            "dicom": {"files": [str(file) for file in ct_files], "anonymise": None},
        },
        silent,
    )
    assert told["dicom"] == "dicom"
    objects = {ds.Modality: ds for ds in map(pydicom.dcmread, (tmp_path / "out" / "dicom").iterdir())}
    assert set(objects) == {"SEG", "RTSTRUCT", "SR"}
    ct = pydicom.dcmread(ct_files[0])
    for one in objects.values():
        assert (one.StudyInstanceUID, one.PatientID) == (ct.StudyInstanceUID, ct.PatientID)
    referenced = {one.ReferencedSOPInstanceUID for one in objects["SEG"].ReferencedSeriesSequence[0][0x0008114A].value}
    assert referenced <= {pydicom.dcmread(file).SOPInstanceUID for file in ct_files}


def test_anonymised_it_carries_the_given_name_only(session, tmp_path, tiny_patient, ct_files):
    ct = pydicom.dcmread(ct_files[0])
    session.save(
        {
            "out": str(tmp_path / "out"),
            "label_map": write_label_map(tmp_path, "edit.npy", tiny_patient.label_map.array),
            "dicom": {"files": [str(file) for file in ct_files], "anonymise": "Case 7"},
        },
        silent,
    )
    for file in (tmp_path / "out" / "dicom").iterdir():
        one = pydicom.dcmread(file)
        assert (str(one.PatientName), one.PatientID) == ("Case 7", "Case 7")
        assert ct.StudyInstanceUID.encode() not in file.read_bytes()
        assert ct.PatientID.encode() not in file.read_bytes()


def test_packages_that_dicom_needs_are_named(session, tmp_path, ct_files, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "contourpy" else find(name))
    with pytest.raises(InputError, match="to write DICOM, the worker's Python lacks contourpy: set it up"):
        session.save({"out": str(tmp_path / "out"), "dicom": {"files": [str(f) for f in ct_files]}}, silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (lambda files: {"files": files[1:], "anonymise": None}, "50 slices and its DICOM series 49 files"),
        (lambda files: {"files": files, "anonymise": "Ä"}, "the name for an anonymised export must have"),
    ],
    ids=["a file is missing", "a name that cannot be"],
)
def test_dicom_that_cannot_be_is_refused_before_any_work(session, tmp_path, ct_files, wanted, said):
    steps = []
    with pytest.raises(InputError, match=said):
        session.save(
            {"out": str(tmp_path / "out"), "dicom": wanted([str(file) for file in ct_files])},
            lambda step, fraction: steps.append(step),
        )
    assert steps == []
    assert not (tmp_path / "out").exists()


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


def test_without_a_device_the_best_is_taken(tmp_path, tiny_bundle_path, monkeypatch):
    asked = []
    monkeypatch.setattr("mmpl.network.backends.choose.chosen_device", lambda device: asked.append(device) or "cpu")
    told = Session(tmp_path).open_bundle({"path": str(tiny_bundle_path), "device": None}, silent)
    assert asked[0] == "auto"
    assert told["backend"].endswith("cpu")


@pytest.mark.parametrize(
    ("edited", "same_bundle", "kind"),
    [(False, True, "AUTOMATIC"), (False, False, "AUTOMATIC"), (True, True, "SEMIAUTOMATIC")],
)
def test_who_drew_is_known_to_a_session_that_was_not_there(
    session, tmp_path, tiny_case, ct_files, edited, same_bundle, kind
):
    """The case was opened anew since (another name, a scene that is opened again, a worker that was restarted)."""
    told = session.segment({}, silent)
    drawn = {name: told["results"][name] for name in ("bundle", "segmentation")}
    if not same_bundle:
        drawn["bundle"] = {**drawn["bundle"], "name": "other", "sha256": "0" * 64}
    model = read_label_map(tmp_path, told["label_map"], tiny_case.ct.geometry.shape)
    session.drawing = session.outcome = None
    arguments = {
        "out": str(tmp_path / "out"),
        "label_map": write_label_map(tmp_path, "edit.npy", np.roll(model, 2, axis=0) if edited else model),
        "model_label_map": write_label_map(tmp_path, "model.npy", model),
        "drawn": drawn,
        "dicom": {"files": [str(file) for file in ct_files], "anonymise": None},
    }
    told = session.save(json.loads(json.dumps(arguments)), silent)
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    validate_results(saved)
    assert saved["segmentation"] == (drawn["segmentation"] if same_bundle and not edited else None)
    assert told["results"]["segmentation"] == saved["segmentation"]
    segment = pydicom.dcmread(tmp_path / "out" / "dicom" / "segmentation.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == kind
    assert segment.SegmentAlgorithmName == f"MMPL {drawn['bundle']['name']}"
