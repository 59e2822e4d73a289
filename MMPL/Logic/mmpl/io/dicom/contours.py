"""Planar contours: which belong together, which planes they lie in, and how much of space each plane stands for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError

FLAT_MM = 0.2  # points of one contour differ by less along the normal
SAME_PLANE_MM = 0.05  # so do contours of one plane
LEAST_AREA_MM2 = 1e-6
NEIGHBOURS = 1.1  # planes up to this many usual steps apart are neighbours: between them there is no gap
THINNEST_MM = 0.5  # of slices: planes that are nearer say nothing of the usual step
UNUSUALLY_NEAR = 0.5  # of the usual step


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
    """One part of a structure, plane by plane.

    Attributes
    ----------
    axes : 3 x 3 rows u, v and normal, in LPS; right-handed, and x, y, z for contours in axial planes
    slabs : by rising position along the normal; each ends where the next begins
    """

    axes: np.ndarray
    slabs: tuple[Slab, ...]

    @property
    def volume_ml(self) -> float:
        """Contour area times the thickness that each plane stands for, whatever the image's grid."""
        return float(sum(slab.volume_ml for slab in self.slabs))


def parts_of(roi: Roi, single_plane_mm: float) -> tuple[Planes, ...]:
    """Sort a structure's contours into parts, and those of a part into parallel planes.

    Parts lie beside each other as seen along the normal, or have a gap between their planes. What lies beside is drawn
    on planes of its own: nodes of both sides need not be on the same slices.

    The usual step of what lies beside the rest is the median distance of its neighbouring planes; with fewer than
    three planes, which say little, it is that of the whole structure set. A plane reaches half-way to its neighbours;
    where the next plane is more than 1.1 usual steps away (a gap, or the end), it reaches half a usual step.

    Parameters
    ----------
    roi : Roi with at least one contour
    single_plane_mm : the usual step for contours in one plane without ``spacing_mm``

    Raises
    ------
    InputError
        If the contours do not lie in parallel planes.
    """
    axes = _axes(normal_of(roi.contours))
    flat = _turned(roi.contours, axes)
    if not _are_parallel(flat):
        raise InputError(
            f"the contours of structure {roi.name!r} do not lie in parallel planes: export it as contours on slices"
        )
    parts = []
    for beside in _side_by_side(flat):
        planes = _by_plane(beside)
        bounds = _bounds(np.array([position for position, _ in planes]), roi.spacing_mm, single_plane_mm)
        slabs = [Slab(float(a), float(b), outlines) for (a, b), (_, outlines) in zip(bounds, planes, strict=True)]
        gaps = [n for n in range(1, len(slabs)) if slabs[n].low_mm - slabs[n - 1].high_mm > SAME_PLANE_MM]
        parts += [Planes(axes, tuple(slabs[a:b])) for a, b in itertools.pairwise([0, *gaps, len(slabs)])]
    return tuple(parts)


def outlines_by_plane(contours: tuple[np.ndarray, ...]) -> list[tuple[np.ndarray, ...]]:
    """Contours as (u, v) in mm, those of one plane together; none where they do not lie in parallel planes."""
    flat = _turned(contours, _axes(normal_of(contours))) if contours else []
    return [outlines for _, outlines in _by_plane(flat)] if flat and _are_parallel(flat) else []


def plane_steps_mm(contours: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Distances of neighbouring planes of whatever lies beside the rest, as :func:`parts_of` sees it."""
    flat = _turned(contours, _axes(normal_of(contours)))
    return [np.diff([position for position, _ in _by_plane(beside)]) for beside in _side_by_side(flat)]


def usual_step_mm(steps: np.ndarray) -> float:
    """Median of distances of planes, the lower one of two; of those of slices, where there are any."""
    of_slices = steps[steps >= THINNEST_MM]
    return float(np.quantile(of_slices if len(of_slices) else steps, 0.5, method="lower"))


def nearest_planes_mm(contours: tuple[np.ndarray, ...]) -> tuple[float, float] | None:
    """Planes of one part that are less than half a usual step apart: their distance, and the usual one; else None."""
    for steps in plane_steps_mm(contours):
        if len(steps) and (nearest := float(steps.min())) < UNUSUALLY_NEAR * usual_step_mm(steps):
            return nearest, usual_step_mm(steps)
    return None


def _turned(contours: tuple[np.ndarray, ...], axes: np.ndarray) -> list[np.ndarray]:
    """Points as (u, v, depth)."""
    return [contour @ axes.T for contour in contours]


def _are_parallel(flat: list[np.ndarray]) -> bool:
    return all(np.ptp(points[:, 2]) <= FLAT_MM for points in flat)


def _by_plane(flat: list[np.ndarray]) -> list[tuple[float, tuple[np.ndarray, ...]]]:
    """Position along the normal and outlines of each plane."""
    depths = np.array([points[:, 2].mean() for points in flat])
    order = np.argsort(depths, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(depths[order]) > SAME_PLANE_MM) + 1)
    return [(float(depths[group].mean()), tuple(flat[k][:, :2] for k in group)) for group in groups]


def _side_by_side(flat: list[np.ndarray]) -> list[list[np.ndarray]]:
    """Contours that lie beside the others, seen along the normal: those whose boxes overlap, in turn, are together."""
    low = np.array([points[:, :2].min(axis=0) for points in flat])
    high = np.array([points[:, :2].max(axis=0) for points in flat])
    group = np.arange(len(flat))
    for n in range(1, len(flat)):
        meets = ((low[:n] <= high[n]) & (low[n] <= high[:n])).all(axis=1)
        if meets.any():
            met = np.unique(group[:n][meets])
            group[: n + 1][np.isin(group[: n + 1], [*met, n])] = met[0]
    return [[flat[n] for n in np.flatnonzero(group == number)] for number in np.unique(group)]


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
        usual = usual_step_mm(steps)
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
