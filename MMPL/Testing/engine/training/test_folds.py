"""The patient-level and the centre-out split, and their table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpl.errors import TrainingError
from mmpl.training.cohort import CohortCase
from mmpl.training.folds import SPLITS, centre_folds, make_splits, patient_folds, read_splits, write_splits


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


# --- whole centres left out ---------------------------------------------------------------------------


def _of_centres(sizes) -> list[CohortCase]:
    here = Path("nowhere")
    return [CohortCase(f"{c}-{n}", here, here, here, c) for c, size in sizes.items() for n in range(size)]


def test_large_centres_stay_alone_and_small_ones_are_put_together():
    sizes = {"A": 60, "B": 50, "C": 40, "D": 12, "E": 10, "F": 9, "G": 4}
    folds = centre_folds(_of_centres(sizes), 5)
    of_centre = {centre: {f for p, f in folds.items() if p.startswith(centre)} for centre in sizes}
    # by hand: A, B, C alone; D and E open the last two folds; F joins E (10 < 12), G joins D (12 < 19)
    assert of_centre == {"A": {0}, "B": {1}, "C": {2}, "D": {3}, "E": {4}, "F": {4}, "G": {3}}


def test_centres_do_not_depend_on_the_patients_order(cases):
    assert centre_folds(cases, 3) == centre_folds(cases[::-1], 3)


def test_too_few_centres_are_refused(cases):
    with pytest.raises(TrainingError, match=r"3 centres cannot fill 4 folds: lower 'folds', or set 'splits: \[patient"):
        centre_folds(cases, 4)


def test_a_patient_without_a_centre_is_refused(cases):
    lost = [replace(case, center_id="") for case in cases[7:12]]
    for some, named in ((lost[:1], "P007"), (lost, "P007, P008, P009, ...")):
        said = rf"{len(some)} patients have no CenterID \({named}\), which .*: fill it in, or set 'splits: \[patient"
        with pytest.raises(TrainingError, match=said):
            centre_folds([*cases[:7], *some], 2)


def test_more_folds_than_patients_are_refused(cases):
    with pytest.raises(TrainingError, match="3 patients cannot fill 4 folds: lower 'folds'"):
        make_splits(["patient"], cases[:3], 4, seed=1)


# --- saved and read again -----------------------------------------------------------------------------


@pytest.fixture
def saved(cases, tmp_path):
    splits = make_splits(SPLITS, cases, 3, seed=4)
    write_splits(tmp_path / "folds.csv", splits)
    return tmp_path / "folds.csv", splits


def test_splits_come_back_as_they_were_saved(saved, cases):
    path, splits = saved
    assert [s.folds for s in splits] == [3, 3]
    assert read_splits(path, SPLITS, [c.patient_id for c in cases]) == splits
    assert path.read_text(encoding="utf-8").startswith("PatientID,Split,Fold\nP000,patient,")


def test_patients_of_other_cohorts_are_left_out(saved, cases):
    path, splits = saved
    some = [c.patient_id for c in cases[:20]]
    (read,) = read_splits(path, ["patient"], some)
    assert read.fold_of == {p: splits[0].fold_of[p] for p in some}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t + "P003,patient,1\n", "P003 is listed twice in the split 'patient': keep one row"),
        (
            lambda t: t.replace("P004,patient", "X,patient"),
            r"1 of 103 patients have no fold in the split 'patient' \(P004\): give each a row there, or leave",
        ),
        (
            lambda t: t.replace(",centre,", ",center,"),
            r"103 of 103 patients have no fold in the split 'centre' \(P000, P001, P002, \.\.\.\): give",
        ),
        (lambda t: t.replace("Fold", "fold"), "no column 'Fold'; folds are a table of PatientID,Split,Fold"),
        (lambda t: t.replace("P005,patient,", "P005,patient,x"), "the fold of P005 is 'x"),
        (
            lambda t: t.replace(",0\n", ",7\n"),
            r"the folds of the split 'patient' are 1, 2, 7: number them 0, 1, \.\.\. without",
        ),
        (lambda t: re.sub(r",[12]\n", ",0\n", t), r"the folds of the split 'patient' are 0: .* two or more"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(saved, cases, change, said):
    path, _ = saved
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(TrainingError, match=said):
        read_splits(path, SPLITS, [c.patient_id for c in cases])


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(TrainingError, match="the folds cannot be read"):
        read_splits(tmp_path / "none.csv", SPLITS, ["P1"])
