"""Where networks can run, on this machine and on machines with other things in them."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from mmpl.errors import InputError
from mmpl.machine import cgroup_free_bytes, check_device, chosen_device, devices, free_bytes, give_back


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
def test_free_memory_is_what_the_system_says(no_gpu, monkeypatch):
    (cpu,) = devices()
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr("mmpl.machine.cgroup_free_bytes", lambda: [])
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
    with pytest.raises(InputError, match=f"device {device!r} is not on this machine: choose cpu or auto"):
        check_device(device)


def test_auto_is_the_first_card_and_without_any_the_cpu(two_gpus, monkeypatch):
    assert chosen_device("auto") == "cuda:0"
    assert chosen_device("cuda:1") == "cuda:1"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device("auto") == "cpu"
    with pytest.raises(InputError, match="'cuda:1' is not on this machine"):
        chosen_device("cuda:1")


def test_a_card_that_does_not_answer_is_none(two_gpus, monkeypatch):
    def broken(n):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "mem_get_info", broken)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: broken(0))
    give_back("cuda:0")
    assert [one["id"] for one in devices()] == ["cpu"]
    assert free_bytes("cuda:0") is None
    assert chosen_device("auto") == "cpu"


def group(folder, limit, used, cached, *, version):
    """A control group's files."""
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}
    names[2] = ("memory.max", "memory.current", "inactive_file")
    of_limit, of_use, of_cache = names[version]
    folder.mkdir(parents=True)
    (folder / of_limit).write_text(f"{limit}\n", encoding="ascii")
    (folder / of_use).write_text(f"{used}\n", encoding="ascii")
    (folder / "memory.stat").write_text(f"anon 5\n{of_cache} {cached}\n", encoding="ascii")


def test_a_container_leaves_what_its_limit_does(tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "root"
    own.write_text("0::/\n", encoding="ascii")
    assert cgroup_free_bytes(own, root) == []
    group(root, 16 * 10**9, 6 * 10**9, 2 * 10**9, version=2)
    assert cgroup_free_bytes(own, root) == [12 * 10**9]  # files that are only cached are given up
    (root / "memory.max").write_text("max\n", encoding="ascii")
    assert cgroup_free_bytes(own, root) == []
    assert cgroup_free_bytes(tmp_path / "elsewhere", root) == []


def test_a_job_leaves_what_the_narrowest_group_above_it_does(tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "root"
    own.write_text("0::/slurm/job_7/step_0\n", encoding="ascii")
    group(root / "slurm" / "job_7", 8 * 10**9, 3 * 10**9, 0, version=2)
    group(root / "slurm" / "job_7" / "step_0", "max", 3 * 10**9, 0, version=2)
    assert cgroup_free_bytes(own, root) == [5 * 10**9]


def test_the_first_version_is_read_too(tmp_path, monkeypatch, no_gpu):
    own, root = tmp_path / "cgroup", tmp_path / "root"
    own.write_text("5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n", encoding="ascii")
    group(root / "memory", 4 * 10**9, 10**9, 0, version=1)  # a container sees its own group as the root
    assert cgroup_free_bytes(own, root) == [3 * 10**9]
    monkeypatch.setattr("mmpl.machine.cgroup_free_bytes", lambda: [2 * 10**8])
    if sys.platform.startswith("linux"):
        assert devices()[0]["free_gb"] == 0.2
