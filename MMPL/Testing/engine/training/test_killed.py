"""A training run that is killed again and again ends as one that never was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mmpl.bundle.reader import open_bundle
from mmpl.training.config import StageConfig, config_to_dict

# the tests' small forests, in another process
SCRIPT = """
import sys
from pathlib import Path

from mmpl.training import run
from mmpl.training.config import load_config
from mmpl.training.ensemble_statistics import StatisticsConfig
from mmpl.training.hpv_classifier import HpvConfig

import torch

torch.set_num_threads(1)
hpv = HpvConfig(top_features=5, trees=(5,), depths=(2,), leaf_sizes=(1,), inner_folds=2)
run.StatisticsConfig = lambda: StatisticsConfig(hpv=hpv)
data, out, config = map(Path, sys.argv[1:])
run.train(data, out, load_config(config), progress=lambda step, fraction: print(step, flush=True))
"""
# step, how many of its lines are waited for (tasks that are done already tell one, too), longest time from there to the
# kill in s
KILLED_IN = (
    ("preparing cases", 5, 0.3),
    ("preparing cases", 8, 1.5),  # in the first network of stage 1
    ("segmentation networks", 1, 1.5),
    ("segmentation networks", 3, 1.5),
    ("mask thresholds", 3, 0.3),
    ("out-of-fold masks and radiomics", 4, 0.3),
    ("out-of-fold masks and radiomics", 16, 1.5),  # in the first networks of stages 2 and 3
    ("HPV and RFS networks", 1, 1.5),
    ("HPV and RFS networks", 3, 0.3),  # the deep scores come soon after: they are to be killed, too
    ("out-of-fold deep scores", 5, 0.3),
    ("forests and Cox models", 1, 0.1),
)
THREE = StageConfig(3, 2, (1e-3, 1e-3, 1e-3))  # epochs of two steps, so that an average goes on from a checkpoint
ALONE = {"workers": 1}
SHARED = {"workers": 2, "ema_decay": 0.9, "segmentation": THREE, "hpv": THREE, "rfs": THREE}
# in what takes long: networks
WHEN_SHARED = tuple(kill for kill in KILLED_IN if kill[2] > 1 or kill[0] == "HPV and RFS networks")


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "kills"), [(ALONE, KILLED_IN), (SHARED, WHEN_SHARED)], ids=["alone", "shared"])
def test_kill_minus_nine_at_any_moment_changes_nothing(tmp_path, cohort_folder, run_config, settings, kills):
    """Weights and scores are the same bit for bit: each process has one thread, so that sums have one order."""
    file, whole, out = tmp_path / "config.yaml", tmp_path / "whole", tmp_path / "run"
    file.write_text(yaml.safe_dump(config_to_dict(replace(run_config, **settings))), encoding="utf-8")

    def command(folder: Path) -> list[str]:
        return [sys.executable, "-c", SCRIPT, str(cohort_folder), str(folder), str(file)]

    subprocess.run(command(whole), check=True, stdout=subprocess.DEVNULL)
    draw = np.random.default_rng(4)
    for step, lines, longest_s in kills:
        process = subprocess.Popen(command(out), stdout=subprocess.PIPE, text=True)
        said = (line.strip() for line in process.stdout)
        assert sum(1 for _ in islice((line for line in said if line == step), lines)) == lines, step
        time.sleep(draw.uniform(0, longest_s))
        process.kill()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL, step
    subprocess.run(command(out), check=True, stdout=subprocess.DEVNULL)
    for split in ("patient", "centre"):
        one, other = (json.loads((r / split / "out_of_fold.json").read_text("utf-8")) for r in (whole, out))
        assert one == other
    weights = sorted(whole.glob("*/fold_*/*/weights.safetensors"))
    assert len(weights) == 2 * 2 * 3
    for path in weights:
        one, other = load_file(path), load_file(out / path.relative_to(whole))
        assert all(torch.equal(one[name], other[name]) for name in one), path
        log = (out / path.relative_to(whole)).with_name("log.jsonl").read_text("utf-8").splitlines()
        epochs = [json.loads(line)["epoch"] for line in log]
        assert epochs == list(range(len(epochs)))
    one, other = (open_bundle(r / "bundle") for r in (whole, out))
    assert dict(one.checksums) == dict(other.checksums)
