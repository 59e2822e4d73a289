"""One way of writing a PET's SUV into DICOM: units, times, decay, body and the vendors' private attributes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mmpl.errors import InputError
from mmpl.phantom.dicom.body import GML_TYPES, Body, reference_mass_g
from mmpl.phantom.dicom.nuclides import NUCLIDES, Nuclide

CHOICES = {
    "units": ("BQML", "CNTS", "GML", "CM2ML"),
    "decay_correction": ("START", "ADMIN", "NONE"),
    "philips_factors": ("none", "suv", "activity", "both", "zero"),
    "series_time": ("scan start", "after scan"),
    "injection": ("time", "datetime", "both"),
    "nuclide": tuple(NUCLIDES),
    "code_scheme": ("SCT", "SRT"),
    "slope": ("slice", "series"),
}
OMITTABLE = (
    "AcquisitionTime",
    "ActualFrameDuration",
    "DecayFactor",
    "FrameReferenceTime",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "RadionuclideCodeSequence",
    "RadionuclideHalfLife",
    "RadionuclideTotalDose",
    "RadiopharmaceuticalStartTime",
)
CORRECTIONS = ("NORM", "DTIM", "RAN", "SCAT", "ATTN")
REPORT_DELAY_S = 5400.0  # how long after the scan a post-processed series is written
OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


@dataclass(frozen=True)
class PetVariant:
    """How a PET's header tells SUV. The defaults are the commonest: Bq/mL, decay-corrected to the scan's start.

    Attributes
    ----------
    units : Units (0054,1001): BQML, CNTS, GML or CM2ML
    suv_type : SUV Type (0054,1006) or None for absent; BW, LBM, LBMJAMES128, LBMJANMA, IBW with GML, BSA with CM2ML
    philips_factors : private factors of CNTS: "none", "suv" (7053,xx00), "activity" (7053,xx09), "both", or "zero"
        for both present and 0, Philips' way to say that there are none
    decay_correction : START (to the scan's start), ADMIN (to the injection) or NONE (the frame's average as measured)
    series_time : "scan start", or "after scan" for a series that was processed later; Frame Reference Time still
        counts from the scan's start then, as scanners write it
    ge_scan_time : GE's PET scan date-time (0009,xx0d), the scan's start
    siemens_decay_time : Siemens' decay correction date-time (0071,xx22)
    frame_s : duration of every bed position in the series, seconds; slices are shared out evenly in order
    gap_s : pause between two beds, seconds
    beds_before : beds scanned before those in the series (each as long as the first), which a crop left out
    injected_at : when the tracer was given, local time
    uptake_s : from injection to the start of the scan's first bed, seconds
    injection : "time" (Radiopharmaceutical Start Time), "datetime" (Start DateTime) or "both"
    nuclide : a key of ``NUCLIDES``
    code_scheme : SCT or SRT, the scheme of the nuclide's code
    slope : one Rescale Slope a "slice" or one for the "series"
    body : Body
    dose_bq : injected activity at the time of injection, Bq
    dose_in_mbq : a fault: classic PET has Bq, and here MBq are written
    corrected_image : Corrected Image (0028,0051), or None for what fits ``decay_correction``
    timezone : Timezone Offset From UTC (0008,0201) such as "+0100", or None
    injection_timezone : offset that Start DateTime is written in, with a suffix; needs ``timezone``
    manufacturer : Manufacturer (0008,0070)
    omitted : keywords left out of the header, from ``OMITTABLE``

    Raises
    ------
    InputError
        If a value is none of the above or two contradict each other.
    """

    units: str = "BQML"
    suv_type: str | None = None
    philips_factors: str = "none"
    decay_correction: str = "START"
    series_time: str = "scan start"
    ge_scan_time: bool = False
    siemens_decay_time: bool = False
    frame_s: tuple[float, ...] = (180.0,)
    gap_s: float = 4.0
    beds_before: int = 0
    injected_at: datetime = datetime(2024, 3, 5, 9, 12, 30)
    uptake_s: float = 3745.0
    injection: str = "both"
    nuclide: str = "F-18"
    code_scheme: str = "SCT"
    slope: str = "slice"
    body: Body = field(default_factory=Body)
    dose_bq: float = 3.52e8
    dose_in_mbq: bool = False
    corrected_image: tuple[str, ...] | None = None
    timezone: str | None = None
    injection_timezone: str | None = None
    manufacturer: str = "MMPL phantom"
    omitted: tuple[str, ...] = ()

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"PET variant with {name} {getattr(self, name)!r}: there are {', '.join(choices)}")
        _check_suv_type(self)
        _check_times(self)
        _check_header(self)

    @property
    def radionuclide(self) -> Nuclide:
        return NUCLIDES[self.nuclide]

    @property
    def decay_rate_per_s(self) -> float:
        return math.log(2.0) / self.radionuclide.half_life_s

    @property
    def scan_start(self) -> datetime:
        """Start of the scan's first bed, in the series or not: what START corrects to."""
        return self.injected_at + timedelta(seconds=self.uptake_s)

    @property
    def bed_starts(self) -> tuple[datetime, ...]:
        """Start of every bed in the series."""
        first = self.beds_before * (self.frame_s[0] + self.gap_s)
        before = [first + sum(self.frame_s[:bed]) + bed * self.gap_s for bed in range(len(self.frame_s))]
        return tuple(self.scan_start + timedelta(seconds=s) for s in before)

    @property
    def scan_end(self) -> datetime:
        return self.bed_starts[-1] + timedelta(seconds=self.frame_s[-1])

    @property
    def series_began(self) -> datetime:
        """What Series Date and Series Time say."""
        if self.series_time == "scan start":
            return self.scan_start
        return self.scan_end + timedelta(seconds=REPORT_DELAY_S)

    @property
    def corrections(self) -> tuple[str, ...]:
        if self.corrected_image is not None:
            return self.corrected_image
        return CORRECTIONS if self.decay_correction == "NONE" else (*CORRECTIONS, "DECY")


def _check_suv_type(variant: PetVariant) -> None:
    allowed = {"GML": GML_TYPES, "CM2ML": ("BSA",)}.get(variant.units, ())
    if variant.suv_type is not None and variant.suv_type not in allowed:
        raise InputError(
            f"PET variant in {variant.units} with SUV type {variant.suv_type}: "
            f"it takes {', '.join(allowed) if allowed else 'none'}"
        )
    if variant.units == "GML":
        reference_mass_g(variant.body, variant.suv_type or "BW")
    if variant.units in ("GML", "CM2ML") and variant.decay_correction == "NONE":
        raise InputError(f"PET variant in {variant.units} without decay correction: an SUV always has it")
    if variant.units != "CNTS" and variant.philips_factors != "none":
        raise InputError(f"PET variant in {variant.units} with Philips factors: they belong to CNTS")


def _check_times(variant: PetVariant) -> None:
    if not variant.frame_s or not all(0.0 < s < 86400.0 for s in variant.frame_s):
        raise InputError(
            f"PET variant with frames of {variant.frame_s} s: give every bed more than 0 s and less than a day"
        )
    if variant.gap_s < 0 or variant.beds_before < 0 or not 0 <= variant.uptake_s < 86400.0:
        raise InputError(
            f"PET variant with gap {variant.gap_s} s, {variant.beds_before} beds before and uptake "
            f"{variant.uptake_s} s: none may be negative, and uptake takes less than a day"
        )
    for offset in (variant.timezone, variant.injection_timezone):
        if offset is not None and not OFFSET.fullmatch(offset):
            raise InputError(f"PET variant with time zone {offset!r}: write it as +0100")
    if variant.injection_timezone is not None and variant.timezone is None:
        raise InputError("PET variant with injection_timezone alone: give timezone too, that of the other times")


def _check_header(variant: PetVariant) -> None:
    if not 1e5 <= variant.dose_bq <= 1e11:
        raise InputError(f"PET variant with a dose of {variant.dose_bq} Bq: give 1e5 to 1e11 Bq")
    unknown = [name for name in variant.omitted if name not in OMITTABLE]
    if unknown:
        raise InputError(f"PET variant without {unknown[0]}: what may be left out is {', '.join(OMITTABLE)}")
    if variant.corrected_image is not None and not all(
        re.fullmatch("[A-Z0-9]{1,16}", c) for c in variant.corrected_image
    ):
        raise InputError(f"PET variant with corrections {variant.corrected_image}: write terms such as ATTN or DECY")
