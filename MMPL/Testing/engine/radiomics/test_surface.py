"""The mesh: hand-worked solids, and pyradiomics' own numbers for every cube there can be."""

from __future__ import annotations

import numpy as np
import pytest
from radiomics import cShape

from mmpl.radiomics.families.surface import CORNERS, all_triangles, surface_and_volume

SPACINGS = [(1.0, 1.0, 1.0), (1.0, 1.3, 1.7), (2.1, 0.7, 1.1)]


def of_pyradiomics(inside, spacing):
    padded = np.pad(inside, 1).astype(np.uint8)
    area, volume, _ = cShape.calculate_coefficients(padded, np.array(spacing, dtype=float))
    return area, volume


def test_one_voxel_is_an_octahedron():
    area, volume = surface_and_volume(np.ones((1, 1, 1), bool), (1, 1, 1))
    assert area == pytest.approx(np.sqrt(3))  # eight equilateral triangles of side sqrt(1/2)
    assert volume == pytest.approx(1 / 6)


def test_one_voxel_of_another_spacing():
    # semi-axes 1, 1.5, 2: each of the eight triangles has area |(1.5 * 2, 1 * 2, 1 * 1.5)| / 2
    area, volume = surface_and_volume(np.ones((1, 1, 1), bool), (2, 3, 4))
    assert area == pytest.approx(4 * np.sqrt(9 + 4 + 2.25))
    assert volume == pytest.approx(4 / 3 * 1 * 1.5 * 2)


def test_a_row_of_two_voxels():
    # a square column of side sqrt(1/2) and length 1 between the two halves of an octahedron
    area, volume = surface_and_volume(np.ones((1, 1, 2), bool), (1, 1, 1))
    assert area == pytest.approx(np.sqrt(3) + 4 * np.sqrt(0.5))
    assert volume == pytest.approx(1 / 6 + 0.5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_each_of_the_256_cubes_is_that_of_pyradiomics(spacing):
    ours, theirs = [], []
    for code, triangles in enumerate(all_triangles()):
        inside = np.zeros((2, 2, 2), bool)
        inside[tuple(CORNERS[[k for k in range(8) if code >> k & 1]].T)] = True
        a, b, c = np.moveaxis(triangles * np.array(spacing), 1, 0)
        normal = np.cross(b - a, c - a) / 2
        ours.append((np.linalg.norm(normal, axis=1).sum(), np.einsum("ij,ij->", a, normal) / 3))
        theirs.append(cShape.calculate_coefficients(inside.astype(np.uint8), np.array(spacing))[:2])
    assert np.array(ours) == pytest.approx(np.array(theirs), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("filled", [0.05, 0.2, 0.5, 0.8, 0.95])
def test_any_mask_has_the_surface_of_pyradiomics(filled):
    # salt and pepper: every ambiguous face, voxels that touch at edges and corners only, holes
    rng = np.random.default_rng(round(100 * filled))
    for _ in range(10):
        inside, spacing = rng.random((9, 8, 11)) < filled, rng.uniform(0.5, 3, 3)
        assert surface_and_volume(inside, spacing) == pytest.approx(of_pyradiomics(inside, spacing), rel=1e-10)


def test_a_ball_comes_near_the_sphere():
    inside = ((np.indices((65, 65, 65)) - 32) ** 2).sum(axis=0) <= 30.0**2
    area, volume = surface_and_volume(inside, (1, 1, 1))
    assert volume == pytest.approx(4 / 3 * np.pi * 30**3, rel=0.01)
    assert 4 * np.pi * 30**2 < area < 1.1 * 4 * np.pi * 30**2  # steps make it larger
