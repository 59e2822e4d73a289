"""Choosing features, on training rows only. Every function sees only the rows it is given.

All ties are broken by column order, so the same rows always give the same choice.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from scipy.stats import chi2, rankdata
from skglm.datafits import Cox
from skglm.penalties import L1
from skglm.solvers import ProxNewton
from sklearn.model_selection import StratifiedKFold

from mmpl.errors import TrainingError
from mmpl.survival.cox import log_partial_likelihood

log = logging.getLogger(__name__)


def training_medians(table: pd.DataFrame) -> pd.Series:
    """Median of each column's finite values; NaN for a column that has none."""
    return table.replace([np.inf, -np.inf], np.nan).median()


def impute(table: pd.DataFrame, medians: pd.Series) -> pd.DataFrame:
    """Missing and infinite values replaced by the medians; columns without a median are left out."""
    known = medians.index[medians.notna()]
    return table[known].astype(np.float64).replace([np.inf, -np.inf], np.nan).fillna(medians[known])


def varying_columns(table: pd.DataFrame) -> list[str]:
    """The columns that are not constant."""
    values = table.to_numpy()
    return [c for c, varies in zip(table.columns, np.ptp(values, axis=0) > 0, strict=True) if varies]


def uncorrelated_columns(table: pd.DataFrame, *, protected: Sequence[str] = (), limit: float = 0.9) -> list[str]:
    """Keep one of any pair of columns with |Spearman| above the limit.

    Protected columns are all kept, and come first: another column that goes with one of them is dropped. Of
    the others, the earlier column of a pair is kept.

    Parameters
    ----------
    table : finite values, no constant column, shape (rows, columns)
    protected : columns that are kept whatever their correlation
    limit : of the absolute Spearman coefficient

    Returns
    -------
    kept columns, in the table's order
    """
    ranks = rankdata(table.to_numpy(dtype=np.float64), axis=0)
    ranks -= ranks.mean(axis=0)
    ranks /= np.linalg.norm(ranks, axis=0)
    is_protected = np.isin(table.columns, list(protected))
    kept, dropped = is_protected.copy(), np.zeros(len(is_protected), dtype=bool)
    for j in (*np.flatnonzero(is_protected), *np.flatnonzero(~is_protected)):
        if dropped[j]:
            continue
        kept[j] = True
        dropped |= (np.abs(ranks[:, j] @ ranks) > limit) & ~kept
    return list(table.columns[kept])


def univariate_auc(table: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column as a score for label 1 (Mann-Whitney, ties count half).

    Parameters
    ----------
    table : finite values, shape (rows, columns)
    labels : 0 or 1, shape (rows,), both present

    Returns
    -------
    float64 array, shape (columns,)
    """
    positive = np.asarray(labels) == 1
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if n_pos == 0 or n_neg == 0:
        raise TrainingError(f"{n_pos} positive and {n_neg} negative rows: both classes are needed to rank features")
    rank_sums = rankdata(table.to_numpy(dtype=np.float64), axis=0)[positive].sum(axis=0)
    return (rank_sums - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)


def top_by_auc(table: pd.DataFrame, labels: np.ndarray, k: int) -> list[str]:
    """The k columns with the AUC furthest from 0.5, in the table's order; all if there are fewer."""
    distance = np.abs(univariate_auc(table, labels) - 0.5) if table.shape[1] else np.empty(0)
    best = np.sort(np.argsort(-distance.round(12), kind="stable")[:k])
    return list(table.columns[best])


def standardise(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z-scores (rows, columns), means and sds (columns,) of a table without constant columns."""
    values = table.to_numpy(dtype=np.float64)
    means, sds = values.mean(axis=0), values.std(axis=0)
    return (values - means) / sds, means, sds


def free_columns(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Columns of one clinical variable without redundancy: one-hot columns lose their commonest level.

    The commonest level of the given rows becomes the reference; constant columns are left out.
    """
    varying = varying_columns(table[list(columns)])
    one_hot = [c for c in columns if "=" in c]
    if not one_hot:
        return varying
    reference = table[one_hot].sum().idxmax()
    return [c for c in varying if c != reference]


def fit_cox(x: np.ndarray, time_days: np.ndarray, event: np.ndarray, ridge: float) -> CoxPHFitter:
    """lifelines' CoxPHFitter on the columns of x, without its console warnings on convergence.

    Raises
    ------
    lifelines.exceptions.ConvergenceError
        If it did not converge.
    """
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    frame["time_days"], frame["event"] = np.asarray(time_days, float), np.asarray(event, int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return CoxPHFitter(penalizer=ridge).fit(frame, duration_col="time_days", event_col="event")
        except ConvergenceWarning as warning:
            raise ConvergenceError(str(warning)) from warning


def likelihood_ratio_p(
    table: pd.DataFrame, time_days: np.ndarray, event: np.ndarray, fallback_ridge: float = 1e-3
) -> float:
    """p-value of one variable in a univariate Cox model: all its columns together against none.

    A level without events has no finite coefficient; the fit is then repeated with a small ridge penalty,
    which makes the test slightly conservative, and logged. Where that does not converge either, p is 1.

    Parameters
    ----------
    table : the variable's columns without redundancy (see ``free_columns``), shape (rows, columns)
    time_days, event : shape (rows,)
    """
    if table.shape[1] == 0:
        return 1.0
    x, _, _ = standardise(table)
    for ridge in (0.0, fallback_ridge):
        try:
            test = fit_cox(x, time_days, event, ridge).log_likelihood_ratio_test()
        except ConvergenceError as error:
            log.info("univariate Cox on %s, ridge %g: %s", list(table.columns), ridge, error)
            continue
        return float(chi2.sf(max(float(test.test_statistic), 0.0), table.shape[1]))
    return 1.0


@dataclass(frozen=True)
class FieldTest:
    """A clinical variable's univariate likelihood-ratio test.

    Attributes
    ----------
    p : 1 for a variable that is constant
    columns : without redundancy, see :func:`free_columns`
    """

    p: float
    columns: tuple[str, ...]


def field_tests(
    table: pd.DataFrame, time_days: np.ndarray, event: np.ndarray, fields: Mapping[str, Sequence[str]]
) -> dict[str, FieldTest]:
    """One test for each clinical variable, given with its encoded columns."""
    free = {field: free_columns(table, columns) for field, columns in fields.items()}
    return {f: FieldTest(likelihood_ratio_p(table[cs], time_days, event), tuple(cs)) for f, cs in free.items()}


@dataclass(frozen=True)
class LassoConfig:
    """Settings of the LASSO-Cox.

    Attributes
    ----------
    n_alphas : number of penalties on the path
    alpha_ratio : smallest over largest penalty
    inner_folds : of the cross-validated partial likelihood
    events_per_feature : at most events / this many features are kept
    """

    n_alphas: int = 20
    alpha_ratio: float = 0.05
    inner_folds: int = 5
    events_per_feature: int = 10

    def __post_init__(self):
        if self.n_alphas < 2 or self.inner_folds < 2 or self.events_per_feature < 1:
            raise TrainingError(f"{self}: at least 2 penalties, 2 inner folds and 1 event a feature are needed")
        if not 0 < self.alpha_ratio < 1:
            raise TrainingError(f"LASSO alpha_ratio {self.alpha_ratio}: it must lie between 0 and 1")


@dataclass(frozen=True)
class LassoChoice:
    """What a LASSO-Cox keeps.

    Attributes
    ----------
    columns : kept, in the table's order
    offered : how many there were
    cap : how many may be kept
    alpha : the penalty; None where nothing could be chosen from
    """

    columns: tuple[str, ...]
    offered: int
    cap: int
    alpha: float | None = None


def lasso_cox(
    table: pd.DataFrame, time_days: np.ndarray, event: np.ndarray, config: LassoConfig, seed: int
) -> LassoChoice:
    """Features that a LASSO-Cox keeps.

    The penalty is the largest within one standard error of the best cross-validated partial likelihood
    (that of all rows less that of the inner training rows), raised further until at most events / 10
    features remain.

    Parameters
    ----------
    table : finite values, no constant column, shape (rows, columns)
    time_days, event : shape (rows,)

    References
    ----------
    Tibshirani, Stat Med 1997;16:385-395. Verweij and van Houwelingen, Stat Med 1993;12:2305-2314.
    """
    event = np.asarray(event, dtype=float)
    cap = int(event.sum()) // config.events_per_feature
    if table.shape[1] == 0 or cap == 0:
        return LassoChoice((), table.shape[1], cap)
    x, _, _ = standardise(table)
    time = np.asarray(time_days, dtype=float)
    alphas = _alphas(x, time, event, config)
    path = lasso_cox_path(x, time, event, alphas)
    scores = _cross_validated(x, time, event, alphas, config, seed)
    at = _one_standard_error(scores)
    while at > 0 and np.count_nonzero(path[at]) > cap:
        at -= 1
    kept = tuple(c for c, w in zip(table.columns, path[at], strict=True) if w != 0)
    return LassoChoice(kept, x.shape[1], cap, float(alphas[at]))


def lasso_cox_path(x: np.ndarray, time: np.ndarray, event: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Coefficients at each penalty, shape (alphas, columns): least -log PL / n + alpha |w|_1.

    Ties by Breslow's rule. Penalties fall; each fit starts from the one before.
    """
    x = np.asfortranarray(x)
    y = np.asfortranarray(np.column_stack([time, event]).astype(np.float64))
    solver = ProxNewton(fit_intercept=False, tol=1e-5, max_iter=100)
    w, path = np.zeros(x.shape[1]), []
    for alpha in alphas:
        w, _, _ = solver.solve(x, y, Cox(use_efron=False), L1(float(alpha)), w.copy(), x @ w)
        path.append(w.copy())
    return np.array(path)


def _alphas(x: np.ndarray, time: np.ndarray, event: np.ndarray, config: LassoConfig) -> np.ndarray:
    """Geometric grid down from the smallest penalty that leaves no feature."""
    datafit = Cox(use_efron=False)
    y = np.column_stack([time, event])
    datafit.initialize(x, y)
    largest = np.abs(datafit.gradient(x, y, np.zeros(len(x)))).max()
    return largest * np.geomspace(1.0, config.alpha_ratio, config.n_alphas)


def _cross_validated(x, time, event, alphas, config: LassoConfig, seed: int) -> np.ndarray:
    """Cross-validated gain in log partial likelihood per held-out event, shape (folds, alphas).

    The gain is over no feature: what folds differ by whatever the penalty would swell the standard error.
    """
    folds = min(config.inner_folds, int(event.sum()))
    if folds < 2:
        return np.zeros((1, len(alphas)))  # nothing to choose by: the largest penalty

    def held_out_likelihood(w: np.ndarray, inner: np.ndarray) -> float:
        lp = x @ w
        everyone = log_partial_likelihood(lp, time, event)
        return everyone - log_partial_likelihood(lp[inner], time[inner], event[inner])

    scores = []
    for inner, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, event):
        path = lasso_cox_path(x[inner], time[inner], event[inner], alphas)
        null = held_out_likelihood(np.zeros(x.shape[1]), inner)
        gains = np.array([held_out_likelihood(w, inner) for w in path]) - null
        scores.append(gains / event[held_out].sum())
    return np.array(scores)


def _one_standard_error(scores: np.ndarray) -> int:
    """Index of the largest penalty whose mean score is within one standard error of the best."""
    means = scores.mean(axis=0)
    best = int(means.argmax())
    error = scores[:, best].std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else 0.0
    return int(np.flatnonzero(means >= means[best] - error)[0])
