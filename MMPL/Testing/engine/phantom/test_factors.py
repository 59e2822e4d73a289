"""Rates, balance and learnability of the synthetic truth, without rendering."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from mmpl.errors import InputError
from mmpl.phantom import factors
from mmpl.phantom.factors import draw_factors

SEED = 7
SEEDS, PER_SEED = (7, 11, 2025), 1000
FOLDS = 5
TYPICAL = {"Age": 60, "Performance Status": 1}


@pytest.fixture(scope="module")
def population():
    return [draw_factors(seed, index) for seed in SEEDS for index in range(PER_SEED)]


@pytest.fixture(scope="module")
def oracle(population):
    """Design matrices of images alone, of the record alone; HPV, relapse, days."""
    images = np.array(
        [[*p.tumour.z.values(), p.tumour.primary_ml > 0, len(p.tumour.node_ml) > 0] for p in population],
        float,
    )
    record = np.array([_record_row(p.record) for p in population], float)
    images, record = (_standardised(m) for m in (images, record))
    hpv, relapse, days = np.array([(p.hpv_status, p.relapse, p.rfs_days) for p in population]).T
    return {"images": images, "record": record}, hpv, relapse, days


def _standardised(design):
    design = design[:, design.std(axis=0) > 0]
    return (design - design.mean(axis=0)) / design.std(axis=0)


def _record_row(record):
    row = []
    for name, value in record.items():
        row.append(TYPICAL.get(name, 0.5) if value is None else value)
        row.append(value is None)
    return row


def _folds(count):
    """Train and test rows; every fold holds patients of every seed."""
    fold = np.arange(count) % FOLDS
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]


def _auc(design, label):
    """Mean over folds of the AUC on patients the model did not see."""
    scores = []
    for train, test in _folds(len(label)):
        model = LogisticRegression(max_iter=500).fit(design[train], label[train])
        scores.append(roc_auc_score(label[test], model.decision_function(design[test])))
    return np.mean(scores)


def _c_index(design, relapse, days):
    """Mean over folds of Harrell's C-index on patients the model did not see."""
    table = pd.DataFrame(design).assign(days=days, relapse=relapse)
    scores = []
    for train, test in _folds(len(days)):
        model = CoxPHFitter(penalizer=0.001).fit(table.iloc[train], "days", "relapse")
        risk = model.predict_log_partial_hazard(table.iloc[test])
        scores.append(concordance_index(days[test], -risk, relapse[test]))
    return np.mean(scores)


def test_hpv_oracle_stays_in_its_window(oracle):
    parts, hpv, _, _ = oracle
    both = _auc(np.hstack([parts["images"], parts["record"]]), hpv)
    assert 0.93 <= both <= 0.97
    assert 0.84 <= _auc(parts["images"], hpv) <= 0.88
    assert 0.71 <= _auc(parts["record"], hpv) <= 0.78


def test_rfs_oracle_stays_in_its_window(oracle):
    parts, hpv, relapse, days = oracle
    both = _c_index(np.hstack([parts["images"], parts["record"], hpv[:, None]]), relapse, days)
    assert 0.76 <= both <= 0.80
    assert 0.68 <= _c_index(parts["images"], relapse, days) <= 0.76
    assert 0.59 <= _c_index(parts["record"], relapse, days) <= 0.66


def test_hpv_positive_is_protective_and_shows_in_the_tumour(population):
    positive = [p for p in population if p.hpv_status]
    negative = [p for p in population if not p.hpv_status]
    for name, sign in (
        ("enhancement", 1),
        ("node_necrosis", 1),
        ("heterogeneity", -1),
        ("log_primary_ml", -1),
    ):
        gap = np.mean([p.tumour.z[name] for p in positive]) - np.mean([p.tumour.z[name] for p in negative])
        assert sign * gap > 0.3, name
    assert np.mean([p.relapse for p in positive]) < np.mean([p.relapse for p in negative]) - 0.05


def test_classes_and_events_are_balanced_in_cohorts_of_400(population):
    for start in range(0, 2801, 400):
        cohort = population[start : start + 400]
        assert 0.35 <= np.mean([p.hpv_status for p in cohort]) <= 0.65
        assert np.mean([p.relapse for p in cohort]) >= 0.40


def test_lesions_stay_within_their_limits(population):
    primaries = np.array([p.tumour.primary_ml for p in population])
    nodes = [p.tumour.node_ml for p in population]
    each = np.concatenate(nodes)
    assert 0.02 < np.mean(primaries == 0) < 0.06
    assert 0.06 < np.mean([len(n) == 0 for n in nodes]) < 0.10
    assert max(len(n) for n in nodes) == 6
    assert all(p or n for p, n in zip(primaries, nodes, strict=True))
    assert primaries[primaries > 0].min() >= 1.0
    assert primaries.max() <= 40.0
    assert each.min() >= 0.3
    assert each.max() <= 40.0
    assert 2.0 < np.median(each) < 4.0


def test_follow_up_stays_within_its_limits(population):
    days = np.array([p.rfs_days for p in population])
    assert days.min() >= 30
    assert days.max() <= 4500
    assert np.all(days == np.round(days))


def test_record_has_hectors_columns_types_and_missing_rates(population):
    assert list(population[0].record) == list(factors.MISSING_RATES)
    for name, rate in factors.MISSING_RATES.items():
        values = [p.record[name] for p in population]
        assert np.mean([v is None for v in values]) == pytest.approx(rate, abs=0.03)
        assert all(isinstance(v, int) for v in values if v is not None)
    assert {p.record["Performance Status"] for p in population} == {None, 0, 1, 2, 3, 4}


def test_centres_have_their_shares(population):
    centers = np.array([p.center_id for p in population])
    for center_id, share in factors.CENTER_SHARES.items():
        assert np.mean(centers == center_id) == pytest.approx(share, abs=0.03)


def test_a_patient_depends_on_seed_and_index_alone():
    alone = draw_factors(SEED, 5)
    in_a_row = [draw_factors(SEED, index) for index in range(8)][5]
    assert alone == in_a_row
    assert alone.patient_id == "PHA-0005"
    assert draw_factors(SEED + 1, 5) != alone


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_seed_or_index_is_refused(seed, index):
    with pytest.raises(InputError, match="0 or more"):
        draw_factors(seed, index)
