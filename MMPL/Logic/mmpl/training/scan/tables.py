"""The cohort's tables, as rows of named values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.clinical.fields import NOT_FEATURES
from mmpl.training.layout import CENTER_ID, CLINICAL_COLUMNS, PATIENT_ID, TARGETS, TASKS, table_name, task_folder
from mmpl.training.scan.problems import ERROR, Problem

READ_COLUMNS = (PATIENT_ID, CENTER_ID, *CLINICAL_COLUMNS, *TARGETS)
KNOWN_COLUMNS = (*READ_COLUMNS, *(name for name in NOT_FEATURES if name not in READ_COLUMNS))
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
OTHER_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods")


@dataclass(frozen=True)
class Row:
    """One patient's row in one table.

    Attributes
    ----------
    patient_id : without spaces around it
    where : table and line, for people
    values : column -> text, without spaces around it; empty cells are left out
    """

    patient_id: str
    where: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Tables:
    """All rows, in the order of the tasks, and the columns that any table has."""

    rows: tuple[Row, ...] = ()
    columns: frozenset[str] = frozenset()


def read_tables(folder: Path) -> tuple[Tables, list[Problem]]:
    """Read every table that is there; what cannot be read is a problem, and the rest goes on."""
    rows, columns, problems = [], set(), []
    for task in TASKS:
        paths = _table_paths(folder, task)
        if not paths:
            problems += _other_tables(folder, task)
            continue
        wheres = [path.relative_to(folder).as_posix() for path in paths]
        problems += [_twice(task, wheres[0], other) for other in wheres[1:]]
        found, new = _read_table(paths[0], wheres[0])
        rows += found.rows
        columns |= found.columns
        problems += new
    tables = Tables(tuple(rows), frozenset(columns))
    return tables, problems + _missing(folder, tables, problems)


def squeezed(name: str) -> str:
    """A name without what people write in one way or another: case, spaces, underscores, hyphens."""
    return "".join(c for c in name.lower() if c not in " _-\t\u00a0")


def _table_paths(folder: Path, task: int) -> list[Path]:
    """Where a task's table is; the first is read."""
    name = table_name(task)
    return [p for p in (task_folder(folder, task) / name, folder / name) if p.is_file()]


def _twice(task: int, read: str, other: str) -> Problem:
    text = f"{read} is read, and {other} beside the tasks' folders is not"
    return Problem("TABLE_TWICE", "", f"task {task}", text, "remove the one that is out of date")


def _other_tables(folder: Path, task: int) -> list[Problem]:
    home = task_folder(folder, task)
    found = sorted(p.name for p in home.iterdir() if p.suffix.lower() in OTHER_TABLES) if home.is_dir() else []
    if not found:
        return []
    text = f"there is {found[0]} but no {table_name(task)}, so the table is not read"
    return [Problem("TABLE_OTHER_NAME", "", home.name, text, "save it under that name, as CSV UTF-8")]


def _missing(folder: Path, tables: Tables, problems: Sequence[Problem]) -> list[Problem]:
    if any(p.severity == ERROR for p in problems):  # they say why something is missing
        return []
    if not tables.rows:
        text = f"no {table_name('N')} with patients found"
        return [Problem("NO_TABLE", "", str(folder), text, "give the folder that holds 'Task 1', 'Task 2', 'Task 3'")]
    return [
        Problem("COLUMN_MISSING", "", "all tables", f"no table has a column '{name}'", _without(name))
        for name in READ_COLUMNS
        if name not in tables.columns
    ]


def _without(column: str) -> str:
    if column == CENTER_ID:
        return "add it, or folds cannot be balanced between centres"
    if column in TARGETS:
        return "add it, or nothing is known of it for any patient"
    return "add it, or it is Unknown for every patient"


def _read_table(path: Path, where: str) -> tuple[Tables, list[Problem]]:
    try:
        cells = _cells(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        return Tables(), [Problem("TABLE_UNREADABLE", "", where, "it is not UTF-8 text", "save it as CSV UTF-8")]
    except OSError as error:
        return Tables(), [
            Problem("TABLE_UNREADABLE", "", where, f"it cannot be read ({error})", "save it as CSV UTF-8")
        ]
    except csv.Error as error:
        remedy = "close the quotation mark in it or remove it, or save the table as CSV UTF-8"
        return Tables(), [Problem("TABLE_UNREADABLE", "", where, f"it cannot be read: {error}", remedy)]
    if not cells:
        return Tables(), [Problem("TABLE_UNREADABLE", "", where, "it is empty", "export it again")]
    names, problems = _header(cells[0][1], where)
    if any(p.severity == ERROR for p in problems):
        return Tables(), problems
    rows: list[Row] = []
    for number, line in cells[1:]:
        row, new = _row(names, line, f"{where}, line {number}", {r.patient_id for r in rows})
        problems += new
        rows += [] if row is None else [row]
    return Tables(tuple(rows), frozenset(n for n in names if n is not None)), problems


def _cells(text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its last line.

    Raises
    ------
    csv.Error
        With the line on which the row begins. An unclosed quotation mark would take in all rows that follow it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"the row that begins on line {begins} has no end or no separator ({error})") from error
    return rows


def _header(line: Sequence[str], where: str) -> tuple[list[str | None], list[Problem]]:
    """The columns' proper names; None for one that is not read."""
    proper = {squeezed(name): name for name in KNOWN_COLUMNS}
    names = [proper.get(squeezed(cell)) for cell in line]
    if PATIENT_ID not in names:
        return names, [_no_patient_id(line, where)]
    problems = []
    for cell, name in zip(line, names, strict=True):
        if name is None and cell.strip():
            problems.append(Problem("COLUMN_IGNORED", "", where, f"the column '{cell}' is not read", "nothing to do"))
        elif name is not None and cell != name:
            text = f"the column '{cell}' is read as '{name}'"
            problems.append(Problem("COLUMN_RENAMED", "", where, text, "write it so, if that is what it is"))
    for name in dict.fromkeys(n for n in names if n is not None and names.count(n) > 1):
        problems.append(Problem("COLUMN_TWICE", "", where, f"the column '{name}' is there twice", "remove one of them"))
    return names, problems


def _no_patient_id(line: Sequence[str], where: str) -> Problem:
    joined = ",".join(line)
    other = next((words for sign, words in OTHER_DELIMITERS.items() if sign in joined), None)
    text = f"no column '{PATIENT_ID}'"
    if other is None:
        return Problem(
            "TABLE_NO_PATIENT_ID", "", where, f"{text}; is the delimiter a comma?", "name the first column so"
        )
    text += f"; is the delimiter a comma? The header is separated by {other}"
    return Problem("TABLE_NO_PATIENT_ID", "", where, text, "export it with commas")


def _row(
    names: Sequence[str | None], line: Sequence[str], where: str, seen: set[str]
) -> tuple[Row | None, list[Problem]]:
    """One row, or None where it cannot be told whose or what it is."""
    by_name = {name: cell for name, cell in zip(names, line, strict=False) if name is not None}
    written = by_name.pop(PATIENT_ID, "")
    patient_id = written.strip()
    if len(line) > len(names):  # even by an empty cell: a decimal comma moves every value after it by one
        text = f"the row has {len(line)} cells, the header {len(names)}"
        return None, [
            Problem(
                "ROW_TOO_LONG",
                patient_id,
                where,
                text,
                "write decimals with a point, quote the cell, or remove a comma at the end",
            )
        ]
    if not patient_id:
        return None, [Problem("ROW_NO_PATIENT_ID", "", where, "the row names no patient", f"fill in {PATIENT_ID}")]
    if patient_id in seen:
        text = f"{PATIENT_ID} '{patient_id}' occurs twice in the table"
        return None, [Problem("ROW_TWICE", patient_id, where, text, "keep one row")]
    problems = []
    if len(line) < len(names):
        text = f"the row has {len(line)} cells, the header {len(names)}; the last columns are taken as Unknown"
        problems.append(Problem("ROW_TOO_SHORT", patient_id, where, text, "check it"))
    if patient_id != written:
        text = f"{PATIENT_ID} is written '{written}', with spaces around it, which are left out"
        problems.append(Problem("ID_SPACES", patient_id, where, text, "remove them"))
    if patient_id in (".", "..") or any(c in patient_id for c in '/\\:*?"<>|'):
        text = f"{PATIENT_ID} '{patient_id}' cannot be a folder's name"
        return None, [*problems, Problem("ID_IMPOSSIBLE", patient_id, where, text, "give another one")]
    return Row(patient_id, where, {n: c.strip() for n, c in by_name.items() if c.strip()}), problems
