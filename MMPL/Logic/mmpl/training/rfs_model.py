"""Fitting the RFS Cox model: candidates, selection and fit, on training rows only."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from lifelines.exceptions import ConvergenceError

from mmpl.errors import TrainingError
from mmpl.survival.cox import CoxMember, breslow_cumulative_hazard
from mmpl.survival.discrete import check_follow_up
from mmpl.training.selection import (
    FieldTest,
    LassoChoice,
    LassoConfig,
    field_tests,
    fit_cox,
    impute,
    lasso_cox,
    standardise,
    training_medians,
    uncorrelated_columns,
    varying_columns,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RfsConfig:
    """Settings of the RFS model.

    Attributes
    ----------
    lasso : LassoConfig
    spearman_limit : radiomics above it are thinned before the LASSO
    p_limit : a clinical variable enters below this univariate likelihood-ratio p
    ridges : penalties of the final fit, rising; the first that converges is used
    """

    lasso: LassoConfig = field(default_factory=LassoConfig)
    spearman_limit: float = 0.9
    p_limit: float = 0.05
    ridges: tuple[float, ...] = (0.01, 0.1, 1.0)

    def __post_init__(self):
        object.__setattr__(self, "ridges", tuple(float(r) for r in self.ridges))
        if not self.ridges or min(self.ridges) < 0 or list(self.ridges) != sorted(self.ridges):
            raise TrainingError(f"RFS config: ridges {self.ridges} must be 0 or more and rise")
        if not 0 <= self.p_limit <= 1 or not 0 < self.spearman_limit <= 1:
            raise TrainingError(
                f"RFS config: p_limit {self.p_limit} must lie in [0, 1], spearman_limit {self.spearman_limit} in (0, 1]"
            )


@dataclass(frozen=True, eq=False)
class RfsFit:
    """A fitted member, and how its covariates were chosen.

    Attributes
    ----------
    member : CoxMember
    lasso : of the radiomics
    tests : clinical variable -> its test; one below ``RfsConfig.p_limit`` is in the member
    """

    member: CoxMember
    lasso: LassoChoice
    tests: Mapping[str, FieldTest]


def fit_rfs_member(
    table: pd.DataFrame,
    time_days: np.ndarray,
    event: np.ndarray,
    *,
    clinical_fields: Mapping[str, Sequence[str]],
    radiomics_columns: Sequence[str],
    deep_column: str,
    hpv_column: str,
    config: RfsConfig,
    seed: int,
) -> RfsFit:
    """Fit one member.

    Covariates: the network's expected time and the HPV probability, always; radiomics by LASSO-Cox; clinical
    variables by univariate likelihood-ratio test (the commonest level of a category is the reference).
    Constant columns are left out.

    Parameters
    ----------
    table : training rows only; HPV probabilities in it are out-of-fold
    time_days, event : shape (rows,)
    clinical_fields : variable name to its encoded columns
    deep_column, hpv_column : names of the expected time's and the HPV probability's columns

    Returns
    -------
    RfsFit; its member's higher linear predictor = earlier relapse, and its deep_mean and deep_sd are 0 and 1: set
    those of the network that will feed it

    Raises
    ------
    TrainingError
        If a named column is missing, there is no event, or no fit converges.
    """
    time, event = _check_rows(table, time_days, event)
    named = [deep_column, hpv_column, *radiomics_columns, *(c for cs in clinical_fields.values() for c in cs)]
    missing = [c for c in named if c not in table.columns]
    if missing:
        raise TrainingError(f"RFS table lacks the columns {missing[:5]}; build it with them")
    medians = training_medians(table[named])
    full = impute(table[named], medians)
    varying = set(varying_columns(full))
    columns = [c for c in (deep_column, hpv_column) if c in varying]
    radiomics = full[[c for c in radiomics_columns if c in varying]]
    radiomics = radiomics[uncorrelated_columns(radiomics, limit=config.spearman_limit)]
    lasso = lasso_cox(radiomics, time, event, config.lasso, seed)
    fields = {f: [c for c in cs if c in full.columns] for f, cs in clinical_fields.items()}
    tests = field_tests(full, time, event, fields)
    columns += [*lasso.columns, *(c for test in tests.values() if test.p < config.p_limit for c in test.columns)]
    member = _fit_final(full[columns], medians[columns], time, event, deep_column, config)
    return RfsFit(member, lasso, tests)


def _check_rows(table, time_days, event) -> tuple[np.ndarray, np.ndarray]:
    time, event = check_follow_up(time_days, event)
    if len(time) != len(table):
        raise TrainingError(f"{len(time)} follow-up times for {len(table)} training rows")
    if not event.any():
        raise TrainingError("RFS training rows: no relapse among them; a Cox model needs events")
    return time, event


def _fit_final(
    table: pd.DataFrame,
    medians: pd.Series,
    time: np.ndarray,
    event: np.ndarray,
    deep_column: str,
    config: RfsConfig,
) -> CoxMember:
    x, means, sds = standardise(table)
    coefficients, ridge = _coefficients(x, time, event, config.ridges)
    lp = x @ coefficients
    event_times, cumulative = breslow_cumulative_hazard(lp, time, event)
    lp_sd = float(lp.std())
    return CoxMember(
        columns=tuple(table.columns),
        medians=medians.to_numpy(),
        means=means,
        sds=sds,
        coefficients=coefficients,
        event_times=event_times,
        cumulative_hazard=cumulative,
        lp_mean=float(lp.mean()),
        lp_sd=lp_sd if lp_sd > 1e-12 else 1.0,
        ridge=ridge,
        deep_column=deep_column,
    )


def _coefficients(x, time, event, ridges: Sequence[float]) -> tuple[np.ndarray, float]:
    """Coefficients per sd and the ridge they were fitted with: the first of the given that converges."""
    if x.shape[1] == 0:
        return np.empty(0), ridges[0]
    for ridge in ridges:
        try:
            coefficients = fit_cox(x, time, event, ridge).params_.to_numpy(dtype=float)
        except ConvergenceError as error:
            log.warning("Cox model with ridge %g did not converge: %s", ridge, error)
            continue
        log.info("Cox model: %d covariates, ridge %g", x.shape[1], ridge)
        return coefficients, ridge
    raise TrainingError(f"Cox model: no fit converges with ridges {tuple(ridges)}; raise them or drop covariates")
