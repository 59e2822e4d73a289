"""Volumes in and out of MRML with exact geometry, display and PET units."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
import vtk

import slicer
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl_slicer import volumes


def oblique(angles_deg=(20.0, -35.0, 50.0)) -> np.ndarray:
    """Rotation about x, then y, then z."""
    a, b, c = np.deg2rad(angles_deg)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


DIRECTIONS = {
    "identity": np.eye(3),
    "flipped x": np.diag([-1.0, 1.0, 1.0]),
    "flipped y and z": np.diag([1.0, -1.0, -1.0]),
    "permuted": np.eye(3)[[1, 2, 0]],
    "permuted and flipped": np.eye(3)[[2, 0, 1]] * [1.0, -1.0, 1.0],
    "oblique": oblique(),
    "oblique, left-handed": oblique() @ np.diag([1.0, 1.0, -1.0]),
}


@pytest.fixture(params=DIRECTIONS.values(), ids=DIRECTIONS.keys())
def a_volume(request) -> Volume:
    geometry = Geometry((7, 6, 5), (0.9765625, 1.1, 3.27), (-123.4, 56.789, 1012.5), request.param)
    return Volume(np.arange(210, dtype=np.float32).reshape(geometry.shape), geometry)


def test_volume_survives_the_way_to_mrml_and_back(scene, a_volume):
    back = volumes.volume_from_node(volumes.node_from_volume(a_volume, scene, "CT"))
    assert np.abs(back.geometry.index_to_lps - a_volume.geometry.index_to_lps).max() < 1e-6
    assert back.geometry.size == a_volume.geometry.size
    np.testing.assert_array_equal(back.array, a_volume.array)


def test_every_corner_voxel_has_its_place_and_value_in_ras(scene, a_volume):
    node = volumes.node_from_volume(a_volume, scene, "CT")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    for i, j, k in itertools.product((0, 6), (0, 5), (0, 4)):
        r, a, s, _ = matrix.MultiplyPoint((i, j, k, 1))
        np.testing.assert_allclose((-r, -a, s), a_volume.geometry.physical((i, j, k)), atol=1e-6)
        assert node.GetImageData().GetScalarComponentAsDouble(i, j, k, 0) == a_volume.array[k, j, i]


def test_slicer_reads_a_file_to_the_same_places(scene, a_volume, tmp_path):
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(image_from_volume(a_volume), str(path))
    node = volumes.load_volume_file(path)
    back = volumes.volume_from_node(node)
    assert node.GetName() == "image"
    if np.linalg.det(a_volume.geometry.direction) > 0:
        assert np.abs(back.geometry.index_to_lps - a_volume.geometry.index_to_lps).max() < 1e-6
    # Slicer turns the slice order of left-handed grids round: voxels keep their places, not their indices.
    k, j, i = np.indices(back.array.shape)
    index = a_volume.geometry.index(back.geometry.physical(np.stack([i, j, k], axis=-1)))
    assert np.abs(index - np.round(index)).max() < 1e-6
    x, y, z = np.moveaxis(np.round(index).astype(int), -1, 0)
    np.testing.assert_array_equal(back.array, a_volume.array[z, y, x])


def test_the_array_is_a_copy(scene, ct_volume):
    node = volumes.node_from_volume(ct_volume, scene, "CT")
    volumes.volume_from_node(node).array[:] = 0
    np.testing.assert_array_equal(volumes.volume_from_node(node).array, ct_volume.array)


def test_a_shift_by_a_transform_is_seen(scene, ct_volume):
    node = volumes.node_from_volume(ct_volume, scene, "CT")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[:3, 3] = (1.0, 2.0, 3.0)  # RAS
    transform.SetMatrixTransformToParent(volumes.vtk_matrix(shift))
    node.SetAndObserveTransformNodeID(transform.GetID())
    moved = np.asarray(volumes.geometry_of_node(node).origin_mm) - ct_volume.geometry.origin_mm
    np.testing.assert_allclose(moved, (-1.0, -2.0, 3.0), atol=1e-9)


def test_a_warped_volume_is_refused(scene, ct_volume):
    node = volumes.node_from_volume(ct_volume, scene, "CT")
    warp = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    node.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(GeometryError, match=r"'CT' lies under the non-linear transform 'warp'"):
        volumes.volume_from_node(node)


def test_a_sheared_volume_is_refused(scene, ct_volume):
    node = volumes.node_from_volume(ct_volume, scene, "CT")
    shear = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 1] = 0.5
    shear.SetMatrixTransformToParent(volumes.vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(shear.GetID())
    with pytest.raises(GeometryError, match="not orthonormal"):
        volumes.volume_from_node(node)


@pytest.mark.parametrize(
    ("given", "held"),
    [(bool, np.uint8), (np.uint8, np.uint8), (np.int16, np.int16), (np.int64, np.int32), (np.float32,) * 2],
)
def test_voxel_types(scene, given, held):
    array = np.array([[[0, 1, 1, 0]]]).astype(given)
    node = volumes.node_from_volume(Volume(array, Geometry((4, 1, 1), (1, 1, 1), (0, 0, 0))), scene, "v")
    back = volumes.volume_from_node(node).array
    assert back.dtype == held
    np.testing.assert_array_equal(back, array)


def test_integers_beyond_32_bits_are_refused(scene):
    array = np.full((1, 1, 2), 2**40, dtype=np.int64)
    with pytest.raises(InputError, match="do not fit 32 bits"):
        volumes.node_from_volume(Volume(array, Geometry((2, 1, 1), (1, 1, 1), (0, 0, 0))), scene, "v")


def test_a_node_without_voxels_is_named(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="'nothing' holds no voxels"):
        volumes.volume_from_node(node)


def test_a_missing_file_is_named(scene, tmp_path):
    with pytest.raises(InputError, match=r"absent\.nii\.gz does not exist"):
        volumes.load_volume_file(tmp_path / "absent.nii.gz")


def test_ct_is_shown_in_a_soft_tissue_window(scene, ct_volume):
    node = volumes.node_from_volume(ct_volume, scene, "CT")
    volumes.show_ct(node)
    display = node.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (350.0, 40.0)
    assert display.GetAutoWindowLevel() == 0
    assert display.GetColorNode().GetName() == "Grey"


def test_pet_is_shown_from_zero_to_the_wanted_suv_in_heat_colours(scene, pet_volume):
    node = volumes.node_from_volume(pet_volume, scene, "PET")
    volumes.show_pet(node, suv_max=12.0, threshold=0.5)
    display = node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 12.0)
    assert display.GetColorNode().GetName() == "PET-Heat"
    assert (display.GetApplyThreshold(), display.GetLowerThreshold()) == (1, 0.5)


def test_pet_window_ends_at_suv_10_or_at_the_999th_permille():
    grid = Geometry((1000, 1, 1), (1, 1, 1), (0, 0, 0))
    pet = Volume(np.arange(1000, dtype=np.float32).reshape(grid.shape), grid)
    assert volumes.pet_display_max(pet, "SUVbw") == 10.0
    assert volumes.pet_display_max(pet, "unknown") == pytest.approx(998.001)


def test_pet_units_are_read_back(scene, pet_volume):
    node = volumes.node_from_volume(pet_volume, scene, "PET")
    assert volumes.pet_units_of_node(node) == "unknown"
    volumes.set_pet_units(node, "SUVbw")
    assert volumes.pet_units_of_node(node) == "SUVbw"
    assert node.GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"


def test_a_pet_of_the_pet_dicom_extension_is_in_suv(scene, pet_volume):
    node = volumes.node_from_volume(pet_volume, scene, "4: PET Standardized Uptake Value body weight")
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight")
    node.SetVoxelValueUnits(entry)
    assert volumes.pet_units_of_node(node) == "SUVbw"
