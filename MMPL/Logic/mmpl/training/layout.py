"""Where things lie in a cohort of HECKTOR 2025's layout, and what is known of one of its patients."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

TASKS = (1, 2, 3)
PATIENT_ID, CENTER_ID = "PatientID", "CenterID"
RELAPSE, RFS, HPV_STATUS = "Relapse", "RFS", "HPV Status"
TARGETS = (RELAPSE, RFS, HPV_STATUS)
CLINICAL_COLUMNS = (
    "Age",
    "Gender",
    "Tobacco Consumption",
    "Alcohol Consumption",
    "Performance Status",
    "Treatment",
    "M-stage",
)


@dataclass(frozen=True)
class CohortCase:
    """One patient: files and what the tables say; None is unknown.

    ``relapse``/``rfs_days`` and ``hpv`` are the targets; ``clinical`` holds raw values.
    """

    patient_id: str
    ct_path: Path
    pt_path: Path
    label_path: Path | None
    center_id: str
    clinical: dict = field(default_factory=dict)
    relapse: int | None = None
    rfs_days: float | None = None
    hpv: int | None = None


def task_folder(folder: Path, task: int) -> Path:
    return folder / f"Task {task}"


def table_name(task: int | str) -> str:
    return f"HECKTOR_2025_Training_Task_{task}.csv"


def ct_name(patient_id: str) -> str:
    return f"{patient_id}__CT.nii.gz"


def pt_name(patient_id: str) -> str:
    return f"{patient_id}__PT.nii.gz"


def label_name(patient_id: str) -> str:
    return f"{patient_id}.nii.gz"
