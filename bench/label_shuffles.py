"""What the statistics make of a run's own tables when outcomes are dealt out anew: nothing may be found.

    python -P bench/label_shuffles.py --data DATA --run RUN --config CONFIG [--shuffles 20] [--json F]

HPV status and follow-up are shuffled over the patients of a finished run's out-of-fold table of the patient split, and
forests and Cox models are fitted with the settings that training uses. Selection, oversampling or settings that saw
rows they should not would show as AUC and C-index above one half. The run is read as `mmpl train` would resume it.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mmpl.console import ConsoleProgress
from mmpl.errors import MMPLError
from mmpl.io.output import write_json_atomic
from mmpl.training.cohort_table import CohortTable
from mmpl.training.config import load_config
from mmpl.training.ensemble_statistics import StatisticsConfig, fit_ensemble
from mmpl.training.folds import PATIENT
from mmpl.training.parallel import each
from mmpl.training.run import RunOptions, trained_networks

SEED = 1
TARGET = 0.55  # of the mean over the shuffles
FIGURES = ["auc", "c_index"]


def main() -> int:
    arguments = _arguments()
    try:
        with ConsoleProgress() as progress:
            config, options = load_config(arguments.config), RunOptions(start=arguments.start)
            with trained_networks(arguments.data, arguments.run, config, options, progress=progress) as networks:
                names = [run.split.name for run in networks.runs]
                table = networks.tables[names.index(PATIENT)]
            tasks = [(table, None), *((table, SEED + n) for n in range(arguments.shuffles))]
            figures = each(figures_of, tasks, workers=arguments.workers, progress=progress, step="shuffles")
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    print(_report(len(table.patient_ids), figures[0], pd.DataFrame(figures[1:])))
    if arguments.json:
        write_json_atomic(arguments.json, {"as they are": figures[0], "shuffled": figures[1:]})
    return 0


def figures_of(task: tuple[CohortTable, int | None]) -> dict[str, float]:
    """Pooled out-of-fold AUC and C-index of a table, after a shuffle with that seed; None shuffles nothing."""
    table, seed = task
    if seed is not None:
        draw = np.random.default_rng(seed)
        hpv, follow_up = (draw.permutation(len(table.patient_ids)) for _ in range(2))
        table = replace(table, hpv=table.hpv[hpv], time_days=table.time_days[follow_up], event=table.event[follow_up])
    metrics = fit_ensemble([table], StatisticsConfig(), seed or 0).metrics
    return metrics[metrics["fold"] == "pooled"][FIGURES].iloc[0].to_dict()


def _report(patients: int, true: dict[str, float], shuffled: pd.DataFrame) -> str:
    lines = [f"\n{patients} patients, {len(shuffled)} shuffles: figure, as it is, mean and range over the shuffles"]
    for name in FIGURES:
        mean, low, high = shuffled[name].mean(), shuffled[name].min(), shuffled[name].max()
        verdict = "met" if mean <= TARGET else "MISSED"
        lines.append(
            f"  {name:8s} {true[name]:.3f} | {mean:.3f} ({low:.3f} to {high:.3f}), at most {TARGET}: {verdict}"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="as the run was given it, where it has not kept that")
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
