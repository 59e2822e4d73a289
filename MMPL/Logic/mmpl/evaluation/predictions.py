"""HPV probabilities and relapse risks, from a CSV file or from the results.json files of MMPL."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from mmpl.batch_folder import done_cases
from mmpl.errors import InputError, OutputError
from mmpl.evaluation.follow_up import YEAR_DAYS
from mmpl.evaluation.tables import DAYS_MOST, PatientTable, Row, read_table
from mmpl.report.validate import validate_results

PROBABILITY, RISK, RISK_GROUP = "hpv_probability", "risk", "risk_group"
SURVIVAL_COLUMN = re.compile(r"survival_(\d+(?:\.\d+)?)")
RESULTS = "results.json"
RISING = 1e-9


@dataclass(frozen=True)
class HpvPrediction:
    """A probability, or None where none is given; the threshold that came with it, if any."""

    probability: float | None
    threshold: float | None = None


@dataclass(frozen=True)
class RfsPrediction:
    """A risk (higher = earlier relapse), or None where none is given.

    Attributes
    ----------
    group : risk group that came with it, or None
    days, survival : float arrays, shape (k,), rising days and the recurrence-free share from each of them on,
        as far as it is known; empty without a curve
    """

    risk: float | None
    group: str | None
    days: np.ndarray
    survival: np.ndarray


Prediction = TypeVar("Prediction", HpvPrediction, RfsPrediction)
SHA256_SHOWN = 12


@dataclass(frozen=True)
class Predictions(Generic[Prediction]):
    """Predictions by patient, and the bundle that made them in words; None where nobody says which."""

    by_patient: dict[str, Prediction]
    bundle: str | None = None


def read_hpv_predictions(path: Path) -> Predictions[HpvPrediction]:
    """HPV probabilities by patient, from a CSV (PatientID, hpv_probability) or folders with results.json.

    Of a folder that ``mmpl batch`` wrote, the cases that its table calls done.

    Raises
    ------
    InputError
        If the file or a cell is not as it should be (see ``read_table``), or the results are of several bundles.
    """
    if Path(path).is_dir():
        return _from_results(Path(path), lambda r: HpvPrediction(r["hpv"]["probability"], r["hpv"]["threshold"]))
    table = read_table(path, what="predictions", required=(PROBABILITY,))
    return Predictions({row.patient_id: HpvPrediction(_probability(row, PROBABILITY)) for row in table.rows})


def read_rfs_predictions(path: Path) -> Predictions[RfsPrediction]:
    """Risks by patient, from a CSV (PatientID, risk; survival_DAY, risk_group) or folders with results.json.

    Of a folder that ``mmpl batch`` wrote, the cases that its table calls done.

    Raises
    ------
    InputError
        If the file or a cell is not as it should be (see ``read_table``), a survival curve rises or has a gap, or
        the results are of several bundles.
    """
    if Path(path).is_dir():
        return _from_results(Path(path), _rfs_of_results)
    table = read_table(path, what="predictions", required=(RISK,))
    columns = _survival_columns(table)
    return Predictions({row.patient_id: _rfs_of_row(row, columns) for row in table.rows})


def _probability(row: Row, column: str) -> float | None:
    return row.number(column, 0.0, 1.0, "a probability from 0 to 1")


def _survival_columns(table: PatientTable) -> list[tuple[float, str]]:
    """(day, column) of the columns "survival_365" and the like, by rising day."""
    found = [(float(m[1]), name) for name in table.columns if (m := SURVIVAL_COLUMN.fullmatch(name))]
    if found and max(found)[0] > DAYS_MOST:
        raise InputError(f"predictions {table.path}: column '{max(found)[1]}' is past a hundred years; give days")
    return sorted(found)


def _rfs_of_row(row: Row, columns: list[tuple[float, str]]) -> RfsPrediction:
    risk = row.number(RISK, -np.inf, np.inf, "a finite number, higher for earlier relapse")
    values = [_probability(row, name) for _, name in columns]
    known = len(list(itertools.takewhile(lambda v: v is not None, values)))
    if any(v is not None for v in values[known:]):
        raise InputError(f"{row.where}: {columns[known][1]} is empty but a later day is given; fill it in")
    for (_, before), (_, name), a, b in zip(columns, columns[1:], values[:known], values[1:known], strict=False):
        if b > a + RISING:
            raise InputError(f"{row.where}: {name} is {b:g}, more than {before} ({a:g}); survival can only fall")
    days = np.array([day for day, _ in columns[:known]])
    return RfsPrediction(risk, row.text(RISK_GROUP), days, np.array(values[:known], dtype=float))


# --- results.json -------------------------------------------------------------------------------------


def _rfs_of_results(results: dict) -> RfsPrediction:
    """With the shares that are told of the years: the curve's own days lie up to a month before them."""
    rfs = results["rfs"]
    curve = rfs["curve"] or {"days": [], "survival": []}
    shares = dict(zip(curve["days"], curve["survival"], strict=True))
    shares |= {int(year.removesuffix("y")) * YEAR_DAYS: share for year, share in rfs["survival_at"].items()}
    known = sorted((day, share) for day, share in shares.items() if share is not None)
    days, survival = (np.array([pair[k] for pair in known], dtype=float) for k in (0, 1))
    return RfsPrediction(rfs["risk"], rfs["risk_group"], days, survival)


def _from_results(folder: Path, read: Callable[[dict], Prediction]) -> Predictions[Prediction]:
    files = _results_files(folder)
    if not files:
        raise InputError(f"predictions {folder}: no {RESULTS} in this folder or the folders in it")
    found: dict[str, Prediction] = {}
    places: dict[str, Path] = {}
    of_bundle: dict[str, tuple[str, str]] = {}  # sha256 -> its first patient, the bundle in words
    for path in files:
        results = _results(path)
        patient_id = results["case_id"]
        if patient_id in found:
            raise InputError(
                f"predictions {folder}: patient '{patient_id}' occurs twice ({places[patient_id].parent.name} and "
                f"{path.parent.name}); keep one"
            )
        found[patient_id], places[patient_id] = read(results), path
        of_bundle.setdefault(results["bundle"]["sha256"], (patient_id, _bundle_text(results["bundle"])))
    if len(of_bundle) > 1:
        one, other = [f"'{patient_id}' by {bundle}" for patient_id, bundle in of_bundle.values()][:2]
        raise InputError(
            f"predictions {folder} were made by {len(of_bundle)} bundles: {one}, {other}; give the results of one"
        )
    return Predictions(found, next(iter(of_bundle.values()))[1])


def _bundle_text(bundle: dict) -> str:
    phantom = ", trained on phantoms" if bundle.get("phantom") else ""
    return f"{bundle['name']} {bundle['version']} (sha256 {bundle['sha256'][:SHA256_SHOWN]}{phantom})"


def _results_files(folder: Path) -> list[Path]:
    """Of a batch the cases that are done; of another folder its own and those of the folders in it, hidden ones not."""
    done = done_cases(folder)
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith(".") and (done is None or p.name in done))
    homes = [*([folder] if done is None else []), *(folder / name for name in names)]
    return [path for home in homes if (path := home / RESULTS).is_file()]


def _results(path: Path) -> dict:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        validate_results(results)
    except (OSError, ValueError) as error:
        raise InputError(f"predictions {path} cannot be read as JSON ({error}); write it again with mmpl") from error
    except OutputError as error:
        raise InputError(f"predictions {path} are not as mmpl writes them: {error}") from error
    return results
