"""Names of the feature columns that are neither radiomics nor clinical."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

DEEP_HPV = "deep_hpv"  # raw HPV logit of a member's stage 2 network
DEEP_DAYS = "deep_days"  # expected recurrence-free days of a member's stage 3 network; longer = better
HPV_PROBABILITY = "hpv_probability"  # of the same member's forest


def model_input(
    row: Mapping[str, float], columns: Sequence[str], deep_column: str, deep_mean: float, deep_sd: float
) -> np.ndarray:
    """Values of ``columns`` in order, the raw deep score standardised; float64, shape (columns,).

    A column that is absent or None is NaN.
    """
    x = np.array([math.nan if row.get(c) is None else float(row[c]) for c in columns], dtype=np.float64)
    if deep_column in columns:
        at = list(columns).index(deep_column)
        x[at] = (x[at] - deep_mean) / deep_sd
    return x
