"""What lies in a folder that ``mmpl batch`` wrote, for whoever writes or reads it; light to import."""

from __future__ import annotations

import csv
from pathlib import Path

from mmpl.errors import InputError

MANIFEST, CASES = "batch.json", "cases.csv"
CASE_ID, STATUS, DONE = "case_id", "status", "done"


def done_cases(folder: Path) -> frozenset[str] | None:
    """The cases that a batch's table calls done; None when the folder is no batch.

    Other case folders may lie beside them: of a case that failed, or that the cohort no longer holds.

    Raises
    ------
    InputError
        If the batch has not ended, so that nobody knows yet which results are its own, or the table cannot be read.
    """
    path = Path(folder) / CASES
    if not (Path(folder) / MANIFEST).is_file():
        return None
    if not path.is_file():
        raise InputError(
            f"{folder}: this batch has not ended, it has no {CASES}: wait for it, or give the same mmpl batch command "
            "again"
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return frozenset(row[CASE_ID] for row in csv.DictReader(stream) if row[STATUS] == DONE)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(
            f"{path} is not the table that mmpl batch writes, with {CASE_ID} and {STATUS} a case: run the batch again"
        ) from error
