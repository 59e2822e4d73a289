"""A cohort, looked at in whole: tables, folders, images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.centers import tidy_centers
from mmpl.errors import TrainingError
from mmpl.progress import Progress, silent
from mmpl.training.layout import CENTER_ID, CLINICAL_COLUMNS, HPV_STATUS, RELAPSE, RFS, CohortCase
from mmpl.training.parallel import each
from mmpl.training.scan.folders import copies, find_files, name_problems, patient_folders
from mmpl.training.scan.images import ImageCheck
from mmpl.training.scan.problems import ERROR, NOTE, SHOWN_OF_A_KIND, WARNING, Problem, counts_text, table_text
from mmpl.training.scan.tables import Row, read_tables
from mmpl.training.scan.values import cohort_problems, merged, number_of, value_problems


@dataclass(frozen=True)
class Scan:
    """What was found.

    Attributes
    ----------
    folder : of the cohort
    thorough : whether voxels were read
    patients : number of patients in the tables
    problems : all of them; of one severity in the order tables, folders, images
    cases : the patients without an error, sorted by PatientID; to be trained on if there are no errors at all
    """

    folder: Path
    thorough: bool
    patients: int
    problems: tuple[Problem, ...]
    cases: tuple[CohortCase, ...]

    def of(self, severity: str) -> list[Problem]:
        return [p for p in self.problems if p.severity == severity]

    def require_usable(self, *, strict: bool = False) -> None:
        """Go on only if nothing is wrong.

        Raises
        ------
        TrainingError
            If there are errors, or with ``strict`` warnings: the first, and the number of others.
        """
        found = self.of(ERROR) + (self.of(WARNING) if strict else [])
        if found:
            raise TrainingError(found[0].sentence + _others(len(found) - 1, self.folder))

    def warnings(self) -> list[str]:
        """A sentence for each warning; of many patients with one kind the first few and the number of the others."""
        kinds: dict[str, list[Problem]] = defaultdict(list)
        for problem in self.of(WARNING):
            kinds[problem.code if problem.patient_id else problem.sentence].append(problem)
        lines = []
        for same in kinds.values():
            lines += [problem.sentence for problem in same[:SHOWN_OF_A_KIND]]
            if len(same) > SHOWN_OF_A_KIND:
                more = f"{len(same) - SHOWN_OF_A_KIND} more of this kind"
                lines.append(f"{more}: 'mmpl scan --data {self.folder} --quick' lists them")
        return lines

    def text(self) -> str:
        """A table and a line of counts, for a terminal."""
        depth = "" if self.thorough else "; only headers of images were read"
        patients = f"{self.patients} patient{'' if self.patients == 1 else 's'}"
        counts = f"{self.folder}: {patients}; {counts_text(self.problems)}{depth}"
        return f"{table_text(self.problems)}\n{counts}" if self.problems else counts

    def to_dict(self) -> dict:
        """As JSON."""
        return {
            "folder": str(self.folder),
            "thorough": self.thorough,
            "patients": self.patients,
            "usable": [case.patient_id for case in self.cases],
            "counts": {severity: len(self.of(severity)) for severity in (ERROR, WARNING, NOTE)},
            "problems": [p.to_dict() for p in self.problems],
        }


def scan_cohort(folder: Path, *, thorough: bool, workers: int = 1, progress: Progress = silent) -> Scan:
    """Find everything that stands in the way of training on a cohort in HECKTOR 2025's layout.

    Parameters
    ----------
    folder : holds 'Task 1', 'Task 2', 'Task 3'
    thorough : read all voxels and prepare every case, too: seconds a patient; without, only tables, files and headers
    workers : processes that share the reading of images
    """
    folder = Path(folder)
    if not folder.is_dir():
        text, remedy = "no such folder", "give the folder that holds 'Task 1', 'Task 2', 'Task 3'"
        return Scan(folder, thorough, 0, (Problem("NO_FOLDER", "", str(folder), text, remedy),), ())
    tables, problems = read_tables(folder)
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in tables.rows:
        problems += value_problems(row)
        rows[row.patient_id].append(row)
    records = {}
    for patient_id in sorted(rows):
        records[patient_id], conflicts = merged(rows[patient_id])
        problems += conflicts
    problems += cohort_problems(records)
    homes = patient_folders(folder)
    problems += name_problems(records, homes, folder) if records else []
    cases, missing = _cases(records, homes, folder)
    problems += missing + _image_problems(cases, folder, thorough, workers, progress)
    unusable = {p.patient_id for p in problems if p.severity == ERROR}
    usable = tuple(case for case in cases if case.patient_id not in unusable)
    return Scan(folder, thorough, len(records), tuple(problems), usable)


def _cases(
    records: Mapping[str, Mapping[str, str]], homes: Mapping[str, Sequence[Path]], folder: Path
) -> tuple[list[CohortCase], list[Problem]]:
    cases, problems = [], []
    centers = tidy_centers({patient_id: record.get(CENTER_ID) for patient_id, record in records.items()})
    for patient_id, record in records.items():
        if patient_id not in homes:
            continue
        files, found = find_files(patient_id, homes[patient_id], folder)
        problems += found
        if files is not None:
            cases.append(_case(patient_id, centers[patient_id] or "", record, files))
    return cases, problems


def _case(patient_id: str, center_id: str, record: Mapping[str, str], files) -> CohortCase:
    relapse, hpv = number_of(record.get(RELAPSE)), number_of(record.get(HPV_STATUS))
    return CohortCase(
        patient_id=patient_id,
        ct_path=files.ct,
        pt_path=files.pt,
        label_path=files.label,
        center_id=center_id,
        clinical={column: record.get(column) for column in CLINICAL_COLUMNS},
        relapse=None if relapse is None else int(relapse),
        rfs_days=number_of(record.get(RFS)),
        hpv=None if hpv is None else int(hpv),
    )


def _image_problems(
    cases: Sequence[CohortCase], folder: Path, thorough: bool, workers: int, progress: Progress
) -> list[Problem]:
    checks = [ImageCheck(case, folder) for case in cases]
    if thorough:
        found = each(ImageCheck.in_full, checks, workers=workers, progress=progress, step="reading images")
    else:
        found = [one.headers() for one in checks]
    problems = [problem for of_one in found for problem in of_one]
    unreadable = {p.patient_id for p in problems if p.code == "IMAGE_UNREADABLE"}
    return problems + copies([case for case in cases if case.patient_id not in unreadable], folder)


def _others(count: int, folder: Path) -> str:
    if not count:
        return ""
    return f" (and {count} more problem{'' if count == 1 else 's'}: 'mmpl scan --data {folder}' lists them)"
