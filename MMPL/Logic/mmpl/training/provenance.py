"""What a bundle says of where it comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmpl.phantom.cohort import MANIFEST
from mmpl.training.assemble import Provenance
from mmpl.training.cache import load_cached
from mmpl.training.cohort import CohortCase
from mmpl.training.config import TrainingConfig
from mmpl.training.folds import CENTRE, Split
from mmpl.training.start import Start

STANDARDISED = (
    "Deep scores are standardised per network over the patients it did not train on; rows that trained the "
    "forests and Cox models carry masks, deep scores and HPV probabilities of sibling folds."
)
PHANTOMS_ONLY = "Trained on synthetic phantoms only: nothing it says of a real patient means anything."
FULL_SPACING_MM = 1.0


def provenance_of(
    data: Path,
    cases: Sequence[CohortCase],
    cache: Path,
    config: TrainingConfig,
    splits: Sequence[Split],
    created: str,
    start: Start | None = None,
) -> Provenance:
    """Sentences for the model card.

    Parameters
    ----------
    data : the cohort; phantoms say so themselves
    cache : folder of the cached cases, which know how many label voxels the region of interest lost
    created : ISO date
    """
    manifest = data / MANIFEST
    lost = sum(load_cached(cache / c.patient_id).lost_voxels for c in cases)
    phantom = manifest.is_file()
    what = f"{len(cases)} patients of {_centres_text(cases)}"
    if phantom:
        seed = json.loads(manifest.read_text(encoding="utf-8"))["seed"]
        what = f"{len(cases)} synthetic phantoms of {_centres_text(cases, 'synthetic ')}, seed {seed}"
    return Provenance(
        description=f"MMPL ensemble: segmentation, HPV probability and recurrence-free survival. {STANDARDISED}",
        training_data=f"{what}. {_folds_text(splits)} {lost} label voxels lay outside the region of interest."
        + _start_text(start),
        phantom=phantom,
        folds=max(split.folds for split in splits),
        time_zero=config.time_zero,
        created=created,
        limitations=_phantom_limitations(config) if phantom else (),
    )


def _centres_text(cases: Sequence[CohortCase], kind: str = "") -> str:
    known = [c.center_id for c in cases if c.center_id]
    if not known:
        return f"unknown {kind}centres"
    count = len(set(known))
    unknown = f" ({len(cases) - len(known)} of an unknown one)" if len(known) < len(cases) else ""
    return f"{count} {kind}centre{'' if count == 1 else 's'}{unknown}"


def _folds_text(splits: Sequence[Split]) -> str:
    words = [f"{s.folds} {'centre-out' if s.name == CENTRE else 'patient-level'} folds" for s in splits]
    return f"One member for each of {' and '.join(words)}."


def _start_text(start: Start | None) -> str:
    if start is None:
        return ""
    return f" Segmentation networks started from the bundle {start.name} (sha256 {start.sha256[:12]})."


def _phantom_limitations(config: TrainingConfig) -> tuple[str, ...]:
    spacing = config.network.spacing_mm
    if spacing <= FULL_SPACING_MM:
        return (PHANTOMS_ONLY,)
    narrow = f"Networks at {spacing:g} mm: contours are smoother than networks at 1 mm would draw."
    return (PHANTOMS_ONLY, narrow)
