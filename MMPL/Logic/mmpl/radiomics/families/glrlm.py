"""Gray-level run lengths, each direction on its own and then averaged (IBSI: 3D, averaged)."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.adjacency import runs_reaching
from mmpl.radiomics.compiling import compiled
from mmpl.radiomics.families.runs import N_SUMS, size_features


@compiled
def glrlm(rank, levels, before, has_lines, longest):
    """GLRLM features.

    Parameters
    ----------
    rank : int32 array, shape (n,)
    levels : float64 array, gray levels that occur, ascending
    before : int32 array, shape (13, n)
    has_lines : bool array, shape (13,); the other directions are left out
    longest : int, no run is longer

    Returns
    -------
    float64 array, shape (16,); NaN where no line meets the mask twice
    """
    mean = np.zeros(N_SUMS)
    n_directions = 0
    for a in range(before.shape[0]):
        if has_lines[a]:
            row, size, count = run_cells(runs_reaching(rank, before[a], levels.size, longest))
            mean += size_features(row, size, count, levels, rank.size)
            n_directions += 1
    if n_directions == 0:
        return np.full(N_SUMS, np.nan)
    mean /= n_directions
    out = np.empty(N_SUMS)
    out[0] = mean[0]  # GrayLevelNonUniformity, R5YN
    out[1] = mean[1]  # GrayLevelNonUniformityNormalized, OVBL
    out[2] = mean[2]  # GrayLevelVariance, 8CE5
    out[3] = mean[3]  # HighGrayLevelRunEmphasis, G3QZ
    out[4] = mean[4]  # LongRunEmphasis, W4KF
    out[5] = mean[5]  # LongRunHighGrayLevelEmphasis, 3KUM
    out[6] = mean[6]  # LongRunLowGrayLevelEmphasis, IVPO
    out[7] = mean[7]  # LowGrayLevelRunEmphasis, V3SW
    out[8] = mean[8]  # RunEntropy, HJ9O
    out[9] = mean[9]  # RunLengthNonUniformity, W92Y
    out[10] = mean[10]  # RunLengthNonUniformityNormalized, IC23
    out[11] = mean[11]  # RunPercentage, 9ZK5
    out[12] = mean[12]  # RunVariance, SXLW
    out[13] = mean[13]  # ShortRunEmphasis, 22OV
    out[14] = mean[14]  # ShortRunHighGrayLevelEmphasis, GD3A
    out[15] = mean[15]  # ShortRunLowGrayLevelEmphasis, HTZT
    return out


@compiled
def run_cells(reaching):
    """Level rank, length and number of runs, from the numbers of runs that reach each length."""
    n_levels, n_lengths = reaching.shape
    n_cells = 0
    for i in range(n_levels):
        for r in range(1, n_lengths - 1):
            if reaching[i, r] == 0:
                break
            n_cells += reaching[i, r] > reaching[i, r + 1]
    row, size, count = np.empty(n_cells, np.int64), np.empty(n_cells, np.int64), np.empty(n_cells, np.int64)
    c = 0
    for i in range(n_levels):
        for r in range(1, n_lengths - 1):
            if reaching[i, r] == 0:
                break
            if reaching[i, r] > reaching[i, r + 1]:
                row[c], size[c], count[c] = i, r, reaching[i, r] - reaching[i, r + 1]
                c += 1
    return row, size, count
