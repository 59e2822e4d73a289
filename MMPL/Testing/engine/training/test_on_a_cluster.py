"""`mmpl train` and `mmpl ablate` on a Dask cluster started by hand, one of whose workers dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from mmpl.cli import main
from mmpl.training import run as training_run
from mmpl.training.ablation import run as ablation_run
from mmpl.training.config import config_to_dict

WORKERS = 2


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[Path, list[subprocess.Popen]]]:
    """The scheduler file, and the workers' processes: each a command of its own, as on many machines."""
    file, started = tmp_path / "scheduler.json", []

    def start(*command: str) -> subprocess.Popen:
        log = (tmp_path / f"{command[0]}-{len(started)}.log").open("w")
        process = subprocess.Popen([sys.executable, "-m", "dask", *command], stdout=log, stderr=log)
        started.append(process)
        return process

    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    workers = [
        start("worker", "--scheduler-file", str(file), "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard")
        for _ in range(WORKERS)
    ]
    until = time.monotonic() + 120
    while not file.is_file() and time.monotonic() < until:  # a run refuses a scheduler that is not there
        time.sleep(0.1)
    yield file, workers
    for process in started:
        family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        for one in family:
            one.kill()
        process.wait()


@pytest.mark.slow
def test_what_a_cluster_trains_and_compares_is_the_same(
    tmp_path, cohort_folder, run_config, small_statistics, finished_run, cluster, monkeypatch, capsys
):
    whole, bundle, _ = finished_run
    file, workers = cluster
    for module in (training_run, ablation_run):
        monkeypatch.setattr(module, "StatisticsConfig", lambda: small_statistics)
    settings, out = tmp_path / "config.yaml", tmp_path / "run"
    settings.write_text(yaml.safe_dump(config_to_dict(run_config)), encoding="utf-8")
    common = ["--data", str(cohort_folder), "--out", str(out), "--config", str(settings), "--scheduler", str(file)]
    before: list[bool] = []
    killer = threading.Thread(target=kill_once_training, args=(out, workers[0], before))
    killer.start()

    assert main(["train", *common]) == 0
    killer.join()
    assert before == [True]  # the worker died on the way, not after
    assert f"bundle {bundle.info.name} {bundle.info.version} in {out / 'bundle'}" in capsys.readouterr().out
    ours, theirs = (json.loads((r / "patient" / "out_of_fold.json").read_text("utf-8")) for r in (out, whole))
    assert list(ours) == list(theirs)
    for patient in theirs:  # the same up to training in another process
        assert ours[patient] == pytest.approx(theirs[patient], rel=1e-2, abs=1e-2), patient

    assert main(["ablate", *common]) == 0
    assert "Segmentation: loss of stage 1" in capsys.readouterr().out
    assert (out / "ablation" / "ablation.json").is_file()


def kill_once_training(out: Path, worker: subprocess.Popen, before: list[bool]) -> None:
    """End a worker and its nanny, which would start it anew, once a first network has been trained an epoch.

    ``before`` is told whether the bundle was still to come.
    """
    until = time.monotonic() + 300
    while not list(out.glob("*/fold_*/segmentation/log.jsonl")) and time.monotonic() < until:
        time.sleep(0.02)
    for process in psutil.Process(worker.pid).children(recursive=True):
        process.kill()
    worker.kill()
    worker.wait()
    before.append(not (out / "bundle").exists())
