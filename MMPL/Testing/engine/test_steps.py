"""The steps that training and inference share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmpl.case import RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.lengths import voxels_of
from mmpl.notices import MASK_OUTSIDE_ROI
from mmpl.preprocess.grid import common_grid
from mmpl.preprocess.network_grid import to_roi_grid
from mmpl.preprocess.prepare import label_on_ct, prepare
from mmpl.segmentation.plan import UNLIMITED, PlanSettings, make_plan
from mmpl.segmentation.postprocess import compose
from mmpl.steps import (
    deep_scores,
    draw,
    expected_days,
    hpv_logit,
    outcome_centre,
    probabilities_at_1mm,
    radiomics_roi,
    segment_on_roi,
    share_outside,
)

BREAKS = (0, 100, 300, 600)


class Constant:
    """A network that answers every patch with the same logits, and keeps what it saw."""

    def __init__(self, *logits):
        self.logits = logits

    def __call__(self, batch):
        self.seen = batch.copy()
        return np.tile(np.float32(self.logits), (len(batch), 1))


def plan_of(array, spacing_mm, members=1):
    return make_plan(array, PlanSettings(), members=members, threshold=None, spacing_mm=spacing_mm, cost=UNLIMITED)


def test_expected_days_by_hand():
    # q = 0.5, 0.8, 0.25: S = 0.5, 0.4, 0.1 over 100, 200 and 300 days
    logits = torch.logit(torch.tensor([0.5, 0.8, 0.25])).tolist()
    patch = np.zeros((2, 16, 16, 16), np.float32)
    assert expected_days(Constant(*logits), patch, BREAKS) == pytest.approx(50 + 80 + 30, rel=1e-5)
    assert expected_days(Constant(50.0, 50.0, 50.0), patch, BREAKS) == pytest.approx(600)
    assert expected_days(Constant(-50.0, 0.0, 0.0), patch, BREAKS) == pytest.approx(0, abs=1e-6)


def test_deep_scores_look_at_the_lesions_patch():
    array = np.zeros((2, 39, 25, 25), np.float32)
    array[0, 20, 12, 13] = 7  # at 8 mm, its centre is at 1 mm index (163.5, 99.5, 107.5)
    hpv_net, rfs_net = Constant(1.25), Constant(0.0, 0.0, 0.0)
    scores = deep_scores(array, (163.5, 99.5, 107.5), hpv_net, rfs_net, spacing_mm=8.0, breaks_days=BREAKS)
    assert scores == pytest.approx((1.25, 50 + 50 + 37.5))
    assert hpv_logit(hpv_net, np.zeros((2, 16, 16, 16), np.float32)) == 1.25
    z, y, x = np.argwhere(rfs_net.seen[0, 0] == 7)[0]
    assert max(abs(v - 7.5) for v in (z, y, x)) == 0.5  # in the middle of 16 voxels


def test_heads_look_at_the_lesions_or_the_middle():
    labels = np.zeros((31, 20, 20), np.uint8)
    np.testing.assert_array_equal(outcome_centre(labels), (15, 9.5, 9.5))
    labels[4, 5, 6] = 1
    labels[6, 5, 6] = 2
    np.testing.assert_array_equal(outcome_centre(labels), (5, 5, 6))


def test_contours_come_back_on_the_ct_grid():
    """A predictor that calls bright PET GTVp and bright CT GTVn."""
    roi_grid = Geometry((48, 48, 48), (1, 1, 1), (-20, -20, -20))
    ct_grid = Geometry((20, 22, 15), (2, 2, 3), (24, -21, -18), ((-1, 0, 0), (0, 1, 0), (0, 0, 1)))
    array = np.zeros((2, 16, 16, 16), np.float32)
    array[0, 4:8, 4:8, 4:8] = 1  # 1 mm voxels 12..23
    array[1, 9:12, 9:12, 9:12] = 1
    empty = np.zeros(roi_grid.shape, np.float32)
    roi = RoiCase("c", empty, empty, roi_grid, (0, 0, 0), ct_grid, Volume(empty, roi_grid), "SUVbw")

    def sure(batch, tick):
        return 8 * batch[:, :2] - 4

    told = []
    plan = plan_of(array, 3.0, members=2)
    on_roi = segment_on_roi(roi, array, [sure, sure], plan, thresholds=(0.5, 0.5), done=told.append)
    labels = label_on_ct(on_roi, roi.geometry, roi.ct_geometry)
    assert labels.geometry == ct_grid
    assert labels.array.dtype == np.uint8
    assert told[-1] == 1.0
    k, j, i = np.indices(ct_grid.shape)
    index = roi_grid.index(ct_grid.physical(np.stack([i, j, k], axis=-1)))
    for value, low, high in ((1, 12, 24), (2, 27, 36)):
        well_inside = ((index > low + 1.5) & (index < high - 2.5)).all(axis=-1)
        well_outside = ((index < low - 1.5) | (index > high + 0.5)).any(axis=-1)
        assert well_inside.any()
        assert (labels.array[well_inside] == value).all()
        assert not (labels.array[well_outside] == value).any()


def roi_of(shape: tuple[int, int, int]) -> RoiCase:
    """All of which PET and CT share."""
    grid, empty = Geometry(shape[::-1], (1, 1, 1), (0, 0, 0)), np.zeros(shape, np.float32)
    return RoiCase("c", empty, empty, grid, (0, 0, 0), grid, Volume(empty, grid), "SUVbw")


@pytest.mark.parametrize("spacing", [1.0, 2.5, 4.0])
@pytest.mark.parametrize("thresholds", [(0.3, 0.5), (0.6, 0.25)])
def test_what_is_drawn_in_a_box_is_what_is_drawn_everywhere(spacing, thresholds):
    roi = roi_of((70, 56, 48))
    for seed in range(6):
        shape = tuple(voxels_of(n, spacing) for n in roi.geometry.shape)
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(2, *shape)), (0, *(6 / spacing,) * 3))
        logits = 8 * (noise / noise.std() - 1.0)
        probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
        probabilities[:, shape[0] // 2 :] *= 0.1
        at_1mm = probabilities_at_1mm(roi, probabilities, spacing, min(thresholds))
        assert at_1mm.inside[0].size < roi.ct_hu.size
        whole = compose(*(to_roi_grid(p, spacing, roi.geometry.shape) for p in probabilities), thresholds)
        assert set(np.unique(whole)) == {0, 1, 2}
        np.testing.assert_array_equal(draw(roi, at_1mm, thresholds), whole)


def test_where_nothing_is_likely_nothing_is_drawn():
    roi = roi_of((20, 16, 12))
    at_1mm = probabilities_at_1mm(roi, np.full((2, 5, 4, 3), 0.4, np.float32), 4.0, 0.5)
    assert at_1mm.inside.shape == (2, 0, 0, 0)
    labels = draw(roi, at_1mm, (0.5, 0.5))
    assert labels.shape == (20, 16, 12)
    assert not labels.any()


def test_probabilities_are_not_cut_lower_than_they_are_whole():
    roi = roi_of((20, 16, 12))
    at_1mm = probabilities_at_1mm(roi, np.full((2, 5, 4, 3), 0.4, np.float32), 4.0, 0.3)
    assert draw(roi, at_1mm, (0.3, 0.4)).all()
    with pytest.raises(ValueError, match=r"whole from 0\.3 on"):
        draw(roi, at_1mm, (0.5, 0.29))


def test_nothing_is_drawn_where_pet_and_ct_do_not_overlap(tiny_case):
    # a PET that ends below the top of the head: the rest of the ROI is padding; this model calls all of it tumour
    pet = tiny_case.pet
    short = Volume(pet.array[:30], pet.geometry.cropped((0, 0, 0), (*pet.geometry.size[:2], 30)))
    case = replace(tiny_case, pet=short)
    roi = prepare(case)
    array = np.zeros((2, *(-(-n // 8) for n in roi.geometry.shape)), np.float32)
    everything = [lambda batch, tick: np.ones_like(batch)]
    on_roi = segment_on_roi(roi, array, everything, plan_of(array, 8.0), thresholds=(0.5, 0.5))
    drawn = label_on_ct(on_roi, roi.geometry, roi.ct_geometry)
    shared = common_grid(case.ct.geometry, case.pet.geometry)
    assert drawn.array.any()
    assert share_outside(drawn, shared) == 0
    assert share_outside(drawn.with_array(drawn.array == 0), shared) > 0  # the CT does reach beyond


@pytest.fixture(scope="module")
def large_roi(large_case):
    return prepare(large_case)


def _label_at(case, point_lps, size=3):
    labels = np.zeros(case.ct.geometry.shape, np.uint8)
    x, y, z = np.rint(case.ct.geometry.index(point_lps)).astype(int)
    labels[z : z + size, y : y + size, x : x + size] = 1
    return Volume(labels, case.ct.geometry)


def test_contours_inside_keep_the_roi(large_case, large_roi):
    middle = large_roi.geometry.physical((100, 100, 155))
    assert radiomics_roi(large_case, large_roi, _label_at(large_case, middle)) == (large_roi, ())
    empty = Volume(np.zeros(large_case.ct.geometry.shape, np.uint8), large_case.ct.geometry)
    assert radiomics_roi(large_case, large_roi, empty) == (large_roi, ())


@pytest.mark.parametrize("degrees", [-10.0, 10.0])
def test_the_corners_of_a_tilted_box_are_no_contours(large_case, large_roi, degrees):
    """Lesions lie within the ROI at its ends: the corners of the box around them, on a tilted CT, lie outside."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    grid = large_case.ct.geometry
    tilted = Geometry(grid.size, grid.spacing_mm, grid.origin_mm, ((1, 0, 0), (0, c, -s), (0, s, c)))
    points = [
        large_roi.geometry.physical(index) for index in ((100, 50, 12), (100, 150, 12), (100, 50, 297), (100, 150, 297))
    ]
    k, j, i = np.indices(tilted.shape)
    at = tilted.physical(np.stack([i, j, k], axis=-1).reshape(-1, 3))
    near = np.min([np.linalg.norm(at - point, axis=1) for point in points], axis=0) < 8
    label_map = Volume(near.reshape(tilted.shape).astype(np.uint8), tilted)
    assert label_map.array.sum() > 20
    assert share_outside(label_map, large_roi.geometry) == 0
    corners = tilted.cropped(*_box_xyz(label_map.array)).bounds_lps()
    assert np.any(large_roi.geometry.index(corners) < -0.5) or np.any(
        large_roi.geometry.index(corners) > np.array(large_roi.geometry.size) - 0.5
    )
    assert radiomics_roi(large_case, large_roi, label_map) == (large_roi, ())


def _box_xyz(array):
    """First index and size (x, y, z) of the box around what is labelled."""
    xyz = np.argwhere(array)[:, ::-1]
    return xyz.min(axis=0), xyz.max(axis=0) - xyz.min(axis=0) + 1


def test_contours_that_leave_it_move_it_on_the_lattice(large_case, large_roi):
    low, _ = large_roi.geometry.bounds_lps()
    below = (*large_roi.geometry.physical((100, 100, 0))[:2], low[2] - 12)
    label_map = _label_at(large_case, below)
    shifted, notices = radiomics_roi(large_case, large_roi, label_map)
    shift = np.subtract(shifted.geometry.origin_mm, large_roi.geometry.origin_mm)
    np.testing.assert_allclose(shift, (0, 0, -16), atol=1e-9)
    assert [n.code for n in notices] == [MASK_OUTSIDE_ROI]
    assert notices[0].text == (
        "The contours leave the region of interest: radiomics are read from the same box moved 16 mm down."
    )
    # the images are those of the new box
    np.testing.assert_allclose(shifted.pet_suv[16:], large_roi.pet_suv[:-16], atol=1e-5)
