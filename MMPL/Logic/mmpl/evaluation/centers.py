"""Figures by centre: a cohort's mean hides where a model fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmpl.evaluation.estimates import FEW_PATIENTS
from mmpl.evaluation.findings import FigureTable

NOT_RECORDED = "not recorded"
NOTE = f"Centres with fewer than {FEW_PATIENTS} patients have no interval; their figures may be chance."


def center_table(
    patient_ids: Sequence[str],
    centers: Mapping[str, str | None] | None,
    columns: Mapping[str, str],
    row_of: Callable[[np.ndarray], Mapping[str, object]],
) -> FigureTable:
    """A row a centre.

    Parameters
    ----------
    patient_ids : of the patients scored, in the order of their data
    centers : by patient; None when the truth says nothing of centres: then the table is empty and says so
    columns : heading by cell name, without the centre's
    row_of : from positions in ``patient_ids``, shape (k,), to the cells
    """
    columns = {"center": "Centre", **columns}
    if centers is None:
        note = "Not given: the truth has no column CenterID."
        return FigureTable("by_center", "By centre", columns, (), note)
    of = np.array([centers.get(p) or NOT_RECORDED for p in patient_ids])
    names = sorted(set(of.tolist()), key=lambda name: (name == NOT_RECORDED, not name.isdigit(), name.zfill(9)))
    rows = [{"center": name, **row_of(np.flatnonzero(of == name))} for name in names]
    return FigureTable("by_center", "By centre", columns, rows, NOTE)
