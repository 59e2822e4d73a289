"""Patients of an evaluation of recurrence-free survival, in one order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.evaluation.follow_up import YEAR_DAYS, Cohort, survival_at
from mmpl.evaluation.predictions import RfsPrediction

NO_CURVE = "no survival curve was given"
NO_RELAPSE = "no patient relapsed"
ONE_PATIENT = "a single patient cannot be scored"


@dataclass(frozen=True)
class RfsData:
    """Scored patients in one order.

    Attributes
    ----------
    patient_ids : n names
    cohort : follow-up and risk
    curves : each patient's prediction
    groups : each patient's risk group
    groups_from : how they came to be in it
    """

    patient_ids: tuple[str, ...]
    cohort: Cohort
    curves: tuple[RfsPrediction, ...]
    groups: tuple[str, ...]
    groups_from: str

    @property
    def n(self) -> int:
        return len(self.patient_ids)

    @property
    def has_curves(self) -> bool:
        return any(c.days.size for c in self.curves)

    def predicted_at(self, at_days: float) -> np.ndarray:
        """Predicted survival on a day, shape (n,); NaN where a curve says nothing of it."""
        return np.array([survival_at(c.days, c.survival, at_days) for c in self.curves])


def no_prediction(predicted: np.ndarray, at_days: float) -> str:
    """Why there is no predicted survival of all patients on a day, or nothing.

    Parameters
    ----------
    predicted : float array, shape (n,), NaN where a curve says nothing
    at_days : the day
    """
    missing = int(np.isnan(predicted).sum())
    if not missing:
        return ""
    return f"{missing} of {predicted.size} patients have no predicted survival at {years_text(at_days)}"


def years_text(days: float) -> str:
    """ "1 year", "2 years"."""
    years = days / YEAR_DAYS
    return f"{years:g} year{'' if years == 1 else 's'}"
