"""Half-lives of the radionuclides of PET, and the codes that a header names them by.

Half-lives: Decay Data Evaluation Project; F-18: Tilley et al., Nucl Phys A 1995;595:1-170.
Codes: DICOM PS3.16, CID 4020, in SNOMED-RT style (SRT, SNM3), SNOMED CT (SCT) and by meaning.
"""

from __future__ import annotations

import re

F18_HALF_LIFE_S = 6586.2  # 109.77(5) min
HALF_LIFE_S = {
    "F-18": F18_HALF_LIFE_S,
    "C-11": 1221.8,
    "N-13": 597.9,
    "O-15": 122.24,
    "Ga-68": 4062.6,
    "Cu-64": 45_721.0,
    "Zr-89": 282_240.0,
    "I-124": 360_806.0,
    "Rb-82": 75.5,
}
_CODES = {
    "C-111A1": "F-18",
    "C-105A1": "C-11",
    "C-107A1": "N-13",
    "C-B1038": "O-15",
    "C-131A3": "Ga-68",
    "C-127A2": "Cu-64",
    "C-168A4": "Zr-89",
    "C-114A5": "I-124",
    "C-159A2": "Rb-82",
    "77004003": "F-18",
    "40565003": "C-11",
    "21576001": "N-13",
    "129504001": "O-15",
    "35337001": "Ga-68",
    "3932008": "Cu-64",
    "63360001": "Zr-89",
    "40937006": "I-124",
    "79197006": "Rb-82",
}
_NAMED = re.compile(r"([A-Z][a-z]?)[^A-Za-z0-9]{0,2}(\d{2,3})|\^?(\d{2,3})\^?[^A-Za-z0-9]{0,2}([A-Z][a-z]?)")
_WORDS = {
    "fluorine": "F", "carbon": "C", "nitrogen": "N", "oxygen": "O", "gallium": "Ga", "copper": "Cu",
    "zirconium": "Zr", "iodine": "I", "rubidium": "Rb",
}  # fmt: skip


def nuclide_of(code: str, meaning: str, tracer: str = "") -> str | None:
    """Name ("F-18") of a header's radionuclide; None where nothing known is named.

    Parameters
    ----------
    code, meaning : of RadionuclideCodeSequence
    tracer : Radiopharmaceutical, in words
    """
    return _CODES.get(code.strip()) or _of_words(meaning) or _of_tracer(tracer)


def _of_words(text: str) -> str | None:
    for word, symbol in _WORDS.items():
        text = re.sub(word, symbol, text, flags=re.IGNORECASE)
    for match in _NAMED.finditer(text):
        name = f"{match[1] or match[4]}-{match[2] or match[3]}"
        if name in HALF_LIFE_S:
            return name
    return None


def _of_tracer(text: str) -> str | None:
    found = _of_words(text)
    if found is None and re.search(r"\bFDG\b|fluorodeoxyglucose|fludeoxyglucose", text, re.IGNORECASE):
        return "F-18"
    return found
