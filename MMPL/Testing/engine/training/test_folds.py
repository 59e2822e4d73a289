"""The global split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mmpl.training.cohort import CohortCase
from mmpl.training.folds import patient_folds


@pytest.fixture
def cases():
    draw = np.random.default_rng(0)
    here = Path("nowhere")
    return [
        CohortCase(
            f"P{n:03d}",
            here,
            here,
            here,
            str(draw.integers(3)),
            relapse=draw.choice([0, 0, 1, None]),
            rfs_days=100.0,
            hpv=draw.choice([0, 1, 1, None]),
        )
        for n in range(103)
    ]


def test_every_patient_is_in_one_fold_of_even_size(cases):
    folds = patient_folds(cases, 5, seed=1)
    assert set(folds) == {c.patient_id for c in cases}
    assert sorted(Counter(folds.values()).values()) == [20, 20, 21, 21, 21]


def test_strata_are_spread_evenly(cases):
    folds = patient_folds(cases, 5, seed=1)
    strata = Counter((str(c.hpv), str(c.relapse), c.center_id) for c in cases)
    assert len(strata) > 20
    for stratum, size in strata.items():
        members = [c for c in cases if (str(c.hpv), str(c.relapse), c.center_id) == stratum]
        share = Counter(folds[c.patient_id] for c in members)
        counts = [share[f] for f in range(5)]
        assert sum(counts) == size
        assert max(counts) - min(counts) <= 1
    # so coarser groups stay close, too
    for hpv in ("0", "1", "None"):
        counts = Counter(folds[c.patient_id] for c in cases if str(c.hpv) == hpv)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_seed_decides(cases):
    assert patient_folds(cases, 5, seed=1) == patient_folds(cases, 5, seed=1)
    assert patient_folds(cases, 5, seed=1) != patient_folds(cases, 5, seed=2)
