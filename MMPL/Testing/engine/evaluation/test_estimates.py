from __future__ import annotations

import math

import numpy as np

from mmpl.evaluation.estimates import Bootstrap, estimate
from mmpl.evaluation.findings import Figure
from mmpl.metrics.bootstrap import percentile_interval


def test_measures_share_the_resamples_of_a_seed():
    sample = np.random.default_rng(0).normal(size=30)
    found = estimate(("mean", "max"), lambda rows: [sample[rows].mean(), sample[rows].max()], 30, Bootstrap(8, 60), {})
    for name, function in (("mean", np.mean), ("max", np.max)):
        alone = percentile_interval(
            lambda rows, f=function: f(sample[rows]), 30, np.random.default_rng(8), n_resamples=60
        )
        assert (found[name].low, found[name].high) == (alone.low, alone.high)
        assert found[name].value == function(sample)


def test_no_interval_of_few_patients_or_of_what_is_mostly_undefined():
    few = estimate(("m",), lambda rows: [rows.mean()], 9, Bootstrap(0, 20), {})["m"]
    assert (few.value, few.low) == (4.0, None)
    every_patient = np.arange(12)

    def mostly_undefined(rows: np.ndarray) -> list[float]:
        return [1.0 if rows[0] == 0 else math.nan]  # defined in one resample of twelve

    assert mostly_undefined(every_patient) == [1.0]
    rare = estimate(("m",), mostly_undefined, 12, Bootstrap(0, 200), {})["m"]
    assert (rare.value, rare.low) == (1.0, None)


def test_a_measure_that_is_undefined_has_its_reason():
    found = estimate(("m", "k"), lambda rows: [math.nan, math.nan], 12, Bootstrap(0, 5), {"m": "nobody"})
    assert found == {"m": Figure.not_given("nobody"), "k": Figure.not_given("it is undefined for these patients")}


def test_figures_as_people_read_them():
    assert Figure(0.81249, 0.7, 0.9).text == "0.812 (0.700 to 0.900)"
    assert Figure(0.5).text == "0.500"
    assert Figure(4e-5).text == "below 0.001"
    assert Figure(0.0).text == "0.000"
    assert Figure.not_given("why").text == "not given"
