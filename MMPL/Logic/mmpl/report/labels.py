"""What a feature is called when a person reads it."""

from __future__ import annotations

import re

from mmpl.clinical.fields import FIELDS, CategoricalField
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY

MODALITIES = {"PT": "PET", "PET": "PET", "CT": "CT"}
FAMILIES = {
    "shape": "shape",
    "firstorder": "first-order",
    "glcm": "GLCM",
    "glrlm": "GLRLM",
    "glszm": "GLSZM",
    "gldm": "GLDM",
    "ngtdm": "NGTDM",
}
MISSING_FLAG = "missing_"  # then the class: 1 when it has no voxel
NAMED = {
    DEEP_HPV: "Network, HPV score (logit)",
    DEEP_DAYS: "Network, RFS score (days)",
    HPV_PROBABILITY: "HPV probability",
    "Idm": "Inverse difference moment",
    "Idmn": "Inverse difference moment normalised",
    "Id": "Inverse difference",
    "Idn": "Inverse difference normalised",
    "Imc1": "Informational measure of correlation 1",
    "Imc2": "Informational measure of correlation 2",
    "MCC": "Maximal correlation coefficient",
}
_RADIOMIC = re.compile(
    r"^(?P<mask>GTV[pn])_(?:(?P<modality>PT|PET|CT)_)?"
    r"(?P<filter>original|log-sigma-[\d-]+-mm-3D|wavelet-[LH]{3})_"
    r"(?P<family>shape|firstorder|glcm|glrlm|glszm|gldm|ngtdm)_(?P<feature>\w+)$"
)


def label_of(feature: str) -> str:
    """The name of a model input in words; an unknown name comes back with its underscores as spaces.

    >>> label_of("GTVp_PT_log-sigma-3-0-mm-3D_firstorder_Mean")
    'GTVp, PET, LoG 3 mm: first-order Mean'
    """
    if feature in NAMED:
        return NAMED[feature]
    match = _RADIOMIC.match(feature)
    if match:
        return _radiomic(match)
    if feature.startswith(MISSING_FLAG):
        return f"No {feature.removeprefix(MISSING_FLAG)} found"
    name, separator, level = feature.partition("=")
    return _clinical(name, level) if separator or name in FIELDS else _spaced(name)


def _clinical(name: str, level: str) -> str:
    """ "Gender=1" -> "Gender: male"; a continuous field's column is standardised, and says so."""
    field = FIELDS.get(name)
    label = field.label if field else _spaced(name)
    if not level:
        return f"{label} (standardised)"
    if isinstance(field, CategoricalField) and level.isdecimal():
        level = field.levels.get(int(level), level)
    return f"{label}: {_spaced(level)}"


def _radiomic(match: re.Match) -> str:
    where = [match["mask"], MODALITIES.get(match["modality"] or "", ""), _filter_name(match["filter"])]
    what = f"{FAMILIES[match['family']]} {_feature_name(match['feature'])}"
    return f"{', '.join(part for part in where if part)}: {what}"


def _filter_name(name: str) -> str:
    if name == "original":
        return ""
    if name.startswith("wavelet-"):
        return f"wavelet {name[-3:]}"
    whole, fraction = name.removeprefix("log-sigma-").removesuffix("-mm-3D").split("-")
    return f"LoG {whole} mm" if int(fraction) == 0 else f"LoG {whole}.{fraction} mm"


def _feature_name(name: str) -> str:
    """ "GrayLevelNonUniformity" -> "Gray level non uniformity"; pyradiomics' abbreviations spelled out."""
    if name in NAMED:
        return NAMED[name]
    percentile = re.fullmatch(r"(\d+)Percentile", name)
    if percentile:
        return f"{percentile[1]}th percentile"
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|\d+[A-Z]?|[a-z]+", name)
    rest = (word if word.isupper() and len(word) > 1 else word.lower() for word in words[1:])
    return " ".join([words[0], *rest]).replace("non uniformity", "non-uniformity")


def _spaced(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def is_indicator(feature: str) -> bool:
    """True for columns that are 1 or 0 for yes or no: a category, or a class without a voxel."""
    return "=" in feature or feature.startswith(MISSING_FLAG)
