"""Where networks can run, on this machine and on machines with other things in them."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from mmpl.errors import InputError
from mmpl.machine import check_device, devices


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, as PyTorch tells it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda n: ((n + 1) * 10**9, 24 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda n: f"Card {n}")


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_the_cpu_comes_first_and_says_its_cores(no_gpu):
    (cpu,) = devices()
    assert cpu["id"] == "cpu"
    assert cpu["name"] == f"CPU, {os.cpu_count()} cores"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from /proc")
def test_free_memory_is_what_the_system_says(no_gpu):
    (cpu,) = devices()
    psutil = pytest.importorskip("psutil")
    assert cpu["free_gb"] == pytest.approx(psutil.virtual_memory().available / 1e9, abs=1.0)


def test_every_gpu_is_named_with_its_free_memory(two_gpus):
    assert devices()[1:] == [
        {"id": "cuda:0", "name": "Card 0", "free_gb": 1.0},
        {"id": "cuda:1", "name": "Card 1", "free_gb": 2.0},
    ]


def test_a_device_that_is_there_is_taken(two_gpus):
    assert check_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize("device", ["cuda:0", "cuda", "mps", ""])
def test_a_device_that_is_not_there_is_refused_with_what_is(no_gpu, device):
    with pytest.raises(InputError, match=f"device {device!r} is not on this machine: choose cpu"):
        check_device(device)
