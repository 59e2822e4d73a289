"""bench/compare.py, which reads the tables that `mmpl evaluate --csv` writes: hand-worked figures."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[4] / "bench" / "compare.py"


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("bench_compare", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contours(gtvp_dice, gtvn_dice, found, invented, missed, patients) -> pd.DataFrame:
    """Truth and prediction of 10 ml each: Dice 0.8 shares 8 ml."""
    table = pd.DataFrame({"PatientID": patients, "gtvp_dice": gtvp_dice, "gtvn_dice": gtvn_dice})
    for name in ("gtvp", "gtvn"):
        table[f"{name}_predicted_ml"] = table[f"{name}_truth_ml"] = 10.0
    return table.assign(nodes_found=found, nodes_invented=invented, nodes_missed=missed)


def write(folder: Path, name: str, *, segmentation, hpv, rfs) -> Path:
    for task, table in (("segmentation", segmentation), ("hpv", hpv), ("rfs", rfs)):
        table.to_csv(folder / f"{name}-{task}.csv", index=False)
    return folder / name


def printed(compare, capsys, monkeypatch, plain, full) -> dict[str, list[str]]:
    monkeypatch.setattr(sys, "argv", ["compare.py", "--plain", str(plain), "--full", str(full), "--names", "a", "b"])
    assert compare.main() == 0
    text = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows} | {"text": text}


def leading(cell: str) -> float:
    return float(re.match(r"[+-]?[\d.]+", cell)[0])


@pytest.fixture
def two_models(tmp_path):
    patients = ["0007", "0010", "P3", "P4"]
    hpv = pd.DataFrame({"PatientID": patients, "HPV Status": [1, 1, 0, 0], "hpv_probability": [0.9, 0.4, 0.5, 0.1]})
    rfs = pd.DataFrame({"PatientID": patients, "RFS": [100, 200, 300, 400], "Relapse": 1, "risk": [4, 3, 1, 2]})
    plain = write(
        tmp_path,
        "plain",
        segmentation=contours([0.8] * 4, [0.5, 0.5, 0.7, 0.7], 1, 1, 0, patients),
        hpv=hpv,
        rfs=rfs,
    )
    full = write(
        tmp_path,
        "full",
        segmentation=contours([0.9] * 4, [0.5, 0.5, 0.7, 0.7], 1, 0, 1, patients),
        hpv=hpv.assign(hpv_probability=[0.9, 0.6, 0.5, 0.1]),
        rfs=rfs.assign(risk=[4, 3, 2, 1])[:3],
    )
    return plain, full


def test_figures_are_those_worked_by_hand(compare, capsys, monkeypatch, two_models):
    rows = printed(compare, capsys, monkeypatch, *two_models)
    what = {name: [leading(cell) for cell in row[:4]] for name, row in rows.items() if name.startswith(("GTV", "HPV"))}
    assert what["GTVp, mean Dice"] == [4, 0.8, 0.9, 0.1]
    assert what["GTVn, aggregated Dice"] == [4, 0.6, 0.6, 0.0]  # 2 (5 + 5 + 7 + 7) / 80
    # 4 found, and 4 invented in the one, 4 missed in the other: 2 x 4 / (8 + 4) both times
    assert what["GTVn, aggregated F1"] == [4, 0.667, 0.667, 0.0]
    assert what["HPV, AUC"] == [4, 0.75, 1.0, 0.25]  # three of four pairs in order, then all
    assert rows["GTVp, mean Dice"][4] == "b is better"
    assert rows["GTVn, aggregated Dice"][4] == "inconclusive"


def test_a_patient_whom_one_model_only_has_is_left_out_and_counted(compare, capsys, monkeypatch, two_models):
    rows = printed(compare, capsys, monkeypatch, *two_models)
    # the one model had P3 and P4 in the wrong order, and P4 is not there
    assert [leading(cell) for cell in rows["RFS, C-index"][:3]] == [3, 1.0, 1.0]
    assert "only has a figure of them (patients, counted once a task): 1." in rows["text"]


def test_where_there_is_no_lesion_nothing_is_shared(compare):
    row = contours([float("nan")], [0.5], 1, 0, 0, ["P1"]).assign(gtvp_truth_ml=0.0).set_index("PatientID")
    (case,) = [compare._case_score(one) for one in row.itertuples()]
    assert (case.gtvp.shared, case.gtvp.predicted, case.gtvp.truth) == (0.0, 10.0, 0.0)
    assert case.gtvn.shared == 5.0


def test_a_mean_of_dice_is_of_all_who_have_the_contour(compare, capsys, monkeypatch, two_models):
    """The first of four patients has none; the others' Dice are 0.8, 0.8, 0.2, in the second model 0.9, 0.9, 0.6."""
    plain, full = two_models
    for prefix, last in ((plain, 0.2), (full, 0.6)):
        path = prefix.with_name(f"{prefix.name}-segmentation.csv")
        table = pd.read_csv(path, dtype={"PatientID": str})
        table.loc[0, ["gtvp_truth_ml", "gtvp_dice"]] = 0.0, None
        table.loc[3, "gtvp_dice"] = last
        table.to_csv(path, index=False)
    rows = printed(compare, capsys, monkeypatch, plain, full)
    assert [leading(cell) for cell in rows["GTVp, mean Dice"][:4]] == [3, 0.6, 0.8, 0.2]
    assert rows["GTVn, aggregated Dice"][0] == "4"
