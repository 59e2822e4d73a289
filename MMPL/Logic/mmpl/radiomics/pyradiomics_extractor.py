"""Radiomics by pyradiomics' own filters and feature classes.

Filters run over the whole ROI once a case; each mask then crops the filtered images to its bounding
box. The values equal ``RadiomicsFeatureExtractor.execute`` on the same ROI with the same settings,
which filters anew for every mask.

Reference: van Griethuysen et al., Cancer Res 2017;77:e104-e107 (pyradiomics 3.0.1).
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident

import numpy as np
import SimpleITK as sitk
from radiomics import getFeatureClasses, imageoperations

from mmpl.boxes import bounding_box
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.radiomics.extraction import (
    NO_FILTER,
    NOT_FINITE,
    TOO_MANY_BINS,
    TOO_SMALL,
    UNDEFINED,
    ClassFeatures,
    Done,
    FilteredImages,
    check_mask,
    source_images,
    unheard,
)
from mmpl.radiomics.feature_set import (
    CT,
    FEATURES_OF_FAMILY,
    ORIGINAL,
    SHAPE,
    FeatureSet,
    missing_flag,
)
from mmpl.radiomics.glcm import FastGLCM

FIRSTORDER, GLCM = "firstorder", "glcm"


class PyradiomicsExtractor:
    """See ``mmpl.radiomics.extraction.Extractor``.

    Parameters
    ----------
    feature_set : FeatureSet
    """

    def __init__(self, feature_set: FeatureSet):
        self.feature_set = feature_set

    def prepare(
        self,
        ct_hu: np.ndarray,
        pet_suv: np.ndarray,
        geometry: Geometry,
        *,
        pet_is_suv: bool = True,
        done: Done = unheard,
    ) -> FilteredImages:
        """Filter the whole ROI with what the feature set has, and nothing else.

        Parameters
        ----------
        ct_hu : float array, shape (z, y, x), HU; clipped to [-1024, 3071] here
        pet_suv : float array, shape (z, y, x), SUVbw
        geometry : Geometry of the ROI
        pet_is_suv : False leaves the PET out
        done : called with the fraction of the images that are made

        Raises
        ------
        GeometryError
            If an array does not lie on the grid.
        """
        sources = source_images(ct_hu, pet_suv, geometry, self.feature_set, pet_is_suv)
        total = len(sources) * len(self.feature_set.images())
        images = {}
        for modality, source in sources.items():
            for name, array in filtered(source, geometry, self.feature_set):
                images[modality, name] = array
                done(len(images) / total)
        return FilteredImages(geometry, images, pet_is_suv)

    def focus(self, images: FilteredImages, masks: Iterable[np.ndarray], *, done: Done = unheard) -> None:
        """Nothing to do: the whole ROI is filtered already."""

    def features(self, images: FilteredImages, mask: np.ndarray, class_name: str) -> ClassFeatures:
        """Feature columns of one mask, the missing flag last.

        Parameters
        ----------
        images : FilteredImages, from ``prepare``
        mask : bool array, shape (z, y, x)
        class_name : "GTVp" or "GTVn"

        Raises
        ------
        GeometryError, InputError
            If the mask lies on another grid or is not bool.
        """
        check_mask(mask, images.geometry, class_name)
        columns = self.feature_set.class_feature_names(class_name)
        values = dict.fromkeys(columns, float("nan"))
        if not mask.any():
            return ClassFeatures({**values, missing_flag(class_name): 1.0})
        not_computed: Counter[tuple[str, str]] = Counter()
        box = bounding_box(mask)
        cropped_mask = sitk_crop(mask.astype(np.uint8), box, images.geometry)
        with quiet_radiomics():
            values.update(self._shape(cropped_mask, class_name, not_computed))
            for modality, image in self._readable(images):
                array = images.images.get((modality, image))
                found = self._intensity(array, box, cropped_mask, modality, image, not_computed)
                values.update((f"{class_name}_{modality}_{image}_{tail}", v) for tail, v in found.items())
        return ClassFeatures({**values, missing_flag(class_name): 0.0}, +not_computed)

    def _readable(self, images: FilteredImages) -> Iterator[tuple[str, str]]:
        for modality in self.feature_set.modalities:
            if modality == CT or images.pet_is_suv:
                yield from ((modality, image) for image in self.feature_set.images())

    def _shape(self, mask: sitk.Image, class_name: str, not_computed: Counter) -> dict[str, float]:
        names = self.feature_set.shape_names(class_name)
        if not names:
            return {}
        found = run_family(SHAPE, mask, mask, 1.0)
        not_computed[SHAPE, UNDEFINED] += count_nan(found)
        return dict(zip(names, found.values(), strict=True))

    def _intensity(self, array, box, mask, modality, image, not_computed) -> dict[str, float]:
        """Values by "family_Feature"; a reason is counted for each that is NaN."""
        where = f"{modality} {image}"
        families = self.feature_set.intensity_families()
        width = self.feature_set.bin_width(modality, image)
        reason = NO_FILTER if array is None else unusable(array[box], mask, width, self.feature_set.max_bins)
        if reason is not None:
            not_computed[where, reason] += sum(len(FEATURES_OF_FAMILY[f]) for f in families)
            return {}
        cropped = sitk.GetImageFromArray(np.ascontiguousarray(array[box]))
        cropped.CopyInformation(mask)
        n_voxels = np.count_nonzero(sitk.GetArrayViewFromImage(mask))
        values = {}
        for family in families:
            if family != FIRSTORDER and n_voxels < 2:  # no neighbour, no texture
                not_computed[where, TOO_SMALL] += len(FEATURES_OF_FAMILY[family])
                continue
            found = run_family(family, cropped, mask, width)
            not_computed[where, UNDEFINED] += count_nan(found)
            values.update((f"{family}_{name}", value) for name, value in found.items())
        return values


def filtered(array: np.ndarray, geometry: Geometry, feature_set: FeatureSet) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (image name, float32 array) for the original and every filter of the set.

    A LoG that the grid is too small for is left out, as in pyradiomics.
    """
    yield ORIGINAL, array
    image = image_from_volume(Volume(array, geometry))
    with quiet_radiomics():
        for result, name, _ in imageoperations.getLoGImage(image, None, sigma=feature_set.log_sigmas_mm):
            yield name, sitk.GetArrayFromImage(result)
        if feature_set.wavelet:
            for result, name, _ in imageoperations.getWaveletImage(image, None, wavelet=feature_set.wavelet):
                yield name, sitk.GetArrayFromImage(result)


def run_family(family: str, image: sitk.Image, mask: sitk.Image, bin_width: float) -> dict[str, float]:
    """One pyradiomics feature class on cropped images; what is not finite or not real is NaN."""
    feature_class = FastGLCM if family == GLCM else getFeatureClasses()[family]
    found = feature_class(image, mask, label=1, binWidth=bin_width).execute()
    return {name: real_or_nan(found[name]) for name in FEATURES_OF_FAMILY[family]}


def real_or_nan(value) -> float:
    value = complex(value)
    return value.real if np.isfinite(value) and value.imag == 0 else float("nan")


def count_nan(values: dict[str, float]) -> int:
    return sum(np.isnan(v) for v in values.values())


def unusable(cropped: np.ndarray, mask: sitk.Image, bin_width: float, max_bins: int) -> str | None:
    """Why no intensity feature of this image can be computed, or None."""
    inside = cropped[sitk.GetArrayViewFromImage(mask) != 0]
    if not np.isfinite(inside).all():
        return NOT_FINITE
    low, high = float(inside.min()), float(inside.max())
    return TOO_MANY_BINS if high // bin_width - low // bin_width + 1 > max_bins else None


def sitk_crop(array: np.ndarray, box: tuple[slice, ...], geometry: Geometry) -> sitk.Image:
    start = tuple(s.start for s in reversed(box))
    size = tuple(s.stop - s.start for s in reversed(box))
    return image_from_volume(Volume(np.ascontiguousarray(array[box]), geometry.cropped(start, size)))


@contextmanager
def quiet_radiomics():
    """Keep pyradiomics' log records and numpy's warnings of this thread from the terminal, here only."""
    thread = get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return not (record.thread == thread and record.name.startswith("radiomics"))

    handlers = [*logging.getLogger("radiomics").handlers, *logging.getLogger().handlers]
    for handler in handlers:
        handler.addFilter(elsewhere)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(elsewhere)
