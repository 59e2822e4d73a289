"""A cohort in HECKTOR 2025's layout."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

from mmpl.errors import TrainingError

CLINICAL_COLUMNS = (
    "Age",
    "Gender",
    "Tobacco Consumption",
    "Alcohol Consumption",
    "Performance Status",
    "Treatment",
    "M-stage",
)
TASKS = (1, 2, 3)


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


def read_cohort(folder: Path) -> list[CohortCase]:
    """Find the patients of a HECKTOR 2025 folder, sorted by PatientID.

    Images are taken from the first task folder that holds them (IDs are shared between tasks); tables are merged.

    Raises
    ------
    TrainingError
        If the folder, the tables or an image is missing, a PatientID occurs twice in a table, or a target is not a
        number in range.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder; give the folder that holds 'Task 1', 'Task 2', 'Task 3'")
    records: dict[str, dict] = {}
    for task in TASKS:
        for row in _table(folder, task):
            record = records.setdefault(row["PatientID"], {})
            record.update({k: v for k, v in row.items() if v not in ("", None)})
    if not records:
        raise TrainingError(f"{folder}: no HECKTOR_2025_Training_Task_N.csv with patients found")
    return [_case(folder, patient_id, records[patient_id]) for patient_id in sorted(records)]


def _table(folder: Path, task: int) -> list[dict]:
    name = f"HECKTOR_2025_Training_Task_{task}.csv"
    found = [p for p in (folder / f"Task {task}" / name, folder / name) if p.is_file()]
    if not found:
        return []
    with found[0].open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if rows and "PatientID" not in rows[0]:
        raise TrainingError(f"{found[0]}: no column 'PatientID'; is the delimiter a comma?")
    seen: set[str] = set()
    for row in rows:
        if row["PatientID"] in seen:
            raise TrainingError(f"{found[0]}: PatientID '{row['PatientID']}' occurs twice")
        seen.add(row["PatientID"])
    return rows


def _case(folder: Path, patient_id: str, record: dict) -> CohortCase:
    homes = [folder / f"Task {task}" / patient_id for task in TASKS]
    home = next((h for h in homes if (h / f"{patient_id}__CT.nii.gz").is_file()), None)
    if home is None or not (home / f"{patient_id}__PT.nii.gz").is_file():
        raise TrainingError(
            f"{folder}: {patient_id} is in the tables but has no __CT and __PT image in any task folder"
        )
    label = next((h / f"{patient_id}.nii.gz" for h in homes if (h / f"{patient_id}.nii.gz").is_file()), None)
    relapse = _number(record, "Relapse", patient_id, allowed=(0, 1))
    rfs = _number(record, "RFS", patient_id)
    hpv = _number(record, "HPV Status", patient_id, allowed=(0, 1))
    return CohortCase(
        patient_id=patient_id,
        ct_path=home / f"{patient_id}__CT.nii.gz",
        pt_path=home / f"{patient_id}__PT.nii.gz",
        label_path=label,
        center_id=str(record.get("CenterID", "")),
        clinical={column: record.get(column) for column in CLINICAL_COLUMNS},
        relapse=None if relapse is None else int(relapse),
        rfs_days=rfs,
        hpv=None if hpv is None else int(hpv),
    )


def _number(record: dict, column: str, patient_id: str, allowed=None) -> float | None:
    text = record.get(column)
    if text is None or str(text).strip().lower() in ("", "nan", "na", "unknown"):
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise TrainingError(f"{patient_id}: {column} is '{text}', expected a number") from error
    if (allowed and value not in allowed) or value < 0 or not math.isfinite(value):
        raise TrainingError(f"{patient_id}: {column} is {text}, expected {allowed or 'a number >= 0'}")
    return value
