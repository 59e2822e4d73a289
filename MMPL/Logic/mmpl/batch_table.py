"""The tables of a batch: one row a case."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mmpl.batch_folder import CASE_ID, CASES, DONE, STATUS
from mmpl.batch_job import CaseEnd, read_results
from mmpl.case import CLASS_NAMES
from mmpl.errors import OutputError
from mmpl.file_names import spelt
from mmpl.io.output import write_text_atomic
from mmpl.outputs import RESULTS

FAILED_CASES = "failed.csv"
FIGURES = ("volume_ml", "suv_max", "mtv_ml", "tlg_g")
YEARS = ("1y", "2y", "3y", "5y")
COLUMNS = (
    CASE_ID,
    STATUS,
    *(f"{name}_{column}" for name in CLASS_NAMES.values() for column in (*FIGURES, "lesions")),
    "hpv_probability",
    "hpv_status",
    "hpv_known",
    "rfs_risk",
    "rfs_group",
    *(f"rfs_{year}" for year in YEARS),
    "warnings",
    "bundle_name",
    "bundle_version",
    "bundle_sha256",
    "seconds",
)
FAILED_COLUMNS = (CASE_ID, STATUS, "reason")


def write_tables(out: Path, ends: Sequence[CaseEnd], bundle_sha256: str) -> None:
    """Write ``cases.csv`` with every case, and ``failed.csv`` with those that are not done, if there are any.

    Raises
    ------
    OutputError
        If a table cannot be written, or results have been damaged or replaced by others meanwhile.
    """
    write_text_atomic(out / CASES, csv_text(COLUMNS, [_row(out / end.case_id, end, bundle_sha256) for end in ends]))
    failed = [end for end in ends if end.status != DONE]
    if failed:
        rows = [{"case_id": end.case_id, "status": end.status, "reason": spelt(end.reason)} for end in failed]
        write_text_atomic(out / FAILED_CASES, csv_text(FAILED_COLUMNS, rows))
    else:
        _remove(out / FAILED_CASES)


def remove_tables(out: Path) -> None:
    """Take away what :func:`write_tables` wrote.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    for name in (CASES, FAILED_CASES):
        _remove(out / name)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be removed ({error.strerror}): close it, then run this again") from error


def csv_text(columns: Sequence[str], rows: Sequence[dict]) -> str:
    """Comma-separated lines; numbers as they are, what is not known is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return stream.getvalue()


def _row(folder: Path, end: CaseEnd, bundle_sha256: str) -> dict:
    row = {"case_id": end.case_id, "status": end.status}
    if end.status != DONE:
        return row
    results = read_results(folder, end.case_id, bundle_sha256)
    if results is None:
        raise OutputError(f"{folder / RESULTS} is no longer what this batch wrote: run this again")
    return {**row, **_figures(results["lesions"]), **_outcome(results), "seconds": end.seconds}


def _figures(lesions: dict) -> dict:
    row = {}
    for name in CLASS_NAMES.values():
        row |= {f"{name}_{figure}": lesions[name][figure] for figure in FIGURES}
        row[f"{name}_lesions"] = len(lesions[name]["components"])
    return row


def _outcome(results: dict) -> dict:
    hpv, rfs, bundle = results["hpv"], results["rfs"], results["bundle"]
    return {
        "hpv_probability": hpv["probability"],
        "hpv_status": hpv["status"],
        "hpv_known": hpv["known"],
        "rfs_risk": rfs["risk"],
        "rfs_group": rfs["risk_group"],
        **{f"rfs_{year}": rfs["survival_at"].get(year) for year in YEARS},
        "warnings": ";".join(dict.fromkeys(warning["code"] for warning in results["warnings"])),
        **{f"bundle_{key}": bundle[key] for key in ("name", "version", "sha256")},
    }
