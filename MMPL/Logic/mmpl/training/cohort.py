"""A cohort in HECKTOR 2025's layout."""

from __future__ import annotations

from pathlib import Path

from mmpl.training.layout import CLINICAL_COLUMNS, TASKS, CohortCase
from mmpl.training.scan import scan_cohort

__all__ = ["CLINICAL_COLUMNS", "TASKS", "CohortCase", "read_cohort"]


def read_cohort(folder: Path) -> list[CohortCase]:
    """Find the patients of a HECKTOR 2025 folder, sorted by PatientID; voxels are not read.

    Images are taken from the first task folder that holds both (IDs are shared between tasks); tables are merged.

    Raises
    ------
    TrainingError
        If :func:`mmpl.training.scan.scan_cohort` finds an error: the first one, and how many others there are.
    """
    scan = scan_cohort(folder, thorough=False)
    scan.require_usable()
    return list(scan.cases)
