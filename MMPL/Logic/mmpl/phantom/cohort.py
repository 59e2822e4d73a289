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
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from mmpl.errors import InputError, OutputError
from mmpl.geometry import Volume, image_from_volume
from mmpl.phantom.factors import PatientFactors, draw_factors
from mmpl.phantom.patient import generate_patient
from mmpl.progress import Progress, silent
from mmpl.version import __version__

MANIFEST = "phantom.json"
FORMAT = "mmpl-phantom-cohort"
RENDERING = 3  # raised whenever the same seed gives other voxels or other records
STATEMENT = "Synthetic patients drawn by a program. No person was scanned; not for training clinical models."
RECORD_COLUMNS = (
    "Age",
    "Gender",
    "Tobacco Consumption",
    "Alcohol Consumption",
    "Performance Status",
    "Treatment",
    "M-stage",
)
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
    if cases < 1 or workers < 1 or seed < 0:
        raise InputError(
            f"phantom cohort of {cases} cases, seed {seed}, {workers} workers: "
            "cases and workers must be at least 1, the seed 0 or more"
        )
    out = Path(out).resolve()
    manifest = _manifest(cases, seed)
    factors = [draw_factors(seed, index) for index in range(cases)]
    patient_ids = tuple(f.patient_id for f in factors)
    if _may_replace(out) and _read_manifest(out) == manifest:
        progress("phantom", 1.0)
        return patient_ids
    try:
        partial_out = _open_partial(out, manifest)
        _write_images(partial_out / "Task 1", cases, seed, progress, workers)
        for task in TARGET_COLUMNS:
            _write_table(partial_out, task, factors)
        if out.exists():
            shutil.rmtree(out)
        os.replace(partial_out, out)
    except OSError as error:
        raise OutputError(f"{out}: the phantom cohort cannot be written ({error}); check space and rights") from error
    return patient_ids


def _manifest(cases: int, seed: int) -> dict:
    return {
        "format": FORMAT,
        "statement": STATEMENT,
        "mmpl_version": __version__,
        "rendering": RENDERING,
        "seed": seed,
        "cases": cases,
        "layout": "HECKTOR 2025; images and contours in Task 1, whose patient IDs Tasks 2 and 3 share",
        "columns": {
            "RFS": "days",
            "Relapse": "1 relapse, 0 censored",
            "Gender": "1 male",
            "Treatment": "1 chemoradiotherapy",
        },
    }


def _read_manifest(folder: Path) -> dict | None:
    """The folder's manifest, or None if it is no phantom cohort."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def _may_replace(out: Path) -> bool:
    """True if something of ours lies at ``out``; False if nothing does.

    Raises
    ------
    OutputError
        If it is somebody else's.
    """
    if not out.exists():
        return False
    if not out.is_dir():
        raise OutputError(f"{out}: a file of this name exists; give a folder for the phantom cohort")
    if any(out.iterdir()) and _read_manifest(out) is None:
        raise OutputError(f"{out}: this folder is not empty and is no phantom cohort; give another folder")
    return True


def _open_partial(out: Path, manifest: dict) -> Path:
    """The work folder: that of a stopped run of the same cohort, else a fresh one."""
    folder = out.with_name(out.name + ".partial")
    if _may_replace(folder) and _read_manifest(folder) != manifest:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return folder


def _write_images(folder: Path, cases: int, seed: int, progress: Progress, workers: int) -> None:
    progress("phantom", 0.0)
    work = partial(_write_patient, folder, seed)
    if workers == 1:
        for index in range(cases):
            work(index)
            progress("phantom", (index + 1) / cases)
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for done, _ in enumerate(pool.map(work, range(cases), chunksize=1), start=1):
            progress("phantom", done / cases)


def _write_patient(folder: Path, seed: int, index: int) -> None:
    """One patient's three images; a folder of the final name is a complete one."""
    patient_id = draw_factors(seed, index).patient_id
    final = folder / patient_id
    if final.exists():
        return
    patient = generate_patient(seed, index)
    draft = folder / f".{patient_id}"
    draft.mkdir(parents=True, exist_ok=True)
    _write_image(draft / f"{patient_id}__CT.nii.gz", patient.ct)
    _write_image(draft / f"{patient_id}__PT.nii.gz", patient.pet)
    _write_image(draft / f"{patient_id}.nii.gz", patient.label_map)
    os.replace(draft, final)


def _write_image(path: Path, volume: Volume) -> None:
    try:
        sitk.WriteImage(image_from_volume(volume), str(path), useCompression=True, compressionLevel=1)
    except RuntimeError as error:
        raise OutputError(f"{path}: the image cannot be written; check space and rights") from error


def _write_table(folder: Path, task: int, factors: list[PatientFactors]) -> None:
    path = folder / f"Task {task}" / f"HECKTOR_2025_Training_Task_{task}.csv"
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
