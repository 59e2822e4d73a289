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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from lifelines.utils import concordance_index

from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import TrainingError
from mmpl.hpv.member import HpvMember
from mmpl.survival.cox import CoxMember
from mmpl.training.cohort_table import CohortTable, Scale, default_scales, feature_table, standardised
from mmpl.training.hpv_classifier import (
    ForestSettings,
    HpvConfig,
    balanced_accuracy,
    balanced_accuracy_threshold,
    fit_hpv_member,
)
from mmpl.training.rfs_model import RfsConfig, RfsFit, fit_rfs_member
from mmpl.training.selection import FieldTest, LassoChoice, univariate_auc


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
    settings: ForestSettings


@dataclass(frozen=True, eq=False)
class MemberStatistics:
    """The fitted parts of one ensemble member, which take raw deep scores, and what was chosen on the way.

    Attributes
    ----------
    settings : of the HPV forest
    lasso, tests : how the Cox model's radiomics and clinical variables were chosen
    """

    fold: int
    encoder: ClinicalEncoder
    hpv: HpvMember
    rfs: CoxMember
    settings: ForestSettings
    lasso: LassoChoice
    tests: Mapping[str, FieldTest]


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
    risk = out_of_fold_risks(standard, probability, hpv_folds, [fit.member for fit in cox])
    members = [
        MemberStatistics(
            f,
            hpv_folds[f].encoder,
            replace(hpv_folds[f].member, deep_mean=hpv_scales[f].mean, deep_sd=hpv_scales[f].sd),
            replace(cox[f].member, deep_mean=days_scales[f].mean, deep_sd=days_scales[f].sd),
            hpv_folds[f].settings,
            cox[f].lasso,
            cox[f].tests,
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


def fit_hpv_fold(table: CohortTable, fold: int, config: HpvConfig, seed: int) -> HpvFold:
    """Encoder and HPV member of one fold, from the rows of the others.

    Parameters
    ----------
    table : with standardised deep scores
    """
    training = np.flatnonzero(table.fold != fold)
    encoder = ClinicalEncoder.fit([table.records[i] for i in training])
    rows = feature_table(table, encoder, training)
    fit = fit_hpv_member(
        rows.drop(columns=DEEP_DAYS),
        table.hpv[training],
        clinical_columns=encoder.columns,
        deep_column=DEEP_HPV,
        config=config,
        seed=seed,
    )
    return HpvFold(encoder, fit.member, fit.settings)


def fit_rfs_fold(
    table: CohortTable,
    hpv_probability: np.ndarray,
    fold: int,
    encoder: ClinicalEncoder,
    config: RfsConfig,
    seed: int,
) -> RfsFit:
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
