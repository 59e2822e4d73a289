"""Training patches: each a function of a case and a seed, whoever makes it and when."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.utils import set_determinism
from torch import Tensor

from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.preprocess.field_of_view import cut_patch
from mmpl.preprocess.network_grid import background_values, roi_index_to_network
from mmpl.training.augmentation import Changes
from mmpl.training.cache import CachedCase, load_cached
from mmpl.training.config import AugmentationConfig
from mmpl.training.crops import MARGIN, WhereToCrop, crop_start, cut_box, where_to_crop
from mmpl.training.warp import Size

Seed = int | Sequence[int]
Patch = tuple[Tensor, Tensor]


class SegmentationPatches:
    """Stage 1 patches: image (2, z, y, x) and target (2, z, y, x) in [0, 1], of a window's or of the wide field's size.

    Half of the crops are centred on foreground, either class as often as the other. Cases stay on the disk: a crop is
    cut from memory-mapped arrays, opened anew for each (hundreds of open cases would be more files than a process may
    have). A network that has only seen windows has never seen what a whole-ROI pass shows it.

    Parameters
    ----------
    seed : of the crop centres that are kept of each case
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
        self._spacing_mm, self._augmentation = spacing_mm, augmentation
        self._window = (padded_voxels(WINDOW_MM, spacing_mm),) * 3
        self._wide = tuple(padded_voxels(length, spacing_mm) for length in wide_mm)
        draw = np.random.default_rng(seed)
        self._cases = [(path, where_to_crop(load_cached(path), self._wide, draw)) for path in paths]

    def __len__(self) -> int:
        return len(self._cases)

    def patch(self, index: int, seed: Seed, *, wide: bool = False) -> Patch:
        """A case's crop of a window's size, or of the wide field's, and the changes that the seed decides."""
        path, where = self._cases[index]
        size = self._wide if wide else self._window
        return segmentation_patch(load_cached(path), where, size, self._spacing_mm, self._augmentation, seed)


def segmentation_patch(
    case: CachedCase, where: WhereToCrop, size: Size, spacing_mm: float, augmentation: AugmentationConfig, seed: Seed
) -> Patch:
    """A crop of ``size`` (z, y, x) voxels around fore- or background, changed: see :class:`SegmentationPatches`."""
    of_crop, of_changes = np.random.SeedSequence(seed).spawn(2)
    changes = Changes.drawn(augmentation, spacing_mm, np.random.default_rng(of_changes))
    placed = tuple(n + 2 * MARGIN for n in size)
    start = crop_start(where, placed, np.random.RandomState(np.random.MT19937(of_crop)))
    reach = changes.reach(size)  # a patch that is turned looks beyond its window: what lies there is the patient's
    start = [s + MARGIN - r for s, r in zip(start, reach, strict=True)]
    wider = tuple(n + 2 * r for n, r in zip(size, reach, strict=True))
    image = changes.image(cut_box(case.image, start, wider, where.fills), size)
    label = changes.label(cut_box(case.label, start, wider, (0, 0), np.uint8), size)
    return torch.from_numpy(image), torch.from_numpy(label)


class OutcomePatches:
    """Stage 2 and 3 patches: image (2, w, w, w) around the lesions, jittered, and the targets.

    Cases stay on the disk.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        centres_zyx_1mm: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        spacing_mm: float,
        augmentation: AugmentationConfig,
    ):
        self._spacing_mm, self._augmentation = spacing_mm, augmentation
        self._window = padded_voxels(WINDOW_MM, spacing_mm)
        self._fills: dict[int, tuple[float, float]] = {}  # of the patients seen so far
        self._cases = [
            (path, roi_index_to_network(centre, spacing_mm), torch.from_numpy(np.asarray(target, dtype=np.float32)))
            for path, centre, target in zip(paths, centres_zyx_1mm, targets, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._cases)

    def patch(self, index: int, seed: Seed, *, wide: bool = False) -> Patch:
        """A case's patch and the changes that the seed decides; there is no wide one."""
        path, centre, target = self._cases[index]
        changes = Changes.drawn(self._augmentation, self._spacing_mm, np.random.default_rng(seed))
        size = (self._window,) * 3
        margin = max(changes.reach(size))  # wider than the patch that is kept, which is inference's own
        image = load_cached(path).image
        if index not in self._fills:
            self._fills[index] = background_values(image)
        crop = cut_patch(image, centre, self._window, margin, self._fills[index])
        return torch.from_numpy(changes.image(crop, size)), target


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed torch, numpy and MONAI for one stage of one fold; ``deterministic``: algorithms too, where there are any."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
    set_determinism(seed)
    torch.backends.cudnn.deterministic = deterministic  # MONAI asks for it in any case, and it is slower
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
