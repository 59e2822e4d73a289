"""Flattened forests against scikit-learn and by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mmpl.errors import BundleError
from mmpl.hpv.forest import Forest
from mmpl.training.hpv_classifier import flatten

RNG_SEED = 3

# one tree: x0 <= 0.5 ? (x1 <= 2 ? 0.2 : 0.6) : 0.9, with 10 samples: 6 left (2 and 4), 4 right
BY_HAND = {
    "feature": [0, 1, -1, -1, -1],
    "threshold": [0.5, 2.0, 0.0, 0.0, 0.0],
    "left": [1, 2, -1, -1, -1],
    "right": [4, 3, -1, -1, -1],
    "value": [0.64, 0.4667, 0.2, 0.6, 0.9],
    "cover": [10.0, 6.0, 2.0, 4.0, 4.0],
    "offsets": [0, 5],
    "n_features": 2,
}


def test_a_tree_by_hand():
    x = [[0.5, 2.0], [0.5, 2.1], [0.6, 0.0]]
    assert Forest(**BY_HAND).predict(x).tolist() == [0.2, 0.6, 0.9]


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(RNG_SEED)
    x = rng.normal(size=(150, 8))
    y = (x[:, 0] + 0.5 * x[:, 1] + rng.normal(size=150) > 0).astype(int)
    model = RandomForestClassifier(60, max_depth=6, min_samples_leaf=2, random_state=0, n_jobs=1).fit(x, y)
    return model, flatten(model.estimators_, 8), rng.normal(size=(300, 8))


def test_same_as_scikit_learn(fitted):
    model, forest, x = fitted
    np.testing.assert_allclose(forest.predict(x), model.predict_proba(x)[:, 1], rtol=0, atol=1e-12)


def test_same_as_scikit_learn_within_float32_of_a_threshold(fitted):
    model, forest, x = fitted
    inner = np.flatnonzero(forest.feature >= 0)[:200]
    on_edge = np.repeat(x[:1], len(inner), axis=0)
    nudge = np.where(np.arange(len(inner)) % 2, 1e-12, -1e-12)
    on_edge[np.arange(len(inner)), forest.feature[inner]] = forest.threshold[inner] + nudge
    np.testing.assert_allclose(forest.predict(on_edge), model.predict_proba(on_edge)[:, 1], rtol=0, atol=1e-12)


def test_npz_round_trip_without_pickle(fitted):
    _, forest, x = fitted
    stream = io.BytesIO()
    np.savez(stream, **forest.to_arrays())
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        again = Forest.from_arrays(arrays)
    assert np.array_equal(again.predict(x), forest.predict(x))


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("feature", [2, 1, -1, -1, -1], "outside"),
        ("feature", [-3, 1, -1, -1, -1], "outside"),
        ("left", [1, 1, -1, -1, -1], "after its parent"),  # a cycle
        ("left", [1, 0, -1, -1, -1], "after its parent"),
        ("right", [9, 3, -1, -1, -1], "after its parent"),
        ("right", [3, 3, -1, -1, -1], "exactly one"),  # two parents
        ("left", [1, 2, 4, -1, -1], "a leaf has a child"),
        ("threshold", [np.nan, 2.0, 0, 0, 0], "not finite"),
        ("value", [0.5, 0.5, 0.5, 0.5, 1.5], "outside 0-1"),
        ("value", [0.5, 0.5, 0.5, 0.5, np.nan], "outside 0-1"),
        ("cover", [10.0, 6.0, 0.0, 6.0, 4.0], "not positive"),
        ("cover", [10.0, 6.0, 2.0, 3.0, 4.0], "add up"),
        ("offsets", [0, 4], "span"),
        ("offsets", [0, 0, 5], "no node"),
        ("cover", [1.0], "differ in shape"),
    ],
)
def test_arrays_that_are_no_forest_are_refused(name, value, fault):
    with pytest.raises(BundleError, match=fault):
        Forest(**{**BY_HAND, name: value})


def test_a_missing_array_is_named():
    arrays = {k: np.asarray(v) for k, v in BY_HAND.items() if k != "cover"}
    with pytest.raises(BundleError, match="cover"):
        Forest.from_arrays(arrays)
