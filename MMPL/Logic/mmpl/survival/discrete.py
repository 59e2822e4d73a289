"""Discrete-time survival: intervals, what a follow-up says of each, and the expected time.

Interval i runs from ``breaks[i]`` to ``breaks[i + 1]``. ``q_i`` is the probability of passing it relapse-free
given that it was entered, ``h_i = 1 - q_i`` its hazard, and ``S_i = q_0 q_1 ... q_i`` the survival at its
*end*.

References
----------
Gensheimer and Narasimhan, A scalable discrete-time survival model for neural networks, PeerJ 2019;7:e6257.
Kvamme and Borgan, Continuous and discrete-time survival prediction with neural networks,
Lifetime Data Anal 2021;27:710-736.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmpl.errors import InputError

BREAKS_DAYS: tuple[float, ...] = (0, 300, 600, 900, 1100, 1300, 1500, 2100, 2700, 3500, 6000)


def check_breaks(breaks_days: Sequence[float]) -> np.ndarray:
    """Interval limits as an array, shape (K + 1,), days.

    Raises
    ------
    InputError
        If there are fewer than two, the first is not 0, or they do not rise.
    """
    breaks = np.asarray(breaks_days, dtype=np.float64)
    rising = breaks.ndim == 1 and len(breaks) >= 2 and np.all(np.isfinite(breaks)) and np.all(np.diff(breaks) > 0)
    if not rising or breaks[0] != 0:
        raise InputError(f"interval limits {list(breaks_days)}: give at least two rising days, the first 0")
    return breaks


def survival_from_hazards(hazards: np.ndarray) -> np.ndarray:
    """Survival at the end of each interval.

    Parameters
    ----------
    hazards : array, shape (..., K), in [0, 1]

    Returns
    -------
    float64 array, shape (..., K), falling along the last axis
    """
    return np.cumprod(1.0 - np.asarray(hazards, dtype=np.float64), axis=-1)


def expected_time_days(survival: np.ndarray, breaks_days: Sequence[float] = BREAKS_DAYS) -> np.ndarray:
    """Restricted mean relapse-free time, sum over i of S_i dt_i: longer is better.

    ``S_i`` is the survival at the interval's end, so the sum is a lower Riemann sum of the area under the
    curve: no credit is given for an interval in which relapse happens, and the value lies between 0 and the
    last limit.

    Parameters
    ----------
    survival : array, shape (..., K), survival at the end of each interval
    breaks_days : K + 1 limits

    Returns
    -------
    float64 array, shape (...), days

    Raises
    ------
    InputError
        If the number of intervals differs from the limits'.
    """
    breaks = check_breaks(breaks_days)
    survival = np.asarray(survival, dtype=np.float64)
    if survival.shape[-1] != len(breaks) - 1:
        raise InputError(f"{survival.shape[-1]} survival values for {len(breaks) - 1} intervals")
    return survival @ np.diff(breaks)


def interval_targets(
    time_days: np.ndarray, event: np.ndarray, breaks_days: Sequence[float] = BREAKS_DAYS
) -> tuple[np.ndarray, np.ndarray]:
    """What each follow-up says of each interval.

    A relapse in interval i survived those before it and failed in i (limits belong to the interval they
    open). A censored patient survived an interval when followed to its midpoint or past it. Follow-up past
    the last limit, with or without relapse, survived all.

    Parameters
    ----------
    time_days : array, shape (n,), >= 0
    event : array, shape (n,), 1 (or True) for relapse, 0 for censored
    breaks_days : K + 1 limits

    Returns
    -------
    survived, failed : float64 arrays, shape (n, K), of 0 and 1; both 0 where nothing is known.
        The negative log-likelihood is ``-sum(survived * log(q) + failed * log(1 - q))``.

    Raises
    ------
    InputError
        If a time is negative or not finite, or an event is neither 0 nor 1.
    """
    breaks = check_breaks(breaks_days)
    time, event = check_follow_up(time_days, event)
    starts, ends = breaks[:-1], breaks[1:]
    until = np.where(event[:, None], ends, (starts + ends) / 2.0)
    survived = time[:, None] >= until
    failed = event[:, None] & (time[:, None] >= starts) & (time[:, None] < ends)
    return survived.astype(np.float64), failed.astype(np.float64)


def check_follow_up(time_days: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times as float64 and events as bool, both of shape (n,).

    Raises
    ------
    InputError
        If shapes differ, a time is negative or not finite, or an event is neither 0 nor 1.
    """
    time = np.asarray(time_days, dtype=np.float64)
    flags = np.asarray(event, dtype=np.float64)
    if time.ndim != 1 or time.shape != flags.shape:
        raise InputError(f"times of shape {time.shape} with events of shape {flags.shape}: give one of each a patient")
    bad = ~(np.isfinite(time) & (time >= 0))
    if bad.any():
        raise InputError(f"follow-up time {time[bad][0]}: give days, 0 or more")
    bad = ~np.isin(flags, (0.0, 1.0))
    if bad.any():
        raise InputError(f"event {flags[bad][0]}: give 1 for relapse or 0 for censored")
    return time, flags == 1.0
