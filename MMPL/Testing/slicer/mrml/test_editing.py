"""Edits through the Segment Editor's logic, with undo and the events that effects fire."""

from __future__ import annotations

import numpy as np
import pytest

import slicer
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl_slicer.editing import ADD, REMOVE, SET, SegmentEditor, ball_mask, rim_of, voxels_within
from mmpl_slicer.segmentation import create_segmentation, label_map_from_segmentation
from mmpl_slicer.volumes import node_from_volume, vtk_matrix

GRID = Geometry((30, 24, 20), (1.0, 1.5, 2.0), (-5.0, 7.0, 100.0))


@pytest.fixture
def ct_node(scene):
    return node_from_volume(Volume(np.zeros(GRID.shape, np.float32), GRID), scene, "CT")


@pytest.fixture
def editor(scene, ct_node) -> SegmentEditor:
    """GTVp is one voxel (i 15, j 12, k 10), GTVn is empty."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[10, 12, 15] = 1
    return SegmentEditor(scene, create_segmentation(Volume(labels, GRID), ct_node, scene), ct_node)


def test_growing_one_voxel_by_2_mm_gives_the_hand_counted_neighbours(editor):
    editor.grow_segment("GTVp", 2.0)
    # x: 1 mm, y: 1.5 mm, z: 2 mm. Centre; +-1 and +-2 in x; +-1 in y alone and with +-1 in x; +-1 in z.
    assert editor.mask("GTVp").sum() == 1 + 4 + 2 + 4 + 2
    assert editor.mask("GTVp")[9:12, 12, 15].all()


def test_shrinking_takes_the_grown_rim_away(editor):
    editor.add_ball("GTVp", GRID.physical((15, 12, 10)), 6.0)
    before = editor.mask("GTVp")
    editor.shrink_segment("GTVp", 1.0)
    after = editor.mask("GTVp")
    # With 1 mm only x neighbours (1 mm apart) reach a voxel: each line along x loses both its ends.
    expected = before.copy()
    expected[:, :, 1:] &= before[:, :, :-1]
    expected[:, :, :-1] &= before[:, :, 1:]
    np.testing.assert_array_equal(after, expected)
    assert 0 < after.sum() < before.sum()


def test_what_is_painted_under_a_transform_lies_where_it_was_painted(editor, scene):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix([[1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 1, 4], [0, 0, 0, 1]]))
    editor.segmentation_node.SetAndObserveTransformNodeID(transform.GetID())
    ball = ball_mask(GRID, GRID.physical((15, 12, 10)), 6.0)
    editor.apply_labelmap("GTVn", ball, SET)
    np.testing.assert_array_equal(editor.mask("GTVn"), ball)


def test_a_ball_on_an_oblique_grid_has_the_balls_voxels():
    turn = ((np.cos(0.5), -np.sin(0.5), 0.0), (np.sin(0.5), np.cos(0.5), 0.0), (0.0, 0.0, 1.0))
    grid = Geometry((40, 40, 30), (1.0, 1.5, 2.0), (10.0, 20.0, 30.0), turn)
    centre = grid.physical((20.3, 18.6, 14.1))
    k, j, i = np.indices(grid.shape)
    distance = np.linalg.norm(grid.physical(np.stack([i, j, k], -1)) - centre, axis=-1)
    np.testing.assert_array_equal(ball_mask(grid, centre, 9.5), distance <= 9.5)


def test_a_ball_far_away_is_empty_and_one_at_the_border_is_cut():
    assert not ball_mask(GRID, (500.0, 0.0, 0.0), 10.0).any()
    assert ball_mask(GRID, GRID.physical((0, 0, 0)), 1.0).sum() == 2


def test_reach_is_euclidean_and_physical():
    mask = np.zeros(GRID.shape, bool)
    mask[10, 12, 15] = True
    k, j, i = np.indices(GRID.shape)
    distance = np.sqrt((1.0 * (i - 15)) ** 2 + (1.5 * (j - 12)) ** 2 + (2.0 * (k - 10)) ** 2)
    np.testing.assert_array_equal(voxels_within(mask, GRID.spacing_mm, 5.0), distance <= 5.0)
    assert not voxels_within(np.zeros_like(mask), GRID.spacing_mm, 5.0).any()


def test_the_rim_is_what_lies_near_the_outside():
    ball = ball_mask(GRID, GRID.physical((15, 12, 10)), 8.0)
    outside = np.argwhere(~ball)[:, ::-1] * GRID.spacing_mm
    inside = np.argwhere(ball)
    nearest = [np.linalg.norm(outside - p[::-1] * np.array(GRID.spacing_mm), axis=1).min() for p in inside]
    expected = np.zeros_like(ball)
    expected[tuple(inside[np.array(nearest) <= 3.0].T)] = True
    np.testing.assert_array_equal(rim_of(ball, GRID.spacing_mm, 3.0), expected)
    assert 0 < expected.sum() < ball.sum()
    assert not rim_of(np.ones(GRID.shape, bool), GRID.spacing_mm, 3.0).any()


def test_painting_an_empty_segment(editor, ct_node):
    editor.add_ball("GTVn", GRID.physical((5, 5, 5)), 3.0)
    labels = label_map_from_segmentation(editor.segmentation_node, ct_node).array
    np.testing.assert_array_equal(labels == 2, ball_mask(GRID, GRID.physical((5, 5, 5)), 3.0))
    assert (labels == 1).sum() == 1


def test_erasing_takes_only_the_balls_voxels(editor):
    centre = GRID.physical((15, 12, 10))
    editor.add_ball("GTVp", centre, 6.0)
    editor.erase_ball("GTVp", centre, 3.0)
    np.testing.assert_array_equal(editor.mask("GTVp"), ball_mask(GRID, centre, 6.0) & ~ball_mask(GRID, centre, 3.0))


def test_painting_over_another_segment_takes_its_voxels_as_in_slicer(editor):
    editor.add_ball("GTVn", GRID.physical((15, 12, 10)), 3.0)
    assert editor.mask("GTVp").sum() == 0
    assert editor.mask("GTVn")[10, 12, 15]


def test_modes_add_remove_and_set(editor):
    first, second = np.zeros((2, *GRID.shape), dtype=bool)
    first[3, 3, 3:6] = True
    second[3, 3, 5:9] = True
    editor.apply_labelmap("GTVn", first, SET)
    editor.apply_labelmap("GTVn", second, ADD)
    np.testing.assert_array_equal(editor.mask("GTVn"), first | second)
    editor.apply_labelmap("GTVn", first, REMOVE)
    np.testing.assert_array_equal(editor.mask("GTVn"), second & ~first)
    editor.apply_labelmap("GTVn", first, SET)
    np.testing.assert_array_equal(editor.mask("GTVn"), first)


def test_undo_and_redo_walk_through_the_edits(editor):
    states = [editor.mask("GTVp")]
    for mm in (2.0, 3.0):
        editor.grow_segment("GTVp", mm)
        states.append(editor.mask("GTVp"))
    assert len({state.sum() for state in states}) == 3
    for state in states[1::-1]:
        assert editor.undo()
        np.testing.assert_array_equal(editor.mask("GTVp"), state)
    assert not editor.undo()
    assert editor.redo()
    np.testing.assert_array_equal(editor.mask("GTVp"), states[1])


def test_an_edit_ends_with_a_segment_modified_event_that_sees_the_new_content(editor):
    seen = []

    def record(_caller, _event):
        seen.append(int(editor.mask("GTVp").sum()))

    segmentation = editor.segmentation_node.GetSegmentation()
    tag = segmentation.AddObserver(slicer.vtkSegmentation.SegmentModified, record)
    try:
        editor.grow_segment("GTVp", 2.0)
        assert seen[-1] == 13
        seen.clear()
        editor.undo()
        assert seen[-1] == 1
    finally:
        segmentation.RemoveObserver(tag)


def test_growing_nothing_changes_nothing(editor):
    editor.grow_segment("GTVn", 5.0)
    assert editor.mask("GTVn").sum() == 0
    assert not editor.undo()


def test_an_absent_segment_is_named(editor):
    with pytest.raises(InputError, match=r"'GTVx' does not exist: the segmentation has \['GTVp', 'GTVn'\]"):
        editor.add_ball("GTVx", (0, 0, 0), 3.0)


def test_a_mask_of_another_shape_is_refused(editor):
    with pytest.raises(GeometryError, match=r"array of shape \(2, 2, 2\)"):
        editor.apply_labelmap("GTVp", np.ones((2, 2, 2), bool))
