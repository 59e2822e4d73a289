"""Feature selection, by hand and against optimality conditions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.stats import chi2, spearmanr

from mmpl.errors import TrainingError
from mmpl.survival.cox import log_partial_likelihood
from mmpl.training.selection import (
    FieldTest,
    LassoChoice,
    LassoConfig,
    _one_standard_error,
    field_tests,
    free_columns,
    impute,
    lasso_cox,
    lasso_cox_path,
    likelihood_ratio_p,
    top_by_auc,
    training_medians,
    uncorrelated_columns,
    univariate_auc,
    varying_columns,
)


def test_medians_ignore_what_is_not_finite():
    table = pd.DataFrame({"a": [1.0, np.nan, 3.0, np.inf], "b": [np.nan] * 4})
    medians = training_medians(table)
    assert medians["a"] == 2.0
    assert impute(table, medians).to_dict("list") == {"a": [1.0, 2.0, 3.0, 2.0]}


def test_constants_are_found():
    assert varying_columns(pd.DataFrame({"a": [1.0, 1.0], "b": [1.0, 2.0]})) == ["b"]


def test_auc_by_hand():
    # positives 2 and 4 against 1 and 3: three of four pairs in order; all ties count half
    table = pd.DataFrame({"a": [1.0, 2, 3, 4], "reverse": [4.0, 3, 2, 1], "tied": [7.0] * 4})
    assert univariate_auc(table, np.array([0, 1, 0, 1])).tolist() == [0.75, 0.25, 0.5]


def test_auc_needs_both_classes():
    with pytest.raises(TrainingError, match="2 positive and 0 negative"):
        univariate_auc(pd.DataFrame({"a": [1.0, 2.0]}), np.array([1, 1]))


def test_the_best_are_those_furthest_from_chance_in_either_direction():
    labels = np.array([0, 0, 1, 1])
    table = pd.DataFrame({"weak": [1.0, 3, 2, 4], "none": [1.0, 4, 2, 3], "reverse": [4.0, 3, 2, 1]})
    assert top_by_auc(table, labels, 1) == ["reverse"]
    assert top_by_auc(table, labels, 2) == ["weak", "reverse"]
    assert top_by_auc(table, labels, 9) == ["weak", "none", "reverse"]
    assert top_by_auc(table[[]], labels, 2) == []


@pytest.fixture
def correlated():
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=60), rng.normal(size=60)
    return pd.DataFrame({"a": a, "a_cubed": a**3, "c": c, "minus_c": -np.exp(c)})


def test_one_of_a_monotone_pair_is_kept_the_first(correlated):
    assert uncorrelated_columns(correlated) == ["a", "c"]


def test_protected_columns_stay_and_push_the_others_out(correlated):
    assert uncorrelated_columns(correlated, protected=["minus_c"]) == ["a", "minus_c"]
    assert uncorrelated_columns(correlated, protected=["a", "a_cubed"]) == ["a", "a_cubed", "c"]


def test_the_limit_is_spearmans_with_ties():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 6, 50).astype(float)
    table = pd.DataFrame({"a": a, "b": a + rng.integers(0, 4, 50)})
    rho = abs(spearmanr(table["a"], table["b"]).statistic)
    assert uncorrelated_columns(table, limit=rho - 1e-6) == ["a"]
    assert uncorrelated_columns(table, limit=rho + 1e-6) == ["a", "b"]


def test_no_columns_give_no_columns():
    assert uncorrelated_columns(pd.DataFrame(index=range(5))) == []


def test_the_commonest_level_is_the_reference():
    table = pd.DataFrame({"G=0": [1.0, 0, 0], "G=1": [0.0, 1, 1], "G=Unknown": [0.0, 0, 0], "Age": [1.0, 2, 3]})
    assert free_columns(table, ["G=0", "G=1", "G=Unknown"]) == ["G=0"]
    assert free_columns(table, ["Age"]) == ["Age"]


def survival_cohort(n=120, noise=20, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, noise + 2))
    time = rng.exponential(1000 * np.exp(-1.0 * x[:, 0] + 0.8 * x[:, 1]))
    event = (rng.random(n) < 0.7).astype(float)
    table = pd.DataFrame(x, columns=["risk", "shield", *(f"noise{i}" for i in range(noise))])
    return table, time, event


def test_one_likelihood_ratio_test_for_all_levels_of_a_variable():
    table, time, event = survival_cohort()
    levels = pd.DataFrame({"P=1": table["risk"] > 0.5, "P=2": table["risk"] < -0.5}).astype(float)
    frame = levels.assign(T=time, E=event)
    fit = CoxPHFitter().fit(frame, "T", "E")
    statistic = 2 * (fit.log_likelihood_ - log_partial_likelihood(np.zeros(len(time)), time, event))
    assert likelihood_ratio_p(levels, time, event) == pytest.approx(chi2.sf(statistic, 2), rel=1e-5)


def test_a_level_without_events_can_still_be_tested():
    _, time, event = survival_cohort()
    never = np.zeros(len(time))
    never[np.flatnonzero(event == 0)[:25]] = 1.0
    time = np.where(never == 1, 5000.0, time)
    assert likelihood_ratio_p(pd.DataFrame({"L=1": never}), time, event) < 1e-3


def test_each_variable_is_tested_with_its_free_columns():
    table, time, event = survival_cohort()
    table = table.assign(**{"G=0": 1.0, "G=1": 0.0})
    fields = {"Risk": ["risk"], "Gender": ["G=0", "G=1"]}
    tests = field_tests(table, time, event, fields)
    assert tests["Risk"] == FieldTest(likelihood_ratio_p(table[["risk"]], time, event), ("risk",))
    assert tests["Risk"].p < 0.05
    assert tests["Gender"] == FieldTest(1.0, ())
    assert field_tests(table, time, event, {}) == {}


def test_lasso_path_meets_the_optimality_conditions():
    table, time, event = survival_cohort(80, 6)
    x, alphas = table.to_numpy(), np.array([0.2, 0.05])

    def gradient(w, step=1e-6):
        shifts = step * np.eye(len(w))
        rise = [
            log_partial_likelihood(x @ (w + s), time, event) - log_partial_likelihood(x @ (w - s), time, event)
            for s in shifts
        ]
        return -np.array(rise) / (2 * step) / len(time)

    for alpha, w in zip(alphas, lasso_cox_path(x, time, event, alphas), strict=True):
        g, used = gradient(w), w != 0
        assert 0 < used.sum() < len(w)
        np.testing.assert_allclose(g[used], -alpha * np.sign(w[used]), atol=2e-5)
        assert np.all(np.abs(g[~used]) <= alpha + 2e-5)


def test_lasso_finds_what_matters():
    table, time, event = survival_cohort()
    choice = lasso_cox(table, time, event, LassoConfig(), seed=0)
    assert {"risk", "shield"} <= set(choice.columns)
    assert len(choice.columns) <= choice.cap == int(event.sum()) // 10
    assert choice.offered == 22
    x = ((table - table.mean()) / table.std(ddof=0)).to_numpy()
    (weights,) = lasso_cox_path(x, time, event, np.array([choice.alpha]))
    assert tuple(table.columns[weights != 0]) == choice.columns


def test_lasso_keeps_at_most_a_tenth_of_the_events():
    table, time, event = survival_cohort()
    event[np.flatnonzero(event)[15:]] = 0
    assert len(lasso_cox(table, time, event, LassoConfig(), seed=0).columns) <= 1
    event[np.flatnonzero(event)[9:]] = 0
    assert lasso_cox(table, time, event, LassoConfig(), seed=0) == LassoChoice((), 22, 0)


def test_lasso_without_columns_keeps_none():
    _, time, event = survival_cohort()
    assert lasso_cox(pd.DataFrame(index=range(120)), time, event, LassoConfig(), seed=0).columns == ()


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        # means 0, 4.2, 5, 6, 4: the best's standard error is 2 / sqrt(3) = 1.15, so that 4.85 is enough
        ([[0, 3.0, 4, 4, 2], [0, 5.0, 7, 8, 6], [0, 4.6, 4, 6, 4]], 2),
        ([[0, 3.0, 4, 5.5, 2], [0, 5.0, 7, 6.5, 6], [0, 4.6, 4, 6, 4]], 3),  # 0.29: nothing else is near the best
        ([[4, 4], [4, 6]], 0),  # 5 less its error of 1 is 4
        ([[0, 2, 1, 2], [0, 2, 1, 2]], 1),  # of two that are best the larger penalty
        ([[0, 0, 0]] * 3, 0),
        ([[0, 3, 5, 5, 4]], 2),  # one fold has no standard error
    ],
)
def test_the_largest_penalty_within_one_standard_error_by_hand(scores, chosen):
    """A column a penalty, from the largest down; a row an inner fold."""
    assert _one_standard_error(np.array(scores, dtype=float)) == chosen


@pytest.mark.parametrize("bad", [{"n_alphas": 1}, {"alpha_ratio": 1.0}, {"inner_folds": 1}])
def test_impossible_lasso_settings_are_refused(bad):
    with pytest.raises(TrainingError):
        LassoConfig(**bad)
