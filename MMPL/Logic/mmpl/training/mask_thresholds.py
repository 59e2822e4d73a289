"""Thresholds of the mask probabilities, chosen on patients that the networks did not train on.

A network that is sure of a lesion's core and unsure of its rim draws contours too small at 0.5. Each fold's own
patients are cut at the thresholds that suit the other folds' patients best; the bundle gets the ones that suit all.
They are chosen on single networks, on their own grid and before cleaning: the mean of several members is surer of less,
so what suits it may lie a little lower still.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.case import CLASS_NAMES
from mmpl.io.output import write_json_atomic
from mmpl.network.backends.pytorch import TorchRunner
from mmpl.preprocess.network_grid import background_values
from mmpl.segmentation.engine import segment_by_plan
from mmpl.segmentation.plan import Account, single_plan
from mmpl.training.cache import load_cached
from mmpl.training.crops import FOREGROUND
from mmpl.training.search_threshold import lesion_peaks
from mmpl.training.stages import StageRun, trained_network

CANDIDATES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
PLAIN = (0.5, 0.5)
PEAKS = "peaks"

MaskThresholds = tuple[float, float]  # GTVp, GTVn


@dataclass(frozen=True)
class OverlapTask:
    """One labelled patient, and the stage 1 network that did not train on them."""

    run: StageRun
    cached: Path
    path: Path

    def name(self) -> str:
        return self.path.stem


def count_overlaps(task: OverlapTask) -> None:
    """Write as JSON, unless already there, how a patient's out-of-fold mask and truth overlap, and each lesion's peak.

    The overlaps are class name -> [[shared, predicted + true], ...] in voxels of the network grid, one pair for each
    of ``CANDIDATES``; the peaks are :func:`mmpl.training.search_threshold.lesion_peaks`.
    """
    if _is_done(task.path):
        return
    config, cached = task.run.config, load_cached(task.cached)
    image = cached.image.astype(np.float32)
    probabilities = segment_by_plan(
        image,
        [TorchRunner(trained_network(task.run))],
        single_plan(image, config.network.spacing_mm),
        fills=background_values(image),
        account=Account(),
    )
    truths = cached.label >= FOREGROUND
    counts = {
        name: [overlap(probability >= threshold, truth) for threshold in CANDIDATES]
        for name, probability, truth in zip(CLASS_NAMES.values(), probabilities, truths, strict=True)
    }
    write_json_atomic(task.path, {**counts, PEAKS: lesion_peaks(probabilities, cached.label)})


def _is_done(path: Path) -> bool:
    """Whether a file holds all that is counted now; an older one is counted again."""
    return path.is_file() and PEAKS in json.loads(path.read_text(encoding="utf-8"))


def overlap(mask: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """Voxels that both hold, and the sum of what either holds: Dice = 2 shared / total."""
    return int(np.count_nonzero(mask & truth)), int(np.count_nonzero(mask) + np.count_nonzero(truth))


def read_overlaps(path: Path) -> Mapping[str, np.ndarray]:
    """Class name -> int array, shape (candidates, 2)."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: np.array(stored[name]) for name in CLASS_NAMES.values()}


def read_peaks(path: Path) -> list[float]:
    """The highest out-of-fold probability within each of the patient's lesions."""
    return json.loads(path.read_text(encoding="utf-8"))[PEAKS]


def best_thresholds(overlaps: Sequence[Mapping[str, np.ndarray]]) -> MaskThresholds:
    """The thresholds with the highest mean Dice of GTVp and the highest aggregated Dice of GTVn, as they are scored.

    Parameters
    ----------
    overlaps : one a patient, see :func:`read_overlaps`; without any, both thresholds are 0.5
    """
    if not overlaps:
        return PLAIN
    gtvp, gtvn = (np.array([counts[name] for counts in overlaps]) for name in CLASS_NAMES.values())
    there = gtvp[:, :, 1].min(axis=1) > 0
    per_patient = 2 * gtvp[there, :, 0] / gtvp[there, :, 1]
    pooled = gtvn.sum(axis=0)
    return (
        _best(per_patient.mean(axis=0) if there.any() else np.zeros(len(CANDIDATES))),
        _best(2 * pooled[:, 0] / np.maximum(pooled[:, 1], 1)),
    )


def _best(dice: np.ndarray) -> float:
    """The candidate with the highest Dice; of equal ones the nearest to 0.5."""
    return min(zip(CANDIDATES, dice, strict=True), key=lambda pair: (-pair[1], abs(pair[0] - 0.5)))[0]


def thresholds_by_fold(
    overlaps: Mapping[str, Mapping[str, np.ndarray]], folds: Mapping[str, int], count: int
) -> list[MaskThresholds]:
    """For each fold the thresholds chosen on the patients of the others.

    Parameters
    ----------
    overlaps : patient -> counts, of the labelled patients
    folds : patient -> fold
    count : folds
    """
    return [best_thresholds(_others(overlaps, folds, fold)) for fold in range(count)]


def _others(overlaps, folds: Mapping[str, int], fold: int) -> list[Mapping[str, np.ndarray]]:
    patients: Iterable[str] = sorted(overlaps)
    return [overlaps[patient] for patient in patients if folds[patient] != fold]
