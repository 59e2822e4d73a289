"""Out-of-fold masks, radiomics and deep scores: what the statistics are trained on.

Every patient's row comes from the networks of the fold that did not train on them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmpl.case import RoiCase
from mmpl.cluster import Pool
from mmpl.io.images import read_label_map
from mmpl.io.output import make_folder, write_json_atomic
from mmpl.metrics.segmentation import CaseScore, score_case
from mmpl.preprocess.prepare import label_on_ct, label_on_roi
from mmpl.progress import Progress
from mmpl.radiomics.case_radiomics import CaseRadiomics
from mmpl.radiomics.extraction import FAST, make_extractor
from mmpl.steps import deep_scores, label_for_measurement, outcome_centre
from mmpl.training.cache import load_cached, load_roi
from mmpl.training.cohort import CohortCase
from mmpl.training.cohort_table import CohortTable
from mmpl.training.finished import read_finished, record_or_none
from mmpl.training.mask_thresholds import (
    CUT_AT,
    MaskThresholds,
    OverlapTask,
    best_thresholds,
    count_overlaps,
    is_cut_at,
    read_overlaps,
    read_peaks,
    thresholds_by_fold,
)
from mmpl.training.ranks import current
from mmpl.training.search_threshold import SearchThreshold, fit_search_threshold
from mmpl.training.split_run import Centres, SplitRun
from mmpl.training.stages import HPV, RFS, SEGMENTATION, StageRun, trained_runner
from mmpl.training.unseen import unseen_labels

SCORE, CENTRE, SCORES = "score", "centre_zyx", "scores"
Measured = tuple[np.ndarray, dict[str, float]]  # centre (z, y, x) on the 1 mm ROI, radiomics columns


@dataclass(frozen=True)
class MaskTask:
    """Segment one case with one fold's network, cut at (GTVp, GTVn) thresholds, and measure and score what it found."""

    case: CohortCase
    run: StageRun
    thresholds: tuple[float, float]
    path: Path

    def name(self) -> str:
        return self.case.patient_id


def measure_out_of_fold(task: MaskTask) -> None:
    """Write a task's centre and radiomics as JSON, unless already there from a mask cut at the same thresholds.

    Of a labelled patient, what was drawn is counted against the truth as well, on the 1 mm ROI.
    """
    if is_cut_at(task.path, task.thresholds):
        return
    config = task.run.config
    roi = load_roi(task.case)
    drawn = unseen_labels(task.run, task.case.patient_id, roi, task.thresholds)
    label_map = label_on_ct(drawn, roi.geometry, roi.ct_geometry)
    on_roi = label_for_measurement(label_map, roi)
    # one image at a time: cases already run side by side
    features, _ = CaseRadiomics(make_extractor(FAST, config.feature_set, threads=1)).of(roi, on_roi)
    data = {
        CENTRE: outcome_centre(on_roi).tolist(),
        "features": {name: None if not np.isfinite(v) else float(v) for name, v in features.items()},
        CUT_AT: list(task.thresholds),
        SCORE: None if task.case.label_path is None else asdict(score_of(task.case, drawn, roi)),
    }
    write_json_atomic(task.path, data)


def score_of(case: CohortCase, drawn: np.ndarray, roi: RoiCase) -> CaseScore:
    """Counts of a label map on the 1 mm ROI against a labelled patient's truth there."""
    truth = label_on_roi(read_label_map(case.label_path), roi.geometry)
    return score_case(case.patient_id, drawn, truth, voxel_ml=roi.geometry.voxel_volume_ml)


def read_measured(path: Path) -> Measured:
    """What :func:`measure_out_of_fold` wrote; NaN where a column is missing."""
    data = read_finished(path)
    features = {name: float("nan") if v is None else float(v) for name, v in data["features"].items()}
    return np.array(data[CENTRE]), features


def read_score(path: Path) -> CaseScore | None:
    """The counts against the truth that :func:`measure_out_of_fold` wrote; None without label.

    None of a file of an earlier version, too, which has no counts.
    """
    score = read_finished(path).get(SCORE)
    return None if score is None else CaseScore.from_dict(score)


@dataclass(frozen=True)
class DeepScoreTask:
    """One patient's patch, and the stage 2 and stage 3 networks that did not train on them."""

    patient_id: str
    runs: tuple[StageRun, StageRun]
    cached: Path
    centre_zyx_1mm: np.ndarray
    path: Path

    def name(self) -> str:
        return self.patient_id


def deep_scores_of(task: DeepScoreTask) -> tuple[float, float]:
    """Raw HPV logit and expected days; kept as JSON, so that a run that is stopped goes on with the next patient."""
    centre = task.centre_zyx_1mm.tolist()
    kept = record_or_none(task.path) or {}
    if kept.get(CENTRE) == centre:
        hpv_logit, days = kept[SCORES]
        return hpv_logit, days
    hpv, rfs = task.runs
    array = load_cached(task.cached).image.astype(np.float32)
    scores = deep_scores(
        array,
        task.centre_zyx_1mm,
        trained_runner(hpv),
        trained_runner(rfs),
        spacing_mm=hpv.config.network.spacing_mm,
        breaks_days=rfs.config.breaks_days,
    )
    if np.isfinite(scores).all():  # what is not is refused with all the others
        write_json_atomic(task.path, {CENTRE: centre, SCORES: list(scores)})
    return scores


@dataclass(frozen=True)
class OutOfFold:
    """Every patient measured once a split.

    Attributes
    ----------
    measured : split name -> patient_id -> centre and radiomics
    scores : split name -> patient_id -> counts against the truth, of the labelled patients
    mask_thresholds, search : of the bundle, from all splits
    """

    measured: Mapping[str, Mapping[str, Measured]]
    scores: Mapping[str, Mapping[str, CaseScore]]
    mask_thresholds: MaskThresholds
    search: SearchThreshold

    def of(self, run: SplitRun) -> Mapping[str, Measured]:
        return self.measured[run.split.name]

    def centres(self, run: SplitRun) -> Centres:
        return {patient_id: centre for patient_id, (centre, _) in self.of(run).items()}


def measure_all(runs: Sequence[SplitRun], cases: Sequence[CohortCase], pool: Pool, *, progress: Progress) -> OutOfFold:
    """Segment and measure every patient, once a split, by the fold that did not train on them; fit the thresholds."""
    labelled = [case for case in cases if case.label_path is not None]
    counted = [overlap_tasks(run, labelled) for run in runs]
    tasks = [task for of_run in counted for task in of_run.values()]
    pool.each(count_overlaps, tasks, progress=progress, step="mask thresholds", name=OverlapTask.name)
    overlaps = [{patient: read_overlaps(task.path) for patient, task in of_run.items()} for of_run in counted]
    to_measure = [_mask_tasks(run, cases, counts) for run, counts in zip(runs, overlaps, strict=True)]
    masks = [task for of_run in to_measure for task in of_run]
    step = "out-of-fold masks and radiomics"
    pool.each(measure_out_of_fold, masks, progress=progress, step=step, name=MaskTask.name)
    by_split = {run.split.name: of_run for run, of_run in zip(runs, to_measure, strict=True)}
    return OutOfFold(
        {
            split: {task.case.patient_id: read_measured(task.path) for task in of_run}
            for split, of_run in by_split.items()
        },
        {
            split: {task.case.patient_id: score for task in of_run if (score := read_score(task.path)) is not None}
            for split, of_run in by_split.items()
        },
        best_thresholds([counts for of_run in overlaps for counts in of_run.values()]),
        fit_search_threshold([peak for task in tasks for peak in read_peaks(task.path)]),
    )


def overlap_tasks(run: SplitRun, labelled: Sequence[CohortCase]) -> dict[str, OverlapTask]:
    """By patient, in the run's folder: each with the stage 1 network that did not train on them."""
    folder = make_folder(run.folder / "overlaps")
    return {
        case.patient_id: OverlapTask(case, run.unseen_by(case, SEGMENTATION), array, folder / f"{case.patient_id}.json")
        for case, array in zip(labelled, run.arrays(labelled), strict=True)
    }


def _mask_tasks(run: SplitRun, cases: Sequence[CohortCase], overlaps) -> list[MaskTask]:
    """Each fold's own patients are cut at the thresholds that suit the other folds' patients."""
    folder = make_folder(run.folder / "measured")
    fold_of = run.split.fold_of
    thresholds = thresholds_by_fold(overlaps, fold_of, run.split.folds)
    return [
        MaskTask(
            case,
            run.unseen_by(case, SEGMENTATION),
            thresholds[fold_of[case.patient_id]],
            folder / f"{case.patient_id}.json",
        )
        for case in cases
    ]


def keep_deep_scores(
    runs: Sequence[SplitRun], cases: Sequence[CohortCase], out_of_fold: OutOfFold, pool: Pool, *, progress: Progress
) -> None:
    """Write every patient's deep scores, one file a split, unless it is there.

    Until then each patient's are in a file of their own, which one that is stopped goes on from.
    """
    todo = [run for run in runs if not _scores_path(run).is_file()]
    folders = {run.split.name: make_folder(run.folder / "deep_scores") for run in todo}
    tasks = [
        DeepScoreTask(
            case.patient_id,
            tuple(run.unseen_by(case, stage) for stage in (HPV, RFS)),
            array,
            out_of_fold.of(run)[case.patient_id][0],
            folders[run.split.name] / f"{case.patient_id}.json",
        )
        for run in todo
        for case, array in zip(cases, run.arrays(cases), strict=True)
    ]
    step = "out-of-fold deep scores"
    scores = iter(pool.each(deep_scores_of, tasks, progress=progress, step=step, name=DeepScoreTask.name))
    ranks = current()
    for run in todo:
        of_run = {case.patient_id: next(scores) for case in cases}
        if ranks.is_first:
            write_json_atomic(_scores_path(run), of_run)
            shutil.rmtree(folders[run.split.name], ignore_errors=True)
    ranks.wait()


def _scores_path(run: SplitRun) -> Path:
    return run.folder / "out_of_fold.json"


def out_of_fold_table(run: SplitRun, cases: Sequence[CohortCase], measured: Mapping[str, Measured]) -> CohortTable:
    """Every patient's row from the networks that did not train on them; :func:`keep_deep_scores` has been called."""
    scores = read_finished(_scores_path(run))
    return CohortTable(
        patient_ids=tuple(c.patient_id for c in cases),
        fold=np.array([run.split.fold_of[c.patient_id] for c in cases]),
        clinical=[c.clinical for c in cases],
        radiomics=pd.DataFrame([measured[c.patient_id][1] for c in cases]),
        deep_hpv=np.array([scores[c.patient_id][0] for c in cases]),
        deep_days=np.array([scores[c.patient_id][1] for c in cases]),
        hpv=_column(cases, "hpv"),
        time_days=_column(cases, "rfs_days"),
        event=_column(cases, "relapse"),
    )


def _column(cases: Sequence[CohortCase], name: str) -> np.ndarray:
    return np.array([np.nan if getattr(c, name) is None else float(getattr(c, name)) for c in cases])
