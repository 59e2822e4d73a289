"""Two models on the same patients: what `mmpl evaluate --csv` wrote of each, and the paired differences.

    python -P bench/compare.py --plain runs/fresh-demo --full runs/fresh-ten [--names demo "ten members"]

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
from mmpl.metrics.segmentation import CaseScore, Detection, Overlap, gtvn_dice_agg, gtvn_f1_agg, gtvp_mean_dice
from mmpl.metrics.survival import c_index
from mmpl.training.ablation.comparison import Comparison, Figure, Measure, compare

Score = Callable[[pd.DataFrame], Measure]  # a model's table -> its figure on any of the rows


def of_contours(measure: Callable[[list[CaseScore]], float]) -> Score:
    def score(table: pd.DataFrame) -> Measure:
        cases = [_case_score(row) for row in table.itertuples()]
        return lambda rows: measure([cases[i] for i in rows])

    return score


def _case_score(row) -> CaseScore:
    """From Dice and volumes: mL stand for voxels, as if each were 1 mL."""
    gtvp, gtvn = (
        _overlap(getattr(row, f"{name}_dice"), getattr(row, f"{name}_predicted_ml"), getattr(row, f"{name}_truth_ml"))
        for name in ("gtvp", "gtvn")
    )
    found = Detection(row.nodes_found, row.nodes_invented, row.nodes_missed)
    return CaseScore(row.Index, gtvp, gtvn, found, voxel_ml=1.0)


def _overlap(dice: float, predicted_ml: float, truth_ml: float) -> Overlap:
    """No Dice is given where the truth is empty: nothing is shared there."""
    return Overlap(0.0 if np.isnan(dice) else dice * (predicted_ml + truth_ml) / 2, predicted_ml, truth_ml)


def hpv_auc(table: pd.DataFrame) -> Measure:
    positive, probability = table["HPV Status"].to_numpy(), table.hpv_probability.to_numpy()
    return lambda rows: roc_auc(positive[rows], probability[rows])


def rfs_c_index(table: pd.DataFrame) -> Measure:
    days, event, risk = table.RFS.to_numpy(), table.Relapse.to_numpy(), table.risk.to_numpy()
    return lambda rows: c_index(days[rows], event[rows], risk[rows])


GTVP_DICE = "GTVp, mean Dice"
SCORES: dict[str, dict[str, Score]] = {
    "segmentation": {
        GTVP_DICE: of_contours(gtvp_mean_dice),
        "GTVn, aggregated Dice": of_contours(gtvn_dice_agg),
        "GTVn, aggregated F1": of_contours(gtvn_f1_agg),
    },
    "hpv": {"HPV, AUC": hpv_auc},
    "rfs": {"RFS, C-index": rfs_c_index},
}


def main() -> int:
    arguments = _arguments()
    names = arguments.names
    print(f"| measure | patients | {names[0]} | {names[1]} | difference | |")
    print("|---|---|---|---|---|---|")
    left_out = 0
    for task, scores in SCORES.items():
        plain, full = (_read(prefix, task) for prefix in (arguments.plain, arguments.full))
        common = plain.index.intersection(full.index)
        left_out += len(plain.index.union(full.index)) - len(common)
        for what, score in scores.items():
            ways = [(name, score(table.loc[common])) for name, table in zip(names, (plain, full), strict=True)]
            print(_line(compare(what, len(common), *ways, patients=_patients(what, plain.loc[common]))))
    if left_out:
        print(f"\nLeft out, since one model only has a figure of them (patients, counted once a task): {left_out}.")
    return 0


def _patients(what: str, table: pd.DataFrame) -> int:
    """Who has a figure: a mean of Dice is over the patients with such a contour."""
    return int((table.gtvp_truth_ml > 0).sum()) if what == GTVP_DICE else len(table)


def _read(prefix: Path, task: str) -> pd.DataFrame:
    return pd.read_csv(prefix.with_name(f"{prefix.name}-{task}.csv"), dtype={"PatientID": str}).set_index("PatientID")


def _line(row: Comparison) -> str:
    plain, full = (_text(figure) for _, figure in (row.plain, row.full))
    return f"| {row.what} | {row.patients} | {plain} | {full} | {_text(row.difference, sign='+')} | {row.verdict} |"


def _text(figure: Figure, *, sign: str = "") -> str:
    return f"{figure.value:{sign}.3f} ({figure.low:{sign}.3f} to {figure.high:{sign}.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", type=Path, required=True, help="prefix of the first model's tables")
    parser.add_argument("--full", type=Path, required=True, help="prefix of the second model's tables")
    parser.add_argument("--names", nargs=2, default=["plain", "full"], help="what to call them")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
