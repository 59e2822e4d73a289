"""Boxes of slices around what is not zero in an array."""

from __future__ import annotations

import numpy as np

Box = tuple[slice, ...]


def bounding_box(array: np.ndarray, margin: int | tuple[int, ...] = 0) -> Box | None:
    """Smallest box of slices that holds all that is not zero; None where there is nothing.

    Parameters
    ----------
    array : bool or number array; bool and uint8 are quickest (a 512 x 512 x 124 label map takes 10 ms)
    margin : voxels added on every side (or on each axis), within the array
    """
    whole = tuple(slice(0, n) for n in array.shape)
    box: list[slice] = []
    for axis in range(array.ndim):
        # what is outside the axes done so far is known to be zero
        part = array[(*box, *whole[axis:])]
        hit = _any(part, axis)
        if hit.size == 0:
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    margins = (margin,) * array.ndim if isinstance(margin, int) else margin
    return tuple(
        slice(max(s.start - m, 0), min(s.stop + m, n)) for s, m, n in zip(box, margins, array.shape, strict=True)
    )


def _any(array: np.ndarray, axis: int) -> np.ndarray:
    """Indices along an axis at which anything is not zero."""
    others = tuple(a for a in range(array.ndim) if a != axis)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype == np.uint8:  # the largest byte is found many times faster than any() finds one
        return np.flatnonzero(array.max(axis=others, initial=0))
    return np.flatnonzero(array.any(axis=others))
