"""HPV and RFS: the deep score alone against all that the method adds to it, in every split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mmpl.metrics.classification import balanced_accuracy, roc_auc
from mmpl.metrics.survival import c_index
from mmpl.training.ablation.comparison import Comparison, compare
from mmpl.training.cohort_table import CohortTable, default_scales, standardised
from mmpl.training.ensemble_statistics import EnsembleStatistics
from mmpl.training.hpv_classifier import balanced_accuracy_threshold

DEEP, WITH_ALL, COX = "deep score alone", "deep + radiomics + clinical", "Cox integration"


def hpv_comparisons(
    names: Sequence[str], tables: Sequence[CohortTable], statistics: EnsembleStatistics
) -> list[Comparison]:
    """AUC and balanced accuracy of the standardised deep logit and of the forests, for each split.

    The deep score is cut as the forests are: at the threshold with the best balanced accuracy over all splits' rows.
    """
    splits = _splits(names, tables, statistics)
    deep, hpv = (np.concatenate(parts) for parts in zip(*(_known_deep(table) for _, table, _ in splits), strict=True))
    thresholds = (balanced_accuracy_threshold(deep, hpv), statistics.hpv_threshold)
    return [comparison for name, table, rows in splits for comparison in _hpv(name, table, rows, thresholds)]


def _known_deep(table: CohortTable) -> tuple[np.ndarray, np.ndarray]:
    """The deep score as a probability, which ranks as the logit does, and HPV status, where that is known."""
    known = np.isfinite(table.hpv)
    return 1 / (1 + np.exp(-table.deep_hpv[known])), table.hpv[known]


def _hpv(name: str, table: CohortTable, rows: pd.DataFrame, thresholds: tuple[float, float]) -> list[Comparison]:
    deep, hpv = _known_deep(table)
    truth = hpv == 1
    forest = rows["hpv_probability"].to_numpy()[np.isfinite(table.hpv)]
    arms = ((DEEP, deep, thresholds[0]), (WITH_ALL, forest, thresholds[1]))
    auc = [(arm, lambda i, p=p: roc_auc(truth[i], p[i])) for arm, p, _ in arms]
    accuracy = [(arm, lambda i, p=p, t=t: balanced_accuracy(truth[i], p[i], t)) for arm, p, t in arms]
    return [
        compare(f"HPV AUC, {name} split", len(truth), *auc),
        compare(f"HPV balanced accuracy, {name} split", len(truth), *accuracy),
    ]


def rfs_comparisons(
    names: Sequence[str], tables: Sequence[CohortTable], statistics: EnsembleStatistics
) -> list[Comparison]:
    """Harrell's C-index of the standardised expected days and of the Cox models, for each split."""
    return [_rfs(name, table, rows) for name, table, rows in _splits(names, tables, statistics)]


def _rfs(name: str, table: CohortTable, rows: pd.DataFrame) -> Comparison:
    known = table.has_follow_up
    time, event = table.time_days[known], table.event[known]
    deep, cox = -table.deep_days[known], rows["risk"].to_numpy()[known]  # longer expected = lower risk
    arms = [(arm, lambda i, r=r: c_index(time[i], event[i], r[i])) for arm, r in ((DEEP, deep), (COX, cox))]
    return compare(f"RFS C-index, {name} split", int(known.sum()), *arms)


def split_comparisons(names: Sequence[str], statistics: EnsembleStatistics) -> list[Comparison]:
    """The method between splits, on the same patients: what leaving a patient's centre out costs; none with one."""
    if len(names) < 2:
        return []
    left, right = (_rows(statistics, n) for n in (1, 0))  # centre-out, then patient-level
    truth, known = left["hpv"].to_numpy() == 1, left["hpv"].notna().to_numpy()
    followed = (left["time_days"].notna() & left["event"].notna()).to_numpy()
    time, event = left["time_days"].to_numpy()[followed], left["event"].to_numpy()[followed]
    labels = truth[known]
    auc, c = [], []
    for name, rows in ((names[1], left), (names[0], right)):
        probability, risk = rows["hpv_probability"].to_numpy()[known], rows["risk"].to_numpy()[followed]
        auc.append((f"{name} split", lambda i, p=probability: roc_auc(labels[i], p[i])))
        c.append((f"{name} split", lambda i, r=risk: c_index(time[i], event[i], r[i])))
    return [compare("HPV AUC", len(labels), *auc), compare("RFS C-index", len(time), *c)]


def _splits(names, tables, statistics: EnsembleStatistics):
    """(name, table with standardised deep scores, the split's out-of-fold rows) for each split."""
    return [
        (name, standardised(table, *default_scales(table)), _rows(statistics, n))
        for n, (name, table) in enumerate(zip(names, tables, strict=True))
    ]


def _rows(statistics: EnsembleStatistics, split: int) -> pd.DataFrame:
    rows = statistics.out_of_fold
    return rows[rows["split"] == split].reset_index(drop=True)
