"""Splits of the patients into folds: one global patient-level split, and one that leaves whole centres out.

All three stages of a member use the same split. A split is saved with the run and can be given to another one.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import TrainingError
from mmpl.io.output import write_text_atomic
from mmpl.training.errors import require
from mmpl.training.layout import CohortCase

PATIENT, CENTRE = "patient", "centre"
SPLITS = (PATIENT, CENTRE)
FOLDS = 5  # of either, where settings say nothing else
COLUMNS = ("PatientID", "Split", "Fold")


@dataclass(frozen=True)
class Split:
    """Which fold each patient belongs to.

    Attributes
    ----------
    name : "patient" or "centre"
    fold_of : patient_id -> fold, 0 .. folds - 1; fold f's networks never see the patients of fold f
    """

    name: str
    fold_of: Mapping[str, int]

    @property
    def folds(self) -> int:
        return max(self.fold_of.values()) + 1


def make_splits(names: Sequence[str], cases: Sequence[CohortCase], folds: int, seed: int) -> list[Split]:
    """The splits that are asked for, of all patients.

    Raises
    ------
    TrainingError
        If there are fewer patients, or for the centre split fewer centres, than folds.
    """
    require(len(cases) >= folds, f"{len(cases)} patients cannot fill {folds} folds: lower 'folds'")
    makers = {PATIENT: lambda: patient_folds(cases, folds, seed), CENTRE: lambda: centre_folds(cases, folds)}
    return [Split(name, makers[name]()) for name in names]


def patient_folds(cases: Sequence[CohortCase], folds: int, seed: int) -> dict[str, int]:
    """Fold index of each patient, balanced over centre, HPV status and relapse.

    Patients are shuffled, sorted into strata, and dealt out like cards, so every fold gets its share of each stratum
    (unknown targets are strata of their own).

    Returns
    -------
    dict from patient_id to fold, 0 .. folds - 1
    """
    order = np.random.default_rng(seed).permutation(len(cases))
    dealt = sorted((cases[i] for i in order), key=lambda c: (str(c.hpv), str(c.relapse), c.center_id))
    return {case.patient_id: position % folds for position, case in enumerate(dealt)}


def centre_folds(cases: Sequence[CohortCase], folds: int) -> dict[str, int]:
    """Fold index of each patient such that no centre lies in two folds, and folds are of like size.

    Centres are placed from the largest to the smallest, each where the fewest patients are yet: large centres stay
    alone, small ones are put together.

    Raises
    ------
    TrainingError
        If there are fewer centres than folds, or a patient's centre is not known.
    """
    unknown = [c.patient_id for c in cases if not c.center_id]
    require(
        not unknown,
        f"{len(unknown)} patients have no CenterID ({_a_few(unknown)}), which the centre split needs: fill it in, "
        "or set 'splits: [patient]'",
    )
    sizes = Counter(case.center_id for case in cases)
    require(
        len(sizes) >= folds,
        f"{len(sizes)} centres cannot fill {folds} folds: lower 'folds', or set 'splits: [patient]'",
    )
    fold_of_centre, filled = {}, [0] * folds
    for centre, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold = filled.index(min(filled))
        fold_of_centre[centre] = fold
        filled[fold] += size
    return {case.patient_id: fold_of_centre[case.center_id] for case in cases}


def check_centres(where: Path, splits: Sequence[Split], cases: Sequence[CohortCase], remedy: str) -> None:
    """A table may hold any folds; those of the centre split must still keep each known centre in one of them.

    Raises
    ------
    TrainingError
        If a centre lies in two folds of the centre split.
    """
    for split in splits:
        first: dict[str, CohortCase] = {}
        for case in (c for c in cases if split.name == CENTRE and c.center_id):
            other = first.setdefault(case.center_id, case)
            require(
                split.fold_of[case.patient_id] == split.fold_of[other.patient_id],
                f"{where}: {other.patient_id} and {case.patient_id} of centre '{case.center_id}' lie in two folds of "
                f"the split 'centre': {remedy}",
            )


def write_splits(path: Path, splits: Sequence[Split]) -> None:
    """Save splits as a table with the columns PatientID, Split and Fold."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows((patient, s.name, fold) for s in splits for patient, fold in sorted(s.fold_of.items()))
    write_text_atomic(path, text.getvalue())


def read_splits(path: Path, names: Sequence[str], patients: Sequence[str]) -> list[Split]:
    """The named splits of a saved table.

    Parameters
    ----------
    path : as :func:`write_splits` writes it; rows of other splits and of other patients are left out
    names : of the splits that are needed
    patients : that must each have a fold in every split

    Raises
    ------
    TrainingError
        If the file cannot be read, a patient lies in two folds of a split or in none, or a fold is empty.
    """
    rows = _rows(path)
    return [_read_split(path, name, [row for row in rows if row["Split"] == name], set(patients)) for name in names]


def _rows(path: Path) -> list[dict]:
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path}: the folds cannot be read ({error})") from error
    missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
    require(not missing, f"{path}: no column '{', '.join(missing)}'; folds are a table of PatientID,Split,Fold")
    return rows


def _read_split(path: Path, name: str, rows: Sequence[dict], patients: set[str]) -> Split:
    fold_of: dict[str, int] = {}
    for row in rows:
        patient, fold = row["PatientID"], _fold(path, row)
        if patient not in patients:
            continue
        require(patient not in fold_of, f"{path}: {patient} is listed twice in the split '{name}': keep one row")
        fold_of[patient] = fold
    missing = sorted(patients - set(fold_of))
    require(
        not missing,
        f"{path}: {len(missing)} of {len(patients)} patients have no fold in the split '{name}' ({_a_few(missing)}): "
        "give each a row there, or leave the split out of 'splits'",
    )
    found = sorted(set(fold_of.values()))
    require(
        len(found) > 1 and found == list(range(len(found))),
        f"{path}: the folds of the split '{name}' are {', '.join(map(str, found))}: number them 0, 1, ... without "
        "a gap, two or more",
    )
    return Split(name, fold_of)


def _fold(path: Path, row: Mapping[str, str]) -> int:
    text = (row["Fold"] or "").strip()
    require(text.isdecimal(), f"{path}: the fold of {row['PatientID']} is '{text}', expected 0, 1, ...")
    return int(text)


def _a_few(patients: Sequence[str], most: int = 3) -> str:
    return ", ".join([*patients[:most], *(["..."] if len(patients) > most else [])])
