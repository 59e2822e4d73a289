"""A result's files, and what is in a folder already: another case's results, or files that are not written anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmpl.dicom_out.files import NAMES
from mmpl.errors import GeometryError, OutputError
from mmpl.geometry import Geometry

MASK = "mask.nii.gz"
SEGMENTATION = "segmentation.seg.nrrd"
RESULTS = "results.json"
FEATURES = "features.csv"
REPORT = "report.html"
ALWAYS = (MASK, SEGMENTATION, RESULTS, FEATURES, REPORT)
SCENE = "scene.mrb"
DICOM = "dicom"
_OF_OTHER_IMAGES = "{out} holds results of a case {case} with other images than this one's: choose another folder"
OPTIONAL = (SCENE, *(f"{DICOM}/{name}" for name in NAMES))


def left_of_earlier(out: Path, new: Path) -> tuple[str, ...]:
    """Files in ``out`` that tell of other contours, once those of the folder ``new`` have come there."""
    return tuple(name for name in OPTIONAL if (out / name).is_file() and not (new / name).exists())


def sentence_about(left: Sequence[str], out: Path) -> str:
    """What :func:`left_of_earlier` found, for people."""
    are, them = ("is", "it") if len(left) == 1 else ("are", "them")
    return (
        f"{out}: {', '.join(left)} {are} of an earlier result, not of this one: remove {them}, or have {them} written "
        "again"
    )


def results_in(folder: Path) -> dict | None:
    """The results that lie in a folder; None where there are none, or a damaged file."""
    try:
        results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return results if isinstance(results, dict) else None


def check_same_case(out: Path, case_id: str, grids: Mapping[str, Geometry]) -> None:
    """Find out now whether a case's results would take the place of another one's.

    Parameters
    ----------
    out : folder, which may be absent
    grids : "ct" and "pet" -> where the case's images lie: cases without a name of their own share one

    Raises
    ------
    OutputError
        If ``out`` holds results of another case, or files of ours of which nobody can tell whose they are.
    """
    try:
        there = [name for name in (*ALWAYS, *OPTIONAL) if (out / name).exists()]
    except OSError:  # who writes there says what is wrong with it
        return
    if not there:
        return
    try:
        results = results_in(out)
        other = str(results["case_id"])
        same_images = all(Geometry.from_dict(results["inputs"][name]).is_close(grid) for name, grid in grids.items())
    except (ValueError, KeyError, TypeError, GeometryError):
        raise OutputError(
            f"{out} holds {', '.join(there)}, but no results that say of which case: choose another folder"
        ) from None
    if other != case_id:
        raise OutputError(f"{out} holds results of the case {other}, not of {case_id}: choose another folder")
    if not same_images:
        raise OutputError(_OF_OTHER_IMAGES.format(out=out, case=other))


def check_same_ct(out: Path, fingerprint: str) -> None:
    """Find out now whether results of another CT on the same grid lie in a folder: another patient's, of one protocol.

    Parameters
    ----------
    out : folder, which may be absent
    fingerprint : of this case's CT, see :func:`mmpl.fingerprint.fingerprint`

    Raises
    ------
    OutputError
        If there are some. Results of before have no fingerprint: of them nothing is said.
    """
    results = results_in(out) or {}
    try:
        theirs = results["inputs"]["ct"]["fingerprint"]
    except (KeyError, TypeError):
        return
    if theirs != fingerprint:
        raise OutputError(_OF_OTHER_IMAGES.format(out=out, case=results.get("case_id")))
