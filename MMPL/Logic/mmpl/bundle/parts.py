"""Parts of ``bundle.json`` that the verified record and the quick look share; the standard library reads them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from mmpl.errors import BundleError

FORMAT_VERSION = "1.0"


@dataclass(frozen=True)
class Thresholds:
    """Probability thresholds: per class for the masks, and for HPV-positive."""

    GTVp: float
    GTVn: float
    hpv: float


@dataclass(frozen=True)
class CohortSurvival:
    """Kaplan-Meier curve of the training cohort: recurrence-free survival of the patients with follow-up.

    A step function: ``survival[i]`` holds from ``days[i]`` until the next day listed. Nothing is known beyond the
    last day.

    Attributes
    ----------
    days : 0, then every day with a relapse, then the last day of follow-up (of relapse or censoring)
    survival : share of patients free of recurrence from that day on; begins at 1 and never rises
    at_risk : patients still followed and free of recurrence just before that day
    patients : patients with follow-up
    events : relapses among them
    """

    days: tuple[float, ...]
    survival: tuple[float, ...]
    at_risk: tuple[int, ...]
    patients: int
    events: int

    @classmethod
    def from_dict(cls, raw: Mapping) -> CohortSurvival:
        """From the object in ``bundle.json``, whose types were checked."""
        days, survival, at_risk = (tuple(raw[name]) for name in ("days", "survival", "at_risk"))
        return cls(days, survival, at_risk, raw["patients"], raw["events"])


def check_format_version(raw: object, where: str) -> None:
    """Raise BundleError when ``bundle.json`` says that it is of another format version.

    Parameters
    ----------
    raw : the parsed JSON
    where : what to call the bundle in a message
    """
    if isinstance(raw, dict) and raw.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise BundleError(
            f"bundle {where} has format version {raw['format_version']!r}, this MMPL reads "
            f"{FORMAT_VERSION!r}: use a bundle or an MMPL of the other version"
        )


def check_risk_tertiles(low: float, high: float, where: str) -> None:
    """Raise BundleError unless the cut points ascend."""
    if low > high:
        raise BundleError(f"bundle {where}: risk_tertiles {(low, high)} must ascend")


def check_cohort_survival(curve: CohortSurvival, where: str) -> None:
    """Raise BundleError when a curve, whose values have the right types, cannot be a Kaplan-Meier curve.

    Parameters
    ----------
    curve : CohortSurvival
    where : what to call the bundle in a message
    """
    problem = _why_not_a_curve(curve)
    if problem is not None:
        raise BundleError(f"bundle {where}: cohort_survival {problem}: get the bundle again")


def _why_not_a_curve(curve: CohortSurvival) -> str | None:
    days, survival, at_risk = curve.days, curve.survival, curve.at_risk
    if not len(days) == len(survival) == len(at_risk) >= 1:
        return f"has {len(days)} days, {len(survival)} values and {len(at_risk)} numbers at risk, not one of each"
    if not all(abs(day) <= sys.float_info.max for day in days):
        return "has a day that is not finite"
    if (days[0], survival[0], at_risk[0]) != (0, 1, curve.patients):
        return f"begins at day {days[0]:g} with {survival[0]:g} and {at_risk[0]} at risk, not at 0 with 1 and everyone"
    if list(days) != sorted(days):
        return "has days that do not ascend"
    if list(survival) != sorted(survival, reverse=True) or survival[-1] < 0:
        return "has values that rise or are below 0"
    if list(at_risk) != sorted(at_risk, reverse=True) or at_risk[-1] < 0:
        return "has numbers at risk that rise or are below 0"
    if not 0 <= curve.events <= curve.patients:
        return f"has {curve.events} events in {curve.patients} patients"
    return None
