"""Where voxels are. Physical coordinates are LPS millimetres; arrays are (z, y, x), like SimpleITK's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from mmpl.boxes import bounding_box
from mmpl.errors import GeometryError

ROUNDING = 1e-6  # of a voxel: what sums of coordinates may be off
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def nearest_voxel(index) -> np.ndarray:
    """Nearest whole voxel index; halves go up, as in ITK, also where rounding has left them a little below.

    CT and PET of one scanner often share their borders, so that PET centres lie just on faces of CT voxels.
    """
    return np.floor(np.asarray(index) + (0.5 + 1e-9)).astype(int)


@dataclass(frozen=True)
class Geometry:
    """A regular voxel grid in space.

    Attributes
    ----------
    size : (x, y, z) voxels
    spacing_mm : (x, y, z)
    origin_mm : LPS position of the centre of voxel (0, 0, 0)
    direction : 3 x 3 rows; column c is the LPS direction of index axis c

    Raises
    ------
    GeometryError
        If a size or spacing is not positive, or the direction is not orthonormal.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[tuple[float, float, float], ...] = IDENTITY

    def __post_init__(self):
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))
        object.__setattr__(self, "origin_mm", tuple(float(o) for o in self.origin_mm))
        rows = np.asarray(self.direction, dtype=float).reshape(3, 3)
        object.__setattr__(self, "direction", tuple(tuple(float(v) for v in row) for row in rows))
        if min(self.size) < 1:
            raise GeometryError(f"grid size {self.size}: every axis needs at least one voxel")
        if not all(np.isfinite(self.spacing_mm)) or min(self.spacing_mm) <= 0:
            raise GeometryError(f"voxel spacing {self.spacing_mm} mm: it must be positive on every axis")
        if not np.all(np.isfinite(self.origin_mm)):
            raise GeometryError(f"origin {self.origin_mm}: it must be finite")
        if not np.allclose(rows.T @ rows, np.eye(3), atol=1e-3):
            raise GeometryError(f"direction {self.direction} is not orthonormal: the image header is damaged")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (z, y, x)."""
        return self.size[::-1]

    @property
    def voxel_volume_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def index_to_lps(self) -> np.ndarray:
        """4 x 4 matrix from (i, j, k) voxel index to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    def physical(self, index_xyz) -> np.ndarray:
        """LPS position(s) of voxel index (i, j, k); last axis has length 3."""
        m = self.index_to_lps
        return np.asarray(index_xyz, dtype=float) @ m[:3, :3].T + m[:3, 3]

    def index(self, point_lps) -> np.ndarray:
        """Continuous voxel index (i, j, k) of LPS position(s); last axis has length 3."""
        m = np.linalg.inv(self.index_to_lps)
        return np.asarray(point_lps, dtype=float) @ m[:3, :3].T + m[:3, 3]

    def holds(self, points_lps) -> np.ndarray:
        """Which LPS positions, shape (n, 3), lie in a voxel or on its border: bool, shape (n,)."""
        index = self.index(points_lps)
        return np.all((index >= -0.5 - ROUNDING) & (index <= np.asarray(self.size) - 0.5 + ROUNDING), axis=-1)

    @property
    def corner_centres_lps(self) -> np.ndarray:
        """LPS positions of the eight corner voxels' centres, shape (8, 3)."""
        ends = [(0, n - 1) for n in self.size]
        return self.physical(list(itertools.product(*ends)))

    @property
    def outer_corners_lps(self) -> np.ndarray:
        """LPS positions of the grid's eight outer corners, half a voxel beyond the voxel centres, shape (8, 3)."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        return self.physical(list(itertools.product(*ends)))

    def bounds_lps(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest LPS coordinate of any voxel centre."""
        corners = self.corner_centres_lps
        return corners.min(axis=0), corners.max(axis=0)

    def axis_bounds_lps(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest LPS coordinate reached along the grid's own axes, through its middle.

        For an axis-aligned grid these are :meth:`bounds_lps`. An oblique grid's bounding box is larger: it holds the
        corners that stick out, in which there is little but air.
        """
        middle = self.physical((np.asarray(self.size) - 1) / 2)
        half = (np.asarray(self.size) - 1) / 2 * np.asarray(self.spacing_mm)
        reach = (np.abs(np.asarray(self.direction)) * half).max(axis=1)
        return middle - reach, middle + reach

    def is_axis_aligned(self, tolerance: float = 1e-5) -> bool:
        """True when every index axis runs along L, P or S (flips and permutations included)."""
        d = np.abs(np.asarray(self.direction))
        return bool(np.all((d < tolerance) | (np.abs(d - 1.0) < tolerance)))

    def is_close(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """Same size and the same position of every voxel within a tolerance."""
        if self.size != other.size:
            return False
        gap = np.abs(self.corner_centres_lps - other.corner_centres_lps).max()
        return bool(gap <= tolerance_mm)

    def to_dict(self) -> dict:
        """As JSON; LPS millimetres, axes (x, y, z)."""
        return {
            "size": list(self.size),
            "spacing_mm": list(self.spacing_mm),
            "origin_mm": list(self.origin_mm),
            "direction": [list(row) for row in self.direction],
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> Geometry:
        """Rebuild from :meth:`to_dict`."""
        return cls(data["size"], data["spacing_mm"], data["origin_mm"], data["direction"])

    def cropped(self, start_xyz, size_xyz) -> Geometry:
        """The sub-grid that starts at an index (which may be negative: padding)."""
        return replace(self, size=tuple(size_xyz), origin_mm=tuple(self.physical(start_xyz)))


@dataclass(frozen=True)
class Volume:
    """Voxels with their geometry. No bare array travels without it.

    Attributes
    ----------
    array : shape (z, y, x)
    geometry : Geometry
    """

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self):
        if self.array.shape != self.geometry.shape:
            raise GeometryError(f"array of shape {self.array.shape} (z, y, x) on a grid of shape {self.geometry.shape}")

    def with_array(self, array: np.ndarray) -> Volume:
        return Volume(array, self.geometry)

    def trimmed(self) -> Volume:
        """The part that holds everything but 0, and one voxel around it; a single voxel where all is 0.

        It says where things are as the whole volume does, in a thousandth of the voxels.
        """
        box = bounding_box(self.array, margin=1) or (slice(0, 1),) * 3
        part = self.array[box]
        return Volume(part, self.geometry.cropped([s.start for s in reversed(box)], part.shape[::-1]))


def geometry_of_image(image: sitk.Image) -> Geometry:
    return Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3)))


def volume_from_image(image: sitk.Image) -> Volume:
    return Volume(sitk.GetArrayFromImage(image), geometry_of_image(image))


def image_from_volume(volume: Volume) -> sitk.Image:
    """SimpleITK image of a volume; a bool array becomes uint8."""
    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    g = volume.geometry
    image.SetSpacing(g.spacing_mm)
    image.SetOrigin(g.origin_mm)
    image.SetDirection(np.asarray(g.direction).ravel().tolist())
    return image
