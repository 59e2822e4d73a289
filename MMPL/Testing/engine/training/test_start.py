"""Starting stage 1 from another bundle's weights."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmpl.bundle.reader import open_bundle
from mmpl.errors import OutputError, TrainingError
from mmpl.network.config import NetworkConfig
from mmpl.training.config import StageConfig
from mmpl.training.folds import Split
from mmpl.training.split_run import segmentation_tasks, split_runs
from mmpl.training.stages import SEGMENTATION, StageRun, train_segmentation
from mmpl.training.start import Start, keep_start, open_start

STANDSTILL = StageConfig(1, 2, (1e-12, 1e-12, 1e-12))


@pytest.fixture(scope="module")
def bundle(tiny_bundle_path):
    return open_bundle(tiny_bundle_path)


@pytest.fixture(scope="module")
def network(bundle):
    return NetworkConfig.from_dict(dict(bundle.info.network))


def test_members_are_dealt_out_in_turn():
    start = Start("b", "0" * 64, (Path("0"), Path("1"), Path("2")))
    assert [start.of(n).name for n in range(5)] == ["0", "1", "2", "0", "1"]


def test_every_network_of_a_run_has_the_next_member(tiny_config, tmp_path):
    """Of five members: the centre split goes on where the patient split ended."""
    start = Start("b", "0" * 64, tuple(Path(str(n)) for n in range(5)))
    splits = [Split("patient", {"P": 0, "Q": 1, "R": 2}), Split("centre", {"P": 0, "Q": 1, "R": 1})]
    runs = split_runs(tiny_config, tmp_path, splits, start)
    assert [task.start.name for run in runs for task in segmentation_tasks(run, [])] == ["0", "1", "2", "3", "4"]


def test_weights_are_kept_in_the_run(bundle, tmp_path):
    start = keep_start(bundle, tmp_path / "start")
    assert (start.name, start.sha256) == (bundle.info.name, bundle.sha256)
    assert len(start.weights) == len(bundle.info.members)
    for path, member in zip(start.weights, bundle.info.members, strict=True):
        stored, kept = bundle.tensors(member.files[SEGMENTATION]), load_file(path)
        assert set(stored) == set(kept)
        assert all(torch.equal(stored[name], kept[name]) for name in stored)
    before = [p.stat().st_mtime_ns for p in start.weights]
    keep_start(bundle, tmp_path / "start")
    assert [p.stat().st_mtime_ns for p in start.weights] == before


def test_a_full_disk_is_one_sentence_and_leaves_no_half_a_file(bundle, tmp_path, monkeypatch):
    def full(path, data):
        with path.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"0\.safetensors cannot be written: the disk is full"):
        keep_start(bundle, tmp_path / "start")
    assert list((tmp_path / "start").iterdir()) == []


def test_training_goes_on_from_the_weights(bundle, network, tiny_config, write_random, tmp_path):
    config = replace(tiny_config, network=replace(network, spacing_mm=8.0), segmentation=STANDSTILL, wide_share=0.0)
    paths = [write_random(tmp_path / f"P{n}.npz", n) for n in range(2)]
    start = keep_start(bundle, tmp_path / "start").weights[1]
    run = StageRun(config, tmp_path / "run", 0, SEGMENTATION)
    train_segmentation(run, paths, start)
    begun, ended = load_file(start), load_file(run.weights_path)
    learned = [name for name in begun if "running" not in name]
    assert len(learned) > 20
    for name in learned:
        torch.testing.assert_close(ended[name].float(), begun[name].float(), atol=1e-6, rtol=1e-3, msg=name)


def test_another_spacing_is_welcome_and_other_widths_are_not(tiny_bundle_path, network):
    assert open_start(tiny_bundle_path, replace(network, spacing_mm=2.5)).path == tiny_bundle_path
    wider = replace(network, fusion_channels=tuple(2 * n for n in network.fusion_channels))
    with pytest.raises(TrainingError, match="its networks have another 'fusion_channels' than the settings"):
        open_start(tiny_bundle_path, wider)
