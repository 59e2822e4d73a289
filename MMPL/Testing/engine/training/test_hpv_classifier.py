"""HPV classifier: selection order, SMOTE, settings and threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from mmpl.errors import TrainingError
from mmpl.training import hpv_classifier
from mmpl.training.hpv_classifier import (
    ForestSettings,
    HpvConfig,
    balanced_accuracy,
    balanced_accuracy_threshold,
    choose_settings,
    fit_hpv_member,
    oversample,
)

CLINICAL = ("Age", "G=0", "G=1", "G=Unknown")
SMALL = HpvConfig(top_features=4, trees=(10, 20), depths=(2,), leaf_sizes=(1, 4), inner_folds=3)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    n = 60
    labels = (np.arange(n) % 4 > 0).astype(float)  # 45 positive, 15 negative
    table = pd.DataFrame({"deep": labels + 0.7 * rng.normal(size=n), "Age": rng.normal(size=n)})
    level = rng.integers(0, 3, n)
    for i, column in enumerate(CLINICAL[1:]):
        table[column] = (level == i).astype(float)
    radiomics = pd.DataFrame(rng.normal(size=(n, 12)), columns=[f"r{i}" for i in range(12)])
    radiomics["r3"] += 2 * labels
    radiomics.loc[:4, "r3"] = np.nan
    radiomics["copy"] = radiomics["r3"] * 10
    radiomics["constant"] = 1.0
    return pd.concat([table, radiomics], axis=1), labels


def a_member(rows, config=SMALL, seed=1):
    table, labels = rows
    fit = fit_hpv_member(table, labels, clinical_columns=CLINICAL, deep_column="deep", config=config, seed=seed)
    assert len(fit.member.forest.offsets) - 1 == fit.settings.trees
    return fit.member


def test_kept_columns(rows):
    member = a_member(rows)
    assert {"deep", *CLINICAL, "r3"} <= set(member.columns)
    assert len(member.columns) == 1 + 4 + 4
    assert not {"copy", "constant"} & set(member.columns)
    at = member.columns.index("r3")
    assert member.medians[at] == rows[0]["r3"].median()


def test_the_forest_is_trained_on_as_many_minority_rows_as_majority(rows):
    forest = a_member(rows).forest
    assert set(forest.cover[forest.offsets[:-1]]) == {2 * 45}


def test_rows_without_a_label_change_nothing(rows):
    table, labels = rows
    more = pd.concat([table, table.iloc[:10] + 3.0], ignore_index=True)
    member = a_member((more, np.concatenate([labels, np.full(10, np.nan)])))
    assert_same_member(member, a_member(rows))


def test_the_same_seed_gives_the_same_member(rows):
    assert_same_member(a_member(rows), a_member(rows))


def assert_same_member(one, other):
    assert one.to_dict() == other.to_dict()
    for name, array in one.to_arrays().items():
        assert np.array_equal(array, other.to_arrays()[name])


def test_inner_folds_select_and_oversample_inner_training_rows_only(rows, monkeypatch):
    table, labels = rows
    table = table.assign(tag=np.arange(60.0))
    seen = []

    def spy(inner, inner_labels, neighbours, seed):
        seen.append(set(inner["tag"]))
        return oversample(inner, inner_labels, neighbours, seed)

    monkeypatch.setattr(hpv_classifier, "oversample", spy)
    choose_settings(table, labels.astype(int), ["deep", "tag"], SMALL, 0)
    assert [len(tags) for tags in seen] == [40, 40, 40]
    held_out = [set(range(60)) - tags for tags in seen]
    assert set.union(*held_out) == set(range(60))


def test_fewer_trees_are_the_first_of_more():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    grid = [ForestSettings(7, 3, 2), ForestSettings(20, 3, 2)]
    got = dict(hpv_classifier._grid_predictions(x, y, x, grid, 5))
    forest = RandomForestClassifier(7, max_depth=3, min_samples_leaf=2, random_state=5).fit(x, y)
    np.testing.assert_allclose(got[grid[0]], forest.predict_proba(x)[:, 1], atol=1e-12)


def test_smote_appends_valid_rows_between_minority_rows(rows):
    table, labels = rows
    table = table.drop(columns=["constant", "copy", "r3"])
    x, y = oversample(table, labels, 5, seed=0)
    assert np.bincount(y).tolist() == [45, 45]
    assert np.array_equal(x[:60], table.to_numpy())
    new = pd.DataFrame(x[60:], columns=table.columns)
    assert set(y[60:]) == {0}
    assert np.allclose(new[list(CLINICAL[1:])].sum(axis=1), 1.0)
    assert set(np.unique(new[list(CLINICAL[1:])])) <= {0.0, 1.0}
    minority = table[labels == 0]
    assert (new["deep"] >= minority["deep"].min() - 1e-9).all()
    assert (new["deep"] <= minority["deep"].max() + 1e-9).all()


@pytest.mark.parametrize(("minority", "rows_after"), [(1, 11), (2, 20), (3, 20), (10, 20)])
def test_smote_at_small_minorities(minority, rows_after):
    rng = np.random.default_rng(0)
    labels = np.array([1] * 10 + [0] * minority)
    table = pd.DataFrame({"a": rng.normal(size=len(labels)), "G=0": [0.0, 1.0] * 5 + [1.0] * minority})
    x, y = oversample(table, labels, 5, seed=0)
    assert len(x) == len(y) == rows_after


def test_smote_without_categories():
    rng = np.random.default_rng(0)
    x, _ = oversample(pd.DataFrame({"a": rng.normal(size=9)}), np.array([1] * 6 + [0] * 3), 5, seed=0)
    assert len(x) == 12


def test_one_class_cannot_be_trained_on(rows):
    table, labels = rows
    with pytest.raises(TrainingError, match="45 positive, 0 negative"):
        a_member((table, np.where(labels == 1, 1.0, np.nan)))


def test_a_missing_column_is_named(rows):
    table, labels = rows
    with pytest.raises(TrainingError, match="'G=1'"):
        a_member((table.drop(columns="G=1"), labels))


def test_balanced_accuracy_by_hand():
    # 2 of 3 positives and 1 of 2 negatives
    assert balanced_accuracy(np.array([1, 1, 0, 1, 0]) == 1, np.array([1, 1, 1, 0, 0])) == pytest.approx(7 / 12)


@pytest.mark.parametrize(
    ("probabilities", "labels", "threshold"),
    [
        ([0.1, 0.3, 0.7, 0.9], [0, 0, 1, 1], 0.5),
        ([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1], 0.75),
        ([0.1, 0.2, 0.6, 0.9], [0, 1, 0, 1], 0.75),  # 0.15 is as good but further from 0.5
        ([0.4, 0.4], [0, 1], 0.5),
    ],
)
def test_threshold(probabilities, labels, threshold):
    got = balanced_accuracy_threshold(np.array(probabilities), np.array(labels))
    assert got == pytest.approx(threshold)


def test_threshold_needs_both_classes():
    with pytest.raises(TrainingError, match="one class"):
        balanced_accuracy_threshold(np.array([0.2, 0.3]), np.array([1, 1]))


@pytest.mark.parametrize(
    "bad",
    [{"trees": ()}, {"depths": (0,)}, {"top_features": -1}, {"spearman_limit": 0.0}, {"inner_folds": 1}],
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(TrainingError):
        HpvConfig(**bad)
