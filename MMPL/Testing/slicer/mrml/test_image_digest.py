"""Fingerprints of images: another one for another image, the same one when a scene is opened again."""

from __future__ import annotations

import numpy as np
import pytest

import slicer
from mmpl.geometry import Geometry, Volume
from mmpl_slicer.image_digest import image_digest, voxel_digest
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.volumes import node_from_volume, vtk_matrix

TURN = ((np.cos(0.3), -np.sin(0.3), 0.0), (np.sin(0.3), np.cos(0.3), 0.0), (0.0, 0.0, 1.0))
OBLIQUE = Geometry((31, 23, 17), (0.9765625, 1.1718751, 3.27), (-249.51171875, -133.0005, 1234.5675), TURN)


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(-1000, 2000, OBLIQUE.shape, dtype=np.int16)


def a_transform(scene, shift_mm: float):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = np.eye(4)
    matrix[0, 3] = shift_mm
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    return node


@pytest.mark.parametrize("index", [(0, 0, 0), (9, 11, 13), (-1, -1, -1)])
def test_one_voxel_makes_another_fingerprint(array, index):
    before = voxel_digest(array)
    array[index] += 1
    assert voxel_digest(array) != before


def test_values_that_change_places_make_another_fingerprint(array):
    assert len({voxel_digest(one) for one in (array, array[::-1], array[:, ::-1], array[:, :, ::-1])}) == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (64, 64, 64)])
def test_arrays_of_every_kind_have_one(dtype, shape):
    array = np.zeros(shape, dtype)
    before = voxel_digest(array)
    assert voxel_digest(array.copy()) == before
    array[-1, -1, -1] = 1
    assert voxel_digest(array) != before


def test_a_transform_that_moves_an_image_makes_another_fingerprint(scene, array):
    node = node_from_volume(Volume(array, OBLIQUE), scene, "CT")
    before = image_digest(node)
    node.SetAndObserveTransformNodeID(a_transform(scene, 0.5).GetID())
    assert image_digest(node) != before
    node.SetAndObserveTransformNodeID(None)
    assert image_digest(node) == before


def test_a_scene_that_is_opened_gives_the_same_fingerprint(scene, array, tmp_path):
    nodes = [
        node_from_volume(Volume(array, OBLIQUE), scene, "CT"),
        node_from_volume(Volume(array.astype(np.float32) / 7, OBLIQUE), scene, "PET"),
    ]
    transform = a_transform(scene, 1 / 3)
    nodes[1].SetAndObserveTransformNodeID(transform.GetID())
    before = [image_digest(node) for node in nodes]
    save_mrb(scene, tmp_path / "case.mrb")
    load_mrb(scene, tmp_path / "case.mrb")
    assert [image_digest(slicer.util.getNode(name)) for name in ("CT", "PET")] == before
