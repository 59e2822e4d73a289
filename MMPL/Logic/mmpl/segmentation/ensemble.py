"""Probabilities of the ensemble on the network grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mmpl.segmentation.windows import OVERLAP, average_windows

Predictor = Callable[[np.ndarray], np.ndarray]


def ensemble_probabilities(
    network_array: np.ndarray,
    predictors: Sequence[Predictor],
    *,
    window: int,
    fills,
    overlap: float = OVERLAP,
    done: Callable[[float], None] = lambda fraction: None,
    first_member: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Mean over members of their window-averaged probabilities.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x)
    predictors : one per member; windows (n, 2, w, w, w) -> probabilities (n, 2, w, w, w)
    window : voxels
    fills : (PET, CT) padding values
    done : called with the finished fraction
    first_member : called with the first member's probabilities as soon as there are any, where more are to come

    Returns
    -------
    float32, shape (2, z, y, x); channel 0 GTVp, channel 1 GTVn
    """
    total = None
    for n, predict in enumerate(predictors):
        share = average_windows(
            network_array,
            predict,
            window=window,
            overlap=overlap,
            fills=fills,
            done=lambda fraction, n=n: done((n + fraction) / len(predictors)),
        )
        if n == 0 and first_member is not None and len(predictors) > 1:
            first_member(share)
        total = share if total is None else total + share
    return total / len(predictors)
