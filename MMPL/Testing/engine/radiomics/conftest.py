"""Fixtures of the radiomics tests.

The IBSI 1 digital phantom, arrays (z, y, x), 2 mm voxels: theibsi/data_sets, CC BY 4.0;
Zwanenburg et al., Radiology 2020;295:328-338.
"""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.geometry import Geometry, Volume

GEOMETRY = Geometry(size=(5, 4, 4), spacing_mm=(2.0, 2.0, 2.0), origin_mm=(0.0, 0.0, 0.0))

IMAGE = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [1, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 1, 1, 1], [1, 1, 9, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ],
    dtype=np.float32,
)

OUTSIDE = [(1, 2, 0), (2, 0, 3), (2, 0, 4), (2, 2, 2), (3, 0, 3), (3, 0, 4)]


@pytest.fixture(scope="session")
def ibsi_image():
    return Volume(IMAGE, GEOMETRY)


@pytest.fixture(scope="session")
def ibsi_mask():
    mask = np.ones(IMAGE.shape, dtype=bool)
    mask[tuple(np.transpose(OUTSIDE))] = False
    return Volume(mask, GEOMETRY)
