"""A synthetic ROI for the radiomics benchmark: 200 x 200 x 310 mm, one primary tumour and three nodes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mmpl.geometry import Geometry

GRID = Geometry(size=(200, 200, 310), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0))
TUMOUR = ((175, 95, 100), (17.5, 16.0, 17.0))  # centre and semi-axes (z, y, x), mm: about 20 mL
NODES = (((160, 90, 140), 9.5), ((145, 100, 146), 9.0), ((150, 92, 60), 8.6))  # about 10 mL together


def make_case(seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """CT in HU, PET in SUV, and the masks; arrays (z, y, x)."""
    rng = np.random.default_rng(seed)
    masks = {"GTVp": _ellipsoid(*TUMOUR), "GTVn": np.zeros(GRID.shape, bool)}
    for centre, radius in NODES:
        masks["GTVn"] |= _ellipsoid(centre, (radius, radius, radius))
    body = _ellipsoid((155, 100, 100), (260, 80, 75))
    tissue = ndimage.gaussian_filter(rng.standard_normal(GRID.shape, dtype=np.float32), 1.2)
    ct = np.where(body, 40 + 160 * tissue, -1000 + 40 * tissue)
    ct[_ellipsoid((150, 150, 100), (200, 18, 18))] += 500  # spine
    ct[_ellipsoid((165, 85, 92), (60, 9, 9))] = -990  # airway beside the tumour
    uptake = ndimage.gaussian_filter(rng.standard_normal(GRID.shape, dtype=np.float32), 2.5)
    hot = ndimage.gaussian_filter((10 * masks["GTVp"] + 7 * masks["GTVn"]).astype(np.float32), 3)
    pet = np.where(body, 1.2 + 4 * uptake, 0.05) + hot * (1 + 3 * uptake)
    return ct.astype(np.float32), np.clip(pet, 0, None).astype(np.float32), masks


def _ellipsoid(centre, axes) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, n) for n in GRID.shape)]
    return sum(((g - c) / a) ** 2 for g, c, a in zip(grids, centre, axes, strict=True)) <= 1
