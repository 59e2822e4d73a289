"""The probability from which the searching members' word counts, fitted on patients that a network did not train on.

At inference a few members search everywhere, and the others look only where a searcher gives anything at least this
probability. So the threshold must lie below what an unseen lesion gets at its best voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmpl.components import connected
from mmpl.training.crops import FOREGROUND

FLOOR = 0.001  # below, a network says nothing: no threshold finds such a lesion, short of looking everywhere
SAFETY = 0.5  # of the lowest peak
HIGHEST = 0.1


@dataclass(frozen=True)
class SearchThreshold:
    """A fitted threshold.

    Attributes
    ----------
    value : probability; 0 where there was nothing to fit it on, and then everything is possible everywhere
    lesions : it was fitted on
    missed : lesions that it would not have searched around, since a lone network rated them below ``FLOOR``
    """

    value: float
    lesions: int
    missed: int

    def to_dict(self) -> dict:
        return {"threshold": self.value, "lesions": self.lesions, "missed": self.missed}


def lesion_peaks(probabilities: np.ndarray, label: np.ndarray) -> list[float]:
    """The highest probability, of either class, within each true lesion.

    Parameters
    ----------
    probabilities : float, shape (2, z, y, x), of a network that did not train on the patient
    label : uint8, shape (2, z, y, x), share of GTVp and GTVn in each voxel times 255; a lesion is a 26-connected part
        of what is at least half covered
    """
    highest = probabilities.max(axis=0)
    peaks = []
    for share in label:
        parts, count = connected(share >= FOREGROUND)
        peaks += np.atleast_1d(ndimage.maximum(highest, parts, range(1, count + 1))).tolist() if count else []
    return peaks


def fit_search_threshold(peaks: Sequence[float]) -> SearchThreshold:
    """Half of the lowest peak that is not below ``FLOOR``; itself from ``FLOOR`` to ``HIGHEST``.

    Parameters
    ----------
    peaks : of every lesion of every patient, see :func:`lesion_peaks`
    """
    if not len(peaks):
        return SearchThreshold(0.0, 0, 0)
    said = [peak for peak in peaks if peak >= FLOOR]
    value = max(FLOOR, min([HIGHEST, *(SAFETY * peak for peak in said)]))
    return SearchThreshold(float(value), len(peaks), sum(peak < value for peak in peaks))
