"""From a known SUV to what a scanner writes: the forward model, derived from the definition of SUV and physics.

Body-weight SUV is activity concentration over injected activity per gram, both at the same time. With injected
activity A at the time of injection and weight W, a voxel of SUV s holds, decay-corrected to the injection,
c = s A / W (Bq/mL for W in g). With decay rate λ it truly holds c exp(-λ (t - t_injection)) at time t. So

- ADMIN writes c;
- START writes c exp(-λ (t_start - t_injection)), t_start the start of the scan's first bed;
- NONE writes the mean over the frame of length T from t: c exp(-λ (t - t_injection)) (1 - exp(-λ T)) / (λ T).

The moment within a frame at which the activity equals that mean is ln(λT / (1 - exp(-λT))) / λ after its start
(DICOM PS3.3 C.8.9.4.1.5, example 2): Frame Reference Time says it, counted from the scan's start, and the Decay
Factor leads from the frame's mean to the corrected value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from mmpl.errors import InputError
from mmpl.phantom.dicom.body import body_surface_cm2, reference_mass_g
from mmpl.phantom.dicom.variant import PetVariant

BQML_PER_COUNT = 1.7306  # any number does: what a scanner's counts are worth is its own affair
STORED_MAX = 32767  # signed 16 bits


@dataclass(frozen=True)
class Frame:
    """When the counts of a slice were taken, and its decay.

    Attributes
    ----------
    start : datetime
    duration_s : seconds
    average_s : from the start to the moment of the frame's average activity, seconds
    reference_time_ms : that moment, counted from the scan's start
    decay_factor : corrected over measured activity, or None without correction
    """

    start: datetime
    duration_s: float
    average_s: float
    reference_time_ms: float
    decay_factor: float | None

    @property
    def average_at(self) -> datetime:
        return self.start + timedelta(seconds=self.average_s)


def frames_of_slices(variant: PetVariant, slices: int) -> tuple[Frame, ...]:
    """The frame of every slice; the beds share the slices out evenly, first bed first.

    Raises
    ------
    InputError
        If there are more beds than slices.
    """
    beds = len(variant.frame_s)
    if beds > slices:
        raise InputError(f"PET variant of {beds} beds on {slices} slices: every bed needs a slice")
    frames = [_frame(variant, start, s) for start, s in zip(variant.bed_starts, variant.frame_s, strict=True)]
    return tuple(frames[k * beds // slices] for k in range(slices))


def header_values(suv: np.ndarray, variant: PetVariant, frames: tuple[Frame, ...]) -> np.ndarray:
    """What the header's units and decay correction make of an SUV.

    Parameters
    ----------
    suv : body-weight SUV, shape (z, y, x)
    frames : one a slice

    Returns
    -------
    float64 array, shape (z, y, x), in the variant's units
    """
    return np.asarray(suv, dtype=float) * np.array([_per_suv(variant, f) for f in frames])[:, None, None]


def suv_per_count(variant: PetVariant, frame: Frame) -> float:
    """Philips' SUV scale factor: SUV of a count, after the Rescale Slope."""
    return 1.0 / _per_suv(variant, frame)


def stored_values(values: np.ndarray, slope: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values as signed 16-bit integers, and every slice's Rescale Slope as the header's text.

    The largest value takes the whole range, so rounding errs by at most 1/65534 of the slice's (or the series')
    largest value: at SUV 2.5 beneath a maximum of 25 that is 0.015 %. The integers are made with the slope as it is
    written, whose own rounding therefore costs nothing.

    Parameters
    ----------
    values : shape (z, y, x)
    slope : "slice" or "series"

    Returns
    -------
    int16 array, shape (z, y, x); tuple of DS text, one a slice
    """
    peaks = np.abs(values).max(axis=(1, 2))
    if slope == "series":
        peaks = np.full_like(peaks, peaks.max())
    texts = tuple(decimal_text(peak / STORED_MAX if peak > 0 else 1.0) for peak in peaks)
    slopes = np.array([float(text) for text in texts])
    return np.rint(values / slopes[:, None, None]).astype(np.int16), texts


def decimal_text(value: float) -> str:
    """A number as DICOM's DS (at most 16 characters), with ten digits."""
    return f"{value:.10g}"


def _frame(variant: PetVariant, start: datetime, duration_s: float) -> Frame:
    rate = variant.decay_rate_per_s
    average_s = -math.log(_mean_over_frame(rate * duration_s)) / rate
    average_at = start + timedelta(seconds=average_s)
    from_start_s = (start - variant.scan_start).total_seconds() + average_s
    since = {"START": variant.scan_start, "ADMIN": variant.injected_at}.get(variant.decay_correction)
    factor = None if since is None else math.exp(rate * (average_at - since).total_seconds())
    return Frame(start, duration_s, average_s, 1000.0 * from_start_s, factor)


def _mean_over_frame(decays: float) -> float:
    """Mean of exp(-x) for x from 0 to ``decays``: a frame's average over the activity at its start."""
    return -math.expm1(-decays) / decays


def _per_suv(variant: PetVariant, frame: Frame) -> float:
    """The header's value of SUV 1 in a slice."""
    weight_g = reference_mass_g(variant.body, "BW")
    if variant.units == "GML":
        return reference_mass_g(variant.body, variant.suv_type or "BW") / weight_g
    if variant.units == "CM2ML":
        return body_surface_cm2(variant.body) / weight_g
    bqml = variant.dose_bq / weight_g * _left(variant, frame)
    return bqml / BQML_PER_COUNT if variant.units == "CNTS" else bqml


def _left(variant: PetVariant, frame: Frame) -> float:
    """The share of the injected activity that the written values stand for."""
    rate = variant.decay_rate_per_s
    if variant.decay_correction == "ADMIN":
        return 1.0
    if variant.decay_correction == "START":
        return math.exp(-rate * variant.uptake_s)
    waited_s = (frame.start - variant.injected_at).total_seconds()
    return math.exp(-rate * waited_s) * _mean_over_frame(rate * frame.duration_s)
