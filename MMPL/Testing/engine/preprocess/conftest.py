"""A small synthetic head on coarse grids, storable in any order."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.case import Case
from mmpl.geometry import Geometry, Volume

BRAIN_LPS = (12.0, -30.0, 140.0)  # centre of the hot sphere, mm
BRAIN_RADIUS_MM = 40.0


def sphere(geometry: Geometry, centre_lps, radius_mm: float) -> np.ndarray:
    """Voxels within a radius, shape (z, y, x)."""
    k, j, i = np.indices(geometry.shape)
    points = geometry.physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm(points - np.asarray(centre_lps), axis=-1) <= radius_mm


def head_case(pet: Geometry, ct: Geometry, case_id: str = "head") -> Case:
    """Warm body, hot brain sphere; the CT is a smooth ramp in space with some texture."""
    pet_array = 1.0 + 9.0 * sphere(pet, BRAIN_LPS, BRAIN_RADIUS_MM)
    k, j, i = np.indices(ct.shape)
    x, y, z = np.moveaxis(ct.physical(np.stack([i, j, k], axis=-1)), -1, 0)
    ct_array = 400 * np.sin(x / 30) + 300 * np.cos(y / 25) + 200 * np.sin(z / 20)
    return Case(case_id, Volume(ct_array.astype(np.float32), ct), Volume(pet_array.astype(np.float32), pet), "SUVbw")


@pytest.fixture
def pet_geometry():
    """240 x 232 x 400 mm at 4 mm."""
    return Geometry((61, 59, 101), (4, 4, 4), (-110.0, -140.0, -200.0))


@pytest.fixture
def ct_geometry():
    """252 x 248 x 405 mm, off the PET's lattice."""
    return Geometry((64, 63, 136), (4, 4, 3), (-116.3, -148.6, -203.1))


@pytest.fixture
def a_case(pet_geometry, ct_geometry):
    return head_case(pet_geometry, ct_geometry)
