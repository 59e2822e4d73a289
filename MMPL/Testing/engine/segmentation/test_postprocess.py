from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mmpl.components import TWENTY_SIX
from mmpl.errors import GeometryError, InputError
from mmpl.segmentation.postprocess import clean_up, compose

SHAPE = (20, 22, 24)


def box(z0, z1, y0, y1, x0, x1):
    mask = np.zeros(SHAPE, bool)
    mask[z0:z1, y0:y1, x0:x1] = True
    return mask


def prob(mask, inside=0.9):
    return np.where(mask, inside, 0.1).astype(np.float32)


NONE = prob(np.zeros(SHAPE, bool))
P_CUBE = box(2, 7, 2, 7, 2, 7)
N_CUBE = box(10, 15, 10, 15, 10, 15)


def test_labels_are_1_for_gtvp_and_2_for_gtvn():
    out = compose(prob(P_CUBE), prob(N_CUBE))
    assert out.dtype == np.uint8
    assert np.array_equal(out, P_CUBE * 1 + N_CUBE * 2)


def test_each_class_has_its_own_inclusive_threshold():
    p, n = prob(P_CUBE, inside=0.25), prob(N_CUBE, inside=0.75)
    assert np.array_equal(compose(p, n, (0.25, 0.75)), P_CUBE * 1 + N_CUBE * 2)
    assert np.array_equal(compose(p, n, (0.25, 0.8)), P_CUBE * 1)
    assert np.array_equal(compose(p, n, {"GTVn": 0.75, "GTVp": 0.3}), N_CUBE * 2)


def test_gtvp_overwrites_gtvn_however_sure_gtvn_is():
    wide = box(2, 7, 2, 7, 2, 14)
    out = compose(prob(P_CUBE, inside=0.55), prob(wide, inside=0.99))
    assert np.array_equal(out, P_CUBE * 1 + (wide & ~P_CUBE) * 2)


def test_closed_cavities_are_filled_and_open_ones_are_not():
    shell = P_CUBE & ~box(4, 5, 4, 5, 4, 5)
    assert np.array_equal(clean_up(shell, 1), P_CUBE)
    tunnel = P_CUBE & ~box(0, 5, 4, 5, 4, 5)
    assert np.array_equal(clean_up(tunnel, 1), tunnel)


def test_cavity_closed_only_in_slices_stays_open():
    ring = P_CUBE & ~box(0, 20, 4, 5, 4, 5)
    assert np.array_equal(clean_up(ring, 1), ring)


def test_gap_at_the_edge_of_the_grid_is_no_cavity():
    edge = box(0, 5, 0, 5, 0, 5) & ~box(0, 3, 2, 3, 2, 3)
    assert np.array_equal(clean_up(edge, 1), edge)


def by_whole_grid(mask, min_voxels):
    """The same by SciPy's filling of the whole grid, then of its components' sizes."""
    labels, _ = ndimage.label(ndimage.binary_fill_holes(mask), structure=TWENTY_SIX)
    keep = np.bincount(labels.ravel()) >= min_voxels
    keep[0] = False
    return keep[labels]


@pytest.mark.parametrize("smooth", [0.0, 0.6, 1.0, 1.6])
@pytest.mark.parametrize("share", [0.2, 0.45, 0.6, 0.8])
def test_each_component_in_its_own_box_gives_what_the_whole_grid_gives(smooth, share):
    draw = np.random.default_rng(int(100 * share + 10 * smooth))
    for _ in range(5):
        noise = ndimage.gaussian_filter(draw.normal(size=SHAPE), smooth)
        mask = noise < np.quantile(noise, share)
        before = mask.copy()
        for min_voxels in (1, 7, 50):
            assert np.array_equal(clean_up(mask, min_voxels), by_whole_grid(mask, min_voxels))
        assert np.array_equal(mask, before)


def test_a_component_in_the_cavity_of_another_is_filled_over():
    shell = box(1, 12, 1, 12, 1, 12) & ~box(2, 11, 2, 11, 2, 11)
    within = box(3, 10, 3, 10, 3, 10) & ~box(4, 9, 4, 9, 4, 9)
    core = box(6, 7, 6, 7, 6, 7)
    assert np.array_equal(clean_up(shell | within | core, 50), box(1, 12, 1, 12, 1, 12))


def test_gtvp_inside_gtvn_survives_the_filling_of_gtvn():
    # GTVp leaves a hole in GTVn, the filling closes it, and GTVp takes it back.
    core, around = box(6, 10, 6, 10, 6, 10), box(4, 12, 4, 12, 4, 12)
    out = compose(prob(core), prob(around))
    assert np.array_equal(out, core * 1 + (around & ~core) * 2)


def test_gtvn_inside_a_gtvp_shell_becomes_gtvp():
    core, around = box(6, 10, 6, 10, 6, 10), box(4, 12, 4, 12, 4, 12)
    out = compose(prob(around & ~core), prob(core))
    assert np.array_equal(out, around * 1)


def test_components_under_fifty_voxels_go_and_fifty_stay():
    fifty, forty_nine = box(1, 6, 1, 6, 1, 3), box(10, 17, 10, 17, 10, 11)
    assert (fifty.sum(), forty_nine.sum()) == (50, 49)
    assert np.array_equal(compose(prob(fifty | forty_nine), NONE), fifty * 1)
    assert np.array_equal(compose(NONE, prob(fifty | forty_nine)), fifty * 2)


def test_parts_that_touch_by_a_corner_count_together():
    a, b = box(1, 4, 1, 4, 1, 4), box(4, 7, 4, 7, 4, 7)
    assert np.array_equal(clean_up(a | b, 54), a | b)
    apart = box(5, 8, 4, 7, 4, 7)
    assert not clean_up(a | apart, 54).any()


def test_holes_are_filled_before_size_is_asked():
    # 4 x 4 x 4 without its 2 x 2 x 2 core: 56 voxels; without the filling 56 < 60 would drop it.
    shell = box(1, 5, 1, 5, 1, 5) & ~box(2, 4, 2, 4, 2, 4)
    assert shell.sum() == 56
    assert compose(prob(shell), NONE, min_voxels=60).sum() == 64


def test_small_gtvp_within_gtvn_goes_back_to_gtvn():
    speck, around = box(6, 8, 6, 8, 6, 8), box(4, 12, 4, 12, 4, 12)
    assert np.array_equal(compose(prob(speck), prob(around)), around * 2)


def test_small_gtvp_at_the_rim_of_gtvn_is_lost_to_both():
    # GTVp took the voxels before it was found too small; open to the outside, they are no hole.
    speck, around = box(4, 6, 4, 6, 4, 6), box(4, 12, 4, 12, 4, 12)
    assert np.array_equal(compose(prob(speck), prob(around)), (around & ~speck) * 2)


def test_nothing_found_is_an_empty_map():
    assert not compose(NONE, NONE).any()


def test_inputs_are_left_alone():
    p, n = prob(P_CUBE), prob(N_CUBE | P_CUBE)
    before = p.copy(), n.copy()
    compose(p, n)
    assert np.array_equal(p, before[0])
    assert np.array_equal(n, before[1])


def test_refuses_other_grids_and_thresholds():
    with pytest.raises(GeometryError, match="one grid"):
        compose(NONE, NONE[1:])
    for wrong in ((0.5,), (0.0, 0.5), (0.5, 50), {"GTVp": 0.5}):
        with pytest.raises(InputError, match="thresholds"):
            compose(NONE, NONE, wrong)
