"""What a PET's DICOM header says for SUV: one reading a value, each with where it stands and what is doubtful.

A header is a mapping of DICOM keyword -> plain value (text or number), those of the radiopharmaceutical's sequence
beside the others; absent, None and "" are missing. It is that of the series' earliest image. Beside DICOM's keywords
it may have

    RadionuclideCode, RadionuclideMeaning   of RadionuclideCodeSequence
    PhilipsSUVScaleFactor                   (7053,xx00): counts to SUV
    PhilipsActivityScaleFactor              (7053,xx09): counts to Bq/mL
    GEScanDateTime                          (0009,xx0d): the moment that the images are corrected to
    DecayCorrectionDateTime                 the same moment, as enhanced objects have it

Which of a header's times the activities belong to is QIBA's rule, with the frames' decay factors as a check.

References
----------
RSNA QIBA FDG-PET/CT: vendor-neutral pseudo-code for SUV.
IBSI: manual for SUV computation (reference time, images without decay correction).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmpl.io.suv.body import FEMALE, HEIGHT_CM, MALE, OTHER
from mmpl.io.suv.inputs import DECAY_MIN, INJECTED_MBQ, WEIGHT_KG, joined, problem_with
from mmpl.io.suv.moments import DAY_S, Moment, after, gap, moment, moment_of_datetime
from mmpl.io.suv.nuclides import F18_HALF_LIFE_S, HALF_LIFE_S, nuclide_of

LEAST_BQ = 10_000.0  # a header's dose below it is no injected activity in Bq
HALF_LIFE_TOLERANCE = 0.01
DECAY_TOLERANCE = 0.02  # of activity, between what a header's times and its decay factors say
CLOCKS_AGREE_S = 60.0
WHOLE_SECOND = 1.0
NOT_LISTED = "The header does not list a correction for {}: SUV would be wrong without it."
STATED = "DecayCorrectionDateTime"
FRAME_S = (1.0, 7200.0)  # how long a frame takes; anything else is a damaged value


@dataclass(frozen=True)
class Read:
    """One value of a header: None where it is not given; where it stands; sentences about what is doubtful."""

    value: float | None
    source: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """What decay needs of one image slice.

    Attributes
    ----------
    acquisition : when its acquisition began, None if nobody says
    duration_s : how long it lasted (ActualFrameDuration)
    reference_s : FrameReferenceTime, seconds after the reference time
    decay_factor : what the scanner multiplied it by (DecayFactor)
    """

    acquisition: Moment | None
    duration_s: float | None = None
    reference_s: float | None = None
    decay_factor: float | None = None


def frame_of(header: Mapping) -> Frame:
    """The frame that a header describes."""
    duration, reference = number(header, "ActualFrameDuration"), number(header, "FrameReferenceTime")
    return Frame(
        acquisition_of(header),
        duration / 1000.0 if duration is not None and FRAME_S[0] <= duration / 1000.0 <= FRAME_S[1] else None,
        None if reference is None else reference / 1000.0,
        number(header, "DecayFactor"),
    )


def acquisition_of(header: Mapping) -> Moment | None:
    """When a header's image was begun."""
    found = moment(text(header, "AcquisitionDate"), text(header, "AcquisitionTime"))
    return found or moment_here(header, "AcquisitionDateTime")[0]


# --- patient and tracer -------------------------------------------------------------------------------


def read_weight(header: Mapping) -> Read:
    value = number(header, "PatientWeight")
    if value is None:
        return Read(None, doubts=(f"{_lacks(header, 'PatientWeight', 'weight')}: type it.",))
    if value > 1000 and WEIGHT_KG[0] <= value / 1000 <= WEIGHT_KG[1]:
        doubt = f"The header's weight (PatientWeight) is {value:g}, too much for kg: {value / 1000:g} kg are taken."
        return Read(value / 1000, "PatientWeight, read as g", (doubt,))
    problem = problem_with("weight_kg", value)
    return Read(value, "PatientWeight") if problem is None else Read(None, doubts=(f"In the header {problem}.",))


def read_dose(header: Mapping) -> Read:
    """Injected activity in MBq: the first injection's, where the header names several (``Injections``)."""
    found, count = _first_dose(header), text(header, "Injections")
    if not count:
        return found
    doubt = f"The header names {count} injections, and the first one's activity and time are taken: check them."
    return replace(found, doubts=(doubt, *found.doubts))


def _first_dose(header: Mapping) -> Read:
    value = number(header, "RadionuclideTotalDose")
    if value is None:
        return Read(None, doubts=(f"{_lacks(header, 'RadionuclideTotalDose', 'injected activity')}: type it.",))
    if value < LEAST_BQ and INJECTED_MBQ[0] <= value <= INJECTED_MBQ[1]:
        doubt = (
            f"The header's injected activity (RadionuclideTotalDose) is {value:g}, too little for Bq: "
            f"{value:g} MBq are taken."
        )
        return Read(value, "RadionuclideTotalDose, read as MBq", (doubt,))
    if problem_with("injected_mbq", value / 1e6) is not None:
        return Read(
            None,
            doubts=(
                f"The header's injected activity (RadionuclideTotalDose) is {value / 1e6:g} MBq, expected "
                f"{INJECTED_MBQ[0]:g} to {INJECTED_MBQ[1]:g}: check it and type it.",
            ),
        )
    return Read(value / 1e6, "RadionuclideTotalDose")


def read_half_life(header: Mapping) -> Read:
    """Half-life in seconds: the header's where it is that of its nuclide, else the nuclide's."""
    value = number(header, "RadionuclideHalfLife")
    nuclide = nuclide_of(
        text(header, "RadionuclideCode"), text(header, "RadionuclideMeaning"), text(header, "Radiopharmaceutical")
    )
    known, whose = HALF_LIFE_S[nuclide or "F-18"], nuclide or "fluorine-18"
    if value is None:
        doubt = f"{_lacks(header, 'RadionuclideHalfLife', 'half-life')}: that of {whose} is taken."
        return Read(known if nuclide else None, f"half-life of {whose}", (doubt,))
    if nuclide and abs(value / known - 1.0) > HALF_LIFE_TOLERANCE:
        doubt = f"The header's half-life is {value:g} s, {nuclide}'s is {known:g} s: the latter is taken."
        return Read(known, f"half-life of {nuclide}", (doubt, *_not_fluorine(known)))
    problem = problem_with("half_life_s", value)
    if problem is not None:
        return Read(None, doubts=(f"In the header {problem}; that of fluorine-18 is taken.",))
    return Read(value, "RadionuclideHalfLife", _not_fluorine(value))


def _not_fluorine(value: float) -> tuple[str, ...]:
    if abs(value / F18_HALF_LIFE_S - 1.0) <= HALF_LIFE_TOLERANCE:
        return ()
    return (f"The half-life is {value:g} s, not fluorine-18's {F18_HALF_LIFE_S:g} s: check the tracer.",)


def read_height(header: Mapping) -> Read:
    """Height in cm; there is none without doubt in many headers, and only some kinds of SUV need it."""
    value = number(header, "PatientSize")
    if value is None:
        said = _no_number(header, "PatientSize")
        return Read(None, doubts=(f"{said}.",) if said else ())
    for cm, source in ((100 * value, "PatientSize"), (value, "PatientSize, read as cm")):
        if HEIGHT_CM[0] <= cm <= HEIGHT_CM[1]:
            doubts = (f"The header's height (PatientSize) is {value:g} m: {cm:g} cm are taken.",) if cm == value else ()
            return Read(cm, source, doubts)
    return Read(None, doubts=(f"The header's height (PatientSize) is {value:g} m, which cannot be.",))


def sex_of(header: Mapping) -> str | None:
    """ "M", "F" or "O"; None where the header does not say."""
    value = text(header, "PatientSex").upper()[:1]
    return value if value in (MALE, FEMALE, OTHER) else None


def attenuation_doubt(header: Mapping) -> tuple[str, ...]:
    """Where the header lists the corrections and that for attenuation is not among them."""
    done = corrections_done(header)
    return () if not done or "ATTN" in done else (NOT_LISTED.format("attenuation"),)


def decay_doubt(header: Mapping) -> tuple[str, ...]:
    """The same of decay, for activities that are said to be corrected."""
    if not corrections_done(header) or decay_listed(header) or text(header, "DecayCorrection").upper() == "NONE":
        return ()
    return (NOT_LISTED.format("decay"),)


def corrections_done(header: Mapping) -> set[str]:
    listed = header.get("CorrectedImage")
    if not listed:
        return set()
    return {str(v).strip().upper() for v in (listed.split("\\") if isinstance(listed, str) else listed)}


def decay_listed(header: Mapping) -> bool:
    return bool(corrections_done(header) & {"DECY", "DECAY"})


# --- times --------------------------------------------------------------------------------------------


def read_decay(header: Mapping, frames: Sequence[Frame] = (), half_life_s: float = F18_HALF_LIFE_S) -> Read:
    """Minutes from injection to the time that the activities are corrected to."""
    correction = text(header, "DecayCorrection").upper()
    if correction == "ADMIN":
        return Read(0.0, "DecayCorrection ADMIN")
    if correction == "NONE":
        return Read(None)  # each slice has its own, see uncorrected_decay
    if correction != "START":
        said = f"is {correction}" if correction else "is missing"
        return Read(
            None,
            doubts=(
                f"DecayCorrection {said}, expected START, ADMIN or NONE: "
                "type the time from injection to that which the images are corrected to.",
            ),
        )
    reference, source, doubts = read_reference(header, frames, half_life_s)
    injection, whence, more = read_injection(header, reference)
    doubts = (*more, *_frames_zone(header), *doubts)
    if injection is None or reference is None:
        return Read(None, doubts=doubts)
    minutes = after(reference, injection) / 60.0
    if minutes == 0 and source != STATED:
        doubts = (*doubts, "By the header's times the scan began at the injection: check them.")
    if problem_with("decay_min", minutes) is not None:
        said = (
            f"By the header's times the scan began {minutes:.4g} min after the injection, expected "
            f"{DECAY_MIN[0]:g} to {DECAY_MIN[1]:g}: check them and type the time from injection."
        )
        return Read(None, doubts=(*doubts, said))
    return Read(minutes, f"{whence} to {source}", doubts)


def uncorrected_decay(
    header: Mapping, frames: Sequence[Frame], half_life_s: float, to_first_min: float | None = None
) -> tuple[np.ndarray | None, str, tuple[str, ...]]:
    """Minutes from injection to each slice's mean activity, for images that were not corrected for decay.

    The mean activity of a frame of T seconds is that at ln(x / (1 - exp(-x))) / lambda after its start, with
    x = lambda T (IBSI's manual for SUV computation). ``to_first_min`` is what was typed: minutes from the injection to
    the first image's start, in place of the header's time of injection.

    Returns
    -------
    float array, one a frame, or None; where they stand; doubts
    """
    if decay_listed(header):
        return None, "", ("The header says both that decay was corrected (CorrectedImage) and that it was not.",)
    if not frames or any(f.acquisition is None or not f.duration_s for f in frames):
        return None, "", ("A slice lacks its acquisition time or frame duration, which SUV without decay needs.",)
    first = _earliest(frames)
    if to_first_min is not None:
        to_first_s, whence, doubts = to_first_min * 60.0, "typed, to the first image, with", ()
    else:
        injection, whence, doubts = read_injection(header, first)
        if injection is None:
            return None, "", doubts
        to_first_s, doubts = after(first, injection), (*doubts, *_frames_zone(header))
    minutes = (
        np.array([to_first_s + gap(f.acquisition, first) + mean_activity_s(f.duration_s, half_life_s) for f in frames])
        / 60.0
    )
    outside = [m for m in (minutes.min(), minutes.max()) if problem_with("decay_min", m) is not None]
    if outside:
        said = (
            f"By the header's times a slice was acquired {outside[0]:.4g} min after the injection, expected "
            f"{DECAY_MIN[0]:g} to {DECAY_MIN[1]:g}: check them."
        )
        return None, "", (*doubts, said)
    joined = whence if to_first_min is not None else f"{whence} to"
    return minutes, f"{joined} AcquisitionTime and ActualFrameDuration of each slice", doubts


def mean_activity_s(duration_s: float, half_life_s: float) -> float:
    """Seconds from a frame's start to the moment whose activity is the frame's mean."""
    rate = math.log(2) / half_life_s
    x = rate * duration_s
    return math.log(x / -math.expm1(-x)) / rate


def moment_here(header: Mapping, keyword: str) -> tuple[Moment | None, tuple[str, ...]]:
    """A date-time in the time zone of the images, and a doubt where it has a zone and theirs is not given."""
    found, zone = moment_of_datetime(text(header, keyword))
    if found is None or not zone:
        return found, ()
    theirs, own = _offset_s(zone), _offset_s(text(header, "TimezoneOffsetFromUTC"))
    if theirs is not None and own is not None:
        return found.later(own - theirs), ()
    return found, (f"The time zone of {keyword} is {zone}, the images' is not given: check the time from injection.",)


def _frames_zone(header: Mapping) -> tuple[str, ...]:
    timed = moment(text(header, "AcquisitionDate"), text(header, "AcquisitionTime")) is not None
    return () if timed else moment_here(header, "AcquisitionDateTime")[1]


def read_injection(header: Mapping, reference: Moment | None) -> tuple[Moment | None, str, tuple[str, ...]]:
    """When the tracer was given, where that stands, and doubts."""
    dated, zone_doubts = moment_here(header, "RadiopharmaceuticalStartDateTime")
    timed = moment("", text(header, "RadiopharmaceuticalStartTime"))
    if dated is None and timed is None:
        unread = _unread(header, "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")
        said = f"{unread}, so there is no time of injection" if unread else (
            "The header gives no time of injection (RadiopharmaceuticalStartTime)"
        )  # fmt: skip
        return None, "", (f"{said}: type the time to the scan.",)
    if dated is None:
        return timed, "RadiopharmaceuticalStartTime", ()
    doubts = list(zone_doubts)
    if timed is not None and abs(gap(Moment(dated.seconds, None), timed)) > CLOCKS_AGREE_S:
        taken = timed if _timed_goes_first(header, dated, timed, reference) else dated
        doubts.append(
            f"The header gives two times of injection, {dated.clock} and {timed.clock}: "
            f"{taken.clock} is taken, check it."
        )
        if taken is timed:
            return timed, "RadiopharmaceuticalStartTime", tuple(doubts)
    if reference is not None and reference.date is not None and _wrong_day(after(reference, dated)):
        undated = Moment(dated.seconds, None)
        if not _wrong_day(after(reference, undated)):
            doubts.append("The injection's date does not fit the scan's (shifted dates?): its time of day is taken.")
            return undated, "RadiopharmaceuticalStartDateTime, time of day", tuple(doubts)
    return dated, "RadiopharmaceuticalStartDateTime", tuple(doubts)


def _timed_goes_first(header: Mapping, dated: Moment, timed: Moment, reference: Moment | None) -> bool:
    """Whether StartTime is to be believed rather than a StartDateTime of another clock.

    Anonymisers cut a date-time to its date (midnight) or put a dummy in its place, and leave the time as it was.
    """
    if reference is None or _wrong_day(after(reference, timed)):
        return False
    written, _ = moment_of_datetime(text(header, "RadiopharmaceuticalStartDateTime"))
    return written.seconds == 0 or _wrong_day(after(reference, dated))


def _offset_s(zone: str) -> float | None:
    """Seconds east of UTC of a zone such as "+0130"; None for a text that is none."""
    if not re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", zone):
        return None
    sign = -1.0 if zone[0] == "-" else 1.0
    return sign * (int(zone[1:3]) * 3600.0 + int(zone[3:]) * 60.0)


def _wrong_day(seconds: float) -> bool:
    return not DECAY_MIN[0] <= seconds / 60.0 <= DECAY_MIN[1]


def read_reference(
    header: Mapping, frames: Sequence[Frame], half_life_s: float
) -> tuple[Moment | None, str, tuple[str, ...]]:
    """The time that START means, where it stands, and doubts.

    The series' time, unless it is later than the first acquisition: then the series was written after the scan, and
    GE's private scan time counts, else the time that the frames' decay factors or reference times lead back to, else
    the first acquisition.
    """
    stated, doubts = moment_here(header, "DecayCorrectionDateTime")
    if stated is not None:
        return stated, STATED, doubts
    frames = [f for f in (frames or (frame_of(header),)) if f.acquisition is not None]
    series = moment(text(header, "SeriesDate"), text(header, "SeriesTime"))
    if series is None and not frames:
        unread = _unread(header, "SeriesTime", "AcquisitionTime", "AcquisitionDateTime")
        said = f"{unread}, so there is no time of the scan" if unread else (
            "The header gives no time of the scan (SeriesTime, AcquisitionTime)"
        )  # fmt: skip
        return None, "", (f"{said}: type the time from injection.",)
    if not frames:
        said = _unread(header, "AcquisitionTime", "AcquisitionDateTime") or "The header gives no AcquisitionTime"
        return series, "SeriesTime", (f"{said} to check its SeriesTime by: check the time from injection.",)
    first = _earliest(frames)
    if series is not None and gap(series, first) < WHOLE_SECOND:  # one of them may be rounded
        return series, "SeriesTime", _decay_doubt(series, "SeriesTime", frames, half_life_s)
    why = "SeriesTime is later than AcquisitionTime (the series was written after the scan)"
    if series is None:
        why = _unread(header, "SeriesTime") or "The header gives no SeriesTime"
    ge, doubts = moment_here(header, "GEScanDateTime")
    if ge is not None and gap(ge, first) <= 0:
        return ge, "GE's scan time (0009,xx0d)", (*doubts, *_decay_doubt(ge, "GE's scan time", frames, half_life_s))
    for back, source in (
        (_by_decay_factors(frames, half_life_s), "AcquisitionTime and DecayFactor"),
        (_by_reference_times(frames, half_life_s), "AcquisitionTime and FrameReferenceTime"),
    ):
        if back is not None:
            return back, source, (f"{why}; the start was computed from {source}.",)
    return first, "AcquisitionTime", (f"{why} and AcquisitionTime was taken: check the time from injection.",)


def _earliest(frames: Sequence[Frame]) -> Moment:
    first = frames[0].acquisition
    for frame in frames:
        if gap(frame.acquisition, first) < 0:
            first = frame.acquisition
    return first


def _decay_doubt(reference: Moment, name: str, frames: Sequence[Frame], half_life_s: float) -> tuple[str, ...]:
    """A doubt where the frames' decay factors lead back to another time."""
    back = _by_decay_factors(frames, half_life_s)
    if back is None and 1.0 - 2.0 ** (-gap(_earliest(frames), reference) / half_life_s) > DECAY_TOLERANCE:
        return (f"{name} is {reference.clock}, long before the first image: check the time from injection.",)
    if back is None:
        return ()
    apart = gap(back, reference)
    if abs(1.0 - 2.0 ** (-abs(apart) / half_life_s)) <= DECAY_TOLERANCE:
        return ()
    return (
        f"The images' decay factors lead back to {back.clock}, {name} is {reference.clock}: "
        "check the time from injection.",
    )


def _by_decay_factors(frames: Sequence[Frame], half_life_s: float) -> Moment | None:
    """Reference time by decay factors, that of the middle slice; 1 or less says nothing."""
    return _middle(
        frames,
        lambda f: (
            mean_activity_s(f.duration_s, half_life_s) - half_life_s * math.log2(f.decay_factor)
            if f.duration_s and f.decay_factor and f.decay_factor > 1.0
            else None
        ),
    )


def _by_reference_times(frames: Sequence[Frame], half_life_s: float) -> Moment | None:
    """Reference time by FrameReferenceTime, which is to the frame's mean activity; 0 says nothing."""
    return _middle(
        frames,
        lambda f: (
            mean_activity_s(f.duration_s, half_life_s) - f.reference_s if f.duration_s and f.reference_s else None
        ),
    )


def _middle(frames: Sequence[Frame], offset_s) -> Moment | None:
    """Median over frames of acquisition + offset."""
    first = _earliest(frames)
    found = [gap(f.acquisition, first) + offset for f in frames if (offset := offset_s(f)) is not None]
    return first.later(float(np.median(found))) if found and abs(np.median(found)) < DAY_S / 2 else None


# --- values -------------------------------------------------------------------------------------------


def text(header: Mapping, keyword: str) -> str:
    """The value as stripped text; "" when it is missing."""
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _lacks(header: Mapping, keyword: str, what: str) -> str:
    """Why there is no number: the header does not give it, or what it gives is none."""
    return _no_number(header, keyword) or f"The header gives no {what} ({keyword})"


def _no_number(header: Mapping, keyword: str) -> str:
    """ "PatientWeight is '70,5', no number"; "" where it is missing, 0 or a positive number."""
    given = text(header, keyword)
    try:
        value = float(given or 0)
    except ValueError:
        return f"{keyword} is {given!r}, no number"
    return "" if 0 <= value < math.inf else f"{keyword} is {given!r}, no positive number"


def _unread(header: Mapping, *keywords: str) -> str:
    """ "SeriesTime cannot be read as a time", of those that are there, "" where none is; a value may hold a date."""
    given = [one for one in keywords if text(header, one)]
    return f"{joined(given)} cannot be read as a time" if given else ""


def number(header: Mapping, keyword: str) -> float | None:
    """The value as a positive number; None when it is missing, 0 (as anonymisers leave it) or none."""
    try:
        value = float(text(header, keyword))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
