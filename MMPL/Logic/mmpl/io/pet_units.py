"""Is this PET in body-weight SUV?

A NIfTI, NRRD or MetaImage file does not say what its voxels are, so their size is looked at:

- SUVbw is defined so that a tracer spread evenly over the body gives 1 everywhere (g/mL). The body's
  median therefore lies within a factor of a few of 1, brain and tumour at 5 to 40, and only urine
  or an injection site goes beyond (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328-354).
- Activity concentration in Bq/mL is thousands of times larger: 370 MBq in 70 kg is 5,300 Bq/mL at SUV 1,
  about 3,600 after the usual hour, and still 300 after four half-lives.
- Images scaled to [0, 1] or to z-scores are too small or have large negative values.

Activity in kBq/mL is about 3 to 5 times SUV and cannot be told from SUV by size alone. No scanner
writes it (DICOM's PET units, tag 0054,1001, have BQML but no kBq/mL), so only a home-made conversion does.
"""

from __future__ import annotations

import numpy as np

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.geometry import Volume
from mmpl.notices import PET_NOT_SUV, Notice

SUV_HEADER_UNITS = ("suvbw", "suv", "g/ml", "gml", "{suvbw}g/ml")
LARGEST_SUV = 500.0  # even urine stays below
HIGHEST_P999_SUV = 100.0  # one voxel in a thousand: a tumour or bladder, never the body
LOWEST_P999_SUV = 1.1  # somewhere an FDG image exceeds the body's mean; one scaled to [0, 1] does not
BODY_MEDIAN_SUV = (0.1, 5.0)
BODY_ABOVE_SUV = 0.1  # air is below, muscle (0.3 to 0.8) above
MOST_NEGATIVE_FRACTION = 0.05  # of the 99.9th percentile: ringing of a resampled image is smaller

CONSEQUENCE = "masks are given, but PET radiomics, HPV and RFS are null; convert the PET to body-weight SUV first."


def guess_pet_units(volume: Volume, header_units: str | None = None) -> tuple[str, Notice | None]:
    """Units of a PET: "SUVbw" or "unknown", and the warning that goes with the latter.

    Parameters
    ----------
    volume : Volume, finite
    header_units : what the file says of its units ("SUVbw", "GML", "BQML", ...); None when it says nothing.
        What it says is believed, unless it says SUV and the values cannot be.

    Returns
    -------
    (str, Notice or None) : ``case.PET_SUV`` and None, or ``case.PET_UNKNOWN`` and a PET_NOT_SUV notice
    """
    if header_units is not None and header_units.strip().lower() not in SUV_HEADER_UNITS:
        return _unknown(f'its header gives the units "{header_units.strip()}"')
    reason = why_not_suv(volume.array)
    return (PET_SUV, None) if reason is None else _unknown(reason)


def _unknown(reason: str) -> tuple[str, Notice]:
    return PET_UNKNOWN, Notice(PET_NOT_SUV, f"The PET is not in SUV ({reason}): {CONSEQUENCE}")


def why_not_suv(array: np.ndarray, *, units_stated: bool = False) -> str | None:
    """What in a PET's values, or in a fair sample of them, rules SUV out; None when nothing does.

    Parameters
    ----------
    array : finite
    units_stated : a header says what the values are. Then they are judged as a whole: single ones, as of an injection
        site or of a reconstruction that goes below 0, rule nothing out; see :func:`odd_voxels`.
    """
    p999 = float(np.percentile(array, 99.9))
    odd = None if units_stated else odd_voxels(array, p999)
    if odd is not None:
        return odd
    if p999 >= HIGHEST_P999_SUV:
        return f"99.9th percentile {p999:.4g}, expected below {HIGHEST_P999_SUV:g}"
    if p999 < LOWEST_P999_SUV:
        return f"99.9th percentile {p999:.4g}, expected at least {LOWEST_P999_SUV:g}"
    median = float(np.median(array[array > BODY_ABOVE_SUV]))
    if not BODY_MEDIAN_SUV[0] <= median <= BODY_MEDIAN_SUV[1]:
        return f"median of the body {median:.4g}, expected {BODY_MEDIAN_SUV[0]:g} to {BODY_MEDIAN_SUV[1]:g}"
    return None


def odd_voxels(array: np.ndarray, p999: float | None = None) -> str | None:
    """Which extreme values SUV hardly has, be they of a single voxel; None when there are none.

    Parameters
    ----------
    array : finite
    p999 : its 99.9th percentile, if known
    """
    low, high = float(array.min()), float(array.max())
    p999 = float(np.percentile(array, 99.9)) if p999 is None else p999
    if high >= LARGEST_SUV:
        return f"largest value {high:.4g}, expected below {LARGEST_SUV:g}"
    if low < -MOST_NEGATIVE_FRACTION * p999:
        return f"smallest value {low:.4g}, expected 0"
    return None
