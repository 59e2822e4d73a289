"""Train a bundle: three stages of every fold of every split, then the statistics, then the bundle.

Resumable step by step::

    RUN/config.json                       settings; a run is only ever resumed with the same ones
    RUN/folds.csv                         PatientID, Split, Fold
    RUN/cache/                            arrays on the network grid
    RUN/images.json                       checksums of these arrays
    RUN/outcomes.json                     relapse, RFS days and HPV status that the networks learn from
    RUN/start/                            weights that stage 1 starts from, and the name of their bundle
    RUN/<split>/fold_<f>/<stage>/         weights.safetensors, log.jsonl
    RUN/<split>/fold_<f>/segmentation/unseen/   mask probabilities of the patients it did not train on
    RUN/<split>/overlaps/<patient>.json   out-of-fold overlaps at several mask thresholds, and peaks of the lesions
    RUN/<split>/measured/<patient>.json   out-of-fold centre, radiomics, and counts against the label
    RUN/<split>/deep_scores/<patient>.json   deep scores, until all of them are in the next
    RUN/<split>/out_of_fold.json          out-of-fold deep scores
    RUN/statistics.json                   what the forests and Cox models chose
    RUN/report.html                       learning curves, and figures by fold
    RUN/bundle/                           the result
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmpl.bundle.reader import Bundle, open_bundle
from mmpl.clinical.fields import parse_record
from mmpl.cluster import Pool, open_pool
from mmpl.errors import ClinicalError, TrainingError
from mmpl.io.output import write_json_atomic, write_text_atomic
from mmpl.metrics.segmentation import CaseScore
from mmpl.progress import Progress, silent
from mmpl.training.assemble import assemble
from mmpl.training.cache import build_cache
from mmpl.training.choices import choices
from mmpl.training.cohort_table import CohortTable
from mmpl.training.config import TrainingConfig
from mmpl.training.curves import check_tensorboard
from mmpl.training.ensemble_statistics import EnsembleStatistics, StatisticsConfig, fit_ensemble
from mmpl.training.errors import require
from mmpl.training.folds import CENTRE, PATIENT, Split, check_centres, make_splits, read_splits, write_splits
from mmpl.training.hpv_classifier import FEWEST_OF_A_CLASS
from mmpl.training.kaplan_meier import kaplan_meier
from mmpl.training.layout import CohortCase
from mmpl.training.out_of_fold import OutOfFold, keep_deep_scores, measure_all, out_of_fold_table
from mmpl.training.provenance import provenance_of
from mmpl.training.ranks import RankPool, Ranks, current, joined
from mmpl.training.report import OUTCOMES, contour_measures, render_run
from mmpl.training.run_folder import (
    BUNDLE,
    FOLDS,
    START,
    begun_on,
    begun_with,
    check_folds,
    check_images,
    check_outcomes,
    claim,
    only_command,
    refuse_changes,
    settings_of,
)
from mmpl.training.scan import scan_cohort
from mmpl.training.split_run import (
    SplitRun,
    outcome_tasks,
    segmentation_tasks,
    split_runs,
    train_outcomes,
    train_segmentations,
)
from mmpl.training.stages import check_batch_sizes, training_device
from mmpl.training.start import Start, keep_start, kept_start, open_start

log = logging.getLogger(__name__)

STATISTICS, REPORT = "statistics.json", "report.html"
NEEDED = (  # among each fold's training patients: in words, at least so many, who counts
    ("have a label map", 1, lambda c: c.label_path is not None),
    ("have a positive HPV status", FEWEST_OF_A_CLASS, lambda c: c.hpv == 1),
    ("have a negative HPV status", FEWEST_OF_A_CLASS, lambda c: c.hpv == 0),
    ("have a relapse with its RFS", 1, lambda c: c.relapse == 1 and c.rfs_days is not None),
    ("have an RFS without relapse", 1, lambda c: c.relapse == 0 and c.rfs_days is not None),
)
SPREAD = {
    PATIENT: "spread them over the folds with a table (--folds), or set more 'folds', so that each is smaller",
    CENTRE: "set 'splits: [patient]', or spread their centres over the folds with a table (--folds)",
}
BY_CENTRE = "give a centre's patients one fold, or set 'splits: [patient]'"


@dataclass(frozen=True)
class Networks:
    """A run whose networks are trained and whose out-of-fold rows are there.

    Attributes
    ----------
    cases : the cohort
    runs, tables : one a split
    measured : out-of-fold figures and the thresholds fitted on them
    """

    cases: Sequence[CohortCase]
    runs: Sequence[SplitRun]
    measured: OutOfFold
    tables: Sequence[CohortTable]

    @property
    def start(self) -> Start | None:
        """What stage 1 of every split started from, None for random weights."""
        return self.runs[0].start


@dataclass(frozen=True)
class RunOptions:
    """What a user may choose of a run besides its settings.

    Attributes
    ----------
    folds : table of an earlier run's splits (PatientID, Split, Fold) to use in place of new ones
    start : bundle whose segmentation weights stage 1 starts from; trained on none of these patients, or out-of-fold
        rows are none. A run that is resumed has them already
    strict : refuse a cohort of which the scan warns, too
    scheduler : of a Dask cluster whose workers share the work and the folders; by default ``config.workers`` processes
    """

    folds: Path | None = None
    start: Path | None = None
    strict: bool = False
    scheduler: str | None = None


AS_USUAL = RunOptions()


def train(
    data: Path, out: Path, config: TrainingConfig, options: RunOptions = AS_USUAL, *, progress: Progress = silent
) -> Bundle:
    """Run everything that is not done yet and return the bundle.

    Parameters
    ----------
    data : cohort in HECKTOR 2025 layout
    out : run folder; a run that was stopped is taken up where it was
    config : TrainingConfig
    options : RunOptions

    Raises
    ------
    TrainingError
        If the cohort cannot be trained on, ``out`` holds a run with other settings, or another command works in it.
    BundleError
        If ``options.start`` cannot be used.
    OutputError
        If the disk is full; what is finished is kept.
    """
    with joined() as ranks, trained_networks(data, out, config, options, progress=progress) as networks:
        if ranks.is_first:
            _write_bundle(data, out, config, networks, progress)
        ranks.wait()
    return open_bundle(out / BUNDLE)


def _write_bundle(data: Path, out: Path, config: TrainingConfig, networks: Networks, progress: Progress) -> None:
    """Fit the statistics and write the bundle and the run's report."""
    progress("forests and Cox models", 0.0)
    statistics = fit_ensemble(networks.tables, StatisticsConfig(), config.seed)
    progress("forests and Cox models", 1.0)
    runs, measured, table = networks.runs, networks.measured, networks.tables[0]
    splits = [run.split for run in runs]
    write_json_atomic(out / STATISTICS, choices(statistics, splits))
    provenance = provenance_of(data, networks.cases, out / "cache", config, splits, begun_on(out), networks.start)
    write_text_atomic(out / REPORT, render_run(config, runs, statistics.metrics, measured.scores, provenance))
    assemble(
        out / BUNDLE,
        config,
        [stages for run in runs for stages in run.networks],
        statistics,
        measured.mask_thresholds,
        measured.search.value or None,
        provenance,
        {"out_of_fold": _pooled_scores(statistics, runs, measured.scores), "search": measured.search.to_dict()},
        kaplan_meier(table.time_days[table.has_follow_up], table.event[table.has_follow_up]),
    )


@contextmanager
def trained_networks(
    data: Path, out: Path, config: TrainingConfig, options: RunOptions = AS_USUAL, *, progress: Progress = silent
) -> Iterator[Networks]:
    """All of :func:`train` but for the statistics and the bundle; the same arguments and errors.

    While the block lasts, no other command works in the folder.
    """
    data, out = Path(data).absolute(), Path(out).absolute()  # as workers elsewhere find them
    ranks = current()
    check_tensorboard(config.tensorboard)
    check_batch_sizes(config, ranks)
    if options.scheduler is None:  # a cluster's workers have devices of their own
        training_device(config.device)
    scan = scan_cohort(data, thorough=False)
    scan.require_usable(strict=options.strict)
    if ranks.is_first:
        for warning in scan.warnings():
            log.warning("warning: %s", warning)
    cases = list(scan.cases)
    refuse_changes(out, settings_of(config, cases))
    splits = _splits(out, cases, config, options.folds)
    if ranks.is_first and options.folds is not None:
        _tell_other_folds(options.folds, splits, config)
    _check_trainable(cases, splits)
    with only_command(out, ranks):
        runs = ranks.one_first(lambda: _begin(out, config, cases, splits, options))
        measured = _train_all(out, config, cases, runs, options, progress)
        tables = [out_of_fold_table(run, cases, measured.of(run)) for run in runs]
        yield Networks(cases, runs, measured, tables)


def _train_all(
    out: Path,
    config: TrainingConfig,
    cases: Sequence[CohortCase],
    runs: Sequence[SplitRun],
    options: RunOptions,
    progress: Progress,
) -> OutOfFold:
    """Cache, networks and out-of-fold figures, as far as they are not there yet."""
    ranks = current()
    with _pool(ranks, config, options.scheduler) as pool:
        # verified: every process makes the same list of tasks, and what the disk has spoilt is made anew
        build_cache(cases, out / "cache", config.network.spacing_mm, pool=pool, progress=progress, verify=True)
        ranks.one_first(lambda: check_images(out, cases))
        tasks = [task for run in runs for task in segmentation_tasks(run, cases)]
        train_segmentations(pool, tasks, progress=progress, step="segmentation networks")
        measured = measure_all(runs, cases, pool, progress=progress)
        tasks = [task for run in runs for task in outcome_tasks(run, cases, measured.centres(run))]
        train_outcomes(pool, tasks, progress=progress, step="HPV and RFS networks")
        keep_deep_scores(runs, cases, measured, pool, progress=progress)
    return measured


def _begin(
    out: Path, config: TrainingConfig, cases: Sequence[CohortCase], splits: Sequence[Split], options: RunOptions
) -> list[SplitRun]:
    """Claim the folder; the run's splits."""
    start = _start(out, config, cases, options.start)
    check_outcomes(out, cases)
    return split_runs(config, out, _kept_splits(out, splits, cases, chosen=options.folds is not None), start)


def _start(out: Path, config: TrainingConfig, cases: Sequence[CohortCase], chosen: Path | None) -> Start | None:
    """Claim the folder; what stage 1 starts from: the chosen bundle, else what the run in it began with."""
    earlier = begun_with(out)
    if earlier is not None and earlier.get(START) is not None and (chosen is None or not chosen.exists()):
        claim(out, config, cases, earlier[START])
        return kept_start(out / START, earlier[START])
    bundle = None if chosen is None else open_start(chosen, config.network)
    claim(out, config, cases, None if bundle is None else bundle.sha256)
    return None if bundle is None else keep_start(bundle, out / START)


@contextmanager
def _pool(ranks: Ranks, config: TrainingConfig, scheduler: str | None) -> Iterator[Pool]:
    if ranks.size > 1:
        require(scheduler is None, "torchrun and a scheduler: a run is spread by one or the other")
        yield RankPool(ranks)
        return
    with open_pool(1 if scheduler else config.workers, scheduler) as pool:
        yield pool


def _splits(out: Path, cases: Sequence[CohortCase], config: TrainingConfig, folds: Path | None) -> list[Split]:
    """Those of the given table, else those that the run began with, else new ones."""
    begun = out / FOLDS
    if folds is None and not begun.is_file():
        return make_splits(config.splits, cases, config.folds, config.seed)
    table, remedy = (begun, "choose another folder") if folds is None else (folds, BY_CENTRE)
    splits = read_splits(table, config.splits, [c.patient_id for c in cases])
    check_centres(table, splits, cases, remedy)
    return splits


def _tell_other_folds(table: Path, splits: Sequence[Split], config: TrainingConfig) -> None:
    """A table decides how many folds there are, which 'folds' of the settings may not have meant."""
    for split in splits:
        if split.folds != config.folds:
            log.warning(
                "warning: %s has %d folds in the split '%s': so many members are trained, whatever 'folds' of the "
                "settings (%d) says",
                table,
                split.folds,
                split.name,
                config.folds,
            )


def _kept_splits(out: Path, splits: Sequence[Split], cases: Sequence[CohortCase], *, chosen: bool) -> list[Split]:
    """The splits that the run began with; others are refused, whether they were chosen or written into its table."""
    path = out / FOLDS
    if not path.is_file():
        check_folds(out, splits)
        write_splits(path, splits)
    kept = read_splits(path, [split.name for split in splits], [c.patient_id for c in cases])
    check_folds(out, kept)
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
            _check_fold(split, fold, cases)


def _check_fold(split: Split, fold: int, cases: Sequence[CohortCase]) -> None:
    training = [c for c in cases if split.fold_of[c.patient_id] != fold]
    for what, fewest, is_one in NEEDED:
        found, of_all = (sum(map(is_one, some)) for some in (training, cases))
        # those of the fold itself are none of its training patients
        remedy = SPREAD[split.name] if of_all > fewest else "add such patients to the cohort"
        require(
            found >= fewest,
            f"{split.name} fold {fold}: {found} of its {len(training)} training patients {what}, at least {fewest} "
            f"must; of all {len(cases)} patients {of_all} do: {remedy}",
        )


def _pooled_scores(
    statistics: EnsembleStatistics, runs: Sequence[SplitRun], scores: Mapping[str, Mapping[str, CaseScore]]
) -> dict[str, dict[str, float]]:
    """Split name -> measures over its out-of-fold rows and contours, as far as there are any."""
    pooled = statistics.metrics[statistics.metrics["fold"] == "pooled"].set_index("split")
    found = {
        run.split.name: {
            **contour_measures([*scores[run.split.name].values()]),
            **{name: float(pooled.loc[n, name]) for name in OUTCOMES},
        }
        for n, run in enumerate(runs)
    }
    return {split: {name: v for name, v in row.items() if not math.isnan(v)} for split, row in found.items()}
