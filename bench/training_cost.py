"""What training on a cohort costs, multiplied from what bench/data_pipeline.py measures; no training is run.

    python -P bench/training_cost.py --measured FILE [--patients 726] [--members 10] [--folds 5] [--used 0.1 0.25 0.4]

FILE is what ``bench/data_pipeline.py --json`` wrote: processor seconds a patch. With a graphics card it also tells what
share of the card's arithmetic is used; without one that share is assumed, and ``--used`` says which.

    card  = (patches x voxels x FLOP a voxel x 3 + unseen passes) / (used x peak)
    cores = processor seconds of all patches / threads

Whichever takes longer decides: patches are made while the card computes. The network is the full-size one.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.lengths import padded_voxels
from mmpl.network.backends.pytorch import gflop
from mmpl.training.config import TrainingConfig

# NVIDIA H200 Tensor Core GPU datasheet, H200 SXM: BFLOAT16 1,979 TFLOPS with sparsity; dense is half of that
PEAK_TFLOPS = 989.0
WHOLE_ROI_MM = (310.0, 200.0, 200.0)  # of an out-of-fold mask
BACKWARD_TOO = 3  # times the forward pass
THREADS = (1, 4, 8, 15, 16, 32)


@dataclass(frozen=True)
class Cohort:
    """Everyone has contours, HPV status and follow-up: an upper bound.

    Attributes
    ----------
    members : networks of each stage, ``folds`` of each split
    """

    patients: int = 726
    members: int = 10
    folds: int = 5

    @property
    def shown(self) -> float:
        """Patients of an epoch."""
        return self.patients * (1 - 1 / self.folds)

    @property
    def judged(self) -> float:
        """Patients that a network did not train on, over all splits."""
        return self.patients * self.members / self.folds


@dataclass(frozen=True)
class Cost:
    """Of all members.

    Attributes
    ----------
    windows, wide, outcomes : patches of stage 1, of which wide fields, and of stages 2 and 3
    flop : of stage 1, stages 2 and 3, and passes over unseen patients
    """

    windows: float
    wide: float
    outcomes: float
    flop: tuple[float, float, float]

    def card_hours(self, used: float, peak_tflops: float = PEAK_TFLOPS) -> float:
        return sum(self.flop) / (used * peak_tflops * 1e12) / 3600

    def core_hours(self, window_s: float, wide_s: float, outcome_s: float) -> float:
        return (self.windows * window_s + self.wide * wide_s + self.outcomes * outcome_s) / 3600


def cost_of(cohort: Cohort, config: TrainingConfig) -> Cost:
    first = cohort.shown * config.segmentation.epochs * cohort.members
    later = cohort.shown * (config.hpv.epochs + config.rfs.epochs) * cohort.members
    wide = config.wide_share * first
    window, field, roi = (flop(config, lengths) for lengths in ((128.0,) * 3, config.wide_mm, WHOLE_ROI_MM))
    unseen = cohort.judged * (roi + 2 * window)
    stages = BACKWARD_TOO * ((first - wide) * window + wide * field), BACKWARD_TOO * later * window
    return Cost(first - wide, wide, later, (*stages, unseen))


def flop(config: TrainingConfig, lengths_mm: Sequence[float]) -> float:
    """Of one forward pass over a box."""
    voxels = math.prod(padded_voxels(length, config.network.spacing_mm) for length in lengths_mm)
    return 1e9 * gflop(config.network, voxels)


def report(cost: Cost, making: dict[str, float], used: Sequence[float], cohort: Cohort) -> str:
    core_hours = cost.core_hours(making["window"], making["wide"], making["outcome"])
    card_hours = [cost.card_hours(share) for share in used]
    lines = [
        f"{cohort.patients} patients, {cohort.members} members: {cost.windows + cost.wide:,.0f} patches of stage 1 "
        f"({cost.wide:,.0f} wide fields), {cost.outcomes:,.0f} of stages 2 and 3",
        "FLOP: stage 1 {:.2e}, stages 2 and 3 {:.2e}, unseen patients {:.1e}".format(*cost.flop),
        f"patches: {core_hours:.0f} core hours",
        "",
        "| threads that make patches | "
        + " | ".join(f"card at {share:.0%}: {hours:.1f} h" for share, hours in zip(used, card_hours, strict=True))
        + " |",
        "|---" * (len(used) + 1) + "|",
    ]
    for threads in THREADS:
        on_cores = core_hours / threads
        cells = [f"{max(on_cores, hours):.1f} h, {'cores' if on_cores > hours else 'card'}" for hours in card_hours]
        lines.append(f"| {threads} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, required=True, help="what bench/data_pipeline.py --json wrote")
    parser.add_argument("--patients", type=int, default=726)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5, help="of each split")
    parser.add_argument("--used", type=float, nargs="+", default=[0.1, 0.25, 0.4], help="of the card's arithmetic")
    arguments = parser.parse_args()
    measured = json.loads(arguments.measured.read_text(encoding="utf-8"))
    cohort = Cohort(arguments.patients, arguments.members, arguments.folds)
    print(report(cost_of(cohort, TrainingConfig()), measured["making"], arguments.used, cohort))
    if measured["on_card"]:
        tflops = measured["on_card"]["tflops"]
        print(
            f"measured: {measured['on_card']['card']} did {tflops:.0f} TFLOP/s, {tflops / PEAK_TFLOPS:.0%} of an H200's"
        )


if __name__ == "__main__":
    main()
