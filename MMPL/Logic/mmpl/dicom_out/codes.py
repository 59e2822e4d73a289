"""Codes of the structured report: of the standard where it has one, of MMPL's own scheme where not.

DICOM PS3.16: CID 7466 (PET measurements: metabolic volume, total lesion glycolysis), 7464 (modifiers of a region of
interest's measurement), 218 and 7469 (SUV). ``docs/dicom-out.md`` lists the private codes with their definitions.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

PRIVATE_SCHEME = "99MMPL"

MILLILITRE = Code("ml", "UCUM", "ml")
GRAM = Code("g", "UCUM", "g")
NO_UNIT = Code("1", "UCUM", "no units")
DAY = Code("d", "UCUM", "day")
SUV_UNIT = Code("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight")

VOLUME = Code("118565006", "SCT", "Volume")
SUVBW = Code("126401", "DCM", "SUVbw")
METABOLIC_VOLUME = Code("126032", "DCM", "Metabolic Volume")
TOTAL_LESION_GLYCOLYSIS = Code("126033", "DCM", "Total Lesion Glycolysis")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MEAN = Code("373098007", "SCT", "Mean")
PEAK = Code("126031", "DCM", "Peak Value Within ROI")
COMMENT = Code("121106", "DCM", "Comment")
PET_CT = Code("443271005", "SCT", "PET/CT FDG imaging of whole body")


def _own(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


HPV_PROBABILITY = _own("HPV_PROBABILITY", "Probability of HPV-positive tumour")
HPV_THRESHOLD = _own("HPV_THRESHOLD", "Threshold of the HPV probability")
HPV_STATUS = _own("HPV_STATUS", "Predicted HPV status")
RFS_RISK = _own("RFS_RISK", "Risk score, higher is earlier relapse")
RFS_GROUP = _own("RFS_RISK_GROUP", "Risk group of relapse")
RESTRICTED_MEAN = _own("RFS_DEEP_DAYS", "Deep score of recurrence-free survival, no forecast")
PREDICTION = _own("PREDICTION", "Prediction for the patient")
RFS_AT = {
    f"{years}y": _own(f"RFS_{years}Y", f"Recurrence-free survival at {years} year{'s' if years > 1 else ''}")
    for years in (1, 2, 3, 5)
}
STATUS_VALUES = {
    "positive": Code("10828004", "SCT", "Positive"),
    "negative": Code("260385009", "SCT", "Negative"),
}
GROUP_VALUES = {
    "low": Code("62482003", "SCT", "Low"),
    "intermediate": Code("11896004", "SCT", "Intermediate"),
    "high": Code("75540009", "SCT", "High"),
}


@dataclass(frozen=True)
class Figure:
    """How one figure of a lesion is coded: its key in results.json, concept, unit, and derivation if any."""

    key: str
    label: str
    concept: Code
    unit: Code
    derivation: Code | None = None


FIGURES = (
    Figure("volume_ml", "volume", VOLUME, MILLILITRE),
    Figure("suv_max", "SUVmax", SUVBW, SUV_UNIT, MAXIMUM),
    Figure("suv_mean", "SUVmean", SUVBW, SUV_UNIT, MEAN),
    Figure("suv_peak", "SUVpeak", SUVBW, SUV_UNIT, PEAK),
    Figure("mtv_ml", "MTV", METABOLIC_VOLUME, MILLILITRE),
    Figure("tlg_g", "TLG", TOTAL_LESION_GLYCOLYSIS, GRAM),
)
