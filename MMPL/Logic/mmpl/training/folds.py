"""One global patient-level split, used by all three stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmpl.training.cohort import CohortCase


def patient_folds(cases: Sequence[CohortCase], folds: int, seed: int) -> dict[str, int]:
    """Fold index of each patient, balanced over centre, HPV status and relapse.

    Patients are shuffled, sorted into strata, and dealt out like cards, so every fold gets its share of each stratum
    (unknown targets are strata of their own).

    Returns
    -------
    dict from patient_id to fold, 0 .. folds - 1
    """
    order = np.random.default_rng(seed).permutation(len(cases))
    dealt = sorted((cases[i] for i in order), key=lambda c: (str(c.hpv), str(c.relapse), c.center_id))
    return {case.patient_id: position % folds for position, case in enumerate(dealt)}
