"""Lesion shapes hold the volume they were given, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mmpl.case import GTVN, GTVP
from mmpl.phantom.anatomy import draw_anatomy
from mmpl.phantom.factors import draw_factors, patient_streams
from mmpl.phantom.lesions import Waves, draw_lesions, paint_lesion

SEED = 3


@pytest.fixture(scope="module")
def lesions():
    found = []
    for index in range(12):
        factors = draw_factors(SEED, index)
        _, anatomy_rng, lesion_rng, _ = patient_streams(SEED, index)
        anatomy = draw_anatomy(anatomy_rng, male=1, metal=False, contrast_hu=80.0)
        found += draw_lesions(lesion_rng, factors.tumour, anatomy)
    return found


def _paint(lesion, spacing_mm):
    lines = [np.arange(c - 60, c + 60, s) for c, s in zip(lesion.centre_mm, spacing_mm, strict=True)]
    allowed = np.ones([len(line) for line in lines[::-1]], bool)
    return paint_lesion(lesion, *lines, allowed)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.4, 1.4, 2.5)])
def test_volume_is_the_one_asked_for_on_every_grid(lesions, spacing_mm):
    for lesion in lesions:
        volume_ml = _paint(lesion, spacing_mm).mask.sum() * np.prod(spacing_mm) / 1000
        assert volume_ml == pytest.approx(lesion.volume_ml, rel=0.10, abs=0.05)


def test_a_lesion_is_one_piece_and_holds_its_box(lesions):
    for lesion in lesions:
        mask = _paint(lesion, (1.0, 1.0, 1.0)).mask
        assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
        faces = [mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1]]
        assert not any(face.any() for face in faces)


def test_core_is_cold_dark_and_of_the_fraction_asked_for():
    factors = next(f for f in (draw_factors(SEED, i) for i in range(100)) if f.tumour.primary_necrosis > 0.3)
    anatomy = draw_anatomy(np.random.default_rng(0), male=1, metal=False, contrast_hu=80.0)
    lesion = draw_lesions(np.random.default_rng(0), factors.tumour, anatomy)[0]
    painted = _paint(lesion, (1.0, 1.0, 1.0))
    core = painted.mask & (painted.hu == painted.hu.min())
    assert core.sum() / painted.mask.sum() == pytest.approx(factors.tumour.primary_necrosis, abs=0.03)
    rim = painted.mask & ~core
    assert painted.suv[core].max() < 0.5 * np.median(painted.suv[rim])
    assert np.median(painted.hu[rim]) > 60


def test_lesions_keep_apart(lesions):
    assert {lesion.label for lesion in lesions} == {GTVP, GTVN}
    for index in range(12):
        factors = draw_factors(SEED, index)
        _, anatomy_rng, lesion_rng, _ = patient_streams(SEED, index)
        anatomy = draw_anatomy(anatomy_rng, male=1, metal=False, contrast_hu=80.0)
        here = draw_lesions(lesion_rng, factors.tumour, anatomy)
        assert [lesion.label for lesion in here] == [GTVP] * (factors.tumour.primary_ml > 0) + [GTVN] * len(
            factors.tumour.node_ml
        )
        for k, one in enumerate(here):
            for other in here[:k]:
                assert np.linalg.norm(one.centre_mm - other.centre_mm) > 5.0


def test_waves_agree_on_lines_and_on_points():
    rng = np.random.default_rng(4)
    waves = Waves(rng.normal(0, 0.3, (5, 3)), rng.uniform(0, 6, 5))
    x, y, z = np.linspace(-9, 9, 4), np.linspace(-7, 8, 5), np.linspace(0, 12, 6)
    points = np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None]), axis=-1)
    by_hand = np.sqrt(2 / 5) * sum(np.cos(points @ k + phase) for k, phase in zip(waves.k, waves.phase, strict=True))
    np.testing.assert_allclose(waves(x, y, z), by_hand, atol=1e-5)
    np.testing.assert_allclose(waves.at(points.astype(np.float32)), by_hand, atol=1e-5)


def test_a_lesion_outside_the_grid_paints_nothing(lesions):
    line = np.arange(0.0, 10.0)
    assert paint_lesion(lesions[0], line + 1e4, line, line, np.ones((10, 10, 10), bool)) is None
