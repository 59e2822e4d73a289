"""mmpl batch, run as a user runs it: every case as predict does it, resumable, one table."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from mmpl import batch_cases, batch_job, cli
from mmpl.batch import run_batch, shared
from mmpl.batch_cases import find_cases
from mmpl.batch_folder import done_cases
from mmpl.batch_job import CaseJob, Settings, loaded_ensemble, run_case
from mmpl.batch_table import COLUMNS
from mmpl.bundle.reader import open_bundle
from mmpl.ensemble import Inference
from mmpl.errors import BundleError, InputError, OutputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_case
from mmpl.network.networks import Networks
from mmpl.phantom.dicom import Person, write_ct, write_pet
from mmpl.pipeline import predict
from mmpl.version import __version__

FILES = {"mask.nii.gz", "segmentation.seg.nrrd", "results.json", "features.csv", "report.html"}
NAMES = ("TINY-1", "TINY-2")
SMALL = Volume(np.ones((4, 5, 6), np.float32), Geometry((6, 5, 4), (4.0, 4.0, 5.0), (0.0, 0.0, 0.0)))


@pytest.fixture(scope="session")
def make_cohort(tiny_files, ehr_path) -> Callable[..., Path]:
    """Writes a folder of folders: the tiny patient under several names."""

    def make(folder: Path, names=NAMES) -> Path:
        for name in names:
            (folder / name).mkdir(parents=True)
            shutil.copy2(tiny_files["ct"], folder / name / f"{name}__CT.nii.gz")
            shutil.copy2(tiny_files["pt"], folder / name / f"{name}__PT.nii.gz")
            shutil.copy2(ehr_path, folder / name / "ehr.json")
        return folder

    return make


@pytest.fixture(scope="module")
def done(make_cohort, tiny_bundle_path, tmp_path_factory) -> Path:
    """A folder with a cohort, ``data``, and its finished batch, ``out``."""
    home = tmp_path_factory.mktemp("batch")
    data = make_cohort(home / "data")
    assert cli.main([*map(str, ["batch", "--data", data, "--bundle", tiny_bundle_path, "--out", home / "out"])]) == 0
    return home


@pytest.fixture
def home(done, tmp_path) -> Path:
    """A copy of the finished batch, to be changed."""
    shutil.copytree(done, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def batch(mmpl, tiny_bundle_path) -> Callable:
    """Runs the batch of a folder's ``data`` into its ``out``."""

    def run(home: Path, *flags, bundle: Path = tiny_bundle_path):
        return mmpl("batch", "--data", home / "data", "--bundle", bundle, "--out", home / "out", *flags)

    return run


@pytest.fixture
def at_once(monkeypatch, tiny_outcome) -> None:
    """Cases are run without networks: for tests of which of them are run."""

    def outcome_of(case, ensemble):
        return replace(tiny_outcome, results=replace(tiny_outcome.results, case_id=case.case_id))

    monkeypatch.setattr(batch_job, "predict", outcome_of)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with inode and time of change."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def changed(before: dict, after: dict) -> set[str]:
    """First folders of what is not the same."""
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return {Path(name).parts[0] for name in names}


# --- results ----------------------------------------------------------------------------------------------------------


def test_a_case_gets_what_predict_gives(done, predicted, without_timings, read_mask):
    folder = done / "out" / "TINY-1"
    assert {p.name for p in folder.iterdir()} == FILES | {"batch_case.json"}
    assert without_timings(folder) == without_timings(predicted)
    np.testing.assert_array_equal(read_mask(folder).array, read_mask(predicted).array)
    assert (folder / "features.csv").read_bytes() == (predicted / "features.csv").read_bytes()


def test_the_table_holds_what_the_results_say(done, predicted, results_of):
    table = rows(done / "out" / "cases.csv")
    assert [row["case_id"] for row in table] == list(NAMES)
    expected = results_of(predicted)
    assert expected["rfs"]["survival_at"]["5y"] is None
    for row in table:
        assert row["status"] == "done"
        for name in ("GTVp", "GTVn"):
            lesion = expected["lesions"][name]
            for figure in ("volume_ml", "suv_max", "mtv_ml", "tlg_g"):
                assert float(row[f"{name}_{figure}"]) == lesion[figure]
            assert int(row[f"{name}_lesions"]) == len(lesion["components"]) > 0
        assert float(row["hpv_probability"]) == expected["hpv"]["probability"]
        assert (row["hpv_status"], row["hpv_known"]) == (expected["hpv"]["status"], "")
        assert float(row["rfs_risk"]) == expected["rfs"]["risk"]
        assert row["rfs_group"] == expected["rfs"]["risk_group"]
        for year in ("1y", "2y", "3y"):
            assert float(row[f"rfs_{year}"]) == expected["rfs"]["survival_at"][year]
        assert row["rfs_5y"] == ""
        assert row["warnings"].split(";") == list(dict.fromkeys(w["code"] for w in expected["warnings"]))
        for key in ("name", "version", "sha256"):
            assert row[f"bundle_{key}"] == expected["bundle"][key]
        assert float(row["seconds"]) > 0
    assert not (done / "out" / "failed.csv").exists()


def test_several_processes_give_the_same(done, home, batch, read_mask):
    shutil.rmtree(home / "out")
    ran = batch(home, "--workers", 2)
    assert (ran.code, ran.errors) == (0, [])
    assert ran.out.startswith("2 of 2 cases done:")
    for mine, theirs in zip(rows(home / "out" / "cases.csv"), rows(done / "out" / "cases.csv"), strict=True):
        for column in mine.keys() - {"seconds"}:
            # one thread adds up in another order than two: rounding differs
            assert mine[column] == theirs[column] or float(mine[column]) == pytest.approx(float(theirs[column]), 1e-5)
        masks = (read_mask(folder / "out" / mine["case_id"]).array for folder in (home, done))
        np.testing.assert_array_equal(*masks)


def test_the_documentation_lists_every_column():
    text = (Path(__file__).resolve().parents[3] / "docs" / "batch.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name.split()[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert set(COLUMNS) <= named


# --- going on ---------------------------------------------------------------------------------------------------------


def test_finished_cases_are_not_touched(home, batch):
    before = stamps(home / "out")
    ran = batch(home)
    assert ran.code == 0
    assert ran.out.startswith("2 of 2 cases done, 2 of them earlier:")
    assert changed(before, stamps(home / "out")) == {"cases.csv"}


def test_a_case_that_is_new_is_added(home, batch, make_cohort, at_once):
    make_cohort(home / "data", ["TINY-3"])
    before = stamps(home / "out")
    assert batch(home).code == 0
    assert changed(before, stamps(home / "out")) == {"cases.csv", "TINY-3"}
    assert [row["case_id"] for row in rows(home / "out" / "cases.csv")] == [*NAMES, "TINY-3"]


def test_what_a_killed_run_left_is_removed_and_the_case_is_run(home, batch, at_once, results_of):
    shutil.rmtree(home / "out" / "TINY-2")
    leftover = home / "out" / ".TINY-2.partial-0123abcd"
    leftover.mkdir()
    (leftover / "mask.nii.gz").write_bytes(b"half")
    before = stamps(home / "out" / "TINY-1")
    assert batch(home).code == 0
    assert {p.name for p in (home / "out").iterdir()} == {*NAMES, "batch.json", "cases.csv", ".batch.lock"}
    assert {p.name for p in (home / "out" / "TINY-2").iterdir()} == FILES | {"batch_case.json"}
    assert results_of(home / "out" / "TINY-2")["case_id"] == "TINY-2"
    assert stamps(home / "out" / "TINY-1") == before


def test_results_of_a_run_that_was_killed_at_its_end_are_made_again(home, batch, at_once):
    record = home / "out" / "TINY-1" / "batch_case.json"
    record.write_text(json.dumps({"files": json.loads(record.read_text())["files"]}))
    before = stamps(home / "out")
    assert batch(home).code == 0
    assert changed(before, stamps(home / "out")) == {"cases.csv", "TINY-1"}


def touch(case: Path) -> None:
    os.utime(case / f"{case.name}__PT.nii.gz", ns=(1, 1))


def change_record(case: Path) -> None:
    (case / "ehr.json").write_text(json.dumps({"Age": 40, "Primary Site": "oropharynx"}))


@pytest.mark.parametrize("change", [touch, change_record])
def test_a_case_whose_input_has_changed_is_run_again(change, home, batch, at_once):
    (home / "out" / "TINY-2" / "mine.txt").write_text("keep")
    change(home / "data" / "TINY-2")
    before = stamps(home / "out")
    assert batch(home).code == 0
    assert changed(before, stamps(home / "out")) == {"cases.csv", "TINY-2"}
    assert (home / "out" / "TINY-2" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("arguments", ["bundle", "plan"])
def test_a_batch_of_another_bundle_or_plan_is_refused(arguments, home, batch, blind_bundle_path, contents):
    before = contents(home)
    ran = batch(home, bundle=blind_bundle_path) if arguments == "bundle" else batch(home, "--plan", "paper")
    assert contents(home) == before
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    what = "a batch of another bundle, tiny 0.1.0 (sha256 " if arguments == "bundle" else "a batch with --plan auto:"
    assert f"out holds {what}" in ran.errors[0]
    assert "choose another folder" in ran.errors[0]


def test_a_manifest_of_something_else_is_refused(home, batch):
    (home / "out" / "batch.json").write_text("[]")
    ran = batch(home)
    assert ran.code == 2
    assert "batch.json is not what a batch writes: choose another folder" in ran.errors[0]


def test_a_batch_of_another_version_is_refused(home, batch, contents):
    for earlier, by in (({"mmpl_version": "0.0.9"}, "MMPL 0.0.9"), ({}, "an older MMPL")):
        manifest = json.loads((home / "out" / "batch.json").read_text())
        del manifest["mmpl_version"]
        (home / "out" / "batch.json").write_text(json.dumps(manifest | earlier))
        before = contents(home)
        ran = batch(home)
        assert ran.code == 2
        assert f"out holds a batch by {by}, this is {__version__}: choose another folder" in ran.errors[0]
        assert contents(home) == before
        (home / "out" / "batch.json").write_text(json.dumps(manifest | {"mmpl_version": __version__}))


def test_two_batches_do_not_write_into_one_folder(home, batch, contents):
    with FileLock(home / "out" / ".batch.lock"):
        before = contents(home)
        ran = batch(home)
        assert ran.code == 2
        assert ran.errors == [
            f"mmpl batch: {home / 'out'}: another mmpl batch is writing there; wait for it, or choose another folder"
        ]
        assert contents(home) == before
    assert batch(home).code == 0


def test_damaged_results_are_made_again(home, batch, at_once, results_of):
    path = home / "out" / "TINY-2" / "results.json"
    path.write_bytes(path.read_bytes()[:1000])
    assert batch(home).code == 0
    assert results_of(home / "out" / "TINY-2")["case_id"] == "TINY-2"
    assert [row["status"] for row in rows(home / "out" / "cases.csv")] == ["done", "done"]


# --- nothing of a user's is lost --------------------------------------------------------------------------------------


def test_results_do_not_lie_among_images(mmpl, make_cohort, tiny_bundle_path, contents, tmp_path):
    """The case's own mask.nii.gz would be replaced."""
    data = make_cohort(tmp_path / "data")
    (data / "TINY-1" / "mask.nii.gz").write_bytes(b"drawn by hand")
    before = contents(tmp_path)
    ran = mmpl("batch", "--data", data, "--bundle", tiny_bundle_path, "--out", data)
    assert ran.code == 2
    assert "the results of TINY-1 would lie among its images; choose another folder" in ran.errors[0]
    assert contents(tmp_path) == before


def test_nor_below_a_folder_of_dicom(mmpl, tiny_bundle_path, contents, tmp_path):
    write_ct(tmp_path / "data" / "A" / "0001", SMALL)
    write_pet(tmp_path / "data" / "A" / "0002", SMALL)
    before = contents(tmp_path)
    ran = mmpl(
        "batch", "--data", tmp_path / "data", "--bundle", tiny_bundle_path, "--out", tmp_path / "data" / "A" / "o"
    )
    assert ran.code == 2
    assert "the results of A would lie among its images" in ran.errors[0]
    assert contents(tmp_path) == before


def test_files_that_no_batch_wrote_stay_and_are_told(home, batch, at_once):
    folder = home / "out" / "TINY-1"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "mask.nii.gz").write_bytes(b"drawn by hand")
    assert batch(home).code == 3
    (failed,) = rows(home / "out" / "failed.csv")
    assert failed["reason"] == (
        f"{folder} holds mask.nii.gz, which this batch did not write: move them, or choose another --out"
    )
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"mask.nii.gz": b"drawn by hand"}
    (folder / "mask.nii.gz").unlink()
    assert batch(home).code == 0


def test_results_stay_while_the_record_cannot_be_read(home, batch, contents):
    before = contents(home / "out" / "TINY-1")
    (home / "data" / "TINY-1" / "ehr.json").write_text("{")
    assert batch(home).code == 3
    assert contents(home / "out" / "TINY-1") == before


# --- cases that cannot be run -----------------------------------------------------------------------------------------


def test_a_bad_case_is_told_and_the_others_go_on(home, batch, make_cohort, done):
    make_cohort(home / "data", ["TINY-0", "TINY-3"])
    ct = home / "data" / "TINY-0" / "TINY-0__CT.nii.gz"
    ct.write_bytes(ct.read_bytes()[:5000])
    (home / "data" / "TINY-3" / "TINY-3__PT.nii.gz").unlink()
    ran = batch(home)
    assert ran.code == 3
    assert ran.out.startswith("2 of 4 cases done, 2 of them earlier:")
    assert ran.errors == [f"not done: TINY-0, TINY-3; reasons in {home / 'out' / 'failed.csv'}"]
    table = rows(home / "out" / "cases.csv")
    assert [(row["case_id"], row["status"]) for row in table] == [
        ("TINY-0", "failed"),
        ("TINY-1", "done"),
        ("TINY-2", "done"),
        ("TINY-3", "failed"),
    ]
    assert set(table[0].values()) == {"TINY-0", "failed", ""}
    assert table[1:3] == rows(done / "out" / "cases.csv")
    failed = rows(home / "out" / "failed.csv")
    assert [row["case_id"] for row in failed] == ["TINY-0", "TINY-3"]
    assert "cut short" in failed[0]["reason"]
    assert "which image is the PET? Found none; give one CT" in failed[1]["reason"]
    assert not (home / "out" / "TINY-0").exists()


def test_a_case_that_was_mended_is_done_the_next_time(home, batch, at_once):
    (home / "data" / "TINY-2" / "ehr.json").write_text('{"Age": 612}')
    first = batch(home)
    assert (first.code, len(first.errors)) == (3, 1)
    assert "612" not in first.errors[0] + first.out  # no patient data in the log
    assert "Age is 612" in rows(home / "out" / "failed.csv")[0]["reason"]
    assert not (home / "out" / "TINY-2").exists()  # results of another record are not left to be mistaken
    (home / "data" / "TINY-2" / "ehr.json").write_text('{"Age": 61}')
    assert batch(home).code == 0
    assert not (home / "out" / "failed.csv").exists()


def test_a_fault_of_ours_in_one_case_does_not_stop_the_others(home, batch, at_once, monkeypatch):
    def faulty(case, ensemble):
        return {}["nothing"] if case.case_id == "TINY-1" else predict(case, ensemble)

    predict = batch_job.predict
    monkeypatch.setattr(batch_job, "predict", faulty)
    shutil.rmtree(home / "out")
    assert batch(home).code == 3
    assert [row["status"] for row in rows(home / "out" / "cases.csv")] == ["fault", "done"]
    assert "a fault of MMPL's (KeyError: 'nothing')" in rows(home / "out" / "failed.csv")[0]["reason"]
    assert "in faulty" in (home / "out" / "TINY-1" / "traceback.txt").read_text()
    monkeypatch.setattr(batch_job, "predict", predict)
    assert batch(home).code == 0
    assert not (home / "out" / "TINY-1" / "traceback.txt").exists()


def test_a_case_that_the_networks_have_no_number_for_does_not_stop_the_others(home, batch, at_once, monkeypatch):
    def spoilt(case, ensemble):
        if case.case_id != "TINY-1":
            return without_networks(case, ensemble)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Networks, "_finite", lambda self, network, logits: finite(self, network, logits * np.nan))
            return predict(case, ensemble)

    without_networks, finite = batch_job.predict, Networks._finite
    monkeypatch.setattr(batch_job, "predict", spoilt)
    shutil.rmtree(home / "out")
    assert batch(home).code == 3
    assert [row["status"] for row in rows(home / "out" / "cases.csv")] == ["failed", "done"]
    assert "numbers that are not finite on these images" in rows(home / "out" / "failed.csv")[0]["reason"]


def test_a_stray_file_in_the_place_of_a_case_does_not_stop_the_others(home, batch, at_once):
    shutil.rmtree(home / "out")
    (home / "out").mkdir()
    (home / "out" / "TINY-1").write_text("a file")
    assert batch(home).code == 3
    assert [row["status"] for row in rows(home / "out" / "cases.csv")] == ["failed", "done"]
    assert rows(home / "out" / "failed.csv")[0]["reason"] == (
        f"{home / 'out' / 'TINY-1'} is a file, where the case's results belong: move it, or choose another --out"
    )
    assert (home / "out" / "TINY-1").read_text() == "a file"


def test_an_output_that_cannot_be_written_ends_the_batch(home, batch, at_once, monkeypatch):
    def full(folder, case, outcome):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batch_job, "write_files", full)
    shutil.rmtree(home / "out" / "TINY-1")
    ran = batch(home)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert "TINY-1 cannot be written: the disk is full" in ran.errors[0]


# --- the ensemble, the site, the memory -------------------------------------------------------------------------------


def test_a_process_keeps_the_ensemble(tiny_bundle_path):
    sha256 = open_bundle(tiny_bundle_path).sha256
    assert loaded_ensemble(tiny_bundle_path, sha256, Inference()) is loaded_ensemble(
        tiny_bundle_path, sha256, Inference()
    )


def test_a_bundle_that_was_exchanged_on_the_way_is_refused(tiny_bundle_path, make_cohort, tmp_path):
    (case,) = find_cases(make_cohort(tmp_path / "data", ["TINY-1"]))
    job = CaseJob(case, tmp_path / "out" / "TINY-1", Settings(tiny_bundle_path, "0" * 64, Inference()))
    with pytest.raises(BundleError, match="is not the one that this batch began with"):
        run_case(job)


def test_a_site_is_for_cases_whose_record_names_none(make_cohort, tmp_path):
    data = make_cohort(tmp_path / "data", ["A", "B", "C"])
    (data / "B" / "ehr.json").write_text('{"primary_site": null}')
    (data / "C" / "ehr.json").unlink()
    settings = Settings(Path("bundle"), "", Inference(), site="larynx")
    found = [batch_job._clinical(CaseJob(case, tmp_path, settings)) for case in find_cases(data)]
    assert [clinical["Primary Site"] for clinical in found] == ["oropharynx", "larynx", "larynx"]
    assert "primary_site" not in found[1]


def test_several_workers_share_the_free_memory(monkeypatch):
    monkeypatch.setattr("mmpl.batch.free_bytes", lambda device: 4e9)
    monkeypatch.setattr("mmpl.machine.free_bytes", lambda device: 4e9)
    assert shared(Inference(), 1) == Inference()
    assert shared(Inference(), 4).memory_gb == pytest.approx(0.8 * 4 / 4)
    assert shared(Inference(memory_gb=2.5), 4).memory_gb == 2.5


# --- which cases there are --------------------------------------------------------------------------------------------


@pytest.fixture
def folder_of(tmp_path) -> Callable[..., Path]:
    """Makes empty files; a name that ends with a slash is a folder."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if name.endswith("/") else path.touch()
        return tmp_path / "data"

    return make


@pytest.mark.parametrize(
    ("ct", "pet"),
    [
        ("ct.nii.gz", "pt.nii.gz"),
        ("P1__CT.nii.gz", "P1__PT.nii.gz"),
        ("P1-CT.nrrd", "P1 PET.mha"),
        ("CT/", "PET/"),
    ],
)
def test_names_that_are_recognised(ct, pet, folder_of):
    others = ("mask_ct.nii.gz", "P1__CTPlanning.nii.gz", "ct-planning.nii.gz", "RTDOSE.nii.gz", "pet_ct.txt", ".ct.nii")
    (case,) = find_cases(folder_of(*(f"P1/{name}" for name in (ct, pet, *others))))
    assert (case.case_id, case.ct.name, case.pt.name, case.ehr, case.fault) == (
        "P1",
        ct.rstrip("/"),
        pet.rstrip("/"),
        None,
        "",
    )


def test_two_images_of_a_kind_are_told(folder_of):
    (case,) = find_cases(folder_of("P1/ct.nii.gz", "P1/ct_2.nii.gz", "P1/pt.nii.gz"))
    assert case.fault.startswith("P1: which image is the CT? Found ct.nii.gz, ct_2.nii.gz; give one CT")


def test_hidden_folders_and_the_output_are_no_cases(folder_of):
    data = folder_of("P1/ct.nii.gz", "P1/pt.nii.gz", ".git/config", "out/cases.csv")
    assert [case.case_id for case in find_cases(data, besides=data / "out")] == ["P1"]


def test_results_deeper_in_the_data_are_no_cases_either(folder_of):
    data = folder_of("P1/ct.nii.gz", "P1/pt.nii.gz", "earlier/batch.json", "earlier/P1/results.json", "results/now/P1/")
    assert [case.case_id for case in find_cases(data, besides=data / "results" / "now")] == ["P1"]
    assert [case.case_id for case in find_cases(data, besides=data / "P1" / "results")] == ["P1", "results"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text_is_the_cases_fault(folder_of, mmpl, tiny_files, tiny_bundle_path, tmp_path):
    folder_of("P1/ct.nii.gz", "P1/pt.nii.gz")
    os.mkdir(os.fsencode(tmp_path / "data") + b"/M\xfcller")
    cases = find_cases(tmp_path / "data")
    assert [(case.case_id, case.fault) for case in cases] == [
        ("M\\udcfcller", "M\\udcfcller: the name is not valid UTF-8; rename the folder"),
        ("P1", ""),
    ]
    ct = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.nii.gz")
    shutil.copy(tiny_files["ct"], ct)
    common = ["--pt", tiny_files["pt"], "--bundle", tiny_bundle_path, "--out"]
    for arguments in (["--ct", ct, *common, tmp_path / "out"], ["--ct", tiny_files["ct"], *common, ct + ".out"]):
        ran = mmpl("predict", *arguments)
        assert (ran.code, len(ran.errors)) == (2, 1)
        assert "the name is not valid UTF-8; rename the file or folder" in ran.errors[0]


def test_a_folder_that_cannot_be_looked_into_is_the_cases_fault(folder_of, monkeypatch):
    data, look = folder_of("P1/ct.nii.gz", "P1/pt.nii.gz", "System Volume Information/"), batch_cases._folder_case

    def locked(folder):
        if folder.name != "P1":
            raise PermissionError(13, "Permission denied", str(folder))
        return look(folder)

    monkeypatch.setattr(batch_cases, "_folder_case", locked)
    first, second = find_cases(data)
    assert (first.case_id, first.fault) == ("P1", "")
    assert second.fault == (
        f"System Volume Information: {data / 'System Volume Information'} cannot be read (Permission denied); "
        "make it readable, or move it away"
    )


@pytest.mark.parametrize("name", ["B" * 240, "\u674e" * 80])
def test_a_long_name_is_a_name(name, make_cohort, mmpl, tiny_bundle_path, at_once, tmp_path):
    data = make_cohort(tmp_path / "data", ["A"])
    (data / "A").rename(data / name)
    ran = mmpl("batch", "--data", data, "--bundle", tiny_bundle_path, "--out", tmp_path / "out")
    assert ran.code == 0, ran.errors
    assert {p.name for p in (tmp_path / "out" / name).iterdir()} == FILES | {"batch_case.json"}


def test_a_folder_without_cases_is_refused(folder_of, tmp_path):
    with pytest.raises(InputError, match="no case found; give a cohort in HECKTOR 2025's layout, or a folder a case"):
        find_cases(folder_of("ct.nii.gz", "pt.nii.gz"))
    with pytest.raises(InputError, match="absent: no such folder"):
        find_cases(tmp_path / "absent")


HECKTOR = [f"Task 1/{name}/{name}__{kind}.nii.gz" for name in ("A", "B") for kind in ("CT", "PT")]
TABLE = "Task 1/HECKTOR_2025_Training_Task_1.csv"


def test_a_hecktor_cohort_needs_neither_labels_nor_targets_nor_tables(folder_of):
    data = folder_of(*HECKTOR)
    assert [(c.case_id, c.fault, c.clinical()["Age"]) for c in find_cases(data)] == [("A", "", None), ("B", "", None)]
    (data / TABLE).write_text("PatientID,Age,HPV Status\nA,61,1\n")
    assert [(c.clinical()["Age"], c.clinical()["HPV Status"]) for c in find_cases(data)] == [("61", "1"), (None, None)]


def test_clinical_values_that_are_there_and_not_read_are_told(folder_of, caplog):
    data = folder_of(*HECKTOR)
    other = data / "Task 1" / "HECKTOR_2025_Testing_Task_1.csv"
    other.write_text("PatientID,Age\nA,61\n")
    assert find_cases(data)[0].clinical()["Age"] is None
    assert "there is HECKTOR_2025_Testing_Task_1.csv but no HECKTOR_2025_Training_Task_1.csv" in caplog.text
    caplog.clear()
    (data / TABLE).write_text("PatientID,Age (years)\nA,61\n")
    assert find_cases(data)[0].clinical()["Age"] is None
    assert "the column 'Age (years)' is not read" in caplog.text
    name = Path(TABLE).name
    (data / name).write_text("PatientID,Age\nA,61\n")
    find_cases(data)
    assert f"{TABLE} is read, and {name} beside the tasks' folders is not" in caplog.text


def test_a_record_is_found_however_its_name_is_spelt(folder_of):
    data = folder_of("P1/ct.nii.gz", "P1/pt.nii.gz", "P1/EHR.json")
    (data / "P1" / "EHR.json").write_text('{"Age": 61}')
    assert find_cases(data)[0].clinical() == {"Age": 61}


def test_a_stopped_run_leaves_no_table_of_the_one_before(make_cohort, tiny_bundle_path, at_once, tmp_path, monkeypatch):
    """It would speak for cases whose results are gone, and against those that are done by now."""
    data, out = make_cohort(tmp_path / "data", ["A", "B"]), tmp_path / "out"
    run_batch(data, tiny_bundle_path, out)
    assert done_cases(out) == {"A", "B"}
    shutil.rmtree(out / "B")

    def stopped(job):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmpl.batch.run_case", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_batch(data, tiny_bundle_path, out)
    with pytest.raises(InputError, match="this batch has not ended"):
        done_cases(out)


def test_what_is_wrong_with_one_patient_stays_with_them(folder_of):
    data = folder_of(*HECKTOR, "Task 1/C/C__CT.nii.gz")
    (data / TABLE).write_text("PatientID,Age\nA,61\nA,62\nB,50\nC,40\nD,70\n")
    faults = {case.case_id: case.fault for case in find_cases(data)}
    assert "'A' occurs twice" in faults["A"]
    assert faults["B"] == ""
    assert "no C__PT.nii.gz" in faults["C"]
    assert faults["D"] == "D: is in the tables but has no folder in any task folder; add the images"


def test_a_primary_site_of_the_table_is_the_patients(folder_of, tmp_path):
    data = folder_of(*HECKTOR)
    (data / TABLE).write_text("PatientID,Age,Primary Site\nA,61,Larynx\nB,50,\n")
    settings = Settings(Path("bundle"), "", Inference(), site="oropharynx")
    found = [batch_job._clinical(CaseJob(case, tmp_path, settings)) for case in find_cases(data)]
    assert [clinical["Primary Site"] for clinical in found] == ["Larynx", "oropharynx"]


def test_a_row_and_a_folder_that_differ_in_case_are_both_told(folder_of):
    data = folder_of(*HECKTOR)
    (data / TABLE).write_text("PatientID,Age\na,61\nB,50\n")
    faults = {case.case_id: case.fault for case in find_cases(data)}
    assert "the name differs from 'a' in case or spaces only" in faults["A"]
    assert "the name differs from 'A' in case or spaces only" in faults["a"]
    assert faults["B"] == ""


def test_tables_that_disagree_on_a_record_are_told(folder_of):
    data = folder_of(*HECKTOR, "Task 3/")
    (data / TABLE).write_text("PatientID,Age,CenterID\nA,61,1\nB,50,1\n")
    (data / TABLE.replace("1", "3")).write_text("PatientID,Age,CenterID\nA,63,1\nB,50,2\n")
    faults = {case.case_id: case.fault for case in find_cases(data)}
    assert faults["A"].startswith("A: Age is '63' here, and '61' in Task 1/HECKTOR_2025_Training_Task_1.csv")
    assert faults["A"].endswith("; correct one of them")
    assert faults["B"] == ""  # the centre is not of the record


def test_what_a_file_manager_leaves_changes_no_case(folder_of, tmp_path):
    data = folder_of("A/CT/1.dcm", "A/PET/1.dcm")
    (case,) = find_cases(data)
    job = CaseJob(case, tmp_path / "out" / "A", Settings(Path("bundle"), "", Inference()))
    before = batch_job.inputs_of(job)
    folder_of("A/CT/.DS_Store", "A/PET/Thumbs.db", "A/PET/__MACOSX/._1.dcm", "desktop.ini/")
    assert batch_job.inputs_of(job) == before
    assert [case.case_id for case in find_cases(data)] == ["A"]
    folder_of("A/CT/2.dcm")
    assert batch_job.inputs_of(job) != before


def test_a_table_that_cannot_be_read_is_refused(folder_of):
    data = folder_of(*HECKTOR)
    (data / TABLE).write_text("PatientID;Age\nA;61\n")
    with pytest.raises(InputError, match="no column 'PatientID'; is the delimiter a comma"):
        find_cases(data)


def test_an_image_that_vanishes_is_the_cases_fault(folder_of, tmp_path, tiny_bundle_path):
    (case,) = find_cases(folder_of("P1/ct.nii.gz", "P1/pt.nii.gz"))
    case.ct.unlink()
    sha256 = open_bundle(tiny_bundle_path).sha256
    end = run_case(CaseJob(case, tmp_path / "out" / "P1", Settings(tiny_bundle_path, sha256, Inference())))
    assert end.status == "failed"
    assert "ct.nii.gz cannot be read" in end.reason
    with pytest.raises(OutputError, match="cannot be written"):
        batch_job._clear(CaseJob(case, case.pt / "P1", Settings(tiny_bundle_path, sha256, Inference())))


def test_a_folder_of_dicom_is_a_case_whatever_its_files_are_called(small_ct, small_suv, tmp_path):
    case = tmp_path / "A"
    person = Person("SOMEONE-1")
    write_ct(case / "0001", small_ct, person=person)
    write_pet(case / "0002", small_suv, person=person)
    (case / "ehr.json").write_text("{}")
    (found,) = find_cases(tmp_path)
    assert (found.ct, found.pt, found.fault) == (case, case, "")
    assert found.ehr == case / "ehr.json"
    assert read_case(found.case_id, found.ct, found.pt).pet.geometry.is_close(small_suv.geometry)
