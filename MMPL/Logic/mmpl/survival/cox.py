"""One member of the RFS ensemble: a fitted Cox model and its baseline hazard, in plain numbers.

Risk goes by the linear predictor: higher = earlier relapse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from mmpl.columns import model_input
from mmpl.errors import BundleError
from mmpl.survival.discrete import check_follow_up

LP_LIMIT = 500.0  # exp() of it is still finite; survival is 0 or 1 long before


def log_partial_likelihood(linear_predictor: np.ndarray, time_days: np.ndarray, event: np.ndarray) -> float:
    """Cox's log partial likelihood with Breslow's rule for ties.

    Parameters
    ----------
    linear_predictor, time_days, event : arrays, shape (n,)

    Returns
    -------
    float, sum over events of lp_i - log(sum of exp(lp_j) over those still at risk)

    References
    ----------
    Breslow, Covariance analysis of censored survival data, Biometrics 1974;30:89-99.
    """
    time, event = check_follow_up(time_days, event)
    lp = np.asarray(linear_predictor, dtype=np.float64)
    if not event.any():
        return 0.0
    shift = lp.max()
    return float(np.sum(lp[event] - shift - np.log(_at_risk(np.exp(lp - shift), time, time[event]))))


def breslow_cumulative_hazard(
    linear_predictor: np.ndarray, time_days: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Breslow's estimate of the cumulative hazard at a linear predictor of 0.

    Returns
    -------
    event_times : float64 array, shape (m,), distinct times of relapse, rising, days
    cumulative_hazard : float64 array, shape (m,), just after each of them:
        the running sum of relapses over sum of exp(lp) at risk
    """
    time, event = check_follow_up(time_days, event)
    times, counts = np.unique(time[event], return_counts=True)
    weights = np.exp(np.asarray(linear_predictor, dtype=np.float64))
    return times, np.cumsum(counts / _at_risk(weights, time, times))


def _at_risk(weights: np.ndarray, time: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sum of the weights of those whose time is ``at`` or later."""
    order = np.argsort(time, kind="stable")
    from_here = np.cumsum(weights[order][::-1])[::-1]
    return from_here[np.searchsorted(time[order], at, side="left")]


@dataclass(frozen=True, eq=False)
class CoxMember:
    """A fitted Cox model.

    Attributes
    ----------
    columns : the covariates
    medians : array, shape (columns,); training medians that stand in for missing values
    means, sds : arrays, shape (columns,); a covariate enters as (x - mean) / sd
    coefficients : array, shape (columns,); log hazard ratio of one sd
    event_times : array, shape (m,), rising, days; the last one is the last training event
    cumulative_hazard : array, shape (m,), at mean covariates, just after each event time
    lp_mean, lp_sd : figures of the linear predictor over the training rows, for the standardised risk
    ridge : penalty that the fit used
    deep_column : name of the expected time's column
    deep_mean, deep_sd : figures of this member's own network, by which a raw expected time is standardised
        first (0 and 1: it comes standardised, or is taken as it is)

    Raises
    ------
    BundleError
        If these do not fit together.
    """

    columns: tuple[str, ...]
    medians: np.ndarray
    means: np.ndarray
    sds: np.ndarray
    coefficients: np.ndarray
    event_times: np.ndarray
    cumulative_hazard: np.ndarray
    lp_mean: float
    lp_sd: float
    ridge: float
    deep_column: str
    deep_mean: float = 0.0
    deep_sd: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(self.columns))
        for name in _ARRAYS:
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        _check_member(self)

    @property
    def last_event_days(self) -> float:
        """Time of the last relapse in training; the curve says nothing beyond it."""
        return float(self.event_times[-1])

    def centred(self, row: Mapping[str, float]) -> np.ndarray:
        """Standardised covariates, shape (columns,); missing values are the training median.

        A column that is absent, None, NaN or infinite counts as missing.
        """
        x = model_input(row, self.columns, self.deep_column, self.deep_mean, self.deep_sd)
        return (np.where(np.isfinite(x), x, self.medians) - self.means) / self.sds

    def contributions(self, row: Mapping[str, float]) -> dict[str, float]:
        """Coefficient times centred value of each covariate; they add up to ``linear_predictor(row)``."""
        return dict(zip(self.columns, (self.coefficients * self.centred(row)).tolist(), strict=True))

    def linear_predictor(self, row: Mapping[str, float]) -> float:
        """Log hazard ratio against mean covariates: higher = earlier relapse."""
        return float(self.coefficients @ self.centred(row))

    def standardised_risk(self, row: Mapping[str, float]) -> float:
        """Linear predictor as a z-score of the training rows': higher = earlier relapse."""
        return (self.linear_predictor(row) - self.lp_mean) / self.lp_sd

    def survival(self, row: Mapping[str, float], days: np.ndarray) -> np.ndarray:
        """Relapse-free probability exp(-H0(t) exp(lp)), shape of ``days``; NaN after the last event."""
        days = np.asarray(days, dtype=np.float64)
        steps = np.concatenate([[0.0], self.cumulative_hazard])
        hazard = steps[np.searchsorted(self.event_times, days, side="right")]
        lp = min(max(self.linear_predictor(row), -LP_LIMIT), LP_LIMIT)
        return np.where(days <= self.last_event_days, np.exp(-hazard * math.exp(lp)), np.nan)

    def to_dict(self) -> dict:
        """JSON-ready; ``from_dict`` reads it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.tolist() if k in _ARRAYS else list(v) if k == "columns" else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, data: Mapping) -> CoxMember:
        """Read what ``to_dict`` wrote.

        Raises
        ------
        BundleError
            If something is missing or does not fit together.
        """
        try:
            return cls(
                columns=tuple(str(c) for c in data["columns"]),
                deep_column=str(data["deep_column"]),
                **{name: np.asarray(data[name], dtype=np.float64) for name in _ARRAYS},
                **{name: float(data[name]) for name in _FIGURES},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"Cox model: {error!r} while reading it; the bundle is damaged, get it again") from error


_ARRAYS = ("medians", "means", "sds", "coefficients", "event_times", "cumulative_hazard")
_FIGURES = ("lp_mean", "lp_sd", "ridge", "deep_mean", "deep_sd")


def _refuse(fault: str) -> BundleError:
    return BundleError(f"Cox model: {fault}; the bundle is damaged, get it again")


def _check_member(member: CoxMember) -> None:
    n = len(member.columns)
    if len(set(member.columns)) != n:
        raise _refuse("a column is named twice")
    for name in _ARRAYS:
        array = getattr(member, name)
        if array.ndim != 1 or not np.all(np.isfinite(array)):
            raise _refuse(f"{name} is not a row of finite numbers")
    for name in ("medians", "means", "sds", "coefficients"):
        if len(getattr(member, name)) != n:
            raise _refuse(f"{len(getattr(member, name))} {name} for {n} columns")
    if np.any(member.sds <= 0):
        raise _refuse("a covariate's sd is not positive")
    _check_baseline(member.event_times, member.cumulative_hazard)
    if not all(math.isfinite(getattr(member, name)) for name in _FIGURES):
        raise _refuse("a figure is not finite")
    if member.lp_sd <= 0 or member.deep_sd <= 0 or member.ridge < 0:
        raise _refuse(f"lp_sd {member.lp_sd}, deep_sd {member.deep_sd} or ridge {member.ridge} is impossible")


def _check_baseline(event_times: np.ndarray, cumulative_hazard: np.ndarray) -> None:
    if len(event_times) == 0 or len(event_times) != len(cumulative_hazard):
        raise _refuse(f"{len(cumulative_hazard)} baseline hazards at {len(event_times)} event times")
    if event_times[0] < 0 or np.any(np.diff(event_times) <= 0):
        raise _refuse("the event times do not rise")
    if cumulative_hazard[0] < 0 or np.any(np.diff(cumulative_hazard) < 0):
        raise _refuse("the baseline hazard falls")
