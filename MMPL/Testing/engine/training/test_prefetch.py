"""Batches made side by side."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
import torch

from mmpl.training import prefetch
from mmpl.training.batches import Batches
from mmpl.training.config import AugmentationConfig, StageConfig, TrainingConfig
from mmpl.training.loop import prefetched
from mmpl.training.patches import SegmentationPatches
from mmpl.training.prefetch import in_order, patch_threads, stacked
from mmpl.training.ranks import ALONE

CPU, CARD = torch.device("cpu"), torch.device("cuda:1")


def test_what_is_made_comes_in_order():
    def slow_when_even(n: int) -> int:
        time.sleep(0.02 * (n % 2 == 0))
        return n

    for threads in (1, 3, 9):
        assert list(in_order(slow_when_even, range(7), threads)) == list(range(7))
    assert list(in_order(slow_when_even, [], 2)) == []


def test_threads_work_side_by_side_and_no_farther_ahead():
    together, begun = threading.Barrier(3), []

    def make(n: int) -> int:
        begun.append(n)
        if n < 3:
            together.wait(timeout=20)  # passes only where three are made at once
        return n

    made = in_order(make, range(50), threads=3)
    assert next(made) == 0
    time.sleep(0.2)
    assert sorted(begun) == [0, 1, 2, 3]  # one is taken, three are made ahead
    made.close()
    assert len(begun) <= 4


def test_an_error_comes_in_its_place_and_ends_the_rest():
    begun = []

    def make(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ValueError("third")
        return n

    made = prefetched(in_order(make, range(50), threads=2))
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ValueError, match="third"):
        next(made)
    assert max(begun) < 8


def test_batches_do_not_depend_on_the_number_of_threads(tmp_path, write_random):
    paths = [write_random(tmp_path / f"P{n}", n) for n in range(5)]
    data = SegmentationPatches(paths, 8.0, AugmentationConfig(), 1, (192.0, 128.0, 128.0))

    def epoch(threads: int, number: int) -> list[torch.Tensor]:
        batches = Batches(
            data,
            lambda draw: draw.permutation(5),
            StageConfig(3, 2, (1e-3,) * 3),
            9,
            ALONE,
            CPU,
            threads,
            lambda draw, settling: draw.random() < 0.5,
        )
        return [part for batch in batches(number) for part in batch]

    for number in (0, 1, 3):
        one, four = epoch(1, number), epoch(4, number)
        assert len(one) == len(four) == 4  # two batches; the fifth patch is left out
        assert all(torch.equal(a, b) for a, b in zip(one, four, strict=True))
    assert not torch.equal(epoch(1, 0)[0].flatten()[:99], epoch(1, 1)[0].flatten()[:99])


def test_a_card_gets_its_share_of_the_cores_but_one():
    auto = TrainingConfig()
    alone = {}
    assert patch_threads(auto, CPU, 64, alone) == 1
    assert patch_threads(auto, CARD, 16, alone) == 15
    assert patch_threads(auto, CARD, 64, alone) == 16
    assert patch_threads(auto, CARD, 1, alone) == 1
    assert patch_threads(replace(auto, workers=4), CARD, 16, alone) == 3
    assert patch_threads(replace(auto, workers=4), CARD, 4, alone) == 1
    assert patch_threads(auto, CARD, 64, {"LOCAL_WORLD_SIZE": "8"}) == 7
    assert patch_threads(replace(auto, patch_threads=5, workers=4), CPU, 2, alone) == 5


def test_batches_for_a_card_are_pinned_for_it(monkeypatch):
    """No card is needed to see what is asked for."""
    asked, empty = [], torch.empty

    class Chosen:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            asked.append(self.device)

        def __exit__(self, *_):
            asked.append("done")

    def record(*shape, pin_memory, **how):
        asked.append(pin_memory)
        return empty(*shape, **how)

    monkeypatch.setattr(prefetch.torch, "empty", record)
    monkeypatch.setattr(prefetch.torch.cuda, "device", Chosen)
    parts = [torch.arange(3.0), torch.arange(3.0) + 3]
    for device in (CARD, CPU):
        assert stacked(parts, device).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert asked == [CARD, True, "done", False]
