"""Sliding windows with uniform averaging: the paper's inference plan."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

OVERLAP = 0.5
BATCH = 4  # windows a forward pass, where memory allows


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """First voxel of each window along one axis; the last one ends at the border.

    A length below the window gives the one start 0 (the caller pads).
    """
    if length <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = -(-(length - window) // step) + 1
    return [min(i * step, length - window) for i in range(count)]


def window_slices(shape, window: int, overlap: float) -> list[tuple[slice, ...]]:
    starts = [window_starts(n, window, overlap) for n in shape]
    return [tuple(slice(s, s + window) for s in corner) for corner in itertools.product(*starts)]


def padded_to(array: np.ndarray, minimum: int | tuple[int, ...], fills) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Pad each spatial axis of (channels, z, y, x) to at least ``minimum`` (of all axes or of each), content centred.

    Returns the padded array and the slices (z, y, x) that hold the content.
    """
    least = (minimum,) * 3 if isinstance(minimum, int) else minimum
    extra = [max(0, m - n) for m, n in zip(least, array.shape[1:], strict=True)]
    before = [e // 2 for e in extra]
    where = tuple(slice(b, b + n) for b, n in zip(before, array.shape[1:], strict=True))
    if not any(extra):
        return array, where
    padded = np.empty((array.shape[0], *(n + e for n, e in zip(array.shape[1:], extra, strict=True))), array.dtype)
    for channel, fill in enumerate(fills):
        padded[channel] = fill
        padded[channel][where] = array[channel]
    return padded, where


def average_windows(
    array: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    *,
    window: int,
    overlap: float,
    fills,
    batch: int = BATCH,
    done: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Run ``predict`` on overlapping windows and average where they overlap.

    Parameters
    ----------
    array : float32, shape (channels, z, y, x)
    predict : windows (n, channels, w, w, w) -> probabilities (n, classes, w, w, w)
    window : voxels, a multiple of 16
    overlap : share of a window that the next one covers again
    fills : value of each channel where the volume is smaller than a window
    batch : windows a call of ``predict``
    done : called with the finished fraction

    Returns
    -------
    float32, shape (classes, z, y, x)
    """
    padded, where = padded_to(array, window, fills)
    slices = window_slices(padded.shape[1:], window, overlap)
    total, count = None, np.zeros(padded.shape[1:], dtype=np.float32)
    for first in range(0, len(slices), batch):
        together = slices[first : first + batch]
        outputs = predict(np.stack([padded[(slice(None), *inner)] for inner in together]))
        if total is None:
            total = np.zeros((outputs.shape[1], *padded.shape[1:]), dtype=np.float32)
        for inner, output in zip(together, outputs, strict=True):
            total[(slice(None), *inner)] += output
            count[inner] += 1
        done((first + len(together)) / len(slices))
    total /= count
    return np.ascontiguousarray(total[(slice(None), *where)])
