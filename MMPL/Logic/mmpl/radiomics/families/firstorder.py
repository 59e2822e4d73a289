"""Statistics of the voxels' intensities."""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import compiled

EPS = float(np.spacing(1.0))
LN2 = float(np.log(2.0))


@compiled
def firstorder(ordered, counts, voxel_volume_mm3):
    """First-order features.

    Parameters
    ----------
    ordered : float32 array, shape (n,), voxels inside the mask, ascending
    counts : int array, voxels of each gray level
    voxel_volume_mm3 : float

    Returns
    -------
    float64 array, shape (18,)
    """
    n = ordered.size
    low, high = np.float64(ordered[0]), np.float64(ordered[n - 1])
    p10, p25 = percentile(ordered, 10.0), percentile(ordered, 25.0)
    p75, p90 = percentile(ordered, 75.0), percentile(ordered, 90.0)
    energy, total = 0.0, 0.0
    for v in range(n):
        x = np.float64(ordered[v])
        total += x
        energy += x * x
    mean = total / n
    absolute, m2, m3, m4 = 0.0, 0.0, 0.0, 0.0
    for v in range(n):
        d = np.float64(ordered[v]) - mean
        absolute += abs(d)
        m2 += d * d
        m3 += d * d * d
        m4 += d * d * d * d
    m2, m3, m4 = m2 / n, m3 / n, m4 / n
    spread = m2 if m2 != 0.0 else 1.0  # a flat region is 0, not 0 / 0
    entropy, uniformity = 0.0, 0.0
    for level in range(counts.size):
        p = counts[level] / n
        entropy -= p * np.log2(p + EPS)
        uniformity += p * p
    middle = (np.float64(ordered[(n - 1) // 2]) + np.float64(ordered[n // 2])) / 2.0
    return np.array(
        [
            p10,  # QG58
            p90,  # 8DWT
            energy,  # N8CA
            entropy,  # TLU2
            p75 - p25,  # SALO
            m4 / spread**2.0,  # IPH6 is the excess: 3 less
            high,  # 84IY
            absolute / n,  # 4FUA
            mean,  # Q4LE
            middle,  # Y12H
            low,  # 1GSF
            high - low,  # 2OJQ
            _mean_absolute_deviation_between(ordered, p10, p90),  # 1128
            np.sqrt(energy / n),  # 5ZWQ
            m3 / spread**1.5,  # KE2A
            energy * voxel_volume_mm3,
            uniformity,  # BJ5W
            m2,  # ECT3
        ]
    )


@compiled
def percentile(ordered, q):
    """numpy's linear percentile, in its order of operations."""
    place = (ordered.size - 1) * (q / 100.0)
    k = min(int(place), ordered.size - 1)
    t = place - k
    a, b = np.float64(ordered[k]), np.float64(ordered[min(k + 1, ordered.size - 1)])
    if t >= 0.5:
        return b - (b - a) * (1.0 - t)
    return a + (b - a) * t


@compiled
def _mean_absolute_deviation_between(ordered, low, high):
    n, total = 0, 0.0
    for v in range(ordered.size):
        x = np.float64(ordered[v])
        if low <= x <= high:
            n += 1
            total += x
    if n == 0:
        return np.nan
    mean, absolute = total / n, 0.0
    for v in range(ordered.size):
        x = np.float64(ordered[v])
        if low <= x <= high:
            absolute += abs(x - mean)
    return absolute / n
