"""Radiomics of a case: what an extractor promises, and the one call the pipeline makes."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry
from mmpl.notices import FEATURE_NAN, PET_NOT_SUV, Notice
from mmpl.radiomics.feature_set import CT, PT, FeatureSet

FAST, PYRADIOMICS = "fast", "pyradiomics"
EXTRACTORS = (FAST, PYRADIOMICS)

Done = Callable[[float], None]  # called with the fraction that is finished, 0 to 1


def unheard(fraction: float) -> None:
    """For those who do not want to know how far a step is."""


CT_RANGE_HU = (-1024.0, 3071.0)
FILTERING = 0.9  # of a first call's time; the features themselves take the rest

TOO_SMALL = "contour too small"
TOO_MANY_BINS = "too many gray levels"
NOT_FINITE = "voxels without a value inside the contour"
NO_FILTER = "region too small for the filter"
UNDEFINED = "not defined for this contour"


@dataclass(frozen=True)
class FilteredImages:
    """A case's images on the ROI, filtered once and used for every mask.

    Attributes
    ----------
    geometry : Geometry of the ROI
    images : (modality, image name) -> float32 array, shape (z, y, x); CT in HU, PET in SUV.
        A PET that is not in SUV has no entry, nor has a filter that the ROI is too small for.
    pet_is_suv : False leaves every PET feature NaN
    """

    geometry: Geometry
    images: Mapping[tuple[str, str], np.ndarray]
    pet_is_suv: bool = True

    @property
    def nbytes(self) -> int:
        """Memory of the filtered voxels."""
        return sum(array.nbytes for array in self.images.values())


@dataclass(frozen=True)
class ClassFeatures:
    """One class's columns.

    Attributes
    ----------
    values : column name -> value, the missing flag included; NaN where it cannot be computed
    not_computed : (image, reason) -> number of NaN features; empty when the whole class is missing
    """

    values: dict[str, float]
    not_computed: Counter[tuple[str, str]] = field(default_factory=Counter)


class Extractor(Protocol):
    """Turns images into feature columns: filters once a case, features once a mask."""

    feature_set: FeatureSet

    def prepare(
        self,
        ct_hu: np.ndarray,
        pet_suv: np.ndarray,
        geometry: Geometry,
        *,
        pet_is_suv: bool = True,
        done: Done = unheard,
    ) -> FilteredImages:
        """Make a case ready. Arrays (z, y, x) in HU and SUV on ``geometry``, the ROI."""
        ...

    def focus(self, images: FilteredImages, masks: Iterable[np.ndarray], *, done: Done = unheard) -> None:
        """Say which masks come next, so that what they have in common is done once. May do nothing."""
        ...

    def features(self, images: FilteredImages, mask: np.ndarray, class_name: str) -> ClassFeatures:
        """Features of one mask, bool, shape (z, y, x), on the same grid."""
        ...


def make_extractor(name: str, feature_set: FeatureSet, threads: int | None = None) -> Extractor:
    """The extractor called "fast", ours, or "pyradiomics", the reference, which must be installed; same values.

    ``threads`` is how many images the fast one computes at a time, two unless given: give 1 where cases already
    run side by side.

    Raises
    ------
    InputError
        If the name is another, or pyradiomics is not installed.
    """
    check_installed(name)
    if name == FAST:
        from mmpl.radiomics.fast_extractor import THREADS, FastExtractor

        return FastExtractor(feature_set, threads=threads or THREADS)
    from mmpl.radiomics.pyradiomics_extractor import PyradiomicsExtractor

    return PyradiomicsExtractor(feature_set)


def check_installed(name: str) -> None:
    """Raise InputError unless there is an extractor of that name and what it needs is installed."""
    if name not in EXTRACTORS:
        raise InputError(f"extractor {name!r}: give one of {list(EXTRACTORS)}")
    if name == PYRADIOMICS and importlib.util.find_spec("radiomics") is None:
        raise InputError("extractor 'pyradiomics': pyradiomics 3.0.1 is not installed; install it, or use 'fast'")


def extract_features(
    ct_hu: np.ndarray,
    pet_suv: np.ndarray,
    geometry: Geometry,
    masks: Mapping[str, np.ndarray],
    feature_set: FeatureSet,
    pet_is_suv: bool = True,
    extractor: str = FAST,
    threads: int | None = None,
) -> tuple[dict[str, float], tuple[Notice, ...]]:
    """Radiomics of one case from its ROI images and class masks.

    Parameters
    ----------
    ct_hu, pet_suv : float arrays, shape (z, y, x), HU and SUVbw, never z-scored
    geometry : Geometry of the ROI, 1 mm
    masks : class name -> bool array, shape (z, y, x); an all-False mask is a missing class
    feature_set : FeatureSet
    pet_is_suv : False leaves every PET feature NaN
    extractor : "fast" or "pyradiomics"
    threads : as in ``make_extractor``

    Returns
    -------
    dict of column name -> float, in the order of ``feature_set.names()``; tuple of Notice

    Raises
    ------
    GeometryError
        If an array does not lie on the grid.
    InputError
        If a class of the set has no mask, a mask is not bool, or the extractor is not there.
    """
    chosen = make_extractor(extractor, feature_set, threads)
    images = chosen.prepare(ct_hu, pet_suv, geometry, pet_is_suv=pet_is_suv)
    return features_of_masks(chosen, images, masks)


def features_of_masks(
    extractor: Extractor, images: FilteredImages, masks: Mapping[str, np.ndarray], *, done: Done = unheard
) -> tuple[dict[str, float], tuple[Notice, ...]]:
    """All columns from images filtered before: what a corrected contour needs.

    Parameters, returns and errors as in ``extract_features``; ``done`` is told the finished fraction.
    """
    feature_set = extractor.feature_set
    absent = [c for c in feature_set.classes if c not in masks]
    if absent:
        raise InputError(f"radiomics: no mask for {absent}; give an all-False mask where there is no lesion")
    for c in feature_set.classes:
        check_mask(masks[c], images.geometry, c)
    extractor.focus(images, [masks[c] for c in feature_set.classes], done=lambda fraction: done(FILTERING * fraction))
    found = {}
    for n, c in enumerate(feature_set.classes, start=1):
        found[c] = extractor.features(images, masks[c], c)
        done(FILTERING + (1 - FILTERING) * n / len(feature_set.classes))
    values = {name: value for one in found.values() for name, value in one.values.items()}
    ordered = {name: values[name] for name in feature_set.names()}
    return ordered, summarise(found, len(ordered), images.pet_is_suv or PT not in feature_set.modalities)


def summarise(found: Mapping[str, ClassFeatures], total: int, pet_usable: bool) -> tuple[Notice, ...]:
    """At most one notice on the PET and one on features that could not be computed."""
    notices = []
    if not pet_usable:
        notices.append(Notice(PET_NOT_SUV, "The PET is not in SUV: its radiomics features are left empty."))
    counts = Counter()
    for class_name, one in found.items():
        for (image, reason), n in one.not_computed.items():
            counts[f"{class_name} {image}: {reason}"] += n
    if counts:
        parts = "; ".join(f"{n} of {where}" for where, n in counts.items())
        text = f"{counts.total()} of {total} radiomics features could not be computed ({parts})."
        notices.append(Notice(FEATURE_NAN, text))
    return tuple(notices)


def source_images(
    ct_hu: np.ndarray, pet_suv: np.ndarray, geometry: Geometry, feature_set: FeatureSet, pet_is_suv: bool
) -> dict[str, np.ndarray]:
    """The modalities that the set reads, float32; CT clipped to [-1024, 3071], a PET that is not in SUV left out.

    Raises
    ------
    GeometryError
        If an array does not lie on the grid.
    """
    check_images(ct_hu, pet_suv, geometry)
    sources = {}
    if CT in feature_set.modalities:
        sources[CT] = np.clip(ct_hu, *CT_RANGE_HU).astype(np.float32, copy=False)
    if PT in feature_set.modalities and pet_is_suv:
        sources[PT] = pet_suv.astype(np.float32, copy=False)
    return sources


def check_images(ct_hu: np.ndarray, pet_suv: np.ndarray, geometry: Geometry) -> None:
    """Raise GeometryError unless both images lie on the grid."""
    _check_shape("CT", ct_hu, geometry)
    _check_shape("PET", pet_suv, geometry)


def check_mask(mask: np.ndarray, geometry: Geometry, class_name: str) -> None:
    """Raise GeometryError for another shape and InputError for another type than bool."""
    _check_shape(f"{class_name} mask", mask, geometry)
    if mask.dtype != bool:
        raise InputError(f"radiomics: {class_name} mask is {mask.dtype}; give one bool mask a class")


def _check_shape(name: str, array: np.ndarray, geometry: Geometry) -> None:
    if array.shape != geometry.shape:
        raise GeometryError(
            f"radiomics: {name} of shape {array.shape} (z, y, x) on an ROI of shape {geometry.shape}; "
            "bring it to the ROI's grid first"
        )
