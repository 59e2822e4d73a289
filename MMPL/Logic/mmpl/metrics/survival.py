"""Harrell's concordance index, on risk: higher risk = earlier relapse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError


@dataclass(frozen=True)
class Concordance:
    """Counts of comparable pairs.

    Attributes
    ----------
    concordant : the patient with the earlier event has the higher risk
    discordant : the patient with the earlier event has the lower risk
    tied_risk : both have the same risk
    """

    concordant: int
    discordant: int
    tied_risk: int

    @property
    def c_index(self) -> float:
        """(concordant + tied / 2) / comparable; NaN without a comparable pair."""
        comparable = self.concordant + self.discordant + self.tied_risk
        return (self.concordant + 0.5 * self.tied_risk) / comparable if comparable else float("nan")


def concordance(time_days, event, risk) -> Concordance:
    """Compare every pair of patients whose order is known.

    A pair is comparable when the earlier time is an event. At equal times an event comes before a
    censoring; two events at the same time are not compared.

    Parameters
    ----------
    time_days : float array, shape (n,), days to relapse or to the end of follow-up
    event : bool or 0/1 array, shape (n,), True = relapse
    risk : float array, shape (n,), higher = earlier relapse; expected days must be negated first

    Raises
    ------
    InputError
        If lengths differ, an event is not 0 or 1, or a time or risk is not finite.

    References
    ----------
    Harrell et al., Stat Med 1996;15:361-387.
    """
    time_days, event, risk = _checked(time_days, event, risk)
    concordant = discordant = tied = 0
    for i in np.flatnonzero(event):
        later = (time_days > time_days[i]) | ((time_days == time_days[i]) & ~event)
        others = risk[later]
        concordant += int(np.count_nonzero(others < risk[i]))
        discordant += int(np.count_nonzero(others > risk[i]))
        tied += int(np.count_nonzero(others == risk[i]))
    return Concordance(concordant, discordant, tied)


def c_index(time_days, event, risk) -> float:
    """Harrell's C: 1 is a perfect order, 0.5 none; NaN when no pair is comparable (all censored).

    Parameters and errors as in ``concordance``.
    """
    return concordance(time_days, event, risk).c_index


def _checked(time_days, event, risk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time_days, risk = np.asarray(time_days, dtype=float), np.asarray(risk, dtype=float)
    event = np.asarray(event)
    if time_days.ndim != 1 or not time_days.shape == event.shape == risk.shape:
        raise InputError(
            f"c-index: times {time_days.shape}, events {event.shape} and risks {risk.shape}; give one of each a patient"
        )
    if not np.isin(event, (0, 1)).all():
        raise InputError("c-index: an event is neither 0 nor 1; leave patients without an outcome out")
    for name, values in (("time", time_days), ("risk", risk)):
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"c-index: {name} of patient {first} is {values[first]}; give a finite number")
    return time_days, event.astype(bool), risk
