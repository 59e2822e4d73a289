"""`mmpl train` in two processes that torchrun starts, on the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from mmpl.bundle.reader import open_bundle
from mmpl.ensemble import load_ensemble
from mmpl.training.config import config_to_dict

# `python -m mmpl`, with the tests' small forests
SCRIPT = """
import sys

from mmpl.cli import main
from mmpl.training import run
from mmpl.training.ensemble_statistics import StatisticsConfig
from mmpl.training.hpv_classifier import HpvConfig

hpv = HpvConfig(top_features=5, trees=(5,), depths=(2,), leaf_sizes=(1,), inner_folds=2)
run.StatisticsConfig = lambda: StatisticsConfig(hpv=hpv)
sys.exit(main())
"""


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _files(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_processes_leave_what_one_leaves(tmp_path, cohort_folder, run_config, finished_run):
    whole, bundle, _ = finished_run
    script, settings, out = tmp_path / "train.py", tmp_path / "config.yaml", tmp_path / "run"
    script.write_text(SCRIPT, encoding="utf-8")
    settings.write_text(yaml.safe_dump(config_to_dict(replace(run_config, device="cpu"))), encoding="utf-8")
    torchrun = ["torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    train = ["train", "--data", str(cohort_folder), "--out", str(out), "--config", str(settings)]
    subprocess.run(
        [sys.executable, "-m", *torchrun, "--master-port", _free_port(), str(script), *train],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},  # with a card, processes would talk through it
        check=True,
        timeout=1800,
    )
    assert _files(out) == _files(whole)
    mine = open_bundle(out / "bundle")
    assert list(mine.checksums) == list(bundle.checksums)
    assert len(load_ensemble(mine).members) == 4
    for log in sorted(out.glob("*/fold_*/*/log.jsonl")):
        assert [json.loads(line)["epoch"] for line in log.read_text("utf-8").splitlines()] == [0]
    for split in ("patient", "centre"):
        scores, theirs = (json.loads((run / split / "out_of_fold.json").read_text("utf-8")) for run in (out, whole))
        assert list(scores) == list(theirs)
        assert np.isfinite(list(scores.values())).all()
