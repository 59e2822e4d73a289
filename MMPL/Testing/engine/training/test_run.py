"""A whole training run on a cohort of tiny patients, down to a bundle that loads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file

from mmpl.bundle.reader import open_bundle
from mmpl.ensemble import load_ensemble
from mmpl.errors import TrainingError
from mmpl.phantom.cohort import MANIFEST
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.training import run as training_run
from mmpl.training.cohort import read_cohort
from mmpl.training.config import StageConfig
from mmpl.training.ensemble_statistics import StatisticsConfig
from mmpl.training.folds import SPLITS, Split, read_splits, write_splits
from mmpl.training.hpv_classifier import HpvConfig
from mmpl.training.run import train
from mmpl.training.search_threshold import fit_search_threshold

CASES = 8
ONCE = StageConfig(1, 4, (1e-3, 1e-3, 1e-3))
SMALL = StatisticsConfig(hpv=HpvConfig(top_features=5, trees=(5,), depths=(2,), leaf_sizes=(1,), inner_folds=2))


@pytest.fixture(scope="module")
def config(tiny_config):
    return replace(
        tiny_config,
        network=replace(tiny_config.network, spacing_mm=10.0),
        segmentation=ONCE,
        hpv=ONCE,
        rfs=ONCE,
        feature_set=FeatureSet(families=("firstorder",), log_sigmas_mm=(), wavelet=None),
        overlap=0.0,
    )


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, tiny_patient, save_image):
    """The tiny patient eight times over, each with other noise, in HECKTOR's layout with a phantom's manifest."""
    folder = tmp_path_factory.mktemp("data") / "cohort"
    draw = np.random.default_rng(0)
    tables = {1: [], 2: [], 3: []}
    for n in range(CASES):
        name = f"T-{n:02d}"
        home = folder / "Task 1" / name
        pet = tiny_patient.pet.array * draw.uniform(0.7, 1.3) * draw.normal(1, 0.1, tiny_patient.pet.array.shape)
        save_image(tiny_patient.ct, home / f"{name}__CT.nii.gz")
        save_image(tiny_patient.pet.with_array(pet.astype(np.float32)), home / f"{name}__PT.nii.gz")
        save_image(tiny_patient.label_map, home / f"{name}.nii.gz")
        record = f"{name},{min(n // 2, 2)},{50 + n},{n % 2}"
        tables[1].append(record)
        tables[2].append(f"{record},{n // 2 % 2},{300 + 101 * n}")
        tables[3].append(f"{record},{n % 2}")
    columns = {1: "", 2: ",Relapse,RFS", 3: ",HPV Status"}
    for task, rows in tables.items():
        (folder / f"Task {task}").mkdir(exist_ok=True)
        text = "\n".join([f"PatientID,CenterID,Age,Gender{columns[task]}", *rows])
        (folder / f"Task {task}" / f"HECKTOR_2025_Training_Task_{task}.csv").write_text(text, encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps({"seed": 11}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cohort, config):
    """The run folder, the bundle and what progress was told."""
    out, told = tmp_path_factory.mktemp("run") / "run", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "StatisticsConfig", lambda: SMALL)
        bundle = train(cohort, out, config, progress=lambda step, fraction: told.append((step, fraction)))
    return out, bundle, told


def test_the_bundle_opens_and_loads(finished, config):
    out, bundle, _ = finished
    ensemble = load_ensemble(open_bundle(out / "bundle"))
    assert ensemble.sha256 == bundle.sha256
    assert ensemble.network == config.network
    assert ensemble.feature_set == config.feature_set
    assert ensemble.settings.breaks_days == config.breaks_days
    assert [m.name for m in ensemble.members] == ["member_0", "member_1", "member_2", "member_3"]
    assert ensemble.members[0].rfs_net.outputs == 4
    low, high = ensemble.info.risk_tertiles
    assert low <= high
    assert 0 < ensemble.info.thresholds.hpv < 1


def test_the_members_networks_are_the_folds(finished):
    out, bundle, _ = finished
    for member, home in enumerate(("patient/fold_0", "patient/fold_1", "centre/fold_0", "centre/fold_1")):
        stored = bundle.tensors(f"member_{member}/hpv.safetensors")
        trained = load_file(out / home / "hpv" / "weights.safetensors")
        assert set(stored) == set(trained)
        assert all((stored[n] == trained[n]).all() for n in trained)


def test_the_bundle_says_where_it_comes_from(finished):
    _, bundle, _ = finished
    info = bundle.info
    assert info.phantom is True
    assert info.training_data.startswith(f"{CASES} synthetic phantoms of 3 synthetic centres")
    assert "seed 11" in info.training_data
    assert "One member for each of 2 patient-level folds and 2 centre-out folds." in info.training_data
    assert info.limitations[1].startswith("Networks at 10 mm")
    assert info.time_zero == "end of radiotherapy"
    days = [300 + 101 * n for n in range(CASES)]
    relapsed = [day for n, day in enumerate(days) if n // 2 % 2]
    assert info.cohort_survival.days == (0, *relapsed)
    assert (info.cohort_survival.patients, info.cohort_survival.events) == (CASES, len(relapsed))
    assert set(info.scores["out_of_fold"]) == {"patient", "centre"}
    for scores in info.scores["out_of_fold"].values():
        assert set(scores) == {"auc", "balanced_accuracy", "c_index"}


def test_the_search_threshold_travels_with_the_bundle(finished):
    out, bundle, _ = finished
    stored = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(out.glob("*/overlaps/*.json"))]
    fitted = fit_search_threshold([peak for patient in stored for peak in patient["peaks"]])
    assert len(stored) == 2 * CASES
    assert fitted.lesions >= 2 * CASES
    assert bundle.info.scores["search"] == fitted.to_dict()
    assert load_ensemble(bundle).settings.search_threshold == pytest.approx(fitted.value)
    card = (out / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"| search.lesions | {fitted.lesions} |" in card


def test_every_patient_was_measured_once_a_split_outside_its_fold(finished, cohort):
    out, _, _ = finished
    names = sorted(p.name for p in (cohort / "Task 1").iterdir() if p.is_dir())
    assert len(names) == CASES
    assert sorted(p.stem for p in (out / "cache").iterdir()) == names
    for split in read_splits(out / "folds.csv", SPLITS, names):
        scores = json.loads((out / split.name / "out_of_fold.json").read_text(encoding="utf-8"))
        assert sorted(split.fold_of) == sorted(scores) == names
        assert sorted(p.stem for p in (out / split.name / "measured").iterdir()) == names
        for logit, days in scores.values():
            assert np.isfinite(logit)
            assert 0 < days < 6000


def test_no_centre_is_on_both_sides_of_a_centre_fold(finished, cohort):
    out, _, _ = finished
    cases = read_cohort(cohort)
    (split,) = read_splits(out / "folds.csv", ["centre"], [c.patient_id for c in cases])
    for fold in range(split.folds):
        inside = {c.center_id for c in cases if split.fold_of[c.patient_id] == fold}
        outside = {c.center_id for c in cases if split.fold_of[c.patient_id] != fold}
        assert inside
        assert not inside & outside


def test_progress_names_the_steps(finished):
    _, _, told = finished
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps[0] == "preparing cases"
    assert steps[-1] == "forests and Cox models"
    for step in steps:
        fractions = [f for s, f in told if s == step]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def test_a_finished_run_is_not_trained_again_and_gives_the_same_bundle(finished, cohort, config, monkeypatch):
    out, bundle, _ = finished
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "bundle" not in p.parts}
    monkeypatch.setattr(training_run, "StatisticsConfig", lambda: SMALL)
    again = train(cohort, out, config)
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "bundle" not in p.parts}
    assert before == after
    assert again.sha256 == bundle.sha256


def test_other_settings_need_another_folder(finished, cohort, config):
    out, _, _ = finished
    with pytest.raises(TrainingError, match="holds a run with another 'seed'; choose another folder"):
        train(cohort, out, replace(config, seed=99))
    # the number of processes is no setting of the result
    training_run._claim(out, replace(config, workers=7), read_cohort(cohort))


def test_more_folds_than_patients_are_refused_at_once(cohort, config, tmp_path):
    with pytest.raises(TrainingError, match=f"{CASES} patients cannot fill {CASES + 1} folds"):
        train(cohort, tmp_path / "run", replace(config, folds=CASES + 1))
    assert not (tmp_path / "run").exists()


# --- folds that are given -----------------------------------------------------------------------------


def test_folds_of_another_run_are_used(finished, cohort, config, tmp_path):
    out, _, _ = finished
    run = tmp_path / "run"
    run.mkdir()
    splits = training_run._splits(read_cohort(cohort), config, out / "folds.csv")
    kept = training_run._kept_splits(run, splits, read_cohort(cohort), chosen=True)
    assert kept == splits
    assert (run / "folds.csv").read_bytes() == (out / "folds.csv").read_bytes()


def test_a_run_that_began_with_other_folds_refuses_new_ones(finished, cohort, config, tmp_path):
    out, _, _ = finished
    names = [c.patient_id for c in read_cohort(cohort)]
    others = [
        Split(s.name, {p: 1 - s.fold_of[p] for p in names}) for s in read_splits(out / "folds.csv", SPLITS, names)
    ]
    write_splits(tmp_path / "folds.csv", others)
    with pytest.raises(TrainingError, match="the run began with other folds; choose another folder"):
        train(cohort, out, config, folds=tmp_path / "folds.csv")


def test_a_fold_whose_training_patients_hold_one_class_is_refused_at_once(cohort, config, tmp_path):
    """Fold 0 holds every HPV-positive patient (odd numbers): fold 0's networks would see none."""
    fold_of = {f"T-{n:02d}": (n + 1) % 2 for n in range(CASES)}
    write_splits(tmp_path / "folds.csv", [Split("patient", fold_of)])
    with pytest.raises(
        TrainingError, match=r"patient fold 0: the training patients need both HPV classes, found \{0\}"
    ):
        train(cohort, tmp_path / "run", replace(config, splits=("patient",)), folds=tmp_path / "folds.csv")
    assert not (tmp_path / "run").exists()
