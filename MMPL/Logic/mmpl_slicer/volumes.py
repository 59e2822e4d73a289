"""Volumes in and out of MRML: exact geometry, PET and CT display, PET units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import vtk

import slicer
from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PET_COLOR_NODE_ID = "vtkMRMLPETProceduralColorNodePET-Heat"
PET_GREY_COLOR_NODE_ID = "vtkMRMLColorTableNodeInvertedGrey"
CT_WINDOW_HU, CT_LEVEL_HU = 350.0, 40.0
PET_DISPLAY_SUV_MAX = 10.0
PET_UNITS_ATTRIBUTE = "MMPL.PetUnits"
SUV_NAMES = {
    PET_SUV: "Standardized Uptake Value body weight",
    "SUVlbm": "Standardized Uptake Value lean body mass",
    "SUVbsa": "Standardized Uptake Value body surface area",
    "SUVibw": "Standardized Uptake Value ideal body weight",
}
SUV_UNITS_CODE = ("{SUVbw}g/ml", "UCUM", SUV_NAMES[PET_SUV])


def ras_from_lps(point_lps) -> np.ndarray:
    """RAS position(s) of LPS position(s), and the other way round; last axis has length 3."""
    return np.asarray(point_lps, dtype=float) * (-1.0, -1.0, 1.0)


def ijk_to_ras(geometry: Geometry) -> np.ndarray:
    """4 x 4 matrix from (i, j, k) voxel index to RAS millimetres."""
    return LPS_TO_RAS @ geometry.index_to_lps


def vtk_matrix(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """A 4 x 4 array as VTK's matrix."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel().tolist())
    return result


def array_from_vtk_matrix(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """VTK's matrix as a 4 x 4 array."""
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def node_from_volume(volume: Volume, scene, name: str, class_name: str = "vtkMRMLScalarVolumeNode"):
    """Add a volume node with the voxels and the geometry of a volume.

    Parameters
    ----------
    volume : Volume; bool voxels become uint8, 64-bit integers int32
    scene : vtkMRMLScene
    name : name of the node
    class_name : MRML class, e.g. "vtkMRMLLabelMapVolumeNode"

    Returns
    -------
    vtkMRMLScalarVolumeNode, with default display nodes
    """
    node = scene.AddNewNodeByClass(class_name, name)
    update_node(node, volume)
    node.CreateDefaultDisplayNodes()
    return node


def update_node(node, volume: Volume) -> None:
    """Replace the voxels and the geometry of a volume node."""
    node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras(volume.geometry)))
    slicer.util.updateVolumeFromArray(node, _drawable(volume.array))


def volume_from_node(node) -> Volume:
    """Voxels (a copy) and geometry of a scalar volume node, a linear parent transform included.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode

    Returns
    -------
    Volume in LPS millimetres, array (z, y, x)

    Raises
    ------
    InputError
        If the node holds no voxels or more than one component per voxel.
    GeometryError
        If the node lies under a non-linear transform, or under one that shears or scales axes apart.
    """
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"volume {node.GetName()!r} holds no voxels: load the image again")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"volume {node.GetName()!r} has {image.GetNumberOfScalarComponents()} components per voxel:"
            " choose a greyscale volume"
        )
    return Volume(np.array(slicer.util.arrayFromVolume(node)), geometry_of_node(node))


def geometry_of_node(node) -> Geometry:
    """Geometry of a volume node in world LPS millimetres.

    Raises
    ------
    InputError
        If the node holds no voxels.
    GeometryError
        If the node lies under a non-linear transform, or axes are not orthogonal.
    """
    return _geometry(node, to_world(node))


def own_geometry_of_node(node) -> Geometry:
    """Geometry of a volume node as it was loaded, in LPS millimetres: without its parent transform.

    Raises
    ------
    InputError
        If the node holds no voxels.
    GeometryError
        If axes are not orthogonal.
    """
    return _geometry(node, np.eye(4))


def _geometry(node, moved: np.ndarray) -> Geometry:
    if node.GetImageData() is None:
        raise InputError(f"volume {node.GetName()!r} holds no voxels: load the image again")
    local = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(local)
    matrix = LPS_TO_RAS @ moved @ array_from_vtk_matrix(local)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return Geometry(node.GetImageData().GetDimensions(), spacing, matrix[:3, 3], matrix[:3, :3] / spacing)


def to_world(node) -> np.ndarray:
    """4 x 4 matrix (RAS to RAS) of a node's parent transform, identity without one.

    Raises
    ------
    GeometryError
        If the transform is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise GeometryError(
            f"{node.GetName()!r} lies under the non-linear transform {transform.GetName()!r}:"
            " harden the transform or take it out of it"
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return array_from_vtk_matrix(matrix)


def from_world(node) -> np.ndarray:
    """The inverse of :func:`to_world`.

    Raises
    ------
    GeometryError
        If the transform is not linear, or makes all flat.
    """
    try:
        return np.linalg.inv(to_world(node))
    except np.linalg.LinAlgError as error:
        raise GeometryError(
            f"{node.GetName()!r} lies under a transform that makes it flat: take it out of it"
        ) from error


def load_volume_file(path: str | Path, name: str | None = None):
    """Load an image file with Slicer's own reader.

    Slicer reverses the slice order of a left-handed grid: voxels keep their places, not their indices. A mask
    that must have the file's own grid is resampled to it by nearest neighbour, which is exact.

    Parameters
    ----------
    path : NIfTI, NRRD, MetaImage or anything else Slicer's volume logic reads
    name : name of the node; the file's name by default

    Returns
    -------
    vtkMRMLScalarVolumeNode

    Raises
    ------
    InputError
        If the file is missing or cannot be read as a volume.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"image file {path} does not exist: check the path")
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name or path.name.split(".")[0])
    if node is None:
        raise InputError(f"image file {path} cannot be read as a volume: give a NIfTI, NRRD or MHA file")
    return node


def show_ct(node, window_hu: float = CT_WINDOW_HU, level_hu: float = CT_LEVEL_HU) -> None:
    """Soft-tissue grey-scale display of a CT."""
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    _set_window(display, window_hu, level_hu)


def show_pet(
    node, suv_max: float = PET_DISPLAY_SUV_MAX, color_node_id: str = PET_COLOR_NODE_ID, threshold: float = 0.0
) -> None:
    """PET display from 0 to ``suv_max`` with one of Slicer's PET colour nodes.

    Voxels below ``threshold`` (in the PET's units) are not drawn, so that a CT shows through.
    """
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node_id)
    _set_window(display, suv_max, suv_max / 2.0)
    if threshold > 0:
        display.SetThreshold(threshold, float(np.finfo(np.float32).max))
    display.SetApplyThreshold(threshold > 0)


def pet_display_max(pet: Volume, units: str = PET_SUV) -> float:
    """Upper end of the PET window: SUV 10, or the 99.9th percentile when the units are not SUV."""
    if units == PET_SUV:
        return PET_DISPLAY_SUV_MAX
    return max(float(np.percentile(pet.array, 99.9)), 1e-6)


def set_pet_units(node, units: str) -> None:
    """Record a PET's units on its node: MMPL's attribute, and Slicer's voxel units when they are SUVbw."""
    node.SetAttribute(PET_UNITS_ATTRIBUTE, units)
    if units == PET_SUV:
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*SUV_UNITS_CODE)
        node.SetVoxelValueUnits(entry)


def pet_units_of_node(node) -> str:
    """Units of a PET node: "SUVbw" when MMPL, the voxel units or PETDICOMExtension's name say so.

    Returns
    -------
    "SUVbw" or "unknown"
    """
    recorded = node.GetAttribute(PET_UNITS_ATTRIBUTE)
    if recorded is not None:
        return recorded
    return PET_SUV if suv_kind_of_node(node) == PET_SUV else PET_UNKNOWN


def suv_kind_of_node(node) -> str:
    """Which SUV a node says that it holds, whatever its DICOM header says: a key of ``SUV_NAMES``, or "".

    MMPL's own record comes first, then the node's name, then its voxel units: PETDICOMExtension reads the units of a
    series' first mapping for each volume that it loads, so that its volumes by lean body mass, too, carry the units of
    body weight; only their names differ.
    """
    recorded = node.GetAttribute(PET_UNITS_ATTRIBUTE)
    if recorded is not None:
        return PET_SUV if recorded == PET_SUV else ""
    return _suv_kind(node.GetName() or "") or _suv_kind(units_code_of_node(node))


def units_code_of_node(node) -> str:
    """Code of a node's voxel units, "" without."""
    units = node.GetVoxelValueUnits()
    return (units.GetCodeValue() or "") if units is not None else ""


def _suv_kind(text: str) -> str:
    return next((kind for kind, words in SUV_NAMES.items() if kind in text or words in text), "")


def _set_window(display, window: float, level: float) -> None:
    display.AutoWindowLevelOff()
    display.SetWindowLevel(window, level)


def _drawable(array: np.ndarray) -> np.ndarray:
    """An array of a type that MRML can hold and draw."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype in (np.int64, np.uint64, np.uint32):
        limits = np.iinfo(np.int32)
        if array.size and (array.max() > limits.max or array.min() < limits.min):
            raise InputError(f"voxel values up to {array.max()} do not fit 32 bits: rescale the image")
        return array.astype(np.int32)
    return array.astype(np.float32) if array.dtype == np.float16 else array
