"""From class probabilities to one label map on the 1 mm grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.case import CLASS_NAMES, GTVN, GTVP
from mmpl.errors import GeometryError, InputError

MIN_COMPONENT_VOXELS = 50
TWENTY_SIX = np.ones((3, 3, 3), dtype=bool)


def compose(
    prob_p: np.ndarray,
    prob_n: np.ndarray,
    thresholds: Mapping[str, float] | tuple[float, float] = (0.5, 0.5),
    *,
    min_voxels: int = MIN_COMPONENT_VOXELS,
) -> np.ndarray:
    """Threshold both classes and clean them up.

    In this order: threshold each class (probability >= threshold); GTVp overwrites GTVn; fill 3D holes
    of each class; remove 26-connected components under ``min_voxels`` of each class; GTVp once more over
    GTVn, since filling may have made them overlap. A voxel that GTVp took and then lost with a small
    component goes back to GTVn only where GTVn encloses it.

    Parameters
    ----------
    prob_p, prob_n : float arrays, shape (z, y, x), on the 1 mm grid
    thresholds : (GTVp, GTVn), or a mapping with these keys, each in (0, 1)
    min_voxels : smallest component that stays

    Returns
    -------
    uint8 array, shape (z, y, x): 0 background, 1 GTVp, 2 GTVn

    Raises
    ------
    GeometryError
        If the arrays differ in shape.
    InputError
        If a threshold is not in (0, 1).
    """
    if prob_p.shape != prob_n.shape:
        raise GeometryError(f"probabilities of shapes {prob_p.shape} and {prob_n.shape}: one grid is needed")
    threshold_p, threshold_n = _checked_thresholds(thresholds)
    mask_p = prob_p >= threshold_p
    mask_n = (prob_n >= threshold_n) & ~mask_p
    mask_p, mask_n = (remove_small(fill_holes(m), min_voxels) for m in (mask_p, mask_n))
    label_map = np.zeros(prob_p.shape, dtype=np.uint8)
    label_map[mask_n] = GTVN
    label_map[mask_p] = GTVP
    return label_map


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """Fill cavities that no 6-connected path of background joins to the outside; bool (z, y, x)."""
    return _in_box(mask, ndimage.binary_fill_holes)


def remove_small(mask: np.ndarray, min_voxels: int) -> np.ndarray:
    """Drop 26-connected components of fewer than ``min_voxels`` voxels; bool (z, y, x)."""
    return _in_box(mask, lambda m: _large_components(m, min_voxels))


def _large_components(mask: np.ndarray, min_voxels: int) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure=TWENTY_SIX)
    keep = np.bincount(labels.ravel()) >= min_voxels
    keep[0] = False
    return keep[labels]


def _in_box(mask: np.ndarray, function) -> np.ndarray:
    """Apply a function to the mask's bounding box: the same result, and fast on a large grid."""
    box = bounding_box(mask)
    out = np.zeros_like(mask)
    if box is not None:
        out[box] = function(mask[box])
    return out


def _checked_thresholds(thresholds) -> tuple[float, float]:
    if isinstance(thresholds, Mapping):
        thresholds = [thresholds[name] for name in CLASS_NAMES.values() if name in thresholds]
    pair = tuple(float(t) for t in thresholds)
    if len(pair) != 2 or not all(0.0 < t < 1.0 for t in pair):
        raise InputError(f"segmentation thresholds {pair}: give one for GTVp and one for GTVn, between 0 and 1")
    return pair
