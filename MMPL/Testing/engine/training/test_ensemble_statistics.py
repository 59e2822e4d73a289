"""Folds without leakage: validation rows change nothing that is fitted; training rows do."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import TrainingError
from mmpl.training.cohort_table import (
    CohortTable,
    Scale,
    default_scales,
    feature_table,
    out_of_fold_scales,
    standardised,
)
from mmpl.training.ensemble_statistics import (
    StatisticsConfig,
    fit_ensemble,
    fit_hpv_fold,
    fit_rfs_fold,
    out_of_fold_probabilities,
)
from mmpl.training.hpv_classifier import HpvConfig
from mmpl.training.rfs_model import RfsConfig
from mmpl.training.selection import LassoConfig

CONFIG = StatisticsConfig(
    hpv=HpvConfig(top_features=5, trees=(10,), depths=(2, 3), leaf_sizes=(3,), inner_folds=2),
    rfs=RfsConfig(lasso=LassoConfig(n_alphas=8, inner_folds=3)),
)


def a_cohort(n=90, folds=3, seed=0, radiomics=10) -> CohortTable:
    rng = np.random.default_rng(seed)
    hpv = (np.arange(n) % 3 > 0).astype(float)
    hazard = rng.normal(size=n)
    features = pd.DataFrame(rng.normal(size=(n, radiomics)), columns=[f"r{i}" for i in range(radiomics)])
    features["r0"] += 2 * hazard
    features["r1"] += hpv
    features.loc[::9, "r2"] = np.nan
    features["missing_GTVn"] = (rng.random(n) < 0.2).astype(float)
    clinical = [
        {
            "Age": float(rng.integers(40, 80)),
            "Gender": rng.choice(["M", "F", ""]),
            "Performance Status": int(rng.integers(0, 3)),
        }
        for _ in range(n)
    ]
    fold = (np.arange(n) // 3) % folds  # one negative to two positives in each
    hpv[::10] = np.nan
    time = 1000 * np.exp(-hazard) * rng.weibull(2.5, n)
    event = (rng.random(n) < 0.6).astype(float)
    event[5::11] = np.nan
    logit = np.nan_to_num(hpv, nan=0.5) * 2 + rng.normal(size=n) + fold  # each network has its own offset
    days = 1500 - 300 * hazard + 200 * rng.normal(size=n)
    ids = tuple(f"P{i:03d}" for i in range(n))
    return CohortTable(ids, fold, clinical, features, logit, days, hpv, time, event)


@pytest.fixture(scope="module")
def cohort():
    return a_cohort()


@pytest.fixture(scope="module")
def standard(cohort):
    return standardised(cohort, *default_scales(cohort))


def altered(table: CohortTable, rows: np.ndarray) -> CohortTable:
    """Everything about the given patients changed: images' features, record and outcome."""
    rng = np.random.default_rng(99)
    n = len(rows)
    radiomics = table.radiomics.copy()
    radiomics.iloc[rows] = 50 + rng.normal(size=(n, radiomics.shape[1]))
    clinical = list(table.clinical)
    for i in rows:
        clinical[i] = {"Age": 99, "Gender": "F", "Performance Status": 4, "M-stage": 1}
    values = {
        name: np.where(np.isin(np.arange(len(table.fold)), rows), new, getattr(table, name))
        for name, new in (
            ("deep_hpv", 9.0),
            ("deep_days", -5.0),
            ("hpv", 1 - np.nan_to_num(table.hpv)),
            ("time_days", 7.0),
            ("event", 1.0),
        )
    }
    return replace(table, radiomics=radiomics, clinical=clinical, **values)


def hpv_numbers(hpv_fold) -> str:
    """All fitted numbers of encoder and HPV member, to the last bit."""
    member = hpv_fold.member
    arrays = {k: v.tobytes().hex() for k, v in member.to_arrays().items()}
    return json.dumps([hpv_fold.encoder.to_dict(), member.to_dict(), arrays])


def fitted(table, probability, fold) -> tuple[str, str]:
    """What is fitted for one fold: encoder and HPV member; Cox member."""
    hpv_fold = fit_hpv_fold(table, fold, CONFIG.hpv, seed=1)
    cox = fit_rfs_fold(table, probability, fold, hpv_fold.encoder, CONFIG.rfs, seed=1).member
    return hpv_numbers(hpv_fold), json.dumps(cox.to_dict())


@pytest.fixture(scope="module")
def probability(standard):
    return np.random.default_rng(4).random(len(standard.fold))


@pytest.fixture(scope="module")
def untouched(standard, probability):
    return fitted(standard, probability, 1)


def test_validation_rows_change_nothing_that_is_fitted(standard, probability, untouched):
    rows = np.flatnonzero(standard.fold == 1)
    other = probability.copy()
    other[rows] = 0.99
    assert fitted(altered(standard, rows), other, 1) == untouched


def test_training_rows_do_change_what_is_fitted(standard, probability, untouched):
    rows = np.flatnonzero(standard.fold == 0)[:1]
    hpv, cox = fitted(altered(standard, rows), probability, 1)
    assert hpv != untouched[0]
    assert cox != untouched[1]


def test_a_training_rows_hpv_probability_changes_the_cox_model(standard, probability, untouched):
    other = probability.copy()
    other[np.flatnonzero((standard.fold == 0) & standard.has_follow_up)[0]] += 0.3
    hpv, cox = fitted(standard, other, 1)
    assert hpv == untouched[0]
    assert cox != untouched[1]


def test_probabilities_come_from_the_fold_that_did_not_train_on_the_row(standard):
    folds = [fit_hpv_fold(standard, f, CONFIG.hpv, seed=f) for f in range(3)]
    got = out_of_fold_probabilities(standard, folds)
    for i in (0, 17, 44):
        own = folds[standard.fold[i]]
        row = feature_table(standard, own.encoder, np.array([i])).iloc[0].to_dict()
        assert got[i] == own.member.predict(row)


def test_scales_are_each_networks_own():
    """Of ten and more; equal scores have no sd."""
    scores = np.array([1.0, 3.0] * 5 + [10.0] * 12)
    assert out_of_fold_scales(scores, np.repeat([0, 1], (10, 12))) == (Scale(2.0, 1.0), Scale(10.0, 1.0))


def test_a_small_fold_takes_the_sd_within_all():
    """Two scores of 7.0 and 7.2 would make an sd of 0.1, and of a new patient's score of 9 a z of 19."""
    fold = np.repeat([0, 1, 2, 3], (10, 2, 1, 1))
    scores = np.array([1.0, 3.0] * 5 + [7.0, 7.2, 4.0, np.nan])
    within = math.sqrt((10 * 1.0 + 2 * 0.1**2) / (9 + 1))
    means, sds = zip(*((scale.mean, scale.sd) for scale in out_of_fold_scales(scores, fold)), strict=True)
    assert means == pytest.approx((2.0, 7.1, 4.0, 0.0))
    assert sds == pytest.approx((1.0, within, within, within))


def test_folds_of_one_have_no_sd():
    assert out_of_fold_scales(np.array([5.0, 6.0]), np.array([0, 1])) == (Scale(5.0, 1.0), Scale(6.0, 1.0))


def test_standardised_scores_have_the_same_figures_in_every_fold(standard):
    for f in range(3):
        own = standard.deep_hpv[standard.fold == f]
        assert own.mean() == pytest.approx(0.0, abs=1e-12)
        assert own.std() == pytest.approx(1.0)


@pytest.fixture(scope="module")
def ensemble(cohort):
    other = (np.arange(len(cohort.fold)) // 9) % 3
    second = replace(cohort, fold=other, deep_hpv=cohort.deep_hpv - cohort.fold + other)
    return fit_ensemble([cohort, second], CONFIG, seed=7)


def test_one_member_a_fold_and_split(ensemble):
    assert [m.fold for m in ensemble.members] == [0, 1, 2, 0, 1, 2]
    assert len(ensemble.out_of_fold) == 180
    assert list(ensemble.metrics["fold"]) == ["0", "1", "2", "pooled"] * 2
    assert ensemble.rfs_last_day == min(m.rfs.event_times[-1] for m in ensemble.members)


def test_members_reproduce_the_out_of_fold_rows_from_raw_scores(cohort, ensemble):
    i = 20
    member = ensemble.members[cohort.fold[i]]
    row = {
        **member.encoder.encode(cohort.records[i]),
        **cohort.radiomics.iloc[i].to_dict(),
        DEEP_HPV: cohort.deep_hpv[i],
        DEEP_DAYS: cohort.deep_days[i],
    }
    probability = member.hpv.predict(row)
    expected = ensemble.out_of_fold.iloc[i]
    assert probability == pytest.approx(expected["hpv_probability"], abs=1e-12)
    risk = member.rfs.standardised_risk({**row, HPV_PROBABILITY: probability})
    assert risk == pytest.approx(expected["risk"], abs=1e-9)


def test_cut_points_divide_the_out_of_fold_risk_in_thirds(ensemble):
    low, high = ensemble.risk_tertiles
    risk = ensemble.out_of_fold["risk"]
    assert [(risk <= low).sum(), (risk > high).sum()] == [60, 60]


def test_signal_in_the_table_is_found(ensemble):
    pooled = ensemble.metrics[ensemble.metrics["fold"] == "pooled"]
    assert (pooled["auc"] > 0.7).all()
    assert (pooled["c_index"] > 0.65).all()
    assert (pooled["balanced_accuracy"] > 0.65).all()


def test_given_scales_are_used(cohort):
    scales = ([Scale(0.0, 2.0)] * 3, [Scale(1000.0, 100.0)] * 3)
    only = replace(CONFIG, hpv=replace(CONFIG.hpv, depths=(2,)))
    members = fit_ensemble([cohort], only, seed=0, scales=[scales]).members
    assert {(m.hpv.deep_mean, m.hpv.deep_sd, m.rfs.deep_mean, m.rfs.deep_sd) for m in members} == {
        (0.0, 2.0, 1000.0, 100.0)
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"fold": np.zeros(90, dtype=int)}, "at least two folds"),
        ({"fold": np.arange(90) % 3 + 1}, "none of them empty"),
        ({"hpv": np.full(90, 2.0)}, "P000: hpv is 2"),
        ({"hpv": np.zeros(3)}, "3 rows of hpv for 90 patients"),
        ({"deep_days": np.full(90, np.nan)}, "P000: deep_days"),
        ({"time_days": np.full(90, -1.0)}, "negative follow-up"),
        ({"patient_ids": ("P",) * 90}, "comes twice"),
        ({"clinical": [{"Age": 500}] * 90}, "patient P000: Age is 500"),
    ],
)
def test_impossible_tables_are_refused(cohort, change, fault):
    with pytest.raises(TrainingError, match=fault):
        replace(cohort, **change)


@pytest.mark.slow
def test_shuffled_outcomes_give_chance():
    """Selection, SMOTE and settings inside the folds: without a signal, no out-of-fold AUC and no C-index."""
    table, noise = a_cohort(n=200, folds=5, radiomics=60), np.random.default_rng(0)
    found = []
    for shuffle in range(20):
        hpv, follow_up = noise.permutation(200), noise.permutation(200)
        null = replace(table, hpv=table.hpv[hpv], time_days=table.time_days[follow_up], event=table.event[follow_up])
        metrics = fit_ensemble([null], CONFIG, shuffle).metrics
        found.append(metrics[metrics["fold"] == "pooled"][["auc", "c_index"]].iloc[0])
    mean = pd.DataFrame(found).mean()
    assert mean["auc"] <= 0.55
    assert mean["c_index"] <= 0.55
    true = fit_ensemble([table], CONFIG, 0).metrics
    true = true[true["fold"] == "pooled"].iloc[0]
    assert min(true["auc"], true["c_index"]) > 0.65  # and with one, it is found
