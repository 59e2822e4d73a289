"""The members' HPV probabilities to one result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mmpl.hpv.member import HpvMember
from mmpl.notices import SITE_NOT_OROPHARYNX, SITE_UNKNOWN, Notice
from mmpl.results import Contribution, HpvResult

Row = Mapping[str, float]

SITE_REASON = "the primary site is not the oropharynx, for which alone the HPV classifier is meant"


def combine_hpv(
    members: Sequence[HpvMember],
    rows: Sequence[Row],
    *,
    threshold: float,
    site: str | None,
    known: str | None = None,
) -> tuple[HpvResult, tuple[Contribution, ...], tuple[Notice, ...]]:
    """HPV probability of a case: the mean over the members.

    Parameters
    ----------
    members : the fitted members
    rows : one row of features a member (deep logits and clinical encodings differ between members)
    threshold : HPV-positive from this probability on
    site : "oropharynx", "other" or None (unknown)
    known : "positive", "negative" or None, as the record states; shown beside, never used

    Returns
    -------
    result : HpvResult; without probability, and with the reason, when the site is another one
    contributions : by column, largest effect first; ``result.base`` and all effects add up to the probability
    notices : SITE_NOT_OROPHARYNX or SITE_UNKNOWN, where it applies
    """
    if site == "other":
        notice = Notice(SITE_NOT_OROPHARYNX, f"No HPV probability: {SITE_REASON}")
        return null_hpv(threshold, SITE_REASON, known), (), (notice,)
    probabilities = tuple(m.predict(row) for m, row in zip(members, rows, strict=True))
    probability = float(np.mean(probabilities))
    base, contributions = _average_contributions(members, rows)
    result = HpvResult(
        probability=probability,
        threshold=threshold,
        status="positive" if probability >= threshold else "negative",
        members=probabilities,
        known=known,
        base=base,
    )
    return result, contributions, _site_notices(site)


def null_hpv(threshold: float, reason: str, known: str | None = None) -> HpvResult:
    """A result without probability."""
    return HpvResult(probability=None, threshold=threshold, status=None, known=known, reason=reason)


def _site_notices(site: str | None) -> tuple[Notice, ...]:
    if site is not None:
        return ()
    text = "The primary site is unknown; the HPV probability holds for oropharyngeal primaries only"
    return (Notice(SITE_UNKNOWN, text),)


def _average_contributions(members: Sequence[HpvMember], rows: Sequence[Row]) -> tuple[float, tuple[Contribution, ...]]:
    bases, effects = zip(*(m.contributions(row) for m, row in zip(members, rows, strict=True)), strict=True)
    columns = dict.fromkeys(c for one in effects for c in one)
    items = [
        Contribution(c, _mean_value(c, rows), sum(one.get(c, 0.0) for one in effects) / len(members)) for c in columns
    ]
    return float(np.mean(bases)), tuple(sorted(items, key=lambda i: -abs(i.effect)))


def _mean_value(column: str, rows: Sequence[Row]) -> float | None:
    """A column's value, averaged over the members' rows that have one; None where none has."""
    values = [float(row[column]) for row in rows if row.get(column) is not None]
    finite = [v for v in values if math.isfinite(v)]
    return float(np.mean(finite)) if finite else None
