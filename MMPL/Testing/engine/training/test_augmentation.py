"""Random changes of a patch: MONAI's, made at once and in one thread."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import Affine, RandAffine, RandGaussianNoise, RandScaleIntensity, RandShiftIntensity
from scipy import stats

from mmpl.training.augmentation import Changes, _affine
from mmpl.training.config import AugmentationConfig
from mmpl.training.warp import warped, warped_shares

CROP, SIZE = (40, 33, 36), (24, 17, 20)
ALWAYS = AugmentationConfig(probability=1.0, shift_mm=12.0, rotation_deg=25.0, scale=0.2, shear=0.1)
NOTHING_MOVES = AugmentationConfig(probability=1.0, shift_mm=0, rotation_deg=0, scale=0, shear=0)


def _drawn(seed, how=ALWAYS, spacing_mm=2.0):
    return Changes.drawn(how, spacing_mm, np.random.default_rng(seed))


def _without_colours(seed, **how):
    grey = {"intensity_scale": 0, "intensity_shift": 0, "noise_std": 0}
    settings = {"probability": 1.0, "shift_mm": 12.0, "rotation_deg": 25.0, **grey, **how}
    return _drawn(seed, AugmentationConfig(**settings))


@pytest.mark.parametrize("seed", range(6))
def test_moves_are_monais(seed):
    crop = np.random.default_rng(seed).normal(size=(2, *CROP)).astype(np.float32)
    changes = _without_colours(seed)
    theirs = Affine(affine=torch.from_numpy(changes.affine), padding_mode="border", image_only=True)
    expected = theirs(torch.from_numpy(crop), spatial_size=SIZE).as_tensor().numpy()
    np.testing.assert_allclose(changes.image(crop, SIZE), expected, atol=2e-4)


@pytest.mark.parametrize("seed", range(6))
def test_labels_move_as_images_do(seed):
    """The quick way, which looks only where something is labelled, gives what the plain way gives."""
    draw = np.random.default_rng(seed)
    label = np.zeros((2, *CROP), np.uint8)
    for channel in range(2)[seed % 2 :]:
        low = draw.integers(0, 20, 3)
        label[(channel, *(slice(a, a + 9 + 9 * (seed > 2)) for a in low))] = 100 + 155 * channel
    if seed == 5:
        label[0, 0, :, 3] = label[1, :, -1, -1] = 255  # at the very border, which is what lies beyond
    changes = _without_colours(seed, mirror=seed % 2)
    moved = changes.label(label, SIZE)
    np.testing.assert_allclose(moved, changes.image(label.astype(np.float32) / 255, SIZE), atol=2e-5)
    assert moved.max() > 0
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("spacing_mm", [1.0, 4.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_crop_wider_by_the_reach_holds_all_that_is_looked_up(seed, spacing_mm):
    """A ramp stays one: beyond the crop its border would be repeated, as a kink."""
    size = (48, 40, 44)
    grey = AugmentationConfig(probability=1.0, intensity_scale=0, intensity_shift=0, noise_std=0)
    changes = _drawn(seed, grey, spacing_mm)
    reach = changes.reach(size)
    wider = tuple(n + 2 * r for n, r in zip(size, reach, strict=True))
    image = changes.image(_ramps(wider), size)
    for axis in (1, 2, 3):
        np.testing.assert_allclose(np.diff(image, 2, axis=axis), 0, atol=1e-4)
    narrower = tuple(n - 4 for n in wider)  # two voxels less on either side
    kinked = changes.image(_ramps(narrower), size)
    assert max(np.abs(np.diff(kinked, 2, axis=axis)).max() for axis in (1, 2, 3)) > 1e-2


def _ramps(size):
    """Two channels that rise along z and y, and along x."""
    z, y, x = np.indices(size).astype(np.float32)
    return np.stack([z + y, x])


def test_what_does_not_move_reaches_nowhere():
    assert _drawn(0, AugmentationConfig(probability=0.0)).reach(SIZE) == (0, 0, 0)


def test_nothing_labelled_is_nothing():
    assert not _drawn(0).label(np.zeros((2, *CROP), np.uint8), SIZE).any()


def test_without_a_move_the_middle_is_kept_to_the_bit():
    crop = np.random.default_rng(0).normal(size=(2, *CROP)).astype(np.float32)
    still = AugmentationConfig(probability=0.0)
    middle = crop[:, 8:32, 8:25, 8:28]
    np.testing.assert_array_equal(_drawn(0, still).image(crop, SIZE), middle)
    mirrored = _drawn(0, AugmentationConfig(probability=0.0, mirror=1.0))
    np.testing.assert_array_equal(mirrored.image(crop, SIZE), middle[..., ::-1])
    as_bytes = (crop > 0).astype(np.uint8) * 255
    np.testing.assert_array_equal(mirrored.label(as_bytes, SIZE), (middle > 0)[..., ::-1])
    nowhere = _drawn(0, AugmentationConfig(probability=1.0, shift_mm=0, rotation_deg=0, scale=0, shear=0))
    assert nowhere.affine is not None
    np.testing.assert_array_equal(nowhere.label(as_bytes, SIZE), middle > 0)


def test_mirroring_comes_after_the_move():
    crop = np.random.default_rng(1).normal(size=(2, *CROP)).astype(np.float32)
    plain, mirrored = (_without_colours(4, mirror=m).image(crop, SIZE) for m in (0.0, 1.0))
    np.testing.assert_allclose(mirrored, plain[..., ::-1], atol=1e-4)


def test_looking_up_by_hand():
    ramp = np.arange(8.0, dtype=np.float32).reshape(1, 2, 2, 2)
    half = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0.25]])
    np.testing.assert_allclose(
        warped(ramp, half, (2, 2, 3)), [[[[0.25, 0.75, 1], [1.25, 1.75, 2]], [[2.25, 2.75, 3], [3.25, 3.75, 4]]]]
    )
    shares = np.array([[[[0, 0], [0, 0]], [[0, 51], [0, 255]]]], np.uint8)
    np.testing.assert_allclose(warped_shares(shares, np.eye(3, 4), (2, 2, 2))[0, 1, :, 1], [0.2, 1.0])


# --- distributions ------------------------------------------------------------------------------------

DRAWS = 2000


def _alike(ours, theirs):
    """Two samples of one distribution: a Kolmogorov-Smirnov p that a fixed seed keeps where it is."""
    assert stats.ks_2samp(ours, theirs).pvalue > 0.001


def test_moves_are_spread_as_monais():
    how, spacing_mm = AugmentationConfig(), 2.0
    angle, shift = np.deg2rad(how.rotation_deg), how.shift_mm / spacing_mm
    theirs = RandAffine(
        prob=1.0,
        rotate_range=(angle,) * 3,
        shear_range=(how.shear,) * 6,
        translate_range=(shift,) * 3,
        scale_range=(how.scale,) * 3,
    ).rand_affine_grid
    theirs.set_random_state(0)
    of_monai = []
    for _ in range(DRAWS):
        theirs(spatial_size=(2, 2, 2))
        of_monai.append(theirs.get_transformation_matrix().numpy())
    draw = np.random.default_rng(0)
    ours, of_monai = np.stack([_affine(how, spacing_mm, draw) for _ in range(DRAWS)]), np.stack(of_monai)
    for row in range(3):
        for column in range(4):
            _alike(ours[:, row, column], of_monai[:, row, column])


def test_colours_are_spread_as_monais():
    how = AugmentationConfig(probability=1.0)
    ours = [_drawn(seed, how) for seed in range(DRAWS)]
    scale = RandScaleIntensity(how.intensity_scale, prob=1.0, channel_wise=True).set_random_state(1)
    shift = RandShiftIntensity(how.intensity_shift, prob=1.0).set_random_state(1)
    noise = RandGaussianNoise(prob=1.0, std=how.noise_std).set_random_state(1)
    zero, one = torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1)
    scaled = np.stack([scale(one).flatten().numpy() for _ in range(DRAWS)])
    for channel in range(2):
        _alike([c.factors[channel] for c in ours], scaled[:, channel])
    assert abs(np.corrcoef(np.array([c.factors for c in ours]).T)[0, 1]) < 0.05  # each channel on its own
    _alike([c.offset for c in ours], [float(shift(zero)[0]) for _ in range(DRAWS)])
    noisy = np.array([float(noise(zero)[0]) for _ in range(DRAWS)])
    drawn = [c.draw.standard_normal() * c.noise for c in ours if c.noise]
    assert np.mean([c.noise > 0 for c in ours]) == pytest.approx(0.5, abs=0.03)  # half as often as the rest
    _alike(drawn, noisy)


def test_colours_are_factor_then_offset_then_noise():
    crop = np.random.default_rng(2).normal(size=(2, *SIZE)).astype(np.float32)
    changes = next(c for c in (_drawn(seed, NOTHING_MOVES) for seed in range(9)) if c.noise)
    image = changes.image(crop, SIZE)
    plain = crop * np.array(changes.factors)[:, None, None, None] + changes.offset
    assert np.std(image - plain) == pytest.approx(changes.noise, rel=0.05)
    quiet = next(c for c in (_drawn(seed, NOTHING_MOVES) for seed in range(9)) if not c.noise)
    plain = crop * np.array(quiet.factors)[:, None, None, None] + quiet.offset
    np.testing.assert_allclose(quiet.image(crop, SIZE), plain, atol=1e-5)


def test_each_change_comes_as_often_as_the_settings_say():
    how = AugmentationConfig(probability=0.7, mirror=0.25)
    drawn = [_drawn(seed, how) for seed in range(2000)]
    for share, of in (
        (0.7, lambda c: c.affine is not None),
        (0.25, lambda c: c.mirrored),
        (0.7, lambda c: c.factors != (1.0, 1.0)),
        (0.7, lambda c: c.offset != 0),
        (0.35, lambda c: c.noise != 0),
    ):
        assert np.mean([of(c) for c in drawn]) == pytest.approx(share, abs=0.035)  # 3 standard errors
