"""One CT is told from another on the same grid."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.fingerprint import fingerprint


@pytest.fixture
def ct() -> np.ndarray:
    """Air round a body that every 64th voxel would miss."""
    hu = np.full((64, 128, 128), -1000.0, np.float32)
    hu[:, 40:90, 70:100] = np.random.default_rng(1).normal(40, 20, (64, 50, 30))
    return hu


def test_another_body_on_the_same_grid_has_another_fingerprint(ct):
    other = ct.copy()
    other[:, 40:90, 70:100] += 5.0
    assert fingerprint(other) != fingerprint(ct)
    assert fingerprint(ct[:, :, ::-1]) != fingerprint(ct)
    assert fingerprint(ct.reshape(32, 256, 128)) != fingerprint(ct)


def test_how_a_program_keeps_whole_hu_does_not_count(ct):
    whole = np.rint(ct)
    kept = [whole, whole.astype(np.int16), whole.astype(np.float64) + 1e-6, np.asfortranarray(whole)]
    assert len({fingerprint(one) for one in kept}) == 1


def test_what_is_no_number_or_no_hu_has_one_too():
    assert len(fingerprint(np.array([[[np.nan, np.inf, -np.inf, 1e9]]]))) == 24
