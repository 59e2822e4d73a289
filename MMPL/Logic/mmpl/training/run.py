"""Train a bundle: three stages of every fold, then the statistics, then the bundle. Resumable step by step.

::

    RUN/config.json               settings; a run is only ever resumed with the same ones
    RUN/folds.json                patient -> fold
    RUN/cache/<patient>.npz       arrays on the network grid
    RUN/fold_<f>/<stage>/         weights.safetensors, log.jsonl
    RUN/overlaps/<patient>.json   out-of-fold overlaps at several mask thresholds, and peaks of the lesions
    RUN/measured/<patient>.json   out-of-fold centre and radiomics
    RUN/out_of_fold.json          deep scores and folds
    RUN/bundle/                   the result
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmpl.bundle.reader import Bundle
from mmpl.clinical.fields import parse_record
from mmpl.errors import ClinicalError, OutputError, TrainingError
from mmpl.io.output import write_json_atomic
from mmpl.phantom.cohort import MANIFEST
from mmpl.progress import Progress, silent
from mmpl.training.assemble import Provenance, assemble
from mmpl.training.cache import build_cache, load_cached
from mmpl.training.cohort import CohortCase, read_cohort
from mmpl.training.cohort_table import CohortTable
from mmpl.training.config import TrainingConfig, config_to_dict
from mmpl.training.ensemble_statistics import EnsembleStatistics, StatisticsConfig, fit_ensemble
from mmpl.training.errors import require
from mmpl.training.folds import patient_folds
from mmpl.training.kaplan_meier import kaplan_meier
from mmpl.training.mask_thresholds import (
    MaskThresholds,
    OverlapTask,
    best_thresholds,
    count_overlaps,
    read_overlaps,
    read_peaks,
    thresholds_by_fold,
)
from mmpl.training.out_of_fold import MaskTask, deep_score, measure_out_of_fold, read_measured
from mmpl.training.parallel import each
from mmpl.training.search_threshold import SearchThreshold, fit_search_threshold
from mmpl.training.stages import (
    HPV,
    RFS,
    SEGMENTATION,
    STAGES,
    StageRun,
    train_hpv,
    train_rfs,
    train_segmentation,
)

PHANTOM_LIMITATIONS = (
    "Trained on synthetic phantoms only: nothing it says of a real patient means anything.",
    "Narrow networks at 4 mm: contours are smoother than full-width networks at 1 mm would draw.",
)


def train(data: Path, out: Path, config: TrainingConfig, *, progress: Progress = silent) -> Bundle:
    """Run everything that is not done yet and return the bundle.

    Parameters
    ----------
    data : cohort in HECKTOR 2025 layout
    out : run folder; a run that was stopped is taken up where it was
    config : TrainingConfig

    Raises
    ------
    TrainingError
        If the cohort cannot be trained on, or ``out`` holds a run with other settings.
    """
    cases = read_cohort(data)
    require(len(cases) >= config.folds, f"{data}: {len(cases)} patients cannot fill {config.folds} folds")
    _claim(out, config, cases)
    folds = _folds(out, cases, config)
    _check_trainable(cases, folds, config)
    cache = out / "cache"
    build_cache(cases, cache, config.network.spacing_mm, workers=config.workers, progress=progress)
    runs = [
        {stage: StageRun(config, out / f"fold_{fold}" / stage, fold, stage) for stage in STAGES}
        for fold in range(config.folds)
    ]
    measured, mask_thresholds, search = _segment_and_measure(out, cases, folds, runs, config, progress)
    centres = {patient_id: centre for patient_id, (centre, _) in measured.items()}
    outcomes = [_outcome_task(stages, cases, folds, cache, centres) for stages in runs]
    each(_train_outcomes, outcomes, workers=config.workers, progress=progress, step="HPV and RFS networks")
    table = out_of_fold_table(out, cases, folds, cache, measured, runs, progress)
    progress("forests and Cox models", 0.0)
    statistics = fit_ensemble([table], StatisticsConfig(), config.seed)
    progress("forests and Cox models", 1.0)
    scores = {"out_of_fold": _pooled_scores(statistics), "search": search.to_dict()}
    return assemble(
        out / "bundle",
        config,
        runs,
        statistics,
        mask_thresholds,
        search.value or None,
        _provenance(data, cases, cache, config),
        scores,
        kaplan_meier(table.time_days[table.has_follow_up], table.event[table.has_follow_up]),
    )


def _claim(out: Path, config: TrainingConfig, cases: Sequence[CohortCase]) -> None:
    """Write the settings, or check that an earlier run had the same ones."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be created ({error.strerror}); choose another folder") from error
    # how many processes share the work changes nothing but rounding
    settings = json.loads(
        json.dumps({**config_to_dict(replace(config, workers=1)), "patients": [c.patient_id for c in cases]})
    )
    path = out / "config.json"
    if not path.is_file():
        write_json_atomic(path, settings)
        return
    earlier = json.loads(path.read_text(encoding="utf-8"))
    changed = sorted(k for k in settings if earlier.get(k) != settings[k])
    require(
        not changed,
        f"{out}: holds a run with another '{changed[0] if changed else ''}'; choose another folder",
    )


def _check_trainable(cases: Sequence[CohortCase], folds: Mapping[str, int], config: TrainingConfig) -> None:
    """Find out before hours of training whether every record can be read and every fold has what it needs."""
    for case in cases:
        try:
            parse_record(case.clinical)
        except ClinicalError as error:
            raise TrainingError(f"patient {case.patient_id}: {error}") from error
    for fold in range(config.folds):
        training = [c for c in cases if folds[c.patient_id] != fold]
        require(any(c.label_path for c in training), f"fold {fold}: no training patient has a label map")
        statuses = {c.hpv for c in training} - {None}
        require(len(statuses) == 2, f"fold {fold}: the training patients need both HPV classes, found {statuses}")
        followed = {c.relapse for c in training if c.rfs_days is not None} - {None}
        require(len(followed) == 2, f"fold {fold}: needs both relapsed and censored training patients")


def _folds(out: Path, cases: Sequence[CohortCase], config: TrainingConfig) -> dict[str, int]:
    path = out / "folds.json"
    if not path.is_file():
        write_json_atomic(path, patient_folds(cases, config.folds, config.seed))
    folds = json.loads(path.read_text(encoding="utf-8"))
    missing = [c.patient_id for c in cases if c.patient_id not in folds]
    if missing:
        raise TrainingError(f"{path}: {missing[0]} has no fold; remove the file to split again")
    return folds


def _segment_and_measure(
    out: Path, cases, folds, runs, config: TrainingConfig, progress: Progress
) -> tuple[dict[str, tuple[np.ndarray, dict[str, float]]], MaskThresholds, SearchThreshold]:
    """Stage 1 of every fold; each patient's out-of-fold centre and radiomics; and the bundle's thresholds."""
    labelled = [c for c in cases if c.label_path is not None]
    tasks = [
        (stages[SEGMENTATION], [_cached(out / "cache", c) for c in labelled if folds[c.patient_id] != fold])
        for fold, stages in enumerate(runs)
    ]
    each(_train_segmentation, tasks, workers=config.workers, progress=progress, step="segmentation networks")
    by_fold, of_all, search = _mask_thresholds(out, labelled, folds, runs, config, progress)
    return _measure(out, cases, folds, runs, by_fold, config, progress), of_all, search


def _train_segmentation(task: tuple[StageRun, list[Path]]) -> None:
    train_segmentation(*task)


def _mask_thresholds(
    out: Path, cases, folds, runs, config: TrainingConfig, progress: Progress
) -> tuple[list[MaskThresholds], MaskThresholds, SearchThreshold]:
    """Thresholds for each fold's own patients, from the others'; those of the bundle, from all; and the search's."""
    folder = out / "overlaps"
    folder.mkdir(exist_ok=True)
    tasks = {
        c.patient_id: OverlapTask(
            runs[folds[c.patient_id]][SEGMENTATION], _cached(out / "cache", c), folder / f"{c.patient_id}.json"
        )
        for c in cases
    }
    each(count_overlaps, list(tasks.values()), workers=config.workers, progress=progress, step="mask thresholds")
    overlaps = {patient_id: read_overlaps(task.path) for patient_id, task in tasks.items()}
    peaks = [peak for task in tasks.values() for peak in read_peaks(task.path)]
    by_fold = thresholds_by_fold(overlaps, folds, config.folds)
    return by_fold, best_thresholds(list(overlaps.values())), fit_search_threshold(peaks)


def _measure(
    out: Path, cases, folds, runs, thresholds: list[MaskThresholds], config: TrainingConfig, progress: Progress
) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Every patient segmented by the fold that did not train on them, and measured: centre and radiomics."""
    folder = out / "measured"
    folder.mkdir(exist_ok=True)
    tasks = [
        MaskTask(case, runs[fold][SEGMENTATION], thresholds[fold], folder / f"{case.patient_id}.json")
        for case, fold in ((c, folds[c.patient_id]) for c in cases)
    ]
    each(measure_out_of_fold, tasks, workers=config.workers, progress=progress, step="out-of-fold masks and radiomics")
    return {task.case.patient_id: read_measured(task.path) for task in tasks}


@dataclass(frozen=True)
class OutcomeTask:
    """Stages 2 and 3 of one fold: the training patients' arrays, centres and targets."""

    stages: Mapping[str, StageRun]
    hpv: tuple[Sequence[Path], Sequence[np.ndarray], Sequence[int]]
    rfs: tuple[Sequence[Path], Sequence[np.ndarray], Sequence[float], Sequence[int]]


def _outcome_task(stages: Mapping[str, StageRun], cases, folds, cache: Path, centres) -> OutcomeTask:
    training = [c for c in cases if folds[c.patient_id] != stages[HPV].fold]
    known_hpv = [c for c in training if c.hpv is not None]
    followed = [c for c in training if c.relapse is not None and c.rfs_days is not None]

    def images(chosen) -> tuple[list[Path], list[np.ndarray]]:
        return [_cached(cache, c) for c in chosen], [centres[c.patient_id] for c in chosen]

    return OutcomeTask(
        stages,
        (*images(known_hpv), [c.hpv for c in known_hpv]),
        (*images(followed), [c.rfs_days for c in followed], [c.relapse for c in followed]),
    )


def _train_outcomes(task: OutcomeTask) -> None:
    train_hpv(task.stages[HPV], task.stages[SEGMENTATION].weights_path, *task.hpv)
    train_rfs(task.stages[RFS], task.stages[HPV].weights_path, *task.rfs)


def out_of_fold_table(out: Path, cases, folds, cache: Path, measured, runs, progress: Progress) -> CohortTable:
    """Every patient's row from the networks that did not train on them; deep scores are kept in a file."""
    path = out / "out_of_fold.json"
    if not path.is_file():
        scores = {}
        for n, case in enumerate(cases, start=1):
            stages, centre = runs[folds[case.patient_id]], measured[case.patient_id][0]
            scores[case.patient_id] = [deep_score(stages[stage], _cached(cache, case), centre) for stage in (HPV, RFS)]
            progress("out-of-fold deep scores", n / len(cases))
        write_json_atomic(path, scores)
    scores = json.loads(path.read_text(encoding="utf-8"))
    return CohortTable(
        patient_ids=tuple(c.patient_id for c in cases),
        fold=np.array([folds[c.patient_id] for c in cases]),
        clinical=[c.clinical for c in cases],
        radiomics=pd.DataFrame([measured[c.patient_id][1] for c in cases]),
        deep_hpv=np.array([scores[c.patient_id][0] for c in cases]),
        deep_days=np.array([scores[c.patient_id][1] for c in cases]),
        hpv=_column(cases, "hpv"),
        time_days=_column(cases, "rfs_days"),
        event=_column(cases, "relapse"),
    )


def _column(cases, name: str) -> np.ndarray:
    return np.array([np.nan if getattr(c, name) is None else float(getattr(c, name)) for c in cases])


def _cached(cache: Path, case: CohortCase) -> Path:
    return cache / f"{case.patient_id}.npz"


def _pooled_scores(statistics: EnsembleStatistics) -> dict[str, float]:
    pooled = statistics.metrics[statistics.metrics["fold"] == "pooled"].iloc[0]
    return {name: float(pooled[name]) for name in ("auc", "balanced_accuracy", "c_index")}


def _provenance(data: Path, cases: Sequence[CohortCase], cache: Path, config: TrainingConfig) -> Provenance:
    manifest = data / MANIFEST
    lost = sum(load_cached(_cached(cache, c)).lost_voxels for c in cases)
    phantom = manifest.is_file()
    what = f"{len(cases)} patients of {len({c.center_id for c in cases})} centres"
    if phantom:
        seed = json.loads(manifest.read_text(encoding="utf-8"))["seed"]
        what = f"{len(cases)} synthetic phantoms of {len({c.center_id for c in cases})} synthetic centres, seed {seed}"
    standardised = (
        "Deep scores are standardised per network over the patients it did not train on; rows that trained the "
        "forests and Cox models carry masks, deep scores and HPV probabilities of sibling folds."
    )
    return Provenance(
        description="MMPL ensemble: segmentation, HPV probability and recurrence-free survival. " + standardised,
        training_data=f"{what}. {lost} label voxels lay outside the region of interest.",
        phantom=phantom,
        time_zero=config.time_zero,
        created=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        limitations=PHANTOM_LIMITATIONS if phantom else (),
    )
