"""A small synthetic head on coarse grids, storable in any order."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.case import Case
from mmpl.geometry import Geometry, Volume

BRAIN_LPS = (12.0, -30.0, 140.0)
BRAIN_RADIUS_MM = 40.0


def _sphere(geometry: Geometry, centre_lps, radius_mm: float) -> np.ndarray:
    k, j, i = np.indices(geometry.shape)
    points = geometry.physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm(points - np.asarray(centre_lps), axis=-1) <= radius_mm


@pytest.fixture(scope="session")
def sphere():
    """(geometry, centre_lps, radius_mm) -> bool voxels within the radius, shape (z, y, x)."""
    return _sphere


@pytest.fixture(scope="session")
def brain_lps():
    """Centre of the case's hot sphere, whose radius is 40 mm."""
    return BRAIN_LPS


@pytest.fixture(scope="session")
def a_case():
    """Warm body, hot brain sphere; the CT is a smooth function of space. The grids do not match."""
    pet = Geometry((61, 59, 101), (4, 4, 4), (-110.0, -140.0, -200.0))
    ct = Geometry((64, 63, 136), (4, 4, 3), (-116.3, -148.6, -203.1))
    pet_array = 1.0 + 9.0 * _sphere(pet, BRAIN_LPS, BRAIN_RADIUS_MM)
    k, j, i = np.indices(ct.shape)
    x, y, z = np.moveaxis(ct.physical(np.stack([i, j, k], axis=-1)), -1, 0)
    ct_array = 400 * np.sin(x / 30) + 300 * np.cos(y / 25) + 200 * np.sin(z / 20)
    return Case("head", Volume(ct_array.astype(np.float32), ct), Volume(pet_array.astype(np.float32), pet), "SUVbw")
