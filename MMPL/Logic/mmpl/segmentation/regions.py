"""Boxes that networks run on: the patient's part of the grid, slabs of it, and what lies around a finding.

A network's pooling halves the grid four times, so the sides of a box are multiples of 16 voxels, and all boxes of a
case lie on one lattice of 16: where two of them overlap, both pool the same voxels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.components import connected
from mmpl.lengths import MULTIPLE

HALO = 32  # voxels that a box reaches beyond what is kept of it, for the network to see what lies around


@dataclass(frozen=True)
class Box:
    """First and last-plus-one voxel along z, y and x."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.low, self.high, strict=True))

    @property
    def voxels(self) -> int:
        return int(np.prod(self.size))

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.low, self.high, strict=True))

    def within(self, other: Box) -> Box:
        """The part that lies in another box."""
        low = tuple(max(a, b) for a, b in zip(self.low, other.low, strict=True))
        high = tuple(min(a, b) for a, b in zip(self.high, other.high, strict=True))
        return Box(low, tuple(max(a, b) for a, b in zip(low, high, strict=True)))

    def grown(self, voxels: int) -> Box:
        return Box(tuple(a - voxels for a in self.low), tuple(b + voxels for b in self.high))

    def joined(self, other: Box) -> Box:
        """The smallest box that holds both."""
        low = tuple(min(a, b) for a, b in zip(self.low, other.low, strict=True))
        return Box(low, tuple(max(a, b) for a, b in zip(self.high, other.high, strict=True)))

    def relative_to(self, other: Box) -> Box:
        """The same box counted from another's first voxel."""
        low, high = (tuple(a - b for a, b in zip(end, other.low, strict=True)) for end in (self.low, self.high))
        return Box(low, high)


@dataclass(frozen=True)
class Region:
    """One pass of a network: ``box`` is what it sees, ``core`` the part that is kept."""

    core: Box
    box: Box


def whole(shape: Sequence[int]) -> Box:
    return Box((0, 0, 0), tuple(int(n) for n in shape))


def domain_of(inner: Box, shape: Sequence[int]) -> Box:
    """The box on which everything of a case runs: holds ``inner``, each side the next multiple of 16.

    It is moved into the grid where it would leave it; only where the grid itself is shorter does it reach beyond, and
    is filled with zeros there, as a convolution fills what lies beyond its input.
    """
    size = [-(-n // MULTIPLE) * MULTIPLE for n in inner.size]
    low = tuple(max(0, min(a, n - s)) for a, s, n in zip(inner.low, size, shape, strict=True))
    return Box(low, tuple(a + s for a, s in zip(low, size, strict=True)))


def cut(array: np.ndarray, box: Box) -> np.ndarray:
    """The box of an array (channels, z, y, x), with zeros where it leaves the grid."""
    grid = whole(array.shape[1:])
    inner = box.within(grid)
    if inner == box:
        return array[(slice(None), *box.slices)]
    out = np.zeros((array.shape[0], *box.size), array.dtype)
    out[(slice(None), *inner.relative_to(box).slices)] = array[(slice(None), *inner.slices)]
    return out


def region_around(core: Box, domain: Box, halo: int = HALO) -> Region:
    """A core with its halo, grown to the lattice and kept inside the domain."""
    wide = core.grown(halo).within(domain).relative_to(domain)
    low = tuple(a // MULTIPLE * MULTIPLE for a in wide.low)
    high = tuple(-(-b // MULTIPLE) * MULTIPLE for b in wide.high)
    box = Box(
        tuple(a + d for a, d in zip(low, domain.low, strict=True)),
        tuple(b + d for b, d in zip(high, domain.low, strict=True)),
    )
    return Region(core.within(domain), box)


def split(region: Region, domain: Box, halo: int = HALO) -> list[Region] | None:
    """Two regions in place of one, cut across the box's longest axis; None where no cut makes the boxes smaller."""
    for axis in np.argsort([-n for n in region.box.size], kind="stable"):
        halves = _halves(region, axis, domain, halo)
        if halves and max(half.box.voxels for half in halves) < region.box.voxels:
            return halves
    return None


def _halves(region: Region, axis: int, domain: Box, halo: int) -> list[Region] | None:
    """Cut on the lattice, where the larger box is the smallest; of equal cuts, nearest to the middle."""
    low, high = region.core.low[axis], region.core.high[axis]
    first = domain.low[axis] + (low - domain.low[axis]) // MULTIPLE * MULTIPLE + MULTIPLE
    cuts = [
        [
            region_around(part, domain, halo)
            for part in (_with_axis(region.core, axis, low, at), _with_axis(region.core, axis, at, high))
        ]
        for at in sorted(range(first, high, MULTIPLE), key=lambda at: abs(2 * at - low - high))
    ]
    return min(cuts, key=lambda halves: max(half.box.voxels for half in halves), default=None)


def _with_axis(box: Box, axis: int, low: int, high: int) -> Box:
    lows, highs = list(box.low), list(box.high)
    lows[axis], highs[axis] = low, high
    return Box(tuple(lows), tuple(highs))


def slabs(core: Box, domain: Box, fits: Callable[[int], bool], halo: int = HALO) -> list[Region]:
    """Regions that cover a core, as few as ``fits`` (voxels of a box -> whether that can be run) lets be."""
    todo, ready = [region_around(core, domain, halo)], []
    while todo:
        region = todo.pop(0)
        halves = None if fits(region.box.voxels) else split(region, domain, halo)
        if halves is None:
            ready.append(region)
        else:
            todo = halves + todo
    return ready


def around_findings(
    mask: np.ndarray,
    domain: Box,
    halo: int = HALO,
    fits: Callable[[int], bool] = lambda voxels: True,
    fixed_voxels: int = 0,
) -> list[Region]:
    """Regions that hold every connected part of a mask with its halo; joined where that saves time.

    Parameters
    ----------
    mask : bool, shape (z, y, x), the whole grid
    domain : on whose lattice the boxes lie
    fits : voxels of a box -> whether that can be run; larger boxes are cut, as far as they can be
    fixed_voxels : what a box takes whatever its size, in voxels that take as long
    """
    regions = [part for core in _cores(mask) for part in slabs(core, domain, fits, halo)]
    return sorted(_joined(regions, domain, halo, fits, fixed_voxels), key=lambda region: region.box.low)


def _cores(mask: np.ndarray) -> list[Box]:
    """Boxes of the mask's parts; parts in neighbouring cells of the lattice are one, so that specks do not multiply."""
    padded = np.pad(mask, [(0, -n % MULTIPLE) for n in mask.shape])
    cells = padded.reshape([m for n in padded.shape for m in (n // MULTIPLE, MULTIPLE)]).any(axis=(1, 3, 5))
    labels, _ = connected(cells)
    cores = []
    for part, at in enumerate(ndimage.find_objects(labels), start=1):
        corner = tuple(s.start * MULTIPLE for s in at)
        own = np.kron(labels[at] == part, np.ones((MULTIPLE,) * 3, bool))
        inside = padded[tuple(slice(c, c + n) for c, n in zip(corner, own.shape, strict=True))] & own
        box = bounding_box(inside)
        cores.append(
            Box(
                tuple(c + s.start for c, s in zip(corner, box, strict=True)),
                tuple(c + s.stop for c, s in zip(corner, box, strict=True)),
            )
        )
    return cores


def _joined(
    regions: Sequence[Region], domain: Box, halo: int, fits: Callable[[int], bool], fixed_voxels: int
) -> list[Region]:
    """Two and two joined, those first that save the most, while together they cost no more than apart."""
    left, offers = dict(enumerate(regions)), {}

    def offer(first: int, second: int) -> None:
        one, other = left[first], left[second]
        both = region_around(one.core.joined(other.core), domain, halo)
        saved = one.box.voxels + other.box.voxels + fixed_voxels - both.box.voxels
        if saved >= 0 and fits(both.box.voxels):
            offers[first, second] = saved, both

    for first, second in itertools.combinations(left, 2):
        offer(first, second)
    while offers:
        first, second = max(offers, key=lambda pair: (offers[pair][0], -pair[0], -pair[1]))
        both = offers[first, second][1]
        del left[first], left[second]
        offers = {pair: rest for pair, rest in offers.items() if first not in pair and second not in pair}
        new = max(first, second, *left) + 1
        left[new] = both
        for other in list(left)[:-1]:
            offer(other, new)
    return list(left.values())
