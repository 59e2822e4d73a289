"""TreeSHAP against Shapley values by enumeration of all coalitions."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mmpl.hpv.forest import LEAF, Forest
from mmpl.hpv.treeshap import base_value, leaf_paths, shap_values
from mmpl.training.hpv_classifier import flatten


def conditional_expectation(forest: Forest, x, known) -> float:
    """Mean over trees; a split on an unknown feature averages its branches by cover."""

    def value(node: int) -> float:
        feature = forest.feature[node]
        if feature == LEAF:
            return forest.value[node]
        left, right = forest.left[node], forest.right[node]
        if feature in known:
            return value(left if np.float32(x[feature]) <= forest.threshold[node] else right)
        total = forest.cover[left] * value(left) + forest.cover[right] * value(right)
        return total / forest.cover[node]

    return float(np.mean([value(root) for root in forest.offsets[:-1]]))


def shapley_by_enumeration(forest: Forest, x) -> np.ndarray:
    n = forest.n_features
    worth = {
        frozenset(s): conditional_expectation(forest, x, set(s))
        for size in range(n + 1)
        for s in combinations(range(n), size)
    }
    phi = np.zeros(n)
    for coalition, value in worth.items():
        for j in set(range(n)) - coalition:
            weight = factorial(len(coalition)) * factorial(n - len(coalition) - 1) / factorial(n)
            phi[j] += weight * (worth[coalition | {j}] - value)
    return phi


def a_forest(n_features, trees, depth, seed) -> tuple[Forest, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, n_features))
    y = (x[:, 0] * x[:, 1] + x[:, -1] + 0.5 * rng.normal(size=80) > 0).astype(int)
    model = RandomForestClassifier(trees, max_depth=depth, random_state=seed, n_jobs=1).fit(x, y)
    return flatten(model.estimators_, n_features), rng.normal(size=(4, n_features))


@pytest.mark.parametrize(
    ("n_features", "trees", "depth", "seed"), [(3, 4, 6, 0), (5, 3, 4, 1), (8, 2, 7, 2), (4, 3, None, 3)]
)
def test_equals_shapley_values_by_enumeration(n_features, trees, depth, seed):
    forest, rows = a_forest(n_features, trees, depth, seed)
    paths = leaf_paths(forest)
    for x in rows[:2]:
        expected = shapley_by_enumeration(forest, x)
        np.testing.assert_allclose(shap_values(paths, x, n_features), expected, rtol=0, atol=1e-12)
    assert base_value(paths) == pytest.approx(conditional_expectation(forest, rows[0], set()), abs=1e-12)


def test_base_and_effects_add_up_to_the_prediction():
    forest, rows = a_forest(20, 100, 6, 4)
    paths = leaf_paths(forest)
    for x in rows:
        total = base_value(paths) + shap_values(paths, x, 20).sum()
        assert total == pytest.approx(forest.predict(x[None])[0], abs=1e-9)


def test_one_split_by_hand():
    # 3 of 4 samples left (value 0.2), 1 right (0.8): base 0.35; left is 0.15 below it, right 0.45 above
    stump = Forest([0, -1, -1], [0.0, 0, 0], [1, -1, -1], [2, -1, -1], [0.35, 0.2, 0.8], [4, 3, 1], [0, 3], 2)
    paths = leaf_paths(stump)
    assert base_value(paths) == pytest.approx(0.35)
    np.testing.assert_allclose(shap_values(paths, [-1.0, 0.0], 2), [-0.15, 0.0], atol=1e-15)
    np.testing.assert_allclose(shap_values(paths, [1.0, 0.0], 2), [0.45, 0.0], atol=1e-15)


def test_a_forest_of_bare_leaves_has_no_effects():
    bare = Forest([-1, -1], [0, 0], [-1, -1], [-1, -1], [0.4, 0.6], [5, 5], [0, 1, 2], 3)
    paths = leaf_paths(bare)
    assert base_value(paths) == pytest.approx(0.5)
    assert shap_values(paths, [1.0, 2.0, 3.0], 3).tolist() == [0.0, 0.0, 0.0]
