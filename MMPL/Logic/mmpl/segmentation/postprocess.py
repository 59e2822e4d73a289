"""From class probabilities to one label map on the 1 mm grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.case import CLASS_NAMES, GTVN, GTVP
from mmpl.components import connected
from mmpl.errors import GeometryError, InputError

MIN_COMPONENT_VOXELS = 50


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
    mask_p, mask_n = (clean_up(m, min_voxels) for m in (mask_p, mask_n))
    label_map = np.zeros(prob_p.shape, dtype=np.uint8)
    label_map[mask_n] = GTVN
    label_map[mask_p] = GTVP
    return label_map


def clean_up(mask: np.ndarray, min_voxels: int) -> np.ndarray:
    """Fill cavities, then drop 26-connected components of fewer than ``min_voxels`` voxels.

    A cavity is background that no 6-connected path joins to the outside. What bounds it is one 26-connected
    component, so each component is filled in a box of its own: what lies between them is not searched for any.

    Parameters
    ----------
    mask : bool array, shape (z, y, x)

    Returns
    -------
    bool array, shape (z, y, x); ``mask`` itself is left alone
    """
    out = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is None:
        return out
    components, _ = connected(mask[box])
    for number, where in enumerate(ndimage.find_objects(components), start=1):
        component = components[where] == number
        if component.size < min_voxels:
            continue  # not even all of its box would be enough
        filled = _without_cavities(component)
        if np.count_nonzero(filled) >= min_voxels:
            out[box][where] |= filled
    return out


def _without_cavities(component: np.ndarray) -> np.ndarray:
    """A component in its box, with all that the outside is not joined to by a 6-connected path of background."""
    if min(component.shape) < 3:
        return component
    background, _ = ndimage.label(np.pad(~component, 1, constant_values=True))
    return (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _checked_thresholds(thresholds) -> tuple[float, float]:
    if isinstance(thresholds, Mapping):
        thresholds = [thresholds[name] for name in CLASS_NAMES.values() if name in thresholds]
    pair = tuple(float(t) for t in thresholds)
    if len(pair) != 2 or not all(0.0 < t < 1.0 for t in pair):
        raise InputError(f"segmentation thresholds {pair}: give one for GTVp and one for GTVn, between 0 and 1")
    return pair
