"""The networks of one split: where they live, whom each of them trains on, and who judges a patient unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from mmpl.cluster import Pool
from mmpl.progress import Progress
from mmpl.training.cohort import CohortCase
from mmpl.training.config import TrainingConfig
from mmpl.training.folds import Split
from mmpl.training.ranks import collective
from mmpl.training.stages import (
    HPV,
    RFS,
    SEGMENTATION,
    STAGES,
    StageRun,
    epochs_done,
    train_hpv,
    train_rfs,
    train_segmentation,
)
from mmpl.training.start import Start

Centres = Mapping[str, np.ndarray]  # patient_id -> centre (z, y, x) of the outcome networks' patch on the 1 mm ROI


@dataclass(frozen=True)
class SplitRun:
    """One split's folder and networks.

    Attributes
    ----------
    split : Split
    folder : holds ``fold_<f>/<stage>`` and the out-of-fold files
    cache : folder of the cached cases
    networks : per fold, stage name -> StageRun
    start : what stage 1 starts from, None for random weights
    first : networks of the run's earlier splits, each of which has its own start
    """

    split: Split
    folder: Path
    cache: Path
    networks: tuple[Mapping[str, StageRun], ...]
    start: Start | None = None
    first: int = 0

    def unseen_by(self, case: CohortCase, stage: str) -> StageRun:
        """The network of a stage that did not train on a patient."""
        return self.networks[self.split.fold_of[case.patient_id]][stage]

    def training_cases(self, cases: Sequence[CohortCase], fold: int) -> list[CohortCase]:
        return [case for case in cases if self.split.fold_of[case.patient_id] != fold]

    def arrays(self, cases: Sequence[CohortCase]) -> list[Path]:
        return [self.cache / case.patient_id for case in cases]


def split_runs(
    config: TrainingConfig, out: Path, splits: Sequence[Split], start: Start | None = None
) -> list[SplitRun]:
    """Every split's run in its folder of a training run."""

    def networks(number: int, split: Split) -> tuple[Mapping[str, StageRun], ...]:
        return tuple(
            {
                stage: StageRun(config, out / split.name / f"fold_{fold}" / stage, fold, stage, split.name, number)
                for stage in STAGES
            }
            for fold in range(split.folds)
        )

    firsts = accumulate((s.folds for s in splits), initial=0)
    return [
        SplitRun(s, out / s.name, out / "cache", networks(n, s), start, first)
        for (n, s), first in zip(enumerate(splits), firsts, strict=False)
    ]


@dataclass(frozen=True)
class SegmentationTask:
    """Stage 1 of one fold: its labelled training patients' arrays, and weights to start from."""

    run: StageRun
    arrays: Sequence[Path]
    start: Path | None = None

    def name(self) -> str:
        return self.run.label

    def share_done(self) -> float:
        return epochs_done([self.run])


@dataclass(frozen=True)
class OutcomeTask:
    """Stages 2 and 3 of one fold: the training patients' arrays, centres and targets."""

    stages: Mapping[str, StageRun]
    hpv: tuple[Sequence[Path], Sequence[np.ndarray], Sequence[int]]
    rfs: tuple[Sequence[Path], Sequence[np.ndarray], Sequence[float], Sequence[int]]

    def name(self) -> str:
        return self.stages[HPV].label

    def share_done(self) -> float:
        return epochs_done([self.stages[HPV], self.stages[RFS]])


def segmentation_tasks(run: SplitRun, cases: Sequence[CohortCase]) -> list[SegmentationTask]:
    labelled = [case for case in cases if case.label_path is not None]
    return [
        SegmentationTask(
            stages[SEGMENTATION],
            run.arrays(run.training_cases(labelled, fold)),
            None if run.start is None else run.start.of(run.first + fold),
        )
        for fold, stages in enumerate(run.networks)
    ]


def outcome_tasks(run: SplitRun, cases: Sequence[CohortCase], centres: Centres) -> list[OutcomeTask]:
    return [_outcome_task(run, stages, cases, centres) for stages in run.networks]


def _outcome_task(run: SplitRun, stages: Mapping[str, StageRun], cases, centres: Centres) -> OutcomeTask:
    training = run.training_cases(cases, stages[HPV].fold)
    known_hpv = [c for c in training if c.hpv is not None]
    followed = [c for c in training if c.relapse is not None and c.rfs_days is not None]

    def images(chosen: Sequence[CohortCase]) -> tuple[list[Path], list[np.ndarray]]:
        return run.arrays(chosen), [centres[c.patient_id] for c in chosen]

    return OutcomeTask(
        stages,
        (*images(known_hpv), [c.hpv for c in known_hpv]),
        (*images(followed), [c.rfs_days for c in followed], [c.relapse for c in followed]),
    )


def train_segmentations(pool: Pool, tasks: Sequence[SegmentationTask], *, progress: Progress, step: str) -> None:
    pool.each(
        run_segmentation,
        tasks,
        progress=progress,
        step=step,
        name=SegmentationTask.name,
        so_far=SegmentationTask.share_done,
    )


def train_outcomes(pool: Pool, tasks: Sequence[OutcomeTask], *, progress: Progress, step: str) -> None:
    pool.each(run_outcomes, tasks, progress=progress, step=step, name=OutcomeTask.name, so_far=OutcomeTask.share_done)


@collective
def run_segmentation(task: SegmentationTask) -> None:
    train_segmentation(task.run, task.arrays, task.start)


@collective
def run_outcomes(task: OutcomeTask) -> None:
    train_hpv(task.stages[HPV], task.stages[SEGMENTATION].weights_path, *task.hpv)
    train_rfs(task.stages[RFS], task.stages[HPV].weights_path, *task.rfs)
