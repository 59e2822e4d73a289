"""Body-weight SUV from a PET in Bq/mL: what it takes, where a DICOM header says it, and the formula.

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

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import SuvError
from mmpl.geometry import Volume

F18_HALF_LIFE_S = 6586.2  # 109.77(5) min; Tilley et al., Nucl Phys A 1995;595:1-170
PET_BQML = "Bq/mL"

WEIGHT_KG = (1.0, 400.0)
INJECTED_MBQ = (1.0, 3000.0)
DECAY_MIN = (0.0, 600.0)
HALF_LIFE_S = (60.0, 1e6)  # from O-15's two minutes to beyond Zr-89's three days
SUV_UNITS = ("GML", "G/ML", "SUV", "SUVBW", "{SUVBW}G/ML")
LEAST_BQ = 10_000.0  # a header's dose below it is no injected activity in Bq
MBQ_PER_MCI = 37.0
LEAST_MBQ_PER_KG = 0.5  # FDG is given at 2 to 7, on the most sensitive scanners at 1

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
        if 0 < self.decay_min < 10:
            found.append(
                f"{self.decay_min:g} min from injection to scan is very short: if it is in hours, give minutes; "
                "if the images are corrected to the injection, give 0."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, float]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping) -> SuvInputs:
        """Rebuild from :meth:`to_dict`; exactly its keys.

        Raises
        ------
        SuvError
            If a key is missing or unknown, or a value cannot be.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != known:
            given = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise SuvError(f"SUV inputs: found {given}; give exactly {sorted(known)}")
        return cls(**data)


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


def pet_in_suv(volume: Volume, inputs: SuvInputs) -> Volume:
    """A PET in Bq/mL as body-weight SUV (g/mL), float32."""
    suv = suv_body_weight(
        volume.array,
        injected_bq=inputs.injected_mbq * 1e6,
        weight_kg=inputs.weight_kg,
        decay_s=inputs.decay_min * 60.0,
        half_life_s=inputs.half_life_s,
    )
    return volume.with_array(suv.astype(np.float32))


def pet_units_of_header(header: Mapping) -> str:
    """What a PET's voxels are, by its header.

    Parameters
    ----------
    header : as in ``inputs_from_header``

    Returns
    -------
    str : ``case.PET_SUV``, ``PET_BQML`` (can be made SUV) or ``case.PET_UNKNOWN`` (cannot, or nobody says)
    """
    return _units(header)[0]


def inputs_from_header(header: Mapping) -> tuple[dict[str, float], list[str]]:
    """What a DICOM header says for SUV. A missing weight or dose is never guessed.

    Parameters
    ----------
    header : DICOM keyword -> plain value (text or number), those of the radiopharmaceutical's sequence beside the
        others; absent, None and "" are missing. ``AcquisitionDate`` and ``AcquisitionTime`` are those of the
        series' earliest image. Read are Units, SUVType, CorrectedImage, DecayCorrection, PatientWeight (kg),
        RadionuclideTotalDose (Bq), RadionuclideHalfLife (s), RadiopharmaceuticalStartDateTime or
        RadiopharmaceuticalStartTime, SeriesDate, SeriesTime, AcquisitionDate, AcquisitionTime.

    Returns
    -------
    (dict, list of str) : the fields of ``SuvInputs`` that were found, and sentences about what is missing or doubtful
    """
    found: dict[str, float] = {}
    notes: list[str] = []
    units, note = _units(header)
    if note:
        notes.append(note)
    if units == PET_SUV:
        return found, notes
    notes += _corrections(header)
    for field, read in (
        ("weight_kg", _weight),
        ("injected_mbq", _dose),
        ("half_life_s", _half_life),
        ("decay_min", _decay),
    ):
        value, doubts = read(header)
        notes += doubts
        if value is not None:
            found[field] = value
    return found, notes


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


# --- reading a header ---------------------------------------------------------------------------------

Read = tuple[float | None, list[str]]
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_DATETIME = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)([+-]\d{4})?")
_DAY_S = 86400.0


def _text(header: Mapping, keyword: str) -> str:
    """The value as stripped text; "" when it is missing."""
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _number(header: Mapping, keyword: str) -> float | None:
    """The value as a positive number; None when it is missing, 0 (as anonymisers leave it) or none."""
    try:
        value = float(_text(header, keyword))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _units(header: Mapping) -> tuple[str, str | None]:
    """Units of the voxels, and a sentence where they are not simply Bq/mL."""
    units, kind = _text(header, "Units").upper(), _text(header, "SUVType").upper()
    if units in SUV_UNITS:
        if kind in ("", "BW"):
            return PET_SUV, f"The PET is already in SUV (Units {units}); nothing is to be converted."
        return PET_UNKNOWN, f"The PET is in SUV by {kind}, not by body weight: export it in Bq/mL."
    if units == "CNTS":
        return PET_UNKNOWN, "The PET is in counts (Units CNTS), which cannot be made SUV: export it in Bq/mL or SUV."
    if not units:
        return PET_UNKNOWN, "The header does not say the PET's Units (expected BQML): make sure that it is in Bq/mL."
    if units != "BQML":
        return PET_UNKNOWN, f"The PET's Units are {units}, expected BQML, and cannot be made SUV: export it in Bq/mL."
    if _text(header, "DecayCorrection").upper() == "NONE":
        return PET_UNKNOWN, (
            "The PET is not corrected for decay (DecayCorrection NONE) and cannot be made SUV: "
            "reconstruct it with decay correction."
        )
    return PET_BQML, None


def _corrections(header: Mapping) -> list[str]:
    """Doubts where the header lists the corrections and one that SUV needs is not among them."""
    listed = header.get("CorrectedImage")
    if not listed:
        return []
    done = {str(v).strip().upper() for v in (listed.split("\\") if isinstance(listed, str) else listed)}
    lacking = [words for code, words in (("ATTN", "attenuation"), ("DECY", "decay")) if code not in done]
    return [f"The header does not list a correction for {words}: SUV would be wrong without it." for words in lacking]


def _weight(header: Mapping) -> Read:
    value = _number(header, "PatientWeight")
    if value is None:
        return None, ["The header gives no weight (PatientWeight): type it."]
    problem = problem_with("weight_kg", value)
    return (value, []) if problem is None else (None, [f"In the header {problem}."])


def _dose(header: Mapping) -> Read:
    value = _number(header, "RadionuclideTotalDose")
    if value is None:
        return None, ["The header gives no injected activity (RadionuclideTotalDose): type it."]
    if value < LEAST_BQ:
        return None, [
            f"The header's injected activity (RadionuclideTotalDose) is {value:g}, too little for Bq, "
            f"and seems to be in MBq: type {value:g} if so."
        ]
    if problem_with("injected_mbq", value / 1e6) is not None:
        return None, [
            f"The header's injected activity (RadionuclideTotalDose) is {value / 1e6:g} MBq, expected "
            f"{INJECTED_MBQ[0]:g} to {INJECTED_MBQ[1]:g}: check it and type it."
        ]
    return value / 1e6, []


def _half_life(header: Mapping) -> Read:
    value = _number(header, "RadionuclideHalfLife")
    if value is None:
        return None, ["The header gives no half-life (RadionuclideHalfLife): that of fluorine-18 is taken."]
    problem = problem_with("half_life_s", value)
    if problem is not None:
        return None, [f"In the header {problem}; that of fluorine-18 is taken."]
    if abs(value / F18_HALF_LIFE_S - 1.0) > 0.01:
        return value, [
            f"The header's half-life is {value:g} s, not fluorine-18's {F18_HALF_LIFE_S:g} s: check the tracer."
        ]
    return value, []


def _decay(header: Mapping) -> Read:
    """Minutes from injection to the time that the activities are corrected to."""
    correction = _text(header, "DecayCorrection").upper()
    if correction == "ADMIN":
        return 0.0, []
    if correction == "NONE":
        return None, []  # said with the units
    if correction != "START":
        said = f"is {correction}" if correction else "is missing"
        return None, [
            f"DecayCorrection {said}, expected START or ADMIN: "
            "type the time from injection to that which the images are corrected to."
        ]
    injection, notes = _injection(header)
    reference, doubts = _reference(header)
    notes += doubts
    if injection is None or reference is None:
        return None, notes
    minutes = _after(reference, injection) / 60.0
    if problem_with("decay_min", minutes) is not None:
        return None, [
            *notes,
            f"By the header's times the scan began {minutes:.4g} min after the injection, expected "
            f"{DECAY_MIN[0]:g} to {DECAY_MIN[1]:g}: check them and type the time from injection.",
        ]
    return minutes, notes


@dataclass(frozen=True)
class _Moment:
    """A time of day in seconds, and its date where that is known."""

    seconds: float
    date: datetime.date | None


def _gap(later: _Moment, earlier: _Moment) -> float:
    """Seconds between two moments, negative when ``later`` comes first; without dates, the shorter way round."""
    if later.date is not None and earlier.date is not None:
        return (later.date - earlier.date).days * _DAY_S + later.seconds - earlier.seconds
    return (later.seconds - earlier.seconds + _DAY_S / 2) % _DAY_S - _DAY_S / 2


def _after(reference: _Moment, injection: _Moment) -> float:
    """Seconds from injection to reference; without an injection date, the last such time of day before it."""
    if reference.date is not None and injection.date is not None:
        return _gap(reference, injection)
    return (reference.seconds - injection.seconds) % _DAY_S


def _injection(header: Mapping) -> tuple[_Moment | None, list[str]]:
    text = _text(header, "RadiopharmaceuticalStartDateTime")
    match = _DATETIME.fullmatch(text)
    if match:
        moment = _moment(match[1], match[2])
        zone, own = match[3], _text(header, "TimezoneOffsetFromUTC")
        if moment is not None and zone and zone != own:
            return moment, [f"The injection's time zone is {zone}, the images' {own or 'not given'}: check the time."]
        if moment is not None:
            return moment, []
    moment = _moment("", _text(header, "RadiopharmaceuticalStartTime"))
    if moment is None:
        return None, [
            "The header gives no time of injection (RadiopharmaceuticalStartTime): type the time to the scan."
        ]
    return moment, []


def _reference(header: Mapping) -> tuple[_Moment | None, list[str]]:
    """The time that START means: the series', unless that was written after the scan (QIBA's rule)."""
    series = _moment(_text(header, "SeriesDate"), _text(header, "SeriesTime"))
    acquisition = _moment(_text(header, "AcquisitionDate"), _text(header, "AcquisitionTime"))
    if series is None and acquisition is None:
        return None, [
            "The header gives no time of the scan (SeriesTime, AcquisitionTime): type the time from injection."
        ]
    if acquisition is None:
        return series, [
            "The header gives no AcquisitionTime to check its SeriesTime by: check the time from injection."
        ]
    if series is None:
        return acquisition, [
            "The header gives no SeriesTime; AcquisitionTime was taken: check the time from injection."
        ]
    if _gap(series, acquisition) > 0:
        return acquisition, [
            "SeriesTime is later than AcquisitionTime (the series was written after the scan) and AcquisitionTime "
            "was taken: check the time from injection."
        ]
    return series, []


def _moment(date: str, time: str) -> _Moment | None:
    """From DICOM's DA and TM texts; None without a time that can be, undated without such a date."""
    match = _TIME.fullmatch(time)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.group(1, 2, 3))
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    day = _DATE.fullmatch(date)
    try:
        known = datetime.date(*map(int, day.groups())) if day else None
    except ValueError:
        known = None
    return _Moment(hours * 3600.0 + minutes * 60.0 + seconds + float(match[4] or 0), known)
