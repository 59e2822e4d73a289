"""What the networks are shown while they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpl.preprocess.field_of_view import outcome_patch
from mmpl.training.config import AugmentationConfig
from mmpl.training.patches import OutcomePatches, SegmentationPatches

SPACING_MM = 8.0  # patches of 16 voxels, cut 32 wide


def _segmentation(path, augmentation, seed=0):
    return SegmentationPatches([path], SPACING_MM, augmentation, seed)


def test_half_of_the_crops_are_centred_on_foreground(tmp_path, write_arrays, no_augmentation):
    image = np.zeros((2, 64, 64, 64))
    label = np.zeros((2, 64, 64, 64))
    label[1, 30:34, 28:31, 33:36] = 255
    data = _segmentation(write_arrays(tmp_path / "a.npz", image, label), no_augmentation)
    targets = [data[0][1] for _ in range(200)]
    assert targets[0].shape == (2, 16, 16, 16)
    centred = np.mean([float(t[1, 7:9, 7:9, 7:9].max()) == 1 for t in targets])
    assert centred == pytest.approx(0.5, abs=0.1)  # 3 standard errors


def test_image_and_label_are_cut_alike(tmp_path, write_arrays, no_augmentation):
    label = (np.random.default_rng(0).random((2, 40, 40, 40)) > 0.9) * 255
    data = _segmentation(write_arrays(tmp_path / "a.npz", label / 255, label), no_augmentation)
    for _ in range(5):
        image, target = data[0]
        torch.testing.assert_close(image, target, atol=1e-5, rtol=0)
        assert 0.05 < float(target.mean()) < 0.2


def test_augmentation_moves_image_and_label_together(tmp_path, write_arrays):
    smooth = np.zeros((2, 40, 40, 40))
    smooth[:, 14:26, 14:26, 14:26] = 1
    only_moves = AugmentationConfig(
        probability=1.0, shift_mm=16, intensity_scale=0.0, intensity_shift=0.0, noise_std=0.0
    )
    data = _segmentation(write_arrays(tmp_path / "a.npz", smooth, smooth * 255), only_moves)
    seen = [data[0] for _ in range(8)]
    for image, target in seen:  # channel 0: PET is padded with its minimum, 0 here, as the label is
        torch.testing.assert_close(image[0], target[0], atol=1e-4, rtol=0)
    assert len({float(target.sum()) for _, target in seen}) == 8


def test_crops_of_small_volumes_find_the_lesion(tmp_path, write_arrays, no_augmentation):
    """The volume is smaller than a crop in y and x: crop centres must count in the padded grid."""
    label = np.zeros((2, 70, 20, 20))
    label[0, 58:61, 9:12, 9:12] = 255
    data = _segmentation(write_arrays(tmp_path / "a.npz", np.zeros((2, 70, 20, 20)), label), no_augmentation)
    found = np.mean([float(data[0][1][0].max()) == 1 for _ in range(100)])
    assert found > 0.4  # the foreground half sees it; a few of the others do


def test_crops_lie_wherever_an_inference_window_can(tmp_path, write_arrays, no_augmentation):
    """From the first window start to the last: a corner is seen in a patch's corner, as inference shows it."""
    image = np.zeros((2, 39, 25, 25))
    image[0] = np.arange(25)
    label = np.zeros_like(image)
    label[0, :2, :2, :2] = label[1, -2:, -2:, -2:] = 255
    data = _segmentation(write_arrays(tmp_path / "a.npz", image, label), no_augmentation)
    starts = {round(float(data[0][0][0, 0, 0, 0])) for _ in range(200)}
    assert min(starts) == 0
    assert max(starts) == 25 - 16


def test_wide_fields_are_cut_when_asked_for(tmp_path, write_arrays, no_augmentation):
    ramp = np.broadcast_to(np.arange(40.0), (2, 60, 40, 40))
    path = write_arrays(tmp_path / "a.npz", ramp, (ramp > 30) * 255)
    data = SegmentationPatches([path], SPACING_MM, no_augmentation, 0, wide_mm=(256.0, 128.0, 200.0))
    assert data[0][0].shape == (2, 16, 16, 16)
    data.set_wide(True)
    for _ in range(20):
        image, target = data[0]
        assert image.shape == target.shape == (2, 32, 16, 32)
        torch.testing.assert_close((image > 30.5).float(), target, atol=0, rtol=0)
    data.set_wide(False)
    assert data[0][1].shape == (2, 16, 16, 16)


def test_a_wide_field_beyond_the_roi_is_the_roi_in_air(tmp_path, write_arrays, no_augmentation):
    image = np.random.default_rng(0).integers(0, 9, (2, 39, 25, 25))
    label = (image > 5) * 255
    path = write_arrays(tmp_path / "a.npz", image, label)
    data = SegmentationPatches([path], SPACING_MM, no_augmentation, 0, wide_mm=(320.0, 256.0, 256.0))
    data.set_wide(True)
    for _ in range(3):  # there is only one such crop
        field, target = (part.numpy().round(3) for part in data[0])
        assert field.shape == target.shape == (2, 48, 32, 32)
        np.testing.assert_array_equal(field[:, 4:43, 3:28, 3:28], image)
        np.testing.assert_array_equal(target[:, 4:43, 3:28, 3:28], label / 255)
        assert field[1].sum() == image[1].sum() - (48 * 32 * 32 - 39 * 25 * 25)  # CT air is -1
        assert target.sum() == label.sum() / 255


def test_small_volumes_are_padded_with_air(tmp_path, write_arrays, no_augmentation):
    image = np.ones((2, 8, 8, 8))
    image[0] = 3
    image[0, 0, 0, 0] = -2
    path = write_arrays(tmp_path / "a.npz", image, np.zeros((2, 8, 8, 8)))
    patch, target = _segmentation(path, no_augmentation)[0]
    assert patch.shape == (2, 16, 16, 16)
    assert float(patch[0, 0, 0, 0]) == pytest.approx(-2, abs=1e-5)
    assert float(patch[1, -1, -1, -1]) == pytest.approx(-1, abs=1e-5)
    assert float(target.max()) == 0


def test_no_lesion_at_all_is_no_obstacle(tmp_path, write_arrays, no_augmentation):
    path = write_arrays(tmp_path / "a.npz", np.zeros((2, 40, 40, 40)), np.zeros((2, 40, 40, 40)))
    assert float(_segmentation(path, no_augmentation)[0][1].max()) == 0


@pytest.mark.parametrize("centre_mm", [(160, 100, 100), (160, 40, 170), (5, 5, 5), (300, 199, 120)])
def test_outcome_patch_is_inferences_own(tmp_path, write_arrays, no_augmentation, centre_mm):
    """Without augmentation training looks exactly where inference will, near the border too."""
    image = np.random.default_rng(0).normal(size=(2, 39, 25, 25)).astype(np.float16)
    path = write_arrays(tmp_path / "a.npz", image, np.zeros_like(image))
    data = OutcomePatches([path], [np.array(centre_mm)], [np.array([1.0])], SPACING_MM, no_augmentation, 0)
    patch, target = data[0]
    np.testing.assert_allclose(patch.numpy(), outcome_patch(image.astype(np.float32), centre_mm, SPACING_MM), atol=1e-4)
    assert target.tolist() == [1.0]


def test_outcome_patch_is_jittered_in_training(tmp_path, write_arrays):
    image = np.zeros((2, 39, 25, 25))
    image[0, 19:22, 12:14, 12:14] = 1
    path = write_arrays(tmp_path / "a.npz", image, np.zeros_like(image))
    shifts = AugmentationConfig(
        probability=1.0, rotation_deg=0, scale=0, shear=0, intensity_scale=0, intensity_shift=0, noise_std=0
    )
    data = OutcomePatches([path], [np.array((163, 104, 104))], [np.array([1.0])], SPACING_MM, shifts, 0)
    grid = np.indices((16, 16, 16)).reshape(3, -1)
    centroids = []
    for _ in range(30):
        weights = data[0][0][0].numpy().ravel()
        centroids.append((grid * weights).sum(axis=1) / weights.sum())
    spread_mm = (np.max(centroids, axis=0) - np.min(centroids, axis=0)) * SPACING_MM
    assert (spread_mm > 8).all()
    assert (spread_mm < 16.5).all()  # +- 8 mm


def test_the_random_state_decides(tmp_path, write_random):
    path = write_random(tmp_path / "a.npz", 0)
    for make in (
        lambda seed: _segmentation(path, AugmentationConfig(), seed),
        lambda seed: OutcomePatches(
            [path], [np.array((100, 90, 110))], [np.array([0.0])], SPACING_MM, AugmentationConfig(), seed
        ),
    ):
        first, second, other = make(5), make(5), make(6)
        assert torch.equal(first[0][0], second[0][0])
        assert not torch.equal(first[0][0], other[0][0])
        first.transform.set_random_state(9)
        second.transform.set_random_state(9)
        assert torch.equal(first[0][0], second[0][0])


def test_crops_are_centred_on_either_class_alike(tmp_path, write_arrays, no_augmentation):
    # a node of 1000 voxels and a tumour of 8: neither may crowd the other out
    label = np.zeros((2, 64, 64, 64))
    label[0, 10:12, 10:12, 10:12] = 255
    label[1, 40:50, 40:50, 40:50] = 255
    data = _segmentation(write_arrays(tmp_path / "a.npz", np.zeros((2, 64, 64, 64)), label), no_augmentation)
    seen = np.array([data[0][1].amax(dim=(1, 2, 3)).numpy() for _ in range(300)])
    assert seen[:, 0].mean() == pytest.approx(0.25, abs=0.1)
    assert seen[:, 1].mean() > 0.2


def test_mirroring_swaps_left_and_right_of_image_and_label(tmp_path, write_arrays):
    label = np.zeros((2, 40, 40, 40))
    label[:, 14:26, 14:26, 14:20] = 255
    image = np.broadcast_to(np.arange(40.0), (2, 40, 40, 40)) / 40
    always = AugmentationConfig(probability=0.0, mirror=1.0)
    never = AugmentationConfig(probability=0.0)
    path = write_arrays(tmp_path / "a.npz", image, label)
    (swapped, target), (plain, truth) = (_segmentation(path, how)[0] for how in (always, never))
    torch.testing.assert_close(swapped.flip(-1), plain)
    torch.testing.assert_close(target.flip(-1), truth)
    (swapped, _), (plain, _) = (
        OutcomePatches([path], [np.array([160, 160, 160])], [np.zeros(1)], SPACING_MM, how, 0)[0]
        for how in (always, never)
    )
    torch.testing.assert_close(swapped.flip(-1), plain)
