"""Stage 1: Dice alone against the method's loss, on patients that neither network trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmpl.cluster import Pool
from mmpl.io.output import make_folder, write_json_atomic
from mmpl.metrics.segmentation import MEASURES, CaseScore
from mmpl.progress import Progress
from mmpl.training.ablation.comparison import Comparison, compare
from mmpl.training.cache import load_roi
from mmpl.training.cohort import CohortCase
from mmpl.training.finished import read_finished
from mmpl.training.mask_thresholds import (
    CUT_AT,
    MaskThresholds,
    OverlapTask,
    count_overlaps,
    is_cut_at,
    read_overlaps,
    thresholds_by_fold,
)
from mmpl.training.out_of_fold import overlap_tasks, score_of
from mmpl.training.split_run import SplitRun, segmentation_tasks, train_segmentations
from mmpl.training.stages import SEGMENTATION, StageRun
from mmpl.training.unseen import unseen_labels

DICE_ONLY, ODA = "Dice alone", "ODA loss"
FOLDS = 2
ROI_VOXEL_ML = 0.001  # 1 mm in all directions
NAMES = {"gtvp_dice": "GTVp mean Dice", "gtvn_dice_agg": "GTVn aggregated Dice", "gtvn_f1_agg": "GTVn F1agg"}


@dataclass(frozen=True)
class ScoreTask:
    """Draw one labelled patient with one network, cut at (GTVp, GTVn) thresholds, and count against the truth."""

    case: CohortCase
    run: StageRun
    thresholds: MaskThresholds
    path: Path

    def name(self) -> str:
        return self.case.patient_id


def segmentation_comparisons(
    run: SplitRun, cases: Sequence[CohortCase], folder: Path, pool: Pool, *, progress: Progress
) -> list[Comparison]:
    """Train the first folds' stage 1 with Dice alone as well, and compare both networks on those folds' patients.

    Each network's masks are cut at the thresholds that suit the other fold's patients best, for that loss.

    Parameters
    ----------
    run : the patient split, its networks trained with the method's loss; the Dice-only ones start where these did
    folder : keeps the Dice-only networks and all counts; resumable
    """
    labelled = [c for c in cases if c.label_path is not None and run.split.fold_of[c.patient_id] < FOLDS]
    arms = {ODA: run, DICE_ONLY: _dice_only(run, folder)}
    tasks = [t for t in segmentation_tasks(arms[DICE_ONLY], cases) if t.run.fold < FOLDS]
    train_segmentations(pool, tasks, progress=progress, step="Dice-only networks")
    scores = {}
    for name, arm in arms.items():
        home = folder / ("oda" if name == ODA else "dice")
        scores[name] = _scores(arm, labelled, home, pool, progress=progress, step=f"scores of {name}")

    def measure(name: str, of):
        return lambda rows: of([scores[name][i] for i in rows])

    with_gtvp = sum(score.gtvp.truth > 0 for score in scores[ODA])  # a mean of Dice is over these
    patients = {"gtvp_dice": with_gtvp}
    return [
        compare(
            NAMES[key],
            len(labelled),
            (DICE_ONLY, measure(DICE_ONLY, of)),
            (ODA, measure(ODA, of)),
            patients=patients.get(key),
        )
        for key, of in MEASURES.items()
    ]


def _dice_only(run: SplitRun, folder: Path) -> SplitRun:
    def network(stages: Mapping[str, StageRun]) -> dict[str, StageRun]:
        one = stages[SEGMENTATION]
        config = replace(one.config, segmentation_loss="dice")
        return {SEGMENTATION: replace(one, config=config, folder=folder / "dice" / f"fold_{one.fold}")}

    return replace(run, folder=folder / "dice", networks=tuple(network(stages) for stages in run.networks))


def _scores(
    run: SplitRun, labelled: Sequence[CohortCase], home: Path, pool: Pool, *, progress: Progress, step: str
) -> list[CaseScore]:
    thresholds = _thresholds(run, labelled, pool, progress=progress, step=step)
    folder = make_folder(home / "scores")
    tasks = [
        ScoreTask(
            case,
            run.unseen_by(case, SEGMENTATION),
            thresholds[run.split.fold_of[case.patient_id]],
            folder / f"{case.patient_id}.json",
        )
        for case in labelled
    ]
    pool.each(score_out_of_fold, tasks, progress=progress, step=step, name=ScoreTask.name)
    return [read_score(task.path) for task in tasks]


def _thresholds(
    run: SplitRun, labelled: Sequence[CohortCase], pool: Pool, *, progress: Progress, step: str
) -> list[MaskThresholds]:
    """For each of the folds, from the other ones' patients; what training has counted is not counted again."""
    tasks, what = overlap_tasks(run, labelled), f"{step}: thresholds"
    pool.each(count_overlaps, list(tasks.values()), progress=progress, step=what, name=OverlapTask.name)
    counts = {patient: read_overlaps(task.path) for patient, task in tasks.items()}
    return thresholds_by_fold(counts, run.split.fold_of, FOLDS)


def score_out_of_fold(task: ScoreTask) -> None:
    """Write a patient's counts as JSON, unless already there of a mask cut at the same thresholds.

    Truth and mask are compared on the 1 mm ROI.
    """
    if is_cut_at(task.path, task.thresholds):
        return
    roi = load_roi(task.case)
    drawn = unseen_labels(task.run, task.case.patient_id, roi, task.thresholds)
    write_json_atomic(task.path, {CUT_AT: task.thresholds, **asdict(score_of(task.case, drawn, roi))})


def read_score(path: Path) -> CaseScore:
    """What :func:`score_out_of_fold` wrote; runs begun before it wrote the volume of a voxel are of the same ROI."""
    return CaseScore.from_dict({"voxel_ml": ROI_VOXEL_ML, **read_finished(path)})
