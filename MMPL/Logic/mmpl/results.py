"""What MMPL says about a case: plain dataclasses that become ``results.json``.

Directions: ``risk`` higher = earlier relapse; ``*_days`` longer = better.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Protocol

from mmpl.notices import Notice
from mmpl.version import __version__

SCHEMA_VERSION = "1.0"
RESEARCH_USE = "For research use only. Not a medical device; not for diagnosis or treatment decisions."
HPV_SCALE = (  # of the probability: forests are trained on classes made equal
    "A score on the scale of equally many HPV-positive and HPV-negative patients, not the share of HPV-positive ones "
    "among such patients."
)


@dataclass(frozen=True)
class LesionFigures:
    """Size and uptake of one contour, or of one of its 26-connected components.

    ``volume_ml`` is counted on the CT grid; the rest is read from native PET voxels and is None
    when the PET is not in SUV or no PET voxel falls inside.
    """

    volume_ml: float
    suv_max: float | None
    suv_peak: float | None
    suv_mean: float | None
    mtv_ml: float | None
    tlg_g: float | None


@dataclass(frozen=True)
class LesionComponent:
    """One connected lesion. ``id`` counts from 1 by falling volume; the centroid is in LPS mm."""

    id: int
    centroid_lps_mm: tuple[float, float, float]
    figures: LesionFigures


@dataclass(frozen=True)
class ClassFigures:
    """All of one class (GTVp or GTVn): the total and its components."""

    total: LesionFigures
    components: tuple[LesionComponent, ...]


@dataclass(frozen=True)
class Contribution:
    """One feature's share in one prediction.

    ``effect`` is in probability units for HPV (exact TreeSHAP of the forests, averaged over members)
    and in log-hazard units for RFS (coefficient times centred value, averaged over members);
    positive pushes towards HPV-positive or towards earlier relapse.
    """

    feature: str
    value: float | None
    effect: float


@dataclass(frozen=True)
class HpvResult:
    """HPV probability; ``probability`` is None with a ``reason`` when it is not given."""

    probability: float | None
    threshold: float
    status: str | None  # "positive", "negative" or None
    members: tuple[float, ...] = ()
    known: str | None = None  # what the record says: "positive", "negative" or None
    reason: str | None = None
    base: float | None = None  # mean forest output without any feature; base + sum(effects) = probability


@dataclass(frozen=True)
class SurvivalCurve:
    """RFS probability by day; None beyond the last training event.

    ``members_low`` and ``members_high`` are the members' minimum and maximum: not a confidence interval.
    """

    days: tuple[float, ...]
    survival: tuple[float | None, ...]
    members_low: tuple[float | None, ...]
    members_high: tuple[float | None, ...]


@dataclass(frozen=True)
class RfsResult:
    """Recurrence-free survival; ``risk`` is None with a ``reason`` when it is not given."""

    time_zero: str
    risk: float | None
    risk_group: str | None  # "low", "intermediate" or "high"
    deep_restricted_mean_days: float | None
    curve: SurvivalCurve | None
    survival_at: dict[str, float | None] = field(default_factory=dict)  # keys "1y", "2y", "3y", "5y"
    members: tuple[float, ...] = ()  # standardised linear predictor of each member
    reason: str | None = None
    members_at: dict[str, tuple[float, float] | None] = field(default_factory=dict)  # minimum, maximum; keys as above


class DoseFigures(Protocol):
    """Dose in the contours, see :class:`mmpl.dose.DoseResult`."""

    def as_dict(self) -> dict: ...


@dataclass(frozen=True)
class Results:
    """Everything ``results.json`` holds."""

    case_id: str
    bundle: dict
    inputs: dict
    lesions: dict[str, ClassFigures]  # "GTVp", "GTVn"
    hpv: HpvResult
    rfs: RfsResult
    contributions: dict[str, tuple[Contribution, ...]]  # "hpv", "rfs", largest |effect| first
    warnings: tuple[Notice, ...]
    timings_s: dict[str, float]
    segmentation: dict | None = None  # the plan by which the contours were drawn; None for given ones
    dose: DoseFigures | None = None  # planned dose in the contours; None without a dose
    mtv_rule: str = "voxels >= 41 % of the lesion's SUVmax inside its contour, per lesion"

    def as_dict(self) -> dict:
        """JSON-ready dictionary; NaN and infinities become null."""
        lesions = {
            name: {
                **dataclasses.asdict(figures.total),
                "components": [
                    {
                        "id": c.id,
                        "centroid_lps_mm": list(c.centroid_lps_mm),
                        **dataclasses.asdict(c.figures),
                    }
                    for c in figures.components
                ],
            }
            for name, figures in self.lesions.items()
        }
        raw = {
            "schema_version": SCHEMA_VERSION,
            "mmpl_version": __version__,
            "notice": RESEARCH_USE,
            "case_id": self.case_id,
            "bundle": self.bundle,
            "inputs": self.inputs,
            "segmentation": self.segmentation,
            "mtv_rule": self.mtv_rule,
            "lesions": lesions,
            "hpv": dataclasses.asdict(self.hpv),
            "rfs": dataclasses.asdict(self.rfs),
            "dose": None if self.dose is None else self.dose.as_dict(),
            "contributions": {
                name: [dataclasses.asdict(c) for c in items] for name, items in self.contributions.items()
            },
            "warnings": [w.as_dict() for w in self.warnings],
            "timings_s": self.timings_s,
        }
        return json_ready(raw)


def json_ready(value):
    """Tuples to lists, numpy scalars to Python's, NaN and infinities to None."""
    if isinstance(value, dict):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v) for v in value]
    if hasattr(value, "tolist"):
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
