"""Outlines of a 2-D mask: along voxel edges, so that the area inside is exactly the mask's."""

from __future__ import annotations

import itertools

import numpy as np

Point = tuple[int, int]


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed outlines of a mask along its voxel edges.

    Parameters
    ----------
    mask : bool array, shape (rows, columns)

    Returns
    -------
    list of float arrays, shape (n, 2) : (x, y) corners of voxel edges, x along columns, where voxel
        (row, column) spans column..column + 1 and row..row + 1. The last point joins the first. Outer
        borders enclose a positive area (shoelace, y downwards) and holes a negative one, so that the
        signed areas add up to the number of voxels. Voxels that touch at a corner only stay apart.
    """
    ways = _directed_edges(np.asarray(mask, dtype=bool))
    loops = []
    while ways:
        start = next(iter(ways))
        loops.append(np.asarray(_walk(ways, start), dtype=float))
    return loops


def _directed_edges(mask: np.ndarray) -> dict[Point, list[Point]]:
    """From corner to corner with the mask on the right-hand side as seen with y downwards."""
    padded = np.pad(mask, 1)
    centre = padded[1:-1, 1:-1]
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),  # nothing above: left to right along the top
        (padded[1:-1, 2:], (1, 0), (1, 1)),  # nothing to the right: downwards
        (padded[2:, 1:-1], (1, 1), (0, 1)),  # nothing below: right to left
        (padded[1:-1, :-2], (0, 1), (0, 0)),  # nothing to the left: upwards
    )
    ways: dict[Point, list[Point]] = {}
    for neighbour, (x0, y0), (x1, y1) in sides:
        rows, columns = np.nonzero(centre & ~neighbour)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            ways.setdefault((column + x0, row + y0), []).append((column + x1, row + y1))
    return ways


def _walk(ways: dict[Point, list[Point]], start: Point) -> list[Point]:
    loop = [start]
    step = (0, 0)
    while True:
        here = loop[-1]
        following = _turn(ways, here, step)
        if following == start:
            return loop
        step = (following[0] - here[0], following[1] - here[1])
        loop.append(following)


def _turn(ways: dict[Point, list[Point]], here: Point, step: Point) -> Point:
    """Leave a corner; where two voxels touch only there, turn right to stay on the same voxel."""
    choices = ways[here]
    right = (here[0] - step[1], here[1] + step[0])
    following = right if right in choices else choices[0]
    choices.remove(following)
    if not choices:
        del ways[here]
    return following


def smoothed(outline: np.ndarray) -> np.ndarray:
    """A staircase outline as a line fit to draw: the middles of its edges, each averaged with its neighbours.

    Two rounds of weights 1/4, 1/2, 1/4, then one of corner cutting; the line stays within a voxel of the
    outline.

    References
    ----------
    Chaikin, Computer Graphics and Image Processing 1974;3:346-349.
    """
    line = (outline + np.roll(outline, -1, axis=0)) / 2
    for _ in range(2):
        line = (np.roll(line, 1, axis=0) + 2 * line + np.roll(line, -1, axis=0)) / 4
    after = np.roll(line, -1, axis=0)
    return np.stack((0.75 * line + 0.25 * after, 0.25 * line + 0.75 * after), axis=1).reshape(-1, 2)


def dashes(outline: np.ndarray, dash: float, gap: float) -> list[np.ndarray]:
    """Pieces of a closed outline, each ``dash`` long with ``gap`` between, in the outline's units.

    Both lengths are stretched a little so that a whole number of them goes round.
    """
    closed = np.vstack((outline, outline[:1]))
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    count = max(1, round(along[-1] / (dash + gap)))
    starts = np.linspace(0.0, along[-1], count, endpoint=False)
    length = along[-1] / count * dash / (dash + gap)
    return [_piece(closed, along, start, start + length) for start in starts]


def _piece(closed: np.ndarray, along: np.ndarray, start: float, end: float) -> np.ndarray:
    inner = along[(along > start) & (along < end)]
    stops = np.concatenate(([start], inner, [end]))
    return np.column_stack([np.interp(stops, along, closed[:, axis]) for axis in (0, 1)])


def signed_area(outline: np.ndarray) -> float:
    """Shoelace area of a closed outline with y downwards: positive when it runs clockwise on screen."""
    return sum(
        0.5 * (x0 * y1 - x1 * y0) for (x0, y0), (x1, y1) in itertools.pairwise([*outline.tolist(), outline[0].tolist()])
    )
