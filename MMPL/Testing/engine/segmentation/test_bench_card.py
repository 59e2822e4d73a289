"""bench/inference_card.py in its tiny form, on the CPU: a card has not been at hand."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from mmpl.network.backends.pytorch import gflop

SCRIPT = Path(__file__).parents[4] / "bench" / "inference_card.py"


@pytest.fixture(scope="module")
def card():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("bench_inference_card", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


def run(card, monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["inference_card.py", *map(str, arguments)])
    return card.main()


def test_the_tiny_form_measures_all_there_is_to_measure(card, tmp_path, monkeypatch, capsys):
    asked = ("--run", tmp_path, "--device", "cpu", "--tiny", "--json", tmp_path / "card.json")
    assert run(card, monkeypatch, *asked) == 0
    table = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert table["machine"]["device"] == "cpu"
    ours, watched, derived = (table[key]["default"] for key in ("ours", "profile", "derived"))
    plain, peak = table["plain"]["TF32 off"], table["matrices"]["tflops"]

    assert ours["backend"] == "PyTorch, fp32, cpu"
    assert ours["preview_s"] > 0
    assert min(ours["each_s"]) <= ours["repeated_s"] <= max(ours["each_s"])
    slab, box = (sum(z * y * x for z, y, x in ours[key]) for key in ("regions", "boxes"))
    assert ours["voxels"] == 2 * slab + (table["members"] - 2) * box  # two search
    assert watched["gflop"] == pytest.approx(gflop(card.TINY.network, ours["voxels"]))
    assert sum(watched["seconds"].values()) == pytest.approx(watched["wall_s"])
    assert min(watched["seconds"].values()) >= 0
    assert plain["windows"] % table["members"] == 0
    assert plain["members_measured"] == table["members"]
    assert 0 < plain["members_s"] < plain["wall_s"]

    assert derived["times_faster"]["TF32 off"] == pytest.approx(plain["wall_s"] / ours["repeated_s"])
    reached = watched["gflop"] / 1000 / watched["seconds"]["passes"] / peak
    assert derived["share_of_matrix_peak"] == pytest.approx(reached)
    assert ours["drawn"] == plain["drawn"] > 0  # both ways end in the same masks

    first = capsys.readouterr().out
    monkeypatch.setattr("inference_card_parts.draw_case", lambda *_: pytest.fail("it was measured again"))
    assert run(card, monkeypatch, *asked) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--device", "cuda:99"), "finds no graphics card 'cuda:99' here"), (("--device", "cpu"), "give --tiny")],
)
def test_without_a_card_it_says_so_and_measures_nothing(card, arguments, says, tmp_path, monkeypatch, capsys):
    assert run(card, monkeypatch, "--run", tmp_path / "run", *arguments) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not (tmp_path / "run").exists()
