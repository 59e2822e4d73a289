"""What can be wrong with a cohort, and how it is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

ERROR = "error"  # training cannot start
WARNING = "warning"  # training goes on; with --strict it does not
NOTE = "note"  # nothing to mend

SEVERITIES = {
    "NO_FOLDER": ERROR,
    "NO_TABLE": ERROR,
    "TABLE_OTHER_NAME": WARNING,
    "TABLE_TWICE": WARNING,
    "TABLE_UNREADABLE": ERROR,
    "TABLE_NO_PATIENT_ID": ERROR,
    "COLUMN_TWICE": ERROR,
    "COLUMN_RENAMED": WARNING,
    "COLUMN_MISSING": WARNING,
    "COLUMN_IGNORED": NOTE,
    "ROW_TOO_LONG": ERROR,
    "ROW_TOO_SHORT": WARNING,
    "ROW_NO_PATIENT_ID": ERROR,
    "ROW_TWICE": ERROR,
    "ID_SPACES": WARNING,
    "ID_IMPOSSIBLE": ERROR,
    "ID_DIFFERS": ERROR,
    "VALUE_IMPOSSIBLE": ERROR,
    "VALUE_DECIMAL_COMMA": ERROR,
    "VALUE_DATE": ERROR,
    "VALUE_UNLIKELY": WARNING,
    "VALUE_UNSEEN": WARNING,
    "TARGETS_CONFLICT": ERROR,
    "VALUES_CONFLICT": WARNING,
    "FOLLOW_UP_HALF": WARNING,
    "RFS_NOT_DAYS": WARNING,
    "NO_CENTRE_SPLIT": NOTE,
    "ROW_WITHOUT_FOLDER": ERROR,
    "FOLDER_WITHOUT_ROW": WARNING,
    "IMAGE_MISSING": ERROR,
    "LABEL_WITHOUT_IMAGE": ERROR,
    "LABEL_MISSING": NOTE,
    "IMAGES_TWICE": ERROR,
    "CT_TWICE": WARNING,
    "PET_TWICE": WARNING,
    "IMAGE_UNREADABLE": ERROR,
    "LABEL_UNREADABLE": ERROR,
    "IMAGES_APART": ERROR,
    "LABEL_APART": ERROR,
    "LABEL_OTHER_GRID": WARNING,
    "LABEL_VALUES": ERROR,
    "LABEL_EMPTY": WARNING,
    "LABEL_OUTSIDE_ROI": WARNING,
    "PET_NOT_SUV": ERROR,
    "IMAGE_UNUSUAL": WARNING,
}
SHOWN_OF_A_KIND = 5  # patients named; a cohort may have hundreds without contours


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    code : a key of ``SEVERITIES``
    patient_id : "" where it concerns the cohort
    where : file or folder, from the cohort's folder, and line of a table
    text : what is wrong there
    remedy : what to do
    """

    code: str
    patient_id: str
    where: str
    text: str
    remedy: str

    @property
    def severity(self) -> str:
        return SEVERITIES[self.code]

    @property
    def sentence(self) -> str:
        """What, where and what to do."""
        who = f"{self.patient_id}: " if self.patient_id else ""
        return f"{who}{self.text} ({self.where}); {self.remedy}"

    def to_dict(self) -> dict[str, str]:
        return {"severity": self.severity, **asdict(self)}


def counts_text(problems: Iterable[Problem]) -> str:
    """ "2 errors, 1 warning, 0 notes"."""
    of = defaultdict(int)
    for problem in problems:
        of[problem.severity] += 1
    return ", ".join(f"{of[s]} {s}{'' if of[s] == 1 else 's'}" for s in (ERROR, WARNING, NOTE))


def table_text(problems: Sequence[Problem]) -> str:
    """Aligned columns, errors first; notes of one kind share a line."""
    rows = [("level", "patient", "where", "problem")]
    for severity in (ERROR, WARNING):
        rows += [_row(p) for p in problems if p.severity == severity]
    notes = defaultdict(list)
    for p in problems:
        if p.severity == NOTE:
            notes[p.code].append(p)
    rows += [_row_of_notes(same) for same in notes.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    )


def _row(problem: Problem) -> tuple[str, str, str, str]:
    return problem.severity, problem.patient_id, problem.where, f"{problem.text}; {problem.remedy}"


def _row_of_notes(same: Sequence[Problem]) -> tuple[str, str, str, str]:
    if len(same) == 1:
        return _row(same[0])
    named = ", ".join(p.patient_id or p.where for p in same[:SHOWN_OF_A_KIND])
    more = f" and {len(same) - SHOWN_OF_A_KIND} more" if len(same) > SHOWN_OF_A_KIND else ""
    return NOTE, f"({len(same)})", "", f"{same[0].text}; {same[0].remedy}: {named}{more}"
