"""A synthetic cohort on disk in the layout of HECKTOR 2025.

::

    OUT/phantom.json                                   seed, version, what this is
    OUT/Task 1/PHA-0000/PHA-0000__CT.nii.gz            images and contours: once, in Task 1
    OUT/Task 1/PHA-0000/PHA-0000__PT.nii.gz
    OUT/Task 1/PHA-0000/PHA-0000.nii.gz                1 GTVp, 2 GTVn
    OUT/Task 1/HECKTOR_2025_Training_Task_1.csv        clinical record
    OUT/Task 2/HECKTOR_2025_Training_Task_2.csv        record, Relapse, RFS
    OUT/Task 3/HECKTOR_2025_Training_Task_3.csv        record, HPV Status

HECKTOR repeats the images in every task; here the IDs are shared between the tasks and Tasks 2 and 3 hold the
table alone, which saves two thirds of the disk.
"""

from __future__ import annotations

import csv
import os
from functools import partial
from pathlib import Path

from mmpl.phantom.cohort_folder import MANIFEST, CohortOrder, write_image, write_whole
from mmpl.phantom.factors import PatientFactors, draw_factors
from mmpl.phantom.patient import generate_patient
from mmpl.progress import Progress, silent

__all__ = ["MANIFEST", "write_cohort"]

RECORD_COLUMNS = (
    "Age",
    "Gender",
    "Tobacco Consumption",
    "Alcohol Consumption",
    "Performance Status",
    "Treatment",
    "M-stage",
)
DETAILS = {
    "layout": "HECKTOR 2025; images and contours in Task 1, whose patient IDs Tasks 2 and 3 share",
    "columns": {
        "RFS": "days",
        "Relapse": "1 relapse, 0 censored",
        "Gender": "1 male",
        "Treatment": "1 chemoradiotherapy",
    },
}
TARGET_COLUMNS = {1: (), 2: ("Relapse", "RFS"), 3: ("HPV Status",)}


def write_cohort(out: Path, cases: int, seed: int, *, progress: Progress = silent, workers: int = 1) -> tuple[str, ...]:
    """Write a synthetic cohort; the folder appears under its name only when it is complete.

    Work goes to ``<out>.partial`` beside it; a run that was stopped is taken up there, patient by patient.
    A finished phantom cohort at ``out`` is replaced, unless it is the one asked for: then nothing is done.

    Parameters
    ----------
    out : folder to write
    cases : number of patients, at least 1
    seed : 0 or more; patient k is the same in every cohort of this seed
    progress : told "phantom" and the fraction of patients written
    workers : processes; 1 stays in this one

    Returns
    -------
    tuple of patient IDs

    Raises
    ------
    InputError
        If ``cases`` or ``workers`` is not positive or the seed is negative.
    OutputError
        If ``out`` is a file or holds something else than a phantom cohort, or cannot be written.
    """
    order = CohortOrder(cases, seed, workers)
    factors = [draw_factors(seed, index) for index in range(cases)]
    finish = partial(_write_tables, factors)
    patients = tuple(f.patient_id for f in factors)
    images = [f"Task 1/{patient}/{name}" for patient in patients for name in _image_names(patient)]
    parts = [*images, *map(_table_place, TARGET_COLUMNS)]
    write_whole(out, order, DETAILS, parts, partial(_write_patient, seed), finish, progress)
    return patients


def _image_names(patient_id: str) -> tuple[str, str, str]:
    """CT, PET and label map."""
    return f"{patient_id}__CT.nii.gz", f"{patient_id}__PT.nii.gz", f"{patient_id}.nii.gz"


def _table_place(task: int) -> str:
    return f"Task {task}/HECKTOR_2025_Training_Task_{task}.csv"


def _write_patient(seed: int, index: int, cohort: Path) -> None:
    """One patient's three images; a folder of the final name is a complete one."""
    patient_id = draw_factors(seed, index).patient_id
    final = cohort / "Task 1" / patient_id
    if final.exists():
        return
    patient = generate_patient(seed, index)
    draft = final.with_name(f".{patient_id}")
    draft.mkdir(parents=True, exist_ok=True)
    for name, volume in zip(_image_names(patient_id), (patient.ct, patient.pet, patient.label_map), strict=True):
        write_image(draft / name, volume)
    os.replace(draft, final)


def _write_tables(factors: list[PatientFactors], folder: Path) -> None:
    for task in TARGET_COLUMNS:
        _write_table(folder, task, factors)


def _write_table(folder: Path, task: int, factors: list[PatientFactors]) -> None:
    path = folder / _table_place(task)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("PatientID", "CenterID", *RECORD_COLUMNS, *TARGET_COLUMNS[task]))
        writer.writerows(_table_row(f, task) for f in factors)


def _table_row(factors: PatientFactors, task: int) -> list[object]:
    """One row; a missing value is an empty cell."""
    targets = {"Relapse": factors.relapse, "RFS": round(factors.rfs_days), "HPV Status": factors.hpv_recorded}
    values = [*(factors.record[c] for c in RECORD_COLUMNS), *(targets[c] for c in TARGET_COLUMNS[task])]
    return [factors.patient_id, factors.center_id, *("" if v is None else v for v in values)]
