"""How good contours can be at all when networks work on a coarse grid: perfect answers, brought to 1 mm and scored.

    python -P bench/grid_limit.py [--cases 40] [--workers 2]

Two answers for every network voxel: the share of it that the lesion fills, and yes or no (at least half). Losses of the
Dice family draw a network towards the second, whatever its targets are. Both are interpolated to the 1 mm ROI and
cut at 0.5, as inference does, and compared with the truth there. No network is run. Phantom results.
"""

from __future__ import annotations

import argparse

import numpy as np

from mmpl.case import GTVN, GTVP
from mmpl.console import ConsoleProgress
from mmpl.io.case import case_from_volumes
from mmpl.metrics.segmentation import CaseScore, gtvn_dice_agg, gtvp_mean_dice, score_case
from mmpl.phantom import generate_patient
from mmpl.preprocess.network_grid import to_network_grid
from mmpl.preprocess.prepare import label_on_roi, prepare
from mmpl.steps import draw, probabilities_at_1mm
from mmpl.training.parallel import each

SEED = 7001
SPACINGS_MM = (1.0, 2.0, 3.0, 4.0)


def main() -> int:
    arguments = _arguments()
    tasks = range(arguments.cases)
    scores = each(limits, tasks, workers=arguments.workers, progress=ConsoleProgress(), step="phantoms")
    print(f"{arguments.cases} phantoms of seed {SEED}, on the 1 mm region; GTVp mean Dice / GTVn aggregated Dice")
    print("| network grid | shares of voxels | yes or no |\n|---|---|---|")
    for n, spacing_mm in enumerate(SPACINGS_MM):
        cells = (_text([of_case[n][way] for of_case in scores]) for way in (0, 1))
        print(f"| {spacing_mm:g} mm | {' | '.join(cells)} |")
    return 0


def limits(index: int) -> list[tuple[CaseScore, CaseScore]]:
    """One phantom's scores for each spacing: answered in shares, and in yes or no."""
    patient = generate_patient(SEED, index)
    roi = prepare(case_from_volumes(patient.patient_id, patient.ct, patient.pet, clinical={}))
    truth = label_on_roi(patient.label_map, roi.geometry)
    scores = []
    for spacing_mm in SPACINGS_MM:
        shares = np.stack([to_network_grid((truth == v).astype(np.float32), spacing_mm) for v in (GTVP, GTVN)])
        answers = (shares, (shares >= 0.5).astype(np.float32))
        drawn = (draw(roi, probabilities_at_1mm(roi, answer, spacing_mm, 0.5), (0.5, 0.5)) for answer in answers)
        ml = roi.geometry.voxel_volume_ml
        scores.append(tuple(score_case(patient.patient_id, labels, truth, voxel_ml=ml) for labels in drawn))
    return scores


def _text(cases: list[CaseScore]) -> str:
    return f"{gtvp_mean_dice(cases):.3f} / {gtvn_dice_agg(cases):.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40, help="phantoms")
    parser.add_argument("--workers", type=int, default=2, help="processes of this machine")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
