"""The statistics' ablations on rows whose figures are known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines.utils import concordance_index
from sklearn.metrics import roc_auc_score

from mmpl.training.ablation.outcomes import COX, DEEP, WITH_ALL, hpv_comparisons, rfs_comparisons, split_comparisons
from mmpl.training.cohort_table import CohortTable, default_scales, standardised
from mmpl.training.ensemble_statistics import EnsembleStatistics
from mmpl.training.hpv_classifier import balanced_accuracy_threshold

N = 80


@pytest.fixture(scope="module")
def table() -> CohortTable:
    draw = np.random.default_rng(2)
    hpv = draw.integers(0, 2, N).astype(float)
    hpv[::9] = np.nan
    time, event = draw.uniform(50, 3000, N), draw.integers(0, 2, N).astype(float)
    event[::7] = np.nan
    return CohortTable(
        patient_ids=tuple(f"P{n:02d}" for n in range(N)),
        fold=np.arange(N) % 2,
        clinical=[{} for _ in range(N)],
        radiomics=pd.DataFrame(index=range(N)),
        deep_hpv=np.nan_to_num(hpv, nan=0.5) + draw.normal(size=N) + 5 * (np.arange(N) % 2),
        deep_days=time + draw.normal(0, 900, N) + 4000 * (np.arange(N) % 2),
        hpv=hpv,
        time_days=time,
        event=event,
    )


def _statistics(tables, probability, risk) -> EnsembleStatistics:
    """Out-of-fold rows as :func:`fit_ensemble` gives them, with figures of our own; nothing else is read."""
    rows = [
        pd.DataFrame(
            {
                "split": n,
                "patient_id": t.patient_ids,
                "fold": t.fold,
                "hpv": t.hpv,
                "hpv_probability": probability[n],
                "time_days": t.time_days,
                "event": t.event,
                "risk": risk[n],
            }
        )
        for n, t in enumerate(tables)
    ]
    return EnsembleStatistics((), 0.5, (0.0, 1.0), pd.concat(rows, ignore_index=True), pd.DataFrame())


@pytest.fixture(scope="module")
def perfect(table):
    """Forests and Cox models that know the truth."""
    return _statistics([table], [np.nan_to_num(table.hpv, nan=0.3)], [-table.time_days])


def test_hpv_arms_are_the_standardised_logit_and_the_forest(table, perfect):
    auc, accuracy = hpv_comparisons(["patient"], [table], perfect)
    known = np.isfinite(table.hpv)
    logit = standardised(table, *default_scales(table)).deep_hpv
    assert auc.plain == (DEEP, auc.plain[1])
    assert auc.plain[1].value == pytest.approx(roc_auc_score(table.hpv[known], logit[known]))
    assert auc.full[0] == WITH_ALL
    assert auc.full[1].value == accuracy.full[1].value == 1.0
    assert auc.patients == int(known.sum())
    assert auc.verdict == f"{WITH_ALL} is better"


def test_either_arm_is_cut_at_one_threshold_of_all_splits(table):
    """Forests that say what the deep score says score the same, though either split has another best threshold."""
    noise = np.random.default_rng(4).normal(0.5, 2, N)
    tables = [table, replace(table, deep_hpv=table.deep_hpv + noise)]
    same = [1 / (1 + np.exp(-standardised(t, *default_scales(t)).deep_hpv)) for t in tables]
    parts = [(p[np.isfinite(t.hpv)], t.hpv[np.isfinite(t.hpv)]) for p, t in zip(same, tables, strict=True)]
    threshold = balanced_accuracy_threshold(*(np.concatenate(both) for both in zip(*parts, strict=True)))
    assert len({balanced_accuracy_threshold(*part) for part in parts}) == 2
    statistics = replace(_statistics(tables, same, [np.zeros(N)] * 2), hpv_threshold=threshold)
    for row in hpv_comparisons(["patient", "centre"], tables, statistics):
        assert row.plain[1].value == row.full[1].value, row.what


def test_rfs_arms_are_the_negative_days_and_the_cox_risk(table, perfect):
    (row,) = rfs_comparisons(["patient"], [table], perfect)
    known = table.has_follow_up
    days = standardised(table, *default_scales(table)).deep_days
    expected = concordance_index(table.time_days[known], days[known], table.event[known])
    assert row.plain[1].value == pytest.approx(expected)
    assert row.full == (COX, row.full[1])
    assert row.full[1].value == 1.0
    assert row.verdict == f"{COX} is better"


def test_the_same_scores_are_inconclusive(table):
    standard = standardised(table, *default_scales(table))
    same = _statistics([table], [1 / (1 + np.exp(-standard.deep_hpv))], [-standard.deep_days])
    auc, _ = hpv_comparisons(["patient"], [table], same)
    (c,) = rfs_comparisons(["patient"], [table], same)
    assert (auc.difference.value, c.difference.value) == (0.0, 0.0)
    assert (auc.verdict, c.verdict) == ("inconclusive", "inconclusive")


def test_splits_are_compared_on_the_same_patients(table):
    draw = np.random.default_rng(0)
    noise, known = draw.uniform(size=N), np.isfinite(table.hpv)
    centre = replace(table, fold=(np.arange(N) // 2) % 2)
    both = _statistics([table, centre], [np.nan_to_num(table.hpv, nan=0.3), noise], [-table.time_days, noise])
    auc, c = split_comparisons(["patient", "centre"], both)
    assert (auc.full[0], auc.full[1].value, c.full[1].value) == ("patient split", 1.0, 1.0)
    assert auc.plain[0] == "centre split"
    assert auc.plain[1].value == pytest.approx(roc_auc_score(table.hpv[known], noise[known]))


def test_one_split_has_nothing_to_be_compared_with(perfect):
    assert split_comparisons(["patient"], perfect) == []
