"""Our features beside the consensus of the image biomarker standardisation initiative (IBSI).

Reference: Zwanenburg et al., Radiology 2020;295:328-338; reference values: github.com/theibsi, CC BY 4.0.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmpl.errors import InputError
from mmpl.radiomics.feature_set import FEATURES_OF_FAMILY

NO_CODE = "-"

CODES = {
    "shape": "Q3CK N17B 7J51 TDIC - - - L0JK RNU0 P9VJ QCFX C0JK 2PR5 YEKZ",
    "firstorder": "QG58 8DWT N8CA TLU2 SALO IPH6 84IY 4FUA Q4LE Y12H 1GSF 2OJQ 1128 5ZWQ KE2A - BJ5W ECT3",
    "glcm": (
        "QWB0 AE86 7NFM DG8W ACUI NI2N TF7R NTRS D3YU IB1Z WF0Z 1QCO NDRX R8DG JN9H E8JP 60VM 8ZQL TU9B - GYBY "
        "ZGXS P6QZ UR99"
    ),
    "glrlm": "R5YN OVBL 8CE5 G3QZ W4KF 3KUM IVPO V3SW HJ9O W92Y IC23 9ZK5 SXLW 22OV GD3A HTZT",
    "glszm": "JNSA Y1RO BYLV 5GN9 48P8 J17V YH51 XMSY 4JP3 VB3A 5QRC HW1V 5RAI GU8N P30P 3NSA",
    "gldm": "FCBV Z87G OKJI DNX2 FP8K 1PFV OAE7 IMOQ 9QMG NBZI TL9H SODN JA6D EQ3F",
    "ngtdm": "NQ30 QCDE HDEZ 65HE 1X9X",
}
CODE_OF = {
    feature if family == "shape" else f"{family}_{feature}": code
    for family, codes in CODES.items()
    for feature, code in zip(FEATURES_OF_FAMILY[family], codes.split(), strict=True)
}

# The initiative's CSV table leaves negative values out; these are in its reference manual (arXiv:1612.07003).
NEGATIVE_VALUES = {("dig. phantom", "IPH6"): -0.355, ("dig. phantom", "R8DG"): -0.157}
CODE_OF_FEATURE = {"Small zone emphasis": "5QRC"}  # the published table leaves this code out
AGGREGATIONS = ("", "3D", "3D, averaged")
SIGNIFICANT_DIGITS = 3  # of the published values

AXES = "pyradiomics divides the covariance by the voxels, IBSI by one less"
REASONS = {
    "LeastAxisLength": AXES,
    "MajorAxisLength": AXES,
    "MinorAxisLength": AXES,
    "firstorder_Kurtosis": "pyradiomics' kurtosis is IBSI's excess kurtosis + 3",
    "firstorder_TotalEnergy": "not in IBSI: energy times voxel volume",
    "Maximum2DDiameterColumn": "not in IBSI",
    "Maximum2DDiameterRow": "not in IBSI",
    "Maximum2DDiameterSlice": "not in IBSI",
    "glcm_MCC": "not in IBSI",
}
NO_VALUE = "no value in the published table"


@dataclass(frozen=True)
class Reference:
    """A consensus value; ``tolerance`` is None where only the value's digits are given."""

    value: float
    tolerance: float | None

    def agrees(self, value: float) -> bool:
        if self.tolerance is not None:
            return abs(value - self.value) <= self.tolerance
        if self.value == 0:
            return value == 0
        last_digit = 10.0 ** (math.floor(math.log10(abs(self.value))) - SIGNIFICANT_DIGITS + 1)
        return abs(value - self.value) <= 0.5001 * last_digit


@dataclass(frozen=True)
class Comparison:
    """One feature of ours, its consensus if there is one, and why they may differ."""

    name: str
    code: str
    value: float
    reference: Reference | None
    reason: str

    @property
    def agrees(self) -> bool:
        return self.reference is not None and self.reference.agrees(self.value)


def read_references(path: Path, configuration: str) -> dict[str, Reference]:
    """Consensus values by code, 3D and averaged over directions where there is a choice.

    Negative values, which the table lacks, are added for the digital phantom.

    Parameters
    ----------
    path : the initiative's table of reference values as CSV
    configuration : "dig. phantom" or "config. A" to "config. E"

    Raises
    ------
    InputError
        If the table is not there or has no such configuration.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there: get IBSI's reference values from github.com/theibsi")
    found = {code: Reference(v, None) for (data, code), v in NEGATIVE_VALUES.items() if data == configuration}
    read = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["data"] != configuration or row["aggregation"] not in AGGREGATIONS or not row["value"]:
                continue
            code = row["code"] or CODE_OF_FEATURE.get(row["feature"], "")
            tolerance = float(row["tolerance"]) if row["tolerance"] else None
            found[code] = Reference(float(row["value"]), tolerance)
            read += 1
    if not read:
        raise InputError(f"{path} has no values of {configuration!r}; try 'dig. phantom' or 'config. A'")
    return found


def compare(values: Mapping[str, float], references: Mapping[str, Reference]) -> list[Comparison]:
    """Every feature of ours in the order of the families.

    Parameters
    ----------
    values : shape features by name, others as "family_Feature"
    references : from ``read_references``
    """
    rows = []
    for name, code in CODE_OF.items():
        reference = references.get(code)
        reason = REASONS.get(name, NO_VALUE if reference is None else "")
        rows.append(Comparison(name, code, values[name], reference, reason))
    return rows
