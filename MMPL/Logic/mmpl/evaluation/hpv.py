"""HPV probabilities against HPV status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import InputError
from mmpl.evaluation.centers import center_table
from mmpl.evaluation.charts import interval_chart, reliability_chart
from mmpl.evaluation.estimates import Bootstrap, estimate
from mmpl.evaluation.findings import Chart, Evaluation, Figure, FigureTable, Measure
from mmpl.evaluation.pairing import pair_patients
from mmpl.evaluation.predictions import HpvPrediction, read_hpv_predictions
from mmpl.evaluation.truths import read_hpv_truth
from mmpl.metrics.calibration import ReliabilityBin, reliability_bins, wilson_interval
from mmpl.metrics.classification import balanced_accuracy, brier, roc_auc, sensitivity, specificity

USUAL_THRESHOLD = 0.5
LABELS = {
    "auc": "AUC (0.5 is chance)",
    "balanced_accuracy": "Balanced accuracy (0.5 is chance)",
    "sensitivity": "Sensitivity, share of HPV-positives found",
    "specificity": "Specificity, share of HPV-negatives found",
    "brier": "Brier score (lower is better)",
    "calibration_gap": "Mean probability minus share of positives (0 is best)",
}
ONE_CLASS = "the patients are all HPV-positive or all HPV-negative"
REASONS = {
    "auc": ONE_CLASS,
    "balanced_accuracy": ONE_CLASS,
    "sensitivity": "no patient is HPV-positive",
    "specificity": "no patient is HPV-negative",
}
BINS_NOTE = (
    "Patients in bins of equal count by rising probability; equal probabilities stay together. Intervals of the "
    "observed shares are Wilson's: a bootstrap has no width where all or none are positive."
)


@dataclass(frozen=True)
class HpvData:
    """Scored patients in one order: probability and status, arrays of shape (n,)."""

    patient_ids: tuple[str, ...]
    probability: np.ndarray
    positive: np.ndarray

    def measures(self, rows: np.ndarray, threshold: float) -> list[float]:
        """In the order of ``LABELS``, for a choice of patients."""
        truth, probability = self.positive[rows], self.probability[rows]
        return [
            roc_auc(truth, probability),
            balanced_accuracy(truth, probability, threshold),
            sensitivity(truth, probability, threshold),
            specificity(truth, probability, threshold),
            brier(truth, probability),
            float(np.mean(probability) - np.mean(truth)),
        ]


def evaluate_hpv(
    pred: Path,
    truth: Path,
    *,
    threshold: float | None = None,
    bins: int = 5,
    only_common: bool = False,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Score HPV probabilities.

    Parameters
    ----------
    pred : CSV with PatientID and hpv_probability, or a folder of folders with results.json
    truth : HECKTOR table with PatientID, HPV Status and CenterID, or a folder in HECKTOR's layout
    threshold : positive from this probability on; by default the results' own, or 0.5
    bins : of the reliability table
    only_common : score patients that have both, rather than refusing others
    bootstrap : Bootstrap; the default one when None

    Raises
    ------
    InputError
        See ``read_hpv_predictions`` and ``pair_patients``; if the threshold is not in [0, 1] or the results' ones
        differ.
    """
    bootstrap = bootstrap or Bootstrap()
    given, known = read_hpv_predictions(pred), read_hpv_truth(truth)
    predictions = given.by_patient
    threshold, source = _threshold(threshold, predictions)
    paired = pair_patients(
        {p: v.probability is not None for p, v in predictions.items()},
        [p for p, status in known.status.items() if status is not None],
        [p for p, status in known.status.items() if status is None],
        prediction=f"an HPV probability in {pred}",
        truth=f"an HPV status in {known.path}",
        only_common=only_common,
    )
    ids = paired.patient_ids
    data = HpvData(
        ids, np.array([predictions[p].probability for p in ids]), np.array([known.status[p] == 1 for p in ids])
    )
    figures = _figures(data, np.arange(len(ids)), threshold, bootstrap)
    reliability = reliability_bins(data.positive, data.probability, bins)
    by_center = center_table(
        ids, known.centers, {**CENTER_COLUMNS}, lambda rows: _center_row(data, rows, threshold, bootstrap)
    )
    positives = int(data.positive.sum())
    return Evaluation(
        task="hpv",
        title="HPV probability",
        counts={**paired.counts(), "HPV-positive": positives, "HPV-negative": len(ids) - positives},
        settings={
            "bundle": given.bundle,
            "threshold": threshold,
            "threshold_from": source,
            "reliability_bins": bins,
            **bootstrap.settings(),
        },
        measures=[Measure(key, LABELS[key], figure) for key, figure in figures.items()],
        tables=(_reliability_table(reliability), by_center),
        charts=(_reliability_chart(reliability), *_center_charts(by_center)),
        patients=_patients(data, known.centers, threshold),
        notes=(_reference_note(positives / len(ids)),),
    )


CENTER_COLUMNS = {
    "n": "Patients",
    "positives": "HPV-positive",
    "auc": "AUC",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
}


def _threshold(given: float | None, predictions: Mapping[str, HpvPrediction]) -> tuple[float, str]:
    """The threshold and where it is from."""
    if given is not None:
        if not 0.0 <= given <= 1.0:
            raise InputError(f"threshold {given}: give a probability from 0 to 1")
        return given, "given"
    own = sorted({p.threshold for p in predictions.values() if p.threshold is not None})
    if len(own) > 1:
        raise InputError(
            f"predictions were made with different thresholds, {own[0]:g} to {own[-1]:g}: give one with --threshold"
        )
    return (own[0], "the results' own") if own else (USUAL_THRESHOLD, "the default: none was given")


def _figures(data: HpvData, rows: np.ndarray, threshold: float, bootstrap: Bootstrap) -> dict[str, Figure]:
    return estimate(tuple(LABELS), lambda drawn: data.measures(rows[drawn], threshold), rows.size, bootstrap, REASONS)


def _center_row(data: HpvData, rows: np.ndarray, threshold: float, bootstrap: Bootstrap) -> dict[str, object]:
    figures = _figures(data, rows, threshold, bootstrap)
    return {
        "n": int(rows.size),
        "positives": int(data.positive[rows].sum()),
        **{key: figures[key] for key in ("auc", "balanced_accuracy", "brier")},
    }


def _reliability_table(bins: tuple[ReliabilityBin, ...]) -> FigureTable:
    columns = {
        "n": "Patients",
        "lowest": "Lowest probability",
        "highest": "Highest",
        "mean_predicted": "Mean",
        "observed": "Share HPV-positive",
    }
    return FigureTable("reliability", "Reliability by bin", columns, [_bin_row(b) for b in bins], BINS_NOTE)


def _bin_row(b: ReliabilityBin) -> dict[str, object]:
    observed = Figure(b.observed, *wilson_interval(b.positives, b.n))
    return {
        "n": b.n,
        "lowest": b.lowest,
        "highest": b.highest,
        "mean_predicted": b.mean_predicted,
        "observed": observed,
    }


def _reliability_chart(bins: tuple[ReliabilityBin, ...]) -> Chart:
    points = [(b.mean_predicted, Figure(b.observed, *wilson_interval(b.positives, b.n)), f"n={b.n}") for b in bins]
    svg = reliability_chart(
        points, x_title="Mean HPV probability of the bin", y_title="Share HPV-positive", title="Reliability"
    )
    return Chart("Reliability", svg, "On the dashed line, probabilities are what they say. Bars are 95 % intervals.")


def _center_charts(by_center: FigureTable) -> list[Chart]:
    rows = [(f"{row['center']} (n={row['n']})", row["auc"]) for row in by_center.rows]
    if len(rows) < 2:
        return []
    return [Chart("AUC by centre", interval_chart(rows, x_title="AUC", reference=0.5), "Dashed: chance.")]


def _patients(data: HpvData, centers: dict[str, str | None] | None, threshold: float) -> list[dict[str, object]]:
    columns = zip(data.patient_ids, data.probability.tolist(), data.positive.tolist(), strict=True)
    return [
        {
            "PatientID": patient_id,
            "CenterID": (centers or {}).get(patient_id),
            "HPV Status": int(positive),
            "hpv_probability": probability,
            "predicted_status": int(probability >= threshold),
        }
        for patient_id, probability, positive in columns
    ]


def _reference_note(share: float) -> str:
    reference = share * (1 - share)
    text = f"Giving everybody the share of positives ({share:.3f}) would have a Brier score of {reference:.3f}."
    return text if not math.isclose(reference, 0.0) else "All patients have the same status: nothing can be told apart."
