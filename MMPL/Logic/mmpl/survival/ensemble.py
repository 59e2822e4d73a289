"""The members' Cox models to one recurrence-free survival result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mmpl.errors import InputError
from mmpl.results import Contribution, RfsResult, SurvivalCurve
from mmpl.survival.cox import CoxMember

Row = Mapping[str, float]

STEP_DAYS = 30.0
YEAR_DAYS = 365.25
YEARS = (1, 2, 3, 5)


def combine_rfs(
    members: Sequence[CoxMember],
    rows: Sequence[Row],
    *,
    time_zero: str,
    tertiles: tuple[float, float],
    deep_days: Sequence[float],
) -> tuple[RfsResult, tuple[Contribution, ...]]:
    """Recurrence-free survival of a case from all members.

    Parameters
    ----------
    members : the fitted members
    rows : one row of covariates a member; its HPV probability is that member's own
    time_zero : what day 0 is, for axes and reports
    tertiles : cut points of the risk between low and intermediate, and intermediate and high
    deep_days : each member's network's expected time, days (longer = better)

    Returns
    -------
    result : RfsResult; risk (higher = earlier relapse) is the mean of the members' standardised linear
        predictors, the curve the mean of their survival, with their minimum and maximum
    contributions : by covariate, log-hazard units, averaged over all members, largest effect first;
        they add up to the mean of the members' (not standardised) linear predictors
    """
    low, high = tertiles
    if not low <= high:
        raise InputError(f"risk cut points {tertiles}: the first must not exceed the second")
    risks = tuple(m.standardised_risk(row) for m, row in zip(members, rows, strict=True))
    risk = float(np.mean(risks))
    last = min(m.last_event_days for m in members)
    survival_at, members_at = _at_years(members, rows, last)
    result = RfsResult(
        time_zero=time_zero,
        risk=risk,
        risk_group=risk_group(risk, tertiles),
        deep_restricted_mean_days=float(np.mean(deep_days)) if len(deep_days) else None,
        curve=_curve(members, rows, last),
        survival_at=survival_at,
        members=risks,
        members_at=members_at,
    )
    return result, _average_contributions(members, rows)


def null_rfs(time_zero: str, reason: str) -> RfsResult:
    """A result without risk or curve."""
    return RfsResult(
        time_zero=time_zero,
        risk=None,
        risk_group=None,
        deep_restricted_mean_days=None,
        curve=None,
        survival_at={f"{y}y": None for y in YEARS},
        reason=reason,
        members_at={f"{y}y": None for y in YEARS},
    )


def risk_group(risk: float, tertiles: tuple[float, float]) -> str:
    """ "low" up to the first cut point, "high" above the second, "intermediate" between."""
    if risk <= tertiles[0]:
        return "low"
    return "high" if risk > tertiles[1] else "intermediate"


def _members_survival(members, rows, days: np.ndarray, last: float) -> np.ndarray:
    """Shape (members, days); NaN beyond the day up to which all members can tell."""
    curves = np.array([m.survival(row, days) for m, row in zip(members, rows, strict=True)])
    return np.where(days <= last, curves, np.nan)


def _curve(members, rows, last: float) -> SurvivalCurve:
    """The 30-day grid reaches five years, or the last day the members can tell if that is later."""
    end = max(max(YEARS) * YEAR_DAYS, last)
    days = np.arange(math.floor(end / STEP_DAYS) + 1) * STEP_DAYS
    curves = _members_survival(members, rows, days, last)
    return SurvivalCurve(
        days=tuple(days.tolist()),
        survival=_nullable(curves.mean(axis=0)),
        members_low=_nullable(curves.min(axis=0)),
        members_high=_nullable(curves.max(axis=0)),
    )


def _at_years(members, rows, last: float) -> tuple[dict[str, float | None], dict[str, tuple[float, float] | None]]:
    """The members' mean at each year, and their minimum and maximum; the curve's grid has no such days."""
    days = np.array([y * YEAR_DAYS for y in YEARS])
    curves = _members_survival(members, rows, days, last)
    names = [f"{y}y" for y in YEARS]
    lows, highs = _nullable(curves.min(axis=0)), _nullable(curves.max(axis=0))
    ranges = [None if low is None else (low, high) for low, high in zip(lows, highs, strict=True)]
    return dict(zip(names, _nullable(curves.mean(axis=0)), strict=True)), dict(zip(names, ranges, strict=True))


def _nullable(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(v) else float(v) for v in values)


def _average_contributions(members: Sequence[CoxMember], rows: Sequence[Row]) -> tuple[Contribution, ...]:
    terms = [m.contributions(row) for m, row in zip(members, rows, strict=True)]
    columns = dict.fromkeys(c for one in terms for c in one)
    items = [
        Contribution(c, _mean_value(c, rows), sum(one.get(c, 0.0) for one in terms) / len(members)) for c in columns
    ]
    return tuple(sorted(items, key=lambda i: -abs(i.effect)))


def _mean_value(column: str, rows: Sequence[Row]) -> float | None:
    """A column's value, averaged over the members' rows that have one; None where none has."""
    values = [float(row[column]) for row in rows if row.get(column) is not None]
    finite = [v for v in values if math.isfinite(v)]
    return float(np.mean(finite)) if finite else None
