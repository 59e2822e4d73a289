"""From a PET's header, and what was typed, to body-weight SUV: the factors, and a record of all that was used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import SuvError
from mmpl.geometry import Volume
from mmpl.io.suv.body import FEMALE, HEIGHT_CM, MALE, NORMALISERS, OTHER, Body, factor_from_body_weight, factors
from mmpl.io.suv.header import (
    Frame,
    Read,
    attenuation_doubt,
    decay_doubt,
    number,
    read_decay,
    read_dose,
    read_half_life,
    read_height,
    read_weight,
    sex_of,
    text,
    uncorrected_decay,
)
from mmpl.io.suv.inputs import (
    PROBLEMS_OF,
    SuvInputs,
    missing_fields,
    problem_with,
    suv_body_weight,
    suv_scale,
)
from mmpl.io.suv.nuclides import F18_HALF_LIFE_S

PET_BQML = "Bq/mL"
SUV_UNITS = ("GML", "G/ML", "SUV", "SUVBW", "{SUVBW}G/ML")
BSA_UNITS = ("CM2ML", "CM2/ML")
TYPED, ASSUMED = "typed", "fluorine-18, assumed"
TYPED_DIFFERS = 0.01
NO_SUV = "cannot be made SUV"


@dataclass(frozen=True)
class Typed:
    """What a user gives where a header is silent or wrong. It goes before the header and is marked in the record.

    Raises
    ------
    SuvError
        If a value cannot be.
    """

    weight_kg: float | None = None
    injected_mbq: float | None = None
    decay_min: float | None = None
    half_life_s: float | None = None
    height_cm: float | None = None
    sex: str | None = None

    def __post_init__(self):
        for name in PROBLEMS_OF:
            value = getattr(self, name)
            problem = None if value is None else problem_with(name, value)
            if problem is not None:
                raise SuvError(problem)
        if self.height_cm is not None and not HEIGHT_CM[0] <= self.height_cm <= HEIGHT_CM[1]:
            raise SuvError(
                f"the height is {self.height_cm:g} cm, expected {HEIGHT_CM[0]:g} to {HEIGHT_CM[1]:g}: give it in cm"
            )
        if self.sex is not None and self.sex not in (MALE, FEMALE, OTHER):
            raise SuvError(f"the sex is {self.sex!r}: give M, F or O")

    @property
    def anything(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self))

    @property
    def activity(self) -> bool:
        """True where something is given that only an image of activity needs."""
        return any(getattr(self, name) is not None for name in PROBLEMS_OF if name != "weight_kg")


@dataclass(frozen=True)
class Conversion:
    """How a PET becomes body-weight SUV.

    Attributes
    ----------
    units : ``case.PET_SUV`` when it does, ``PET_BQML`` when something is missing, ``case.PET_UNKNOWN`` when it cannot
    factor : what voxels (after the rescale slope) are multiplied by: one number, or one a slice; None without SUV
    rule : the way taken, in a sentence
    values, sources : field -> number used, and where it stood ("PatientWeight", "typed")
    doubts : sentences that the reader must see
    missing : in words, what would have to be typed
    variants : name of another SUV -> what SUVbw is multiplied by to give it; empty without height and sex
    """

    units: str
    factor: float | tuple[float, ...] | None
    rule: str
    values: Mapping[str, float] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    variants: Mapping[str, float] = field(default_factory=dict)

    def apply(self, pet: Volume) -> Volume:
        """The PET in SUVbw, float32; slices along the array's first axis.

        Raises
        ------
        SuvError
            If there is no factor, or one a slice for another number of slices.
        """
        if self.factor is None:
            raise SuvError(f"the PET {NO_SUV}: {self.rule}")
        factor = np.asarray(self.factor, dtype=float)
        if factor.ndim and len(factor) != len(pet.array):
            raise SuvError(f"{len(factor)} SUV factors for {len(pet.array)} slices: read the series again")
        with np.errstate(over="ignore"):
            return pet.with_array((pet.array * factor.reshape(-1, *(1,) * (2 * factor.ndim))).astype(np.float32))

    @property
    def from_header(self) -> dict[str, float]:
        """The fields of ``SuvInputs`` that the header gave: what a form shows before anything is typed."""
        names = [f.name for f in fields(SuvInputs)]
        return {n: self.values[n] for n in names if self.sources.get(n, TYPED) not in (TYPED, ASSUMED)}

    def record(self) -> dict:
        """As ``results.json`` holds it."""
        spread = None if self.factor is None else np.atleast_1d(self.factor)
        return {
            "rule": self.rule,
            "values": dict(self.values),
            "sources": dict(self.sources),
            "factor": None if spread is None else float(spread[0]) if np.ptp(spread) == 0 else None,
            "factor_range": None if spread is None else [float(spread.min()), float(spread.max())],
            "other_suv_per_suvbw": dict(self.variants),
        }

    def to_dict(self) -> dict:
        """As JSON."""
        factor = list(self.factor) if isinstance(self.factor, tuple) else self.factor
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        maps = {name: dict(told[name]) for name in _MAPS}
        return {**told, **maps, "factor": factor, "doubts": list(self.doubts), "missing": list(self.missing)}

    @classmethod
    def from_dict(cls, data: Mapping) -> Conversion:
        """Rebuild from :meth:`to_dict`; exactly its keys.

        Raises
        ------
        SuvError
            If a key is missing or unknown, or a value cannot be.
        """
        known = {f.name for f in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != known:
            given = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise SuvError(f"SUV conversion: found {given}; give exactly {sorted(known)}")
        for name, (is_good, expected) in _CHECKS.items():
            if not is_good(data[name]):
                raise SuvError(f"SUV conversion: {name} is {data[name]!r}, expected {expected}")
        factor = data["factor"]
        if (factor is None) != (data["units"] != PET_SUV):
            raise SuvError(
                f"SUV conversion: factor {factor!r} with units {data['units']}: SUV needs one, the rest none"
            )
        tuples = {name: tuple(data[name]) for name in ("doubts", "missing")}
        maps = {name: dict(data[name]) for name in _MAPS}
        return cls(**{**data, **maps, **tuples, "factor": tuple(factor) if isinstance(factor, list) else factor})


def _is_positive(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value)) and value > 0


def _is_factor(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_positive, value))
    return value is None or _is_positive(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_map(value: object, is_good) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and is_good(one) for key, one in value.items())


_MAPS = ("values", "sources", "variants")
_CHECKS = {
    "units": (lambda v: v in (PET_SUV, PET_BQML, PET_UNKNOWN), f"{PET_SUV}, {PET_BQML} or {PET_UNKNOWN}"),
    "factor": (_is_factor, "a positive number, a list of them, or null"),
    "rule": (lambda v: isinstance(v, str), "a text"),
    "values": (lambda v: _is_map(v, lambda one: one == 0 or _is_positive(one)), "names with numbers of 0 or more"),
    "sources": (lambda v: _is_map(v, lambda one: isinstance(one, str)), "names with texts"),
    "doubts": (_are_texts, "a list of texts"),
    "missing": (_are_texts, "a list of texts"),
    "variants": (lambda v: _is_map(v, _is_positive), "names with positive numbers"),
}


def convert(header: Mapping, frames: Sequence[Frame] = (), typed: Typed | None = None) -> Conversion:
    """How a PET with this header becomes SUVbw. Nothing is guessed: what is missing is named.

    Parameters
    ----------
    header : see :mod:`mmpl.io.suv.header`
    frames : one a slice, in the order of the volume's slices; empty where only the header is known
    typed : what the user gives

    Raises
    ------
    SuvError
        If a typed value, together with the header's, cannot be.
    """
    typed = typed or Typed()
    found = _with_body(_way(header, frames, typed), header, typed)
    doubts = attenuation_doubt(header) if found.units != PET_UNKNOWN else ()
    return replace(found, doubts=(*doubts, *found.doubts))


def _way(header: Mapping, frames: Sequence[Frame], typed: Typed) -> Conversion:
    """By the units that the header states."""
    units, kind = text(header, "Units").upper(), text(header, "SUVType").upper()
    if units in SUV_UNITS and kind in ("", "BW"):
        unused = ("The PET is body-weight SUV already: what was typed is not used.",) if typed.activity else ()
        return Conversion(PET_SUV, 1.0, f"already body-weight SUV (Units {units})", doubts=unused)
    if units in SUV_UNITS or units in BSA_UNITS:
        return _of_other_suv(units, "BSA" if units in BSA_UNITS else kind, header, typed)
    if units == "CNTS":
        return _of_counts(header, frames, typed)
    if units == "BQML":
        return _of_activity(header, frames, typed)
    if not units:
        said = "The header does not say the PET's Units (expected BQML): make sure that it is in Bq/mL."
        return Conversion(PET_UNKNOWN, None, said, doubts=(said,))
    said = f"The PET's Units are {units}, expected BQML, and {NO_SUV}: export it in Bq/mL."
    return Conversion(PET_UNKNOWN, None, said, doubts=(said,))


def convert_typed(typed: Typed) -> Conversion:
    """How a PET in Bq/mL whose file says nothing becomes SUVbw, by typed values alone."""
    return _with_body(_of_activity({"DecayCorrection": "START"}, (), typed, said_by_user=True), {}, typed)


# --- the ways -----------------------------------------------------------------------------------------


def _of_other_suv(units: str, kind: str, header: Mapping, typed: Typed) -> Conversion:
    if kind not in NORMALISERS:
        said = f"The PET is in SUV by {kind}, not by body weight, and {NO_SUV}: export it in Bq/mL."
        return Conversion(PET_UNKNOWN, None, said, doubts=(said,))
    body, _, doubts = _body(header, typed, any_sex=kind == "BSA")
    name = NORMALISERS[kind].name
    if body is None:
        said = f"The PET is in {name}, not by body weight: type weight, height and sex, or export it in Bq/mL."
        return Conversion(PET_UNKNOWN, None, said, doubts=(said, *doubts), missing=("weight, height and sex",))
    try:
        factor = 1.0 / factor_from_body_weight(kind, body)
    except SuvError as problem:
        return Conversion(PET_UNKNOWN, None, str(problem), doubts=(f"{problem}.",))
    return Conversion(PET_SUV, factor, f"{name} (Units {units}) to body-weight SUV", doubts=tuple(doubts))


def _of_counts(header: Mapping, frames: Sequence[Frame], typed: Typed) -> Conversion:
    to_suv, to_activity = number(header, "PhilipsSUVScaleFactor"), number(header, "PhilipsActivityScaleFactor")
    converts = typed.activity or typed.weight_kg is not None
    if to_suv is not None and (to_activity is None or not converts):
        rule = "counts to body-weight SUV by Philips' SUV scale factor (7053,xx00)"
        unused = ("The PET has Philips' factor to SUV: what was typed is not used.",) if converts else ()
        values, sources = {"philips_suv_factor": to_suv}, {"philips_suv_factor": "(7053,xx00)"}
        return Conversion(PET_SUV, to_suv, rule, values, sources, unused)
    if to_activity is not None:
        return _of_activity(header, frames, typed, scale=to_activity)
    said = f"The PET is in counts (Units CNTS), which {NO_SUV}: export it in Bq/mL or SUV."
    return Conversion(PET_UNKNOWN, None, said, doubts=(said,))


def _of_activity(
    header: Mapping, frames: Sequence[Frame], typed: Typed, *, scale: float = 1.0, said_by_user: bool = False
) -> Conversion:
    reads = {"weight_kg": read_weight(header), "injected_mbq": read_dose(header), "half_life_s": read_half_life(header)}
    if said_by_user:
        reads = dict.fromkeys(reads, Read(None))
    half_life_s = typed.half_life_s or reads["half_life_s"].value or F18_HALF_LIFE_S
    uncorrected = text(header, "DecayCorrection").upper() == "NONE"
    minutes: np.ndarray | None = None
    if uncorrected:
        minutes, source, doubts = uncorrected_decay(header, frames, half_life_s, typed.decay_min)
        if minutes is None:
            said = f"The PET is not corrected for decay (DecayCorrection NONE) and {NO_SUV}: {doubts[-1]}"
            return Conversion(PET_UNKNOWN, None, said, doubts=(said,))
        reads["decay_min"] = Read(float(minutes.min()), source, doubts)
        typed = replace(typed, decay_min=None)  # in the minutes
    else:
        reads["decay_min"] = Read(None) if said_by_user else read_decay(header, frames, half_life_s)
    values, sources, doubts = _choose(reads, typed)
    doubts = [*(() if said_by_user else decay_doubt(header)), *doubts]
    route = "typed to be in Bq/mL" if said_by_user else _route(header, scale)
    if missing := missing_fields(values):
        return Conversion(PET_BQML, None, route, values, sources, tuple(doubts), missing)
    inputs = SuvInputs(**values)
    doubts += inputs.doubts()
    factor: float | tuple[float, ...] = scale * suv_scale(inputs)
    if minutes is not None:
        factor = tuple(scale * _factors(inputs, minutes))
        values = {**values, "decay_max_min": float(minutes.max())}
    if scale != 1.0:
        values = {**values, "philips_activity_factor": scale}
        sources = {**sources, "philips_activity_factor": "(7053,xx09)"}
    values = {"half_life_s": inputs.half_life_s, **values}
    return Conversion(PET_SUV, factor, route, values, {"half_life_s": ASSUMED, **sources}, tuple(doubts))


def _factors(inputs: SuvInputs, minutes: np.ndarray) -> np.ndarray:
    return np.array(
        [
            suv_body_weight(
                1.0,
                injected_bq=inputs.injected_mbq * 1e6,
                weight_kg=inputs.weight_kg,
                decay_s=m * 60.0,
                half_life_s=inputs.half_life_s,
            )
            for m in minutes
        ]
    )


def _route(header: Mapping, scale: float) -> str:
    what = "counts to Bq/mL by Philips' activity factor (7053,xx09), then" if scale != 1.0 else "Bq/mL"
    how = {
        "START": "corrected for decay to the start of the scan",
        "ADMIN": "corrected for decay to the injection",
        "NONE": "not corrected for decay, each slice corrected here to the injection",
    }.get(text(header, "DecayCorrection").upper(), "decay correction not stated")
    return f"{what} to body-weight SUV; {how}"


def _choose(reads: Mapping[str, Read], typed: Typed) -> tuple[dict[str, float], dict[str, str], list[str]]:
    """Typed values before the header's; a doubt where they differ; the header's own doubts only where it is used."""
    values, sources, doubts = {}, {}, []
    for name, read in reads.items():
        given = getattr(typed, name)
        if given is None:
            doubts += read.doubts
            if read.value is not None:
                values[name], sources[name] = read.value, read.source
            continue
        values[name], sources[name] = given, TYPED
        if read.value is not None and abs(given - read.value) > TYPED_DIFFERS * max(abs(read.value), 1e-9):
            doubts.append(
                f"{_WORDS[name]} was typed as {given:g}, the header says {read.value:.6g}: the former is used."
            )
    return values, sources, doubts


_WORDS = {
    "weight_kg": "The weight (kg)",
    "injected_mbq": "The injected activity (MBq)",
    "decay_min": "The time from injection (min)",
    "half_life_s": "The half-life (s)",
    "height_cm": "The height (cm)",
}


# --- the body -----------------------------------------------------------------------------------------


def _body(header: Mapping, typed: Typed, *, any_sex: bool = False) -> tuple[Body | None, dict[str, str], list[str]]:
    """The body, where its weight, height and sex stood, and doubts."""
    reads = {"weight_kg": read_weight(header), "height_cm": read_height(header)}
    values, sources, doubts = _choose(reads, typed)
    sex = OTHER if any_sex else typed.sex or sex_of(header)
    if len(values) < len(reads) or sex is None:
        return None, {}, doubts
    sources["sex"] = f"{sex}, {TYPED if typed.sex else 'PatientSex'}"
    if sex == OTHER and not any_sex:
        sources["sex"] += ", mean of both formulas"
        doubts.append("The patient's sex is given as other: the mean of both formulas is taken.")
    return Body(values["weight_kg"], values["height_cm"], sex), sources, doubts


def _with_body(found: Conversion, header: Mapping, typed: Typed) -> Conversion:
    """With what leads from SUVbw to other kinds of SUV, where the body is known.

    Doubts about the body stand with the sources: SUVbw itself does not depend on them.
    """
    body, sources, _ = _body(header, typed)
    if body is None or found.units != PET_SUV:
        return found
    values = {"height_cm": body.height_cm, "weight_kg": body.weight_kg, **found.values}
    return replace(found, values=values, sources={**sources, **found.sources}, variants=factors(body))
