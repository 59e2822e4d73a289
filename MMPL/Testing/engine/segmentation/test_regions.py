"""Boxes that networks run on, by hand and over many random cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmpl.lengths import MULTIPLE
from mmpl.segmentation.regions import (
    Box,
    Region,
    _cores,
    around_findings,
    cut,
    domain_of,
    region_around,
    slabs,
    split,
    whole,
)


def covered(regions, shape) -> np.ndarray:
    """How many cores hold each voxel."""
    count = np.zeros(shape, int)
    for region in regions:
        count[region.core.slices] += 1
    return count


def check_region(region: Region, domain: Box) -> None:
    assert region.core.within(region.box) == region.core
    assert region.box.within(domain) == region.box
    for axis in range(3):
        assert region.box.size[axis] % MULTIPLE == 0
        assert (region.box.low[axis] - domain.low[axis]) % MULTIPLE == 0


def test_boxes_by_hand():
    one, other = Box((0, 2, 4), (10, 12, 14)), Box((5, 0, 20), (20, 10, 30))
    assert one.size == (10, 10, 10)
    assert one.voxels == 1000
    assert one.within(other) == Box((5, 2, 20), (10, 10, 20))
    assert one.within(other).voxels == 0
    assert one.joined(other) == Box((0, 0, 4), (20, 12, 30))
    assert one.grown(2) == Box((-2, 0, 2), (12, 14, 16))
    assert other.relative_to(one) == Box((5, -2, 16), (20, 8, 26))


def test_domain_is_moved_inside_and_leaves_only_a_grid_that_is_too_short():
    # 150 voxels need 160; from 30 on they would end at 190 of 200, from 50 on they are moved back to 40
    assert domain_of(Box((30, 50, 0), (180, 200, 50)), (310, 200, 50)) == Box((30, 40, 0), (190, 200, 64))


def test_cut_fills_with_zeros_outside():
    array = np.ones((2, 4, 5, 6), np.float32)
    part = cut(array, Box((2, 0, 0), (18, 16, 16)))
    assert part.shape == (2, 16, 16, 16)
    assert part[:, :2, :5, :6].all()
    assert part.sum() == 2 * 2 * 5 * 6
    assert np.shares_memory(cut(array, whole((4, 5, 6))), array)


def test_one_region_where_it_fits():
    domain = domain_of(whole((310, 200, 200)), (310, 200, 200))
    (region,) = slabs(whole((310, 200, 200)), domain, lambda voxels: True)
    assert region == Region(whole((310, 200, 200)), whole((320, 208, 208)))


def test_two_slabs_by_hand():
    domain = whole((320, 208, 208))
    halves = slabs(domain, domain, lambda voxels: voxels <= 192 * 208 * 208, halo=32)
    assert halves == [
        Region(Box((0, 0, 0), (160, 208, 208)), Box((0, 0, 0), (192, 208, 208))),
        Region(Box((160, 0, 0), (320, 208, 208)), Box((128, 0, 0), (320, 208, 208))),
    ]


@pytest.mark.parametrize("limit", [10**5, 3 * 10**5, 10**6, 10**7])
@pytest.mark.parametrize("halo", [0, 16, 32])
def test_slabs_cover_every_voxel_once(limit, halo):
    draw = np.random.default_rng(limit + halo)
    for _ in range(5):
        shape = tuple(int(n) for n in draw.integers(20, 130, 3))
        domain = domain_of(whole(shape), shape)
        regions = slabs(whole(shape), domain, lambda voxels: voxels <= limit, halo)
        assert (covered(regions, shape) == 1).all()
        for region in regions:
            check_region(region, domain)
            assert region.box.voxels <= limit or split(region, domain, halo) is None


def test_what_cannot_become_smaller_is_not_split():
    domain = whole((32, 32, 32))
    assert split(region_around(domain, domain, halo=32), domain, halo=32) is None
    first, second = split(region_around(domain, domain, halo=0), domain, halo=0)
    assert first.box.size == second.box.size == (16, 32, 32)


def test_findings_far_apart_have_boxes_of_their_own():
    mask = np.zeros((320, 208, 208), bool)
    mask[40:50, 100:110, 100:110] = mask[280:290, 100:110, 100:110] = True
    domain = whole(mask.shape)
    regions = around_findings(mask, domain, halo=32)
    assert [r.core for r in regions] == [Box((40, 100, 100), (50, 110, 110)), Box((280, 100, 100), (290, 110, 110))]
    assert [r.box for r in regions] == [Box((0, 64, 64), (96, 144, 144)), Box((240, 64, 64), (320, 144, 144))]


def test_findings_close_together_share_a_box():
    mask = np.zeros((320, 208, 208), bool)
    mask[100:110, 100:110, 60:70] = mask[100:110, 100:110, 120:130] = True
    (region,) = around_findings(mask, whole(mask.shape), halo=32)
    assert region.core == Box((100, 100, 60), (110, 110, 130))


def test_boxes_are_joined_where_another_shape_takes_longer_than_what_lies_between():
    mask = np.zeros((320, 208, 208), bool)
    mask[40:50, 100:110, 100:110] = mask[150:160, 100:110, 100:110] = True
    domain = whole(mask.shape)
    first, second = around_findings(mask, domain, halo=32)  # 96 and 80 planes of 80 x 80, together 192
    lacking = domain_voxels(192, 80, 80) - first.box.voxels - second.box.voxels
    assert len(around_findings(mask, domain, halo=32, fixed_voxels=lacking - 1)) == 2
    (both,) = around_findings(mask, domain, halo=32, fixed_voxels=lacking)
    assert both.box.size == (192, 80, 80)


def domain_voxels(*size) -> int:
    return int(np.prod(size))


def test_every_finding_lies_in_a_core():
    draw = np.random.default_rng(3)
    for _ in range(10):
        shape = tuple(int(n) for n in draw.integers(50, 150, 3))
        mask = np.zeros(shape, bool)
        mask[tuple(draw.integers(0, n, 12) for n in shape)] = True
        domain = domain_of(whole(shape), shape)
        regions = around_findings(mask, domain, halo=16)
        assert (covered(regions, shape)[mask] >= 1).all()
        for region in regions:
            check_region(region, domain)


def test_boxes_are_joined_as_by_trying_every_pair_again_after_each():
    """The plain way, written out: of all pairs join the one that saves the most, until none saves anything."""
    draw = np.random.default_rng(5)
    for _ in range(6):
        mask = np.zeros((160, 128, 144), bool)
        mask[tuple(draw.integers(0, n, 9) for n in mask.shape)] = True
        domain = whole(mask.shape)
        plain = [region_around(core, domain, 16) for core in _cores(mask)]
        while True:
            pairs = []
            for a, b in itertools.combinations(range(len(plain)), 2):
                both = region_around(plain[a].core.joined(plain[b].core), domain, 16)
                pairs.append((plain[a].box.voxels + plain[b].box.voxels - both.box.voxels, -a, -b, both))
            best = max(pairs, key=lambda pair: pair[:3], default=None)
            if best is None or best[0] < 0:
                break
            plain = [r for n, r in enumerate(plain) if -n not in best[1:3]] + [best[3]]
        assert around_findings(mask, domain, halo=16) == sorted(plain, key=lambda region: region.box.low)


def test_boxes_that_do_not_fit_are_cut_and_not_joined():
    mask = np.zeros((160, 64, 64), bool)
    mask[10:150, 30:34, 30:34] = True
    domain, most = whole(mask.shape), 64 * 64 * 64
    regions = around_findings(mask, domain, halo=16, fits=lambda voxels: voxels <= most)
    assert len(regions) > 1
    assert all(region.box.voxels <= most for region in regions)
    assert (covered(regions, mask.shape)[mask] >= 1).all()


def test_nothing_found_needs_no_box():
    assert around_findings(np.zeros((20, 30, 40), bool), whole((32, 32, 48))) == []
