"""Fused PET-over-CT pictures through each lesion, as PNG.

Radiological convention: the patient's right is on the left of axial and coronal pictures, superior is up;
in sagittal pictures anterior is on the left.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from mmpl.components import connected
from mmpl.errors import GeometryError
from mmpl.geometry import Geometry
from mmpl.report.contours import dashes, outlines, smoothed
from mmpl.segments import SEGMENTS

CT_WINDOW_HU = 350.0
CT_LEVEL_HU = 40.0
PET_TOP_SUV = 10.0
PET_TOP_ALPHA = 0.65
CROP_MM = 100
MARGIN_MM = 15
UPSAMPLING = 3
OVERSAMPLING = 3  # contours and letters are drawn finer still, then averaged down
LINE_PX = 2.2
HALO_PX = 1.0
DASH_PX, GAP_PX = 6.0, 4.0
SCALE_BAR_MM = 20
AIR_HU = -1024.0


@dataclass(frozen=True)
class Plane:
    """How a plane of a (z, y, x) array in LPS becomes a picture.

    Attributes
    ----------
    name : what people call it
    across : array axis the plane is perpendicular to
    upside_down : True when the first row of the array's plane belongs at the bottom (z grows cranially)
    letters : left, right, top, bottom of the picture
    """

    name: str
    across: int
    upside_down: bool
    letters: tuple[str, str, str, str]


PLANES = (
    Plane("axial", 0, False, ("R", "L", "A", "P")),
    Plane("coronal", 1, True, ("R", "L", "S", "I")),
    Plane("sagittal", 2, True, ("A", "P", "S", "I")),
)


@dataclass(frozen=True)
class PlanePicture:
    """One PNG.

    Attributes
    ----------
    plane : "axial", "coronal" or "sagittal"
    position_mm : LPS coordinate of the slice along its normal
    side_mm : width and height of what is seen
    png : bytes
    """

    plane: str
    position_mm: float
    side_mm: int
    png: bytes


@dataclass(frozen=True)
class LesionPicture:
    """The three planes through one lesion.

    Attributes
    ----------
    class_name : "GTVp" or "GTVn"
    component_id : its id in the results, or None for a lesion of the model that a correction took out
    pictures : axial, coronal, sagittal; none where nothing of it lies on the scene's grid
    pet_top_suv : SUV that is drawn fully hot, or None where the PET is not in SUV
    """

    class_name: str
    component_id: int | None
    pictures: tuple[PlanePicture, ...]
    pet_top_suv: float | None

    @property
    def title(self) -> str:
        if self.component_id is None:
            return f"{self.class_name}, removed by the correction"
        return f"{self.class_name} {self.component_id}"


@dataclass(frozen=True)
class Scene:
    """What the pictures are cut from, all on one 1 mm grid in LPS with identity direction.

    Attributes
    ----------
    ct_hu, pet_suv : float arrays, shape (z, y, x)
    labels : uint8 label map, shape (z, y, x): the contours that count, drawn solid
    model_labels : the model's own label map where a correction was made, drawn dashed; or None
    geometry : Geometry
    pet_top_suv : SUV at which the overlay is fully hot; None where the PET is not in SUV, and the overlay
        then reaches its top at the PET's 99.9th percentile on the grid

    Raises
    ------
    GeometryError
        If the shapes differ, or the grid is not 1 mm with identity direction.
    """

    ct_hu: np.ndarray
    pet_suv: np.ndarray
    labels: np.ndarray
    geometry: Geometry
    model_labels: np.ndarray | None = None
    pet_top_suv: float | None = PET_TOP_SUV

    def __post_init__(self):
        arrays = [self.ct_hu, self.pet_suv, self.labels]
        arrays += [] if self.model_labels is None else [self.model_labels]
        shapes = {array.shape for array in arrays}
        if shapes != {self.geometry.shape}:
            raise GeometryError(f"pictures need every array on the grid {self.geometry.shape}, got {shapes}")
        identity = np.allclose(self.geometry.direction, np.eye(3), atol=1e-6)
        if not identity or not np.allclose(self.geometry.spacing_mm, 1.0, atol=1e-6):
            raise GeometryError("pictures need a 1 mm grid with identity direction: resample the case first")

    @cached_property
    def overlay_top(self) -> float:
        """PET value that is drawn fully hot; above 0."""
        if self.pet_top_suv is not None:
            return self.pet_top_suv
        return float(np.percentile(self.pet_suv, 99.9)) or 1.0


def lesion_pictures(scene: Scene, lesions: dict) -> list[LesionPicture]:
    """Pictures through every lesion of the results, then through lesions that a correction took out.

    Parameters
    ----------
    scene : Scene
    lesions : the "lesions" of ``Results.as_dict()``: components with id, centroid_lps_mm and volume_ml

    Returns
    -------
    list of LesionPicture : GTVp first, each class by component id
    """
    pictures = []
    for label, segment in SEGMENTS.items():
        parts, count = connected(scene.labels == label)
        components = lesions[segment.name]["components"]
        for component, part in zip(components, _part_of_each(components, parts, count, scene.geometry), strict=True):
            if part is None:
                pictures.append(LesionPicture(segment.name, component["id"], (), scene.pet_top_suv))
                continue
            centre = centre_voxel(parts == part, scene.geometry, component["centroid_lps_mm"])
            pictures.append(_lesion_picture(scene, segment.name, component["id"], parts, centre))
        for removed in removed_lesions(scene, label):
            middle = np.argwhere(removed).mean(axis=0)[::-1]
            centre = centre_voxel(removed, scene.geometry, scene.geometry.physical(middle))
            pictures.append(_lesion_picture(scene, segment.name, None, removed.astype(int), centre))
    return pictures


def _part_of_each(components: Sequence[dict], parts: np.ndarray, count: int, geometry: Geometry) -> list[int | None]:
    """Which part of the grid each component of the results is: as near and as large as can be, each part once.

    The results' components are of the CT's own grid, and one of them may lie outside this one: that has no part.
    """
    if not components or not count:
        return [None] * len(components)
    numbers = np.arange(1, count + 1)
    middles = np.array([geometry.physical(zyx[::-1]) for zyx in ndimage.center_of_mass(parts > 0, parts, numbers)])
    boxes = [[edge.stop - edge.start for edge in box] for box in ndimage.find_objects(parts)]
    radii = _radius_mm(np.bincount(parts.ravel(), minlength=count + 1)[1:].astype(float))  # voxels of 1 mm
    wanted = np.array([component["centroid_lps_mm"] for component in components], dtype=float)
    own_radii = _radius_mm(1000.0 * np.array([component["volume_ml"] for component in components]))
    apart = np.linalg.norm(wanted[:, None] - middles[None], axis=2)
    rows, columns = linear_sum_assignment(apart + abs(own_radii[:, None] - radii[None]))
    found: list[int | None] = [None] * len(components)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if apart[row, column] <= np.linalg.norm(boxes[column]) / 2 + own_radii[row]:
            found[row] = column + 1
    return found


def _radius_mm(volume_mm3: np.ndarray) -> np.ndarray:
    """Of a ball of that volume."""
    return np.cbrt(3 * volume_mm3 / (4 * np.pi))


def centre_voxel(mask: np.ndarray, geometry: Geometry, centroid_lps_mm) -> tuple[int, int, int]:
    """Array index (z, y, x) to cut through: the centroid, or the mask voxel nearest to it."""
    wanted = np.rint(geometry.index(centroid_lps_mm))[::-1].astype(int)
    wanted = np.clip(wanted, 0, np.asarray(mask.shape) - 1)
    if mask[tuple(wanted)] or not mask.any():
        return tuple(wanted.tolist())
    voxels = np.argwhere(mask)
    return tuple(voxels[np.argmin(((voxels - wanted) ** 2).sum(axis=1))].tolist())


def removed_lesions(scene: Scene, label: int) -> list[np.ndarray]:
    """26-connected lesions of one class in the model's contours that no corrected contour touches."""
    if scene.model_labels is None:
        return []
    parts, count = connected(scene.model_labels == label)
    kept = set(np.unique(parts[scene.labels > 0]).tolist())
    return [parts == part for part in range(1, count + 1) if part not in kept]


def _lesion_picture(scene, class_name, component_id, parts, centre) -> LesionPicture:
    side = _side_mm(parts, centre)
    pictures = tuple(
        PlanePicture(
            plane.name,
            float(scene.geometry.physical(centre[::-1])[2 - plane.across]),
            side,
            plane_png(scene, plane, centre, side),
        )
        for plane in PLANES
    )
    return LesionPicture(class_name, component_id, pictures, scene.pet_top_suv)


def _side_mm(parts: np.ndarray, centre: tuple[int, int, int]) -> int:
    """100 mm, or more for a lesion that needs it: one scale for all but the largest."""
    part = parts[centre]
    if part == 0:
        return CROP_MM
    box = ndimage.find_objects(parts)[part - 1]
    reach = max(max(c - edge.start, edge.stop - c) for c, edge in zip(centre, box, strict=True))
    return max(CROP_MM, 2 * (reach + MARGIN_MM))


def plane_png(scene: Scene, plane: Plane, centre: tuple[int, int, int], side_mm: int) -> bytes:
    """PNG of one plane through a voxel, ``side_mm`` wide and high, three pixels a millimetre."""
    picture = fused_rgb(
        plane_crop(scene.ct_hu, plane, centre, side_mm, AIR_HU),
        plane_crop(scene.pet_suv, plane, centre, side_mm, 0.0),
        scene.overlay_top,
    )
    image = Image.fromarray(picture)
    corrected = plane_crop(scene.labels, plane, centre, side_mm, 0)
    if scene.model_labels is not None:
        model = plane_crop(scene.model_labels, plane, centre, side_mm, 0)
        _draw_contours(image, model, dashed=True)
    _draw_contours(image, corrected, dashed=False)
    _draw_marks(image, plane)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def plane_crop(array: np.ndarray, plane: Plane, centre: tuple[int, int, int], side: int, outside: float) -> np.ndarray:
    """A square of one plane around a voxel, rows and columns as on screen; padded beyond the grid.

    Parameters
    ----------
    array : shape (z, y, x)
    plane : Plane
    centre : (z, y, x) index
    side : voxels
    outside : value beyond the grid

    Returns
    -------
    array, shape (side, side)
    """
    flat = np.take(array, centre[plane.across], axis=plane.across)
    start = [c - side // 2 for axis, c in enumerate(centre) if axis != plane.across]
    square = np.full((side, side), outside, dtype=array.dtype)
    source = tuple(slice(max(s, 0), min(s + side, n)) for s, n in zip(start, flat.shape, strict=True))
    target = tuple(slice(a.start - s, a.stop - s) for a, s in zip(source, start, strict=True))
    square[target] = flat[source]
    return square[::-1] if plane.upside_down else square


def fused_rgb(ct_hu: np.ndarray, pet_suv: np.ndarray, top_suv: float = PET_TOP_SUV) -> np.ndarray:
    """CT in grey (window 350, level 40 HU) under PET in hot colours, three times as many pixels a side.

    The overlay's opacity rises with the SUV, from none at 0 to 65 % at ``top_suv`` and above.

    Returns
    -------
    uint8 array, shape (3 rows, 3 columns, 3)
    """
    grey = np.clip((_enlarged(ct_hu) - CT_LEVEL_HU) / CT_WINDOW_HU + 0.5, 0.0, 1.0)
    heat = np.clip(_enlarged(pet_suv) / top_suv, 0.0, 1.0)
    alpha = (PET_TOP_ALPHA * np.sqrt(heat) * np.clip(4.0 * heat, 0.0, 1.0))[..., None]
    fused = (1.0 - alpha) * grey[..., None] + alpha * hot(heat)
    return np.rint(255.0 * fused).astype(np.uint8)


def hot(level: np.ndarray) -> np.ndarray:
    """Black, red, yellow, white for 0..1; shape (..., 3)."""
    return np.clip(np.stack((8 / 3 * level, 8 / 3 * level - 1, 4 * level - 3), axis=-1), 0.0, 1.0)


def _enlarged(values: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    size = (values.shape[1] * UPSAMPLING, values.shape[0] * UPSAMPLING)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def _draw_contours(image: Image.Image, labels: np.ndarray, *, dashed: bool) -> None:
    for label, segment in SEGMENTS.items():
        color = tuple(round(255 * c) for c in segment.color)
        if dashed:
            color = tuple(round(0.45 * c + 0.55 * 255) for c in color)
        lines = [smoothed(outline) for outline in outlines(labels == label)]
        if dashed:
            lines = [piece for line in lines for piece in dashes(line, DASH_PX / UPSAMPLING, GAP_PX / UPSAMPLING)]
        else:
            lines = [np.vstack((line, line[:1])) for line in lines]
        _stroke(image, lines, (0, 0, 0), LINE_PX + 2 * HALO_PX, opacity=0.6)
        _stroke(image, lines, color, LINE_PX)


def _stroke(image, lines, color, width_px: float, opacity: float = 1.0) -> None:
    """Anti-aliased polylines given in voxels."""
    fine = Image.new("L", (image.width * OVERSAMPLING, image.height * OVERSAMPLING), 0)
    pen = ImageDraw.Draw(fine)
    for line in lines:
        points = [tuple(point) for point in (line * UPSAMPLING * OVERSAMPLING).tolist()]
        pen.line(points, fill=255, width=round(width_px * OVERSAMPLING), joint="curve")
    coverage = fine.resize(image.size, Image.Resampling.BOX).point(lambda v: round(v * opacity))
    image.paste(color, (0, 0, image.width, image.height), coverage)


def _draw_marks(image: Image.Image, plane: Plane) -> None:
    """Orientation letters at the four sides and a scale bar at the lower left."""
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    width, height = image.size
    places = (
        (6, height / 2, "lm"),
        (width - 6, height / 2, "rm"),
        (width / 2, 5, "mt"),
        (width / 2, height - 5, "mb"),
    )
    for letter, (x, y, anchor) in zip(plane.letters, places, strict=True):
        pen.text((x, y), letter, fill="white", font=font, anchor=anchor, stroke_width=1, stroke_fill="black")
    left, bottom, length = 10, height - 10, SCALE_BAR_MM * UPSAMPLING
    pen.rectangle((left - 1, bottom - 4, left + length + 1, bottom), fill="black")
    pen.rectangle((left, bottom - 3, left + length, bottom - 1), fill="white")
    small = ImageFont.load_default(size=12)
    pen.text(
        (left, bottom - 6),
        f"{SCALE_BAR_MM} mm",
        fill="white",
        font=small,
        anchor="lb",
        stroke_width=1,
        stroke_fill="black",
    )
