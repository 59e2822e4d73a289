"""Differences between a voxel's gray level and the mean of its neighbours', distance 1."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import compiled

MOST_COARSE = 1e6  # pyradiomics' value where no voxel differs from its neighbours


@compiled
def ngtdm(rank, levels, counts, around, n_neighbours):
    """NGTDM features.

    Parameters
    ----------
    rank : int32 array, shape (n,)
    levels : float64 array, gray levels that occur, ascending
    counts : int array, voxels of each level
    around : float64 array, shape (n,), sum of the levels of each voxel's neighbours
    n_neighbours : int array, shape (n,)

    Returns
    -------
    float64 array, shape (5,)
    """
    n_voxels, n = rank.size, levels.size
    s = np.zeros(n)
    for v in range(n_voxels):
        if n_neighbours[v] > 0:
            s[rank[v]] += abs(levels[rank[v]] - around[v] / n_neighbours[v])
    p_s, s_total = 0.0, 0.0
    for i in range(n):
        p_s += counts[i] / n_voxels * s[i]
        s_total += s[i]
    spread, distance, complexity, strength = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        p, g = counts[i] / n_voxels, levels[i]
        for j in range(n):
            q, h = counts[j] / n_voxels, levels[j]
            spread += p * q * (g - h) ** 2
            distance += abs(g * p - h * q)
            complexity += abs(g - h) * (p * s[i] + q * s[j]) / (p + q)
            strength += (p + q) * (g - h) ** 2
    out = np.empty(5)
    out[0] = p_s / distance if distance != 0.0 else 0.0  # Busyness, NQ30
    out[1] = 1.0 / p_s if p_s != 0.0 else MOST_COARSE  # Coarseness, QCDE
    out[2] = complexity / n_voxels  # Complexity, HDEZ
    out[3] = spread * s_total / n_voxels / (n * (n - 1)) if n > 1 else 0.0  # Contrast, 65HE
    out[4] = strength / s_total if s_total != 0.0 else 0.0  # Strength, 1X9X
    return out
