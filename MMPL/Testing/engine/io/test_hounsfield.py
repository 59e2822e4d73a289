"""A CT that is not in HU."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.io.hounsfield import why_not_hu


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((-1000.0, 40.0), None),
        ((-3024.0, 3071.0), None),
        ((0.0, 1064.0), "reach from 0 to 1064, and hardly any is air (below -500 HU)"),
        ((0.0, 1.0), "reach from 0 to 1, and hardly any is air (below -500 HU)"),
        ((-1024.0, -1021.0), "reach from -1024 to -1021, and hardly any is tissue (above -500 HU)"),
        ((-1000.0, 40_000.0), "reach from -1000 to 40000, which no HU do"),
        ((-1.0e6, 40.0), "reach from -1e+06 to 40, which no HU do"),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_ct_that_is_not_in_hu_is_told(values, said, kind):
    array = np.full((3, 8, 8), values[1], kind)
    array[:, :2] = values[0]
    assert why_not_hu(array) == said


def test_a_little_air_is_enough():
    array = np.zeros((10, 10, 10), np.int16)
    array[0, 0] = -1000
    assert why_not_hu(array) is None
    array[0, 0, 0] = 0
    assert "hardly any is air" in why_not_hu(array)
