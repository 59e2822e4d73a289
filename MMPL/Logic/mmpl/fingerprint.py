"""Tells one CT from another that lies on the same grid."""

from __future__ import annotations

import hashlib
import math

import numpy as np

SAMPLES = 1 << 14


def fingerprint(ct_hu: np.ndarray) -> str:
    """Of voxels spread evenly over a CT, array (z, y, x): a thousandth of the time that all of them would take.

    Whole HU count, so that it is the same whichever program scaled them.
    """
    stride = max(1, ct_hu.size // SAMPLES)
    while math.gcd(stride, ct_hu.size) != 1:  # else all of them may lie in one column of air
        stride += 1
    levels = np.nan_to_num(np.rint(ct_hu.flat[::stride]), nan=0.0).clip(-(2**15), 2**15 - 1).astype("<i2")
    return hashlib.blake2b(repr(ct_hu.shape).encode() + levels.tobytes(), digest_size=12).hexdigest()
