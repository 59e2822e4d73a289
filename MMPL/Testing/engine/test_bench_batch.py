"""bench/batch.py: what a cohort costs, multiplied from what was measured; hand-worked figures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "bench" / "batch.py"


@pytest.fixture(scope="module")
def batch():
    spec = importlib.util.spec_from_file_location("bench_batch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclass looks for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_cohort_costs_its_cases_and_no_more_workers_than_one_process_keeps_busy(batch):
    measured = batch.Measured(cases=12, workers=2, wall_s=50.0, case_s=7.2, case_bytes=2e6, seen_s=0.03, task_s=0.024)
    assert measured.most_workers == 300  # 7.2 s / 24 ms
    assert measured.worker_hours(1000) == pytest.approx(2.0)
    lines = batch.report(measured, "demo 1.0", 1000).splitlines()
    assert "demo 1.0" in lines[0]
    assert lines[4:] == [
        "1,000 cases of this kind, multiplied:",
        "  2 hours of one worker",
        "  0.2 hours on 10 workers",
        "  0.0 hours on 100 workers",  # 1,000 workers would be idle: not promised
        "  one process keeps 300 workers busy",
        "  2 GB of results",
        "  0.5 minutes to see that all is done",
    ]


def test_what_is_measured_is_what_the_batch_left(
    batch, tiny_bundle_path, tiny_patient, save_image, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch, "seconds_a_task", lambda workers: 0.01)
    for name in ("A", "B"):
        home = tmp_path / "cohort" / "Task 1" / name
        save_image(tiny_patient.ct, home / f"{name}__CT.nii.gz")
        save_image(tiny_patient.pet, home / f"{name}__PT.nii.gz")
    measured = batch.measure(tmp_path, tiny_bundle_path, 2, 1)
    left = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert 0 < 2 * measured.case_bytes <= left  # the second round adds no case
    assert 0 < measured.case_s <= measured.wall_s
    assert measured.seen_s > 0
    assert measured.task_s == 0.01
