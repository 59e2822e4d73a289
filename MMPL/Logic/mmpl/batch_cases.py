"""The cases of a batch: a cohort in HECKTOR 2025's layout, or a folder of folders with a CT and a PET each.

What is wrong with one case is kept with it, to be told in the table: the others go on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmpl.batch_folder import MANIFEST
from mmpl.clinical.fields import HPV_STATUS, PRIMARY_SITE
from mmpl.errors import InputError
from mmpl.file_names import can_be_spelt, is_left_by_file_manager, spelt
from mmpl.io.ehr import read_ehr
from mmpl.io.images import IMAGE_SUFFIXES, is_dicom_file
from mmpl.training.layout import CLINICAL_COLUMNS, TASKS, task_folder
from mmpl.training.scan.folders import find_files, name_problems, patient_folders
from mmpl.training.scan.problems import ERROR
from mmpl.training.scan.tables import Row, read_tables
from mmpl.training.scan.values import merged

log = logging.getLogger(__name__)

CT_WORDS, PET_WORDS = {"ct"}, {"pt", "pet"}
RECORDED = (*CLINICAL_COLUMNS, PRIMARY_SITE, HPV_STATUS)
OTHER_WORDS = {"mask", "label", "labels", "seg", "segmentation", "contour", "contours", "planning", "dose", "rtdose"}
RECORD = "ehr.json"
LEFT_OUT = ("TABLE_OTHER_NAME", "TABLE_TWICE", "ROW_TOO_SHORT")  # values that may be there and are not read
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
    besides : a folder that is no case: where results go, should that be inside ``data``; nor is a folder with the
        results of another batch

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
        cases = _folder_cases(data, None if besides is None else Path(besides).resolve())
    if not cases:
        raise InputError(f"{data}: no case found; give a cohort in HECKTOR 2025's layout, or a folder a case: {NAMES}")
    return cases


def _hecktor_cases(data: Path) -> list[BatchCase]:
    """Patients of the tables and of the task folders; whoever is in no table has an unknown record."""
    tables, problems = read_tables(data)
    lacking = not set(CLINICAL_COLUMNS) <= set(tables.columns)
    for problem in problems:
        if problem.code in LEFT_OUT or (lacking and problem.code == "COLUMN_IGNORED"):
            log.warning("warning: %s", problem.sentence)
    errors = [p for p in problems if p.severity == ERROR and p.code != "NO_TABLE"]
    if of_tables := [p for p in errors if not p.patient_id]:
        raise InputError(of_tables[0].sentence)
    rows: dict[str, list[Row]] = {}
    for row in tables.rows:
        rows.setdefault(row.patient_id, []).append(row)
    homes = patient_folders(data)
    alike = [p for p in name_problems({*rows, *homes}, homes, data) if p.code == "ID_DIFFERS"]
    faults = {p.patient_id: p.sentence for p in reversed([*errors, *alike])}
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
    record, conflicts = merged(rows) if rows else ({}, [])
    if of_record := [p for p in conflicts if p.text.startswith(tuple(f"{column} is " for column in RECORDED))]:
        return BatchCase(name, fault=f"{name}: {of_record[0].text} ({of_record[0].where}); correct one of them")
    return BatchCase(name, files.ct, files.pt, {c: record.get(c) for c in RECORDED})


def _folder_cases(data: Path, besides: Path | None) -> list[BatchCase]:
    """A folder a case; where a folder cannot be looked into, that is its own fault."""
    cases = []
    for folder in sorted(data.iterdir()):
        if folder.name.startswith(".") or folder.resolve() == besides or is_left_by_file_manager(Path(folder.name)):
            continue
        if not can_be_spelt(folder.name):
            name = spelt(folder.name)
            cases.append(BatchCase(name, fault=f"{name}: the name is not valid UTF-8; rename the folder"))
            continue
        try:
            if not folder.is_dir() or (folder / MANIFEST).is_file():
                continue
            case = _folder_case(folder)
        except OSError as error:
            why = f"{error.filename or folder} cannot be read ({error.strerror})"
            case = BatchCase(folder.name, fault=f"{folder.name}: {why}; make it readable, or move it away")
        around_results = besides is not None and folder.resolve() in besides.parents
        if not (around_results and case.fault):
            cases.append(case)
    return cases


def _folder_case(folder: Path) -> BatchCase:
    files = sorted(folder.iterdir())
    images = [p for p in files if not p.name.startswith(".") and _is_image(p)]
    found = {"CT": _named(images, CT_WORDS), "PET": _named(images, PET_WORDS)}
    record = next((p for p in files if p.name.lower() == RECORD and p.is_file()), None)
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
