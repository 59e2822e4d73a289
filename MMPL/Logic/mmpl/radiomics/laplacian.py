"""Laplacian of Gaussian by recursive filters, read off inside a box of the volume.

The values are those of ITK's ``LaplacianRecursiveGaussianImageFilter`` with normalisation across scale, which
pyradiomics uses, to the last bit on machines without fused multiply-add in ITK: lines in float64, what passes
between the axes in float32, the same order of axes and of additions. A last-bit difference could move a voxel
over a bin edge. The recursions have no end, so every line is filtered over its whole length; what a line
gives outside the box is dropped as soon as no later axis needs it, which is half of the work.

Reference: Deriche, INRIA RR-1893 (1993); Farneback and Westin, Mathematical Imaging and Vision 2006;26:293.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmpl.boxes import Box
from mmpl.radiomics.compiling import HAS_NUMBA, compiled

MINIMUM_SIZE = 4  # voxels along every axis, ITK's limit
LANES = 64  # lines filtered side by side

_PAIRS = ((0.6681, -1.3932), (2.0787, -1.3732))  # frequency and decay of the two damped oscillations
_SMOOTH = ((1.3530, 1.8151), (-0.3531, 0.0902))  # their cosine and sine amplitudes, Gaussian
_SECOND = ((-1.3563, 5.2318), (0.3446, -2.2355))  # second derivative


def is_large_enough(size_xyz: Sequence[int], spacing_mm: Sequence[float], sigma_mm: float) -> bool:
    """Whether pyradiomics filters a grid of this size (x, y, z) and spacing."""
    size, spacing = np.asarray(size_xyz), np.asarray(spacing_mm)
    return bool(size.min() >= MINIMUM_SIZE and np.all(size >= np.ceil(sigma_mm / spacing) + 1))


def laplacian_of_gaussian(image: np.ndarray, spacing_mm: Sequence[float], sigma_mm: float, box: Box) -> np.ndarray:
    """Sigma squared times the Laplacian of the smoothed image, inside a box.

    Parameters
    ----------
    image : float32 array, shape (z, y, x), C order
    spacing_mm : (x, y, z)
    sigma_mm : float, width of the Gaussian
    box : slices (z, y, x)

    Returns
    -------
    float32 array of the box's shape
    """
    if not HAS_NUMBA:
        return _by_simpleitk(image, spacing_mm, sigma_mm, box)
    total = None
    for axis in (2, 1, 0):  # x, y, z
        spacing = spacing_mm[2 - axis]
        part = _pass(image, axis, box[axis], recursion(sigma_mm, spacing, second_derivative=True))
        for other in (a for a in (2, 1, 0) if a != axis):
            part = _pass(part, other, box[other], recursion(sigma_mm, spacing_mm[2 - other]))
        if spacing != 1.0:
            part = part * np.float64(1.0 / (spacing * spacing))
        total = (part if total is None else total + part).astype(np.float32, copy=False)
    return total


def _by_simpleitk(image, spacing_mm, sigma_mm, box) -> np.ndarray:
    import SimpleITK as sitk

    source = sitk.GetImageFromArray(image)
    source.SetSpacing([float(s) for s in spacing_mm])
    laplacian = sitk.LaplacianRecursiveGaussianImageFilter()
    laplacian.SetNormalizeAcrossScale(True)
    laplacian.SetSigma(float(sigma_mm))
    return np.ascontiguousarray(sitk.GetArrayViewFromImage(laplacian.Execute(source))[box])


def recursion(sigma_mm: float, spacing_mm: float, *, second_derivative: bool = False) -> np.ndarray:
    """Coefficients of the causal and anticausal recursions.

    Returns
    -------
    float64 array: n0..n3, m1..m4, d1..d4, and the boundary's bn1..bn4, bm1..bm4
    """
    sigma = sigma_mm / spacing_mm
    d = _denominator(sigma)
    sd, dd, ed = _moments(np.concatenate([[1.0], d]))
    n = _numerator(sigma, _SMOOTH)
    sn, _, _ = _moments(n)
    if second_derivative:
        n2 = _numerator(sigma, _SECOND)
        sn2, _, _ = _moments(n2)
        beta = -(2 * sn2 - sd * n2[0]) / (2 * sn - sd * n[0])
        sn0, dn0, en0 = _moments(n)
        sn2, dn2, en2 = _moments(n2)
        n = n2 + beta * n
        sn, dn, en = sn2 + beta * sn0, dn2 + beta * dn0, en2 + beta * en0
        gain = en * sd * sd - ed * sn * sd - 2 * dn * dd * sd + 2 * dd * dd * sn
        gain /= sd * sd * sd
        n = n * (sigma_mm * sigma_mm / gain)
    else:
        n = n * (1.0 / (2 * sn / sd - n[0]))
    m = np.array([n[1] - d[0] * n[0], n[2] - d[1] * n[0], n[3] - d[2] * n[0], -d[3] * n[0]])
    sum_n, sum_m = ((n[0] + n[1]) + n[2]) + n[3], ((m[0] + m[1]) + m[2]) + m[3]
    return np.concatenate([n, m, d, d * sum_n / sd, d * sum_m / sd])


def _oscillations(sigma: float) -> tuple[float, ...]:
    (w1, l1), (w2, l2) = _PAIRS
    return (
        math.sin(w1 / sigma),
        math.sin(w2 / sigma),
        math.cos(w1 / sigma),
        math.cos(w2 / sigma),
        math.exp(l1 / sigma),
        math.exp(l2 / sigma),
    )


def _denominator(sigma: float) -> np.ndarray:
    _, _, c1, c2, e1, e2 = _oscillations(sigma)
    d4 = e1 * e1 * e2 * e2
    d3 = -2 * c1 * e1 * e2 * e2
    d3 += -2 * c2 * e2 * e1 * e1
    d2 = 4 * c2 * c1 * e1 * e2
    d2 += e1 * e1 + e2 * e2
    d1 = -2 * (e2 * c2 + e1 * c1)
    return np.array([d1, d2, d3, d4])


def _numerator(sigma: float, amplitudes) -> np.ndarray:
    s1, s2, c1, c2, e1, e2 = _oscillations(sigma)
    (a1, b1), (a2, b2) = amplitudes
    n1 = e2 * (b2 * s2 - (a2 + 2 * a1) * c2)
    n1 += e1 * (b1 * s1 - (a1 + 2 * a2) * c1)
    n2 = (a1 + a2) * c2 * c1
    n2 -= b1 * c2 * s1 + b2 * c1 * s2
    n2 *= 2 * e1 * e2
    n2 += a2 * e1 * e1 + a1 * e2 * e2
    n3 = e2 * e1 * e1 * (b2 * s2 - a2 * c2)
    n3 += e1 * e2 * e2 * (b1 * s1 - a1 * c1)
    return np.array([a1 + a2, n1, n2, n3])


def _moments(coefficients: np.ndarray) -> tuple[float, float, float]:
    """Sum, first and second moment over the lag, added in order."""
    total = first = second = 0.0
    for lag, c in enumerate(coefficients):
        total += c
        first += lag * c
        second += lag * lag * c
    return total, first, second


def _pass(volume: np.ndarray, axis: int, keep: slice, coefficients: np.ndarray) -> np.ndarray:
    """Filter every line along an axis of a C-ordered volume; keep a part of each."""
    shape = list(volume.shape)
    shape[axis] = keep.stop - keep.start
    out = np.empty(shape, np.float32)
    lane, other = {0: (2, 1), 1: (2, 0), 2: (1, 0)}[axis]  # x side by side; along x itself, y
    steps = [[s // 4 for s in a.strides] for a in (volume, out)]
    strides = np.array([[s[axis], s[lane], s[other]] for s in steps])
    sizes = np.array([volume.shape[axis], volume.shape[lane], volume.shape[other], keep.start, keep.stop])
    filter_lines(volume.reshape(-1), out.reshape(-1), strides, sizes, coefficients, LANES)
    return out


@compiled
def filter_lines(source, target, strides, sizes, c, lanes):
    """Run both recursions over all lines, ``lanes`` at a time.

    Parameters
    ----------
    source, target : float32 arrays, flat
    strides : int array, shape (2, 3); along, beside, across the lines; of source and target
    sizes : int array; line length, lines beside, lines across, first and end kept index
    c : float64 array, from ``recursion``
    """
    n, n_beside, n_across, first, end = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    x = np.empty((n, lanes))
    y = np.empty((n, lanes))
    w = np.empty((n, lanes))
    for across in range(n_across):
        for start in range(0, n_beside, lanes):
            m = min(lanes, n_beside - start)
            base = across * strides[0, 2] + start * strides[0, 1]
            for i in range(n):
                row = base + i * strides[0, 0]
                for k in range(m):
                    x[i, k] = source[row + k * strides[0, 1]]
            _causal(x, y, c, n, m)
            _anticausal(x, w, c, n, m)
            base = across * strides[1, 2] + start * strides[1, 1]
            for i in range(first, end):
                row = base + (i - first) * strides[1, 0]
                for k in range(m):
                    target[row + k * strides[1, 1]] = y[i, k] + w[i, k]


@compiled
def _causal(x, y, c, n, m):
    n0, n1, n2, n3 = c[0], c[1], c[2], c[3]
    d1, d2, d3, d4 = c[8], c[9], c[10], c[11]
    b1, b2, b3, b4 = c[12], c[13], c[14], c[15]
    for k in range(m):
        e, x1, x2, x3 = x[0, k], x[1, k], x[2, k], x[3, k]  # e: the edge goes on outside
        y0 = (e * n0 + e * n1 + e * n2 + e * n3) - (e * b1 + e * b2 + e * b3 + e * b4)
        y1 = (x1 * n0 + e * n1 + e * n2 + e * n3) - (y0 * d1 + e * b2 + e * b3 + e * b4)
        y2 = (x2 * n0 + x1 * n1 + e * n2 + e * n3) - (y1 * d1 + y0 * d2 + e * b3 + e * b4)
        y3 = (x3 * n0 + x2 * n1 + x1 * n2 + e * n3) - (y2 * d1 + y1 * d2 + y0 * d3 + e * b4)
        y[0, k], y[1, k], y[2, k], y[3, k] = y0, y1, y2, y3
    for i in range(4, n):
        for k in range(m):
            new = x[i, k] * n0 + x[i - 1, k] * n1 + x[i - 2, k] * n2 + x[i - 3, k] * n3
            old = y[i - 1, k] * d1 + y[i - 2, k] * d2 + y[i - 3, k] * d3 + y[i - 4, k] * d4
            y[i, k] = new - old


@compiled
def _anticausal(x, y, c, n, m):
    m1, m2, m3, m4 = c[4], c[5], c[6], c[7]
    d1, d2, d3, d4 = c[8], c[9], c[10], c[11]
    b1, b2, b3, b4 = c[16], c[17], c[18], c[19]
    for k in range(m):
        e, x1, x2 = x[n - 1, k], x[n - 2, k], x[n - 3, k]
        y0 = (e * m1 + e * m2 + e * m3 + e * m4) - (e * b1 + e * b2 + e * b3 + e * b4)
        y1 = (e * m1 + e * m2 + e * m3 + e * m4) - (y0 * d1 + e * b2 + e * b3 + e * b4)
        y2 = (x1 * m1 + e * m2 + e * m3 + e * m4) - (y1 * d1 + y0 * d2 + e * b3 + e * b4)
        y3 = (x2 * m1 + x1 * m2 + e * m3 + e * m4) - (y2 * d1 + y1 * d2 + y0 * d3 + e * b4)
        y[n - 1, k], y[n - 2, k], y[n - 3, k], y[n - 4, k] = y0, y1, y2, y3
    for i in range(n - 5, -1, -1):
        for k in range(m):
            new = x[i + 1, k] * m1 + x[i + 2, k] * m2 + x[i + 3, k] * m3 + x[i + 4, k] * m4
            old = y[i + 1, k] * d1 + y[i + 2, k] * d2 + y[i + 3, k] * d3 + y[i + 4, k] * d4
            y[i, k] = new - old
