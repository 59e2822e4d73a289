"""Sums over a matrix of gray levels (rows) and sizes (columns), which run, zone and dependence features share."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import compiled
from mmpl.radiomics.families.firstorder import EPS

N_SUMS = 16


@compiled
def size_features(row, size, count, levels, n_voxels):
    """The 16 features that pyradiomics defines on a size matrix.

    Parameters
    ----------
    row, size, count : int arrays, shape (cells,); level rank, size from 1, and how many, each cell once
    levels : float64 array
    n_voxels : int, voxels that the sizes add up to

    Returns
    -------
    float64 array, shape (16,): level non-uniformity, normalised; level variance; high level emphasis;
    large size emphasis, of high, of low levels; low level emphasis; size entropy; size non-uniformity,
    normalised; share of voxels; size variance; small size emphasis, of high, of low levels
    """
    n_levels, largest = levels.size, 0
    for c in range(row.size):
        largest = max(largest, size[c])
    by_level, by_size = np.zeros(n_levels), np.zeros(largest + 1)
    total, entropy = 0.0, 0.0
    for c in range(row.size):
        by_level[row[c]] += count[c]
        by_size[size[c]] += count[c]
        total += count[c]
    large_high, large_low, small_high, small_low = 0.0, 0.0, 0.0, 0.0
    for c in range(row.size):
        i2, j2 = levels[row[c]] ** 2, float(size[c]) ** 2
        p = count[c] / total
        entropy -= p * np.log2(p + EPS)
        large_high += p * i2 * j2
        large_low += p * j2 / i2
        small_high += p * i2 / j2
        small_low += p / (i2 * j2)
    level_uniformity, level_mean, high, low = 0.0, 0.0, 0.0, 0.0
    for i in range(n_levels):
        p = by_level[i] / total
        level_uniformity += p * p
        level_mean += p * levels[i]
        high += p * levels[i] ** 2
        low += p / levels[i] ** 2
    size_uniformity, size_mean, large, small = 0.0, 0.0, 0.0, 0.0
    for j in range(1, largest + 1):
        if by_size[j] > 0.0:
            p = by_size[j] / total
            size_uniformity += p * p
            size_mean += p * j
            large += p * float(j) ** 2
            small += p / float(j) ** 2
    level_variance, size_variance = 0.0, 0.0
    for i in range(n_levels):
        level_variance += by_level[i] / total * (levels[i] - level_mean) ** 2
    for j in range(1, largest + 1):
        if by_size[j] > 0.0:
            size_variance += by_size[j] / total * (j - size_mean) ** 2
    out = np.empty(N_SUMS)
    out[0], out[1], out[2], out[3] = level_uniformity * total, level_uniformity, level_variance, high
    out[4], out[5], out[6], out[7] = large, large_high, large_low, low
    out[8], out[9], out[10] = entropy, size_uniformity * total, size_uniformity
    out[11], out[12] = total / n_voxels, size_variance
    out[13], out[14], out[15] = small, small_high, small_low
    return out
