"""Contours as a box with fingerprints: hand-worked, and against reading whole label maps."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry, Volume
from mmpl.pipeline import notices_of_loss, on_ct_grid
from mmpl.steps import LostLesions
from mmpl_slicer.contour_nodes import return_class, set_contours
from mmpl_slicer.contours import contours_of_label_map, read_contours
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.segment_mapping import segment_names
from mmpl_slicer.segmentation import create_segmentation, label_map_from_segmentation, update_segmentation
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, vtk_matrix

GRID = Geometry((8, 7, 6), (1.0, 2.0, 3.0), (10.0, -20.0, 30.0))
BY_NAME = {"GTVp": 1, "GTVn": 2}


@pytest.fixture
def labels():
    array = np.zeros(GRID.shape, np.uint8)
    array[1:3, 2:4, 3:6] = 1
    array[4, 5, 6] = 2
    return array


@pytest.fixture
def node(scene):
    """A segmentation with a function that adds segments of masks."""
    return scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")


def add(node, name, mask, grid=GRID):
    node.AddSegmentFromBinaryLabelmapRepresentation(oriented_image(mask, grid), name)


def read(node, labels, grid=GRID):
    """Contours of segments by name."""
    names = {name: segment_id for segment_id, name in segment_names(node).items()}
    return read_contours(node, {names.get(name, name): label for name, label in labels.items()}, grid)


def test_the_box_holds_what_is_labelled(labels):
    contours = contours_of_label_map(labels)
    assert contours.start_zyx == (1, 2, 3)
    assert contours.labels.shape == (4, 4, 4)
    np.testing.assert_array_equal(contours.on_grid(GRID).array, labels)


def test_the_same_contour_has_the_same_fingerprint_wherever_the_box_begins(labels):
    whole, part = contours_of_label_map(labels), contours_of_label_map(labels[1:, 1:, 2:], (1, 1, 2))
    assert whole.digests == part.digests
    alone = contours_of_label_map(np.where(labels == 1, 1, 0).astype(np.uint8))
    assert alone.digests[1] == whole.digests[1]
    assert alone.digests[2] == ""


def test_a_voxel_a_place_or_a_class_makes_another_fingerprint(labels):
    digests = {contours_of_label_map(labels).digest}
    more = labels.copy()
    more[0, 0, 0] = 1
    for other in (more, np.roll(labels, 1, axis=2), 3 - labels - 3 * (labels == 0), np.zeros_like(labels)):
        digests.add(contours_of_label_map(other.astype(np.uint8)).digest)
    assert len(digests) == 5


def test_nothing_is_empty():
    contours = contours_of_label_map(np.zeros(GRID.shape, np.uint8))
    assert contours.is_empty
    assert not contours.on_grid(GRID).array.any()


def test_segments_are_read_where_they_lie(node, labels):
    add(node, "GTVp", labels == 1)
    add(node, "GTVn", labels == 2)
    contours = read(node, BY_NAME)
    assert contours.digests == contours_of_label_map(labels).digests
    np.testing.assert_array_equal(contours.on_grid(GRID).array, labels)
    assert not contours.on_other_grid
    assert contours.overlap_voxels == 0


def test_it_is_the_slow_readers_label_map(scene, label_map, ct_volume):
    ct = node_from_volume(ct_volume, scene, "CT")
    segmentation = create_segmentation(label_map, ct, scene)
    contours = read_contours(segmentation, BY_NAME, label_map.geometry)
    slow = label_map_from_segmentation(segmentation, ct)
    np.testing.assert_array_equal(contours.on_grid(label_map.geometry).array, slow.array)


def test_where_classes_overlap_gtvp_wins_and_the_voxels_are_counted(node):
    primary, nodal = np.zeros((2, *GRID.shape), bool)
    primary[1, 1, 1:5] = True
    nodal[1, 1, 3:7] = True
    add(node, "GTVn", nodal)
    add(node, "GTVp", primary)
    contours = read(node, BY_NAME)
    np.testing.assert_array_equal(contours.on_grid(GRID).array[1, 1], [0, 1, 1, 1, 1, 2, 2, 0])
    assert contours.overlap_voxels == 2


def test_segments_of_one_class_do_not_overlap_with_each_other(node):
    one, two = np.zeros((2, *GRID.shape), bool)
    one[1, 1, 1:5] = True
    two[1, 1, 3:7] = True
    add(node, "a", one)
    add(node, "b", two)
    contours = read(node, {"a": 2, "b": 2})
    assert contours.overlap_voxels == 0
    assert int((contours.labels == 2).sum()) == 6


def test_segments_that_share_a_layer_are_told_apart(node, labels):
    add(node, "GTVp", labels == 1)
    add(node, "other", labels == 2)
    node.GetSegmentation().CollapseBinaryLabelmaps()
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    contours = read(node, {"GTVp": 1})
    np.testing.assert_array_equal(contours.on_grid(GRID).array, labels == 1)


def test_another_grid_is_said(node):
    fine = Geometry((16, 14, 12), (0.5, 1.0, 1.5), (9.75, -20.5, 29.25))
    mask = np.zeros(fine.shape, bool)
    mask[4:8, 4:8, 4:8] = True
    add(node, "GTVp", mask, fine)
    contours = read(node, BY_NAME)
    assert contours.on_other_grid
    assert int((contours.labels == 1).sum()) == 8


def test_a_grid_that_only_begins_elsewhere_is_the_same(node):
    part = GRID.cropped((2, 1, 1), (4, 4, 4))
    add(node, "GTVp", np.ones(part.shape, bool), part)
    contours = read(node, BY_NAME)
    assert not contours.on_other_grid
    assert contours.start_zyx == (1, 1, 2)


def test_what_lies_outside_the_ct_is_left_out(node):
    beside = Geometry((4, 4, 4), GRID.spacing_mm, (100.0, 100.0, 100.0))
    add(node, "GTVp", np.ones(beside.shape, bool), beside)
    assert read(node, BY_NAME).is_empty


def test_what_lies_outside_the_ct_is_counted_for_each_class(node):
    wide = Geometry((12, 11, 10), (1.0, 2.0, 3.0), (8.0, -24.0, 24.0))  # two voxels more on every side
    mask = np.zeros(wide.shape, bool)
    mask[1:4, 3, 3:5] = True  # 1 of 3 slices below
    add(node, "GTVp", mask, wide)
    add(node, "GTVn", np.ones(wide.shape, bool), wide)
    contours = read(node, BY_NAME)
    all_of_it, inside = 12 * 11 * 10, 8 * 7 * 6
    assert contours.outside_ml == pytest.approx({1: 2 * 0.006, 2: (all_of_it - inside) * 0.006})
    nowhere = Geometry(GRID.size, GRID.spacing_mm, (1000.0, 0.0, 0.0))
    beside = read(node, {"GTVp": 1}, nowhere)
    assert beside.is_empty
    assert beside.outside_ml == pytest.approx({1: 6 * 0.006})


def test_what_lies_between_the_slices_is_counted(node, labels):
    """Voxels of 0.5 mm, 2 mm of them between slices of 3 mm: no CT voxel's centre is in it."""
    fine = Geometry((16, 16, 12), (0.5, 0.5, 0.5), (12.0, -18.0, 33.0))
    thin = np.zeros(fine.shape, bool)
    thin[2:5, 2:10, 2:12] = True  # 34 to 35.5 mm: slices lie at 33 and 36
    add(node, "GTVp", labels == 1)
    add(node, "GTVn", thin, fine)
    contours = read(node, BY_NAME)
    assert contours.digests[2] == ""
    assert contours.between_ml == pytest.approx({2: 3 * 8 * 10 * 0.5**3 / 1000})
    assert contours.outside_ml == {}
    thin[2:8] = True  # to 36.5 mm
    node.GetSegmentation().RemoveAllSegments()
    add(node, "GTVn", thin, fine)
    assert read(node, BY_NAME).between_ml == {}


def test_what_is_left_out_is_told_as_assess_tells_it(node):
    """A lesion partly above the CT and one wholly beside it, one between two of its slices; one wholly within."""
    fine = Geometry((24, 16, 40), (0.5, 0.5, 0.5), (12.1, -18.1, 33.1))
    labels = np.zeros(fine.shape, np.uint8)
    labels[0:14, 2:10, 2:8] = labels[0:6, 2:10, 14:20] = 1  # 14: from 19.1 mm on, where the CT ends at 17.5
    labels[2:5, 12:16, 2:8] = labels[20:30, 12:16, 2:8] = 2  # 34.1 to 35.1 mm, and 43.1 to 47.6: it ends at 46.5
    for label, name in ((1, "GTVp"), (2, "GTVn")):
        add(node, name, labels == label, fine)
    contours = read(node, BY_NAME)
    moved, said = on_ct_grid(Volume(labels, fine), GRID)
    np.testing.assert_array_equal(contours.on_grid(GRID).array, moved.array)
    left = contours.left_out
    assert notices_of_loss([LostLesions(**one) for one in left["between"]], left["outside"]) == said
    assert [notice.code for notice in said] == ["MASK_BETWEEN_VOXELS", "MASK_OUTSIDE_CT"]
    assert said[0].text.startswith("1 of 2 GTVn lesions")
    whole = contours_of_label_map(moved.array)
    assert whole.left_out is None
    assert (whole.digest, whole.fingerprint) == (contours.digest, contours.digest) != (contours.fingerprint,) * 2


@pytest.mark.parametrize("column", [(0.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_a_transform_makes_flat_has_no_volume_that_is_left_out(scene, node, labels, column):
    add(node, "GTVp", labels == 1)
    flat, matrix = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), np.eye(4)
    matrix[:3, 2] = column
    flat.SetMatrixTransformToParent(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(flat.GetID())
    assert read(node, BY_NAME).left_out is None


def test_what_a_transform_takes_out_of_the_ct_is_counted(scene, labels):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "moved")
    add(node, "GTVp", labels == 1)
    assert read(node, BY_NAME).outside_ml == {}
    shifted(scene, node)
    before, after = np.count_nonzero(labels == 1), np.count_nonzero(read(node, BY_NAME).labels == 1)
    assert read(node, BY_NAME).outside_ml == pytest.approx({1: (before - after) * GRID.voxel_volume_ml})


def test_an_extent_that_leaves_the_ct_with_nothing_in_it_is_nothing(node, labels):
    wide = Geometry((12, 11, 10), (1.0, 2.0, 3.0), (8.0, -24.0, 24.0))
    both = np.zeros((2, *wide.shape), bool)
    both[0, 3, 4, 5] = both[1, 0, 0, 0] = both[1, -1, -1, -1] = True
    add(node, "GTVp", both[0], wide)
    add(node, "Cord", both[1], wide)  # of one layer: its extent is GTVp's too
    node.GetSegmentation().CollapseBinaryLabelmaps()
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    assert read(node, {"GTVp": 1}).outside_ml == {}


def test_segments_that_are_gone_are_ignored(node, labels):
    add(node, "GTVp", labels == 1)
    assert read(node, {"GTVp": 1, "absent": 2}).digests[2] == ""


def shifted(scene, *nodes):
    """Put nodes under one transform that turns by 90 degrees and moves by 6 mm."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix([[0, -1, 0, 6], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())


def test_contours_written_where_they_were_read_change_nothing_under_a_transform(scene, labels):
    ct = node_from_volume(Volume(np.zeros(GRID.shape, np.int16), GRID), scene, "CT")
    node = create_segmentation(Volume(labels, GRID), ct, scene)
    before = read(node, BY_NAME)
    shifted(scene, ct, node)
    grid = geometry_of_node(ct)
    contours = read(node, BY_NAME, grid)
    assert contours.digest == before.digest
    set_contours(node, contours, grid)
    assert read(node, BY_NAME, grid).digest == before.digest
    return_class(node, BY_NAME, contours, grid, 1)
    assert read(node, BY_NAME, grid).digest == before.digest


def test_nothing_is_written_under_a_transform_that_makes_all_flat(scene, labels):
    ct = node_from_volume(Volume(np.zeros(GRID.shape, np.int16), GRID), scene, "CT")
    node = create_segmentation(Volume(labels, GRID), ct, scene)
    contours = read(node, BY_NAME)
    flat = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    flat.SetMatrixTransformToParent(vtk_matrix(np.diag([1.0, 1.0, 0.0, 1.0])))
    node.SetAndObserveTransformNodeID(flat.GetID())
    with pytest.raises(GeometryError, match="lies under a transform that makes it flat: take it out of it"):
        set_contours(node, contours, GRID)
    node.SetAndObserveTransformNodeID(None)
    assert read(node, BY_NAME).digest == contours.digest


def test_a_label_map_written_under_a_transform_is_read_as_it_was(scene, labels):
    ct = node_from_volume(Volume(np.zeros(GRID.shape, np.int16), GRID), scene, "CT")
    node = create_segmentation(Volume(labels * 0, GRID), ct, scene)
    shifted(scene, node)
    update_segmentation(node, Volume(labels, GRID), ct)
    np.testing.assert_array_equal(label_map_from_segmentation(node, ct).array, labels)
