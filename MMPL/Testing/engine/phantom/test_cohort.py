"""The cohort on disk: layout, tables, resuming, refusing."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import InputError, OutputError
from mmpl.geometry import volume_from_image
from mmpl.phantom import draw_factors, generate_patient, write_cohort

SEED, CASES = 5, 2
RECORD = [
    "PatientID",
    "CenterID",
    "Age",
    "Gender",
    "Tobacco Consumption",
    "Alcohol Consumption",
    "Performance Status",
    "Treatment",
    "M-stage",
]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohorts") / "phantom"
    write_cohort(out, CASES, SEED)
    return out


def _table(cohort, task):
    path = cohort / f"Task {task}" / f"HECKTOR_2025_Training_Task_{task}.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_layout_is_hectors(cohort):
    files = sorted(str(p.relative_to(cohort)) for p in cohort.rglob("*") if p.is_file())
    patients = [f"Task 1/PHA-000{k}/PHA-000{k}{suffix}.nii.gz" for k in range(CASES) for suffix in ("", "__CT", "__PT")]
    tables = [f"Task {task}/HECKTOR_2025_Training_Task_{task}.csv" for task in (1, 2, 3)]
    assert files == sorted([*patients, *tables, "phantom.json"])
    assert not cohort.with_name("phantom.partial").exists()


def test_images_read_back_as_generated(cohort):
    patient = generate_patient(SEED, 1)
    folder = cohort / "Task 1" / patient.patient_id
    for suffix, volume in (("__CT", patient.ct), ("__PT", patient.pet), ("", patient.label_map)):
        read = volume_from_image(sitk.ReadImage(str(folder / f"{patient.patient_id}{suffix}.nii.gz")))
        np.testing.assert_array_equal(read.array, volume.array)
        assert read.array.dtype == volume.array.dtype
        assert read.geometry.is_close(volume.geometry, tolerance_mm=1e-2)


@pytest.mark.parametrize(("task", "targets"), [(1, []), (2, ["Relapse", "RFS"]), (3, ["HPV Status"])])
def test_tables_hold_the_record_and_the_targets(cohort, task, targets):
    rows = _table(cohort, task)
    assert list(rows[0]) == [*RECORD, *targets]
    for index, row in enumerate(rows):
        truth = draw_factors(SEED, index)
        assert row["PatientID"] == truth.patient_id
        assert row["CenterID"] == str(truth.center_id)
        for name, value in truth.record.items():
            assert row[name] == ("" if value is None else str(value))
        if task == 2:
            assert (int(row["Relapse"]), float(row["RFS"])) == (truth.relapse, truth.rfs_days)
        if task == 3:
            assert row["HPV Status"] == ("" if truth.hpv_recorded is None else str(truth.hpv_status))


def test_manifest_says_that_it_is_synthetic(cohort):
    manifest = json.loads((cohort / "phantom.json").read_text(encoding="utf-8"))
    assert (manifest["seed"], manifest["cases"]) == (SEED, CASES)
    assert "Synthetic" in manifest["statement"]


def test_the_cohort_asked_for_again_is_left_alone(cohort):
    image = cohort / "Task 1" / "PHA-0000" / "PHA-0000__CT.nii.gz"
    before = image.stat().st_mtime_ns
    assert write_cohort(cohort, CASES, SEED) == ("PHA-0000", "PHA-0001")
    assert image.stat().st_mtime_ns == before


def test_a_stopped_run_is_taken_up(tmp_path):
    class Stopped(Exception):
        pass

    def stop_after_first(step, fraction):
        if fraction >= 0.5:
            raise Stopped

    out = tmp_path / "phantom"
    with pytest.raises(Stopped):
        write_cohort(out, CASES, SEED, progress=stop_after_first)
    assert not out.exists()
    kept = tmp_path / "phantom.partial" / "Task 1" / "PHA-0000" / "PHA-0000.nii.gz"
    before = kept.stat().st_mtime_ns
    told = []
    write_cohort(out, CASES, SEED, progress=lambda step, fraction: told.append((step, fraction)))
    assert (out / "Task 1" / "PHA-0000" / "PHA-0000.nii.gz").stat().st_mtime_ns == before
    assert told == [("phantom", 0.0), ("phantom", 0.5), ("phantom", 1.0)]
    assert not (tmp_path / "phantom.partial").exists()


def test_another_cohort_replaces_a_phantom_cohort(tmp_path):
    out = tmp_path / "phantom"
    write_cohort(out, 1, SEED)
    write_cohort(out, 1, SEED + 1, workers=2)
    assert json.loads((out / "phantom.json").read_text(encoding="utf-8"))["seed"] == SEED + 1


def test_what_lies_beside_a_cohort_is_not_replaced_with_it(tmp_path):
    out = tmp_path / "phantom"
    write_cohort(out, 1, SEED)
    (out / ".DS_Store").touch()
    (out / "results").mkdir()
    (out / "results" / "cases.csv").write_text("mine")
    with pytest.raises(OutputError, match="results lies beside the phantom cohort, which would be replaced"):
        write_cohort(out, 2, SEED)
    assert (out / "results" / "cases.csv").read_text() == "mine"
    assert (out / "Task 1" / "PHA-0000").is_dir()


def test_a_cohort_that_lacks_a_patient_is_written_again(tmp_path):
    out = tmp_path / "phantom"
    write_cohort(out, 1, SEED)
    shutil.rmtree(out / "Task 1" / "PHA-0000")
    assert write_cohort(out, 1, SEED) == ("PHA-0000",)
    assert len(list((out / "Task 1" / "PHA-0000").iterdir())) == 3


@pytest.mark.parametrize("lost", ["Task 1/PHA-0000/PHA-0000__PT.nii.gz", "Task 3/HECKTOR_2025_Training_Task_3.csv"])
def test_a_cohort_that_lacks_a_file_is_written_again(tmp_path, lost):
    out = tmp_path / "phantom"
    write_cohort(out, 1, SEED)
    before = (out / lost).read_bytes()
    (out / lost).unlink()
    write_cohort(out, 1, SEED)
    assert (out / lost).read_bytes() == before


@pytest.mark.parametrize("name", ["notes.txt", "phantom.json"])
def test_a_folder_of_somebody_else_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(OutputError, match="no phantom cohort"):
        write_cohort(tmp_path, 1, SEED)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_file_in_the_way_is_refused(tmp_path):
    path = tmp_path / "taken"
    path.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="a file of this name exists"):
        write_cohort(path, 1, SEED)


def test_an_empty_folder_is_taken(tmp_path):
    write_cohort(tmp_path / ".", 1, SEED)
    assert (tmp_path / "phantom.json").exists()


@pytest.mark.parametrize(("cases", "seed", "workers"), [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_impossible_numbers_are_refused(tmp_path, cases, seed, workers):
    with pytest.raises(InputError, match="at least 1"):
        write_cohort(tmp_path / "x", cases, seed, workers=workers)
