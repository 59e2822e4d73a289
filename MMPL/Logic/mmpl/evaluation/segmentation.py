"""Contours against truth, with the measures of HECKTOR 2025."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import InputError
from mmpl.evaluation.centers import center_table
from mmpl.evaluation.charts import histogram_chart, interval_chart
from mmpl.evaluation.estimates import Bootstrap, estimate
from mmpl.evaluation.findings import Chart, Evaluation, Figure, FigureTable, Measure
from mmpl.evaluation.label_maps import find_label_maps, read_pair
from mmpl.evaluation.pairing import few_of, pair_patients
from mmpl.evaluation.truths import SEGMENTATION_TASK, hecktor_table, read_centers
from mmpl.metrics.segmentation import MEASURES, CaseScore, DetectionRule, score_case, summarise
from mmpl.progress import Progress, silent

LABELS = {
    "gtvp_dice": "GTVp mean Dice",
    "gtvn_dice_agg": "GTVn aggregated Dice",
    "gtvn_f1_agg": "GTVn aggregated F1",
}
REASONS = {
    "gtvp_dice": "no patient has a GTVp in the truth",
    "gtvn_dice_agg": "there is no GTVn, neither predicted nor true",
    "gtvn_f1_agg": "there is no GTVn, neither predicted nor true",
}
CENTER_COLUMNS = {"n": "Patients", "with_gtvp": "With a GTVp", "true_nodes": "True nodes", **LABELS}


@dataclass(frozen=True)
class Options:
    """What is allowed, and what counts as found.

    Attributes
    ----------
    rule : DetectionRule of nodes
    resample : bring predictions on another grid to the truth's
    missing_as_empty : a patient without a prediction counts as one in whom nothing was found
    only_common : score patients that have both, rather than refusing others
    """

    rule: DetectionRule
    resample: bool = False
    missing_as_empty: bool = False
    only_common: bool = False

    def __post_init__(self):
        if self.missing_as_empty and self.only_common:
            raise InputError("--missing-as-empty scores who has no prediction, --only-common leaves them out: give one")


@dataclass(frozen=True)
class Scored:
    """One patient's counts, and how the prediction came to be."""

    score: CaseScore
    resampled: bool
    missing: bool
    outside_ml: float


def evaluate_segmentation(
    pred: Path,
    truth: Path,
    *,
    options: Options | None = None,
    centers: Path | None = None,
    bootstrap: Bootstrap | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score label maps.

    Parameters
    ----------
    pred, truth : folders of label maps, see ``find_label_maps``
    options : Options; the default ones when None
    centers : table with PatientID and CenterID; by default HECKTOR's table in the truth's folder, if it is there
    bootstrap : Bootstrap; the default one when None
    progress : told "scoring" and the fraction of patients read

    Raises
    ------
    InputError
        See ``find_label_maps``, ``read_pair`` and ``pair_patients``.
    """
    options, bootstrap = options or Options(DetectionRule()), bootstrap or Bootstrap()
    predictions, truths = find_label_maps(pred, what="predictions"), find_label_maps(truth, what="truth")
    by_patient = _centers(centers, truth)
    missing = sorted(set(truths) - set(predictions))
    if missing and not (options.missing_as_empty or options.only_common):
        raise InputError(
            f"{few_of(missing, len(truths))} with contours in {truth} have none in {pred}; give them all, "
            "--missing-as-empty to count them as found empty, or --only-common to score the others"
        )
    paired = pair_patients(
        dict.fromkeys([*predictions, *(missing if options.missing_as_empty else ())], True),
        truths,
        (),
        prediction=f"a label map in {pred}",
        truth=f"a label map in {truth}",
        only_common=options.only_common,
    )
    scored = []
    for done, patient_id in enumerate(paired.patient_ids, start=1):
        scored.append(_score(patient_id, predictions.get(patient_id), truths[patient_id], options))
        progress("scoring", done / len(paired.patient_ids))
    return _evaluation(scored, paired.counts(), by_patient, options, bootstrap)


def _centers(given: Path | None, truth: Path) -> Mapping[str, str | None] | None:
    path = given or hecktor_table(Path(truth), SEGMENTATION_TASK)
    return None if path is None else read_centers(path).centers()


def _score(patient_id: str, prediction: Path | None, truth: Path, options: Options) -> Scored:
    pair = read_pair(patient_id, prediction, truth, resample_prediction=options.resample)
    score = score_case(patient_id, pair.prediction, pair.truth, voxel_ml=pair.voxel_ml, rule=options.rule)
    return Scored(score, pair.resampled, prediction is None, pair.outside_ml)


def _evaluation(
    scored: list[Scored],
    counts: Mapping[str, int],
    centers: Mapping[str, str | None] | None,
    options: Options,
    bootstrap: Bootstrap,
) -> Evaluation:
    scores = [s.score for s in scored]
    summary = summarise(scores)
    by_center = center_table(
        [s.patient_id for s in scores], centers, CENTER_COLUMNS, lambda rows: _center_row(scores, rows, bootstrap)
    )
    figures = _figures(scores, np.arange(len(scores)), bootstrap)
    rule = options.rule
    return Evaluation(
        task="segmentation",
        title="Segmentation",
        counts={
            **counts,
            "predictions missing, counted as empty": sum(s.missing for s in scored),
            "predictions resampled to the truth's grid": sum(s.resampled for s in scored),
            "predictions with voxels outside the truth's grid": sum(s.outside_ml > 0 for s in scored),
            "no GTVp in the truth, left out of its Dice": summary["gtvp_empty_truth"],
            "of these with a predicted GTVp": summary["gtvp_invented"],
            "nodes found": summary["gtvn_tp"],
            "nodes invented": summary["gtvn_fp"],
            "nodes missed": summary["gtvn_fn"],
        },
        settings={
            "iou_above": rule.iou_threshold,
            "matching": rule.matching,
            "connectivity": rule.connectivity,
            **bootstrap.settings(),
        },
        measures=[Measure(key, f"{LABELS[key]} (higher is better)", figure) for key, figure in figures.items()],
        tables=(by_center,),
        charts=(*_histograms(scores), *_center_charts(by_center)),
        patients=[_patient(s, centers) for s in scored],
        notes=(
            f"A node is found when its intersection over union with a predicted one is above {rule.iou_threshold:g} "
            f"({rule.matching} matching, {rule.connectivity}-connected nodes).",
            "GTVp: mean over the patients that have one. GTVn: mL and nodes are summed over all patients first.",
            *_outside_note(scored),
        ),
    )


def _outside_note(scored: list[Scored]) -> list[str]:
    """What of the predictions could not be scored, as the truth says nothing of it."""
    outside = [s for s in scored if s.outside_ml > 0]
    if not outside:
        return []
    ml = sum(s.outside_ml for s in outside)
    who = few_of([s.score.patient_id for s in outside], len(scored))
    return [
        f"Predicted outside the truth's grid and not scored, neither as volume nor as invented nodes: {ml:.3f} mL in "
        f"{who}. Figures on a truth that is cropped around the lesions are too favourable."
    ]


def _figures(scores: list[CaseScore], rows: np.ndarray, bootstrap: Bootstrap) -> dict[str, Figure]:
    def statistic(drawn: np.ndarray) -> list[float]:
        chosen = [scores[i] for i in rows[drawn]]
        return [measure(chosen) for measure in MEASURES.values()]

    return estimate(tuple(MEASURES), statistic, rows.size, bootstrap, REASONS)


def _center_row(scores: list[CaseScore], rows: np.ndarray, bootstrap: Bootstrap) -> dict[str, object]:
    chosen = [scores[i] for i in rows]
    return {
        "n": len(chosen),
        "with_gtvp": sum(s.gtvp.truth > 0 for s in chosen),
        "true_nodes": sum(s.gtvn_detection.tp + s.gtvn_detection.fn for s in chosen),
        **_figures(scores, rows, bootstrap),
    }


def _patient(scored: Scored, centers: Mapping[str, str | None] | None) -> dict[str, object]:
    score, ml = scored.score, scored.score.voxel_ml
    return {
        "PatientID": score.patient_id,
        "CenterID": (centers or {}).get(score.patient_id),
        "gtvp_dice": score.gtvp.dice if score.gtvp.truth else None,
        "gtvp_truth_ml": score.gtvp.truth * ml,
        "gtvp_predicted_ml": score.gtvp.predicted * ml,
        "gtvn_dice": _known(score.gtvn.dice),
        "gtvn_truth_ml": score.gtvn.truth * ml,
        "gtvn_predicted_ml": score.gtvn.predicted * ml,
        "nodes_found": score.gtvn_detection.tp,
        "nodes_invented": score.gtvn_detection.fp,
        "nodes_missed": score.gtvn_detection.fn,
        "prediction_missing": int(scored.missing),
        "prediction_resampled": int(scored.resampled),
        "predicted_outside_ml": scored.outside_ml,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _histograms(scores: list[CaseScore]) -> list[Chart]:
    def chart(name: str, values: list[float]) -> Chart:
        svg = histogram_chart(values, x_title=f"{name} Dice of a patient", title=f"{name} Dice by patient")
        return Chart(f"{name} Dice by patient", svg, f"{len(values)} patients with a {name} in the truth.")

    dice: dict[str, Callable[[], list[float]]] = {
        "GTVp": lambda: [s.gtvp.dice for s in scores if s.gtvp.truth],
        "GTVn": lambda: [s.gtvn.dice for s in scores if s.gtvn.truth],
    }
    return [chart(name, values()) for name, values in dice.items() if values()]


def _center_charts(by_center: FigureTable) -> list[Chart]:
    if len(by_center.rows) < 2:
        return []
    charts = []
    for key, label in LABELS.items():
        rows = [(f"{row['center']} (n={row['n']})", row[key]) for row in by_center.rows]
        charts.append(Chart(f"{label} by centre", interval_chart(rows, x_title=label)))
    return charts
