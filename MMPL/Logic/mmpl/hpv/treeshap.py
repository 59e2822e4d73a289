"""Exact path-dependent TreeSHAP on flattened forests.

The numbers are those of Algorithm 2 of Lundberg et al.: Shapley values of the game in which a coalition's
worth is the tree's output with absent features averaged by the covers of the branches. Instead of the
recursion, each leaf is one small game. A path that asks d distinct features pays its leaf's value times,
over those features, ``o_k`` (1 when the sample satisfies all its conditions on k, else 0) if k is present,
and ``z_k`` (product of the cover fractions along the path) if it is absent. The Shapley value of feature j
in that game is

    value * (o_j - z_j) * sum_s  s! (d - 1 - s)! / d! * e_s,

``e_s`` being the coefficient of t^s in the product over k != j of ``(z_k + o_k t)``. Paths shorter than the
longest are padded with features of o = z = 1, null players that change nobody's share; then all leaves of all
trees are worked at once.

References
----------
Lundberg et al., From local explanations to global understanding with explainable AI for trees,
Nature Machine Intelligence 2020;2:56-67.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np

from mmpl.hpv.forest import LEAF, Forest

PAD = -1


@dataclass(frozen=True, eq=False)
class LeafPaths:
    """The conditions on the way to every leaf of a forest, one slot for each distinct feature.

    Attributes
    ----------
    feature : int array, shape (leaves, slots); -1 in a padded slot
    low, high : float64 arrays, shape (leaves, slots); the leaf is reached when low < x <= high
    absent : float64 array, shape (leaves, slots); product of cover fractions, 1 in a padded slot
    value : float64 array, shape (leaves,); the leaf's value over the number of trees
    """

    feature: np.ndarray
    low: np.ndarray
    high: np.ndarray
    absent: np.ndarray
    value: np.ndarray


def leaf_paths(forest: Forest) -> LeafPaths:
    """Collect the path of every leaf, walking all trees down one level at a time."""
    nodes = np.asarray(forest.offsets[:-1])
    feature = np.full((len(nodes), 0), PAD)
    low, high, absent = (np.empty((len(nodes), 0)) for _ in range(3))
    leaves: list[tuple[np.ndarray, ...]] = []
    while len(nodes):
        at_leaf = forest.feature[nodes] == LEAF
        leaves.append(tuple(a[at_leaf] for a in (nodes, feature, low, high, absent)))
        nodes, feature, low, high, absent = (a[~at_leaf] for a in (nodes, feature, low, high, absent))
        sides = [_descend(forest, nodes, feature, low, high, absent, goes_left) for goes_left in (True, False)]
        nodes, feature, low, high, absent = (np.concatenate(pair) for pair in zip(*sides, strict=True))
    slots = max(int((f != PAD).sum(axis=1).max(initial=0)) for _, f, *_ in leaves)
    fills = (PAD, -np.inf, np.inf, 1.0)
    stacked = [np.concatenate([_to_width(part[i + 1], slots, fill) for part in leaves]) for i, fill in enumerate(fills)]
    values = forest.value[np.concatenate([part[0] for part in leaves])] / forest.n_trees
    return LeafPaths(*stacked, values)


def _descend(forest, nodes, feature, low, high, absent, goes_left):
    """One step to the left (or right) children: add each node's condition to its path."""
    feature, low, high, absent = (
        _to_width(a, feature.shape[1] + 1, fill)
        for a, fill in ((feature, PAD), (low, -np.inf), (high, np.inf), (absent, 1.0))
    )
    asked = forest.feature[nodes]
    same = feature == asked[:, None]
    used = (feature != PAD).sum(axis=1)
    slot = np.where(same.any(axis=1), same.argmax(axis=1), used) if len(nodes) else used
    rows = np.arange(len(nodes))
    children = (forest.left if goes_left else forest.right)[nodes]
    feature[rows, slot] = asked
    if goes_left:
        high[rows, slot] = np.minimum(high[rows, slot], forest.threshold[nodes])
    else:
        low[rows, slot] = np.maximum(low[rows, slot], forest.threshold[nodes])
    absent[rows, slot] *= forest.cover[children] / forest.cover[nodes]
    return children, feature, low, high, absent


def _to_width(array: np.ndarray, width: int, fill: float) -> np.ndarray:
    """A copy with ``width`` columns: filled on the right, or cut (slots beyond the used ones are padding)."""
    out = np.full((len(array), width), fill, dtype=array.dtype)
    keep = min(width, array.shape[1])
    out[:, :keep] = array[:, :keep]
    return out


def base_value(paths: LeafPaths) -> float:
    """The forest's output when no feature is known: leaves weighted by their covers."""
    return float(np.sum(paths.value * paths.absent.prod(axis=1)))


def shap_values(paths: LeafPaths, x: np.ndarray, n_features: int) -> np.ndarray:
    """Shapley values of one sample; with ``base_value`` they add up to the forest's prediction.

    Parameters
    ----------
    paths : LeafPaths of the forest
    x : array, shape (features,), finite
    n_features : int

    Returns
    -------
    float64 array, shape (features,), probability units
    """
    x32 = np.append(np.asarray(x, dtype=np.float64).astype(np.float32), np.float32(0.0))  # last: for PAD
    asked = x32[paths.feature]
    present = ((asked > paths.low) & (asked <= paths.high)).astype(np.float64)
    shares = paths.value[:, None] * (present - paths.absent) * _weighted_sums(paths.absent, present)
    real = paths.feature != PAD
    return np.bincount(paths.feature[real], weights=shares[real], minlength=n_features)


def _weighted_sums(absent: np.ndarray, present: np.ndarray) -> np.ndarray:
    """For each slot: Shapley weight times product of terms, summed over coalitions of the others."""
    leaves, slots = absent.shape
    weights = [factorial(s) * factorial(slots - 1 - s) / factorial(slots) for s in range(slots)]
    sums = np.empty((leaves, slots))
    for j in range(slots):
        coefficients = [np.ones(leaves)]  # of the polynomial in t, lowest power first
        for k in range(slots):
            if k == j:
                continue
            z, o = absent[:, k], present[:, k]
            coefficients = [
                (z * coefficients[s] if s < len(coefficients) else 0.0) + (o * coefficients[s - 1] if s > 0 else 0.0)
                for s in range(len(coefficients) + 1)
            ]
        sums[:, j] = sum(w * c for w, c in zip(weights, coefficients, strict=True)) if slots else 0.0
    return sums
