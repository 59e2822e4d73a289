"""bench/data_pipeline.py's times of training, and bench/training_cost.py's multiplications of them."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mmpl.network.config import NetworkConfig
from mmpl.training.cache_entry import write_entry
from mmpl.training.config import TrainingConfig

BENCH = Path(__file__).parents[3] / "bench"


def _loaded(name: str) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclass looks for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def data_pipeline():
    yield from _loaded("data_pipeline")


@pytest.fixture(scope="module")
def training_cost():
    yield from _loaded("training_cost")


class WallClock:
    """In place of a graphics card's."""

    name = "no card"

    def mark(self) -> float:
        return time.perf_counter()

    def seconds(self, first: float, last: float) -> float:
        return last - first


def test_steps_are_timed_as_a_run_takes_them(tmp_path, data_pipeline):
    """On a CPU, with a network of a few channels: a card has not been at hand."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        array = np.zeros((2, 24, 20, 20))
        array[:, 9:12, 9:12, 9:12] = 255
        write_entry(path, array / 255, array.astype(np.uint8), spacing_mm=10.0, lost_voxels=0, sources={})
    network = replace(NetworkConfig.demo(), spacing_mm=10.0)
    config = replace(TrainingConfig.demo(), network=network, workers=1, wide_mm=(160.0, 160.0, 320.0), autocast=False)
    found = data_pipeline.measure_card(paths, 3, config, torch.device("cpu"), WallClock())
    assert found.card == "no card"
    assert found.threads == 1
    assert 0.2 < found.within_steps <= 1
    assert found.patches > 0
    assert found.tflops > 0


def test_a_patchs_cost_is_told_by_second_and_core(data_pipeline):
    lines = data_pipeline.lines_of_making(data_pipeline.Making(0.08, 0.4, 0.1))
    assert lines[1] == "  stage 1, window of 128 mm: 0.080 s a patch, 12.5 patches/s and core"


def test_a_cohorts_cost_is_the_hand_worked_one(training_cost):
    cohort = training_cost.Cohort(patients=100, members=2, folds=5)
    cost = training_cost.cost_of(cohort, TrainingConfig())
    shown = 100 * 0.8 * 2
    assert (cost.windows, cost.wide, cost.outcomes) == (shown * 200 * 0.75, shown * 200 * 0.25, shown * 120)
    window = 479.6e9
    wide = 256 * 192 * 192 / 128**3 * window
    roi = 320 * 208 * 208 / 128**3 * window  # padded to multiples of 16
    stage_1, later, unseen = cost.flop
    assert stage_1 == pytest.approx(3 * shown * 200 * (0.75 * window + 0.25 * wide))
    assert later == pytest.approx(3 * shown * 120 * window)
    assert unseen == pytest.approx(100 * 2 / 5 * (roi + 2 * window))
    assert cost.card_hours(0.25) == pytest.approx(sum(cost.flop) / (0.25 * 989e12) / 3600)
    assert cost.core_hours(0.1, 0.5, 0.2) == pytest.approx(shown * (15 + 25 + 24) / 3600)


def test_the_slower_of_card_and_cores_decides(training_cost):
    cohort = training_cost.Cohort()
    cost = training_cost.cost_of(cohort, TrainingConfig())
    making = {"window": 0.1, "wide": 0.5, "outcome": 0.1}
    lines = training_cost.report(cost, making, [0.25], cohort).splitlines()
    hours, on_card = cost.core_hours(**{f"{what}_s": s for what, s in making.items()}), cost.card_hours(0.25)
    assert f"| 4 | {hours / 4:.1f} h, cores |" in lines
    assert f"| 32 | {on_card:.1f} h, card |" in lines
