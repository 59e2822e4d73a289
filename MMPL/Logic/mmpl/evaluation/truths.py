"""What came true, from HECKTOR's tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmpl.clinical.fields import HPV_STATUS
from mmpl.errors import InputError
from mmpl.evaluation.tables import DAYS_MOST, PatientTable, Row, read_table

RELAPSE, RFS = "Relapse", "RFS"
SEGMENTATION_TASK, RFS_TASK, HPV_TASK = 1, 2, 3
TASKS = {"segmentation": SEGMENTATION_TASK, "rfs": RFS_TASK, "hpv": HPV_TASK}


@dataclass(frozen=True)
class FollowUp:
    """Relapse (1) or end of follow-up (0), and the day of it."""

    relapse: int
    rfs_days: float


@dataclass(frozen=True)
class HpvTruth:
    """HPV status by patient, 1 positive, None unknown; centers as in ``PatientTable.centers``."""

    path: Path
    status: dict[str, int | None]
    centers: dict[str, str | None] | None


@dataclass(frozen=True)
class RfsTruth:
    """Follow-up by patient, None unknown; who has one half of it only; centers as in ``PatientTable.centers``."""

    path: Path
    follow_up: dict[str, FollowUp | None]
    half_given: frozenset[str]
    centers: dict[str, str | None] | None


def read_hpv_truth(path: Path) -> HpvTruth:
    """HPV status from a table, or from a folder in HECKTOR's layout.

    Raises
    ------
    InputError
        See ``read_table``; if a status is neither positive nor negative nor unknown, or "-" beside "+".
    """
    table = read_table(_table_path(path, HPV_TASK), what="truth", required=(HPV_STATUS,))
    _check_signs(table)
    return HpvTruth(table.path, {row.patient_id: row.hpv_status() for row in table.rows}, table.centers())


def read_rfs_truth(path: Path) -> RfsTruth:
    """Relapse (0 or 1) and RFS (days) from a table, or from a folder in HECKTOR's layout.

    Raises
    ------
    InputError
        See ``read_table``; if a value is out of range.
    """
    table = read_table(_table_path(path, RFS_TASK), what="truth", required=(RELAPSE, RFS))
    halves = {row.patient_id: _halves(row) for row in table.rows}
    return RfsTruth(
        table.path,
        {p: None if None in pair else FollowUp(*pair) for p, pair in halves.items()},
        frozenset(p for p, (relapse, days) in halves.items() if (relapse is None) != (days is None)),
        table.centers(),
    )


def _check_signs(table: PatientTable) -> None:
    """Refuse "-" in a column that has "+": alone it says unknown as in every column, beside "+" it means negative."""
    of_sign = {row.cells[HPV_STATUS].strip(): row for row in reversed(table.rows)}
    if of_sign.keys() >= {"+", "-"}:
        raise InputError(
            f"{of_sign['-'].where}: {HPV_STATUS} is '-', which says unknown, in a column that has '+', too: write 0 or "
            "negative for each '-', or leave it empty where the status is unknown"
        )


def read_centers(path: Path) -> PatientTable:
    """A table with PatientID and CenterID."""
    return read_table(path, what="centers", required=("CenterID",))


def hecktor_table(folder: Path, task: int) -> Path | None:
    """The table of a task in a folder of HECKTOR's layout, or None."""
    return next(iter(_hecktor_tables(folder, task)), None)


def other_table_note(truth: Path, task: int) -> str | None:
    """What a reader must know where a folder holds two tables of a task; None where it does not."""
    tables = _hecktor_tables(Path(truth), task)
    return f"Of the truth's two tables {tables[0]} is read, {tables[1]} is not." if len(tables) > 1 else None


def _hecktor_tables(folder: Path, task: int) -> list[Path]:
    """The first is read, as in training."""
    name = f"HECKTOR_2025_Training_Task_{task}.csv"
    return [p for p in (folder / f"Task {task}" / name, folder / name) if p.is_file()]


def _table_path(path: Path, task: int) -> Path:
    path = Path(path)
    if not path.is_dir():
        return path
    found = hecktor_table(path, task)
    if found is None:
        raise InputError(f"truth {path}: no HECKTOR_2025_Training_Task_{task}.csv in this folder; give the CSV file")
    return found


def _halves(row: Row) -> tuple[int | None, float | None]:
    """Relapse and days, None where a cell is empty."""
    return row.status(RELAPSE), row.number(RFS, 0.0, DAYS_MOST, f"days from 0 to {DAYS_MOST:g}")
