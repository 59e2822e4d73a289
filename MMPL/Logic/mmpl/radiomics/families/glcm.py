"""Gray-level co-occurrence, each direction on its own and then averaged (IBSI: 3D, averaged)."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.adjacency import co_occurrences
from mmpl.radiomics.compiling import compiled
from mmpl.radiomics.families.correlation import maximal_correlation
from mmpl.radiomics.families.firstorder import EPS, LN2

N_FEATURES = 24
MCC = 19


@compiled
def glcm(rank, levels, before, pairs):
    """GLCM features, distance 1, symmetric.

    Parameters
    ----------
    rank : int32 array, shape (n,)
    levels : float64 array, gray levels that occur, ascending
    before : int32 array, shape (13, n)
    pairs : int array, shape (13,); directions without a pair are left out

    Returns
    -------
    float64 array, shape (24,); NaN where no voxel has a neighbour
    """
    mean = np.zeros(N_FEATURES)
    n_directions = 0
    start = np.zeros(levels.size)
    for a in range(before.shape[0]):
        if pairs[a] > 0:
            cells = co_occurrences(rank, before[a], levels.size)
            mean += _of_direction(cells, levels, 2.0 * pairs[a], start)
            n_directions += 1
    if n_directions == 0:
        mean[:] = np.nan
        mean[MCC] = np.nan if levels.size > 1 else 1.0  # pyradiomics asks for the levels first
        return mean
    return mean / n_directions


@compiled
def _of_direction(cells, levels, total, start):
    """Features of one direction's symmetric counts, which add up to ``total``."""
    n, highest = levels.size, int(levels[-1])
    px, by_sum, by_difference = np.zeros(n), np.zeros(2 * highest + 1), np.zeros(highest)
    autocorrelation, energy, surprise, largest, n_full = 0.0, 0.0, 0.0, 0, 0
    for k in range(cells.shape[1]):
        i, j, count = cells[0, k], cells[1, k], cells[2, k]
        g, h = levels[i], levels[j]
        p = count / total
        twice = 1 if i == j else 2
        px[i] += p
        if i != j:
            px[j] += p
        by_sum[int(g + h)] += twice * p
        by_difference[int(h - g)] += twice * p
        autocorrelation += twice * p * g * h
        energy += twice * p * p
        surprise -= twice * p * np.log2(p)
        largest = max(largest, count)
        n_full += twice
    mean, variance, entropy_x, n_present = 0.0, 0.0, 0.0, 0
    for i in range(n):
        if px[i] > 0.0:
            n_present += 1
            mean += levels[i] * px[i]
            entropy_x -= px[i] * np.log2(px[i] + EPS)
    for i in range(n):
        variance += px[i] * (levels[i] - mean) ** 2
    covariance = 0.0
    for k in range(cells.shape[1]):
        i, j = cells[0, k], cells[1, k]
        twice = 1 if i == j else 2
        covariance += twice * (cells[2, k] / total) * (levels[i] - mean) * (levels[j] - mean)
    joint_entropy = surprise - EPS / LN2 * n_full  # log2(p + eps) to first order, as in the two below
    independent, crossed = _entropies_if_independent(px, cells, total, n_present)
    out = np.empty(N_FEATURES)
    out[0] = autocorrelation  # QWB0
    _by_sum(out, by_sum, mean)
    _by_difference(out, by_difference, highest)
    out[5] = covariance / (variance + EPS) if variance > 0.0 else 1.0  # NI2N
    out[13] = (joint_entropy - crossed) / entropy_x if entropy_x != 0.0 else 0.0  # R8DG
    excess = independent - joint_entropy
    out[14] = np.sqrt(max(1.0 - np.exp(-2.0 * excess), 0.0)) if excess != 0.0 else 0.0  # JN9H
    out[16] = mean  # 60VM
    out[17] = energy  # 8ZQL
    out[18] = joint_entropy  # TU9B
    out[MCC] = maximal_correlation(cells, px, levels, total, start)
    out[20] = largest / total  # GYBY
    out[23] = variance  # UR99
    return out


@compiled
def _entropies_if_independent(px, cells, total, n_present):
    """Entropy of the product of the marginals, under itself and under the joint distribution.

    Both are -2 sum(p log2 p) of the marginal but for pyradiomics' eps inside the logarithm.
    """
    entropy = 0.0
    for i in range(px.size):
        if px[i] > 0.0:
            entropy -= px[i] * np.log2(px[i])
    joint = 0.0
    for k in range(cells.shape[1]):
        i, j = cells[0, k], cells[1, k]
        twice = 1 if i == j else 2
        joint += twice * (cells[2, k] / total) / (px[i] * px[j])
    return 2.0 * entropy - EPS / LN2 * n_present * n_present, 2.0 * entropy - EPS / LN2 * joint


@compiled
def _by_sum(out, p, mean):
    """Features of the distribution of i + j."""
    tendency, shade, prominence, average, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(2, p.size):
        if p[k] > 0.0:
            d = k - 2.0 * mean
            tendency += p[k] * d * d
            shade += p[k] * d * d * d
            prominence += p[k] * d * d * d * d
            average += p[k] * k
            entropy -= p[k] * np.log2(p[k] + EPS)
    out[1] = prominence  # AE86
    out[2] = shade  # 7NFM
    out[3] = tendency  # DG8W
    out[21] = average  # ZGXS
    out[22] = entropy  # P6QZ


@compiled
def _by_difference(out, p, highest):
    """Features of the distribution of |i - j|."""
    contrast, average, entropy, variance = 0.0, 0.0, 0.0, 0.0
    inverse, inverse_moment, moment_normalised, normalised, inverse_variance = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(p.size):
        if p[k] > 0.0:
            contrast += p[k] * k * k
            average += p[k] * k
            entropy -= p[k] * np.log2(p[k] + EPS)
            inverse += p[k] / (1.0 + k)
            inverse_moment += p[k] / (1.0 + k * k)
            moment_normalised += p[k] / (1.0 + (k * k) / (highest * highest))
            normalised += p[k] / (1.0 + k / highest)
            if k > 0:
                inverse_variance += p[k] / (k * k)
    for k in range(p.size):
        variance += p[k] * (k - average) ** 2
    out[4] = contrast  # ACUI
    out[6] = average  # TF7R
    out[7] = entropy  # NTRS
    out[8] = variance  # D3YU
    out[9] = inverse  # IB1Z
    out[10] = inverse_moment  # WF0Z
    out[11] = moment_normalised  # 1QCO
    out[12] = normalised  # NDRX
    out[15] = inverse_variance  # E8JP
