"""The data that flows through the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mmpl.dicom_source import DicomSource
from mmpl.geometry import Geometry, Volume
from mmpl.notices import Notice

GTVP, GTVN = 1, 2
CLASS_NAMES: dict[int, str] = {GTVP: "GTVp", GTVN: "GTVn"}

PET_SUV = "SUVbw"
PET_UNKNOWN = "unknown"


@dataclass(frozen=True)
class PlannedDose:
    """A planned dose distribution.

    Attributes
    ----------
    volume : Volume, Gy, on its own grid
    dose_type, summation_type : DICOM's DoseType and DoseSummationType; None where they are not said
    levels_gy : doses whose volumes are reported (V60 and the like)
    """

    volume: Volume
    dose_type: str | None = None
    summation_type: str | None = None
    levels_gy: tuple[float, ...] = (50.0, 60.0, 66.0, 70.0)


@dataclass(frozen=True)
class Case:
    """One patient's images and clinical record, as read.

    Attributes
    ----------
    case_id : str
    ct : Volume, HU, float32, or int16 where that holds the same numbers
    pet : Volume, float32, body-weight SUV (g/mL) when ``pet_units`` is "SUVbw"
    pet_units : "SUVbw" or "unknown"
    clinical : raw clinical values by HECKTOR column name; absent or None is Unknown
    provenance : what is known of how the PET came to be in its units
    notices : warnings met while reading
    ct_source, pet_source : the DICOM series they came from; None for other files
    dose : planned dose, reported and no model's input; None without one
    """

    case_id: str
    ct: Volume
    pet: Volume
    pet_units: str = PET_SUV
    clinical: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    ct_source: DicomSource | None = None
    pet_source: DicomSource | None = None
    dose: PlannedDose | None = None


@dataclass(frozen=True)
class RoiCase:
    """A case on the fixed 1 mm ROI: what training and inference both start from.

    Attributes
    ----------
    case_id : str
    ct_hu : float32 array, shape (z, y, x), HU clipped to [-1024, 3071]
    pet_suv : float32 array, shape (z, y, x), SUV >= 0
    geometry : Geometry of the ROI, 1 mm, direction identity
    centre_lps : ROI centre in LPS mm (the centroid found in the cranial slab, or the fall-back)
    ct_geometry : Geometry of the native CT, the grid that masks return to
    pet_native : Volume, the PET as read, for lesion figures
    pet_units : as in Case
    notices : warnings so far
    """

    case_id: str
    ct_hu: np.ndarray
    pet_suv: np.ndarray
    geometry: Geometry
    centre_lps: tuple[float, float, float]
    ct_geometry: Geometry
    pet_native: Volume
    pet_units: str
    notices: tuple[Notice, ...] = ()
