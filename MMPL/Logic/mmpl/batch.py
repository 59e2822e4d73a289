"""A cohort through a bundle, resumable, one table out.

::

    OUT/batch.json               the bundle and plan; a folder is only ever gone on with under the same ones
    OUT/<case>/                  what ``mmpl predict`` writes, and batch_case.json: which files, of which inputs
    OUT/cases.csv                one row a case
    OUT/failed.csv               the cases that could not be run, with the reason; not there without any
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmpl.batch_cases import BatchCase, find_cases
from mmpl.batch_folder import DONE, MANIFEST
from mmpl.batch_job import FAILED, CaseEnd, CaseJob, Settings, finished, run_case
from mmpl.batch_table import remove_tables, write_tables
from mmpl.bundle.reader import Bundle, open_bundle
from mmpl.cluster import open_pool
from mmpl.ensemble import Inference
from mmpl.errors import OutputError
from mmpl.io.folder_lock import held
from mmpl.io.output import check_writable, make_folder, remove_leftovers, write_json_atomic
from mmpl.machine import FREE_SHARE, GB, free_bytes, usable_bytes
from mmpl.network.backends.choose import AUTO, BackendChoice, on_this_machine
from mmpl.progress import Progress, silent
from mmpl.version import __version__

STEP = "cases"
LOCK = ".batch.lock"


@dataclass(frozen=True)
class BatchEnd:
    """How a batch ended: every case of the cohort, sorted by name, and how many were done before."""

    cases: tuple[CaseEnd, ...]
    done_before: int

    @property
    def failed(self) -> tuple[str, ...]:
        """IDs of the cases that are not done."""
        return tuple(end.case_id for end in self.cases if end.status != DONE)


def run_batch(
    data: Path,
    bundle: Path,
    out: Path,
    *,
    inference: Inference | None = None,
    site: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> BatchEnd:
    """Predict every case of a cohort that is not done yet, and write the tables.

    Parameters
    ----------
    data : cohort, see :func:`mmpl.batch_cases.find_cases`
    bundle : folder or zip
    out : folder of the results; a batch that was stopped is taken up where it was
    inference : how networks run; by default as a user would have it
    site : primary site of the cases whose record names none
    workers, scheduler : who does the work, see :func:`mmpl.cluster.open_pool`; with a scheduler, ``data``, ``bundle``
        and ``out`` lie under the same paths on all machines
    progress : told the share of cases that are done

    Raises
    ------
    InputError
        If there is no cohort, device or scheduler.
    BundleError
        If the bundle is refused.
    OutputError
        If ``out`` cannot be written, holds a batch of another bundle, plan or version, or is that of the images, or
        another batch writes there.
    """
    data, bundle, out = (Path(path).resolve() for path in (data, bundle, out))
    inference = inference or Inference(BackendChoice(AUTO))
    cases = find_cases(data, besides=out)
    if scheduler is None:
        inference = replace(inference, backend=on_this_machine(inference.backend))
        inference = shared(inference, min(workers, len(cases)))
    opened = open_bundle(bundle)
    for case in cases:
        _check_apart(case, out)
    check_writable(out)
    make_folder(out)
    settings = Settings(bundle, opened.sha256, inference, site)
    jobs = [CaseJob(case, out / case.case_id, settings) for case in cases]
    refusal = OutputError(f"{out}: another mmpl batch is writing there; wait for it, or choose another folder")
    with held(out / LOCK, refusal):
        _claim(out, opened, inference.plan if inference.plan_settings is None else asdict(inference.plan_settings))
        ends = {job.case.case_id: end for job in jobs if (end := finished(job)) is not None}
        before = len(ends)
        todo = [job for job in jobs if job.case.case_id not in ends]
        if todo:
            remove_tables(out)  # of an earlier run: they would speak for cases that are run again now
        ends |= _run(todo, workers, scheduler, progress)
        remove_leftovers(out, ends.keys())  # of processes that were killed, in this run or an earlier one
        listed = tuple(ends[job.case.case_id] for job in jobs)
        write_tables(out, listed, opened.sha256)
    return BatchEnd(listed, before)


def _check_apart(case: BatchCase, out: Path) -> None:
    """Refuse results among images: what they replace would be somebody's contours.

    Raises
    ------
    OutputError
        If the case's results would lie where its images do, or below a folder of DICOM files.
    """
    for image in (case.ct, case.pt):
        if image is None:
            continue
        home = out / case.case_id
        if home in (image, *image.parents) or (image.is_dir() and image in home.parents):
            raise OutputError(
                f"{home}: the results of {case.case_id} would lie among its images; choose another folder"
            )


def shared(inference: Inference, workers: int) -> Inference:
    """Each of several workers of this machine takes its share of what a pass may take of the memory free now."""
    free = free_bytes(inference.backend.device)
    if workers <= 1 or inference.memory_gb is not None or free is None:
        return inference
    alone = usable_bytes(inference.backend.device, None)
    return replace(inference, memory_gb=min(alone, FREE_SHARE * free / workers) / GB)


def _run(todo: Sequence[CaseJob], workers: int, scheduler: str | None, progress: Progress) -> dict[str, CaseEnd]:
    if not todo:
        return {}
    with open_pool(workers if scheduler else min(workers, len(todo)), scheduler) as pool:
        found = pool.each(
            run_case,
            todo,
            progress=progress,
            step=STEP,
            name=lambda job: job.case.case_id,
            lost=lambda job, why: CaseEnd(job.case.case_id, FAILED, reason=why),
        )
    return {end.case_id: end for end in found}


def _claim(out: Path, bundle: Bundle, plan: str | dict) -> None:
    """Write what the batch is of, or check that an earlier run was of the same, and by this version.

    Device, library and precision may change on the way: they change results by rounding only.
    """
    path = out / MANIFEST
    info = bundle.info
    of_bundle = {"name": info.name, "version": info.version, "sha256": bundle.sha256}
    now = {"bundle": of_bundle, "plan": plan, "mmpl_version": __version__}
    if not path.is_file():
        write_json_atomic(path, now)
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        of, with_plan = earlier["bundle"], earlier["plan"]
        what = f"{of['name']} {of['version']} (sha256 {of['sha256'][:12]})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} is not what a batch writes: choose another folder") from error
    if of["sha256"] != bundle.sha256:
        raise OutputError(f"{out} holds a batch of another bundle, {what}: choose another folder")
    if (version := earlier.get("mmpl_version")) != __version__:
        by = "an older MMPL" if version is None else f"MMPL {version}"
        raise OutputError(f"{out} holds a batch by {by}, this is {__version__}: choose another folder")
    if with_plan != plan:
        raise OutputError(f"{out} holds a batch with --plan {with_plan}: give that, or choose another folder")
