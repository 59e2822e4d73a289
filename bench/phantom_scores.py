"""Held-out scores of a bundle on phantoms it never saw, with bootstrap 95 % intervals. Phantom results.

    python -P bench/phantom_scores.py --run runs/scores [--bundle B] [--cases 220] [--record]

The seed below was fixed before the demo bundle was trained (on another seed) and is not to be changed. The run is
resumable: each patient is one small file in the run folder, which belongs to one bundle (by checksum).
``--record`` writes the scores into the bundle's model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from functools import cache
from pathlib import Path

import numpy as np

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.bundle.writer import MODEL_CARD, write_bundle
from mmpl.console import ConsoleProgress
from mmpl.ensemble import load_ensemble
from mmpl.errors import MMPLError
from mmpl.io.output import write_json_atomic
from mmpl.metrics.bootstrap import percentile_interval
from mmpl.metrics.classification import roc_auc
from mmpl.metrics.segmentation import (
    CaseScore,
    gtvn_dice_agg,
    gtvn_f1_agg,
    gtvp_mean_dice,
    score_case,
)
from mmpl.metrics.survival import c_index
from mmpl.phantom import generate_patient
from mmpl.pipeline import predict
from mmpl.training.parallel import each

HELD_OUT_SEED = 7001
BOOTSTRAP_SEED = 1
TARGETS = {"gtvp_dice": 0.80, "gtvn_dice_agg": 0.75, "gtvn_f1_agg": 0.75, "hpv_auc": 0.80, "rfs_c_index": 0.65}


def main() -> int:
    arguments = _arguments()
    try:
        bundle = open_bundle(arguments.bundle or default_bundle_path())
        folder = arguments.run / bundle.sha256[:12]
        folder.mkdir(parents=True, exist_ok=True)
        progress = ConsoleProgress()
        tasks = [(i, str(bundle.path), folder / f"{i:04d}.json") for i in range(arguments.cases)]
        todo = [t for t in tasks if not _is_scored(t[2])]
        each(_score, todo, workers=arguments.workers, progress=progress, step="held-out phantoms")
        rows = [json.loads(path.read_text(encoding="utf-8")) for _, _, path in tasks]
        table = summarise(rows)
        print(_report(bundle, table))
        write_json_atomic(folder / "scores.json", table)
        if arguments.record:
            _record(bundle, table)
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--cases", type=int, default=220)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--record", action="store_true", help="write the scores into the bundle")
    return parser.parse_args()


@cache
def _ensemble(path: str):
    return load_ensemble(open_bundle(path))


def _is_scored(path: Path) -> bool:
    """Whether a patient's file is there and says how large a voxel is; older ones do not, and phantoms differ in it."""
    return path.is_file() and "voxel_ml" in json.loads(path.read_text(encoding="utf-8"))["score"]


def _score(task: tuple[int, str, Path]) -> None:
    index, bundle, path = task
    patient = generate_patient(HELD_OUT_SEED, index)
    case = dataclasses.replace(patient.as_case(), clinical={**patient.clinical, "Primary Site": "oropharynx"})
    outcome = predict(case, _ensemble(bundle))
    truth = patient.label_map
    voxel_ml = truth.geometry.voxel_volume_ml
    score = score_case(patient.patient_id, outcome.label_map.array, truth.array, voxel_ml=voxel_ml)
    write_json_atomic(
        path,
        {
            "score": dataclasses.asdict(score),
            "hpv_probability": outcome.results.hpv.probability,
            "risk": outcome.results.rfs.risk,
            "hpv": patient.hpv_status,
            "relapse": patient.relapse,
            "rfs_days": patient.rfs_days,
        },
    )


def summarise(rows: list[dict]) -> dict:
    """Each measure with its 95 % interval and the number of patients behind it."""
    scores = [CaseScore.from_dict(r["score"]) for r in rows]
    told = [r for r in rows if r["hpv_probability"] is not None and r["risk"] is not None]
    hpv = np.array([r["hpv"] for r in told])
    probability = np.array([r["hpv_probability"] for r in told], dtype=float)
    time, event = (np.array([r[k] for r in told], dtype=float) for k in ("rfs_days", "relapse"))
    risk = np.array([r["risk"] for r in told], dtype=float)

    def pooled(measure):
        return lambda index: measure([scores[i] for i in index])

    measures = {
        "gtvp_dice": (pooled(gtvp_mean_dice), len(scores)),
        "gtvn_dice_agg": (pooled(gtvn_dice_agg), len(scores)),
        "gtvn_f1_agg": (pooled(gtvn_f1_agg), len(scores)),
        "hpv_auc": (lambda i: roc_auc(hpv[i], probability[i]), len(told)),
        "rfs_c_index": (lambda i: c_index(time[i], event[i], risk[i]), len(told)),
    }
    table, without_gtvp = {}, sum(s.gtvp.truth == 0 for s in scores)
    for name, (measure, n) in measures.items():
        interval = percentile_interval(measure, n, np.random.default_rng(BOOTSTRAP_SEED))
        table[name] = {
            "value": float(measure(np.arange(n))),
            "low": interval.low,
            "high": interval.high,
            "patients": n - without_gtvp if name == "gtvp_dice" else n,  # a mean of Dice leaves these out
        }
    table["outcome_not_given"] = len(rows) - len(told)
    table["gtvp_empty_truth"] = without_gtvp
    return table


def _report(bundle, table: dict) -> str:
    lines = [
        f"Phantom results of {bundle.info.name} {bundle.info.version} ({bundle.sha256[:12]}), "
        f"held-out seed {HELD_OUT_SEED}, on {platform.machine()} with {os.cpu_count()} cores",
        f"{'measure':<16}{'value':>8}{'95 % interval':>18}{'patients':>10}{'target':>8}",
    ]
    for name, target in TARGETS.items():
        row = table[name]
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append(f"{name:<16}{row['value']:>8.3f}{interval:>18}{row['patients']:>10}{target:>8.2f}")
    lines.append(
        f"no outcome given (nothing found): {table['outcome_not_given']}; "
        f"without a primary, left out of gtvp_dice: {table['gtvp_empty_truth']}"
    )
    return "\n".join(lines)


def _record(bundle, table: dict) -> None:
    """Write the bundle again with these scores in it; nothing else changes."""
    scores = {**bundle.info.scores, "held_out_phantoms": {"seed": HELD_OUT_SEED, **table}}
    payload = {rel: bundle.bytes(rel) for rel in bundle.files if rel != MODEL_CARD}
    write_bundle(bundle.path, dataclasses.replace(bundle.info, scores=scores), payload)
    print(f"scores recorded in {bundle.path}")


if __name__ == "__main__":
    sys.exit(main())
