"""A case's radiomics while its contours change: filters run once, edits pay only for what they touch."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from mmpl.case import CLASS_NAMES, PET_SUV, RoiCase
from mmpl.notices import Notice
from mmpl.radiomics.extraction import FILTERING, Done, Extractor, FilteredImages, features_of_masks, unheard


class CaseRadiomics:
    """Feature columns of one case's contours, as often as they change.

    The filtered images belong to one ROI and are kept from call to call; another ROI (contours that leave the first
    one) takes their place. Calls may come from several threads; they take turns.

    Parameters
    ----------
    extractor : Extractor, see :func:`mmpl.radiomics.extraction.make_extractor`
    """

    def __init__(self, extractor: Extractor):
        self.extractor = extractor
        self.roi: RoiCase | None = None  # whose filtered images are kept
        self._images: FilteredImages | None = None
        self._turn = threading.Lock()

    def of(
        self, roi: RoiCase, label_on_roi_1mm: np.ndarray, *, done: Done = unheard
    ) -> tuple[dict[str, float], tuple[Notice, ...]]:
        """Columns of both classes, in the order of the feature set, and what could not be computed.

        Parameters
        ----------
        roi : RoiCase, the images
        label_on_roi_1mm : uint8 array, shape (z, y, x), 1 GTVp, 2 GTVn, on the ROI's grid
        done : called with the finished fraction
        """
        with self._turn:
            images = self._prepared(roi, done)
            return features_of_masks(self.extractor, images, class_masks(label_on_roi_1mm), done=done)

    def filter_around(self, roi: RoiCase, label_on_roi_1mm: np.ndarray) -> None:
        """Do ahead of :meth:`of` what does not hang on the exact contours: for a thread in the background."""
        with self._turn:
            self.extractor.focus(self._prepared(roi, unheard), class_masks(label_on_roi_1mm).values())

    @property
    def nbytes(self) -> int:
        """Memory of the filtered voxels kept now."""
        return 0 if self._images is None else self._images.nbytes

    def _prepared(self, roi: RoiCase, done: Done) -> FilteredImages:
        if self.roi is not roi:
            self.roi = self._images = None  # the old voxels first: both may not fit
            self._images = self.extractor.prepare(
                roi.ct_hu,
                roi.pet_suv,
                roi.geometry,
                pet_is_suv=roi.pet_units == PET_SUV,
                done=lambda f: done(FILTERING * f),
            )
            self.roi = roi
        return self._images


def class_masks(label_map: np.ndarray) -> Mapping[str, np.ndarray]:
    """Class name -> bool mask of a label map, shape (z, y, x)."""
    return {name: label_map == value for value, name in CLASS_NAMES.items()}
