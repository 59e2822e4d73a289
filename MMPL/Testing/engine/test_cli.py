"""mmpl predict and assess, run as a user runs them."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.cli import STOPPED, summary_of
from mmpl.geometry import Geometry, Volume
from mmpl.report.validate import validate_results
from mmpl.resample import resample
from mmpl.version import __version__

PROGRESS = re.compile(r"[^:]+: (\d+ %.*|\d+\.\d s)")  # of a step that takes long, on a busy machine
FILES = {"mask.nii.gz", "segmentation.seg.nrrd", "results.json", "features.csv", "report.html"}
FIGURES = {"volume_ml", "suv_max", "suv_peak", "suv_mean", "mtv_ml", "tlg_g"}


def codes(results: dict) -> set[str]:
    return {warning["code"] for warning in results["warnings"]}


def assert_same_grid(path: Path, geometry: Geometry) -> None:
    image = sitk.ReadImage(str(path))
    assert image.GetSize() == geometry.size
    np.testing.assert_allclose(image.GetSpacing(), geometry.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), geometry.origin_mm, atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), np.ravel(geometry.direction), atol=1e-6)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_predict_writes_the_five_files_and_nothing_else(predicted):
    assert {p.name for p in predicted.iterdir()} == FILES


def test_results_hold_all_that_the_contract_names(predicted, results_of, tiny_bundle_path):
    results = results_of(predicted)
    validate_results(results)
    assert results["schema_version"] == "1.0"
    assert results["mmpl_version"] == __version__
    assert results["case_id"] == "TINY-1"
    assert {"name", "version", "sha256"} <= set(results["bundle"])
    assert (
        results["bundle"]["name"] == json.loads((tiny_bundle_path / "bundle.json").read_text(encoding="utf-8"))["name"]
    )
    for lesion in results["lesions"].values():
        assert set(lesion) == FIGURES | {"components"}
        assert all(set(c) == FIGURES | {"id", "centroid_lps_mm"} for c in lesion["components"])
    assert {"probability", "threshold", "status", "members"} <= set(results["hpv"])
    rfs = {
        "time_zero",
        "risk",
        "risk_group",
        "deep_restricted_mean_days",
        "curve",
        "survival_at",
        "members_at",
        "members",
    }
    assert rfs <= set(results["rfs"])
    assert set(results["rfs"]["curve"]) == {"days", "survival", "members_low", "members_high"}
    assert set(results["rfs"]["survival_at"]) == {"1y", "2y", "3y", "5y"}
    assert len(results["hpv"]["members"]) == len(results["rfs"]["members"]) == 2
    assert set(results["contributions"]) == {"hpv", "rfs"}
    assert results["timings_s"]["segmentation"] >= 0
    assert results["inputs"]["pet"]["units"] == "SUVbw"
    assert "41 %" in results["mtv_rule"]


def test_the_curve_is_null_beyond_the_last_training_event(predicted, results_of):
    rfs = results_of(predicted)["rfs"]
    known = {day for day, s in zip(rfs["curve"]["days"], rfs["curve"]["survival"], strict=True) if s is not None}
    assert max(known) == 1500
    assert rfs["survival_at"]["3y"] is not None
    assert rfs["survival_at"]["5y"] is None


def test_the_lesions_found_are_those_of_the_patient(predicted, read_mask, tiny_patient, results_of):
    found = read_mask(predicted).array
    for value in (1, 2):
        assert dice(found == value, tiny_patient.label_map.array == value) > 0.6
    lesions = results_of(predicted)["lesions"]
    assert [len(lesions[name]["components"]) for name in ("GTVp", "GTVn")] == [1, 1]
    assert lesions["GTVp"]["suv_max"] == pytest.approx(tiny_patient.pet.array.max(), rel=1e-6)


def test_the_mask_lies_on_exactly_the_ct_grid(predicted, tiny_patient):
    assert_same_grid(predicted / "mask.nii.gz", tiny_patient.ct.geometry)
    image = sitk.ReadImage(str(predicted / "mask.nii.gz"))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert set(np.unique(sitk.GetArrayViewFromImage(image))) == {0, 1, 2}


def test_features_and_report_are_of_this_case(predicted):
    with (predicted / "features.csv").open() as file:
        features = {row["feature"]: row["value"] for row in csv.DictReader(file)}
    assert float(features["GTVp_original_shape_MeshVolume"]) > 1000
    assert features["missing_GTVn"] == "0.0"
    report = (predicted / "report.html").read_text(encoding="utf-8")
    assert "TINY-1" in report
    assert "research use only" in report


@pytest.mark.parametrize("saved", ["mask.nii.gz", "segmentation.seg.nrrd"])
def test_assessing_what_was_saved_gives_what_was_saved(saved, predicted, on_tiny, ehr_path, without_timings, tmp_path):
    ran = on_tiny("assess", mask=predicted / saved, ehr=ehr_path)
    assert ran.code == 0
    again, first = without_timings(tmp_path / "out"), without_timings(predicted)
    assert again.pop("segmentation") is None  # these contours were given
    assert first.pop("segmentation")["members"] == 2
    assert again == first
    for name in ("mask.nii.gz", "segmentation.seg.nrrd", "features.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (predicted / name).read_bytes()


def test_the_terminal_gets_a_summary_and_one_line_a_warning(on_tiny, results_of, tmp_path):
    ran = on_tiny("assess")
    results = results_of(tmp_path / "out")
    assert f"HPV probability: {results['hpv']['probability']:.3f}" in ran.out
    assert "research use only" in ran.out
    assert ran.errors == [f"warning {w['code']}: {w['text']}" for w in results["warnings"]]
    assert {"PHANTOM_BUNDLE", "SITE_UNKNOWN", "CLINICAL_MISSING"} == codes(results)


def test_the_summary_is_never_certain_and_never_blank(tiny_outcome):
    results = tiny_outcome.results
    near = replace(results, rfs=replace(results.rfs, survival_at={"1y": 0.998, "2y": 0.004, "5y": None}))
    assert "RFS: 1y > 99 %, 2y < 1 %; " in summary_of(near)
    none = replace(results, rfs=replace(results.rfs, survival_at=dict.fromkeys(("1y", "2y"))))
    assert "RFS: no estimate at any year; " in summary_of(none)


def test_strict_ends_with_3_when_there_are_warnings(on_tiny, tmp_path):
    assert on_tiny("assess", "--strict").code == 3
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES


def test_what_is_left_of_an_earlier_result_is_said(on_tiny, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scene.mrb").write_bytes(b"earlier")
    ran = on_tiny("assess")
    assert ran.code == 0
    said = f"warning EARLIER_FILES: {tmp_path / 'out'}: scene.mrb is of an earlier result, not of this one"
    assert any(line.startswith(said) for line in ran.errors)


def test_a_mask_on_another_grid_is_brought_to_the_cts(on_tiny, tiny_patient, save_image, read_mask, tmp_path):
    coarse = Geometry((20, 18, 24), (4.0, 4.0, 4.0), (-45.0, -30.0, -74.0))
    mask = resample(tiny_patient.label_map, coarse, method="nearest", fill=0)
    assert on_tiny("assess", mask=save_image(mask, tmp_path / "mask.nrrd")).code == 0
    expected = resample(mask, tiny_patient.ct.geometry, method="nearest", fill=0)
    assert_same_grid(tmp_path / "out" / "mask.nii.gz", tiny_patient.ct.geometry)
    np.testing.assert_array_equal(read_mask(tmp_path / "out").array, expected.array)


def test_what_of_a_mask_lies_outside_the_ct_is_named(on_tiny, tiny_patient, save_image, results_of, tmp_path):
    beyond = tiny_patient.label_map.geometry.cropped((0, 0, -10), (60, 56, 60))
    array = np.zeros(beyond.shape, np.uint8)
    array[5:15, 20:30, 20:30] = 1  # half of it below the CT
    on_tiny("assess", mask=save_image(Volume(array, beyond), tmp_path / "mask.nii.gz"))
    results = results_of(tmp_path / "out")
    (text,) = [w["text"] for w in results["warnings"] if w["code"] == "MASK_OUTSIDE_CT"]
    assert text.startswith("50.0 % of the contoured volume lies outside the CT")
    assert results["lesions"]["GTVp"]["volume_ml"] == pytest.approx(5 * 10 * 10 * 0.012)


def test_one_class_alone_is_enough(on_tiny, tiny_patient, save_image, results_of, tmp_path):
    primary = tiny_patient.label_map.with_array((tiny_patient.label_map.array == 1).astype(np.uint8))
    assert on_tiny("assess", mask=save_image(primary, tmp_path / "mask.nii.gz")).code == 0
    results = results_of(tmp_path / "out")
    assert results["lesions"]["GTVn"]["volume_ml"] == 0
    assert results["lesions"]["GTVn"]["components"] == []
    assert results["hpv"]["probability"] is not None
    assert results["rfs"]["risk"] is not None
    assert "NO_LESION" not in codes(results)
    features = dict(csv.reader((tmp_path / "out" / "features.csv").open()))
    assert features["missing_GTVn"] == "1.0"
    assert features["GTVn_PT_original_firstorder_Mean"] == ""


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--strict",), 3)])
def test_no_lesion_is_a_result_not_a_failure(flags, code, on_tiny, tiny_patient, save_image, results_of, tmp_path):
    empty = tiny_patient.label_map.with_array(np.zeros(tiny_patient.label_map.array.shape, np.uint8))
    ran = on_tiny("assess", *flags, mask=save_image(empty, tmp_path / "mask.nii.gz"))
    results = results_of(tmp_path / "out")
    assert ran.code == code
    assert "NO_LESION" in codes(results)
    assert (results["hpv"]["probability"], results["rfs"]["risk"]) == (None, None)
    assert results["hpv"]["reason"] == results["rfs"]["reason"] == "no lesion is contoured"
    assert results["contributions"] == {"hpv": [], "rfs": []}


def test_a_model_that_finds_nothing_says_so(on_tiny, blind_bundle_path, results_of, read_mask, tmp_path):
    assert on_tiny("predict", bundle=blind_bundle_path).code == 0
    assert not read_mask(tmp_path / "out").array.any()
    assert "NO_LESION" in codes(results_of(tmp_path / "out"))


def test_a_pet_in_bqml_gives_masks_but_no_figures(on_tiny, tiny_patient, save_image, results_of, read_mask, tmp_path):
    becquerel = tiny_patient.pet.with_array(tiny_patient.pet.array * 5300)
    assert on_tiny("predict", pt=save_image(becquerel, tmp_path / "pet.nii.gz")).code == 0
    results = results_of(tmp_path / "out")
    assert read_mask(tmp_path / "out").array.any()
    assert [w["code"] for w in results["warnings"]].count("PET_NOT_SUV") == 1
    assert results["inputs"]["pet"]["units"] == "unknown"
    assert results["lesions"]["GTVp"]["volume_ml"] > 1
    assert results["lesions"]["GTVp"]["suv_max"] is None
    assert results["hpv"]["reason"] == results["rfs"]["reason"] == "the PET is not in SUV"
    features = dict(csv.reader((tmp_path / "out" / "features.csv").open()))
    assert features["GTVp_PT_original_firstorder_Maximum"] == ""
    assert features["GTVp_CT_original_firstorder_Maximum"] != ""


def test_a_site_takes_the_place_of_the_records_whatever_its_spelling(on_tiny, results_of, tmp_path):
    (tmp_path / "ehr.json").write_text('{"primary site": "oropharynx"}')
    assert on_tiny("assess", site="larynx", ehr=tmp_path / "ehr.json").code == 0
    assert "SITE_NOT_OROPHARYNX" in codes(results_of(tmp_path / "out"))


def test_another_primary_site_gets_rfs_but_no_hpv(on_tiny, results_of, tmp_path):
    assert on_tiny("assess", site="larynx").code == 0
    results = results_of(tmp_path / "out")
    assert results["hpv"]["probability"] is None
    assert "not the oropharynx" in results["hpv"]["reason"]
    assert results["rfs"]["risk"] is not None
    assert "SITE_NOT_OROPHARYNX" in codes(results)


def test_a_known_hpv_status_is_recorded_and_changes_no_number(
    predicted, on_tiny, tiny_patient, without_timings, tmp_path
):
    ehr = tmp_path / "ehr.json"
    ehr.write_text(json.dumps({**tiny_patient.clinical, "HPV Status": 0}))
    on_tiny("predict", ehr=ehr)
    results = without_timings(tmp_path / "out")
    assert results["hpv"].pop("known") == "negative"
    other = without_timings(predicted)
    assert other["hpv"].pop("known") is None
    assert results == other


def test_negative_pet_voxels_are_reported_as_they_are(on_tiny, tiny_patient, save_image, results_of, tmp_path):
    pet = tiny_patient.pet.array.copy()
    pet[0:4, 0:4, 0:4] = -0.05
    air = np.zeros(tiny_patient.ct.geometry.shape, np.uint8)
    air[0:3, 0:6, 0:6] = 2
    ran = on_tiny(
        "assess",
        pt=save_image(tiny_patient.pet.with_array(pet), tmp_path / "pet.nii.gz"),
        mask=save_image(tiny_patient.label_map.with_array(air), tmp_path / "mask.nii.gz"),
    )
    assert ran.code == 0
    assert results_of(tmp_path / "out")["lesions"]["GTVn"]["suv_mean"] == pytest.approx(-0.05)


STORED = {
    "NRRD, reversed": (".nrrd", (0, 1, 2), (0, 1, 2), (0, 1, 2), (1,)),
    "MHA, permuted": (".mha", (2, 0, 1), (), (1, 0, 2), ()),
    "NIfTI, both": (".nii.gz", (1, 2, 0), (0, 2), (0, 2, 1), (0,)),
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
def test_physics_not_storage(stored, predicted, on_tiny, tiny_patient, reordered, save_image, ehr_path, tmp_path):
    suffix, ct_order, ct_reverse, pt_order, pt_reverse = stored
    ct = reordered(tiny_patient.ct, ct_order, ct_reverse)
    pet = reordered(tiny_patient.pet, pt_order, pt_reverse)
    ran = on_tiny(
        "predict",
        ct=save_image(ct, tmp_path / f"ct{suffix}"),
        pt=save_image(pet, tmp_path / f"pet{suffix}"),
        ehr=ehr_path,
    )
    assert ran.code == 0
    out = tmp_path / "out"
    assert_same_grid(out / "mask.nii.gz", ct.geometry)
    usual = sitk.ReadImage(str(predicted / "mask.nii.gz"))
    mask = sitk.Resample(sitk.ReadImage(str(out / "mask.nii.gz")), usual, sitk.Transform(), sitk.sitkNearestNeighbor)
    a, b = sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(usual)
    assert min(dice(a == value, b == value) for value in (1, 2)) >= 0.999
    results, expected = (
        json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in (out, predicted)
    )
    assert results["hpv"]["probability"] == pytest.approx(expected["hpv"]["probability"], abs=1e-3)
    assert results["rfs"]["risk"] == pytest.approx(expected["rfs"]["risk"], abs=1e-3)
    assert results["lesions"]["GTVn"]["tlg_g"] == pytest.approx(expected["lesions"]["GTVn"]["tlg_g"], rel=1e-3)


def test_an_oblique_ct_gets_its_mask_on_its_grid(predicted, on_tiny, tiny_patient, save_image, results_of, tmp_path):
    c, s = np.cos(0.2), np.sin(0.2)
    turn = ((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c))
    oblique = Geometry((64, 56, 52), (2.0, 2.0, 3.0), np.asarray(turn) @ (-63.0, -55.0, -77.0), turn)
    ct = resample(tiny_patient.ct, oblique, method="linear", fill=-1000.0)
    assert on_tiny("predict", ct=save_image(ct, tmp_path / "ct.nii.gz")).code == 0
    assert_same_grid(tmp_path / "out" / "mask.nii.gz", oblique)
    lesions, straight = (results_of(folder)["lesions"] for folder in (tmp_path / "out", predicted))
    for name in ("GTVp", "GTVn"):
        assert lesions[name]["volume_ml"] == pytest.approx(straight[name]["volume_ml"], rel=0.1)
        gap = np.subtract(*(one[name]["components"][0]["centroid_lps_mm"] for one in (lesions, straight)))
        assert np.linalg.norm(gap) < 1.5


def test_as_a_program_of_its_own(tiny_files, tiny_bundle_path, ehr_path, predicted, without_timings, tmp_path):
    arguments = ["predict", "--ct", tiny_files["ct"], "--pt", tiny_files["pt"], "--ehr", ehr_path]
    arguments += ["--bundle", tiny_bundle_path, "--out", tmp_path / "out", "--case-id", "TINY-1"]
    ran = subprocess.run([sys.executable, "-m", "mmpl", *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0
    said = [line for line in ran.stderr.splitlines() if not PROGRESS.fullmatch(line)]
    assert said
    assert all(line.startswith("warning ") for line in said)
    found, expected = (_leaves(without_timings(folder)) for folder in (tmp_path / "out", predicted))
    assert found.keys() == expected.keys()
    assert min(one.pop("/segmentation/predicted_s") for one in (found, expected)) > 0  # it depends on the threads
    for place, value in expected.items():
        # another number of threads sums in another order
        same = pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value
        assert found[place] == same, place


def _leaves(value, path: str = "") -> dict[str, object]:
    """Every leaf of nested dictionaries and lists by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: value}
    return {p: v for key, inner in items for p, v in _leaves(inner, f"{path}/{key}").items()}


def test_a_name_that_the_terminal_cannot_spell_ends_no_run(tiny_files, tiny_bundle_path, tmp_path):
    files = {"ct": tiny_files["ct"], "pt": tiny_files["pt"], "mask": tiny_files["mask"], "bundle": tiny_bundle_path}
    options = [str(text) for name, value in files.items() for text in (f"--{name}", value)]
    done = subprocess.run(
        [sys.executable, "-m", "mmpl", "assess", *options, "--out", tmp_path / "out", "--case-id", "Müller"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"M\\xfcller: GTVp")
    assert json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["case_id"] == "Müller"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("series", ["--data", "{}"]),
        ("suv", ["--pt", "{}", "--out", "{}.nii.gz"]),
        ("structures", ["--rtstruct", "{}", "--image", "{}"]),
        ("scan", ["--data", "{}"]),
        ("phantom", ["--out", "{}", "--cases", "1", "--seed", "1"]),
    ],
)
def test_a_path_that_the_system_refuses_is_one_sentence(mmpl, command, arguments, tmp_path):
    path = tmp_path / ("B" * 300)
    ran = mmpl(command, *(argument.format(path) for argument in arguments))
    assert (ran.code, len(ran.errors), ran.out) == (2, 1, "")
    assert ran.errors[0].startswith(f"mmpl {command}: ")
    assert str(path) in ran.errors[0]


def test_whoever_reads_the_output_may_stop():
    """As in "mmpl series --data DIR | head -1": the pipe is closed before all is written."""
    code = """
from mmpl import cli, cli_images
cli_images._series = lambda arguments: print("x" * 300_000)
raise SystemExit(cli.main(["series", "--data", "."]))
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes) as process:
        assert process.stdout.read(10) == b"x" * 10
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == STOPPED
