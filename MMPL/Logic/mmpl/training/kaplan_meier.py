"""The training cohort's recurrence-free survival, to be drawn behind a patient's curve."""

from __future__ import annotations

import numpy as np
from lifelines import KaplanMeierFitter

from mmpl.bundle.parts import CohortSurvival
from mmpl.errors import TrainingError
from mmpl.survival.discrete import check_follow_up

DECIMALS = 6  # of the shares; more would differ between machines in the last bits


def kaplan_meier(time_days: np.ndarray, event: np.ndarray) -> CohortSurvival:
    """Kaplan-Meier estimate of recurrence-free survival, as a step function.

    Parameters
    ----------
    time_days : shape (n,), days to relapse or to the end of follow-up
    event : shape (n,), 1 = relapse, 0 = censored; on a day with both, relapses come first

    Raises
    ------
    InputError
        If shapes differ, a time is negative or not finite, or an event is neither 0 nor 1.
    TrainingError
        If there is no patient.

    References
    ----------
    Kaplan and Meier, J Am Stat Assoc 1958;53:457-481.
    """
    time, relapsed = check_follow_up(time_days, event)
    if len(time) == 0:
        raise TrainingError("cohort survival: no patient has a follow-up; add Relapse and RFS to the cohort's tables")
    fitted = KaplanMeierFitter().fit(time, relapsed)
    table = fitted.event_table.assign(survival=fitted.survival_function_.iloc[:, 0])
    last = table.index[-1]
    # lifelines' table begins at day 0, where all patients enter; a row of its own keeps the 1 there
    steps = table[(table["observed"] > 0) | ((table.index == last) & (last > 0))]
    return CohortSurvival(
        days=(0.0, *(float(day) for day in steps.index)),
        survival=(1.0, *(round(float(share), DECIMALS) for share in steps["survival"])),
        at_risk=(len(time), *(int(n) for n in steps["at_risk"])),
        patients=len(time),
        events=int(relapsed.sum()),
    )
