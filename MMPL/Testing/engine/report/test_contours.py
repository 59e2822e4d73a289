"""Outlines of masks against shapes drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.report.contours import dashes, outlines, signed_area, smoothed


def test_square_has_its_four_sides():
    mask = np.zeros((7, 8), dtype=bool)
    mask[2:5, 3:6] = True  # rows 2..4, columns 3..5
    (outline,) = outlines(mask)
    assert len(outline) == 12  # three voxel edges a side
    assert outline.min(axis=0).tolist() == [3, 2]
    assert outline.max(axis=0).tolist() == [6, 5]
    assert {(3, 2), (6, 2), (6, 5), (3, 5)} <= {tuple(p) for p in outline.astype(int).tolist()}
    assert signed_area(outline) == 9


def test_hole_runs_the_other_way():
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    assert sorted(signed_area(outline) for outline in outlines(mask)) == [-1, 25]


def test_voxels_that_touch_at_a_corner_stay_apart():
    areas = [signed_area(outline) for outline in outlines(np.eye(3, dtype=bool))]
    assert areas == [1, 1, 1]


def test_holes_that_touch_at_a_corner_leave_the_voxels_whole():
    mask = np.ones((4, 4), dtype=bool)
    mask[1, 1] = mask[2, 2] = False
    assert sum(signed_area(outline) for outline in outlines(mask)) == 14


@pytest.mark.parametrize("seed", range(5))
def test_areas_add_up_to_the_voxels_of_any_mask(seed):
    mask = np.random.default_rng(seed).random((20, 17)) > 0.5
    assert sum(signed_area(outline) for outline in outlines(mask)) == mask.sum()


def test_empty_mask_has_no_outline():
    assert outlines(np.zeros((4, 4), dtype=bool)) == []


def test_smoothed_disc_is_round_to_half_a_voxel():
    rows, columns = np.indices((41, 41))
    mask = (rows - 20) ** 2 + (columns - 20) ** 2 <= 15**2
    (outline,) = outlines(mask)
    line = smoothed(outline)
    radii = np.hypot(*(line - 20.5).T)
    assert np.abs(radii - np.sqrt(mask.sum() / np.pi)).max() < 0.5
    assert np.ptp(radii) < 0.6 * np.ptp(np.hypot(*(outline - 20.5).T))
    assert signed_area(line) == pytest.approx(mask.sum(), rel=0.01)


def test_dashes_cover_their_share_of_a_square():
    square = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], dtype=float)
    pieces = dashes(square, dash=3.0, gap=1.0)
    lengths = [np.hypot(*np.diff(piece, axis=0).T).sum() for piece in pieces]
    assert len(pieces) == 8  # 32 round, one every 4
    np.testing.assert_allclose(lengths, 3.0)
    assert pieces[1][0].tolist() == [4, 0]
