"""The whole of training on a cohort whose outcomes were dealt out anew: nothing may be found."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from mmpl.network.config import NetworkConfig
from mmpl.phantom import write_cohort
from mmpl.training.config import StageConfig, TrainingConfig
from mmpl.training.run import train

CASES = 60
SHORT = StageConfig(6, 4, (2e-3, 1e-3, 3e-4))


def _shuffle(table, columns, draw) -> None:
    """Deal the columns of a table out anew, together."""
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    dealt = [{c: rows[i][c] for c in columns} for i in draw.permutation(len(rows))]
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **outcome} for row, outcome in zip(rows, dealt, strict=True))


@pytest.mark.slow
def test_a_shuffle_through_the_whole_pipeline_gives_chance(tmp_path):
    """Labels are shuffled before anything is trained: a leak anywhere would show in the out-of-fold figures.

    Of 60 patients, chance alone gives an AUC or C-index above 0.72 once in a thousand times (three standard errors).
    """
    data, draw = tmp_path / "cohort", np.random.default_rng(12)
    write_cohort(data, CASES, 5, workers=2)
    _shuffle(data / "Task 2" / "HECKTOR_2025_Training_Task_2.csv", ("Relapse", "RFS"), draw)
    _shuffle(data / "Task 3" / "HECKTOR_2025_Training_Task_3.csv", ("HPV Status",), draw)
    config = replace(
        TrainingConfig.demo(),
        folds=3,
        workers=2,
        network=replace(NetworkConfig.demo(), spacing_mm=8.0),
        segmentation=SHORT,
        hpv=SHORT,
        rfs=SHORT,
    )
    scores = train(data, tmp_path / "run", config).info.scores["out_of_fold"]["patient"]
    assert scores["auc"] < 0.72
    assert scores["c_index"] < 0.72
