"""pyradiomics' GLCM features with the two slow steps done by linear algebra.

pyradiomics takes time and memory that grow with the cube of the gray levels, which a contour that
touches air or bone has by the hundreds. The definitions, and the values to rounding, are its own.
"""

from __future__ import annotations

import logging

import numpy as np
from radiomics.glcm import RadiomicsGLCM


class FastGLCM(RadiomicsGLCM):
    """GLCM features of one mask; see ``radiomics.glcm.RadiomicsGLCM``."""

    def __init__(self, image, mask, **settings):
        super().__init__(image, mask, **settings)
        self.logger = logging.getLogger(RadiomicsGLCM.__module__)  # the base class takes the subclass's module

    def _calculateCoefficients(self):
        p = self.P_glcm  # shape (1, level, level, angle), symmetric in the levels
        levels = self.coefficients["grayLevels"].astype(float)
        i, j = np.meshgrid(levels, levels, indexing="ij", sparse=True)
        n_levels = self.coefficients["Ng"]
        eps = np.spacing(1)
        self.coefficients.update(
            eps=eps,
            i=i,
            j=j,
            kValuesSum=np.arange(2, 2 * n_levels + 1, dtype=float),
            kValuesDiff=np.arange(0, n_levels, dtype=float),
            px=p.sum(2, keepdims=True),
            py=p.sum(1, keepdims=True),
            ux=np.sum(i[None, :, :, None] * p, (1, 2), keepdims=True),
            uy=np.sum(j[None, :, :, None] * p, (1, 2), keepdims=True),
            pxAddy=sum_by_index(p, (i + j).astype(int) - 2, 2 * n_levels - 1),
            pxSuby=sum_by_index(p, np.abs(i - j).astype(int), n_levels),
            HXY=-np.sum(p * np.log2(p + eps), (1, 2)),
        )

    def getMCCFeatureValue(self):
        """Maximal correlation coefficient: root of the second largest eigenvalue of Q.

        Q(i, j) = sum_k P(i, k) P(j, k) / (px(i) py(k) + eps). Without eps, D = diag(px) and a symmetric
        P make Q similar to the square of the symmetric D^-1/2 P D^-1/2, whose eigenvectors are quick to
        find; the quotient with its left and right vectors then takes eps in, to second order.
        """
        if self.P_glcm.shape[1] < 2:
            return 1  # flat region, as in pyradiomics
        return np.full(1, np.mean([_second_eigenvalue(p) ** 0.5 for p in np.moveaxis(self.P_glcm[0], -1, 0)]))


def _second_eigenvalue(p: np.ndarray) -> float:
    """Second largest eigenvalue of Q of one angle's normalised symmetric GLCM, shape (level, level)."""
    px = p.sum(1)
    if not np.isfinite(px).all():
        return float("nan")
    root = np.sqrt(px)
    inverse = np.zeros_like(px)  # a level without neighbours along this angle has a row of zeros
    np.divide(1.0, root, out=inverse, where=px > 0)
    eigenvalues, vectors = np.linalg.eigh(p * inverse[:, None] * inverse)
    vector = vectors[:, np.argsort(np.abs(eigenvalues))[-2]]
    left, right = root * vector, inverse * vector
    q_right = (p / (np.outer(px, px) + np.spacing(1))) @ (p.T @ right)
    norm = float(left @ right)
    return max(float(left @ q_right) / norm, 0.0) if norm > 0 else 0.0


def sum_by_index(p: np.ndarray, index: np.ndarray, length: int) -> np.ndarray:
    """Sum a GLCM over the level pairs of each index.

    Parameters
    ----------
    p : float array, shape (1, level, level, angle)
    index : int array, shape (level, level), in [0, length)
    length : int

    Returns
    -------
    float array, shape (1, length, angle)
    """
    flat = index.ravel()
    sums = [np.bincount(flat, p[0, :, :, a].ravel(), minlength=length) for a in range(p.shape[3])]
    return np.stack(sums, axis=1)[None] if sums else np.zeros((1, length, 0))
