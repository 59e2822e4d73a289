"""Positron emitters of this package: half-life and DICOM codes.

Half-lives are those of the Evaluated Nuclear Structure Data File (109.77, 67.71 and 20.36 minutes), codes those of
DICOM CID 4020 and 4021 with their SNOMED CT values and the older SNOMED RT ones, which many scanners still write.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Nuclide:
    """A radionuclide and the tracer that carries it here.

    Attributes
    ----------
    half_life_s : seconds
    positron_fraction : positrons per decay
    codes : code value by scheme, SCT or SRT
    meaning : code meaning of the nuclide
    tracer, tracer_code, tracer_meaning : name, SNOMED CT code and code meaning of the radiopharmaceutical
    """

    half_life_s: float
    positron_fraction: float
    codes: dict[str, str]
    meaning: str
    tracer: str
    tracer_code: str
    tracer_meaning: str


NUCLIDES = {
    "F-18": Nuclide(
        6586.2,
        0.967,
        {"SCT": "77004003", "SRT": "C-111A1"},
        "^18^Fluorine",
        "Fluorodeoxyglucose",
        "35321007",
        "Fluorodeoxyglucose F^18^",
    ),
    "Ga-68": Nuclide(
        4062.6,
        0.889,
        {"SCT": "35337001", "SRT": "C-131A3"},
        "^68^Gallium",
        "DOTATATE",
        "724025002",
        "Dotatate Ga^68^",
    ),
    "C-11": Nuclide(
        1221.6,
        0.998,
        {"SCT": "40565003", "SRT": "C-105A1"},
        "^11^Carbon",
        "Methionine",
        "129510001",
        "Methionine C^11^",
    ),
}
