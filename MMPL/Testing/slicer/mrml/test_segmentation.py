"""Label maps into segments and back."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS
from mmpl_slicer import segmentation as segmentations
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.subject_hierarchy import hierarchy_of, item_of, place_in_study
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, vtk_matrix

OBLIQUE_LEFT_HANDED = (
    (np.cos(0.4), -np.sin(0.4), 0.0),
    (np.sin(0.4), np.cos(0.4), 0.0),
    (0.0, 0.0, -1.0),
)


@pytest.fixture
def ct_node(scene, ct_volume):
    return node_from_volume(ct_volume, scene, "CT")


@pytest.fixture
def segmentation_node(scene, ct_node, label_map):
    return segmentations.create_segmentation(label_map, ct_node, scene)


def tag(segmentation_node, segment_id: str, name: str) -> str:
    value = vtk.mutable("")
    segmentation_node.GetSegmentation().GetSegment(segment_id).GetTag(name, value)
    return str(value)


def test_label_map_comes_back_voxel_by_voxel(segmentation_node, ct_node, label_map):
    back = segmentations.label_map_from_segmentation(segmentation_node, ct_node)
    assert back.array.dtype == np.uint8
    assert back.geometry.is_close(label_map.geometry, 1e-6)
    np.testing.assert_array_equal(back.array, label_map.array)


def test_label_map_comes_back_on_an_oblique_left_handed_grid(scene):
    geometry = Geometry((20, 24, 16), (1.2, 0.9, 2.5), (-11.1, 22.2, 333.3), OBLIQUE_LEFT_HANDED)
    labels = np.random.default_rng(3).integers(0, 3, geometry.shape).astype(np.uint8)
    ct_node = node_from_volume(Volume(np.zeros(geometry.shape, np.float32), geometry), scene, "CT")
    node = segmentations.create_segmentation(Volume(labels, geometry), ct_node, scene)
    np.testing.assert_array_equal(segmentations.label_map_from_segmentation(node, ct_node).array, labels)


def test_segments_are_named_coloured_and_coded(segmentation_node):
    segmentation = segmentation_node.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == ["GTVp", "GTVn"]
    for spec in SEGMENTS.values():
        segment = segmentation.GetSegment(spec.id)
        assert segment.GetName() == spec.name
        np.testing.assert_allclose(segment.GetColor(), spec.color)
        assert tag(segmentation_node, spec.id, "TerminologyEntry") == spec.terminology_tag
    assert "SCT^86049000^Neoplasm, Primary" in tag(segmentation_node, "GTVp", "TerminologyEntry")
    assert "SCT^14799000^Neoplasm, Secondary" in tag(segmentation_node, "GTVn", "TerminologyEntry")


def test_the_ct_is_the_reference_geometry(segmentation_node, ct_node):
    role = segmentation_node.GetReferenceImageGeometryReferenceRole()
    assert segmentation_node.GetNodeReference(role) is ct_node


def test_the_segmentation_stands_in_the_cts_study(scene, ct_node, label_map):
    study = place_in_study(scene, [ct_node], "patient", "study")
    node = segmentations.create_segmentation(label_map, ct_node, scene)
    assert hierarchy_of(scene).GetItemParent(item_of(scene, node)) == study


def test_a_class_without_voxels_keeps_an_empty_segment(scene, ct_node, label_map):
    only_primary = label_map.with_array(np.where(label_map.array == 1, 1, 0).astype(np.uint8))
    node = segmentations.create_segmentation(only_primary, ct_node, scene)
    assert list(node.GetSegmentation().GetSegmentIDs()) == ["GTVp", "GTVn"]
    assert not segmentations.segment_mask(node, "GTVn", label_map.geometry).any()
    back = segmentations.label_map_from_segmentation(node, ct_node)
    np.testing.assert_array_equal(back.array, only_primary.array)


def test_no_lesion_at_all(scene, ct_node, label_map):
    nothing = label_map.with_array(np.zeros_like(label_map.array))
    node = segmentations.create_segmentation(nothing, ct_node, scene)
    assert not segmentations.label_map_from_segmentation(node, ct_node).array.any()


def test_gtvp_wins_where_segments_overlap(scene, ct_node):
    geometry = geometry_of_node(ct_node)
    node = segmentations.create_segmentation(Volume(np.zeros(geometry.shape, np.uint8), geometry), ct_node, scene)
    node.GetSegmentation().RemoveAllSegments()
    primary, nodal = np.zeros((2, *geometry.shape), dtype=bool)
    primary[10:20, 40, 40] = True
    nodal[15:30, 40, 40] = True
    for name, mask in (("GTVn", nodal), ("gtvp", primary)):
        node.AddSegmentFromBinaryLabelmapRepresentation(oriented_image(mask, geometry), name)
    labels = segmentations.label_map_from_segmentation(node, ct_node).array
    assert (labels == 1).sum() == 10
    assert (labels == 2).sum() == 10
    np.testing.assert_array_equal(np.flatnonzero(labels[:, 40, 40] == 2), np.arange(20, 30))


def test_segments_of_another_grid_are_brought_to_the_ct(scene, segmentation_node, ct_volume, label_map):
    coarse = Geometry(
        tuple(n // 2 for n in ct_volume.geometry.size),
        tuple(2 * s for s in ct_volume.geometry.spacing_mm),
        ct_volume.geometry.origin_mm,
    )
    reference = node_from_volume(Volume(np.zeros(coarse.shape, np.float32), coarse), scene, "coarse")
    back = segmentations.label_map_from_segmentation(segmentation_node, reference)
    # Centres of the coarse voxels are centres of every second fine voxel.
    np.testing.assert_array_equal(back.array, label_map.array[::2, ::2, ::2])


def test_a_moved_segmentation_is_read_where_it_lies(scene, segmentation_node, ct_node, label_map):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[2, 3] = 2 * label_map.geometry.spacing_mm[2]
    transform.SetMatrixTransformToParent(vtk_matrix(shift))
    segmentation_node.SetAndObserveTransformNodeID(transform.GetID())
    back = segmentations.label_map_from_segmentation(segmentation_node, ct_node)
    np.testing.assert_array_equal(back.array, np.roll(label_map.array, 2, axis=0))


def test_updating_replaces_voxels_and_keeps_what_others_made(segmentation_node, ct_node, label_map):
    segmentation_node.GetSegmentation().AddEmptySegment("OAR", "Parotid")
    segmentation_node.GetSegmentation().RemoveSegment("GTVn")
    flipped = label_map.with_array(np.ascontiguousarray(label_map.array[:, :, ::-1]))
    segmentations.update_segmentation(segmentation_node, flipped, ct_node)
    assert set(segmentation_node.GetSegmentation().GetSegmentIDs()) == {"GTVp", "GTVn", "OAR"}
    back = segmentations.label_map_from_segmentation(segmentation_node, ct_node)
    np.testing.assert_array_equal(back.array, flipped.array)


def test_a_removed_segment_counts_as_empty(segmentation_node, ct_node, label_map):
    segmentation_node.GetSegmentation().RemoveSegment("GTVn")
    back = segmentations.label_map_from_segmentation(segmentation_node, ct_node)
    np.testing.assert_array_equal(back.array, np.where(label_map.array == 1, 1, 0))


def test_a_segmentation_of_something_else_is_refused(segmentation_node, ct_node):
    segmentation_node.GetSegmentation().RemoveAllSegments()
    with pytest.raises(InputError, match="no segment named GTVp or GTVn"):
        segmentations.label_map_from_segmentation(segmentation_node, ct_node)


def test_a_label_map_of_another_grid_is_refused(scene, ct_node, label_map):
    shifted = Geometry(label_map.geometry.size, label_map.geometry.spacing_mm, (-80.0, -90.0, -90.0))
    with pytest.raises(GeometryError, match="does not lie on the grid of 'CT'"):
        segmentations.create_segmentation(Volume(label_map.array, shifted), ct_node, scene)


def test_an_unknown_label_is_refused(scene, ct_node, label_map):
    labels = label_map.array.copy()
    labels[0, 0, 0] = 7
    with pytest.raises(InputError, match=r"holds the values \[7\]"):
        segmentations.create_segmentation(label_map.with_array(labels), ct_node, scene)


def test_closed_surfaces_enclose_the_voxels_volume(segmentation_node, label_map):
    segmentations.show_closed_surface(segmentation_node)
    surface = vtk.vtkPolyData()
    segmentation_node.GetClosedSurfaceRepresentation("GTVp", surface)
    measure = vtk.vtkMassProperties()
    measure.SetInputData(surface)
    voxels_mm3 = (label_map.array == 1).sum() * label_map.geometry.voxel_volume_ml * 1000.0
    assert measure.GetVolume() == pytest.approx(voxels_mm3, rel=0.05)
