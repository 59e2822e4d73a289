"""Everything that is fitted over the networks: encoders, HPV forests, Cox models, thresholds and cut points.

The input is an out-of-fold table: each patient's row carries the radiomics and deep scores of the networks
that did not train on that patient. For each fold f, in this order:

1. encoder and HPV member f are fitted on the rows of the other folds;
2. they give the HPV probabilities of fold f's rows;
3. Cox member f is fitted on the rows of the other folds, whose HPV probabilities came from their own folds'
   members.

So given the table (the HPV probabilities of step 2 included), no row of fold f changes anything that is
fitted for fold f. The table itself holds what sibling folds made of it: their networks and HPV members did
train on fold f.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from lifelines.utils import concordance_index

from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.clinical.fields import parse_record
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import ClinicalError, TrainingError
from mmpl.hpv.member import HpvMember
from mmpl.survival.cox import CoxMember
from mmpl.training.hpv_classifier import (
    HpvConfig,
    balanced_accuracy,
    balanced_accuracy_threshold,
    fit_hpv_member,
)
from mmpl.training.rfs_model import RfsConfig, fit_rfs_member
from mmpl.training.selection import univariate_auc

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scale:
    """Mean and sd of one network's deep score, over patients it did not train on."""

    mean: float = 0.0
    sd: float = 1.0


def out_of_fold_scales(values: np.ndarray, fold: np.ndarray) -> tuple[Scale, ...]:
    """One Scale a network: figures of its scores for its own fold, which need no label.

    A fold with fewer than two finite scores, or with equal ones, keeps an sd of 1.

    Parameters
    ----------
    values : raw out-of-fold scores, shape (n,)
    fold : fold index, shape (n,)
    """
    scales = []
    for f in range(int(np.max(fold)) + 1):
        own = np.asarray(values, dtype=float)[np.asarray(fold) == f]
        own = own[np.isfinite(own)]
        sd = float(own.std()) if len(own) > 1 else 0.0
        scales.append(Scale(float(own.mean()) if len(own) else 0.0, sd if sd > 1e-9 else 1.0))
    return tuple(scales)


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
                f"patient {table.patient_ids[int(bad.argmax())]}: {name} is {values[bad][0]:g}; "
                "give 0, 1 or nothing"
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


@dataclass(frozen=True)
class StatisticsConfig:
    """Settings of the HPV and RFS models."""

    hpv: HpvConfig = field(default_factory=HpvConfig)
    rfs: RfsConfig = field(default_factory=RfsConfig)


@dataclass(frozen=True, eq=False)
class HpvFold:
    """What step 1 fits for one fold; the member takes standardised deep logits."""

    encoder: ClinicalEncoder
    member: HpvMember


@dataclass(frozen=True, eq=False)
class MemberStatistics:
    """The fitted parts of one ensemble member; they take raw deep scores."""

    fold: int
    encoder: ClinicalEncoder
    hpv: HpvMember
    rfs: CoxMember


@dataclass(frozen=True, eq=False)
class EnsembleStatistics:
    """All members' fitted parts and what was pooled over their out-of-fold rows.

    Attributes
    ----------
    members : in the order of the splits, then of the folds
    hpv_threshold : HPV-positive from this probability on
    risk_tertiles : cut points of the out-of-fold risk, rising
    out_of_fold : one row a patient and split: split, patient_id, fold, hpv, hpv_probability, time_days,
        event, risk (higher = earlier relapse; NaN where the model does not give one)
    metrics : rows of split, fold ("pooled" too), n_hpv, auc, balanced_accuracy, n_rfs, events, c_index; NaN
        where a class or events are lacking. The balanced accuracy is at the threshold chosen on the same
        rows.
    """

    members: tuple[MemberStatistics, ...]
    hpv_threshold: float
    risk_tertiles: tuple[float, float]
    out_of_fold: pd.DataFrame
    metrics: pd.DataFrame

    @property
    def rfs_last_day(self) -> float:
        """Up to this day all members can tell."""
        return min(m.rfs.last_event_days for m in self.members)


def fit_ensemble(
    tables: Sequence[CohortTable],
    config: StatisticsConfig,
    seed: int,
    *,
    scales: Sequence[tuple[Sequence[Scale], Sequence[Scale]]] | None = None,
) -> EnsembleStatistics:
    """Fit every member of every split, and the pooled threshold and cut points.

    Parameters
    ----------
    tables : one out-of-fold table a split (the global folds; the centre-out folds)
    config, seed : member f of split s is seeded with ``seed + 1000 s + f``
    scales : for each split (scales of the HPV logits, scales of the expected days), one Scale a fold's
        network; None takes ``out_of_fold_scales``

    Raises
    ------
    TrainingError
        If a fold's training rows lack a class or events.
    """
    if not tables:
        raise TrainingError("no cohort table: give one a split")
    members, parts = [], []
    for split, table in enumerate(tables):
        hpv_scales, days_scales = scales[split] if scales is not None else default_scales(table)
        fitted, part = fit_split(table, hpv_scales, days_scales, config, seed + 1000 * split)
        part.insert(0, "split", split)
        members += fitted
        parts.append(part)
    pooled = pd.concat(parts, ignore_index=True)
    labelled = pooled[pooled["hpv"].notna()]
    threshold = balanced_accuracy_threshold(labelled["hpv_probability"], labelled["hpv"].to_numpy())
    low, high = np.quantile(pooled["risk"].dropna(), [1 / 3, 2 / 3])
    metrics = out_of_fold_metrics(pooled, threshold)
    return EnsembleStatistics(tuple(members), threshold, (float(low), float(high)), pooled, metrics)


def default_scales(table: CohortTable) -> tuple[tuple[Scale, ...], tuple[Scale, ...]]:
    """Scales of the HPV logits and of the expected days, from the table itself."""
    return out_of_fold_scales(table.deep_hpv, table.fold), out_of_fold_scales(table.deep_days, table.fold)


def fit_split(
    table: CohortTable,
    hpv_scales: Sequence[Scale],
    days_scales: Sequence[Scale],
    config: StatisticsConfig,
    seed: int,
) -> tuple[list[MemberStatistics], pd.DataFrame]:
    """Members of one split, and its out-of-fold rows (see ``EnsembleStatistics``)."""
    standard = standardised(table, hpv_scales, days_scales)
    folds = range(table.n_folds)
    hpv_folds = [fit_hpv_fold(standard, f, config.hpv, seed + f) for f in folds]
    probability = out_of_fold_probabilities(standard, hpv_folds)
    cox = [fit_rfs_fold(standard, probability, f, hpv_folds[f].encoder, config.rfs, seed + f) for f in folds]
    risk = out_of_fold_risks(standard, probability, hpv_folds, cox)
    members = [
        MemberStatistics(
            f,
            hpv_folds[f].encoder,
            replace(hpv_folds[f].member, deep_mean=hpv_scales[f].mean, deep_sd=hpv_scales[f].sd),
            replace(cox[f], deep_mean=days_scales[f].mean, deep_sd=days_scales[f].sd),
        )
        for f in folds
    ]
    columns = {
        "patient_id": table.patient_ids,
        "fold": table.fold,
        "hpv": table.hpv,
        "hpv_probability": probability,
        "time_days": table.time_days,
        "event": table.event,
        "risk": risk,
    }
    return members, pd.DataFrame(columns)


def standardised(
    table: CohortTable, hpv_scales: Sequence[Scale], days_scales: Sequence[Scale]
) -> CohortTable:
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


def fit_hpv_fold(table: CohortTable, fold: int, config: HpvConfig, seed: int) -> HpvFold:
    """Encoder and HPV member of one fold, from the rows of the others.

    Parameters
    ----------
    table : with standardised deep scores
    """
    training = np.flatnonzero(table.fold != fold)
    encoder = ClinicalEncoder.fit([table.records[i] for i in training])
    rows = feature_table(table, encoder, training)
    member = fit_hpv_member(
        rows.drop(columns=DEEP_DAYS),
        table.hpv[training],
        clinical_columns=encoder.columns,
        deep_column=DEEP_HPV,
        config=config,
        seed=seed,
    )
    return HpvFold(encoder, member)


def fit_rfs_fold(
    table: CohortTable,
    hpv_probability: np.ndarray,
    fold: int,
    encoder: ClinicalEncoder,
    config: RfsConfig,
    seed: int,
) -> CoxMember:
    """Cox member of one fold, from the rows of the others that have a follow-up.

    Parameters
    ----------
    table : with standardised deep scores
    hpv_probability : out-of-fold, shape (n,)
    encoder : the fold's
    """
    training = np.flatnonzero((table.fold != fold) & table.has_follow_up)
    rows = feature_table(table, encoder, training).assign(**{HPV_PROBABILITY: hpv_probability[training]})
    return fit_rfs_member(
        rows,
        table.time_days[training],
        table.event[training],
        clinical_fields=encoder.fields,
        radiomics_columns=list(table.radiomics.columns),
        deep_column=DEEP_DAYS,
        hpv_column=HPV_PROBABILITY,
        config=config,
        seed=seed,
    )


def feature_table(table: CohortTable, encoder: ClinicalEncoder, rows: np.ndarray) -> pd.DataFrame:
    """Deep scores, clinical columns and radiomics of the given rows, in this order of columns."""
    deep = pd.DataFrame({DEEP_HPV: table.deep_hpv[rows], DEEP_DAYS: table.deep_days[rows]})
    clinical = pd.DataFrame([encoder.encode(table.records[i]) for i in rows], columns=list(encoder.columns))
    radiomics = table.radiomics.iloc[rows].astype(np.float64).reset_index(drop=True)
    return pd.concat([deep, clinical, radiomics], axis=1)


def out_of_fold_probabilities(table: CohortTable, folds: Sequence[HpvFold]) -> np.ndarray:
    """HPV probability of every row from its own fold's member, shape (n,)."""
    probability = np.full(len(table.patient_ids), np.nan)
    for f, fitted in enumerate(folds):
        own = np.flatnonzero(table.fold == f)
        rows = feature_table(table, fitted.encoder, own).to_dict("records")
        probability[own] = [fitted.member.predict(row) for row in rows]
    return probability


def out_of_fold_risks(
    table: CohortTable, hpv_probability: np.ndarray, folds: Sequence[HpvFold], cox: Sequence[CoxMember]
) -> np.ndarray:
    """Risk of every row from its own fold's members, standardised by their training rows, shape (n,)."""
    risk = np.full(len(table.patient_ids), np.nan)
    for f, (fitted, member) in enumerate(zip(folds, cox, strict=True)):
        own = np.flatnonzero(table.fold == f)
        rows = feature_table(table, fitted.encoder, own).assign(**{HPV_PROBABILITY: hpv_probability[own]})
        risk[own] = [member.standardised_risk(row) for row in rows.to_dict("records")]
    return risk


def out_of_fold_metrics(pooled: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Figures by split and fold, and pooled over a split (see ``EnsembleStatistics``)."""
    rows = []
    for split, part in pooled.groupby("split"):
        rows += [_figures(split, str(fold), rest, threshold) for fold, rest in part.groupby("fold")]
        rows.append(_figures(split, "pooled", part, threshold))
    return pd.DataFrame(rows)


def _figures(split, fold: str, part: pd.DataFrame, threshold: float) -> dict:
    hpv = part[part["hpv"].notna()]
    labels, probability = hpv["hpv"].to_numpy(), hpv["hpv_probability"].to_numpy()
    both = len(np.unique(labels)) == 2
    rfs = part[part["time_days"].notna() & part["event"].notna()]
    return {
        "split": split,
        "fold": fold,
        "n_hpv": len(hpv),
        "auc": float(univariate_auc(hpv[["hpv_probability"]], labels)[0]) if both else np.nan,
        "balanced_accuracy": balanced_accuracy(probability >= threshold, labels) if both else np.nan,
        "n_rfs": len(rfs),
        "events": int(rfs["event"].sum()),
        "c_index": _c_index(rfs),
    }


def _c_index(rows: pd.DataFrame) -> float:
    """Harrell's, higher risk = earlier relapse; NaN where no pair can be compared."""
    try:
        return float(concordance_index(rows["time_days"], -rows["risk"], rows["event"]))
    except (ZeroDivisionError, ValueError):
        return float("nan")
