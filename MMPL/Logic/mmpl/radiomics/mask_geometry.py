"""What a mask is, apart from intensities: its voxels, their neighbours and lines. Made once per mask."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmpl.boxes import Box, bounding_box
from mmpl.radiomics.compiling import HAS_NUMBA, compiled

# The 13 neighbours (z, y, x) that come before a voxel in raster order; the other 13 are their opposites.
DIRECTIONS = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if d < (0, 0, 0)])


@dataclass(frozen=True)
class MaskGeometry:
    """A non-empty mask's voxels in raster order.

    Attributes
    ----------
    box : slices (z, y, x) of the smallest box that holds the mask
    inside : bool array of the box's shape
    zyx : int64 array, shape (3, n), index of each voxel in the box
    before : int32 array, shape (13, n), the voxel that lies one step back along each of ``DIRECTIONS``; -1 if none
    """

    box: Box
    inside: np.ndarray
    zyx: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> MaskGeometry:
        """From a bool array, shape (z, y, x), with at least one voxel."""
        box = bounding_box(mask)
        inside = np.ascontiguousarray(mask[box])
        flat = np.flatnonzero(inside)
        _, ny, nx = inside.shape
        zyx = np.stack([flat // (ny * nx), flat // nx % ny, flat % nx])
        return cls(box, inside, zyx, _neighbours(zyx, inside.shape))

    @property
    def n_voxels(self) -> int:
        return self.zyx.shape[1]

    @cached_property
    def before_of_voxel(self) -> np.ndarray:
        """``before`` voxel by voxel, int32 array, shape (n, 13): for a walk that looks at all directions at once."""
        return np.ascontiguousarray(self.before.T)

    @cached_property
    def pairs(self) -> np.ndarray:
        """Neighbouring pairs along each direction, int64 array, shape (13,)."""
        return np.count_nonzero(self.before >= 0, axis=1)

    @cached_property
    def n_neighbours(self) -> np.ndarray:
        """Neighbours of each voxel among 26, int64 array, shape (n,)."""
        count = np.count_nonzero(self.before >= 0, axis=0)
        for row in self.before:
            count += np.bincount(row[row >= 0], minlength=self.n_voxels)
        return count

    @cached_property
    def has_lines(self) -> np.ndarray:
        """Whether any line along each direction meets the mask twice, bool array, shape (13,).

        pyradiomics leaves out the run lengths of the others: every run there is one voxel long.
        """
        return np.array([bool(p) or self._a_line_repeats(d) for p, d in zip(self.pairs, DIRECTIONS, strict=True)])

    def _a_line_repeats(self, direction: np.ndarray) -> bool:
        axis = int(np.flatnonzero(direction)[0])
        steps = self.zyx[axis] * direction[axis]
        starts = self.zyx - steps * direction[:, None]
        return len(np.unique(starts, axis=1).T) < self.n_voxels

    @property
    def longest_run(self) -> int:
        """No run of voxels is longer."""
        return max(self.inside.shape)

    def flat_index(self, start_zyx: tuple[int, int, int], shape: tuple[int, int, int]) -> np.ndarray:
        """Flat index of each voxel in a C-ordered array that starts at a voxel of the full grid."""
        z, y, x = (c + b.start - s for c, b, s in zip(self.zyx, self.box, start_zyx, strict=True))
        return (z * shape[1] + y) * shape[2] + x


def _neighbours(zyx: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The ``before`` table, from an array of ranks with a border of -1."""
    padded = tuple(n + 2 for n in shape)
    strides = np.array([padded[1] * padded[2], padded[2], 1])
    place = strides @ (zyx + 1)
    rank = np.full(int(np.prod(padded)), -1, np.int32)
    rank[place] = np.arange(zyx.shape[1], dtype=np.int32)
    before = np.empty((len(DIRECTIONS), zyx.shape[1]), np.int32)
    look_up(rank, place, DIRECTIONS @ strides, before)
    return before


@compiled
def _look_up(rank, place, offsets, before):
    for a in range(offsets.size):
        for v in range(place.size):
            before[a, v] = rank[place[v] + offsets[a]]


def _look_up_arrays(rank, place, offsets, before):
    before[...] = rank[place[None, :] + offsets[:, None]]


look_up = _look_up if HAS_NUMBA else _look_up_arrays
