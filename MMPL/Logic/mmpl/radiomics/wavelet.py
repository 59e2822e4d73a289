"""Stationary wavelet transform, one level, read off inside a box of the volume.

The values are those of pyradiomics, which calls ``pywt.swtn`` on the volume (with its first plane repeated at
the end of an axis of odd length), to the last bit on machines without fused multiply-add: float32 sums in the
same order. The filters are six taps long and the volume goes round at its ends, so the box and a few voxels
around it are all that is ever read.

Reference: Daubechies, SIAM J Math Anal 1993;24:499-519 (coiflets).
"""

from __future__ import annotations

import numpy as np

from mmpl.boxes import Box
from mmpl.radiomics.compiling import HAS_NUMBA, compiled

# As PyWavelets has them in float32: its product of the table with sqrt(2) is a last bit below the true tap.
_LOW = (-0.015655728, -0.07273262, 0.38486484, 0.85257196, 0.33789766, -0.07273262)
COIF1 = {
    "L": np.array(_LOW, np.float32),
    "H": np.array([v if k % 2 else -v for k, v in enumerate(reversed(_LOW))], np.float32),
}
BEFORE, AFTER = 2, 3  # voxels that a value reads on either side of its own


def wavelet_bands(image: np.ndarray, box: Box) -> dict[str, np.ndarray]:
    """The eight coif1 bands inside a box.

    Parameters
    ----------
    image : float32 array, shape (z, y, x)
    box : slices (z, y, x)

    Returns
    -------
    dict of band -> float32 array of the box's shape; "LLH" is high-pass along z, as in pyradiomics
    """
    even = [n + n % 2 for n in image.shape]
    around = [wrapped(s, n) for s, n in zip(box, image.shape, strict=True)]
    bands = {"": image[np.ix_(*around)]}
    for axis in (2, 1, 0):
        last = even[axis] - 1 - box[axis].start
        bands = {
            name + letter: convolved(array, axis, taps, last)
            for name, array in bands.items()
            for letter, taps in COIF1.items()
        }
    return bands


def wrapped(keep: slice, n: int) -> np.ndarray:
    """Indices that a box needs along one axis, going round the axis made even."""
    index = np.arange(keep.start - BEFORE, keep.stop + AFTER) % (n + n % 2)
    return np.where(index == n, 0, index)


def convolved(array: np.ndarray, axis: int, taps: np.ndarray, last: int) -> np.ndarray:
    """Valid part of the convolution along one axis, shorter by five.

    ``last`` is where the volume's last plane would be in the result: PyWavelets adds up its terms in another
    order there.
    """
    array = np.ascontiguousarray(array)
    before, after = int(np.prod(array.shape[:axis])), int(np.prod(array.shape[axis + 1 :]))
    length = array.shape[axis] - len(taps) + 1
    lines = array.reshape(before, array.shape[axis], after)
    out = np.empty((before, length, after), np.float32)
    convolve_lines(lines, out, taps)
    if 0 <= last < length:
        out[:, last] = _in_order(lines, taps, last, (2, 1, 0, 3, 4, 5))
    return out.reshape(*array.shape[:axis], length, *array.shape[axis + 1 :])


def _in_order(lines: np.ndarray, taps: np.ndarray, i: int, order: tuple[int, ...]) -> np.ndarray:
    terms = [taps[j] * lines[:, i + 5 - j] for j in order]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@compiled
def _convolve_lines(source, target, taps):
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    n, length, width = target.shape
    for a in range(n):
        for i in range(length):
            for k in range(width):
                total = t0 * source[a, i + 5, k] + t1 * source[a, i + 4, k]
                total = total + t2 * source[a, i + 3, k]
                total = total + t3 * source[a, i + 2, k]
                total = total + t4 * source[a, i + 1, k]
                target[a, i, k] = total + t5 * source[a, i, k]


def _convolve_arrays(source, target, taps):
    length = target.shape[1]
    target[...] = taps[0] * source[:, 5 : 5 + length]
    for j in range(1, len(taps)):
        target += taps[j] * source[:, 5 - j : 5 - j + length]


convolve_lines = _convolve_lines if HAS_NUMBA else _convolve_arrays
