"""Neighbours of the same gray level (IBSI's NGLDM with coarseness 0, distance 1)."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import compiled
from mmpl.radiomics.families.runs import size_features

MOST = 27  # a voxel and its 26 neighbours


@compiled
def gldm(rank, levels, same):
    """GLDM features.

    Parameters
    ----------
    rank : int32 array, shape (n,)
    levels : float64 array, gray levels that occur, ascending
    same : int array, shape (n,), neighbours of each voxel with its level

    Returns
    -------
    float64 array, shape (14,)
    """
    table = np.zeros((levels.size, MOST + 1), np.int64)
    for v in range(rank.size):
        table[rank[v], same[v] + 1] += 1
    n_cells = 0
    for i in range(levels.size):
        for j in range(1, MOST + 1):
            n_cells += table[i, j] > 0
    row, size, count = np.empty(n_cells, np.int64), np.empty(n_cells, np.int64), np.empty(n_cells, np.int64)
    c = 0
    for i in range(levels.size):
        for j in range(1, MOST + 1):
            if table[i, j] > 0:
                row[c], size[c], count[c] = i, j, table[i, j]
                c += 1
    found = size_features(row, size, count, levels, rank.size)
    out = np.empty(14)
    out[0] = found[8]  # DependenceEntropy, FCBV
    out[1] = found[9]  # DependenceNonUniformity, Z87G
    out[2] = found[10]  # DependenceNonUniformityNormalized, OKJI
    out[3] = found[12]  # DependenceVariance, DNX2
    out[4] = found[0]  # GrayLevelNonUniformity, FP8K
    out[5] = found[2]  # GrayLevelVariance, 1PFV
    out[6] = found[3]  # HighGrayLevelEmphasis, OAE7
    out[7] = found[4]  # LargeDependenceEmphasis, IMOQ
    out[8] = found[5]  # LargeDependenceHighGrayLevelEmphasis, 9QMG
    out[9] = found[6]  # LargeDependenceLowGrayLevelEmphasis, NBZI
    out[10] = found[7]  # LowGrayLevelEmphasis, TL9H
    out[11] = found[13]  # SmallDependenceEmphasis, SODN
    out[12] = found[14]  # SmallDependenceHighGrayLevelEmphasis, JA6D
    out[13] = found[15]  # SmallDependenceLowGrayLevelEmphasis, EQ3F
    return out
