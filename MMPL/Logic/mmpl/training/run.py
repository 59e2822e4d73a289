"""Train a bundle: three stages of every fold of every split, then the statistics, then the bundle.

Resumable step by step::

    RUN/config.json                       settings; a run is only ever resumed with the same ones
    RUN/folds.csv                         PatientID, Split, Fold
    RUN/cache/                            arrays on the network grid
    RUN/<split>/fold_<f>/<stage>/         weights.safetensors, log.jsonl
    RUN/<split>/overlaps/<patient>.json   out-of-fold overlaps at several mask thresholds, and peaks of the lesions
    RUN/<split>/measured/<patient>.json   out-of-fold centre and radiomics
    RUN/<split>/out_of_fold.json          deep scores
    RUN/bundle/                           the result
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmpl.bundle.reader import Bundle
from mmpl.clinical.fields import parse_record
from mmpl.errors import ClinicalError, OutputError, TrainingError
from mmpl.io.output import write_json_atomic
from mmpl.progress import Progress, silent
from mmpl.training.assemble import assemble
from mmpl.training.cache import build_cache
from mmpl.training.cohort import CohortCase, read_cohort
from mmpl.training.config import TrainingConfig, config_to_dict
from mmpl.training.ensemble_statistics import EnsembleStatistics, StatisticsConfig, fit_ensemble
from mmpl.training.errors import require
from mmpl.training.folds import Split, make_splits, read_splits, write_splits
from mmpl.training.kaplan_meier import kaplan_meier
from mmpl.training.out_of_fold import measure_all, out_of_fold_table
from mmpl.training.parallel import each
from mmpl.training.provenance import provenance_of
from mmpl.training.split_run import (
    SplitRun,
    outcome_tasks,
    run_outcomes,
    run_segmentation,
    segmentation_tasks,
    split_runs,
)


def train(
    data: Path, out: Path, config: TrainingConfig, *, folds: Path | None = None, progress: Progress = silent
) -> Bundle:
    """Run everything that is not done yet and return the bundle.

    Parameters
    ----------
    data : cohort in HECKTOR 2025 layout
    out : run folder; a run that was stopped is taken up where it was
    config : TrainingConfig
    folds : table of an earlier run's splits (PatientID, Split, Fold) to use in place of new ones

    Raises
    ------
    TrainingError
        If the cohort cannot be trained on, or ``out`` holds a run with other settings.
    """
    cases = read_cohort(data)
    splits = _splits(cases, config, folds)
    _check_trainable(cases, splits)
    _claim(out, config, cases)
    runs = split_runs(config, out, _kept_splits(out, splits, cases, chosen=folds is not None))
    build_cache(cases, out / "cache", config.network.spacing_mm, workers=config.workers, progress=progress)
    tasks = [task for run in runs for task in segmentation_tasks(run, cases)]
    each(run_segmentation, tasks, workers=config.workers, progress=progress, step="segmentation networks")
    measured = measure_all(runs, cases, workers=config.workers, progress=progress)
    tasks = [task for run in runs for task in outcome_tasks(run, cases, measured.centres(run))]
    each(run_outcomes, tasks, workers=config.workers, progress=progress, step="HPV and RFS networks")
    tables = [out_of_fold_table(run, cases, measured.of(run), progress) for run in runs]
    progress("forests and Cox models", 0.0)
    statistics = fit_ensemble(tables, StatisticsConfig(), config.seed)
    progress("forests and Cox models", 1.0)
    table = tables[0]
    return assemble(
        out / "bundle",
        config,
        [stages for run in runs for stages in run.networks],
        statistics,
        measured.mask_thresholds,
        measured.search.value or None,
        provenance_of(data, cases, out / "cache", config, splits),
        {"out_of_fold": _pooled_scores(statistics, runs), "search": measured.search.to_dict()},
        kaplan_meier(table.time_days[table.has_follow_up], table.event[table.has_follow_up]),
    )


def _splits(cases: Sequence[CohortCase], config: TrainingConfig, folds: Path | None) -> list[Split]:
    if folds is None:
        return make_splits(config.splits, cases, config.folds, config.seed)
    return read_splits(folds, config.splits, [c.patient_id for c in cases])


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


def _kept_splits(out: Path, splits: Sequence[Split], cases: Sequence[CohortCase], *, chosen: bool) -> list[Split]:
    """The splits that the run began with; others that were chosen are refused."""
    path = out / "folds.csv"
    if not path.is_file():
        write_splits(path, splits)
    kept = read_splits(path, [split.name for split in splits], [c.patient_id for c in cases])
    require(
        not chosen or [s.fold_of for s in kept] == [dict(s.fold_of) for s in splits],
        f"{out}: the run began with other folds; choose another folder",
    )
    return kept


def _check_trainable(cases: Sequence[CohortCase], splits: Sequence[Split]) -> None:
    """Find out before hours of training whether every record can be read and every fold has what it needs."""
    for case in cases:
        try:
            parse_record(case.clinical)
        except ClinicalError as error:
            raise TrainingError(f"patient {case.patient_id}: {error}") from error
    for split in splits:
        for fold in range(split.folds):
            _check_fold(f"{split.name} fold {fold}", [c for c in cases if split.fold_of[c.patient_id] != fold])


def _check_fold(name: str, training: Sequence[CohortCase]) -> None:
    require(any(c.label_path for c in training), f"{name}: no training patient has a label map")
    statuses = {c.hpv for c in training} - {None}
    require(len(statuses) == 2, f"{name}: the training patients need both HPV classes, found {statuses or 'none'}")
    followed = {c.relapse for c in training if c.rfs_days is not None} - {None}
    require(len(followed) == 2, f"{name}: needs both relapsed and censored training patients")


def _pooled_scores(statistics: EnsembleStatistics, runs: Sequence[SplitRun]) -> dict[str, dict[str, float]]:
    """Split name -> measures over its out-of-fold rows."""
    pooled = statistics.metrics[statistics.metrics["fold"] == "pooled"].set_index("split")
    names = ("auc", "balanced_accuracy", "c_index")
    return {run.split.name: {m: float(pooled.loc[n, m]) for m in names} for n, run in enumerate(runs)}
