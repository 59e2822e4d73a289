"""Measures of survival that depend on a day: AUC and Brier score by torchsurv, Kaplan-Meier by lifelines.

Brier scores and AUC are weighted for censoring (Graf et al., Stat Med 1999;18:2529-2545; Uno et al., J Am Stat
Assoc 2007;102:527-537), with censoring weights of the patients that are scored.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError
from mmpl.evaluation.findings import Figure
from mmpl.metrics.survival import censoring_weights, event_weights

LIBRARIES = ("torchsurv", "lifelines")
YEAR_DAYS = 365.25
GRID_GAP_DAYS = 31.0  # a predicted survival older than a month is not the survival of that day
END_SLACK_DAYS = 2.0  # five years are 1826.25 days, and often written as 1825


@dataclass(frozen=True)
class Cohort:
    """Scored patients in one order, arrays of shape (n,): days, relapse (bool), risk (higher = earlier relapse)."""

    time_days: np.ndarray
    event: np.ndarray
    risk: np.ndarray

    def take(self, rows: np.ndarray) -> Cohort:
        return Cohort(self.time_days[rows], self.event[rows], self.risk[rows])


def check_installed() -> None:
    """Raise InputError unless the libraries that RFS is scored with are there."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"scoring RFS needs {' and '.join(missing)}: install them, or mmpl with its extra 'train'")


def survival_at(days: np.ndarray, survival: np.ndarray, at_days: float) -> float:
    """The value of a predicted curve in force on a day; NaN where it says nothing of that day.

    Each value holds from its day until the next one, for at most a month, and the last one for two days.

    Parameters
    ----------
    days, survival : float arrays, shape (k,), rising days
    at_days : 0 or more
    """
    index = int(np.searchsorted(days, at_days, side="right")) - 1
    if index < 0:
        return 1.0 if days.size and at_days == 0 else math.nan
    hold = END_SLACK_DAYS if index == days.size - 1 else GRID_GAP_DAYS
    return float(survival[index]) if at_days - days[index] <= hold else math.nan


def auc_at(cohort: Cohort, at_days: np.ndarray) -> np.ndarray:
    """Cumulative/dynamic AUC: chance that who relapsed by a day has a higher risk than who was free of it.

    Parameters
    ----------
    cohort : Cohort
    at_days : float array, shape (m,), rising

    Returns
    -------
    float array, shape (m,); NaN where nobody relapsed by that day or nobody was followed beyond it
    """
    import torch
    from torchsurv.metrics.auc import Auc

    found = np.full(len(at_days), math.nan)
    usable = np.array([_has_both(cohort, day) for day in at_days], bool)
    if usable.any():
        days = np.asarray(at_days, dtype=float)[usable]
        of_patients, of_days = (torch.from_numpy(w) for w in _weights(cohort, days))
        order = np.unique(cohort.risk, return_inverse=True)[1].astype(float)  # torchsurv ties risks 1e-8 apart
        risk, event, time = (torch.from_numpy(a) for a in (order, cohort.event, cohort.time_days))
        found[usable] = Auc()(
            risk,
            event,
            time,
            weight=of_patients,
            new_time=torch.from_numpy(days),
            weight_new_time=of_days,
            instate=False,
        ).numpy()
    return found


def brier_at(cohort: Cohort, survival: np.ndarray, at_days: np.ndarray) -> np.ndarray:
    """Brier score of predicted survival on given days, 0 is perfect.

    Parameters
    ----------
    cohort : Cohort
    survival : float array, shape (n, m), each patient's predicted survival on each day
    at_days : float array, shape (m,), rising

    Returns
    -------
    float array, shape (m,); NaN where nobody was followed beyond that day unless ``ends_at_zero``, and everywhere
        without a relapse or of a single patient
    """
    import torch
    from torchsurv.metrics.brier_score import BrierScore

    found = np.full(len(at_days), math.nan)
    usable = np.asarray(at_days, dtype=float) < cohort.time_days.max()
    if ends_at_zero(cohort.time_days, cohort.event):
        usable[:] = True  # the weights of who relapsed add up to all patients: nobody has to be free
    if usable.any() and cohort.event.any() and cohort.risk.size > 1:
        days = np.asarray(at_days, dtype=float)[usable]
        of_patients, of_days = (torch.from_numpy(w) for w in _weights(cohort, days))
        event, time = torch.from_numpy(cohort.event), torch.from_numpy(cohort.time_days)
        estimate = torch.from_numpy(np.ascontiguousarray(survival[:, usable], dtype=float))
        score = BrierScore()
        found[usable] = score(estimate, event, time, torch.from_numpy(days), of_patients, of_days, instate=False)
    return found


def integrated(values: np.ndarray, at_days: np.ndarray) -> float:
    """Mean of a score between the first and the last day, by the trapezoidal rule; NaN with a NaN among them."""
    return float(np.trapezoid(values, at_days) / (at_days[-1] - at_days[0]))


def ends_at_zero(time_days: np.ndarray, event: np.ndarray) -> bool:
    """Whether the Kaplan-Meier estimate ends at 0, and so is known for good: whoever was followed longest relapsed."""
    return bool(event[time_days == time_days.max()].all())


def kaplan_meier_at(time_days: np.ndarray, event: np.ndarray, at_days: float) -> Figure:
    """Recurrence-free share on a day, with Greenwood's interval on the log-log scale.

    Returns
    -------
    Figure ; without an interval where the share is 0 or 1, without a value where nobody was followed so far, unless
        ``ends_at_zero``
    """
    if not time_days.size or (time_days.max() < at_days and not ends_at_zero(time_days, event)):
        return Figure.not_given(f"no follow-up beyond {at_days / YEAR_DAYS:g} years")
    fitted = _fitted(time_days, event)
    share = float(fitted.predict(at_days))
    if not 0.0 < share < 1.0:
        return Figure(share)
    bounds = fitted.confidence_interval_survival_function_
    low, high = bounds[bounds.index <= at_days].iloc[-1]
    return Figure(share, float(low), float(high))


def kaplan_meier_steps(time_days: np.ndarray, event: np.ndarray) -> list[tuple[float, float]]:
    """(day, recurrence-free share from that day on): the steps, and the end of follow-up."""
    fitted = _fitted(time_days, event)
    curve = fitted.survival_function_.iloc[:, 0]
    last = curve.index[-1]
    keep = (fitted.event_table["observed"] > 0) | (curve.index == last)
    return [(float(day), float(share)) for day, share in curve[keep].items()]


def median_follow_up(time_days: np.ndarray, event: np.ndarray) -> float | None:
    """Median days of follow-up by reverse Kaplan-Meier (Schemper and Smith 1996); None where it is not reached."""
    median = float(_fitted(time_days, ~event).median_survival_time_)
    return median if math.isfinite(median) else None


def log_rank(cohort: Cohort, groups: Sequence[str]) -> Figure:
    """p of the log-rank test between risk groups.

    Groups of which nobody was followed up to the first relapse say nothing and are no degree of freedom, as in R's
    survdiff; lifelines would count them.

    Returns
    -------
    Figure ; without a value where fewer than two groups are left, or relapses cannot differ between them
    """
    from lifelines.statistics import multivariate_logrank_test

    if len(set(groups)) < 2:
        return Figure.not_given("all patients are in one risk group")
    if not cohort.event.any():
        return Figure.not_given("no patient relapsed")
    first = cohort.time_days[cohort.event].min()
    followed = np.flatnonzero(cohort.time_days >= first)
    names, at_risk = np.array(groups)[followed], cohort.take(followed)
    if np.unique(names).size < 2:
        return Figure.not_given("only one risk group was followed up to the first relapse")
    if (at_risk.event & (at_risk.time_days == first)).all():
        return Figure.not_given("all who were followed up to the first relapse relapsed on that day")
    return Figure(float(multivariate_logrank_test(at_risk.time_days, names, at_risk.event).p_value))


def _weights(cohort: Cohort, at_days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each patient should they have relapsed, and of who is free of it on each day.

    torchsurv multiplies by what it is given; its own ``get_ipcw`` would count who is censored on the very day of a
    relapse as hidden before it.
    """
    follow_up = cohort.time_days, cohort.event
    return event_weights(*follow_up), censoring_weights(*follow_up, at_days)


def _fitted(time_days: np.ndarray, event: np.ndarray):
    from lifelines import KaplanMeierFitter

    return KaplanMeierFitter().fit(time_days, event)


def _has_both(cohort: Cohort, day: float) -> bool:
    return bool((cohort.event & (cohort.time_days <= day)).any() and (cohort.time_days > day).any())
