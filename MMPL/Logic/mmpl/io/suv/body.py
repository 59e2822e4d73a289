"""What SUV is normalised by, besides body weight: lean body mass, ideal body weight, body surface area.

References
----------
Janmahasatian et al., Clin Pharmacokinet 2005;44:1051-1065 (lean body mass).
James and Waterlow, Research on Obesity, 1976; Morgan and Bray, Int J Obes 1994 (DICOM's LBMJAMES128 and LBM).
Sugawara et al., Radiology 1999;213:521-525 (ideal body weight).
Du Bois and Du Bois, Arch Intern Med 1916;17:863-871 (body surface area).
DICOM PS3.3, C.8.9.1.1.3, SUV Type; IBSI manual on SUV computation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mmpl.errors import SuvError

MALE, FEMALE, OTHER = "M", "F", "O"
HEIGHT_CM = (40.0, 250.0)


@dataclass(frozen=True)
class Body:
    """A patient's weight (kg), height (cm) and sex ("M", "F"; "O" takes the mean of both formulas).

    Raises
    ------
    SuvError
        If weight or height is not positive, or the sex is another letter.
    """

    weight_kg: float
    height_cm: float
    sex: str

    def __post_init__(self):
        if not (self.weight_kg > 0 and HEIGHT_CM[0] <= self.height_cm <= HEIGHT_CM[1]):
            raise SuvError(
                f"weight {self.weight_kg:g} kg, height {self.height_cm:g} cm: expected a positive weight and a height "
                f"of {HEIGHT_CM[0]:g} to {HEIGHT_CM[1]:g} cm"
            )
        if self.sex not in (MALE, FEMALE, OTHER):
            raise SuvError(f"sex {self.sex!r}: expected M, F or O")

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m2."""
        return self.weight_kg / (self.height_cm / 100.0) ** 2


def lean_body_mass_janmahasatian(body: Body) -> float:
    """Lean body mass in kg by Janmahasatian et al."""
    male = 9270.0 * body.weight_kg / (6680.0 + 216.0 * body.bmi)
    return _of_sex(body, male, 9270.0 * body.weight_kg / (8780.0 + 244.0 * body.bmi))


def lean_body_mass_james(body: Body) -> float:
    """Lean body mass in kg by James, with 128 for men (DICOM's LBMJAMES128)."""
    return _lean(body, 128.0)


def lean_body_mass_morgan(body: Body) -> float:
    """Lean body mass in kg as Morgan and Bray have James's formula, with 120 for men (DICOM's LBM)."""
    return _lean(body, 120.0)


def ideal_body_weight(body: Body) -> float:
    """Ideal body weight in kg."""
    return _of_sex(body, 48.0 + 1.06 * (body.height_cm - 152.0), 45.5 + 0.91 * (body.height_cm - 152.0))


def body_surface_area_cm2(body: Body) -> float:
    """Body surface area in cm2 by Du Bois and Du Bois."""
    return 71.84 * body.height_cm**0.725 * body.weight_kg**0.425


def _lean(body: Body, male_term: float) -> float:
    square = (body.weight_kg / body.height_cm) ** 2
    return _of_sex(body, 1.10 * body.weight_kg - male_term * square, 1.07 * body.weight_kg - 148.0 * square)


def _of_sex(body: Body, male: float, female: float) -> float:
    return {MALE: male, FEMALE: female, OTHER: (male + female) / 2}[body.sex]


@dataclass(frozen=True)
class Normaliser:
    """One kind of SUV.

    Attributes
    ----------
    name : as people write it
    of : Body -> what takes the place of the weight, in g (cm2 for the surface area)
    """

    name: str
    of: Callable[[Body], float]


def _in_g(kilograms: Callable[[Body], float]) -> Callable[[Body], float]:
    return lambda body: 1000.0 * kilograms(body)


# by DICOM's SUVType
NORMALISERS = {
    "LBMJANMA": Normaliser("SUVlbm (Janmahasatian)", _in_g(lean_body_mass_janmahasatian)),
    "LBMJAMES128": Normaliser("SUVlbm (James)", _in_g(lean_body_mass_james)),
    "LBM": Normaliser("SUVlbm (Morgan)", _in_g(lean_body_mass_morgan)),
    "IBW": Normaliser("SUVibw", _in_g(ideal_body_weight)),
    "BSA": Normaliser("SUVbsa", body_surface_area_cm2),
}


def factor_from_body_weight(suv_type: str, body: Body) -> float:
    """What SUVbw is multiplied by to give another SUV (cm2/mL for BSA, g/mL else).

    Raises
    ------
    SuvError
        If the formula gives nothing positive for this body.
    """
    normaliser = NORMALISERS[suv_type]
    value = normaliser.of(body) / (1000.0 * body.weight_kg)
    if value <= 0:
        raise SuvError(
            f"{normaliser.name} has no meaning for {body.weight_kg:g} kg and {body.height_cm:g} cm: check both"
        )
    return value


def factors(body: Body) -> dict[str, float]:
    """Name of each SUV -> what SUVbw is multiplied by; those without a meaning for this body are left out."""
    found = {}
    for suv_type, normaliser in NORMALISERS.items():
        try:
            found[normaliser.name] = factor_from_body_weight(suv_type, body)
        except SuvError:
            continue
    return found
