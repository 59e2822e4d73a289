"""What the networks are shown while they learn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import torch
from monai.transforms import RandCropByPosNegLabeld

from mmpl.lengths import padded_voxels
from mmpl.preprocess.field_of_view import outcome_patch
from mmpl.preprocess.network_grid import background_values
from mmpl.segmentation.windows import padded_to
from mmpl.training.augmentation import Changes
from mmpl.training.cache import load_cached
from mmpl.training.config import AugmentationConfig
from mmpl.training.crops import FOREGROUND, INDEX_SAMPLE, MARGIN, cut_box
from mmpl.training.patches import OutcomePatches, SegmentationPatches, seed_everything

SPACING_MM = 8.0  # patches of 16 voxels, cut 32 wide


def _segmentation(path, augmentation, seed=0):
    return _segmentation_of([path], augmentation, seed)


def _segmentation_of(paths, augmentation, seed=0):
    return SegmentationPatches(paths, SPACING_MM, augmentation, seed)


def _seen(data, count, **how):
    """Patches of the first case, each of a seed of its own."""
    return [data.patch(0, seed, **how) for seed in range(count)]


def test_half_of_the_crops_are_centred_on_foreground(tmp_path, write_arrays, no_augmentation):
    image = np.zeros((2, 64, 64, 64))
    label = np.zeros((2, 64, 64, 64))
    label[1, 30:34, 28:31, 33:36] = 255
    data = _segmentation(write_arrays(tmp_path / "a", image, label), no_augmentation)
    targets = [target for _, target in _seen(data, 200)]
    assert targets[0].shape == (2, 16, 16, 16)
    centred = np.mean([float(t[1, 7:9, 7:9, 7:9].max()) == 1 for t in targets])
    assert centred == pytest.approx(0.5, abs=0.1)  # 3 standard errors


def test_image_and_label_are_cut_alike(tmp_path, write_arrays, no_augmentation):
    label = (np.random.default_rng(0).random((2, 40, 40, 40)) > 0.9) * 255
    data = _segmentation(write_arrays(tmp_path / "a", label / 255, label), no_augmentation)
    for image, target in _seen(data, 5):
        torch.testing.assert_close(image, target, atol=1e-5, rtol=0)
        assert 0.05 < float(target.mean()) < 0.2


def test_augmentation_moves_image_and_label_together(tmp_path, write_arrays):
    smooth = np.zeros((2, 40, 40, 40))
    smooth[:, 14:26, 14:26, 14:26] = 1
    only_moves = AugmentationConfig(
        probability=1.0, shift_mm=16, intensity_scale=0.0, intensity_shift=0.0, noise_std=0.0
    )
    data = _segmentation(write_arrays(tmp_path / "a", smooth, smooth * 255), only_moves)
    seen = _seen(data, 8)
    for image, target in seen:  # channel 0: PET is padded with its minimum, 0 here, as the label is
        torch.testing.assert_close(image[0], target[0], atol=1e-4, rtol=0)
    assert len({float(target.sum()) for _, target in seen}) == 8


def test_crops_of_small_volumes_find_the_lesion(tmp_path, write_arrays, no_augmentation):
    """The volume is smaller than a crop in y and x: crop centres must count in the padded grid."""
    label = np.zeros((2, 70, 20, 20))
    label[0, 58:61, 9:12, 9:12] = 255
    data = _segmentation(write_arrays(tmp_path / "a", np.zeros((2, 70, 20, 20)), label), no_augmentation)
    found = np.mean([float(target[0].max()) == 1 for _, target in _seen(data, 100)])
    assert found > 0.4  # the foreground half sees it; a few of the others do


def test_crops_lie_wherever_an_inference_window_can(tmp_path, write_arrays, no_augmentation):
    """From the first window start to the last: a corner is seen in a patch's corner, as inference shows it."""
    image = np.zeros((2, 39, 25, 25))
    image[0] = np.arange(25)
    label = np.zeros_like(image)
    label[0, :2, :2, :2] = label[1, -2:, -2:, -2:] = 255
    data = _segmentation(write_arrays(tmp_path / "a", image, label), no_augmentation)
    starts = {round(float(image[0, 0, 0, 0])) for image, _ in _seen(data, 200)}
    assert min(starts) == 0
    assert max(starts) == 25 - 16


def test_wide_fields_are_cut_when_asked_for(tmp_path, write_arrays, no_augmentation):
    ramp = np.broadcast_to(np.arange(40.0), (2, 60, 40, 40))
    path = write_arrays(tmp_path / "a", ramp, (ramp > 30) * 255)
    data = SegmentationPatches([path], SPACING_MM, no_augmentation, 0, wide_mm=(256.0, 128.0, 200.0))
    assert data.patch(0, 0)[0].shape == (2, 16, 16, 16)
    for image, target in _seen(data, 20, wide=True):
        assert image.shape == target.shape == (2, 32, 16, 32)
        torch.testing.assert_close((image > 30.5).float(), target, atol=0, rtol=0)
    assert data.patch(0, 0, wide=False)[1].shape == (2, 16, 16, 16)


def test_a_wide_field_beyond_the_roi_is_the_roi_in_air(tmp_path, write_arrays, no_augmentation):
    image = np.random.default_rng(0).integers(0, 9, (2, 39, 25, 25))
    label = (image > 5) * 255
    path = write_arrays(tmp_path / "a", image, label)
    data = SegmentationPatches([path], SPACING_MM, no_augmentation, 0, wide_mm=(320.0, 256.0, 256.0))
    for parts in _seen(data, 3, wide=True):  # there is only one such crop
        field, target = (part.numpy().round(3) for part in parts)
        assert field.shape == target.shape == (2, 48, 32, 32)
        np.testing.assert_array_equal(field[:, 4:43, 3:28, 3:28], image)
        np.testing.assert_array_equal(target[:, 4:43, 3:28, 3:28], label / 255)
        assert field[1].sum() == image[1].sum() - (48 * 32 * 32 - 39 * 25 * 25)  # CT air is -1
        assert target.sum() == label.sum() / 255


def test_small_volumes_are_padded_with_air(tmp_path, write_arrays, no_augmentation):
    image = np.ones((2, 8, 8, 8))
    image[0] = 3
    image[0, 0, 0, 0] = -2
    path = write_arrays(tmp_path / "a", image, np.zeros((2, 8, 8, 8)))
    patch, target = _segmentation(path, no_augmentation).patch(0, 0)
    assert patch.shape == (2, 16, 16, 16)
    assert float(patch[0, 0, 0, 0]) == pytest.approx(-2, abs=1e-5)
    assert float(patch[1, -1, -1, -1]) == pytest.approx(-1, abs=1e-5)
    assert float(target.max()) == 0


def test_no_lesion_at_all_is_no_obstacle(tmp_path, write_arrays, no_augmentation):
    path = write_arrays(tmp_path / "a", np.zeros((2, 40, 40, 40)), np.zeros((2, 40, 40, 40)))
    assert float(_segmentation(path, no_augmentation).patch(0, 0)[1].max()) == 0


@pytest.mark.parametrize("centre_mm", [(160, 100, 100), (160, 40, 170), (5, 5, 5), (300, 199, 120)])
def test_outcome_patch_is_inferences_own(tmp_path, write_arrays, no_augmentation, centre_mm):
    """Without augmentation training looks exactly where inference will, near the border too."""
    image = np.random.default_rng(0).normal(size=(2, 39, 25, 25)).astype(np.float16)
    path = write_arrays(tmp_path / "a", image, np.zeros_like(image))
    data = OutcomePatches([path], [np.array(centre_mm)], [np.array([1.0])], SPACING_MM, no_augmentation)
    patch, target = data.patch(0, 0)
    np.testing.assert_allclose(patch.numpy(), outcome_patch(image.astype(np.float32), centre_mm, SPACING_MM), atol=1e-4)
    assert target.tolist() == [1.0]


def test_outcome_patch_is_jittered_in_training(tmp_path, write_arrays):
    image = np.zeros((2, 39, 25, 25))
    image[0, 19:22, 12:14, 12:14] = 1
    path = write_arrays(tmp_path / "a", image, np.zeros_like(image))
    shifts = AugmentationConfig(
        probability=1.0, rotation_deg=0, scale=0, shear=0, intensity_scale=0, intensity_shift=0, noise_std=0
    )
    data = OutcomePatches([path], [np.array((163, 104, 104))], [np.array([1.0])], SPACING_MM, shifts)
    grid = np.indices((16, 16, 16)).reshape(3, -1)
    centroids = []
    for image, _ in _seen(data, 30):
        weights = image[0].numpy().ravel()
        centroids.append((grid * weights).sum(axis=1) / weights.sum())
    spread_mm = (np.max(centroids, axis=0) - np.min(centroids, axis=0)) * SPACING_MM
    assert (spread_mm > 8).all()
    assert (spread_mm < 16.5).all()  # +- 8 mm


def test_a_patch_is_a_function_of_its_seed(tmp_path, write_random):
    """Whatever was made before it, and in whatever thread: so a resumed run sees what an uninterrupted one would."""
    paths = [write_random(tmp_path / f"P{n}", n) for n in range(3)]
    centres, targets = [np.array((100, 90, 110))] * 3, [np.zeros(1)] * 3
    for data in (
        _segmentation_of(paths, AugmentationConfig(), 5),
        OutcomePatches(paths, centres, targets, SPACING_MM, AugmentationConfig()),
    ):
        wanted = [(n % 3, (5, n)) for n in range(12)]
        in_order = [data.patch(*one)[0] for one in wanted]
        with ThreadPoolExecutor(4) as threads:
            backwards = [*threads.map(data.patch, *zip(*wanted[::-1], strict=True))][::-1]
        assert all(torch.equal(a, b) for a, (b, _) in zip(in_order, backwards, strict=True))
        assert len({float(image.double().sum()) for image in in_order}) == 12
        assert not torch.equal(data.patch(0, (5, 1))[0], data.patch(0, (6, 1))[0])


def test_crops_are_centred_on_either_class_alike(tmp_path, write_arrays, no_augmentation):
    # a node of 1000 voxels and a tumour of 8: neither may crowd the other out
    label = np.zeros((2, 64, 64, 64))
    label[0, 10:12, 10:12, 10:12] = 255
    label[1, 40:50, 40:50, 40:50] = 255
    data = _segmentation(write_arrays(tmp_path / "a", np.zeros((2, 64, 64, 64)), label), no_augmentation)
    seen = np.array([target.amax(dim=(1, 2, 3)).numpy() for _, target in _seen(data, 300)])
    assert seen[:, 0].mean() == pytest.approx(0.25, abs=0.1)
    assert seen[:, 1].mean() > 0.2


def test_mirroring_swaps_left_and_right_of_image_and_label(tmp_path, write_arrays):
    label = np.zeros((2, 40, 40, 40))
    label[:, 14:26, 14:26, 14:20] = 255
    image = np.broadcast_to(np.arange(40.0), (2, 40, 40, 40)) / 40
    always = AugmentationConfig(probability=0.0, mirror=1.0)
    never = AugmentationConfig(probability=0.0)
    path = write_arrays(tmp_path / "a", image, label)
    (swapped, target), (plain, truth) = (_segmentation(path, how).patch(0, 0) for how in (always, never))
    torch.testing.assert_close(swapped.flip(-1), plain)
    torch.testing.assert_close(target.flip(-1), truth)
    (swapped, _), (plain, _) = (
        OutcomePatches([path], [np.array([160, 160, 160])], [np.zeros(1)], SPACING_MM, how).patch(0, 0)
        for how in (always, never)
    )
    torch.testing.assert_close(swapped.flip(-1), plain)


# --- the same as of arrays held and padded in memory ---------------------------------------------------


class PaddedInMemory:
    """What :class:`SegmentationPatches` must equal: every case padded whole, then cropped by MONAI's own transform.

    The margin is always cut, whether or not it is needed.
    """

    def __init__(self, paths, augmentation, seed, wide_mm):
        wide = tuple(padded_voxels(length, SPACING_MM) for length in wide_mm)
        draw = np.random.default_rng(seed)
        self.items = []
        for case in map(load_cached, paths):
            image = self._padded(case.image, wide, background_values(case.image))
            label = self._padded(case.label, wide, (0, 0))
            foreground = self._foreground(label, draw)
            background = np.flatnonzero((label < FOREGROUND).all(axis=0))
            if not foreground.size:
                foreground = self._some(background, INDEX_SAMPLE, draw)
            background = self._some(background, INDEX_SAMPLE, draw)
            self.items.append(
                {
                    "image": torch.from_numpy(image.astype(np.float32)),
                    "label": torch.from_numpy(label.copy()),
                    "foreground": foreground,
                    "background": background,
                }
            )
        self.sizes, self.augmentation = [(padded_voxels(128, SPACING_MM),) * 3, wide], augmentation

    def _padded(self, array, wide, fills):
        inner, _ = padded_to(array, wide, fills)
        sides = ((MARGIN, MARGIN),) * 3
        return np.stack([np.pad(c, sides, constant_values=fill) for c, fill in zip(inner, fills, strict=True)])

    def _foreground(self, label, draw):
        classes = [f for share in label if (f := np.flatnonzero(share >= FOREGROUND)).size]
        if not classes:
            return np.empty(0, int)
        count = min(INDEX_SAMPLE // 2, max(f.size for f in classes))
        return np.concatenate([self._some(np.tile(f, -(-count // f.size)), count, draw) for f in classes])

    def _some(self, indices, count, draw):
        return indices if indices.size <= count else np.sort(draw.choice(indices, count, replace=False))

    def patch(self, index, seed, wide):
        size = self.sizes[wide]
        of_crop, of_changes = np.random.SeedSequence(seed).spawn(2)
        crop = RandCropByPosNegLabeld(
            ["image", "label"],
            label_key="label",
            spatial_size=tuple(n + 2 * MARGIN for n in size),
            fg_indices_key="foreground",
            bg_indices_key="background",
        )
        crop.set_random_state(state=np.random.RandomState(np.random.MT19937(of_crop)))
        (out,) = crop(dict(self.items[index]))
        changes = Changes.drawn(self.augmentation, SPACING_MM, np.random.default_rng(of_changes))
        reach = changes.reach(size)
        assert max(reach) <= MARGIN
        felt = (slice(None), *(slice(MARGIN - r, MARGIN + n + r) for n, r in zip(size, reach, strict=True)))
        image, label = (np.ascontiguousarray(out[key].as_tensor().numpy()[felt]) for key in ("image", "label"))
        return changes.image(image, size), changes.label(label, size)


def _lesions(shape, boxes):
    label = np.zeros((2, *shape))
    for channel, (low, high) in boxes:
        label[(channel, *map(slice, low, high))] = 255
    return label


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((39, 25, 25), [(0, ((10, 5, 5), (14, 9, 9))), (1, ((0, 0, 0), (3, 4, 5))), (1, ((37, 22, 20), (39, 25, 25)))]),
        ((70, 20, 36), [(0, ((2, 1, 3), (60, 19, 30)))]),  # more foreground than is kept, one class only
        ((8, 9, 10), [(1, ((3, 3, 3), (5, 5, 5)))]),  # narrow crops may hold nothing of the case
        ((39, 25, 25), []),
    ],
)
def test_crops_are_those_of_a_case_padded_in_memory(tmp_path, write_arrays, shape, boxes):
    """Bit by bit, augmentation and the change between windows and wide fields included."""
    image = np.random.default_rng(1).normal(size=(2, *shape))
    label = _lesions(shape, boxes)
    label[0, -1] = 100  # a share below a half is no foreground
    paths = [write_arrays(tmp_path / "a", image, label), write_arrays(tmp_path / "b", -image, label[::-1])]
    how, wide_mm = AugmentationConfig(probability=0.7), (512.0, 256.0, 200.0)
    ours = SegmentationPatches(paths, SPACING_MM, how, 5, wide_mm)
    reference = PaddedInMemory(paths, how, 5, wide_mm)
    for n in range(14):
        which = {"index": n % 2, "seed": (5, n), "wide": n % 3 == 2}
        for got, expected in zip(ours.patch(**which), reference.patch(**which), strict=True):
            np.testing.assert_array_equal(got.numpy(), expected)


def test_boxes_by_hand():
    array = np.arange(8.0, dtype=np.float16).reshape(1, 2, 2, 2)
    box = cut_box(array, (-1, 1, 0), (2, 2, 3), (9,))
    assert box.dtype == np.float32
    np.testing.assert_array_equal(box, [[[[9, 9, 9], [9, 9, 9]], [[2, 3, 9], [9, 9, 9]]]])
    for start in ((-2, 0, 0), (2, 0, 0), (0, 0, 7), (0, -9, 0)):
        np.testing.assert_array_equal(cut_box(array, start, (2, 2, 2), (9,)), np.full((1, 2, 2, 2), 9))


def test_cases_are_not_held_open(tmp_path, write_random, no_augmentation):
    """Every open array is a file that the process holds open, of which it may have a thousand: a cohort has more."""
    paths = [write_random(tmp_path / f"P{n}", n) for n in range(6)]
    before = psutil.Process().num_fds()
    centres, targets = [np.array([130, 100, 100])] * 6, [np.zeros(1)] * 6
    crops = _segmentation_of(paths, no_augmentation)
    patches = OutcomePatches(paths, centres, targets, SPACING_MM, no_augmentation)
    assert [len(crops.patch(n, 0)) + len(patches.patch(n, 0)) for n in range(6)] == [4] * 6
    assert psutil.Process().num_fds() == before


@pytest.mark.parametrize("deterministic", [False, True])
def test_algorithms_are_held_to_one_only_where_asked(deterministic):
    """MONAI would do it in any case; on a card that costs time."""
    before = torch.backends.cudnn.deterministic
    try:
        seed_everything(1, deterministic=deterministic)
        assert torch.backends.cudnn.deterministic == deterministic
        assert torch.are_deterministic_algorithms_enabled() == deterministic
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = before
