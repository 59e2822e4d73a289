"""Risks and predicted survival against follow-up. Higher risk = earlier relapse; RFS in days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmpl.evaluation.centers import center_table
from mmpl.evaluation.charts import interval_chart, kaplan_meier_chart, reliability_chart
from mmpl.evaluation.estimates import Bootstrap, estimate
from mmpl.evaluation.findings import Chart, Evaluation, Figure, FigureTable, Measure
from mmpl.evaluation.follow_up import (
    YEAR_DAYS,
    Cohort,
    check_installed,
    kaplan_meier_at,
    kaplan_meier_steps,
    log_rank,
    median_follow_up,
)
from mmpl.evaluation.pairing import TRUTH_UNKNOWN, Paired, few_of, pair_patients
from mmpl.evaluation.predictions import RfsPrediction, read_rfs_predictions
from mmpl.evaluation.rfs_by_year import ByYear, score_by_year
from mmpl.evaluation.rfs_data import RfsData, no_prediction
from mmpl.evaluation.truths import RELAPSE, RFS, RfsTruth, read_rfs_truth
from mmpl.metrics.survival import c_index
from mmpl.survival.ensemble import risk_group

CALIBRATION_YEARS = 2
NO_PAIR = "no two patients can be ordered: nobody relapsed while another was followed"


def evaluate_rfs(
    pred: Path, truth: Path, *, only_common: bool = False, bootstrap: Bootstrap | None = None
) -> Evaluation:
    """Score risks and, where they are given, survival curves.

    Parameters
    ----------
    pred : CSV with PatientID and risk, columns survival_DAY and risk_group if there are any; or a folder of
        folders with results.json
    truth : HECKTOR table with PatientID, Relapse, RFS and CenterID, or a folder in HECKTOR's layout
    only_common : score patients that have both, rather than refusing others
    bootstrap : Bootstrap; the default one when None

    Raises
    ------
    InputError
        See ``read_rfs_predictions`` and ``pair_patients``; if torchsurv or lifelines is not installed.
    """
    check_installed()
    bootstrap = bootstrap or Bootstrap()
    given, known = read_rfs_predictions(pred), read_rfs_truth(truth)
    predictions = given.by_patient
    paired = pair_patients(
        {p: v.risk is not None for p, v in predictions.items()},
        [p for p, f in known.follow_up.items() if f is not None],
        [p for p, f in known.follow_up.items() if f is None],
        prediction=f"a risk in {pred}",
        truth=f"a follow-up in {known.path}",
        only_common=only_common,
    )
    curves = tuple(predictions[p] for p in paired.patient_ids)
    follow_up = [known.follow_up[p] for p in paired.patient_ids]
    cohort = Cohort(
        np.array([f.rfs_days for f in follow_up]),
        np.array([f.relapse == 1 for f in follow_up]),
        np.array([c.risk for c in curves]),
    )
    data = RfsData(paired.patient_ids, cohort, curves, *_groups(curves))
    by_center = center_table(
        paired.patient_ids, known.centers, CENTER_COLUMNS, lambda r: _center_row(data, r, bootstrap)
    )
    by_group = _group_table(data)
    by_year = score_by_year(data, bootstrap)
    return Evaluation(
        task="rfs",
        title="Recurrence-free survival",
        counts={
            **paired.counts(),
            "relapses": int(cohort.event.sum()),
            "median follow-up, days": _whole(median_follow_up(cohort.time_days, cohort.event)),
        },
        settings={
            "bundle": given.bundle,
            "risk_groups": data.groups_from,
            "integrated_brier_days": by_year.span,
            **bootstrap.settings(),
        },
        measures=_measures(data, by_year, bootstrap),
        tables=(by_year.table, by_group, by_center),
        charts=(*_group_charts(data, by_group), *_center_charts(by_center)),
        patients=_patients(data, known.centers),
        notes=(f"Risk groups: {data.groups_from}.", *_half_given(known, paired)),
    )


def _half_given(known: RfsTruth, paired: Paired) -> list[str]:
    """Of those left out, who has a follow-up that could be filled in."""
    unknown = paired.left_out[TRUTH_UNKNOWN]
    halves = [p for p in unknown if p in known.half_given]
    if not halves:
        return []
    who = few_of(halves, len(paired.patient_ids) + len(unknown))
    return [f"Left out with {RELAPSE} or {RFS} alone, which says nothing without the other: {who}."]


def _measures(data: RfsData, by_year: ByYear, bootstrap: Bootstrap) -> list[Measure]:
    brier = f"Integrated Brier score{_span_text(by_year.span)} (lower is better)"
    return [
        Measure("c_index", "Harrell's C-index (0.5 is chance)", _c_index(data.cohort, bootstrap)),
        Measure("integrated_brier", brier, by_year.integrated_brier),
        Measure("integrated_brier_reference", "Reference: the Kaplan-Meier estimate for everybody", by_year.reference),
        Measure("log_rank_p", "Log-rank p between risk groups", log_rank(data.cohort, data.groups)),
    ]


def _c_index(cohort: Cohort, bootstrap: Bootstrap) -> Figure:
    def statistic(rows: np.ndarray) -> list[float]:
        drawn = cohort.take(rows)
        return [c_index(drawn.time_days, drawn.event, drawn.risk)]

    return estimate(("c",), statistic, cohort.risk.size, bootstrap, {"c": NO_PAIR})["c"]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _span_text(span: tuple[float, float] | None) -> str:
    return f", days {span[0]:g} to {span[1]:g}" if span else ""


# --- risk groups --------------------------------------------------------------------------------------


def _groups(curves: Sequence[RfsPrediction]) -> tuple[tuple[str, ...], str]:
    """Each patient's risk group, and where the groups are from."""
    if all(c.group is not None for c in curves):
        return tuple(str(c.group) for c in curves), "as given with the predictions"
    risk = np.array([c.risk for c in curves])
    cuts = tuple(np.quantile(risk, (1 / 3, 2 / 3)).tolist())
    source = "thirds of the risk of these very patients, not cut points that were set before"
    if given := sum(c.group is not None for c in curves):
        source += (
            f"; the groups given with the predictions are not used, since {given} of {len(curves)} patients have one"
        )
    return tuple(risk_group(r, cuts) for r in risk), source


def _group_names(data: RfsData) -> list[str]:
    """The groups that occur, by rising mean risk."""
    groups = np.array(data.groups)
    return sorted(set(data.groups), key=lambda name: data.cohort.risk[groups == name].mean())


def _group_table(data: RfsData) -> FigureTable:
    day = CALIBRATION_YEARS * YEAR_DAYS
    predicted = data.predicted_at(day)
    rows = [_group_row(data, name, predicted, day) for name in _group_names(data)]
    columns = {
        "group": "Risk group",
        "n": "Patients",
        "relapses": "Relapses",
        "predicted": f"Predicted RFS at {CALIBRATION_YEARS} years",
        "observed": "Kaplan-Meier",
    }
    return FigureTable(
        "by_group",
        f"Risk groups, and calibration at {CALIBRATION_YEARS} years",
        columns,
        rows,
        "Predicted: the group's mean. Kaplan-Meier with Greenwood's 95 % interval (log-log).",
    )


def _group_row(data: RfsData, name: str, predicted: np.ndarray, day: float) -> dict[str, object]:
    rows = np.flatnonzero(np.array(data.groups) == name)
    group = data.cohort.take(rows)
    return {
        "group": name,
        "n": int(rows.size),
        "relapses": int(group.event.sum()),
        "predicted": _mean_predicted(predicted[rows], day),
        "observed": kaplan_meier_at(group.time_days, group.event, day),
    }


def _mean_predicted(predicted: np.ndarray, day: float) -> Figure:
    reason = no_prediction(predicted, day)
    return Figure.not_given(reason) if reason else Figure(float(predicted.mean()))


def _group_charts(data: RfsData, by_group: FigureTable) -> list[Chart]:
    groups = np.array(data.groups)
    curves = []
    for name in _group_names(data):
        group = data.cohort.take(np.flatnonzero(groups == name))
        curves.append((name, kaplan_meier_steps(group.time_days, group.event), group.time_days))
    p = log_rank(data.cohort, data.groups)
    note = f"Log-rank p: {p.value_text}." if p.value is not None else f"Log-rank p is not given: {p.reason}."
    charts = [Chart("Kaplan-Meier by risk group", kaplan_meier_chart(curves), note)]
    points = [
        (row["predicted"].value, row["observed"], row["group"])
        for row in by_group.rows
        if row["predicted"].value is not None and row["observed"].value is not None
    ]
    if points:
        svg = reliability_chart(
            points,
            x_title=f"Mean predicted RFS at {CALIBRATION_YEARS} years",
            y_title="Kaplan-Meier",
            title=f"Calibration at {CALIBRATION_YEARS} years",
        )
        note = "On the dashed line, predictions are what they say. Bars are 95 % intervals."
        charts.append(Chart(f"Calibration at {CALIBRATION_YEARS} years", svg, note))
    return charts


# --- centers, patients --------------------------------------------------------------------------------

CENTER_COLUMNS = {"n": "Patients", "relapses": "Relapses", "c_index": "C-index"}


def _center_row(data: RfsData, rows: np.ndarray, bootstrap: Bootstrap) -> dict[str, object]:
    cohort = data.cohort.take(rows)
    return {"n": int(rows.size), "relapses": int(cohort.event.sum()), "c_index": _c_index(cohort, bootstrap)}


def _center_charts(by_center: FigureTable) -> list[Chart]:
    rows = [(f"{row['center']} (n={row['n']})", row["c_index"]) for row in by_center.rows]
    if len(rows) < 2:
        return []
    return [Chart("C-index by centre", interval_chart(rows, x_title="C-index", reference=0.5), "Dashed: chance.")]


def _patients(data: RfsData, centers: dict[str, str | None] | None) -> list[dict[str, object]]:
    at = data.predicted_at(CALIBRATION_YEARS * YEAR_DAYS).tolist()
    cohort = data.cohort
    columns = zip(
        data.patient_ids,
        cohort.event.tolist(),
        cohort.time_days.tolist(),
        cohort.risk.tolist(),
        data.groups,
        at,
        strict=True,
    )
    return [
        {
            "PatientID": patient_id,
            "CenterID": (centers or {}).get(patient_id),
            "Relapse": int(event),
            "RFS": days,
            "risk": risk,
            "risk_group": group,
            "predicted_rfs_2_years": None if math.isnan(share) else share,
        }
        for patient_id, event, days, risk, group, share in columns
    ]
