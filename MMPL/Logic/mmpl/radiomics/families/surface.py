"""The mesh around a mask: area and volume by marching cubes half-way between voxel centres.

A cube has its corners at eight neighbouring voxel centres. Its piece of the surface are loops through the middles of
those edges that join an inside and an outside corner, cut into triangles. Two choices are free, and they decide the
last per cent of the area; both are made here by a rule that gives pyradiomics' numbers for every one of the 256 cubes:

- a face with two inside corners across a diagonal can be cut two ways: the inside corners are kept apart, unless the
  cube's corner ``PIVOT`` is inside, then the outside ones are (a cube and its complement share one surface);
- a loop is cut as a fan from the vertex that lies farthest from another one of the loop; a loop of seven from the
  vertex on its mirror plane.

Reference: Lorensen and Cline, Computer Graphics 1987;21:163-169 (marching cubes).
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))  # (z, y, x); corner k is bit k of a cube's code
PIVOT = 6  # (1, 1, 0)

Edge = tuple[int, int]  # two corners, the smaller first
Loop = list[Edge]


def surface_and_volume(inside: np.ndarray, spacing_mm: np.ndarray) -> tuple[float, float]:
    """Area in mm2 and volume in mm3 of the mesh around a mask.

    The volume is the sum of signed tetrahedra seen from the corner of the box one voxel around the mask. (Where two
    voxels touch only at an edge the mesh may have a slit; there the corner matters, and it is pyradiomics'.)

    Parameters
    ----------
    inside : bool array, shape (z, y, x)
    spacing_mm : (z, y, x)
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    area, volume, vector = _tables(tuple(spacing))
    codes = cube_codes(inside)
    cubes = np.nonzero((codes != 0) & (codes != 255))
    cut = codes[cubes]
    lever = np.einsum("ij,ij->i", np.stack(cubes, axis=1) * spacing, vector[cut]) / 3
    return float(area[cut].sum()), float((volume[cut] + lever).sum())


def cube_codes(inside: np.ndarray) -> np.ndarray:
    """Which corners of each cube are inside: uint8 array, one larger than the mask along each axis."""
    padded = np.pad(inside, 1).astype(np.uint8)
    shape = tuple(n - 1 for n in padded.shape)
    codes = np.zeros(shape, np.uint8)
    for bit, corner in enumerate(CORNERS):
        codes |= padded[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))] << bit
    return codes


@cache
def _tables(spacing_zyx_mm: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each code: area, volume seen from the cube's first corner, and the area vector pointing outwards."""
    area, volume, vector = np.zeros(256), np.zeros(256), np.zeros((256, 3))
    for code, triangles in enumerate(all_triangles()):
        a, b, c = np.moveaxis(triangles * np.array(spacing_zyx_mm), 1, 0)
        normal = np.cross(b - a, c - a) / 2
        area[code] = np.linalg.norm(normal, axis=1).sum()
        vector[code] = normal.sum(axis=0)
        volume[code] = np.einsum("ij,ij->", a, normal) / 3
    return area, volume, vector


@cache
def all_triangles() -> tuple[np.ndarray, ...]:
    """The triangles of each of the 256 cubes: float arrays, shape (n, 3 vertices, zyx), unit cube, facing outwards."""
    return tuple(_triangles(np.array([bool(code >> k & 1) for k in range(8)])) for code in range(256))


def _triangles(inside: np.ndarray) -> np.ndarray:
    found = []
    for loop in _loops(inside):
        points = np.array([CORNERS[list(edge)].mean(axis=0) for edge in loop])
        if not _faces_outwards(points, loop, inside):
            points = points[::-1]
        points = np.roll(points, -_apex(points), axis=0)
        found += [points[[0, k, k + 1]] for k in range(1, len(points) - 1)]
    return np.array(found).reshape(-1, 3, 3)


def _loops(inside: np.ndarray) -> list[Loop]:
    """Closed ways through the cut edges, from face to face."""
    neighbours: dict[Edge, list[Edge]] = {}
    for one, other in itertools.chain.from_iterable(_cuts(face, inside) for face in _faces()):
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    loops = []
    while neighbours:
        here, loop = next(iter(neighbours)), []
        while here is not None:
            loop.append(here)
            here = next((edge for edge in neighbours.pop(here) if edge in neighbours), None)
        loops.append(loop)
    return loops


def _faces() -> list[list[int]]:
    """The corners of each face, in turn around it."""
    faces = []
    for axis, side in itertools.product(range(3), (0, 1)):
        around = [np.insert(pair, axis, side) for pair in ((0, 0), (0, 1), (1, 1), (1, 0))]
        faces.append([int(corner @ (4, 2, 1)) for corner in around])
    return faces


def _cuts(face: list[int], inside: np.ndarray) -> list[tuple[Edge, Edge]]:
    """The pairs of edges that the surface joins across a face."""
    edges = [tuple(sorted((face[k], face[(k + 1) % 4]))) for k in range(4)]  # edge k leaves corner k
    cut = [k for k in range(4) if inside[face[k]] != inside[face[(k + 1) % 4]]]
    if len(cut) < 4:
        return [(edges[cut[0]], edges[cut[1]])] if cut else []
    kept_apart = not inside[PIVOT]
    return [(edges[k - 1], edges[k]) for k in range(4) if inside[face[k]] == kept_apart]


def _faces_outwards(points: np.ndarray, loop: Loop, inside: np.ndarray) -> bool:
    """Whether the loop turns so that its area vector points from the inside corners of its edges to the outside."""
    vector = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    outwards = sum((CORNERS[b] - CORNERS[a]) * (1 if inside[a] else -1) for a, b in loop)
    return vector @ outwards > 0


def _apex(points: np.ndarray) -> int:
    """Index of the vertex that the fan starts from."""
    distances = np.sort(((points[:, None] - points[None]) ** 2).sum(axis=2), axis=1)
    if len(points) == 7:
        _, first, count = np.unique(distances, axis=0, return_index=True, return_counts=True)
        return int(first[count == 1][0])
    return int(distances[:, -1].argmax())
