"""Several processes that train one network, as torchrun starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from mmpl.training.config import StageConfig
from mmpl.training.loop import fit
from mmpl.training.ranks import ALONE, Ranks, current, joined

# each process trains on its half of every batch, and does its share of seven tasks
SCRIPT = """
import json
import sys
from pathlib import Path

import torch
from torch import nn

from mmpl.progress import silent
from mmpl.training.config import StageConfig
from mmpl.training.loop import fit
from mmpl.training.ranks import RankPool, collective, current, joined

torch.set_num_threads(1)
folder, mine = Path(sys.argv[1]), []


def square(n):
    mine.append(n)
    return n * n


@collective
def together(n):
    mine.append(n)
    return -n


def batches(epoch):
    for seed in range(3):
        x = torch.randn(4, 1, 4, 4, 4, generator=torch.Generator().manual_seed(10 * epoch + seed))
        share = list(current().share(range(4)))
        yield x[share], 2 * x[share]


with joined() as ranks:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.Conv3d(2, 1, 1))
    stage = StageConfig(3, 4, (1e-2, 1e-3, 1e-4))
    net = fit(net, batches, lambda o, t: ((o - t) ** 2).mean(), stage, folder / "stage", ema_decay=0.5)
    pool = RankPool(ranks)
    results = [pool.each(f, list(range(7)), progress=silent, step="x") for f in (square, together)]
    found = {
        "weights": [p.tolist() for p in net.parameters()],
        "results": results,
        "mine": mine,
        "mean": ranks.mean(float(ranks.rank), torch.device("cpu")),
        "first": ranks.one_first(lambda: sorted(p.name for p in folder.glob("stage/*"))),
    }
    (folder / f"{ranks.rank}.json").write_text(json.dumps(found), encoding="utf-8")
"""


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _start(folder, ranks: int) -> list[dict]:
    """What each of so many processes found; started as torchrun starts them."""
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port(), "WORLD_SIZE": str(ranks)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(folder)], env={**common, "RANK": str(n), "LOCAL_RANK": str(n)}
        )
        for n in range(ranks)
    ]
    assert [process.wait(120) for process in processes] == [0] * ranks
    return [json.loads((folder / f"{n}.json").read_text(encoding="utf-8")) for n in range(ranks)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(folder):
    return _start(folder, 2)


def test_two_processes_train_what_one_does(two, tmp_path):
    """Mean losses over halves of a batch average to the batch's, and so do gradients."""

    def batches(epoch):
        for seed in range(3):
            x = torch.randn(4, 1, 4, 4, 4, generator=torch.Generator().manual_seed(10 * epoch + seed))
            yield x, 2 * x

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.Conv3d(2, 1, 1))
    stage = StageConfig(3, 4, (1e-2, 1e-3, 1e-4))
    alone = fit(net, batches, lambda o, t: ((o - t) ** 2).mean(), stage, tmp_path, ema_decay=0.5)
    assert two[0]["weights"] == two[1]["weights"]
    for mine, theirs in zip(alone.parameters(), two[0]["weights"], strict=True):
        torch.testing.assert_close(mine.detach(), torch.tensor(theirs), rtol=1e-5, atol=1e-6)


def test_tasks_are_dealt_out_and_every_process_has_all_results(two):
    for found in two:
        assert found["results"] == [[0, 1, 4, 9, 16, 25, 36], [0, -1, -2, -3, -4, -5, -6]]
    every = [0, 1, 2, 3, 4, 5, 6]
    assert [found["mine"] for found in two] == [[0, 2, 4, 6, *every], [1, 3, 5, *every]]


def test_numbers_are_averaged_and_files_found(two):
    assert [found["mean"] for found in two] == [0.5, 0.5]
    assert [found["first"] for found in two] == [["checkpoint.pt", "log.jsonl"]] * 2


def test_the_log_has_one_line_an_epoch(two, folder):
    lines = (folder / "stage" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2]


def test_shares_are_of_one_length():
    assert [list(Ranks(r, 3).share(range(8))) for r in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert [list(Ranks(r, 3).share(range(2))) for r in range(3)] == [[], [], []]
    assert list(ALONE.share([7, 8, 9])) == [7, 8, 9]


def test_batch_norm_sees_a_whole_batch_on_graphics_cards_only():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [Ranks(0, 4).normalised(8, device) for device in (cpu, cuda)] == [2, 8]
    assert [ALONE.normalised(3, device) for device in (cpu, cuda)] == [3, 3]


def test_alone_nothing_is_joined():
    with joined({}) as ranks:
        assert ranks == current() == ALONE
    assert ALONE.mean(3.0, torch.device("cpu")) == 3.0
    assert ALONE.one_first(lambda: 5) == 5


@pytest.mark.parametrize(
    ("card", "nccl", "chosen"), [(True, True, "nccl"), (True, False, "gloo"), (False, True, "gloo")]
)
def test_processes_talk_through_what_there_is(monkeypatch, card, nccl, chosen):
    """PyTorch for Windows has no NCCL, with a card or without."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(torch.cuda, "set_device", lambda n: None)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, timeout: asked.append(backend))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with joined({"WORLD_SIZE": "2", "LOCAL_RANK": "0"}):
        pass
    assert asked == [chosen]
