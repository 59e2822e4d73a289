"""One case of a batch, without images or networks: which results are the batch's own, and what ends with a case."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmpl import batch_job, outputs
from mmpl.batch_cases import BatchCase
from mmpl.batch_job import CaseEnd, CaseJob, Settings, finished, inputs_of, run_case
from mmpl.batch_table import write_tables
from mmpl.earlier_files import ALWAYS
from mmpl.ensemble import Inference
from mmpl.errors import OutputError

BUNDLE = "b" * 64


def results_json(case_id: str, bundle_sha256: str = BUNDLE) -> dict:
    """As much of ``results.json`` as a batch reads."""
    empty = dict.fromkeys(("lesions", "hpv", "rfs", "warnings"))
    return {"case_id": case_id, "bundle": {"sha256": bundle_sha256}, **empty}


@pytest.fixture
def job(tmp_path, monkeypatch) -> CaseJob:
    """A case A whose run takes no time: its files hold their own names."""

    def write(folder, case, outcome):
        for name in ALWAYS:
            (folder / name).write_text(name)
        (folder / "results.json").write_text(json.dumps(results_json("A")))

    for name in ("loaded_ensemble", "read_case", "predict"):
        monkeypatch.setattr(batch_job, name, lambda *_: None)
    monkeypatch.setattr(batch_job, "write_files", write)
    data, out = tmp_path / "data" / "A", tmp_path / "out"
    out.mkdir()
    data.mkdir(parents=True)
    for name in ("ct.nii.gz", "pt.nii.gz", "ehr.json"):
        (data / name).write_text("{}")
    case = BatchCase("A", data / "ct.nii.gz", data / "pt.nii.gz", ehr=data / "ehr.json")
    return CaseJob(case, out / "A", Settings(Path("bundle"), BUNDLE, Inference()))


def change_record(job: CaseJob) -> None:
    job.case.ehr.write_text('{"Age": 61}')


def change_files_record(job: CaseJob, *, without: str) -> None:
    path = job.folder / "batch_case.json"
    record = json.loads(path.read_text())
    del record[without]
    path.write_text(json.dumps(record))


# --- contours that a person has corrected -----------------------------------------------------------------------------


def corrected(job: CaseJob) -> dict[str, bytes]:
    """A person has corrected the finished case and saved it into its folder; what is there then."""
    assert run_case(job).status == "done"
    for name in ("mask.nii.gz", "segmentation.seg.nrrd"):
        (job.folder / name).write_text("corrected by hand")
    return {p.name: p.read_bytes() for p in job.folder.iterdir()}


def test_corrected_contours_stay_when_the_input_changes(job):
    before = corrected(job)
    assert finished(job).status == "done"
    change_record(job)
    end = run_case(job)
    assert (end.status, end.reason) == (
        "failed",
        f"{job.folder} holds mask.nii.gz, segmentation.seg.nrrd, which this batch did not write: move them, or choose "
        "another --out",
    )
    assert {p.name: p.read_bytes() for p in job.folder.iterdir()} == before
    for name in ("mask.nii.gz", "segmentation.seg.nrrd"):
        (job.folder / name).unlink()
    assert run_case(job).status == "done"


def test_corrected_contours_stay_where_an_earlier_record_has_no_checksums(job):
    before = corrected(job)
    change_files_record(job, without="files")
    assert finished(job).status == "done"
    change_record(job)
    assert "which this batch did not write" in run_case(job).reason
    assert (job.folder / "mask.nii.gz").read_bytes() == before["mask.nii.gz"]


def test_results_of_this_bundle_that_no_batch_wrote_stay(job):
    """Saved into the folder of a case that could not be run yet."""
    before = corrected(job)
    (job.folder / "batch_case.json").unlink()
    assert finished(job) is None
    assert run_case(job).status == "failed"
    assert (job.folder / "mask.nii.gz").read_bytes() == before["mask.nii.gz"]


def test_a_copy_of_the_output_on_another_disk_is_the_batchs_still(job):
    """Its files are of other times."""
    assert run_case(job).status == "done"
    for path in job.folder.iterdir():
        path.write_bytes(path.read_bytes())
    change_record(job)
    assert run_case(job).status == "done"


def test_a_run_that_was_killed_before_its_last_line_is_told_by_its_checksums(job):
    assert run_case(job).status == "done"
    for name in ("bundle_sha256", "inputs", "seconds"):
        change_files_record(job, without=name)
    assert finished(job) is None
    assert run_case(job).status == "done"
    assert finished(job).status == "done"


@pytest.mark.parametrize("removed", [1, 2, 3])
def test_a_run_that_was_killed_while_it_made_room_goes_on(removed, job, monkeypatch):
    assert run_case(job).status == "done"
    record, unlink, left = job.case.ehr.read_text(), Path.unlink, iter(range(removed))
    change_record(job)

    def killed(path, missing_ok=False):
        if next(left, None) is None:
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            run_case(job)
    job.case.ehr.write_text(record)
    assert finished(job) is None
    assert run_case(job).status == "done"


def test_results_that_are_damaged_are_nobodys(job):
    assert run_case(job).status == "done"
    (job.folder / "results.json").write_text("{")
    assert run_case(job).status == "done"
    assert json.loads((job.folder / "results.json").read_text()) == results_json("A")


# --- results of something else ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other", [results_json("B"), results_json("A", "c" * 64), results_json("A") | {"bundle": None}]
)
def test_results_of_another_case_or_bundle_are_not_taken_for_the_batchs(job, other):
    """A person has saved them there; table and count would be of other patients or models."""
    done = run_case(job)
    (job.folder / "results.json").write_text(json.dumps(other))
    assert finished(job) is None
    end = run_case(job)
    assert (end.status, end.reason) == (
        "failed",
        f"{job.folder} holds results.json, which this batch did not write: move them, or choose another --out",
    )
    assert json.loads((job.folder / "results.json").read_text()) == other
    with pytest.raises(OutputError, match=r"results\.json is no longer what this batch wrote: run this again"):
        write_tables(job.folder.parent, [done], BUNDLE)


# --- what ends with a case, and what ends the batch -------------------------------------------------------------------


def test_a_file_in_the_place_of_the_folder_is_the_cases_fault(job):
    job.folder.write_text("a file")
    end = run_case(job)
    assert (end.status, end.reason) == (
        "failed",
        f"{job.folder} is a file, where the case's results belong: move it, or choose another --out",
    )
    assert job.folder.read_text() == "a file"


def fails_with(error: Exception):
    def fail(*_):
        raise error

    return fail


def test_a_folder_that_cannot_be_written_is_the_cases_fault_while_others_can(job, monkeypatch):
    error = OutputError(f"output {job.folder} cannot be written (Permission denied): choose another folder")
    monkeypatch.setattr(batch_job, "write_files", fails_with(error))
    assert run_case(job) == CaseEnd("A", "failed", reason=str(error))
    assert list(job.folder.parent.iterdir()) == []


def test_a_full_disk_ends_the_batch(job, monkeypatch):
    monkeypatch.setattr(batch_job, "write_files", fails_with(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OutputError, match="the disk is full"):
        run_case(job)


def test_a_folder_of_all_results_that_cannot_be_written_ends_the_batch(job):
    job.folder.parent.rmdir()
    job.folder.parent.write_text("a file")
    with pytest.raises(OutputError, match=f"output {job.folder.parent} is a file: give a folder"):
        run_case(job)


def test_results_that_break_their_schema_are_a_fault_of_ours(job, monkeypatch):
    class Broken:
        deep_is_kept = hpv_as_known = False
        results = SimpleNamespace(as_dict=lambda: {"case_id": "A"})

    monkeypatch.setattr(batch_job, "predict", lambda *_: Broken)
    monkeypatch.setattr(batch_job, "write_files", outputs.write_files)
    end = run_case(job)
    assert end.status == "fault"
    assert "a fault of MMPL's (ValueError: results at $" in end.reason
    assert "validate_results" in (job.folder / "traceback.txt").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_file_whose_name_is_no_text_is_no_fault_of_ours(job):
    """Who reads the images says what is wrong with it."""
    folder = job.case.ct.parent
    (folder / os.fsdecode(b"M\xfcller.dcm")).touch()
    states = inputs_of(replace(job, case=replace(job.case, ct=folder)))["ct"]
    assert hashlib.sha256(b"M\xfcller.dcm").hexdigest()[:16] in states


def test_a_name_that_is_no_text_may_stand_in_a_reason(job, monkeypatch):
    """Of an image that is one too many, say."""
    monkeypatch.setattr(batch_job, "predict", fails_with(KeyError("M\udcfcller")))
    end = run_case(job)
    assert "M\\udcfcller" in (job.folder / "traceback.txt").read_text()
    out = job.folder.parent
    write_tables(out, [replace(end, reason="Found M\udcfcller.nii.gz")], BUNDLE)
    assert (out / "failed.csv").read_text() == "case_id,status,reason\nA,fault,Found M\\udcfcller.nii.gz\n"
