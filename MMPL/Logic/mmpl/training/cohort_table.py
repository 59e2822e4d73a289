"""One split's out-of-fold table: what the statistics over the networks are fitted on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.clinical.fields import parse_record
from mmpl.columns import DEEP_DAYS, DEEP_HPV
from mmpl.errors import ClinicalError, TrainingError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scale:
    """Mean and sd of one network's deep score, over patients it did not train on."""

    mean: float = 0.0
    sd: float = 1.0


FEW = 10  # patients; the sd of two scores is ten times too small in one of nine folds


def out_of_fold_scales(values: np.ndarray, fold: np.ndarray) -> tuple[Scale, ...]:
    """One Scale a network: figures of its scores for its own fold, which need no label.

    A fold with fewer than ``FEW`` finite scores takes the sd within all folds in place of its own; an sd of 0 is taken
    as 1. Where folds differ in case mix (centre-out folds), these figures take that difference out as well; give
    scales of a common set of patients then.

    Parameters
    ----------
    values : raw out-of-fold scores, shape (n,)
    fold : fold index, shape (n,)
    """
    scores = np.asarray(values, dtype=float)
    folds = [scores[(np.asarray(fold) == f) & np.isfinite(scores)] for f in range(int(np.max(fold)) + 1)]
    means = [float(own.mean()) if len(own) else 0.0 for own in folds]
    within = _sd_within(folds, means)
    sds = [float(own.std()) if len(own) >= FEW else within for own in folds]
    return tuple(Scale(mean, sd if sd > 1e-9 else 1.0) for mean, sd in zip(means, sds, strict=True))


def _sd_within(groups: Sequence[np.ndarray], means: Sequence[float]) -> float:
    """Around each group's own mean, which takes a degree of freedom; 0 where no group has two values."""
    free = sum(len(own) - 1 for own in groups if len(own))
    squares = sum(float(np.square(own - mean).sum()) for own, mean in zip(groups, means, strict=True))
    return float(np.sqrt(squares / free)) if free else 0.0


@dataclass(frozen=True, eq=False)
class CohortTable:
    """One split's out-of-fold table: n patients, folds 0 to F - 1.

    Attributes
    ----------
    patient_ids : n unique names
    fold : int array, shape (n,); the fold whose networks did not train on the patient
    clinical : n raw clinical records (see ``mmpl.clinical.fields.parse_record``)
    radiomics : n rows from out-of-fold masks, the missing flags included; NaN where not computed
    deep_hpv : float array, shape (n,), raw out-of-fold HPV logits
    deep_days : float array, shape (n,), out-of-fold expected recurrence-free days; longer = better
    hpv : float array, shape (n,); 1 positive, 0 negative, NaN unknown
    time_days, event : float arrays, shape (n,); NaN unknown; event 1 = relapse

    Raises
    ------
    TrainingError
        If lengths differ, a patient comes twice, a fold is empty, a label is impossible or a clinical record
        cannot be read (the patient is named).
    """

    patient_ids: tuple[str, ...]
    fold: np.ndarray
    clinical: Sequence[Mapping[str, object]]
    radiomics: pd.DataFrame
    deep_hpv: np.ndarray
    deep_days: np.ndarray
    hpv: np.ndarray
    time_days: np.ndarray
    event: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "patient_ids", tuple(self.patient_ids))
        object.__setattr__(self, "fold", np.asarray(self.fold, dtype=int))
        object.__setattr__(self, "radiomics", self.radiomics.reset_index(drop=True))
        for name in ("deep_hpv", "deep_days", "hpv", "time_days", "event"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        _check_table(self)

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1

    @property
    def has_follow_up(self) -> np.ndarray:
        """Bool array, shape (n,): time and event are both known."""
        return np.isfinite(self.time_days) & np.isfinite(self.event)

    @cached_property
    def records(self) -> tuple[dict[str, object | None], ...]:
        """The clinical records, normalised."""
        return tuple(_parse(p, raw) for p, raw in zip(self.patient_ids, self.clinical, strict=True))


def _parse(patient_id: str, raw: Mapping[str, object]) -> dict[str, object | None]:
    try:
        record, notices = parse_record(raw)
    except ClinicalError as error:
        raise TrainingError(f"patient {patient_id}: {error}") from error
    for notice in notices:
        log.warning("patient %s: %s", patient_id, notice.text)
    return record


def _check_table(table: CohortTable) -> None:
    n = len(table.patient_ids)
    if len(set(table.patient_ids)) != n:
        raise TrainingError("cohort table: a patient comes twice; keep one row each")
    for name in ("fold", "clinical", "radiomics", "deep_hpv", "deep_days", "hpv", "time_days", "event"):
        if len(getattr(table, name)) != n:
            raise TrainingError(f"cohort table: {len(getattr(table, name))} rows of {name} for {n} patients")
    if n == 0 or table.fold.min() < 0 or np.bincount(table.fold).min() == 0 or table.fold.max() < 1:
        raise TrainingError("cohort table: give at least two folds, numbered from 0, none of them empty")
    for name in ("hpv", "event"):
        values = getattr(table, name)
        bad = ~(np.isnan(values) | np.isin(values, (0.0, 1.0)))
        if bad.any():
            raise TrainingError(
                f"patient {table.patient_ids[int(bad.argmax())]}: {name} is {values[bad][0]:g}; give 0, 1 or nothing"
            )
    bad = table.time_days < 0
    if bad.any():
        raise TrainingError(f"patient {table.patient_ids[int(bad.argmax())]}: negative follow-up time")
    for name in ("deep_hpv", "deep_days"):
        bad = ~np.isfinite(getattr(table, name))
        if bad.any():
            raise TrainingError(
                f"patient {table.patient_ids[int(bad.argmax())]}: {name} is not a finite number; "
                "train the networks again or leave the patient out"
            )
    _ = table.records


def default_scales(table: CohortTable) -> tuple[tuple[Scale, ...], tuple[Scale, ...]]:
    """Scales of the HPV logits and of the expected days, from the table itself."""
    return out_of_fold_scales(table.deep_hpv, table.fold), out_of_fold_scales(table.deep_days, table.fold)


def standardised(table: CohortTable, hpv_scales: Sequence[Scale], days_scales: Sequence[Scale]) -> CohortTable:
    """The table with deep scores standardised network by network, so that folds can be pooled."""
    if not len(hpv_scales) == len(days_scales) == table.n_folds:
        raise TrainingError(f"{len(hpv_scales)} and {len(days_scales)} scales for {table.n_folds} folds")
    return replace(
        table,
        deep_hpv=_scaled(table.deep_hpv, table.fold, hpv_scales),
        deep_days=_scaled(table.deep_days, table.fold, days_scales),
    )


def _scaled(values: np.ndarray, fold: np.ndarray, scales: Sequence[Scale]) -> np.ndarray:
    means, sds = np.array([s.mean for s in scales]), np.array([s.sd for s in scales])
    return (values - means[fold]) / sds[fold]


def feature_table(table: CohortTable, encoder: ClinicalEncoder, rows: np.ndarray) -> pd.DataFrame:
    """Deep scores, clinical columns and radiomics of the given rows, in this order of columns."""
    deep = pd.DataFrame({DEEP_HPV: table.deep_hpv[rows], DEEP_DAYS: table.deep_days[rows]})
    clinical = pd.DataFrame([encoder.encode(table.records[i]) for i in rows], columns=list(encoder.columns))
    radiomics = table.radiomics.iloc[rows].astype(np.float64).reset_index(drop=True)
    return pd.concat([deep, clinical, radiomics], axis=1)
