"""Two models on the same patients: what `mmpl evaluate --csv` wrote of each, and the paired differences.

    python -P bench/compare.py --plain runs/unseen-demo --full runs/unseen-ten [--names "demo,ten members"]

Reads ``<prefix>-segmentation.csv``, ``-hpv.csv`` and ``-rfs.csv``. Patients are resampled 2,000 times, the same for
both models. A patient that only one model has a figure of is left out, and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mmpl.metrics.classification import roc_auc
from mmpl.metrics.survival import c_index
from mmpl.training.ablation.comparison import Comparison, Figure, compare

Score = Callable[[pd.DataFrame], float]


def gtvp_dice(rows: pd.DataFrame) -> float:
    return float(rows.gtvp_dice.mean())


def gtvn_dice_agg(rows: pd.DataFrame) -> float:
    """From each patient's Dice and volumes; where neither has nodes there is nothing to add."""
    both_ml = rows.gtvn_truth_ml + rows.gtvn_predicted_ml
    return float((rows.gtvn_dice.fillna(0.0) * both_ml).sum() / both_ml.sum())


def gtvn_f1_agg(rows: pd.DataFrame) -> float:
    twice = 2 * rows.nodes_found.sum()
    return float(twice / (twice + rows.nodes_invented.sum() + rows.nodes_missed.sum()))


def hpv_auc(rows: pd.DataFrame) -> float:
    return roc_auc(rows["HPV Status"].to_numpy(), rows.hpv_probability.to_numpy())


def rfs_c_index(rows: pd.DataFrame) -> float:
    return c_index(rows.RFS.to_numpy(), rows.Relapse.to_numpy(), rows.risk.to_numpy())


SCORES: dict[str, dict[str, Score]] = {
    "segmentation": {
        "GTVp, mean Dice": gtvp_dice,
        "GTVn, aggregated Dice": gtvn_dice_agg,
        "GTVn, aggregated F1": gtvn_f1_agg,
    },
    "hpv": {"HPV, AUC": hpv_auc},
    "rfs": {"RFS, C-index": rfs_c_index},
}


def main() -> int:
    arguments = _arguments()
    names = arguments.names.split(",")
    print(f"| measure | patients | {names[0]} | {names[1]} | difference | |")
    print("|---|---|---|---|---|---|")
    left_out = 0
    for task, scores in SCORES.items():
        plain, full = (_read(prefix, task) for prefix in (arguments.plain, arguments.full))
        common = plain.index.intersection(full.index)
        left_out += len(plain.index.union(full.index)) - len(common)
        for what, score in scores.items():
            print(_line(_compare(what, score, plain.loc[common], full.loc[common], names)))
    if left_out:
        print(f"\n{left_out} rows of patients whom one model only has a figure of are left out.")
    return 0


def _read(prefix: Path, task: str) -> pd.DataFrame:
    return pd.read_csv(prefix.with_name(f"{prefix.name}-{task}.csv"), dtype={"PatientID": str}).set_index("PatientID")


def _compare(what: str, score: Score, plain: pd.DataFrame, full: pd.DataFrame, names: list[str]) -> Comparison:
    def measure(of: pd.DataFrame) -> Callable[[np.ndarray], float]:
        return lambda rows: score(of.iloc[rows])

    return compare(what, len(plain), (names[0], measure(plain)), (names[1], measure(full)))


def _line(row: Comparison) -> str:
    plain, full = (_text(figure) for _, figure in (row.plain, row.full))
    return f"| {row.what} | {row.patients} | {plain} | {full} | {_text(row.difference, sign='+')} | {row.verdict} |"


def _text(figure: Figure, *, sign: str = "") -> str:
    return f"{figure.value:{sign}.3f} ({figure.low:{sign}.3f} to {figure.high:{sign}.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", type=Path, required=True, help="prefix of the first model's tables")
    parser.add_argument("--full", type=Path, required=True, help="prefix of the second model's tables")
    parser.add_argument("--names", default="plain,full", help="what to call them")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
