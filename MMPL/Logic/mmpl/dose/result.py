"""What ``results.json`` says of the dose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.dose.sampling import dose_on
from mmpl.dose.statistics import LEVELS_GY, DoseFigures, dose_statistics
from mmpl.geometry import Geometry, Volume
from mmpl.notices import DOSE_PARTLY_COVERED, Notice

TOTAL = "total"
NOT_AN_INPUT = (
    "Planned dose, reported beside the predictions: it is no input of any model, and changes neither HPV probability "
    "nor recurrence-free survival."
)


@dataclass(frozen=True)
class DoseSource:
    """Where the dose came from.

    Attributes
    ----------
    dose_type : "PHYSICAL", "EFFECTIVE"; None where it is not said, as in a NIfTI file
    summation_type : DICOM's DoseSummationType, "PLAN" for a whole plan; None where it is not said
    units : always "GY"
    """

    dose_type: str | None = None
    summation_type: str | None = None
    units: str = "GY"


@dataclass(frozen=True)
class DoseResult:
    """Dose in the contours.

    Attributes
    ----------
    source : DoseSource
    levels_gy : the doses that ``v_percent`` of the figures belong to
    figures : class name ("GTVp", "GTVn") and "total", the union of the classes, -> DoseFigures
    note : what the dose is not
    """

    source: DoseSource
    levels_gy: tuple[float, ...]
    figures: Mapping[str, DoseFigures]
    note: str = NOT_AN_INPUT

    def as_dict(self) -> dict:
        """The value of "dose" in ``results.json``."""
        figures = {name: _plain(one) for name, one in self.figures.items()}
        return {
            "note": self.note,
            "source": dataclasses.asdict(self.source),
            "levels_gy": list(self.levels_gy),
            **figures,
        }


def _plain(figures: DoseFigures) -> dict:
    volumes = figures.v_percent
    return dataclasses.asdict(figures) | {"v_percent": None if volumes is None else list(volumes)}


def dose_of_contours(
    dose: Volume,
    masks: Mapping[str, np.ndarray],
    grid: Geometry,
    *,
    source: DoseSource,
    levels_gy: Sequence[float] = LEVELS_GY,
) -> tuple[DoseResult, tuple[Notice, ...]]:
    """Dose-volume figures of each class and of all together.

    Parameters
    ----------
    dose : Volume, Gy
    masks : class name -> bool array (z, y, x) on ``grid``
    grid : Geometry of the contours
    source : what the dose says of itself
    levels_gy : doses of the V figures

    Returns
    -------
    (DoseResult, notices) : a notice for each class that the dose does not cover
    """
    on_grid = dose_on(dose, grid)
    together = np.logical_or.reduce(list(masks.values()))
    figures = {
        name: dose_statistics(on_grid, mask, grid.voxel_volume_ml, levels_gy)
        for name, mask in {**masks, TOTAL: together}.items()
    }
    notices = tuple(notice for name in masks for notice in _uncovered(name, figures[name].covered_share))
    return DoseResult(source, tuple(float(level) for level in levels_gy), figures), notices


def _uncovered(name: str, share: float | None) -> list[Notice]:
    if share is None or share == 1.0:
        return []
    if share == 0.0:
        return [Notice(DOSE_PARTLY_COVERED, f"{name} lies outside the dose grid: no dose is given for it.")]
    percent = min(max(round(100 * share), 1), 99)
    sentence = f"The dose grid covers {percent} % of {name}: its dose figures are of that part only."
    return [Notice(DOSE_PARTLY_COVERED, sentence)]
