"""Storage orientation moves voxels' indices, never their places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmpl.geometry import Geometry, Volume
from mmpl.phantom.scanner import SCANNERS, lesion_volume_ml, reorient


@pytest.fixture
def volume():
    geometry = Geometry((2, 3, 4), (1.0, 2.0, 3.0), (10.0, -20.0, 5.0))
    return Volume(np.arange(24, dtype=np.int16).reshape(4, 3, 2), geometry)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (False, True, False)])
def test_every_voxel_stays_in_its_place(volume, axes, flips):
    stored = reorient(volume, axes, flips)
    assert stored.geometry.size == tuple(volume.geometry.size[a] for a in axes)
    for k, j, i in np.ndindex(stored.array.shape):
        place = stored.geometry.physical((i, j, k))
        x, y, z = np.rint(volume.geometry.index(place)).astype(int)
        np.testing.assert_allclose(volume.geometry.physical((x, y, z)), place, atol=1e-9)
        assert volume.array[z, y, x] == stored.array[k, j, i]


def test_flip_of_z_by_hand(volume):
    stored = reorient(volume, (0, 1, 2), (False, False, True))
    assert stored.geometry.origin_mm == (10.0, -20.0, 14.0)
    assert np.diag(stored.geometry.direction).tolist() == [1.0, 1.0, -1.0]
    np.testing.assert_array_equal(stored.array, volume.array[::-1])


def test_centres_differ_and_some_store_otherwise():
    assert len({s.ct_spacing_mm for s in SCANNERS.values()}) == 6
    assert len({s.pet_spacing_mm for s in SCANNERS.values()}) == 6
    assert any(s.ct_flips[2] for s in SCANNERS.values())
    assert any(s.ct_flips[:2] == (True, True) for s in SCANNERS.values())
    assert any(s.ct_axes != (0, 1, 2) for s in SCANNERS.values())
    for s in SCANNERS.values():
        assert 180 <= s.ct_size <= 220
        assert 255 <= s.ct_size * s.ct_spacing_mm[0] <= 330


def test_volume_of_a_class_by_hand(volume):
    labels = np.zeros((4, 3, 2), np.uint8)
    labels[0, 0] = 1
    assert lesion_volume_ml(volume.with_array(labels), 1) == pytest.approx(2 * 6 / 1000)
    assert lesion_volume_ml(volume.with_array(labels), 2) == 0
