"""Crops of cached cases: where their centres may lie, and cutting them out of arrays that stay on the disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.transforms.utils import generate_pos_neg_label_crop_centers

from mmpl.preprocess.network_grid import background_values
from mmpl.training.cache import CachedCase

INDEX_SAMPLE = 4000  # fore- and background voxels kept per case to draw crop centres from
FOREGROUND = 128  # of 255: half of the voxel
MARGIN = 8  # voxels that a window may lie beyond where inference's would


@dataclass(frozen=True)
class Canvas:
    """The grid that crops of a case are drawn from, which nobody holds in memory.

    A case padded to at least the wide field, as inference pads it, and by ``MARGIN`` on every side.

    Attributes
    ----------
    content : shape (z, y, x) of the case
    shape : (z, y, x) of the canvas
    offset : index (z, y, x) of the case's first voxel on the canvas
    """

    content: tuple[int, int, int]
    shape: tuple[int, int, int]
    offset: tuple[int, int, int]

    @classmethod
    def around(cls, content: Sequence[int], least: Sequence[int]) -> Canvas:
        """For a case of a shape, with room for at least ``least`` voxels."""
        extra = [max(0, m - n) for m, n in zip(least, content, strict=True)]
        shape = tuple(n + e + 2 * MARGIN for n, e in zip(content, extra, strict=True))
        return cls(tuple(content), shape, tuple(e // 2 + MARGIN for e in extra))

    def placed(self, flat: np.ndarray) -> np.ndarray:
        """Flat indices of the case as those of the canvas."""
        zyx = np.unravel_index(flat, self.content)
        return np.ravel_multi_index([axis + o for axis, o in zip(zyx, self.offset, strict=True)], self.shape)

    def without(self, excluded: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """Flat indices of the canvas: the ``ranks``-th of those that are not in ``excluded`` (sorted)."""
        return ranks + np.searchsorted(excluded - np.arange(excluded.size), ranks, side="right")


@dataclass(frozen=True)
class WhereToCrop:
    """What is found out once a case, so that a crop need not look at the whole of it.

    Attributes
    ----------
    canvas : Canvas
    fills : (PET, CT) of what lies outside the case
    foreground, background : flat indices of crop centres on the canvas
    """

    canvas: Canvas
    fills: tuple[float, float]
    foreground: np.ndarray
    background: np.ndarray


def where_to_crop(case: CachedCase, wide: Sequence[int], draw: np.random.Generator) -> WhereToCrop:
    """Draw a case's crop centres; ``wide`` is the largest crop, (z, y, x) voxels, without its margin."""
    canvas = Canvas.around(case.image.shape[1:], wide)
    foreground = canvas.placed(crop_centres(case.label, draw))
    labelled = canvas.placed(np.flatnonzero((case.label >= FOREGROUND).any(axis=0)))
    free = math.prod(canvas.shape) - labelled.size

    def background() -> np.ndarray:
        # never listed, since there are millions
        return canvas.without(labelled, _ranks(free, INDEX_SAMPLE, draw))

    foreground = foreground if foreground.size else background()
    return WhereToCrop(canvas, background_values(case.image), foreground, background())


def crop_start(where: WhereToCrop, size: tuple[int, int, int], draw: np.random.RandomState) -> list[int]:
    """First index (z, y, x) in the case of a crop of ``size``, centred on fore- or background alike.

    What MONAI's ``RandCropByPosNegLabeld`` would cut out of the padded case, with the same random numbers.
    """
    (centre,) = generate_pos_neg_label_crop_centers(
        size, 1, 0.5, where.canvas.shape, where.foreground, where.background, draw
    )
    return [c - n // 2 - o for c, n, o in zip(centre, size, where.canvas.offset, strict=True)]


def cut_box(
    array: np.ndarray, start: Sequence[int], size: Sequence[int], fills: Sequence[float], dtype: type = np.float32
) -> np.ndarray:
    """A box of ``size`` (z, y, x) voxels that may lie beyond the array, filled by channel there.

    Parameters
    ----------
    array : shape (channels, z, y, x); only the box is read and converted
    start : first index (z, y, x), which may be negative

    Returns
    -------
    ``dtype``, shape (channels, z, y, x)
    """
    box = np.empty((array.shape[0], *size), dtype)
    source, target = [], []
    for first, length, n in zip(start, size, array.shape[1:], strict=True):
        low, high = min(max(first, 0), n), max(min(first + length, n), 0)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - first, max(low, high) - first))
    inside = all(s.stop > s.start for s in source)
    if not inside or any(t != slice(0, n) for t, n in zip(target, size, strict=True)):
        for channel, fill in enumerate(fills):
            box[channel] = fill
    if inside:
        box[(slice(None), *target)] = array[(slice(None), *source)]
    return box


def crop_centres(label: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Flat indices of foreground voxels, as many of either class, so that large nodes do not crowd small tumours out.

    ``label`` is uint8, shape (2, z, y, x).
    """
    of_class = [found for share in label if (found := np.flatnonzero(share >= FOREGROUND)).size]
    if not of_class:
        return np.empty(0, dtype=np.int64)
    each = min(INDEX_SAMPLE // 2, max(found.size for found in of_class))
    # a class with fewer voxels than that is listed more than once
    return np.concatenate([_sample(np.tile(found, -(-each // found.size)), each, draw) for found in of_class])


def _sample(indices: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    return indices if indices.size <= count else np.sort(draw.choice(indices, count, replace=False))


def _ranks(size: int, count: int, draw: np.random.Generator) -> np.ndarray:
    """``count`` of the first ``size`` whole numbers, rising; all of them where there are no more."""
    return np.arange(size) if size <= count else np.sort(draw.choice(size, count, replace=False))
