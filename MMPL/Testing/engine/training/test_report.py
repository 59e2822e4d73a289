"""The page of a training run: curves where the log has them, figures where they belong."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from mmpl.metrics.segmentation import CaseScore, Detection, Overlap
from mmpl.training.assemble import Provenance
from mmpl.training.curves import read_losses
from mmpl.training.folds import Split
from mmpl.training.report import STAGE_NAMES, learning_chart, render_run
from mmpl.training.split_run import split_runs
from mmpl.training.stages import STAGES

# P2 has no label; P3 has no GTVp
P1 = CaseScore("P1", Overlap(8, 10, 10), Overlap(10, 20, 20), Detection(tp=1, fp=1, fn=0), 0.001)
P3 = CaseScore("P3", Overlap(0, 0, 0), Overlap(27, 30, 30), Detection(tp=2, fp=0, fn=1), 0.001)
LOSSES = {0: [4.0, 2.0, 1.0], 1: [3.0, 3.0, 2.0]}  # by fold


def test_a_curve_by_hand():
    """The plot is 530 wide and 200 high; its left lower corner is at (66, 252)."""
    svg = learning_chart([("fold 0", [4.0, 2.0]), ("fold 1", [1.0]), ("fold 2", [])], title="hpv")
    paths = re.findall(r'<path d="([^"]+)"', svg)
    assert paths[0] == "M331.0,52.0L596.0,152.0"
    assert paths[2] == "M331.0,202.0"
    assert len(paths) == 4  # two in the legend
    assert re.findall(r'<circle class="end-dot" cx="([^"]+)" cy="([^"]+)"', svg) == [
        ("596.0", "152.0"),
        ("331.0", "202.0"),
    ]
    assert "fold 0: 4 to 2; fold 1: 1 to 1" in svg
    assert "fold 2" not in svg


def test_without_a_log_there_is_an_empty_chart(tmp_path):
    assert read_losses(tmp_path) == []
    assert "<svg" in learning_chart([("fold 0", [])], title="rfs")


def test_a_torn_line_of_the_log_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 0, "loss": 3.0}\n{"epoch": 1, "lo', encoding="utf-8")
    assert read_losses(tmp_path) == [3.0]


@pytest.fixture
def page(tiny_config, tmp_path) -> str:
    """Of three patients in two folds and a split."""
    runs = split_runs(tiny_config, tmp_path, [Split("patient", {"P1": 0, "P2": 0, "P3": 1})])
    for fold, stages in enumerate(runs[0].networks):
        for stage in stages.values():
            stage.folder.mkdir(parents=True)
            lines = [json.dumps({"epoch": epoch, "loss": loss}) for epoch, loss in enumerate(LOSSES[fold])]
            (stage.folder / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    metrics = pd.DataFrame(
        {
            "split": [0, 0, 0],
            "fold": ["0", "1", "pooled"],
            "auc": [0.75, np.nan, 0.8],
            "balanced_accuracy": [0.6, np.nan, 0.65],
            "c_index": [0.5, 0.625, 0.55],
        }
    )
    provenance = Provenance("", "3 patients of <1> centre.", False, 2, "day 0", "2026-01-02", ())
    return render_run(tiny_config, runs, metrics, {"patient": {"P1": P1, "P3": P3}}, provenance)


def test_every_stage_has_its_curves(page):
    assert list(STAGE_NAMES) == list(STAGES)
    for name in STAGE_NAMES.values():
        assert f"Learning curves: {name}" in page
    assert page.count("fold 0: 4 to 1; fold 1: 3 to 2") == 3


def test_every_fold_has_its_row(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page[page.index("Out of fold") : page.index("Training data")])
    cells = [re.findall(r">([^<]+)</t", row) for row in rows]
    assert cells[1:] == [
        ["0", "member_0", "1", "2", "0.800", "0.500", "0.667", "0.750", "0.600", "0.500"],
        ["1", "member_1", "2", "1", "-", "0.900", "0.800", "-", "-", "0.625"],
        # of GTVn: 2 (10 + 27) / (40 + 60), and 2 x 3 / (2 x 3 + 2)
        ["all", "-", "-", "3", "0.800", "0.740", "0.750", "0.800", "0.650", "0.550"],
    ]


def test_the_page_says_what_was_trained_and_runs_nothing(page):
    assert "<h1>tiny, version 0.1.0</h1>" in page
    assert "3 patients of &lt;1&gt; centre." in page
    assert "synthetic" not in page
    assert "<script" not in page
