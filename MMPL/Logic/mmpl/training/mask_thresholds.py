"""Thresholds of the mask probabilities, chosen on patients that the networks did not train on.

A network that is sure of a lesion's core and unsure of its rim draws contours too small at 0.5. Each fold's own
patients are cut at the thresholds that suit the other folds' patients best; the bundle gets the ones that suit all.
They are chosen on what single networks draw, as it is scored: on the 1 mm ROI, cleaned. A cut of the network grid,
whose voxels may be 64 times as large, is another mask than a cut of the probabilities brought to 1 mm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.case import CLASS_NAMES, RoiCase
from mmpl.io.images import read_label_map
from mmpl.io.output import write_json_atomic
from mmpl.metrics.segmentation import overlap
from mmpl.preprocess.prepare import label_on_roi
from mmpl.steps import MaskProbabilities, draw, probabilities_at_1mm
from mmpl.training.cache import load_cached, load_roi
from mmpl.training.finished import read_finished, record_or_none
from mmpl.training.layout import CohortCase
from mmpl.training.search_threshold import lesion_peaks
from mmpl.training.stages import StageRun
from mmpl.training.unseen import unseen_probabilities

CANDIDATES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
PLAIN = (0.5, 0.5)
PEAKS, CUT_AT = "peaks", "thresholds"

MaskThresholds = tuple[float, float]  # GTVp, GTVn


@dataclass(frozen=True)
class OverlapTask:
    """One labelled patient, their cached arrays, and the stage 1 network that did not train on them."""

    case: CohortCase
    run: StageRun
    cached: Path
    path: Path

    def name(self) -> str:
        return self.case.patient_id


def count_overlaps(task: OverlapTask) -> None:
    """Write as JSON, unless already there, how a patient's out-of-fold mask and truth overlap, and each lesion's peak.

    The overlaps are class name -> [[shared, predicted + true], ...] in voxels of the 1 mm ROI, one pair for each of
    ``CANDIDATES``; the peaks are :func:`mmpl.training.search_threshold.lesion_peaks`.
    """
    if is_cut_at(task.path, CANDIDATES):
        return
    roi = load_roi(task.case)
    probabilities = unseen_probabilities(task.run, task.case.patient_id, roi)
    truth = label_on_roi(read_label_map(task.case.label_path), roi.geometry)
    at_1mm = probabilities_at_1mm(roi, probabilities, task.run.config.network.spacing_mm, min(CANDIDATES))
    peaks = lesion_peaks(probabilities, load_cached(task.cached).label)
    write_json_atomic(task.path, {CUT_AT: CANDIDATES, **overlaps_by_threshold(roi, at_1mm, truth), PEAKS: peaks})


def is_cut_at(path: Path, thresholds: Sequence[float]) -> bool:
    """Whether a JSON file is there and of masks cut at these thresholds; older ones say none, and are not."""
    return (record_or_none(path) or {}).get(CUT_AT) == [*thresholds]


def overlaps_by_threshold(
    roi: RoiCase, at_1mm: MaskProbabilities, truth: np.ndarray
) -> dict[str, list[tuple[int, int]]]:
    """How what is drawn at each of ``CANDIDATES``, both classes at the same one, overlaps with the truth.

    Parameters
    ----------
    roi : RoiCase
    at_1mm : whole from the lowest candidate on
    truth : label map, shape (z, y, x), on the ROI

    Returns
    -------
    Class name -> [(shared, predicted + true), ...] in voxels: Dice = 2 shared / (predicted + true).
    """
    counts: dict[str, list[tuple[int, int]]] = {name: [] for name in CLASS_NAMES.values()}
    wholly = {value: int(np.count_nonzero(truth == value)) for value in CLASS_NAMES}
    within = {value: truth[at_1mm.box] == value for value in CLASS_NAMES}
    for threshold in CANDIDATES:
        labels = draw(roi, at_1mm, (threshold, threshold))[at_1mm.box]  # nothing is drawn elsewhere
        for value, name in CLASS_NAMES.items():
            found = overlap(labels == value, within[value])
            counts[name].append((found.shared, found.predicted + wholly[value]))
    return counts


def read_overlaps(path: Path) -> Mapping[str, np.ndarray]:
    """Class name -> int array, shape (candidates, 2)."""
    stored = read_finished(path)
    return {name: np.array(stored[name]) for name in CLASS_NAMES.values()}


def read_peaks(path: Path) -> list[float]:
    """The highest out-of-fold probability within each of the patient's lesions."""
    return read_finished(path)[PEAKS]


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
