"""Maximal correlation coefficient: the second singular value of a co-occurrence matrix.

pyradiomics takes all eigenvalues of Q(i, j) = sum_k P(i, k) P(j, k) / (px(i) px(k) + eps), at a cost that grows
with the cube of the levels. Without eps, a symmetric P makes Q similar to S squared, S = D^-1/2 P D^-1/2 with
D = diag(px). The largest eigenvalue of S is 1, with the known vector sqrt(px); a few Lanczos steps beside
that vector give the next one, and a quotient with its left and right vectors takes eps in to second order.

Reference: Golub and Van Loan, Matrix Computations, 4th edition, chapter 10.
"""

from __future__ import annotations

import numpy as np

from mmpl.radiomics.compiling import HAS_NUMBA, compiled
from mmpl.radiomics.families.firstorder import EPS

MAX_STEPS = 120
FIRST_CHECK, CHECK_EVERY = 8, 4
DENSE = 10  # times the filled cells; the work of a cell on its own over that of one in a row
TOLERANCE = 1e-9  # of the eigenvalue, by the residual's square over the gap


@compiled
def _maximal_correlation(cells, px, levels, total, start):
    """``start`` keeps the vector of the direction before: the next one's is close to it."""
    n = px.size
    if n < 2:
        return 1.0  # flat region, as in pyradiomics
    weights = np.empty(cells.shape[1])
    for k in range(weights.size):
        weights[k] = cells[2, k] / total / np.sqrt(px[cells[0, k]] * px[cells[1, k]])
    vector = _second_vector(cells, weights, px, levels, start)
    start[:] = vector
    return np.sqrt(max(_quotient(cells, total, px, vector), 0.0))


@compiled
def _quotient(cells, total, px, vector):
    """Eigenvalue of Q, eps included, that belongs to an eigenvector of S."""
    n = px.size
    right, left = np.zeros(n), np.zeros(n)
    for i in range(n):
        if px[i] > 0.0:
            left[i] = np.sqrt(px[i]) * vector[i]
            right[i] = vector[i] / np.sqrt(px[i])
    middle, row = np.zeros(n), np.zeros(n)
    for k in range(cells.shape[1]):
        i, j, p = cells[0, k], cells[1, k], cells[2, k] / total
        middle[i] += p * right[j]
        if i != j:
            middle[j] += p * right[i]
    for k in range(cells.shape[1]):
        i, j, p = cells[0, k], cells[1, k], cells[2, k] / total
        share = p / (px[i] * px[j] + EPS)
        row[i] += share * middle[j]
        if i != j:
            row[j] += share * middle[i]
    below = _dot(left, right)
    return _dot(left, row) / below if below > 0.0 else 0.0


@compiled
def _dense(cells, weights, n):
    """The matrix S, or none where so many of its cells are empty that going from cell to cell is quicker."""
    if n * n > DENSE * weights.size:
        return np.zeros((0, 0))
    matrix = np.zeros((n, n))
    for k in range(weights.size):
        matrix[cells[0, k], cells[1, k]] = matrix[cells[1, k], cells[0, k]] = weights[k]
    return matrix


@compiled
def _multiply(matrix, cells, weights, vector, product):
    """Add S times a vector to ``product``."""
    if matrix.size > 0:
        for j in range(vector.size):
            weight = vector[j]
            for i in range(vector.size):
                product[i] += weight * matrix[j, i]
        return
    for k in range(weights.size):
        i, j = cells[0, k], cells[1, k]
        product[i] += weights[k] * vector[j]
        if i != j:
            product[j] += weights[k] * vector[i]


@compiled
def _second_vector(cells, weights, px, levels, start):
    """Unit vector of the eigenvalue of largest size beside the known one; zeros if there is none."""
    n = px.size
    steps = min(n - 1, MAX_STEPS)
    known = np.sqrt(px)
    matrix = _dense(cells, weights, n)
    basis, diagonal, beside = np.zeros((steps + 1, n)), np.zeros(steps), np.zeros(steps)
    basis[0] = _first_guess(px, levels, start)
    if not _orthonormal(basis[0], known, basis, 0):
        return np.zeros(n)
    m = 0
    for m in range(1, steps + 1):
        q, new = basis[m - 1], basis[m]
        _multiply(matrix, cells, weights, q, new)
        diagonal[m - 1] = _dot(q, new)
        before = _dot(new, new)
        length = _remove(new, known, basis, m)
        beside[m - 1] = length
        if length <= 1e-13 * np.sqrt(before) or length < 1e-14:
            break  # nothing left to look into
        for i in range(n):
            new[i] /= length
        if m >= FIRST_CHECK and (m - FIRST_CHECK) % CHECK_EVERY == 0 and _has_settled(diagonal, beside, m):
            break
    value = _extreme(diagonal, beside, m)
    shares = _weights(diagonal, beside, m, value)
    vector = np.zeros(n)
    for k in range(m):
        for i in range(n):
            vector[i] += shares[k] * basis[k, i]
    return vector


@compiled
def _first_guess(px, levels, start):
    """Last direction's vector, or the levels about their mean, and a share of every other vector."""
    n = px.size
    guess = np.empty(n)
    mean = 0.0
    for i in range(n):
        mean += levels[i] * px[i]
    for i in range(n):
        guess[i] = np.sqrt(px[i]) * (levels[i] - mean)
    if _dot(start, start) > 0.5:
        guess[:] = start
    size = np.sqrt(_dot(guess, guess))
    scale = 1.0 / size if size > 0.0 else 0.0
    state = 12345
    for i in range(n):
        state = (state * 1103515245 + 12345) % 2147483648
        noise = (state / 2147483648.0 - 0.5) * 0.6 / np.sqrt(n)
        guess[i] = guess[i] * scale + noise if px[i] > 0.0 else 0.0
    return guess


@compiled
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@compiled
def _remove(vector, known, basis, m):
    """Take the known vector and m basis vectors out, twice; the length that is left."""
    for _ in range(2):
        share = _dot(known, vector)
        for i in range(vector.size):
            vector[i] -= share * known[i]
        for k in range(m):
            share = _dot(basis[k], vector)
            for i in range(vector.size):
                vector[i] -= share * basis[k, i]
    return np.sqrt(_dot(vector, vector))


@compiled
def _orthonormal(vector, known, basis, m):
    length = _remove(vector, known, basis, m)
    if length < 1e-12:
        return False
    for i in range(vector.size):
        vector[i] /= length
    return True


@compiled
def _below(diagonal, beside, m, x):
    """Eigenvalues of the tridiagonal matrix that lie below x (Sturm)."""
    count, d = 0, 1.0
    for k in range(m):
        coupling = beside[k - 1] ** 2 if k > 0 else 0.0
        d = diagonal[k] - x - coupling / d
        if d == 0.0:
            d = 1e-300
        if d < 0.0:
            count += 1
    return count


@compiled
def _ordered_eigenvalue(diagonal, beside, m, index):
    """Eigenvalue number ``index``, ascending, by bisection; all lie in [-1, 1] but for rounding."""
    low, high = -1.01, 1.01
    for _ in range(54):
        x = 0.5 * (low + high)
        if _below(diagonal, beside, m, x) > index:
            high = x
        else:
            low = x
    return 0.5 * (low + high)


@compiled
def _extreme(diagonal, beside, m):
    lowest = _ordered_eigenvalue(diagonal, beside, m, 0)
    highest = _ordered_eigenvalue(diagonal, beside, m, m - 1)
    return highest if highest >= -lowest else lowest


@compiled
def _has_settled(diagonal, beside, m):
    value = _extreme(diagonal, beside, m)
    next_one = _ordered_eigenvalue(diagonal, beside, m, m - 2 if value >= 0.0 else 1)
    residual = beside[m - 1] * abs(_weights(diagonal, beside, m, value)[m - 1])
    gap = max(abs(value - next_one), 1e-3 * abs(value))
    return residual < 1e-3 * abs(value) and residual * residual < TOLERANCE * gap * abs(value)


@compiled
def _weights(diagonal, beside, m, value):
    """Unit eigenvector of the tridiagonal matrix, from its small end to its large one."""
    weights = np.zeros(m)
    weights[m - 1] = 1.0
    for k in range(m - 1, 0, -1):
        after = beside[k] * weights[k + 1] if k + 1 < m else 0.0
        weights[k - 1] = ((value - diagonal[k]) * weights[k] - after) / beside[k - 1]
        if abs(weights[k - 1]) > 1e100:
            for j in range(k - 1, m):
                weights[j] *= 1e-100
    length = np.sqrt(_dot(weights, weights))
    for k in range(m):
        weights[k] /= length
    return weights


def _maximal_correlation_arrays(cells, px, levels, total, start):
    n = px.size
    if n < 2:
        return 1.0
    p = np.zeros((n, n))
    i, j, count = cells
    p[i, j] = p[j, i] = count / total
    inverse = np.zeros(n)
    np.divide(1.0, np.sqrt(px), out=inverse, where=px > 0)
    values, vectors = np.linalg.eigh(p * inverse[:, None] * inverse)
    vector = vectors[:, np.argsort(np.abs(values))[-2]]
    left, right = np.sqrt(px) * vector, inverse * vector
    norm = left @ right
    if norm <= 0:
        return 0.0
    return max(left @ (p / (np.outer(px, px) + EPS)) @ (p @ right) / norm, 0.0) ** 0.5


maximal_correlation = _maximal_correlation if HAS_NUMBA else _maximal_correlation_arrays
"""MCC of one direction's counts, in [0, 1]."""
