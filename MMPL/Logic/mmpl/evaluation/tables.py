"""Tables of patients from CSV files, checked cell by cell; every fault is one sentence with file and row."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.centers import tidy_centers
from mmpl.clinical.fields import HPV_STATUS, UNKNOWN_SPELLINGS
from mmpl.clinical.tumour import known_hpv
from mmpl.errors import ClinicalError, InputError

PATIENT_ID, CENTER_ID = "PatientID", "CenterID"
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MONTH = "jan|feb|fév|mar|mär|mrz|apr|avr|may|mai|jun|jui|jul|aug|aoû|sep|oct|okt|nov|dec|dez|déc"
DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}( .*)?"  # 2024-03-01, 1.3.2024
    rf"|\d{{1,4}}[-. ]+({MONTH})\w*\.?([-. ]+\d{{2,4}})?|({MONTH})\w*[-. ]+\d{{1,4}}",  # 1-Mar-24, Mar-24
    re.IGNORECASE,
)
DAYS_MOST = 36525.0  # a hundred years; what Excel stores for a date of this century is more


@dataclass(frozen=True)
class Row:
    """One patient's cells as text, with where they stand."""

    path: Path
    line: int
    patient_id: str
    cells: dict[str, str]

    def text(self, column: str) -> str | None:
        """A cell; None when it is empty or says unknown."""
        value = self.cells.get(column, "").strip()
        return None if value.lower() in UNKNOWN_SPELLINGS else value

    def number(self, column: str, low: float, high: float, expected: str) -> float | None:
        """A cell as a finite number in [low, high]; None when it is empty or says unknown.

        Raises
        ------
        InputError
            If it is none, with what was probably meant.
        """
        text = self.text(column)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{self.where}: {column} is '{text}', {_no_number(text, expected)}") from None
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"{self.where}: {column} is {text}, expected {expected}")
        return value

    def status(self, column: str) -> int | None:
        """A cell as 0 or 1; None when it is empty or says unknown."""
        value = self.number(column, 0, 1, "0 or 1")
        if value not in (None, 0.0, 1.0):
            raise InputError(f"{self.where}: {column} is {self.text(column)}, expected 0 or 1")
        return None if value is None else int(value)

    def hpv_status(self) -> int | None:
        """1 positive, 0 negative, None unknown; the spellings of the clinical record are understood."""
        try:
            status = known_hpv({HPV_STATUS: self.cells.get(HPV_STATUS)})
        except ClinicalError as error:
            raise InputError(f"{self.where}: {error}") from None
        return None if status is None else int(status == "positive")

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.line} ({self.patient_id})"


@dataclass(frozen=True)
class PatientTable:
    """A CSV file with a row a patient."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def centers(self) -> dict[str, str | None] | None:
        """Center by patient, None where its cell is empty; None when there is no such column."""
        if CENTER_ID not in self.columns:
            return None
        return tidy_centers({row.patient_id: row.text(CENTER_ID) for row in self.rows})


def read_table(path: Path, *, what: str, required: Sequence[str]) -> PatientTable:
    """Read a comma-separated table in UTF-8 whose first line names its columns.

    Parameters
    ----------
    path : CSV file
    what : what it holds, for messages
    required : columns it must have besides PatientID; others are kept

    Raises
    ------
    InputError
        If it is missing, empty, no CSV, separated by another sign, or lacks a column; if a row has more or fewer
        cells than the header, or a PatientID is empty or occurs twice.
    """
    path = Path(path)
    lines = _csv_lines(path, _text(path, what), what)
    (_, header), body = lines[0], lines[1:]
    columns = tuple(name.strip() for name in header)
    _check_columns(path, what, columns, (PATIENT_ID, *required))
    rows = tuple(_row(path, line, columns, cells) for line, cells in body)
    if not rows:
        raise InputError(f"{what} {path} names its columns but holds no patient")
    _check_unique(path, what, rows)
    return PatientTable(path, columns, rows)


def _text(path: Path, what: str) -> str:
    if not path.exists():
        raise InputError(f"{what} {path} does not exist: check the path")
    if path.is_dir():
        raise InputError(f"{what} {path} is a folder: give a CSV file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror}") from error
    if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise InputError(f"{what} {path} is an Excel workbook: save it as CSV (UTF-8, separated by commas)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{what} {path} is not UTF-8 text: save it as CSV (UTF-8, separated by commas)")
    if not text.strip():
        raise InputError(f"{what} {path} is empty: it needs a line of column names and a line a patient")
    return text


def _csv_lines(path: Path, text: str, what: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"{what} {path}, line {reader.line_num}: not valid CSV ({error}); save it again") from error


def _check_columns(path: Path, what: str, columns: tuple[str, ...], required: Sequence[str]) -> None:
    if len(columns) == 1:
        for sign, name in OTHER_DELIMITERS.items():
            if sign in columns[0]:
                raise InputError(
                    f"{what} {path} is separated by {name}: save it with commas between columns and decimal points"
                )
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise InputError(f"{what} {path} has two columns named '{twice[0]}': keep one")
    missing = [name for name in required if name not in columns]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        raise InputError(f"{what} {path} has no column {names}; its columns are {_listed(columns)}")


def _row(path: Path, line: int, columns: tuple[str, ...], cells: list[str]) -> Row:
    if len(cells) != len(columns):
        raise InputError(
            f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns; quote text that holds commas, "
            "and write decimals with a point"
        )
    named = dict(zip(columns, cells, strict=True))
    patient_id = named[PATIENT_ID].strip()
    if not patient_id:
        raise InputError(f"{path}, line {line}: PatientID is empty; name the patient or delete the line")
    return Row(path, line, patient_id, named)


def _check_unique(path: Path, what: str, rows: Sequence[Row]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if row.patient_id in first:
            raise InputError(
                f"{what} {path}: PatientID '{row.patient_id}' occurs twice (lines {first[row.patient_id]} and "
                f"{row.line}); keep one line a patient"
            )
        first[row.patient_id] = row.line


def _no_number(text: str, expected: str) -> str:
    if re.fullmatch(r"[+-]?[\d.]*,\d+", text):
        return f"with a comma: write decimals with a point; expected {expected}"
    if DATE.fullmatch(text):
        return f"a date (spreadsheets turn numbers into dates: format the column as a number); expected {expected}"
    return f"expected {expected}"


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
