"""The patient's body, and what SUV may be normalised to instead of weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmpl.errors import InputError

SEXES = ("M", "F", "O")
GML_TYPES = ("BW", "LBM", "LBMJAMES128", "LBMJANMA", "IBW")


@dataclass(frozen=True)
class Body:
    """Weight in kg, height in m and sex (M, F or O) as DICOM writes them.

    Raises
    ------
    InputError
        If a figure is no human one or the sex is another letter.
    """

    weight_kg: float = 76.0
    height_m: float = 1.74
    sex: str = "M"

    def __post_init__(self):
        if not 2.0 <= self.weight_kg <= 400.0 or not 0.4 <= self.height_m <= 2.5:
            raise InputError(
                f"phantom of {self.weight_kg} kg and {self.height_m} m: give 2 to 400 kg and 0.4 to 2.5 m, so that "
                "units cannot be mistaken"
            )
        if self.sex not in SEXES:
            raise InputError(f"phantom of sex {self.sex!r}: DICOM writes {', '.join(SEXES)}")


def reference_mass_g(body: Body, suv_type: str) -> float:
    """The mass that takes the place of body weight in an SUV in g/mL, by DICOM's SUV Type (0054,1006).

    Parameters
    ----------
    suv_type : "BW", "LBM", "LBMJAMES128", "LBMJANMA" or "IBW"

    Raises
    ------
    InputError
        If the type is another one, or the formula knows no such sex.

    References
    ----------
    DICOM PS3.3 C.8.9.1.1.3; Sugawara et al., Radiology 1999 (LBM, IBW); Janmahasatian et al., Clin Pharmacokinet 2005.
    """
    if suv_type == "BW":
        return 1000.0 * body.weight_kg
    if suv_type not in GML_TYPES:
        raise InputError(f"SUV type {suv_type!r}: in g/mL there are {', '.join(GML_TYPES)}")
    if body.sex == "O":
        raise InputError(f"SUV type {suv_type} of a phantom of sex O: its formula knows M and F only")
    return 1000.0 * _FORMULAS[suv_type, body.sex](body.weight_kg, 100.0 * body.height_m)


def body_surface_cm2(body: Body) -> float:
    """Body surface by Du Bois and Du Bois, Arch Intern Med 1916: 0.007184 W^0.425 H^0.725 m2 with kg and cm."""
    return 1e4 * 0.007184 * math.pow(body.weight_kg, 0.425) * math.pow(100.0 * body.height_m, 0.725)


def _bmi(weight_kg: float, height_cm: float) -> float:
    return weight_kg / (height_cm / 100.0) ** 2


# Kilograms, of weight in kg and height in cm.
_FORMULAS = {
    ("LBM", "M"): lambda w, h: 1.10 * w - 120.0 * (w / h) ** 2,
    ("LBM", "F"): lambda w, h: 1.07 * w - 148.0 * (w / h) ** 2,
    ("LBMJAMES128", "M"): lambda w, h: 1.10 * w - 128.0 * (w / h) ** 2,
    ("LBMJAMES128", "F"): lambda w, h: 1.07 * w - 148.0 * (w / h) ** 2,
    ("LBMJANMA", "M"): lambda w, h: 9270.0 * w / (6680.0 + 216.0 * _bmi(w, h)),
    ("LBMJANMA", "F"): lambda w, h: 9270.0 * w / (8780.0 + 244.0 * _bmi(w, h)),
    ("IBW", "M"): lambda w, h: 48.0 + 1.06 * (h - 152.0),
    ("IBW", "F"): lambda w, h: 45.5 + 0.91 * (h - 152.0),
}
