"""Outlines that are there twice: begun elsewhere, run backwards or rounded differently, they still cancel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mmpl.io.dicom.contours import SAME_PLANE_MM, area_vector_mm2

SAME_MM = 0.1  # as far as coordinates rounded to a tenth lie from the exact ones, and a little more
SAME_AREA = 0.01
SAMPLE_MM = 1.0  # edges are looked at once in every such length
AT_ONCE = 64  # neighbouring points, which are looked for on the edges near them only


def repeats(contours: Sequence[np.ndarray]) -> np.ndarray:
    """Which contours are an earlier one once more: of the same plane, of equal area, nowhere a tenth of a mm apart.

    By the even-odd rule two equal outlines leave nothing. A hole is no repeat unless its wall is thinner than that, nor
    is an outline that a keyhole's channel leads away from.

    Parameters
    ----------
    contours : closed contours, each a float64 array of LPS points in mm, shape (n, 3), n >= 3, with an area

    Returns
    -------
    bool array, shape (contours,)
    """
    found = np.zeros(len(contours), bool)
    for k, near in enumerate(_earlier_in_the_same_box(contours)):
        found[k] = any(_same(contours[k], contours[other]) for other in near)
    return found


def _earlier_in_the_same_box(contours: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """For each contour the numbers of the earlier ones that reach as far as it does on every side."""
    boxes = np.array([(*points.min(axis=0), *points.max(axis=0)) for points in contours]).reshape(-1, 6)
    sums = boxes.sum(axis=1)
    order = np.argsort(sums, kind="stable")
    first, last = (np.searchsorted(sums[order], sums + side * 6 * SAME_MM) for side in (-1, 1))
    for k, box in enumerate(boxes):
        near = order[first[k] : last[k]]
        near = near[near < k]
        yield near[np.abs(boxes[near] - box).max(axis=1) <= SAME_MM]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if np.array_equal(one, other):
        return True
    return _same_plane_and_area(one, other) and _lies_on(one, other) and _lies_on(other, one)


def _same_plane_and_area(one: np.ndarray, other: np.ndarray) -> bool:
    vector = area_vector_mm2(one)
    area, theirs = np.linalg.norm(vector), np.linalg.norm(area_vector_mm2(other))
    depth = (one.mean(axis=0) - other.mean(axis=0)) @ vector / area
    rounding = SAME_MM * np.linalg.norm(_edges(one), axis=1).sum()  # which counts in small outlines
    return abs(depth) <= SAME_PLANE_MM and abs(area - theirs) <= SAME_AREA * max(area, theirs) + rounding


def _lies_on(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether an outline, edges and all, is nowhere farther than ``SAME_MM`` from another one."""
    points, edges = _along(one), _edges(other)
    low, high = np.minimum(other, other + edges) - SAME_MM, np.maximum(other, other + edges) + SAME_MM
    for k in range(0, len(points), AT_ONCE):
        some = points[k : k + AT_ONCE]
        near = np.all((low <= some.max(axis=0)) & (high >= some.min(axis=0)), axis=1)
        if not near.any() or _distances_mm(some, other[near], edges[near]).max() > SAME_MM:
            return False
    return True


def _along(outline: np.ndarray) -> np.ndarray:
    """Corners, and points between them, shape (n, 3)."""
    edges = _edges(outline)
    counts = np.maximum(np.ceil(np.linalg.norm(edges, axis=1) / SAMPLE_MM).astype(int), 1)
    edge = np.repeat(np.arange(len(edges)), counts)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[edge]
    return outline[edge] + share[:, None] * edges[edge]


def _distances_mm(points: np.ndarray, starts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """From each point to the nearest of some edges, shape (points,)."""
    apart = points[:, None] - starts  # (point, edge, 3)
    length2 = np.maximum((edges**2).sum(axis=1), np.finfo(float).tiny)  # an edge of no length is its corner
    share = np.clip((apart * edges).sum(axis=2) / length2, 0.0, 1.0)
    return np.linalg.norm(apart - share[..., None] * edges, axis=2).min(axis=1)


def _edges(outline: np.ndarray) -> np.ndarray:
    return np.roll(outline, -1, axis=0) - outline
