"""Sizes of zones of equal gray level, 26-connected."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.adjacency import zones
from mmpl.radiomics.compiling import compiled
from mmpl.radiomics.families.runs import N_SUMS, size_features


@compiled
def glszm(rank, levels, of_voxel):
    """GLSZM features.

    Parameters
    ----------
    rank : int32 array, shape (n,)
    levels : float64 array, gray levels that occur, ascending
    of_voxel : int32 array, shape (n, 13)

    Returns
    -------
    float64 array, shape (16,)
    """
    level_of, size_of = zones(rank, of_voxel)
    row, size, count = zone_cells(level_of, size_of, levels.size)
    found = size_features(row, size, count, levels, rank.size)
    out = np.empty(N_SUMS)
    out[0] = found[0]  # GrayLevelNonUniformity, JNSA
    out[1] = found[1]  # GrayLevelNonUniformityNormalized, Y1RO
    out[2] = found[2]  # GrayLevelVariance, BYLV
    out[3] = found[3]  # HighGrayLevelZoneEmphasis, 5GN9
    out[4] = found[4]  # LargeAreaEmphasis, 48P8
    out[5] = found[5]  # LargeAreaHighGrayLevelEmphasis, J17V
    out[6] = found[6]  # LargeAreaLowGrayLevelEmphasis, YH51
    out[7] = found[7]  # LowGrayLevelZoneEmphasis, XMSY
    out[8] = found[9]  # SizeZoneNonUniformity, 4JP3
    out[9] = found[10]  # SizeZoneNonUniformityNormalized, VB3A
    out[10] = found[13]  # SmallAreaEmphasis, 5QRC
    out[11] = found[14]  # SmallAreaHighGrayLevelEmphasis, HW1V
    out[12] = found[15]  # SmallAreaLowGrayLevelEmphasis, 5RAI
    out[13] = found[8]  # ZoneEntropy, GU8N
    out[14] = found[11]  # ZonePercentage, P30P
    out[15] = found[12]  # ZoneVariance, 3NSA
    return out


@compiled
def zone_cells(level_of, size_of, n_levels):
    """Level rank, size and number of zones, each combination once."""
    n = level_of.size
    first = np.zeros(n_levels + 1, np.int64)
    for z in range(n):
        first[level_of[z] + 1] += 1
    for i in range(n_levels):
        first[i + 1] += first[i]
    order, place = np.empty(n, np.int64), first.copy()
    for z in range(n):
        order[place[level_of[z]]] = z
        place[level_of[z]] += 1
    times = np.zeros(size_of.max() + 1, np.int64)
    row, size, count = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    c = 0
    for i in range(n_levels):
        for k in range(first[i], first[i + 1]):
            times[size_of[order[k]]] += 1
        for k in range(first[i], first[i + 1]):
            voxels = size_of[order[k]]
            if times[voxels] > 0:
                row[c], size[c], count[c] = i, voxels, times[voxels]
                times[voxels] = 0
                c += 1
    return row[:c], size[:c], count[:c]
