"""Segmentation and detection measures of HECKTOR 2025, task 1.

GTVp: mean Dice over patients. GTVn: aggregated Dice, and aggregated F1 of lesions found with an
intersection over union above 30 %. Everything is kept as counts a patient, so that a cohort's images need
not be held and any resampling of patients can be summed again.

References
----------
https://hecktor25.grand-challenge.org/tasks-and-evaluation; aggregated Dice: Andrearczyk et al., overview
of HECKTOR 2022, doi 10.1007/978-3-031-27420-6_1. The challenge leaves the matching of lesions and the
connectivity open: both are parameters here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from mmpl.case import CLASS_NAMES, GTVN, GTVP
from mmpl.errors import GeometryError, InputError

ONE_TO_ONE, ANY = "one-to-one", "any"
STRUCTURE_RANK = {6: 1, 18: 2, 26: 3}


@dataclass(frozen=True)
class DetectionRule:
    """When a predicted lesion is a truth lesion found.

    Attributes
    ----------
    iou_threshold : a pair counts when its intersection over union is above this, in [0, 1)
    matching : "one-to-one": the largest set of pairs in which no lesion occurs twice; a prediction that
        bridges two nodes finds one at most. "any": a truth lesion is found when any prediction pairs
        with it, and a prediction is false when it pairs with none; a bridge may find both
    connectivity : 6, 18 or 26, of the lesions' voxels

    Raises
    ------
    InputError
        If a value is none of these.
    """

    iou_threshold: float = 0.30
    matching: str = ONE_TO_ONE
    connectivity: int = 26

    def __post_init__(self):
        if not 0.0 <= self.iou_threshold < 1.0:
            raise InputError(f"IoU threshold {self.iou_threshold}: give a value from 0 to below 1")
        if self.matching not in (ONE_TO_ONE, ANY):
            raise InputError(f"matching {self.matching!r}: give {ONE_TO_ONE!r} or {ANY!r}")
        if self.connectivity not in STRUCTURE_RANK:
            raise InputError(f"connectivity {self.connectivity}: give 6, 18 or 26")


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one class in one patient."""

    shared: int
    predicted: int
    truth: int

    @property
    def dice(self) -> float:
        """2 shared / (predicted + truth); NaN when both are empty."""
        return _ratio(2 * self.shared, self.predicted + self.truth)


@dataclass(frozen=True)
class Detection:
    """Lesion counts of one class in one patient."""

    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class CaseScore:
    """All that the cohort's measures need of one patient.

    Attributes
    ----------
    gtvp, gtvn : voxel counts
    gtvn_detection : lesion counts
    voxel_ml : volume of a voxel, the same for prediction and truth
    """

    patient_id: str
    gtvp: Overlap
    gtvn: Overlap
    gtvn_detection: Detection
    voxel_ml: float

    @classmethod
    def from_dict(cls, data: Mapping) -> CaseScore:
        """Rebuild from ``dataclasses.asdict``, which is what is stored."""
        overlaps = Overlap(**data["gtvp"]), Overlap(**data["gtvn"])
        return cls(data["patient_id"], *overlaps, Detection(**data["gtvn_detection"]), data["voxel_ml"])


def score_case(
    patient_id: str,
    prediction: np.ndarray,
    truth: np.ndarray,
    *,
    voxel_ml: float,
    rule: DetectionRule | None = None,
) -> CaseScore:
    """Count one patient's overlaps and found nodes.

    Parameters
    ----------
    patient_id : str
    prediction, truth : integer label maps, shape (z, y, x), same grid: 0, 1 GTVp, 2 GTVn
    voxel_ml : volume of a voxel of that grid
    rule : DetectionRule; the default one when None

    Raises
    ------
    GeometryError
        If the shapes differ.
    InputError
        If a label is not 0, 1 or 2.
    """
    if prediction.shape != truth.shape:
        raise GeometryError(
            f"{patient_id}: prediction of shape {prediction.shape}, truth of shape {truth.shape} (z, y, x); "
            "bring the prediction to the truth's grid first"
        )
    for name, labels in (("prediction", prediction), ("truth", truth)):
        unknown = sorted(set(np.unique(labels).tolist()) - {0, *CLASS_NAMES})
        if unknown:
            raise InputError(f"{patient_id}: labels {unknown} in the {name}; expected 0, 1 GTVp and 2 GTVn")
    nodes = prediction == GTVN, truth == GTVN
    return CaseScore(
        patient_id,
        overlap(prediction == GTVP, truth == GTVP),
        overlap(*nodes),
        detect(*nodes, rule or DetectionRule()),
        voxel_ml,
    )


def overlap(prediction: np.ndarray, truth: np.ndarray) -> Overlap:
    """Voxel counts of two bool masks, shape (z, y, x)."""
    shared = np.count_nonzero(prediction & truth)
    return Overlap(int(shared), int(np.count_nonzero(prediction)), int(np.count_nonzero(truth)))


def detect(prediction: np.ndarray, truth: np.ndarray, rule: DetectionRule) -> Detection:
    """Count lesions found, invented and missed in two bool masks, shape (z, y, x)."""
    pairs = lesion_iou(prediction, truth, rule.connectivity) > rule.iou_threshold
    n_predicted, n_truth = pairs.shape
    if rule.matching == ANY:
        found = int(pairs.any(axis=0).sum())
        return Detection(found, int((~pairs.any(axis=1)).sum()), n_truth - found)
    found = int(pairs[linear_sum_assignment(pairs, maximize=True)].sum())
    return Detection(found, n_predicted - found, n_truth - found)


def lesion_iou(prediction: np.ndarray, truth: np.ndarray, connectivity: int = 26) -> np.ndarray:
    """Intersection over union of every predicted with every truth lesion, shape (predicted, truth)."""
    structure = ndimage.generate_binary_structure(3, STRUCTURE_RANK[connectivity])
    predicted, n_predicted = ndimage.label(prediction, structure)
    true, n_true = ndimage.label(truth, structure)
    shape = n_predicted + 1, n_true + 1
    either = (predicted > 0) | (true > 0)
    joint = np.bincount(predicted[either] * shape[1] + true[either], minlength=shape[0] * shape[1])
    table = joint.reshape(shape)  # voxels of each pair; row and column 0 are background
    union = table.sum(axis=1)[1:, None] + table.sum(axis=0)[None, 1:] - table[1:, 1:]
    return table[1:, 1:] / union


def gtvp_mean_dice(scores: Iterable[CaseScore]) -> float:
    """Mean Dice over the patients whose truth has a GTVp; NaN when none has."""
    values = [s.gtvp.dice for s in scores if s.gtvp.truth]
    return float(np.mean(values)) if values else float("nan")


def gtvn_dice_agg(scores: Iterable[CaseScore]) -> float:
    """2 sum(shared) / sum(predicted + truth) over the cohort, in mL; NaN when all are empty.

    Volumes, not voxels: a patient on a grid of small voxels does not count for more.
    """
    parts = [(2 * s.gtvn.shared * s.voxel_ml, (s.gtvn.predicted + s.gtvn.truth) * s.voxel_ml) for s in scores]
    return _ratio(sum(shared for shared, _ in parts), sum(both for _, both in parts))


def gtvn_f1_agg(scores: Iterable[CaseScore]) -> float:
    """2 TP / (2 TP + FP + FN) with the counts summed over the cohort; NaN when there is no lesion."""
    counts = [s.gtvn_detection for s in scores]
    tp = sum(c.tp for c in counts)
    return _ratio(2 * tp, 2 * tp + sum(c.fp + c.fn for c in counts))


MEASURES = {"gtvp_dice": gtvp_mean_dice, "gtvn_dice_agg": gtvn_dice_agg, "gtvn_f1_agg": gtvn_f1_agg}


def summarise(scores: Sequence[CaseScore]) -> dict[str, float | int]:
    """The cohort's measures with the counts behind them.

    ``gtvp_dice`` leaves out patients without GTVp in the truth, and the summary counts them
    (``gtvp_empty_truth``), as well as those of them with a predicted one (``gtvp_invented``).
    """
    empty = [s for s in scores if not s.gtvp.truth]
    return {
        "n_patients": len(scores),
        **{name: measure(scores) for name, measure in MEASURES.items()},
        "gtvp_empty_truth": len(empty),
        "gtvp_invented": sum(s.gtvp.predicted > 0 for s in empty),
        "gtvn_tp": sum(s.gtvn_detection.tp for s in scores),
        "gtvn_fp": sum(s.gtvn_detection.fp for s in scores),
        "gtvn_fn": sum(s.gtvn_detection.fn for s in scores),
    }


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
