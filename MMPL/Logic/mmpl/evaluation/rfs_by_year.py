"""AUC and Brier score of recurrence-free survival by year, each with an interval or a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmpl.evaluation.estimates import Bootstrap, estimate
from mmpl.evaluation.findings import Figure, FigureTable
from mmpl.evaluation.follow_up import (
    YEAR_DAYS,
    Cohort,
    auc_at,
    brier_at,
    ends_at_zero,
    integrated,
    kaplan_meier_steps,
)
from mmpl.evaluation.rfs_data import NO_CURVE, NO_RELAPSE, ONE_PATIENT, RfsData, no_prediction, years_text

YEARS = (1, 2, 3, 5)
YEARS_NOTE = (
    "AUC: who relapsed by that time against who was still free of relapse. Brier: of the predicted survival; "
    "lower is better, and it means little unless it is below the reference, which gives everybody the Kaplan-Meier "
    "estimate of these very patients. Both are weighted for censoring."
)


@dataclass(frozen=True)
class ByYear:
    """The table of years; the integrated Brier score and its reference; first and last day it is integrated over."""

    table: FigureTable
    integrated_brier: Figure
    reference: Figure
    span: tuple[float, float] | None


def score_by_year(data: RfsData, bootstrap: Bootstrap) -> ByYear:
    """AUC and Brier score at 1, 2, 3 and 5 years, and the Brier score integrated over the days that curves share."""
    days = np.array(YEARS) * YEAR_DAYS
    predicted = np.stack([data.predicted_at(day) for day in days], axis=1)
    grid, why_no_grid = _grid(data)
    on_grid = np.stack([data.predicted_at(day) for day in grid], axis=1) if grid.size else np.empty((data.n, 0))
    names = [f"{kind}_{y}" for kind in ("auc", "brier") for y in YEARS] + ["integrated"]

    def statistic(rows: np.ndarray) -> list[float]:
        drawn = data.cohort.take(rows)
        brier = _brier(drawn, predicted[rows], days)
        whole = integrated(brier_at(drawn, on_grid[rows], grid), grid) if grid.size else math.nan
        return [*auc_at(drawn, days), *brier, whole]

    figures = estimate(names, statistic, data.n, bootstrap, _reasons(data, predicted, days, why_no_grid))
    rows = [_year_row(data.cohort, year, figures) for year in YEARS]
    columns = {
        "years": "Years",
        "at_risk": "Followed beyond",
        "relapsed": "Relapsed by then",
        "auc": "AUC",
        "brier": "Brier score",
        "brier_reference": "Reference",
    }
    reference = Figure.not_given(why_no_grid)
    if grid.size and data.cohort.event.any():
        reference = Figure(integrated(_reference(data.cohort, grid), grid))
    table = FigureTable("by_year", "By year", columns, rows, YEARS_NOTE)
    span = (float(grid[0]), float(grid[-1])) if grid.size else None
    return ByYear(table, figures["integrated"], reference, span)


def _brier(cohort: Cohort, predicted: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Brier score on the days of which every curve says something, NaN on the others."""
    found = np.full(len(days), math.nan)
    whole = ~np.isnan(predicted).any(axis=0)
    if whole.any():
        found[whole] = brier_at(cohort, predicted[:, whole], days[whole])
    return found


def _reference(cohort: Cohort, days: np.ndarray) -> np.ndarray:
    """Brier score of the cohort's own Kaplan-Meier estimate, given to everybody."""
    steps = kaplan_meier_steps(cohort.time_days, cohort.event)
    at, share = (np.array([0.0, *(s[0] for s in steps)]), np.array([1.0, *(s[1] for s in steps)]))
    everybody = share[np.searchsorted(at, days, side="right") - 1]
    return brier_at(cohort, np.tile(everybody, (cohort.risk.size, 1)), days)


def _grid(data: RfsData) -> tuple[np.ndarray, str]:
    """Days on which every curve has a value, within five years and the follow-up; or why there are too few."""
    if not data.has_curves:
        return np.empty(0), NO_CURVE
    if not data.cohort.event.any() or data.n == 1:
        return np.empty(0), ONE_PATIENT if data.cohort.event.any() else NO_RELAPSE
    common = set(data.curves[0].days.tolist()).intersection(*(c.days.tolist() for c in data.curves[1:]))
    last = data.cohort.time_days.max()
    days = np.array(sorted(d for d in common if 0 < d <= YEARS[-1] * YEAR_DAYS and d < last))
    if days.size < 2:
        return np.empty(0), "the survival curves share fewer than two days within five years and the follow-up"
    return days, ""


def _reasons(data: RfsData, predicted: np.ndarray, days: np.ndarray, why_no_grid: str) -> dict[str, str]:
    """By measure, why it is undefined when it is."""
    cohort = data.cohort
    reasons = {"integrated": why_no_grid or "it is undefined for these patients"}
    for year, day, column in zip(YEARS, days, predicted.T, strict=True):
        follow_up = _no_follow_up(cohort, day)
        relapsed = (cohort.event & (cohort.time_days <= day)).any()
        by_then = "" if relapsed else f"nobody relapsed within {years_text(day)}"
        no_curve = no_prediction(column, day) if data.has_curves else NO_CURVE
        nobody = ONE_PATIENT if cohort.event.any() else NO_RELAPSE
        reasons[f"auc_{year}"] = follow_up or by_then
        unknown = "" if ends_at_zero(cohort.time_days, cohort.event) else follow_up
        reasons[f"brier_{year}"] = no_curve or unknown or nobody
    return reasons


def _no_follow_up(cohort: Cohort, day: float) -> str:
    return "" if (cohort.time_days > day).any() else f"no follow-up beyond {years_text(day)}"


def _year_row(cohort: Cohort, year: int, figures: Mapping[str, Figure]) -> dict[str, object]:
    day = year * YEAR_DAYS
    brier = figures[f"brier_{year}"]
    reference = None
    if brier.value is not None:
        reference = float(_reference(cohort, np.array([day]))[0])
    return {
        "years": year,
        "at_risk": int((cohort.time_days > day).sum()),
        "relapsed": int((cohort.event & (cohort.time_days <= day)).sum()),
        "auc": figures[f"auc_{year}"],
        "brier": brier,
        "brier_reference": reference,
    }
