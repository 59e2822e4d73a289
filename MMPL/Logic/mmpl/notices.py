"""Warnings that travel with a result: a code for programs, a sentence for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass

NO_LESION = "NO_LESION"
PET_NOT_SUV = "PET_NOT_SUV"
MASK_OUTSIDE_ROI = "MASK_OUTSIDE_ROI"
MASK_OUTSIDE_PET = "MASK_OUTSIDE_PET"
MASK_OUTSIDE_CT = "MASK_OUTSIDE_CT"
MASK_BETWEEN_VOXELS = "MASK_BETWEEN_VOXELS"
ROI_FALLBACK = "ROI_FALLBACK"
FOV_FALLBACK = "FOV_FALLBACK"
SITE_UNKNOWN = "SITE_UNKNOWN"
SITE_NOT_OROPHARYNX = "SITE_NOT_OROPHARYNX"
UNSEEN_CATEGORY = "UNSEEN_CATEGORY"
CLINICAL_MISSING = "CLINICAL_MISSING"
FEATURE_NAN = "FEATURE_NAN"
VOXELS_NOT_FINITE = "VOXELS_NOT_FINITE"
PHANTOM_BUNDLE = "PHANTOM_BUNDLE"
SMALL_OVERLAP = "SMALL_OVERLAP"
HPV_AS_KNOWN = "HPV_AS_KNOWN"
BACKEND_FALLBACK = "BACKEND_FALLBACK"
PLAN_SHRUNK = "PLAN_SHRUNK"
MEMORY_EXCEEDED = "MEMORY_EXCEEDED"
CT_DOUBT = "CT_DOUBT"
POSITION_DOUBT = "POSITION_DOUBT"
SUV_DOUBT = "SUV_DOUBT"
DICOM_SERIES = "DICOM_SERIES"
DICOM_PAIR = "DICOM_PAIR"
DOSE_PARTLY_COVERED = "DOSE_PARTLY_COVERED"
DOSE_DOUBT = "DOSE_DOUBT"
STRUCTURES_INCOMPLETE = "STRUCTURES_INCOMPLETE"
STRUCTURES_IGNORED = "STRUCTURES_IGNORED"
FRAME_OF_REFERENCE_IGNORED = "FRAME_OF_REFERENCE_IGNORED"
SEG_FRACTIONAL = "SEG_FRACTIONAL"


@dataclass(frozen=True)
class Notice:
    """One warning.

    Attributes
    ----------
    code : str
        One of the constants of this module.
    text : str
        One sentence for the reader: what was seen and what it means for the result.
    """

    code: str
    text: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def between_voxels(what: str) -> Notice:
    """That some lesions or parts (``what``) are lost on the CT's grid."""
    text = f"{what} hold no voxel centre of the CT, whose voxels are larger, and are left out of everything."
    return Notice(MASK_BETWEEN_VOXELS, text)
