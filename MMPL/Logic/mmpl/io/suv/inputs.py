"""Body-weight SUV from a PET in Bq/mL: what it takes, and the formula.

SUV is the activity concentration divided by what it would be if the tracer had spread evenly over the body:

    SUV (g/mL) = activity (Bq/mL) * weight (g) / (injected activity (Bq) * 2 ** (-decay / half-life))

The decay runs from the time for which the injected activity is known to the time that the image's activities are
corrected to. A scanner either corrects them to the start of the scan (DICOM's "START": the usual case, an hour after
injection) or back to the injection ("ADMIN": no decay between the two).

References
----------
Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328-354.
RSNA QIBA FDG-PET/CT: vendor-neutral pseudo-code for SUV (which of a header's times the activities belong to).
DICOM PS3.3, C.8.9.1 (PET Series) and C.8.9.2 (PET Isotope).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from mmpl.errors import SuvError
from mmpl.io.suv.nuclides import F18_HALF_LIFE_S

WEIGHT_KG = (1.0, 400.0)
INJECTED_MBQ = (1.0, 3000.0)
DECAY_MIN = (0.0, 600.0)
HALF_LIFE_S = (60.0, 1e6)  # from O-15's two minutes to beyond Zr-89's three days
MBQ_PER_MCI = 37.0
LEAST_MBQ_PER_KG, MOST_MBQ_PER_KG = 0.5, 25.0  # FDG is given at 2 to 7, on the most sensitive scanners at 1

NEEDED = {
    "weight_kg": "the patient's weight (kg)",
    "injected_mbq": "the injected activity (MBq)",
    "decay_min": "the time from injection to scan (min)",
}


@dataclass(frozen=True)
class SuvInputs:
    """What turns Bq/mL into SUV.

    Attributes
    ----------
    weight_kg : of the patient, 1 to 400
    injected_mbq : injected activity, 1 to 3000 MBq
    decay_min : minutes from the time for which the injected activity is known (injection, as a rule) to the time
        that the image's activities are corrected to; 0 for images that are corrected to the injection
    half_life_s : of the radionuclide, seconds; fluorine-18's where nothing else is said

    Raises
    ------
    SuvError
        If a value is missing, no number, or cannot be.
    """

    weight_kg: float
    injected_mbq: float
    decay_min: float
    half_life_s: float = F18_HALF_LIFE_S

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            problem = problem_with(field.name, value)
            if problem is not None:
                raise SuvError(problem)
            object.__setattr__(self, field.name, float(value))

    def doubts(self) -> tuple[str, ...]:
        """Sentences about values that can be but seldom are, and are often typed in another unit."""
        found = []
        if self.injected_mbq < LEAST_MBQ_PER_KG * self.weight_kg:
            found.append(
                f"An injected activity of {self.injected_mbq:g} MBq is very little for {self.weight_kg:g} kg: if it is "
                f"in mCi, give {self.injected_mbq * MBQ_PER_MCI:.4g}."
            )
        if self.injected_mbq > MOST_MBQ_PER_KG * self.weight_kg:
            found.append(
                f"An injected activity of {self.injected_mbq:g} MBq is very much for {self.weight_kg:g} kg: check both."
            )
        if 0 < self.decay_min < 10:
            found.append(
                f"{self.decay_min:g} min from injection to scan is very short: if it is in hours, give minutes; "
                "if the images are corrected to the injection, give 0."
            )
        return tuple(found)


def problem_with(name: str, value: object) -> str | None:
    """What is wrong with one input, in a sentence; None when nothing is.

    Parameters
    ----------
    name : a field of ``SuvInputs``
    value : None is missing
    """
    what, unit, (low, high), hint = _RULES[name]
    if value is None:
        return f"{what} is missing: give it in {unit}"
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return f"{what} is {value!r}: give a number in {unit}"
    if not low <= value <= high:
        return (
            f"{what} is {value:g} {unit}, expected {low:g} to {high:g}: {hint(value) or 'check the value and its unit'}"
        )
    return None


def missing_fields(values: Mapping[str, object]) -> tuple[str, ...]:
    """Which of weight, injected activity and time are still needed, in words for people.

    Parameters
    ----------
    values : fields of ``SuvInputs`` by name, as far as they are known; None counts as unknown
    """
    return tuple(words for name, words in NEEDED.items() if values.get(name) is None)


def joined(words: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def suv_scale(inputs: SuvInputs) -> float:
    """Factor from Bq/mL to body-weight SUV (g/mL)."""
    return _scale(inputs.injected_mbq * 1e6, inputs.weight_kg, inputs.decay_min * 60.0, inputs.half_life_s)


def suv_body_weight(activity_bqml, *, injected_bq, weight_kg, decay_s, half_life_s):
    """Scale a PET activity map to body-weight SUV.

    Parameters
    ----------
    activity_bqml : float array, shape (z, y, x), Bq/mL
    injected_bq : float, activity at injection
    weight_kg, decay_s, half_life_s : float

    Returns
    -------
    float array, shape (z, y, x), g/mL

    Raises
    ------
    SuvError
        If weight, dose or half-life is missing or not positive.

    References
    ----------
    Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328-354.
    """
    positive = {"weight": (weight_kg, "kg"), "injected activity": (injected_bq, "Bq"), "half-life": (half_life_s, "s")}
    for what, (value, unit) in positive.items():
        if value is None or not (math.isfinite(value) and value > 0):
            raise SuvError(f"the {what} is {value}, expected a positive number of {unit}: give it to compute SUV")
    if decay_s is None or not math.isfinite(decay_s):
        raise SuvError(f"the time from injection is {decay_s}, expected a number of s: give it to compute SUV")
    return np.asarray(activity_bqml) * _scale(injected_bq, weight_kg, decay_s, half_life_s)


# --- the formula --------------------------------------------------------------------------------------


def _scale(injected_bq: float, weight_kg: float, decay_s: float, half_life_s: float) -> float:
    return float(weight_kg * 1000.0 / (injected_bq * 2.0 ** (-decay_s / half_life_s)))


# --- what a value may be ------------------------------------------------------------------------------


def _weight_hint(value: float) -> str | None:
    return f"if it is in g, give {value / 1000:g}" if value > WEIGHT_KG[1] else None


def _dose_hint(value: float) -> str | None:
    if value >= 1e6:
        return f"it looks like Bq; give {value / 1e6:g}"
    if value >= 1e4:
        return f"it looks like kBq; give {value / 1e3:g}"
    if 0 < value < INJECTED_MBQ[0]:
        return f"if it is in GBq, give {value * 1e3:g}"
    return None


def _decay_hint(value: float) -> str | None:
    if value < 0:
        return "the scan comes after the injection; check both times and dates"
    return f"if it is in seconds, give {value / 60:g}"


def _half_life_hint(value: float) -> str | None:
    return f"if it is in minutes, give {value * 60:g}" if value > 0 else None


_RULES = {
    "weight_kg": ("the patient's weight", "kg", WEIGHT_KG, _weight_hint),
    "injected_mbq": ("the injected activity", "MBq", INJECTED_MBQ, _dose_hint),
    "decay_min": ("the time from injection to scan", "min", DECAY_MIN, _decay_hint),
    "half_life_s": ("the half-life", "s", HALF_LIFE_S, _half_life_hint),
}
PROBLEMS_OF = tuple(_RULES)  # the fields that have limits
