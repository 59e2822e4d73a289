"""Harrell's concordance index, on risk: higher risk = earlier relapse; weights for what censoring hides."""

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


def censoring_weights(time_days, event, at_days) -> np.ndarray:
    """Weights 1 / G(t) of who is still free and followed after given days; G(t) is P(censored after t).

    G is the Kaplan-Meier estimate of censoring; at equal times an event comes before a censoring. Where G is 0 the
    weight is 0: nothing that is seen there can stand for what is not.

    Parameters
    ----------
    time_days, event : as in ``concordance``
    at_days : float array, shape (m,), days at which weights are wanted; beyond the last time G keeps its last value

    Returns
    -------
    float64 array, shape (m,)

    Raises
    ------
    InputError
        As in ``concordance``.

    References
    ----------
    Robins and Finkelstein, Biometrics 2000;56:779-788.
    """
    times, uncensored = _censoring(time_days, event)
    return _inverse(uncensored[np.searchsorted(times, np.asarray(at_days, dtype=float), side="right")])


def event_weights(time_days, event) -> np.ndarray:
    """Weights 1 / G(T-) of patients whose event on their own day T is seen; G(T-) is P(not censored before T).

    An event comes before a censoring of the same day, so what is censored that day hides none of that day's events.
    With these weights, and ``censoring_weights`` for who is free, a cohort's patients count as many as they are, and
    the Kaplan-Meier estimate S given to everybody has the Brier score S (1 - S).

    Parameters
    ----------
    time_days, event : as in ``concordance``

    Returns
    -------
    float64 array, shape (n,); that of a censored patient means nothing

    Raises
    ------
    InputError
        As in ``concordance``.

    References
    ----------
    Gerds and Schumacher, Biom J 2006;48:1029-1040 (who relapsed weighs 1 / G(T-), who is free 1 / G(t)).
    """
    times, uncensored = _censoring(time_days, event)
    return _inverse(uncensored[np.searchsorted(times, np.asarray(time_days, dtype=float), side="left")])


def _censoring(time_days, event) -> tuple[np.ndarray, np.ndarray]:
    """The k different times, and P(censored after them), shape (k + 1,) with 1 before the first."""
    time_days, event, _ = _checked(time_days, event, np.zeros(np.shape(time_days)))
    times, of = np.unique(time_days, return_inverse=True)
    events, leaving = (np.bincount(of, weights=w, minlength=times.size) for w in (event, np.ones(event.size)))
    censored = leaving - events
    at_risk = time_days.size - np.cumsum(leaving) + censored  # after the events of that day
    share = np.divide(censored, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    return times, np.concatenate(([1.0], np.cumprod(1.0 - share)))


def _inverse(g: np.ndarray) -> np.ndarray:
    return np.divide(1.0, g, out=np.zeros_like(g), where=g > 0)


def _checked(time_days, event, risk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time_days, risk = np.asarray(time_days, dtype=float), np.asarray(risk, dtype=float)
    event = np.asarray(event)
    if time_days.ndim != 1 or not time_days.shape == event.shape == risk.shape:
        raise InputError(
            f"survival: times {time_days.shape}, events {event.shape}, risks {risk.shape}; give one of each a patient"
        )
    if not np.isin(event, (0, 1)).all():
        raise InputError("survival: an event is neither 0 nor 1; leave patients without an outcome out")
    for name, values in (("time", time_days), ("risk", risk)):
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"survival: {name} of patient {first} is {values[first]}; give a finite number")
    return time_days, event.astype(bool), risk
