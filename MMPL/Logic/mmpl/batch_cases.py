"""The cases of a batch: a cohort in HECKTOR 2025's layout, or a folder of folders with a CT and a PET each.

What is wrong with one case is kept with it, to be told in the table: the others go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmpl.clinical.fields import HPV_STATUS
from mmpl.errors import InputError
from mmpl.io.ehr import read_ehr
from mmpl.io.images import IMAGE_SUFFIXES, is_dicom_file
from mmpl.training.layout import CLINICAL_COLUMNS, TASKS, task_folder
from mmpl.training.scan.folders import find_files, patient_folders
from mmpl.training.scan.problems import ERROR
from mmpl.training.scan.tables import Row, read_tables
from mmpl.training.scan.values import merged

CT_WORDS, PET_WORDS = {"ct"}, {"pt", "pet"}
OTHER_WORDS = {"mask", "label", "labels", "seg", "segmentation", "contour", "contours", "planning", "dose", "rtdose"}
RECORD = "ehr.json"
NAMES = "one CT ('ct.nii.gz', 'NAME__CT.nii.gz', 'CT/' of DICOM, ...) and one PET ('pt' or 'pet' in place of 'ct')"


@dataclass(frozen=True)
class BatchCase:
    """One case as it was found.

    Attributes
    ----------
    case_id : name of its folder, here and in the output
    ct, pt : image files or DICOM folders; None where ``fault`` says why
    record : clinical values by name, from a table
    ehr : file of a clinical record, or None
    fault : why it cannot be run; empty when it can
    """

    case_id: str
    ct: Path | None = None
    pt: Path | None = None
    record: Mapping[str, object] = field(default_factory=dict)
    ehr: Path | None = None
    fault: str = ""

    def clinical(self) -> dict[str, object]:
        """The clinical record; its values are not checked.

        Raises
        ------
        InputError
            If the file of the record cannot be used.
        """
        return {**self.record, **(read_ehr(self.ehr) if self.ehr else {})}


def find_cases(data: Path, *, besides: Path | None = None) -> list[BatchCase]:
    """All cases of a folder, sorted by name; voxels are not read.

    Parameters
    ----------
    data : holds 'Task 1', 'Task 2', 'Task 3', or one folder a case; tables, label maps and targets may be missing
    besides : a folder that is no case: where results go, should that be inside ``data``

    Raises
    ------
    InputError
        If the folder, or any case in it, is missing, or a table cannot be read.
    """
    data = Path(data)
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give the folder of a cohort")
    if any(task_folder(data, task).is_dir() for task in TASKS):
        cases = _hecktor_cases(data)
    else:
        folders = [p for p in sorted(data.iterdir()) if p.is_dir() and not p.name.startswith(".")]
        cases = [_folder_case(p) for p in folders if besides is None or p.resolve() != Path(besides).resolve()]
    if not cases:
        raise InputError(f"{data}: no case found; give a cohort in HECKTOR 2025's layout, or a folder a case: {NAMES}")
    return cases


def _hecktor_cases(data: Path) -> list[BatchCase]:
    """Patients of the tables and of the task folders; whoever is in no table has an unknown record."""
    tables, problems = read_tables(data)
    errors = [p for p in problems if p.severity == ERROR and p.code != "NO_TABLE"]
    if of_tables := [p for p in errors if not p.patient_id]:
        raise InputError(of_tables[0].sentence)
    faults = {p.patient_id: p.sentence for p in reversed(errors)}
    rows: dict[str, list[Row]] = {}
    for row in tables.rows:
        rows.setdefault(row.patient_id, []).append(row)
    homes = patient_folders(data)
    names = sorted({*rows, *homes, *faults})
    return [_hecktor_case(n, rows.get(n, []), homes.get(n, []), faults.get(n, ""), data) for n in names]


def _hecktor_case(name: str, rows: Sequence[Row], homes: Sequence[Path], fault: str, data: Path) -> BatchCase:
    if not homes:
        fault = fault or f"{name}: is in the tables but has no folder in any task folder; add the images"
    if fault:
        return BatchCase(name, fault=fault)
    files, problems = find_files(name, homes, data)
    if files is None:
        return BatchCase(name, fault=problems[0].sentence)
    record, _ = merged(rows) if rows else ({}, [])
    return BatchCase(name, files.ct, files.pt, {c: record.get(c) for c in (*CLINICAL_COLUMNS, HPV_STATUS)})


def _folder_case(folder: Path) -> BatchCase:
    images = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and _is_image(p)]
    found = {"CT": _named(images, CT_WORDS), "PET": _named(images, PET_WORDS)}
    ehr = folder / RECORD
    record = ehr if ehr.is_file() else None
    if not any(found.values()) and any(is_dicom_file(p) for p in folder.rglob("*")):
        return BatchCase(folder.name, folder, folder, ehr=record)  # the headers say which is which
    for what, paths in found.items():
        if len(paths) != 1:
            there = ", ".join(p.name for p in paths) or "none"
            fault = f"{folder.name}: which image is the {what}? Found {there}; give {NAMES}"
            return BatchCase(folder.name, fault=fault)
    return BatchCase(folder.name, found["CT"][0], found["PET"][0], ehr=record)


def _is_image(path: Path) -> bool:
    return path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES)


def _named(images: Sequence[Path], words: set[str]) -> list[Path]:
    """Those that have one of the words in their name, and no word of another kind of image."""
    others = (CT_WORDS | PET_WORDS | OTHER_WORDS) - words
    return [p for p in images if words & _words(p) and not others & _words(p)]


def _words(path: Path) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", path.name.lower()))
