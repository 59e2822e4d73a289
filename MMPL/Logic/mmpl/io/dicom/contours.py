"""Planar contours: which planes they lie in, and how much of space each plane stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError

FLAT_MM = 0.2  # points of one contour differ by less along the normal
SAME_PLANE_MM = 0.05  # so do contours of one plane
LEAST_AREA_MM2 = 1e-6
NEIGHBOURS = 1.1  # planes up to this many usual steps apart are neighbours: between them there is no gap


@dataclass(frozen=True)
class Roi:
    """One structure as it was drawn.

    Attributes
    ----------
    number : ROINumber, by which an RTSTRUCT refers to it
    name : as the planner typed it; "ROI 7" where there is none
    contours : closed contours, each a float64 array of LPS points in mm, shape (n, 3), n >= 3
    spacing_mm : usual distance of neighbouring planes in the whole structure set, which counts where this structure is
        drawn in fewer than three; None where nobody knows
    frame_of_reference_uid : the one the points are in; "" where it is not said
    """

    number: int
    name: str
    contours: tuple[np.ndarray, ...]
    spacing_mm: float | None = None
    frame_of_reference_uid: str = ""

    def __post_init__(self):
        for points in self.contours:
            problem = problem_with_contour(points)
            if problem:
                raise InputError(f"structure {self.name!r} has a contour with {problem}: export it again")


def problem_with_contour(points: np.ndarray) -> str | None:
    """What is wrong with a closed contour, as "a contour with ..." goes on; None when nothing is.

    Parameters
    ----------
    points : float array, shape (n, 3)
    """
    if not np.isfinite(points).all():
        return "a coordinate that is not a finite number"
    if len(points) < 3:
        return "fewer than 3 points"
    if np.linalg.norm(area_vector_mm2(points)) < LEAST_AREA_MM2:
        return "no area"
    return None


@dataclass(frozen=True)
class Slab:
    """What one contour plane stands for: all points from ``low_mm`` (included) to ``high_mm`` along the normal.

    Attributes
    ----------
    low_mm, high_mm : along the structure's normal
    outlines : the plane's contours as float64 arrays of (u, v) in mm, shape (n, 2)
    """

    low_mm: float
    high_mm: float
    outlines: tuple[np.ndarray, ...]

    @property
    def area_mm2(self) -> float:
        """Area by the shoelace formula; a contour inside another is a hole, one inside that an island."""
        areas = [_shoelace_mm2(outline) for outline in self.outlines]
        signs = [_nesting_sign(k, self.outlines, areas) for k in range(len(areas))]
        return float(sum(sign * area for sign, area in zip(signs, areas, strict=True)))

    @property
    def volume_ml(self) -> float:
        return self.area_mm2 * (self.high_mm - self.low_mm) / 1000.0


@dataclass(frozen=True)
class Planes:
    """A structure's contours, plane by plane.

    Attributes
    ----------
    axes : 3 x 3 rows u, v and normal, in LPS; right-handed, and x, y, z for contours in axial planes
    slabs : by rising position along the normal; they do not overlap
    """

    axes: np.ndarray
    slabs: tuple[Slab, ...]

    @property
    def volume_ml(self) -> float:
        """Contour area times the thickness that each plane stands for, whatever the image's grid."""
        return float(sum(slab.volume_ml for slab in self.slabs))


def planes_of(roi: Roi, single_plane_mm: float) -> Planes:
    """Sort a structure's contours into parallel planes.

    The usual step is the median distance of neighbouring planes; that of the whole structure set where this structure
    has fewer than three planes, which say little. A plane reaches half-way to its neighbours; where the next plane is
    more than 1.1 usual steps away (a gap, or the end), it reaches half a usual step.

    Parameters
    ----------
    roi : Roi with at least one contour
    single_plane_mm : the usual step for a structure in one plane without ``spacing_mm``

    Raises
    ------
    InputError
        If the contours do not lie in parallel planes.
    """
    axes = _axes(normal_of(roi.contours))
    planes = _by_plane(roi.contours, axes)
    if planes is None:
        raise InputError(
            f"the contours of structure {roi.name!r} do not lie in parallel planes: export it as contours on slices"
        )
    bounds = _bounds(np.array([position for position, _ in planes]), roi.spacing_mm, single_plane_mm)
    slabs = (Slab(float(low), float(high), outlines) for (low, high), (_, outlines) in zip(bounds, planes, strict=True))
    return Planes(axes, tuple(slabs))


def outlines_by_plane(contours: tuple[np.ndarray, ...]) -> list[tuple[np.ndarray, ...]]:
    """Contours as (u, v) in mm, those of one plane together; none where they do not lie in parallel planes."""
    planes = _by_plane(contours, _axes(normal_of(contours))) if contours else None
    return [outlines for _, outlines in planes or ()]


def _by_plane(contours: tuple[np.ndarray, ...], axes: np.ndarray) -> list[tuple[float, tuple[np.ndarray, ...]]] | None:
    """Position along the normal and outlines of each plane; None where contours are not parallel to the planes."""
    flat = [contour @ axes.T for contour in contours]
    if max(np.ptp(points[:, 2]) for points in flat) > FLAT_MM:
        return None
    depths = np.array([points[:, 2].mean() for points in flat])
    order = np.argsort(depths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(depths[order]) > SAME_PLANE_MM) + 1)
    return [(float(depths[group].mean()), tuple(flat[k][:, :2] for k in group)) for group in groups]


def plane_steps_mm(contours: tuple[np.ndarray, ...]) -> np.ndarray:
    """Distances of neighbouring contour planes, those within ``SAME_PLANE_MM`` taken for one; shape (planes - 1,)."""
    normal = normal_of(contours)
    depths = np.sort([(points @ normal).mean() for points in contours])
    steps = np.diff(depths)
    return steps[steps > SAME_PLANE_MM]


def area_vector_mm2(points: np.ndarray) -> np.ndarray:
    """Normal of a closed polygon, as long as its area (Newell), shape (3,)."""
    centred = points - points[0]
    return np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0) / 2.0


def normal_of(contours: tuple[np.ndarray, ...]) -> np.ndarray:
    """The planes' common unit normal, its largest component positive: large contours decide."""
    vectors = np.array([area_vector_mm2(points) for points in contours])
    largest = vectors[np.linalg.norm(vectors, axis=1).argmax()]
    signs = np.where(vectors @ largest < 0, -1.0, 1.0)
    total = (signs[:, None] * vectors).sum(axis=0)
    total /= np.linalg.norm(total)
    return total * np.sign(total[np.abs(total).argmax()])


def _axes(normal: np.ndarray) -> np.ndarray:
    """Rows u, v, normal: u is the LPS axis after the one that the normal is nearest to, laid into the plane.

    They do not depend on a grid, so that grids that hold the same voxels in another order get the same voxels.
    """
    u = np.eye(3)[(np.abs(normal).argmax() + 1) % 3]
    u = u - (u @ normal) * normal
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(normal, u), normal])


def _bounds(positions: np.ndarray, spacing_mm: float | None, single_plane_mm: float) -> np.ndarray:
    """Where each plane's slab begins and ends, shape (n, 2)."""
    steps = np.diff(positions)
    if len(steps) > 1:
        usual = float(np.median(steps))
    else:
        usual = spacing_mm or (float(steps[0]) if len(steps) else single_plane_mm)
    reach = np.where(steps <= NEIGHBOURS * usual, steps, usual) / 2.0
    half = [usual / 2.0]
    return np.stack([positions - np.concatenate([half, reach]), positions + np.concatenate([reach, half])], axis=1)


def _shoelace_mm2(outline: np.ndarray) -> float:
    u, v = (outline - outline[0]).T
    return abs(float(np.dot(u, np.roll(v, -1)) - np.dot(v, np.roll(u, -1)))) / 2.0


def _nesting_sign(which: int, outlines: tuple[np.ndarray, ...], areas: list[float]) -> int:
    """-1 for an outline inside an odd number of larger ones: a hole."""
    larger = [k for k in range(len(areas)) if (areas[k], -k) > (areas[which], -which)]
    inside = sum(_mostly_inside(outlines[which], outlines[k]) for k in larger)
    return -1 if inside % 2 else 1


def _mostly_inside(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether more than half of an outline's corners lie inside another: corners may touch it."""
    order = np.argsort(inner[:, 1], kind="stable")
    return bool(inside_outlines(inner[order, 0], inner[order, 1], [outer]).mean() > 0.5)


def inside_outlines(u: np.ndarray, v: np.ndarray, outlines) -> np.ndarray:
    """Which points lie inside closed outlines by the even-odd rule: contours of one plane combine by XOR.

    A point on an outline is inside where the inside lies towards larger u or v, so that two structures that share a
    border share no voxel. A keyhole's two sides cancel.

    Parameters
    ----------
    u, v : points in mm, shape (n,), sorted by v
    outlines : arrays of corners (u, v), shape (m, 2)

    Returns
    -------
    bool array, shape (n,)
    """
    low, high = _edges(outlines)
    first, last = np.searchsorted(v, low[:, 1]), np.searchsorted(v, high[:, 1])
    counts = last - first
    edge = np.repeat(np.arange(len(low)), counts)
    point = np.arange(len(edge)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    slope = (high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1])
    crossing = low[edge, 0] + (v[point] - low[edge, 1]) * slope[edge]
    beyond = point[u[point] < crossing]
    return np.bincount(beyond, minlength=len(u)) % 2 == 1


def _edges(outlines) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (u, v) of all edges but horizontal ones; an edge walked both ways is the same twice."""
    start = np.concatenate(outlines)
    end = np.concatenate([np.roll(outline, -1, axis=0) for outline in outlines])
    upwards = (start[:, 1] < end[:, 1])[:, None]
    low, high = np.where(upwards, start, end), np.where(upwards, end, start)
    sloped = low[:, 1] < high[:, 1]
    return low[sloped], high[sloped]
