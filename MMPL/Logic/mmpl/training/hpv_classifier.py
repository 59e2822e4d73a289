"""Fitting the HPV classifier: everything from the medians to the forest, on training rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTENC
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

from mmpl.errors import TrainingError
from mmpl.hpv.forest import Forest
from mmpl.hpv.member import HpvMember
from mmpl.training.selection import (
    impute,
    top_by_auc,
    training_medians,
    uncorrelated_columns,
    varying_columns,
)

FEWEST_OF_A_CLASS = 2  # training rows, for inner folds and SMOTE's neighbours


@dataclass(frozen=True)
class HpvConfig:
    """Settings of the HPV classifier.

    Attributes
    ----------
    top_features : radiomics kept by univariate AUC; None keeps all
    spearman_limit : of pairs above it, one is kept
    trees, depths, leaf_sizes : what inner cross-validation chooses from
    inner_folds : of that
    smote_neighbours : at most; never more than the minority class allows
    """

    top_features: int | None = 40
    spearman_limit: float = 0.9
    trees: tuple[int, ...] = (100, 200)
    depths: tuple[int, ...] = (3, 6)
    leaf_sizes: tuple[int, ...] = (1, 5)
    inner_folds: int = 3
    smote_neighbours: int = 5

    def __post_init__(self):
        for name in ("trees", "depths", "leaf_sizes"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if not values or min(values) < 1:
                raise TrainingError(f"HPV config: {name} {values} needs at least one value, each 1 or more")
        if self.top_features is not None and self.top_features < 0:
            raise TrainingError(f"HPV config: top_features {self.top_features} must be 0 or more, or null for all")
        if not 0 < self.spearman_limit <= 1:
            raise TrainingError(f"HPV config: spearman_limit {self.spearman_limit} must lie in (0, 1]")
        if self.inner_folds < 2 or self.smote_neighbours < 1:
            raise TrainingError("HPV config: inner_folds must be 2 or more and smote_neighbours 1 or more")


@dataclass(frozen=True)
class ForestSettings:
    """What inner cross-validation chose."""

    trees: int
    depth: int
    leaf_size: int


@dataclass(frozen=True, eq=False)
class HpvFit:
    """A fitted member, and the settings that were chosen for its forest."""

    member: HpvMember
    settings: ForestSettings


def fit_hpv_member(
    table: pd.DataFrame,
    hpv: np.ndarray,
    *,
    clinical_columns: Sequence[str],
    deep_column: str,
    config: HpvConfig,
    seed: int,
) -> HpvFit:
    """Fit one member.

    Order: medians, constants, Spearman, best by AUC, SMOTE, forest. Deep score and clinical columns are kept
    unless they are constant. Rows without a label are left out.

    Parameters
    ----------
    table : training rows only; deep score (standardised per network), radiomics, encoded clinical columns
    hpv : 1 positive, 0 negative, NaN not known, shape (rows,)
    clinical_columns : names such as "Age" or "Gender=1" ("field=level" marks one-hot columns)
    deep_column : the deep score's name

    Returns
    -------
    HpvFit, whose member's deep_mean and deep_sd are 0 and 1: set those of the network that will feed it

    Raises
    ------
    TrainingError
        If a class has fewer than two rows or a named column is missing.
    """
    missing = [c for c in (deep_column, *clinical_columns) if c not in table.columns]
    if missing:
        raise TrainingError(f"HPV table lacks the columns {missing}; build it with them")
    labels = np.asarray(hpv, dtype=float)
    known = np.isfinite(labels)
    table, labels = table[known].reset_index(drop=True), labels[known].astype(int)
    counts = np.bincount(labels, minlength=2)
    if counts.min() < FEWEST_OF_A_CLASS:
        raise TrainingError(
            f"HPV training rows: {counts[1]} positive, {counts[0]} negative; give at least {FEWEST_OF_A_CLASS} of each"
        )
    kept = (deep_column, *clinical_columns)
    settings = choose_settings(table, labels, kept, config, seed)
    columns, medians = select_columns(table, labels, kept, config)
    x, y = oversample(impute(table[columns], medians), labels, config.smote_neighbours, seed)
    forest = _fit_forest(x, y, settings, seed)
    flat = flatten(forest.estimators_, len(columns))
    return HpvFit(HpvMember(tuple(columns), medians.to_numpy(), flat, deep_column), settings)


def select_columns(
    table: pd.DataFrame, labels: np.ndarray, kept: Sequence[str], config: HpvConfig
) -> tuple[list[str], pd.Series]:
    """The chosen columns in the table's order, and their training medians."""
    medians = training_medians(table)
    full = impute(table, medians)
    full = full[varying_columns(full)]
    if full.shape[1] == 0:
        raise TrainingError("HPV table: no column varies over the training rows")
    protected = [c for c in full.columns if c in set(kept)]
    full = full[uncorrelated_columns(full, protected=protected, limit=config.spearman_limit)]
    radiomics = full.drop(columns=protected)
    limit = radiomics.shape[1] if config.top_features is None else config.top_features
    chosen = {*protected, *top_by_auc(radiomics, labels, limit)}
    columns = [c for c in full.columns if c in chosen]
    if not columns:
        raise TrainingError("HPV table: no column is left after selection; raise top_features")
    return columns, medians[columns]


def choose_settings(
    table: pd.DataFrame, labels: np.ndarray, kept: Sequence[str], config: HpvConfig, seed: int
) -> ForestSettings:
    """Settings with the best balanced accuracy over inner folds; selection and SMOTE are redone in each.

    Equal scores go to the smaller forest: fewer trees, then less depth, then larger leaves.
    """
    grid = [
        ForestSettings(t, d, s)
        for t in sorted(config.trees)
        for d in sorted(config.depths)
        for s in sorted(config.leaf_sizes, reverse=True)
    ]
    folds = min(config.inner_folds, int(np.bincount(labels, minlength=2).min()))
    if len(grid) == 1 or folds < 2:
        return grid[0]
    votes = {settings: np.empty(len(labels)) for settings in grid}
    for inner, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(table, labels):
        columns, medians = select_columns(table.iloc[inner], labels[inner], kept, config)
        x, y = oversample(impute(table[columns].iloc[inner], medians), labels[inner], config.smote_neighbours, seed)
        x_out = impute(table[columns].iloc[held_out], medians).to_numpy()
        for settings, probability in _grid_predictions(x, y, x_out, grid, seed):
            votes[settings][held_out] = probability
    scores = {s: balanced_accuracy(p >= 0.5, labels) for s, p in votes.items()}
    return max(grid, key=lambda s: round(scores[s], 12))


def _grid_predictions(x, y, x_out, grid: Sequence[ForestSettings], seed: int):
    """Every setting's P(class 1) on the held-out rows; smaller forests are the first trees of the largest."""
    most = max(s.trees for s in grid)
    for depth, leaf_size in dict.fromkeys((s.depth, s.leaf_size) for s in grid):
        forest = _fit_forest(x, y, ForestSettings(most, depth, leaf_size), seed)
        trees = np.array([t.predict_proba(x_out)[:, 1] for t in forest.estimators_])
        for settings in grid:
            if (settings.depth, settings.leaf_size) == (depth, leaf_size):
                yield settings, trees[: settings.trees].mean(axis=0)


def _fit_forest(x: np.ndarray, y: np.ndarray, settings: ForestSettings, seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.leaf_size,
        random_state=seed,
        n_jobs=1,
    ).fit(x, y)


def oversample(table: pd.DataFrame, labels: np.ndarray, neighbours: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """SMOTE of the minority class to the majority's size; the given rows come first, unaltered.

    One-hot columns of one variable are drawn together as one category (SMOTENC), so synthetic rows are valid
    one-hots; other columns of 0 and 1 only (missing flags) are categories too. Neighbours are found
    among z-scored continuous columns. With fewer than two rows of the minority, or equal classes, nothing
    is added.

    Parameters
    ----------
    table : finite values, shape (rows, columns)
    labels : 0 or 1, shape (rows,)
    neighbours : at most; at most the minority's size less one

    Returns
    -------
    x : float64 array, shape (rows + synthetic, columns)
    y : int array, shape (rows + synthetic,)
    """
    x, labels = table.to_numpy(dtype=np.float64), np.asarray(labels, dtype=int)
    counts = np.bincount(labels, minlength=2)
    if counts.min() < 2 or counts[0] == counts[1]:
        return x, labels
    k = min(neighbours, int(counts.min()) - 1)
    groups = _category_groups(table)
    in_group = [c for columns in groups for c in columns]
    continuous = [i for i in range(x.shape[1]) if i not in in_group]
    mean, sd = x[:, continuous].mean(axis=0), x[:, continuous].std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    codes = np.column_stack([_to_code(x[:, g]) for g in groups]) if groups else np.empty((len(x), 0))
    collapsed = np.hstack([(x[:, continuous] - mean) / sd, codes])
    sampled, y = _sampler(len(continuous), len(groups), k, seed).fit_resample(collapsed, labels)
    new = np.empty((len(sampled) - len(x), x.shape[1]))
    new[:, continuous] = sampled[len(x) :, : len(continuous)] * sd + mean
    for group, code in zip(groups, sampled[len(x) :, len(continuous) :].T, strict=True):
        new[:, group] = _from_code(code, len(group))
    return np.vstack([x, new]), y


def _sampler(n_continuous: int, n_groups: int, k: int, seed: int) -> SMOTE | SMOTENC:
    if n_continuous == 0:
        raise TrainingError("SMOTE needs a continuous column; the HPV table has none that varies")
    if n_groups == 0:
        return SMOTE(k_neighbors=k, random_state=seed)
    categories = list(range(n_continuous, n_continuous + n_groups))
    return SMOTENC(categorical_features=categories, k_neighbors=k, random_state=seed)


def _category_groups(table: pd.DataFrame) -> list[list[int]]:
    """Column positions that form one category each: a variable's one-hots, or one column of 0 and 1."""
    groups: dict[str, list[int]] = {}
    for i, column in enumerate(table.columns):
        if set(np.unique(table[column])) <= {0.0, 1.0}:
            groups.setdefault(str(column).rsplit("=", 1)[0], []).append(i)
    return list(groups.values())


def _to_code(columns: np.ndarray) -> np.ndarray:
    """0 where no column is set, else 1 + the position of the one that is."""
    return np.where(columns.any(axis=1), columns.argmax(axis=1) + 1, 0).astype(float)


def _from_code(code: np.ndarray, width: int) -> np.ndarray:
    return (code[:, None] == np.arange(1, width + 1)).astype(float)


def flatten(estimators: Sequence, n_features: int) -> Forest:
    """The flat arrays of fitted scikit-learn classification trees with the classes 0 and 1."""
    trees = [e.tree_ for e in estimators]
    offsets = np.concatenate([[0], np.cumsum([t.node_count for t in trees])])
    leaf = np.concatenate([t.children_left for t in trees]) == -1
    values = np.concatenate([t.value[:, 0, :] for t in trees])
    shift = np.repeat(offsets[:-1], np.diff(offsets))
    return Forest(
        feature=np.where(leaf, -1, np.concatenate([t.feature for t in trees])),
        threshold=np.where(leaf, 0.0, np.concatenate([t.threshold for t in trees])),
        left=np.where(leaf, -1, np.concatenate([t.children_left for t in trees]) + shift),
        right=np.where(leaf, -1, np.concatenate([t.children_right for t in trees]) + shift),
        value=values[:, 1] / values.sum(axis=1),
        cover=np.concatenate([t.weighted_n_node_samples for t in trees]),
        offsets=offsets,
        n_features=n_features,
    )


def balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean of sensitivity and specificity.

    Parameters
    ----------
    predicted : bool array, shape (n,)
    labels : 0 or 1, shape (n,), both present
    """
    positive = np.asarray(labels) == 1
    return float((predicted[positive].mean() + (~predicted[~positive]).mean()) / 2)


def balanced_accuracy_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Threshold with the best balanced accuracy: positive from this probability on.

    Candidates are the midpoints between neighbouring distinct probabilities; of equally good ones, that
    nearest to 0.5 (then the lower). With one distinct probability it is 0.5.

    Parameters
    ----------
    probabilities : shape (n,), pooled out-of-fold
    labels : 0 or 1, shape (n,)

    Raises
    ------
    TrainingError
        If a class is missing.
    """
    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    if not (np.any(labels == 1) and np.any(labels == 0)):
        raise TrainingError("HPV threshold: the out-of-fold rows hold one class only; it cannot be chosen")
    values = np.unique(probabilities)
    if len(values) == 1:
        return 0.5
    middles = (values[:-1] + values[1:]) / 2
    scores = [balanced_accuracy(probabilities >= m, labels) for m in middles]
    best = middles[np.round(scores, 12) == np.round(max(scores), 12)]
    return float(best[np.argmin(np.round(np.abs(best - 0.5), 12))])
