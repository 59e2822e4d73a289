"""One case of a batch: ``mmpl predict`` into the case's folder, unless that is done already."""

from __future__ import annotations

import hashlib
import json
import os
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmpl.batch_cases import BatchCase
from mmpl.batch_folder import DONE
from mmpl.bundle.reader import canonical_json, open_bundle
from mmpl.clinical.tumour import primary_site, with_primary_site
from mmpl.earlier_files import ALWAYS, RESULTS, results_in
from mmpl.ensemble import Ensemble, Inference, load_ensemble
from mmpl.errors import BundleError, InputError, MMPLError, OutputError
from mmpl.file_names import is_left_by_file_manager, spelt
from mmpl.io.case import read_case
from mmpl.io.output import (
    OutputFolder,
    check_writable,
    is_of_disk,
    make_folder,
    remove_leftovers,
    write_json_atomic,
    write_text_atomic,
)
from mmpl.outputs import write_files
from mmpl.pipeline import check_clinical, predict

RECORD = "batch_case.json"  # comes with the files and says which they are; completed last: the case is then finished
TRACEBACK = "traceback.txt"
DETACHED_HEADERS = (".nhdr", ".mhd")  # their voxels lie in another file of the same name
READ_BY_TABLE = {"case_id", "bundle", "lesions", "hpv", "rfs", "warnings"}
FAILED, FAULT = "failed", "fault"


@dataclass(frozen=True)
class Settings:
    """What all cases of a batch share.

    Attributes
    ----------
    bundle, bundle_sha256 : where it lies, and what it must hold
    inference : how networks run
    site : primary site of the cases whose record does not name one, or None
    """

    bundle: Path
    bundle_sha256: str
    inference: Inference
    site: str | None = None


@dataclass(frozen=True)
class CaseJob:
    """A case that is to be run, and the folder for its results."""

    case: BatchCase
    folder: Path
    settings: Settings


@dataclass(frozen=True)
class CaseEnd:
    """How a case ended.

    Attributes
    ----------
    status : "done"; "failed", the input's fault or the machine's; "fault", ours
    seconds : that it took; None where it was not run
    reason : one sentence; empty when it is done
    """

    case_id: str
    status: str
    seconds: float | None = None
    reason: str = ""


def run_case(job: CaseJob) -> CaseEnd:
    """Run a case, in whichever process this is; what is wrong with it is its own affair.

    Raises
    ------
    BundleError, OutputError
        If the bundle or the folder of all results cannot be used: no case can be run then.
    """
    if job.case.fault:
        return CaseEnd(job.case.case_id, FAILED, reason=job.case.fault)
    if (earlier := finished(job)) is not None:
        return earlier
    settings = job.settings
    ensemble = loaded_ensemble(settings.bundle, settings.bundle_sha256, settings.inference)
    try:
        return _run_or_tell(job, ensemble)
    except BundleError:
        raise
    except MMPLError as error:
        if isinstance(error, OutputError):
            _check_home(job, error)
        return CaseEnd(job.case.case_id, FAILED, reason=" ".join(str(error).split()))


def _run_or_tell(job: CaseJob, ensemble: Ensemble) -> CaseEnd:
    try:
        return _run(job, ensemble)
    except MMPLError:
        raise
    except Exception as error:  # the edge of a case: a fault of ours in one must not keep hundreds from being run
        return _fault(job, error)


def _check_home(job: CaseJob, error: OutputError) -> None:
    """A case's folder could not be written: find out whether others can.

    Raises
    ------
    OutputError
        If the disk is full or read-only, or the folder of all results cannot be written.
    """
    if is_of_disk(error):
        raise error
    check_writable(job.folder.parent)


def _run(job: CaseJob, ensemble: Ensemble) -> CaseEnd:
    started = time.perf_counter()
    inputs = inputs_of(job)
    clinical = _clinical(job)
    _clear(job)  # not before: what cannot be read now may be there again tomorrow
    check_clinical(clinical)
    case = read_case(job.case.case_id, job.case.ct, job.case.pt, clinical)
    outcome = predict(case, ensemble)
    with OutputFolder(job.folder) as folder:
        write_files(folder, case, outcome)
        ours = {"files": {name: _sha256(folder / name) for name in ALWAYS}}
        write_json_atomic(folder / RECORD, ours)  # by which a run that is killed before the next line is told
    seconds = round(time.perf_counter() - started, 3)
    record = {"bundle_sha256": job.settings.bundle_sha256, "inputs": inputs, "seconds": seconds, **ours}
    write_json_atomic(job.folder / RECORD, record)
    return CaseEnd(job.case.case_id, DONE, seconds)


def finished(job: CaseJob) -> CaseEnd | None:
    """How the case ended in an earlier run, if it did: with this bundle and these inputs."""
    if job.case.fault or read_results(job.folder, job.case.case_id, job.settings.bundle_sha256) is None:
        return None
    try:
        record = json.loads((job.folder / RECORD).read_text(encoding="utf-8"))
        same = (record["bundle_sha256"], record["inputs"]) == (job.settings.bundle_sha256, inputs_of(job))
        return CaseEnd(job.case.case_id, DONE, float(record["seconds"])) if same else None
    except (OSError, ValueError, KeyError, TypeError, MMPLError):
        return None  # it is run, and then says what is wrong


def read_results(folder: Path, case_id: str, bundle_sha256: str) -> dict | None:
    """The results of a case by a bundle; None where there are none that a table can be made of, or a damaged file.

    Someone may have saved results of another case, or by another bundle, into the folder.
    """
    results = results_in(folder)
    if results is None or not results.keys() >= READ_BY_TABLE or not isinstance(results["bundle"], dict):
        return None
    of = (results["case_id"], results["bundle"].get("sha256"))
    return results if of == (case_id, bundle_sha256) else None


def inputs_of(job: CaseJob) -> dict:
    """Name (as a checksum), size and time of change of the image files, and a checksum of the clinical record.

    Raises
    ------
    InputError
        If the file of the record cannot be used.
    """
    record = hashlib.sha256(canonical_json(_clinical(job))).hexdigest()
    return {"ct": _states(job.case.ct), "pt": _states(job.case.pt), "record": record}


def _states(image: Path) -> dict[str, list[int]]:
    try:
        home = image if image.is_dir() else image.parent
        return {
            _digest(p.relative_to(home).as_posix()): [p.stat().st_size, p.stat().st_mtime_ns]
            for p in sorted(_files(image))
        }
    except OSError as error:
        raise InputError(f"{image} cannot be read ({error.strerror}): check that it is still there") from error


def _digest(name: str) -> str:
    """A file's name, any bytes, as a checksum: names of DICOM files and their folders may be the patient's."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _files(image: Path) -> list[Path]:
    if image.is_dir():
        found = (p for p in image.rglob("*") if not is_left_by_file_manager(p.relative_to(image)))
        return [p for p in found if p.is_file()]
    if image.suffix.lower() in DETACHED_HEADERS:
        return [p for p in image.parent.iterdir() if p.is_file() and p.name.startswith(f"{image.stem}.")]
    return [image]


def _clinical(job: CaseJob) -> dict[str, object]:
    clinical = job.case.clinical()
    if not job.settings.site or primary_site(clinical) is not None:
        return clinical
    return with_primary_site(clinical, job.settings.site)


@lru_cache(maxsize=1)
def loaded_ensemble(bundle: Path, sha256: str, inference: Inference) -> Ensemble:
    """The ensemble, which a process keeps from one case to the next.

    Raises
    ------
    InputError
        If this machine lacks the device.
    BundleError
        If the bundle is no longer the one that the batch began with.
    """
    opened = open_bundle(bundle)
    if opened.sha256 != sha256:
        raise BundleError(f"bundle {bundle} is not the one that this batch began with: put that back, or start again")
    return load_ensemble(opened, inference)


def _clear(job: CaseJob) -> None:
    """Remove what a killed run left half-written, and results of other inputs.

    Raises
    ------
    InputError
        If files of these names lie there that are not as a batch wrote them: they may be a user's contours. Also if
        a file lies where the folder belongs.
    OutputError
        If that cannot be removed.
    """
    folder = job.folder
    try:
        if folder.is_file():
            raise InputError(f"{folder} is a file, where the case's results belong: move it, or choose another --out")
        remove_leftovers(folder, {folder.name})
        there = [name for name in ALWAYS if (folder / name).exists()]
        if others := _not_ours(folder, there):
            names = ", ".join(others)
            raise InputError(
                f"{folder} holds {names}, which this batch did not write: move them, or choose another --out"
            )
        for name in (RESULTS, TRACEBACK, *there, RECORD):  # while there are others, it says whose they are
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or holds files of the user's
            folder.rmdir()
    except OSError as error:
        raise OutputError(f"output {folder} cannot be written ({error.strerror}): choose another folder") from error


def _not_ours(folder: Path, there: Collection[str]) -> list[str]:
    """Those of a case's files that are not, byte by byte, what a batch wrote, as far as its record can tell.

    A record of before there were checksums tells of none. Results that are no JSON any more are nobody's.
    """
    try:
        written = dict(json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        written = {}
    if RESULTS in written and results_in(folder) is None:
        there = [name for name in there if name != RESULTS]
    return [name for name in there if written.get(name) != _sha256(folder / name)]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fault(job: CaseJob, error: Exception) -> CaseEnd:
    make_folder(job.folder)
    write_text_atomic(job.folder / TRACEBACK, spelt("".join(traceback.format_exception(error))))
    what = " ".join(f"{type(error).__name__}: {error}".split())
    reason = f"{job.case.case_id}: a fault of MMPL's ({what}); please report it with {TRACEBACK} of its folder"
    return CaseEnd(job.case.case_id, FAULT, reason=reason)
