"""Outlines of one plane that overlap without one lying inside the other: by even-odd, what they share is left out."""

from __future__ import annotations

import itertools

import numpy as np

from mmpl.io.dicom.contours import inside_outlines, outlines_by_plane

INSET_MM = 0.1  # outlines that reach less far into one another only touch
SAMPLE_MM = 2.0  # edges are looked at once in every such length


def crossing_planes(contours: tuple[np.ndarray, ...]) -> tuple[int, int]:
    """How many planes have outlines that overlap and are not nested, and how many planes there are.

    Outlines that share a border or differ by less than a tenth of a millimetre do not overlap.

    Parameters
    ----------
    contours : closed contours, each a float64 array of LPS points in mm, shape (n, 3)

    Returns
    -------
    (crossing, all) : (0, 0) where contours do not lie in parallel planes
    """
    planes = outlines_by_plane(contours)
    return sum(_has_crossing(outlines) for outlines in planes), len(planes)


def _has_crossing(outlines: tuple[np.ndarray, ...]) -> bool:
    boxes = [(outline.min(axis=0), outline.max(axis=0)) for outline in outlines]
    near = (
        (a, b)
        for a, b in itertools.combinations(range(len(outlines)), 2)
        if np.all(boxes[a][0] + INSET_MM < boxes[b][1]) and np.all(boxes[b][0] + INSET_MM < boxes[a][1])
    )
    return any(_cross(outlines[a], outlines[b]) for a, b in near)


def _cross(one: np.ndarray, other: np.ndarray) -> bool:
    in_other, in_one = _inside(_just_within(one), other), _inside(_just_within(other), one)
    nested = in_other.all() or in_one.all()
    return bool((in_other.any() or in_one.any()) and not nested)


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Which points (u, v), sorted by v, lie inside."""
    return inside_outlines(points[:, 0], points[:, 1], [outline])


def _just_within(outline: np.ndarray) -> np.ndarray:
    """Points along an outline, a little inside it, sorted by v; shape (n, 2)."""
    edges = np.roll(outline, -1, axis=0) - outline
    lengths = np.linalg.norm(edges, axis=1)
    counts = np.ceil(lengths / SAMPLE_MM).astype(int)  # none on an edge of no length
    edge = np.repeat(np.arange(len(edges)), counts)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / counts[edge]
    on_outline = outline[edge] + share[:, None] * edges[edge]
    inwards = INSET_MM * np.column_stack([-edges[edge, 1], edges[edge, 0]]) / lengths[edge, None]
    both_sides = np.concatenate([on_outline + inwards, on_outline - inwards])
    both_sides = both_sides[np.argsort(both_sides[:, 1], kind="stable")]
    return both_sides[_inside(both_sides, outline)]
