"""All ablations of a small run, as one command runs them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmpl.bundle.reader import open_bundle
from mmpl.errors import TrainingError
from mmpl.metrics.segmentation import score_case
from mmpl.network.config import NetworkConfig
from mmpl.training.ablation import run as ablation_run
from mmpl.training.ablation import segmentation
from mmpl.training.ablation.run import ablate
from mmpl.training.ablation.segmentation import DICE_ONLY, ODA, read_score
from mmpl.training.config import StageConfig
from mmpl.training.run import RunOptions

TITLES = [
    "Segmentation: loss of stage 1",
    "HPV: what radiomics and clinical data add",
    "RFS: what the Cox model adds",
    "Leaving the patient's centre out",
]


@pytest.fixture(scope="module")
def ablated(finished_run, cohort_folder, run_config, small_statistics, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation") / "run"
    shutil.copytree(finished_run[0], out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation_run, "StatisticsConfig", lambda: small_statistics)
        return out, ablate(cohort_folder, out, run_config)


def test_every_table_has_its_rows(ablated):
    tables = ablated[1].tables
    assert list(tables) == TITLES
    assert [len(rows) for rows in tables.values()] == [3, 4, 2, 2]
    for row in tables[TITLES[0]]:
        assert (row.plain[0], row.full[0], row.patients) == (DICE_ONLY, ODA, 8)


def test_dice_only_networks_are_others_and_the_runs_own_stay(ablated, finished_run):
    out, _ = ablated
    for fold in range(2):
        weights = f"fold_{fold}/segmentation/weights.safetensors"
        dice = (out / "ablation" / "dice" / f"fold_{fold}" / "weights.safetensors").read_bytes()
        own = (out / "patient" / weights).read_bytes()
        assert dice != own
        assert own == (finished_run[0] / "patient" / weights).read_bytes()


def test_figures_are_kept_and_phantoms_named(ablated):
    out, found = ablated
    kept = json.loads((out / "ablation" / "ablation.json").read_text(encoding="utf-8"))
    assert (kept["phantom"], kept["start"]) == (True, None)
    assert list(kept["tables"]) == TITLES
    row = kept["tables"][TITLES[2]][0]
    assert row["what"] == "RFS C-index, patient split"
    assert row["verdict"] == found.tables[TITLES[2]][0].verdict


def test_what_was_counted_is_kept_with_the_volume_of_a_voxel(ablated, tmp_path):
    kept = sorted((ablated[0] / "ablation").glob("*/scores/*.json"))
    assert len(kept) == 2 * 8
    stored = json.loads(kept[0].read_text(encoding="utf-8"))
    assert len(stored.pop("thresholds")) == 2
    assert read_score(kept[0]).voxel_ml == stored.pop("voxel_ml") == pytest.approx(0.001)
    (tmp_path / "older.json").write_text(json.dumps(stored), encoding="utf-8")  # a run begun before it was kept
    assert read_score(tmp_path / "older.json") == read_score(kept[0])


@pytest.mark.parametrize("cut_at", [None, [0.2, 0.7]])
def test_counts_of_masks_cut_elsewhere_are_made_anew(ablated, monkeypatch, tmp_path, cut_at):
    """As are those of an earlier version, which did not say where it cut; the others are read."""

    class MadeAnewError(Exception):
        pass

    def load_roi(case):
        raise MadeAnewError

    monkeypatch.setattr(segmentation, "load_roi", load_roi)
    kept = sorted((ablated[0] / "ablation" / "oda" / "scores").glob("*.json"))[0]
    stored, path = json.loads(kept.read_text(encoding="utf-8")), tmp_path / kept.name
    task = segmentation.ScoreTask(None, None, tuple(stored["thresholds"]), path)
    shutil.copyfile(kept, path)
    segmentation.score_out_of_fold(task)
    path.write_text(json.dumps({**stored, "thresholds": cut_at}), encoding="utf-8")
    with pytest.raises(MadeAnewError):
        segmentation.score_out_of_fold(task)


def test_the_text_names_both_ways_and_the_verdict(ablated):
    found = ablated[1]
    text = found.text()
    assert text.startswith("Phantom results: they say nothing about patients.")
    assert "RFS C-index, centre split, 8 patients: " in text
    assert "Phantom" not in replace(found, phantom=False).text()


def test_with_either_loss_training_goes_on_from_the_same_weights(
    finished_run, cohort_folder, run_config, small_statistics, tiny_bundle_path, tmp_path
):
    """What the networks draw does not matter here, and is not scored; the first patient has no GTVp."""
    shutil.copytree(finished_run[0] / "cache", tmp_path / "run" / "cache")
    mask = np.pad(np.ones((2, 2, 2), np.uint8), 2)
    same = [score_case(f"T-{n:02d}", mask * (n > 0), mask * (n > 0), voxel_ml=1.0) for n in range(8)]
    bundle = open_bundle(tiny_bundle_path)
    network = replace(NetworkConfig.from_dict(dict(bundle.info.network)), spacing_mm=run_config.network.spacing_mm)
    standstill = replace(run_config, splits=("patient",), network=network, segmentation=StageConfig(1, 4, (1e-12,) * 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation_run, "StatisticsConfig", lambda: small_statistics)
        patch.setattr(segmentation, "_scores", lambda *arguments, **told: same)
        found = ablate(cohort_folder, tmp_path / "run", standstill, RunOptions(start=tiny_bundle_path))
    assert f"With either loss, stage 1 starts from {bundle.info.name}" in found.text()
    assert [row.patients for row in found.tables[TITLES[0]]] == [7, 8, 8]  # a mean of Dice is of who has the contour
    for fold in range(2):
        dice = load_file(tmp_path / "run" / "ablation" / "dice" / f"fold_{fold}" / "weights.safetensors")
        begun = load_file(tmp_path / "run" / "start" / f"{fold % len(bundle.info.members)}.safetensors")
        learned = [name for name in begun if "running" not in name]
        assert len(learned) > 20
        for name in learned:
            torch.testing.assert_close(dice[name].float(), begun[name].float(), atol=1e-6, rtol=1e-3, msg=name)


def test_torchrun_is_told_that_one_process_works(cohort_folder, run_config, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="and 'mmpl ablate' works in one: train with torchrun, then give"):
        ablate(cohort_folder, tmp_path / "run", run_config)
    assert not (tmp_path / "run").exists()


def test_without_a_patient_split_there_is_nothing_to_compare(cohort_folder, run_config, tmp_path):
    with pytest.raises(TrainingError, match="ablations need the patient split"):
        ablate(cohort_folder, tmp_path / "run", replace(run_config, splits=("centre",)))
