"""The .seg.nrrd that the engine writes, opened by 3D Slicer's own storage node, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.geometry import Geometry, Volume
from mmpl.io.images import read_label_map
from mmpl.io.masks import write_segmentation_nrrd
from mmpl.segments import SEGMENTS

slicer = pytest.importorskip("slicer")
vtk = pytest.importorskip("vtk")
numpy_support = pytest.importorskip("vtk.util.numpy_support")

COS, SIN = np.cos(0.3), np.sin(0.3)
GEOMETRY = Geometry((14, 12, 10), (1.5, 1.25, 3.0), (-10.0, 20.0, -300.0), ((COS, -SIN, 0), (SIN, COS, 0), (0, 0, 1)))


@pytest.fixture
def a_label_map():
    array = np.zeros(GEOMETRY.shape, np.uint8)
    array[2:4, 3:5, 4:9] = 1  # 20 voxels
    array[6:8, 7:9, 1:3] = 2  # 8 voxels
    return Volume(array, GEOMETRY)


@pytest.fixture
def a_scene():
    scene = slicer.vtkMRMLScene()
    yield scene
    scene.Clear(True)


def storage(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    node.SetFileName(str(path))
    return node


def loaded(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage(scene, path).ReadData(node)
    return node


def centroid_lps(node, segment_id):
    """Mean LPS position and count of a segment's voxels, from Slicer's own image and matrix."""
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    to_ras = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_ras)
    matrix = np.array([[to_ras.GetElement(r, c) for c in range(4)] for r in range(4)])
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    flat = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    k, j, i = np.nonzero(flat.reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1))
    ijk = np.stack([i + x0, j + y0, k + z0, np.ones_like(i)], axis=1)
    ras = (ijk @ matrix.T)[:, :3].mean(axis=0)
    return ras * [-1, -1, 1], len(i)


def test_names_colours_and_terminology(tmp_path, a_scene, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map)
    segmentation = loaded(a_scene, tmp_path / "m.seg.nrrd").GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 2
    for spec in SEGMENTS.values():
        segment = segmentation.GetSegment(spec.id)
        tag = vtk.reference("")
        assert segment.GetTag("TerminologyEntry", tag)
        assert str(tag) == spec.terminology_tag
        assert segment.GetName() == spec.name
        np.testing.assert_allclose(segment.GetColor(), spec.color, atol=1e-6)


def test_voxels_lie_where_they_were(tmp_path, a_scene, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map)
    node = loaded(a_scene, tmp_path / "m.seg.nrrd")
    for label, spec in SEGMENTS.items():
        zyx = np.argwhere(a_label_map.array == label)
        expected = GEOMETRY.physical(zyx[:, ::-1]).mean(axis=0)
        found, count = centroid_lps(node, spec.id)
        assert count == len(zyx)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_empty_label_map_gives_two_empty_segments(tmp_path, a_scene, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map.with_array(np.zeros_like(a_label_map.array)))
    segmentation = loaded(a_scene, tmp_path / "m.seg.nrrd").GetSegmentation()
    assert {segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())} == {
        "GTVp",
        "GTVn",
    }


def test_reference_geometry_is_the_label_map_grid(tmp_path, a_scene, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map)
    segmentation = loaded(a_scene, tmp_path / "m.seg.nrrd").GetSegmentation()
    geometry = slicer.vtkOrientedImageData()
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        segmentation.GetConversionParameter("Reference image geometry"), geometry, False
    )
    assert geometry.GetExtent() == (0, 13, 0, 11, 0, 9)
    np.testing.assert_allclose(geometry.GetSpacing(), GEOMETRY.spacing_mm)
    np.testing.assert_allclose(geometry.GetOrigin(), (10, -20, -300))  # RAS


def test_what_slicer_saves_is_read_back(tmp_path, a_scene, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map)
    node = loaded(a_scene, tmp_path / "m.seg.nrrd")
    assert storage(a_scene, tmp_path / "saved.seg.nrrd").WriteData(node)
    saved = read_label_map(tmp_path / "saved.seg.nrrd")
    for label in SEGMENTS:
        expected = GEOMETRY.physical(np.argwhere(a_label_map.array == label)[:, ::-1])
        found = saved.geometry.physical(np.argwhere(saved.array == label)[:, ::-1])
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), atol=1e-4)
