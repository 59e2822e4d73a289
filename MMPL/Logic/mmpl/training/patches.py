"""Training patches: MONAI transforms and datasets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.data import Dataset, MetaTensor
from monai.transforms import (
    Compose,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.utils import set_determinism

from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.preprocess.field_of_view import cut_patch
from mmpl.preprocess.network_grid import roi_index_to_network
from mmpl.training.cache import load_cached
from mmpl.training.config import AugmentationConfig
from mmpl.training.crops import MARGIN, RandomCrop, where_to_crop


class SegmentationPatches(Dataset):
    """Stage 1 items: image (2, z, y, x) and target (2, z, y, x) in [0, 1], of a window's or of the wide field's size.

    Half of the crops are centred on foreground, either class as often as the other. Cases stay on the disk: a crop is
    cut from memory-mapped arrays, opened anew for each (hundreds of open cases would be more files than a process may
    have). Which size comes next is set by :meth:`set_wide`: a batch has one. A network that has only seen windows
    has never seen what a whole-ROI pass shows it.

    Parameters
    ----------
    wide_mm : (z, y, x) lengths of the wide field
    """

    def __init__(
        self,
        paths: Sequence[Path],
        spacing_mm: float,
        augmentation: AugmentationConfig,
        seed: int,
        wide_mm: Sequence[float] = (WINDOW_MM,) * 3,
    ):
        window = padded_voxels(WINDOW_MM, spacing_mm)
        wide = tuple(padded_voxels(length, spacing_mm) for length in wide_mm)
        draw = np.random.default_rng(seed)
        items = [{"path": path, "where": where_to_crop(load_cached(path), wide, draw)} for path in paths]
        self._narrow = segmentation_transform((window,) * 3, spacing_mm, augmentation)
        self._wide = segmentation_transform(wide, spacing_mm, augmentation)
        super().__init__(items, self._narrow)
        self.set_random_state(seed)

    def set_random_state(self, seed: int) -> None:
        for transform in (self._narrow, self._wide):
            transform.set_random_state(seed)

    def set_wide(self, wide: bool) -> None:
        """Give crops of the wide field's size from now on, or of a window's."""
        self.transform = self._wide if wide else self._narrow

    def __getitem__(self, index):
        item = self.data[index]
        out = self.transform({"case": load_cached(item["path"]), "where": item["where"]})
        return _plain(out["image"]), _plain(out["label"]).clamp(0, 1)


class OutcomePatches(Dataset):
    """Stage 2 and 3 items: image (2, w, w, w) around the lesions, jittered, and the targets. Cases stay on the disk."""

    def __init__(
        self,
        paths: Sequence[Path],
        centres_zyx_1mm: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        spacing_mm: float,
        augmentation: AugmentationConfig,
        seed: int,
    ):
        self.window = padded_voxels(WINDOW_MM, spacing_mm)
        items = [
            {
                "path": path,
                "centre": roi_index_to_network(centre, spacing_mm),
                "target": np.asarray(target, dtype=np.float32),
            }
            for path, centre, target in zip(paths, centres_zyx_1mm, targets, strict=True)
        ]
        keys = ["image"]
        transform = Compose(
            [
                affine((self.window,) * 3, spacing_mm, augmentation, keys),
                mirror(augmentation, keys),
                *intensity(augmentation),
            ]
        )
        super().__init__(items, transform)
        self.set_random_state(seed)

    def set_random_state(self, seed: int) -> None:
        self.transform.set_random_state(seed)

    def __getitem__(self, index):
        item = self.data[index]
        # the affine transform shifts, so the cut is wider than the patch it keeps; the patch is inference's own
        wide = cut_patch(load_cached(item["path"]).image, item["centre"], self.window, margin=MARGIN)
        image = self.transform({"image": torch.from_numpy(wide)})["image"]
        return _plain(image), torch.from_numpy(item["target"])


def segmentation_transform(size: tuple[int, int, int], spacing_mm: float, augmentation: AugmentationConfig) -> Compose:
    """Crops of ``size`` (z, y, x) voxels around fore- and background, augmented, of {"case", "where"}."""
    keys = ["image", "label"]
    return Compose(
        [
            RandomCrop(tuple(n + 2 * MARGIN for n in size)),
            affine(size, spacing_mm, augmentation, keys),
            mirror(augmentation, keys),
            *intensity(augmentation),
        ]
    )


def affine(size: tuple[int, int, int], spacing_mm: float, augmentation: AugmentationConfig, keys) -> RandAffined:
    """Shift, scale, rotation and shear; the centre ``size`` of a wider patch is what remains."""
    angle, shift = np.deg2rad(augmentation.rotation_deg), augmentation.shift_mm / spacing_mm
    return RandAffined(
        keys,
        prob=augmentation.probability,
        spatial_size=size,
        rotate_range=(angle,) * 3,
        shear_range=(augmentation.shear,) * 6,
        translate_range=(shift,) * 3,
        scale_range=(augmentation.scale,) * 3,
        mode="bilinear",
        padding_mode="border",
    )


def mirror(augmentation: AugmentationConfig, keys) -> RandFlipd:
    """Left and right swapped: the last axis of (channel, z, y, x)."""
    return RandFlipd(keys, prob=augmentation.mirror, spatial_axis=2)


def intensity(augmentation: AugmentationConfig) -> list:
    p = augmentation.probability
    return [
        RandScaleIntensityd(["image"], factors=augmentation.intensity_scale, prob=p, channel_wise=True),
        RandShiftIntensityd(["image"], offsets=augmentation.intensity_shift, prob=p),
        RandGaussianNoised(["image"], prob=p / 2, std=augmentation.noise_std),
    ]


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed torch, numpy and MONAI for one stage of one fold; ``deterministic``: algorithms too, where there are any."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
    set_determinism(seed)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _plain(image: torch.Tensor) -> torch.Tensor:
    """The tensor without MONAI's metadata, which would slow every operation after."""
    return image.as_tensor() if isinstance(image, MetaTensor) else image
