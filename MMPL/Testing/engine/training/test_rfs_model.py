"""RFS model: candidates, fit, ridge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError

from mmpl.errors import TrainingError
from mmpl.training import rfs_model
from mmpl.training.rfs_model import RfsConfig, fit_rfs_member
from mmpl.training.selection import LassoConfig

FIELDS = {"Age": ["Age"], "M-stage": ["M-stage=0", "M-stage=1", "M-stage=Unknown"]}
RADIOMICS = [f"r{i}" for i in range(8)]


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    n = 150
    stage = (rng.random(n) < 0.3).astype(float)
    table = pd.DataFrame({"days": rng.normal(size=n), "hpv": rng.random(n), "Age": rng.normal(size=n)})
    table = table.assign(**{"M-stage=0": 1 - stage, "M-stage=1": stage, "M-stage=Unknown": 0.0})
    table[RADIOMICS] = rng.normal(size=(n, 8))
    hazard = -0.7 * table["days"] + 1.5 * stage + 0.9 * table["r2"]
    time = rng.exponential(1000 * np.exp(-hazard))
    event = (rng.random(n) < 0.7).astype(float)
    table.loc[:6, "r2"] = np.nan
    return table, time, event


def a_member(rows, **settings):
    return a_fit(rows, **settings).member


def a_fit(rows, **settings):
    table, time, event = rows
    config = RfsConfig(**{"lasso": LassoConfig(n_alphas=12), **settings})
    return fit_rfs_member(
        table,
        time,
        event,
        clinical_fields=FIELDS,
        radiomics_columns=RADIOMICS,
        deep_column="days",
        hpv_column="hpv",
        config=config,
        seed=0,
    )


def test_candidates(rows):
    columns = a_member(rows).columns
    assert columns[:2] == ("days", "hpv")
    assert "r2" in columns
    assert "M-stage=1" in columns  # the commonest level, 0, is the reference
    assert not {"M-stage=0", "M-stage=Unknown"} & set(columns)


def test_how_the_covariates_were_chosen_is_told(rows):
    fit = a_fit(rows)
    clinical = [c for test in fit.tests.values() if test.p < 0.05 for c in test.columns]
    assert fit.member.columns == ("days", "hpv", *fit.lasso.columns, *clinical)
    assert list(fit.tests) == list(FIELDS)
    assert fit.lasso.offered == len(RADIOMICS)


def test_coefficients_are_lifelines_and_the_ridge_is_kept(rows):
    table, time, event = rows
    member = a_member(rows, ridges=(0.05,))
    filled = table.fillna(table.median())[list(member.columns)]
    standard = (filled - filled.mean()) / filled.std(ddof=0)
    fit = CoxPHFitter(penalizer=0.05).fit(standard.assign(T=time, E=event), "T", "E")
    np.testing.assert_allclose(member.coefficients, fit.params_, rtol=1e-6)
    assert member.ridge == 0.05
    lp = standard.to_numpy() @ fit.params_.to_numpy()
    assert member.lp_sd == pytest.approx(lp.std())
    assert member.last_event_days == time[event == 1].max()


def test_directions(rows):
    member = a_member(rows)
    coefficients = dict(zip(member.columns, member.coefficients, strict=True))
    assert coefficients["days"] < 0  # longer expected time, lower risk
    assert coefficients["M-stage=1"] > 0


def test_missing_values_take_the_training_median(rows):
    member = a_member(rows)
    at = member.columns.index("r2")
    assert member.medians[at] == rows[0]["r2"].median()


def test_a_constant_hpv_probability_is_left_out(rows):
    table, time, event = rows
    assert "hpv" not in a_member((table.assign(hpv=0.5), time, event)).columns


def test_nothing_varies_gives_the_baseline_alone(rows):
    table, time, event = rows
    member = a_member((table * 0.0, time, event))
    assert member.columns == ()
    assert member.linear_predictor({}) == 0.0
    first = np.sort(time[event == 1])[0]
    at_risk = (time >= first).sum()
    assert member.survival({}, [first])[0] == pytest.approx(np.exp(-1 / at_risk))


def test_the_ridge_rises_until_the_fit_converges(rows, monkeypatch):
    fit_cox = rfs_model.fit_cox

    def stubborn(x, time, event, ridge):
        if ridge < 0.1:
            raise ConvergenceError("too weak")
        return fit_cox(x, time, event, ridge)

    monkeypatch.setattr(rfs_model, "fit_cox", stubborn)
    assert a_member(rows, ridges=(0.01, 0.1, 1.0)).ridge == 0.1
    with pytest.raises(TrainingError, match="no fit converges"):
        a_member(rows, ridges=(0.01, 0.02))


def test_no_relapse_is_refused(rows):
    table, time, event = rows
    with pytest.raises(TrainingError, match="no relapse"):
        a_member((table, time, event * 0))


def test_a_missing_column_is_named(rows):
    table, time, event = rows
    with pytest.raises(TrainingError, match="'hpv'"):
        a_member((table.drop(columns="hpv"), time, event))


@pytest.mark.parametrize("bad", [{"ridges": ()}, {"ridges": (1.0, 0.1)}, {"ridges": (-1,)}, {"p_limit": 2.0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(TrainingError):
        RfsConfig(**bad)
