"""Gray levels of fixed width, with pyradiomics' and numpy's own arithmetic at the bin edges.

Bins are multiples of the width counted from 0, the lowest voxel's bin being 1 (IBSI counts from the lowest
voxel or from a set minimum: van Griethuysen et al. 2017, and the IBSI manual, section 2.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.radiomics.compiling import HAS_NUMBA, compiled


@dataclass(frozen=True)
class GrayLevels:
    """Discretised voxels.

    Attributes
    ----------
    rank : int32 array, shape (n,), each voxel's level as an index into ``levels``
    levels : float64 array, gray levels that occur, ascending
    counts : int64 array, voxels of each level
    """

    rank: np.ndarray
    levels: np.ndarray
    counts: np.ndarray

    @property
    def highest(self) -> int:
        return int(self.levels[-1])


def too_many_bins(low: float, high: float, width: float, max_bins: int) -> bool:
    return high // width - low // width + 1 > max_bins


def bin_edges(low: np.float32, high: np.float32, width: float) -> np.ndarray:
    """pyradiomics' edges: from the multiple of the width at or below ``low`` to beyond ``high``."""
    lowest = low - (low % width)
    return np.arange(lowest, high + 2 * width, width)


def gray_levels(values: np.ndarray, width: float) -> GrayLevels:
    """Discretise finite float32 values, shape (n,)."""
    edges = bin_edges(values.min(), values.max(), width).astype(np.float64, copy=False)
    bins = np.empty(values.size, np.int32)
    digitise(values, edges, bins)
    counts = np.bincount(bins)
    levels = np.flatnonzero(counts)
    rank_of = np.zeros(counts.size, np.int32)
    rank_of[levels] = np.arange(levels.size, dtype=np.int32)
    return GrayLevels(rank_of[bins], levels.astype(np.float64), counts[levels])


@compiled
def _digitise(values, edges, bins):
    low = edges[0]
    per_width = 1.0 / (edges[1] - edges[0])
    last = edges.size - 1
    for v in range(values.size):
        x = np.float64(values[v])
        k = min(max(int((x - low) * per_width), 0), last)
        while k < last and x >= edges[k + 1]:
            k += 1
        while k >= 0 and x < edges[k]:
            k -= 1
        bins[v] = k + 1


def _digitise_arrays(values, edges, bins):
    bins[...] = np.digitize(values, edges)


digitise = _digitise if HAS_NUMBA else _digitise_arrays
