"""A whole training run on a cohort of tiny patients, down to a bundle that loads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file

from mmpl.bundle.reader import open_bundle
from mmpl.ensemble import load_ensemble
from mmpl.errors import InputError, TrainingError
from mmpl.io import folder_lock
from mmpl.network.config import NetworkConfig
from mmpl.training import run as training_run
from mmpl.training import run_folder
from mmpl.training.cohort import read_cohort
from mmpl.training.folds import SPLITS, Split, read_splits, write_splits
from mmpl.training.ranks import Ranks
from mmpl.training.run import RunOptions, train
from mmpl.training.run_folder import check_images, check_outcomes, claim, only_command
from mmpl.training.search_threshold import fit_search_threshold

CASES = 8


def test_the_bundle_opens_and_loads(finished_run, run_config):
    out, bundle, _ = finished_run
    ensemble = load_ensemble(open_bundle(out / "bundle"))
    assert ensemble.sha256 == bundle.sha256
    assert ensemble.network == run_config.network
    assert ensemble.feature_set == run_config.feature_set
    assert ensemble.settings.breaks_days == run_config.breaks_days
    assert [m.name for m in ensemble.members] == ["member_0", "member_1", "member_2", "member_3"]
    assert ensemble.members[0].rfs_net.outputs == 4
    low, high = ensemble.info.risk_tertiles
    assert low <= high
    assert 0 < ensemble.info.thresholds.hpv < 1


def test_the_members_networks_are_the_folds(finished_run):
    out, bundle, _ = finished_run
    for member, home in enumerate(("patient/fold_0", "patient/fold_1", "centre/fold_0", "centre/fold_1")):
        stored = bundle.tensors(f"member_{member}/hpv.safetensors")
        trained = load_file(out / home / "hpv" / "weights.safetensors")
        assert set(stored) == set(trained)
        assert all((stored[n] == trained[n]).all() for n in trained)


def test_the_bundle_says_where_it_comes_from(finished_run):
    _, bundle, _ = finished_run
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
        assert set(scores) == {"gtvp_dice", "gtvn_dice_agg", "gtvn_f1_agg", "auc", "balanced_accuracy", "c_index"}


def test_the_search_threshold_travels_with_the_bundle(finished_run):
    out, bundle, _ = finished_run
    stored = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(out.glob("*/overlaps/*.json"))]
    fitted = fit_search_threshold([peak for patient in stored for peak in patient["peaks"]])
    assert len(stored) == 2 * CASES
    assert fitted.lesions >= 2 * CASES
    assert bundle.info.scores["search"] == fitted.to_dict()
    assert load_ensemble(bundle).settings.search_threshold == pytest.approx(fitted.value)
    card = (out / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"| search.lesions | {fitted.lesions} |" in card


def test_every_patient_was_measured_once_a_split_outside_its_fold(finished_run, cohort_folder):
    out, _, _ = finished_run
    names = sorted(p.name for p in (cohort_folder / "Task 1").iterdir() if p.is_dir())
    assert len(names) == CASES
    assert sorted(p.stem for p in (out / "cache").iterdir()) == names
    for split in read_splits(out / "folds.csv", SPLITS, names):
        scores = json.loads((out / split.name / "out_of_fold.json").read_text(encoding="utf-8"))
        assert sorted(split.fold_of) == sorted(scores) == names
        assert not (out / split.name / "deep_scores").exists()
        assert sorted(p.stem for p in (out / split.name / "measured").iterdir()) == names
        for logit, days in scores.values():
            assert np.isfinite(logit)
            assert 0 < days < 6000


def test_no_centre_is_on_both_sides_of_a_centre_fold(finished_run, cohort_folder):
    out, _, _ = finished_run
    cases = read_cohort(cohort_folder)
    (split,) = read_splits(out / "folds.csv", ["centre"], [c.patient_id for c in cases])
    for fold in range(split.folds):
        inside = {c.center_id for c in cases if split.fold_of[c.patient_id] == fold}
        outside = {c.center_id for c in cases if split.fold_of[c.patient_id] != fold}
        assert inside
        assert not inside & outside


def test_progress_names_the_steps(finished_run):
    _, _, told = finished_run
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps[0] == "preparing cases"
    assert steps[-1] == "forests and Cox models"
    for step in steps:
        fractions = [f for s, f in told if s == step]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def _times(out):
    """Of every file but the lock and what is always made again."""
    again = {run_folder.LOCK, run_folder.BUNDLE, training_run.STATISTICS, training_run.REPORT}
    files = [p for p in out.rglob("*") if p.is_file() and not again & set(p.relative_to(out).parts)]
    return {p: p.stat().st_mtime_ns for p in files}


def test_what_the_statistics_chose_is_there_to_look_at(finished_run, small_statistics):
    out, bundle, _ = finished_run
    members = json.loads((out / "statistics.json").read_text(encoding="utf-8"))["members"]
    assert [(m["name"], m["split"], m["fold"]) for m in members] == [
        (f"member_{n}", split, fold) for n, (split, fold) in enumerate((s, f) for s in SPLITS for f in (0, 1))
    ]
    for member in members:
        hpv, rfs = (bundle.json(f"{member['name']}/{name}.json") for name in ("hpv", "rfs"))
        assert member["hpv"] == {"forest": {"trees": 5, "depth": 2, "leaf_size": 1}, "columns": hpv["columns"]}
        assert (member["rfs"]["columns"], member["rfs"]["ridge"]) == (rfs["columns"], rfs["ridge"])
        assert member["rfs"]["lasso"]["columns"] == []  # of two relapses
        assert set(member["rfs"]["clinical"]) >= {"Age", "Gender"}
        assert all(0 <= test["p"] <= 1 for test in member["rfs"]["clinical"].values())


def test_the_report_shows_every_stage_and_every_fold(finished_run):
    page = (finished_run[0] / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3 * len(SPLITS)
    for split in SPLITS:
        assert f"Out of fold: {split} split" in page
    assert [f"member_{n}" in page for n in range(5)] == [True] * 4 + [False]
    assert "synthetic phantoms only" in page


def test_a_finished_run_is_not_trained_again_and_gives_the_same_bundle(
    finished_run, cohort_folder, run_config, small_statistics, monkeypatch
):
    out, bundle, _ = finished_run
    before = _times(out)
    monkeypatch.setattr(training_run, "StatisticsConfig", lambda: small_statistics)
    monkeypatch.setattr(run_folder, "_today", lambda: "2100-01-01")
    again = train(cohort_folder, out, run_config)
    assert _times(out) == before
    assert again.sha256 == bundle.sha256


def test_the_bundle_is_of_the_day_on_which_the_run_began(finished_run, tmp_path, monkeypatch):
    out, bundle, _ = finished_run
    for name in ("today", "tomorrow"):
        monkeypatch.setattr(run_folder, "_today", lambda name=name: name)
        assert run_folder.begun_on(out) == bundle.info.created
        assert run_folder.begun_on(tmp_path) == name  # nothing there
    older = tmp_path / "run of an older version"
    shutil.copytree(out / "bundle", older / "bundle")
    settings = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert settings.pop("begun") == bundle.info.created
    (older / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert run_folder.begun_on(older) == bundle.info.created


def test_other_settings_need_another_folder(finished_run, cohort_folder, run_config):
    out, _, _ = finished_run
    with pytest.raises(TrainingError, match="holds a run with another 'seed'; choose another folder"):
        train(cohort_folder, out, replace(run_config, seed=99))
    # how sums are rounded, and the number of processes and threads, are no settings of the result
    claim(out, replace(run_config, autocast=not run_config.autocast), read_cohort(cohort_folder))
    claim(out, replace(run_config, workers=7, patch_threads=3), read_cohort(cohort_folder))


def test_more_folds_than_patients_are_refused_at_once(cohort_folder, run_config, tmp_path):
    with pytest.raises(TrainingError, match=f"{CASES} patients cannot fill {CASES + 1} folds"):
        train(cohort_folder, tmp_path / "run", replace(run_config, folds=CASES + 1))
    assert not (tmp_path / "run").exists()


def test_batches_that_processes_cannot_share_are_refused_at_once(cohort_folder, run_config, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "current", lambda: Ranks(0, 3))
    with pytest.raises(TrainingError, match=r"segmentation.batch_size = 4 cannot be shared by 3 processes; set"):
        train(cohort_folder, tmp_path / "run", run_config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_device_that_is_not_there_is_refused_at_once(cohort_folder, run_config, tmp_path, workers):
    with pytest.raises(TrainingError, match="device = 'cuda:99', this machine has cpu"):
        train(cohort_folder, tmp_path / "run", replace(run_config, device="cuda:99", workers=workers))
    assert not (tmp_path / "run").exists()


def test_a_clusters_workers_have_devices_of_their_own(cohort_folder, run_config, tmp_path):
    with pytest.raises(InputError, match="scheduler"):  # which is looked for after all that is checked beforehand
        train(
            cohort_folder,
            tmp_path / "run",
            replace(run_config, device="cuda:99"),
            RunOptions(scheduler=str(tmp_path / "none.json")),
        )


def test_a_run_goes_on_without_the_bundle_that_it_started_from(cohort_folder, run_config, tiny_bundle_path, tmp_path):
    network = NetworkConfig.from_dict(dict(open_bundle(tiny_bundle_path).info.network))
    config, cases = replace(run_config, network=replace(network, spacing_mm=10.0)), read_cohort(cohort_folder)
    out, bundle = tmp_path / "run", tmp_path / "bundle"
    shutil.copytree(tiny_bundle_path, bundle)
    begun = training_run._start(out, config, cases, bundle)
    bundle.rename(tmp_path / "moved")
    assert training_run._start(out, config, cases, None) == begun
    assert training_run._start(out, config, cases, bundle) == begun
    assert training_run._start(out, config, cases, tmp_path / "moved") == begun
    (out / "start" / "start.json").write_bytes(b"")  # as a power cut leaves it
    with pytest.raises(TrainingError, match=r"not all there; give their bundle .* once more with --start"):
        training_run._start(out, config, cases, None)
    (out / "start" / "start.json").unlink()  # as if it had been stopped just before
    with pytest.raises(TrainingError, match=r"not all there; give their bundle .* once more with --start"):
        training_run._start(out, config, cases, None)
    assert training_run._start(out, config, cases, tmp_path / "moved") == begun
    assert training_run._start(out, config, cases, None) == begun


def test_a_run_that_began_without_a_bundle_takes_none_later(cohort_folder, run_config, tiny_bundle_path, tmp_path):
    network = NetworkConfig.from_dict(dict(open_bundle(tiny_bundle_path).info.network))
    config, cases = replace(run_config, network=replace(network, spacing_mm=10.0)), read_cohort(cohort_folder)
    assert training_run._start(tmp_path, config, cases, None) is None
    with pytest.raises(TrainingError, match="holds a run with another 'start'; choose another folder"):
        training_run._start(tmp_path, config, cases, tiny_bundle_path)


# Takes a run's folder as another command would, says so, and keeps it until it is told to go on.
HOLDER = """
import sys
from pathlib import Path

from mmpl.training.run_folder import only_command

with only_command(Path(sys.argv[1])):
    print("at work", flush=True)
    sys.stdin.readline()
"""


def test_two_commands_never_work_in_one_folder(finished_run, cohort_folder, run_config, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "at work\n"
        with pytest.raises(TrainingError, match="another command is at work in this folder; wait for it, or choose"):
            train(cohort_folder, out, run_config)
        assert [p.name for p in out.iterdir()] == ["run.lock"]
        with only_command(out, Ranks(1, 2)):  # another process of the same command
            pass
        other.kill()
    with only_command(out), pytest.raises(TrainingError, match="another command"), only_command(out):
        pass


def test_a_file_system_without_locks_goes_without(tmp_path, monkeypatch):
    def none(lock, timeout):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(folder_lock.FileLock, "acquire", none)
    with only_command(tmp_path):
        pass


# --- folds that are given -----------------------------------------------------------------------------


def test_folds_of_another_run_are_used(finished_run, cohort_folder, run_config, tmp_path):
    out, _, _ = finished_run
    run = tmp_path / "run"
    run.mkdir()
    cases = read_cohort(cohort_folder)
    splits = training_run._splits(run, cases, run_config, out / "folds.csv")
    claim(run, run_config, cases)
    kept = training_run._kept_splits(run, splits, cases, chosen=True)
    assert kept == splits
    assert (run / "folds.csv").read_bytes() == (out / "folds.csv").read_bytes()


def test_a_run_that_began_with_other_folds_refuses_new_ones(finished_run, cohort_folder, run_config, tmp_path):
    out, _, _ = finished_run
    names = [c.patient_id for c in read_cohort(cohort_folder)]
    others = [
        Split(s.name, {p: 1 - s.fold_of[p] for p in names}) for s in read_splits(out / "folds.csv", SPLITS, names)
    ]
    write_splits(tmp_path / "folds.csv", others)
    with pytest.raises(TrainingError, match="the run began with other folds; choose another folder"):
        train(cohort_folder, out, run_config, RunOptions(folds=tmp_path / "folds.csv"))


def _positive(n):
    return n % 2 == 1


def _relapsed(n):
    return n // 2 % 2 == 1


def _go_on(out, config, cases):
    """As the same command does before it trains."""
    splits = training_run._splits(out, cases, config, None)
    return training_run._begin(out, config, cases, splits, RunOptions())


def test_folds_that_changed_under_a_run_are_refused(finished_run, cohort_folder, run_config, tmp_path):
    """Networks would judge patients that they were trained on."""
    cases = read_cohort(cohort_folder)
    for needed in ("config.json", "outcomes.json", "folds.csv"):
        shutil.copy(finished_run[0] / needed, tmp_path)
    table, config = tmp_path / "folds.csv", tmp_path / "config.json"
    lines = table.read_text(encoding="utf-8").splitlines()
    swapped = [line[:-1] + str(1 - int(line[-1])) if ",patient," in line else line for line in lines[1:]]
    table.write_text("\r\n".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")  # as a spreadsheet may save it
    _go_on(tmp_path, run_config, cases)
    table.write_text("\n".join([lines[0], *swapped]), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"folds\.csv: the folds are not those that the run began with; put"):
        _go_on(tmp_path, run_config, cases)
    older = json.loads(config.read_text(encoding="utf-8"))
    assert len(older.pop("folds_sha256")) == 64
    config.write_text(json.dumps(older), encoding="utf-8")  # by a version that kept none: today's are taken
    _go_on(tmp_path, run_config, cases)
    table.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(TrainingError, match="the folds are not those that the run began with"):
        _go_on(tmp_path, run_config, cases)


def test_lost_folds_that_cannot_be_made_again_are_refused(cohort_folder, run_config, tmp_path):
    """They were given as a table, with the run's first command only."""
    cases, out = read_cohort(cohort_folder), tmp_path / "run"
    config = replace(run_config, splits=("patient",))
    (new,) = training_run._splits(out, cases, config, None)
    by_hand = [Split("patient", {patient: 1 - fold for patient, fold in new.fold_of.items()})]
    write_splits(tmp_path / "folds.csv", by_hand)
    training_run._begin(out, config, cases, by_hand, RunOptions(folds=tmp_path / "folds.csv"))
    _go_on(out, config, cases)
    (out / "folds.csv").unlink()
    with pytest.raises(TrainingError, match="the folds are not those that the run began with"):
        _go_on(out, config, cases)
    assert not (out / "folds.csv").exists()


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        (_positive, "0 of its 4 training patients have a positive HPV status, at least 2 must; of all 8 patients 4 do"),
        (
            _relapsed,
            "0 of its 4 training patients have a relapse with its RFS, at least 1 must; of all 8 patients 4 do",
        ),
        (
            lambda n: not _relapsed(n),
            "0 of its 4 training patients have an RFS without relapse, at least 1 must; of all 8 patients 4 do",
        ),
    ],
)
def test_a_fold_that_lacks_a_class_or_events_is_refused_at_once(cohort_folder, run_config, tmp_path, held_out, said):
    """Fold 0 holds all such patients: its networks would see none."""
    write_splits(tmp_path / "folds.csv", [Split("patient", {f"T-{n:02d}": int(not held_out(n)) for n in range(CASES)})])
    with pytest.raises(
        TrainingError, match=rf"^patient fold 0: {said}: spread them over the folds with a table \(--folds\), or"
    ):
        train(
            cohort_folder,
            tmp_path / "run",
            replace(run_config, splits=("patient",)),
            RunOptions(folds=tmp_path / "folds.csv"),
        )
    assert not (tmp_path / "run").exists()


def test_a_table_with_another_number_of_folds_than_the_settings_is_said(cohort_folder, run_config, tmp_path, caplog):
    table, out = tmp_path / "folds.csv", tmp_path / "run"
    write_splits(table, [Split("patient", {f"T-{n:02d}": int(not _positive(n)) for n in range(CASES)})])
    for folds, expected in (
        (2, []),
        (3, [f"warning: {table} has 2 folds in the split 'patient': so many members are"]),
    ):
        caplog.clear()
        with pytest.raises(TrainingError, match="fold 0"):
            train(cohort_folder, out, replace(run_config, splits=("patient",), folds=folds), RunOptions(folds=table))
        said = [record.getMessage() for record in caplog.records if str(table) in record.getMessage()]
        assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("contoured", "split", "remedy"),
    [
        ((), "patient", "of all 8 patients 0 do: add such patients to the cohort"),
        ((3,), "patient", "of all 8 patients 1 do: add such patients to the cohort"),
        ((4, 5, 6, 7), "centre", r"of all 8 patients 4 do: set 'splits: \[patient\]', or spread their centres"),
    ],
)
def test_a_fold_without_label_maps_is_refused_at_once(
    writer, cohort_folder, run_config, tmp_path, contoured, split, remedy
):
    """The tables are the cohort's: patients 4 to 7 are of one centre."""
    for n in range(CASES):
        writer.patient(f"T-{n:02d}", label=n in contoured)
    for table in cohort_folder.glob("*/*.csv"):
        writer.table(int(table.parent.name[-1]), *table.read_text(encoding="utf-8").splitlines())
    with pytest.raises(
        TrainingError,
        match=rf"^{split} fold \d: 0 of its 4 training patients have a label map, at least 1 must; {remedy}",
    ):
        train(writer.root, tmp_path / "run", replace(run_config, splits=(split,)))
    assert not (tmp_path / "run").exists()


def test_images_that_changed_under_a_run_are_refused(finished_run, cohort_folder, run_config, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    cases = read_cohort(cohort_folder)
    check_images(out, cases)
    stored = json.loads((out / "images.json").read_text(encoding="utf-8"))
    assert sorted(stored) == [c.patient_id for c in cases]
    description = json.loads((out / "cache" / "T-03" / "case.json").read_text(encoding="utf-8"))
    description["arrays"]["image.npy"]["sha256"] = "0" * 64
    (out / "cache" / "T-03" / "case.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(
        TrainingError, match=r"images or contours of 1 patients \(T-03\) have changed since the run began"
    ):
        check_images(out, cases)


@pytest.mark.parametrize("content", [b"", b"[]", b"\x00\xff\x00"])
@pytest.mark.parametrize("name", ["config.json", "outcomes.json"])
def test_a_damaged_record_is_one_sentence(finished_run, cohort_folder, run_config, tmp_path, name, content):
    for needed in ("config.json", "outcomes.json", "folds.csv"):
        shutil.copy(finished_run[0] / needed, tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        TrainingError, match=f"{name}: the file is missing or damaged; .* restore it from a copy, or choose"
    ):
        train(cohort_folder, tmp_path, run_config)
    assert (tmp_path / name).read_bytes() == content


def test_damaged_measurements_are_made_anew(
    finished_run, cohort_folder, run_config, small_statistics, monkeypatch, tmp_path
):
    monkeypatch.setattr(training_run, "StatisticsConfig", lambda: small_statistics)
    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    whole = {
        path: path.read_bytes() for path in (out / "patient/measured/T-03.json", out / "patient/overlaps/T-03.json")
    }
    for path, content in whole.items():
        path.write_bytes(content[: len(content) // 2])
    train(cohort_folder, out, run_config)
    assert {path: path.read_bytes() for path in whole} == whole
    assert open_bundle(out / "bundle").sha256 == finished_run[1].sha256


def test_a_damaged_result_is_one_sentence(finished_run, cohort_folder, run_config, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    scores = out / "patient/out_of_fold.json"
    scores.write_bytes(scores.read_bytes()[:-40])
    said = "patient/out_of_fold.json: the file is missing or damaged; remove it and give the same command again"
    with pytest.raises(TrainingError, match=said):
        train(cohort_folder, out, run_config)


def test_outcomes_that_changed_under_a_run_are_refused(finished_run, cohort_folder, tmp_path):
    """Its finished networks have learnt the earlier ones."""
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(finished_run[0] / "outcomes.json", out)
    cases = read_cohort(cohort_folder)
    check_outcomes(out, cases)
    cases[3] = replace(cases[3], hpv=1 - cases[3].hpv)
    with pytest.raises(
        TrainingError, match=r"outcomes of 1 patients \(T-03\) have changed since the run began; put them"
    ):
        check_outcomes(out, cases)


def test_a_patient_more_is_told_before_folds_are_read(finished_run, cohort_folder, run_config, tmp_path):
    """Its folds.csv must not be edited: the networks that are there were trained by it."""
    out = finished_run[0]
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["patients"].pop() == "T-07"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    rows = (out / "folds.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "folds.csv").write_text("".join(row for row in rows if "T-07" not in row), encoding="utf-8")
    with pytest.raises(TrainingError, match="holds a run with another 'patients'; choose another folder"):
        train(cohort_folder, tmp_path, run_config)


def test_a_begun_run_keeps_folds_that_its_settings_would_not_make(cohort_folder, run_config, tmp_path):
    """A centre split by hand; a new one would need as many centres as folds."""
    cases = read_cohort(cohort_folder)
    centres = sorted({c.center_id for c in cases})
    by_hand = [Split("centre", {c.patient_id: int(c.center_id == centres[0]) for c in cases})]
    write_splits(tmp_path / "folds.csv", by_hand)
    config = replace(run_config, splits=("centre",), folds=len(centres) + 1)
    assert training_run._splits(tmp_path, cases, config, None) == by_hand
    with pytest.raises(TrainingError, match="centres cannot fill"):
        training_run._splits(tmp_path / "new", cases, config, None)


def test_a_centre_in_two_folds_of_a_given_centre_split_is_refused(cohort_folder, run_config, tmp_path):
    cases = read_cohort(cohort_folder)
    fold_of = {c.patient_id: n % 2 for n, c in enumerate(cases)}
    write_splits(tmp_path / "folds.csv", [Split(name, fold_of) for name in SPLITS])
    with pytest.raises(TrainingError, match="T-00 and T-01 of centre '0' lie in two folds of the split 'centre'"):
        training_run._splits(tmp_path / "new", cases, run_config, tmp_path / "folds.csv")
    patients_only = replace(run_config, splits=("patient",))
    assert training_run._splits(tmp_path / "new", cases, patients_only, tmp_path / "folds.csv")[0].fold_of == fold_of


def test_arrays_that_the_disk_has_spoilt_are_made_anew(
    finished_run, cohort_folder, run_config, small_statistics, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    path = out / "cache" / "T-05" / "image.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "StatisticsConfig", lambda: small_statistics)
        train(cohort_folder, out, run_config)
    assert path.read_bytes() == data


def test_training_begins_with_the_warnings_of_the_scan(cohort_folder, run_config, tmp_path, caplog):
    """What they speak of is left out otherwise in silence."""
    with pytest.raises(TrainingError, match="cannot fill"):
        train(cohort_folder, tmp_path / "run", replace(run_config, folds=CASES + 1))
    warned = [record.getMessage() for record in caplog.records if record.name == "mmpl.training.run"]
    assert (
        "warning: no table has a column 'Tobacco Consumption' (all tables); add it, or it is Unknown for every patient"
        in warned
    )


def test_warnings_of_the_scan_count_when_asked(cohort_folder, run_config, tmp_path):
    """The cohort's tables have no column for most clinical fields, of which the scan warns."""
    with pytest.raises(TrainingError, match="no table has a column 'Tobacco Consumption'"):
        train(cohort_folder, tmp_path / "run", run_config, RunOptions(strict=True))
    assert not (tmp_path / "run").exists()
