"""Radiomics while the pen moves: pyradiomics' values, computed from geometry that all images share.

Filters run over the whole ROI and are kept around the lesions; a mask's neighbours, runs of lines and mesh are
found once; then each image needs its gray levels and the counts over them, two images at a time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.geometry import Geometry
from mmpl.radiomics.adjacency import surroundings
from mmpl.radiomics.discretise import GrayLevels, gray_levels, too_many_bins
from mmpl.radiomics.extraction import (
    NO_FILTER,
    NOT_FINITE,
    TOO_MANY_BINS,
    TOO_SMALL,
    UNDEFINED,
    ClassFeatures,
    Done,
    check_mask,
    source_images,
    unheard,
)
from mmpl.radiomics.families.firstorder import firstorder
from mmpl.radiomics.families.glcm import glcm
from mmpl.radiomics.families.gldm import gldm
from mmpl.radiomics.families.glrlm import glrlm
from mmpl.radiomics.families.glszm import glszm
from mmpl.radiomics.families.ngtdm import ngtdm
from mmpl.radiomics.families.shape import shape
from mmpl.radiomics.feature_set import (
    CT,
    FAMILIES,
    FEATURES_OF_FAMILY,
    SHAPE,
    FeatureSet,
    missing_flag,
)
from mmpl.radiomics.filter_cache import FilterCache, Key, union_of
from mmpl.radiomics.gpu_filters import gpu_device
from mmpl.radiomics.mask_geometry import MaskGeometry

FIRSTORDER = "firstorder"
BUDGET_BYTES = 1_000_000_000
MARGIN_MM = 16.0
THREADS = min(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class _Found:
    """One image's values by column, and why some are NaN."""

    values: dict[str, float]
    not_computed: Counter[tuple[str, str]]


class FastCase(FilterCache):
    """A case as ``FastExtractor`` keeps it; also remembers each class's last mask and features."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.last: dict[str, tuple[MaskGeometry, ClassFeatures]] = {}


class FastExtractor:
    """See ``mmpl.radiomics.extraction.Extractor``.

    Parameters
    ----------
    feature_set : FeatureSet
    budget_bytes : int, memory for filtered voxels of a case; beyond it they are made anew for each mask
    margin_mm : float, room for edits around the masks in the kept box
    threads : int, images computed at a time
    device : where filters run: "cuda", "cpu", or None for a GPU where there is one
    """

    def __init__(
        self,
        feature_set: FeatureSet,
        *,
        budget_bytes: int = BUDGET_BYTES,
        margin_mm: float = MARGIN_MM,
        threads: int = THREADS,
        device: str | None = None,
    ):
        self.feature_set = feature_set
        self.budget_bytes = budget_bytes
        self.margin_mm = margin_mm
        self.threads = threads
        chosen = gpu_device() if device is None else device
        self.device = None if chosen == "cpu" else chosen

    def prepare(
        self,
        ct_hu: np.ndarray,
        pet_suv: np.ndarray,
        geometry: Geometry,
        *,
        pet_is_suv: bool = True,
        done: Done = unheard,
    ) -> FastCase:
        """Take a case in; its filters run with the first ``focus`` or ``features``, so ``done`` is never called.

        Parameters
        ----------
        ct_hu : float array, shape (z, y, x), HU; clipped to [-1024, 3071] here
        pet_suv : float array, shape (z, y, x), SUVbw
        geometry : Geometry of the ROI
        pet_is_suv : False leaves the PET out

        Raises
        ------
        GeometryError
            If an array does not lie on the grid.
        """
        sources = source_images(ct_hu, pet_suv, geometry, self.feature_set, pet_is_suv)
        return FastCase(
            geometry,
            sources,
            self.feature_set,
            pet_is_suv=pet_is_suv,
            budget_bytes=self.budget_bytes,
            margin_mm=self.margin_mm,
            device=self.device,
        )

    def focus(self, images: FastCase, masks: Iterable[np.ndarray], *, done: Done = unheard) -> None:
        """Filter around all the masks at once, ahead of ``features``; bool arrays, shape (z, y, x)."""
        boxes = [box for mask in masks if (box := bounding_box(mask)) is not None]
        if boxes:
            images.cover(union_of(*boxes), self._pool, done)

    def features(self, images: FastCase, mask: np.ndarray, class_name: str) -> ClassFeatures:
        """Feature columns of one mask, the missing flag last; the last ones again if the mask is the same.

        Parameters
        ----------
        images : FastCase, from ``prepare``
        mask : bool array, shape (z, y, x)
        class_name : "GTVp" or "GTVn"

        Raises
        ------
        GeometryError, InputError
            If the mask lies on another grid or is not bool.
        """
        check_mask(mask, images.geometry, class_name)
        if not mask.any():
            columns = self.feature_set.class_feature_names(class_name)
            return ClassFeatures({**dict.fromkeys(columns, float("nan")), missing_flag(class_name): 1.0})
        last = images.last.get(class_name)
        if last is not None and _is_same(last[0], mask):
            return last[1]
        geometry = MaskGeometry.of(mask)
        found = self._features(images, geometry, class_name)
        images.last[class_name] = (geometry, found)
        return found

    def _features(self, images: FastCase, mask: MaskGeometry, class_name: str) -> ClassFeatures:
        values = dict.fromkeys(self.feature_set.class_feature_names(class_name), float("nan"))
        not_computed: Counter[tuple[str, str]] = Counter()
        tasks: list[Callable[[], list[_Found]]] = []
        if SHAPE in self.feature_set.families:
            tasks.append(lambda: [self._shape(mask, images.geometry, class_name)])
        if self.feature_set.intensity_families():
            tasks += self._image_tasks(images, mask, class_name)
        for results in self._each(tasks):
            for found in results:
                values.update(found.values)
                not_computed.update(found.not_computed)
        self._count_unfiltered(images, not_computed)
        ordered = Counter({k: not_computed[k] for k in self._reasons_in_order(not_computed)})
        return ClassFeatures({**values, missing_flag(class_name): 0.0}, +ordered)

    def _image_tasks(self, images: FastCase, mask: MaskGeometry, class_name: str) -> list[Callable[[], list[_Found]]]:
        readers = images.readers(mask, self._pool)
        _ = mask.pairs, mask.has_lines, mask.before_of_voxel  # shared by the threads: made before they start
        if "ngtdm" in self.feature_set.families:
            _ = mask.n_neighbours
        return [lambda r=r: self._images(r(), mask, images.geometry, class_name) for r in readers]

    def _each(self, tasks: list[Callable[[], list[_Found]]]) -> Iterable[list[_Found]]:
        if self._pool is None:
            return [task() for task in tasks]
        return self._pool.map(lambda task: task(), tasks)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor | None:
        return ThreadPoolExecutor(self.threads, "radiomics") if self.threads > 1 else None

    def _shape(self, mask: MaskGeometry, geometry: Geometry, class_name: str) -> _Found:
        found = _finite(shape(mask, geometry.spacing_mm))
        names = self.feature_set.shape_names(class_name)
        return _Found(dict(zip(names, found, strict=True)), Counter({(SHAPE, UNDEFINED): _count_nan(found)}))

    def _images(
        self, voxels: dict[Key, np.ndarray], mask: MaskGeometry, geometry: Geometry, class_name: str
    ) -> list[_Found]:
        return [self._image(key, v, mask, geometry, class_name) for key, v in voxels.items()]

    def _image(self, key: Key, voxels: np.ndarray, mask: MaskGeometry, geometry: Geometry, class_name: str) -> _Found:
        """One image's features from its voxels inside the mask, float32, shape (n,), in raster order."""
        where = " ".join(key)
        families = self.feature_set.intensity_families()
        width = self.feature_set.bin_width(*key)
        reason = unusable(voxels, width, self.feature_set.max_bins)
        if reason is not None:
            return _Found({}, Counter({(where, reason): _n_features(families)}))
        levels = gray_levels(voxels, width)
        found, counts = [], Counter()
        for family in families:
            if family != FIRSTORDER and mask.n_voxels < 2:  # no neighbour, no texture
                counts[where, TOO_SMALL] += len(FEATURES_OF_FAMILY[family])
                found.append(np.full(len(FEATURES_OF_FAMILY[family]), np.nan))
                continue
            found.append(_finite(self._family(family, voxels, levels, mask, geometry)))
            counts[where, UNDEFINED] += _count_nan(found[-1])
        names = self._names(class_name, key)
        return _Found(dict(zip(names, np.concatenate(found).tolist(), strict=True)), counts)

    def _family(
        self, family: str, voxels: np.ndarray, levels: GrayLevels, mask: MaskGeometry, geometry: Geometry
    ) -> np.ndarray:
        if family == FIRSTORDER:
            return firstorder(np.sort(voxels), levels.counts, float(np.prod(geometry.spacing_mm)))
        rank, values = levels.rank, levels.levels
        if family == "glcm":
            return glcm(rank, values, mask.before, mask.pairs)
        if family == "glrlm":
            return glrlm(rank, values, mask.before, mask.has_lines, mask.longest_run)
        if family == "glszm":
            return glszm(rank, values, mask.before_of_voxel)
        same, around = surroundings(rank, values, mask.before)
        if family == "gldm":
            return gldm(rank, values, same)
        return ngtdm(rank, values, levels.counts, around, mask.n_neighbours)

    def _names(self, class_name: str, key: Key) -> list[str]:
        return self.feature_set.image_names(class_name, *key)

    def _count_unfiltered(self, images: FastCase, not_computed: Counter) -> None:
        """Count the images that the ROI was too small for."""
        families = self.feature_set.intensity_families()
        for modality, image in self._readable(images):
            if (modality, image) not in images.keys:
                not_computed[f"{modality} {image}", NO_FILTER] += _n_features(families)

    def _readable(self, images: FastCase) -> list[Key]:
        modalities = [m for m in self.feature_set.modalities if m == CT or images.pet_is_suv]
        return [(modality, image) for modality in modalities for image in self.feature_set.images()]

    def _reasons_in_order(self, not_computed: Counter) -> list[tuple[str, str]]:
        """Shape first, then image by image, whichever thread was first."""
        places = [SHAPE, *(f"{m} {i}" for m in self.feature_set.modalities for i in self.feature_set.images())]
        return sorted(not_computed, key=lambda entry: places.index(entry[0]))


def unusable(voxels: np.ndarray, width: float, max_bins: int) -> str | None:
    """Why no intensity feature can be computed from these voxels, or None."""
    low, high = float(voxels.min()), float(voxels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return NOT_FINITE
    return TOO_MANY_BINS if too_many_bins(low, high, width, max_bins) else None


def warm_up() -> None:
    """Compile what is not compiled yet, or load it from disk: seconds, better spent before the first contour."""
    grid = Geometry((12, 12, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    image = np.random.default_rng(0).normal(0, 50, grid.shape).astype(np.float32)
    mask = np.zeros(grid.shape, bool)
    mask[3:9, 3:9, 3:9] = True
    extractor = FastExtractor(FeatureSet(families=FAMILIES, log_sigmas_mm=(1.0,)), threads=1, device="cpu")
    extractor.features(extractor.prepare(image, image, grid), mask, "GTVp")


def _is_same(geometry: MaskGeometry, mask: np.ndarray) -> bool:
    return bounding_box(mask) == geometry.box and np.array_equal(mask[geometry.box], geometry.inside)


def _n_features(families: Iterable[str]) -> int:
    return sum(len(FEATURES_OF_FAMILY[f]) for f in families)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _count_nan(values: np.ndarray) -> int:
    return int(np.count_nonzero(np.isnan(values)))
