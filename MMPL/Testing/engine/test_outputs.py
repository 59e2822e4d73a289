"""What a run writes: all of it or nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mmpl.case import Case
from mmpl.earlier_files import check_same_case, check_same_ct, sentence_about
from mmpl.errors import OutputError
from mmpl.fingerprint import fingerprint
from mmpl.outputs import clinical_rows, report_of, write_outputs
from mmpl.report.validate import validate_results

WRITERS = ("write_label_map", "write_segmentation_nrrd", "write_json_atomic", "write_features_csv", "write_text_atomic")


@pytest.fixture
def out(tmp_path):
    """An output folder with files of an earlier run."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("mask.nii.gz", "results.json", "report.html", "mine.txt"):
        (folder / name).write_text(f"old {name}")
    return folder


@pytest.fixture(autouse=True)
def quick_report(request, monkeypatch):
    """The report is slow to draw; only its own test needs it."""
    if "real_report" not in request.fixturenames:
        monkeypatch.setattr("mmpl.outputs.report_of", lambda *_, **__: "<html></html>")


@pytest.fixture
def real_report():
    return True


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_folder_as_it_was(
    writer, error, out, tiny_case, tiny_outcome, contents, monkeypatch
):
    before = contents(out)

    def fails(*_arguments):
        raise error

    monkeypatch.setattr(f"mmpl.outputs.{writer}", fails)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_outputs(out, tiny_case, tiny_outcome)
    assert contents(out) == before


@pytest.mark.parametrize("limit", [200, 2000, 9000])
def test_a_file_system_that_takes_no_more_leaves_the_folder_as_it_was(limit, out, tiny_case, tiny_outcome, contents):
    resource = pytest.importorskip("resource")  # not on Windows
    before = contents(out)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_outputs(out, tiny_case, tiny_outcome)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(out) == before


@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), KeyboardInterrupt()])
@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_a_failure_while_files_are_put_in_place_puts_the_old_ones_back(
    error, fails_at, out, tiny_case, tiny_outcome, contents, monkeypatch
):
    before, replace_file, placed = contents(out), os.replace, []

    def fails(source, target):
        if os.path.dirname(target) == str(out):
            placed.append(target)
            if len(placed) == fails_at:
                raise error
        replace_file(source, target)

    monkeypatch.setattr("mmpl.io.output.os.replace", fails)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_outputs(out, tiny_case, tiny_outcome)
    assert contents(out) == before


def test_files_of_an_earlier_run_are_replaced_and_others_stay(out, tiny_case, tiny_outcome):
    write_outputs(out, tiny_case, tiny_outcome)
    assert (out / "mine.txt").read_text(encoding="utf-8") == "old mine.txt"
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["case_id"] == "TINY-1"
    assert (out / "mask.nii.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]


def test_files_that_only_an_earlier_result_was_written_to_are_named(out, tiny_case, tiny_outcome):
    assert write_outputs(out, tiny_case, tiny_outcome) == ()
    (out / "dicom").mkdir()
    (out / "dicom" / "0001.dcm").write_bytes(b"a slice of a user's own")
    assert write_outputs(out, tiny_case, tiny_outcome) == ()
    for name in ("scene.mrb", "dicom/rtstruct.dcm"):
        (out / name).write_bytes(b"earlier")
    assert write_outputs(out, tiny_case, tiny_outcome) == ("scene.mrb", "dicom/rtstruct.dcm")
    assert (out / "dicom" / "rtstruct.dcm").read_bytes() == b"earlier"


def test_what_is_left_of_an_earlier_result_is_one_sentence(tmp_path):
    assert sentence_about(("scene.mrb",), Path("out")) == (
        "out: scene.mrb is of an earlier result, not of this one: remove it, or have it written again"
    )
    assert sentence_about(("scene.mrb", "dicom/report.dcm"), Path("out")) == (
        "out: scene.mrb, dicom/report.dcm are of an earlier result, not of this one: remove them, or have them written "
        "again"
    )


def test_a_scene_that_cannot_be_written_stops_everything(out, tiny_case, tiny_outcome, contents, monkeypatch):
    before = contents(out)

    def fails(_case, _outcome, path):
        path.write_text("half a scene")
        raise OutputError("no scene")

    monkeypatch.setattr("mmpl.outputs.load_plugin", lambda _name: fails)
    with pytest.raises(OutputError, match="no scene"):
        write_outputs(out, tiny_case, tiny_outcome, mrb=True)
    assert contents(out) == before


def test_results_that_break_their_schema_are_not_written(out, tiny_case, tiny_outcome, contents):
    before = contents(out)
    broken = replace(tiny_outcome, results=replace(tiny_outcome.results, case_id=""))
    with pytest.raises(ValueError, match="case_id"):  # a fault of ours, no user's to mend
        write_outputs(out, tiny_case, broken)
    assert contents(out) == before


def test_the_report_of_a_correction_names_both_contours(tiny_case, tiny_outcome, real_report):
    shrunk = replace(
        tiny_outcome,
        results=replace(tiny_outcome.results, hpv=replace(tiny_outcome.results.hpv, probability=0.111)),
    )
    html = report_of(tiny_case, tiny_outcome, before=shrunk)
    assert "was 11" in html.replace("\xa0", " ")
    assert '<dd class="was">' in html
    assert '<dd class="was">' not in report_of(tiny_case, tiny_outcome)


@pytest.mark.parametrize(
    "names", [("HPV Status", "Primary Site"), ("hpv_status", "primary_site"), ("HPV-status", " primary site")]
)
def test_clinical_rows_are_for_people(tiny_patient, names):
    record = {"age": "61", "Gender": "M", "M-stage": "MX", names[0]: 1, names[1]: "tonsil"}
    rows = dict(clinical_rows(Case("X", tiny_patient.ct, tiny_patient.pet, clinical=record)))
    assert rows["Age"] == "61 years"
    assert rows["Gender"] == "male"
    assert rows["M stage"] is None
    assert rows["Primary Site"] == "tonsil"
    assert rows["HPV Status"] == "1"


def test_an_outcome_with_scores_of_earlier_contours_is_not_saved(tiny_case, tiny_outcome, tmp_path):
    with pytest.raises(ValueError, match="earlier contours"):
        write_outputs(tmp_path / "out", tiny_case, replace(tiny_outcome, deep_is_kept=True))
    assert not (tmp_path / "out").exists()


def test_every_file_is_on_the_disk_before_it_is_in_its_place(tiny_case, tiny_outcome, tmp_path, monkeypatch):
    """A power cut would else leave an empty mask beside a record that says the case is finished."""
    written, really = set(), os.fsync

    def noted(file: int) -> None:
        written.add(os.fstat(file).st_ino)
        really(file)

    monkeypatch.setattr(os, "fsync", noted)
    write_outputs(tmp_path / "out", tiny_case, tiny_outcome)
    assert {path.name for path in (tmp_path / "out").iterdir() if path.stat().st_ino not in written} == set()


@pytest.fixture
def grids(tiny_case) -> dict:
    return {"ct": tiny_case.ct.geometry, "pet": tiny_case.pet.geometry}


def test_a_folder_without_results_or_with_the_same_cases_is_free(tmp_path, tiny_case, tiny_outcome, grids):
    check_same_case(tmp_path / "absent", "TINY-1", grids)
    (tmp_path / "mine.txt").write_text("mine")
    check_same_case(tmp_path, "TINY-1", grids)
    write_outputs(tmp_path, tiny_case, tiny_outcome)
    check_same_case(tmp_path, "TINY-1", grids)


def test_results_of_another_case_are_named(tmp_path, tiny_case, tiny_outcome, grids):
    write_outputs(tmp_path, tiny_case, tiny_outcome)
    with pytest.raises(OutputError) as refusal:
        check_same_case(tmp_path, "TINY-2", grids)
    assert str(refusal.value) == (f"{tmp_path} holds results of the case TINY-1, not of TINY-2: choose another folder")


@pytest.mark.parametrize("name", ["ct", "pet"])
def test_a_case_of_the_same_name_with_other_images_is_another_one(name, tmp_path, tiny_case, tiny_outcome, grids):
    write_outputs(tmp_path, tiny_case, tiny_outcome)
    origin = grids[name].origin_mm
    grids[name] = replace(grids[name], origin_mm=(origin[0], origin[1], origin[2] + 12.0))
    with pytest.raises(OutputError, match="of a case TINY-1 with other images than this one's: choose another folder"):
        check_same_case(tmp_path, "TINY-1", grids)


def test_another_ct_on_the_same_grid_is_another_one(tmp_path, tiny_case, tiny_outcome, grids):
    check_same_ct(tmp_path / "absent", "abc")
    write_outputs(tmp_path, tiny_case, tiny_outcome)
    check_same_ct(tmp_path, fingerprint(tiny_case.ct.array))
    with pytest.raises(OutputError, match="of a case TINY-1 with other images than this one's: choose another folder"):
        check_same_ct(tmp_path, fingerprint(tiny_case.ct.array + 3.0))
    results = json.loads((tmp_path / "results.json").read_text())
    del results["inputs"]["ct"]["fingerprint"]  # as results of before
    validate_results(results)
    (tmp_path / "results.json").write_text(json.dumps(results))
    check_same_ct(tmp_path, "abc")


@pytest.mark.parametrize("results", [None, "damaged", "[]", "{}", '{"case_id": "TINY-1", "inputs": {"ct": 5}}'])
def test_files_of_nobody_knows_which_case_are_left_alone(results, tmp_path, grids):
    (tmp_path / "mask.nii.gz").write_bytes(b"somebody's work")
    if results is not None:
        (tmp_path / "results.json").write_text(results)
    with pytest.raises(OutputError, match=r"holds mask\.nii\.gz.*, but no results that say of which case: choose"):
        check_same_case(tmp_path, "TINY-1", grids)
