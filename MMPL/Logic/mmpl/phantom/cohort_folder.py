"""A folder of synthetic patients that appears whole or not at all, whatever is written of each patient."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from mmpl.errors import InputError, OutputError
from mmpl.file_names import is_left_by_file_manager
from mmpl.geometry import Volume, image_from_volume
from mmpl.progress import Progress
from mmpl.version import __version__

MANIFEST = "phantom.json"
FORMAT = "mmpl-phantom-cohort"
RENDERING = 3  # raised whenever the same seed gives other voxels or other records
OURS = re.compile(r"phantom\.(json|tmp)|Task [123]|PHA-\d+")  # at the top of a cohort's folder, in either layout
STATEMENT = "Synthetic patients drawn by a program. No person was scanned; not for training clinical models."


@dataclass(frozen=True)
class CohortOrder:
    """What cohort is asked for: number of patients, seed, and the processes that make it.

    Raises
    ------
    InputError
        If ``cases`` or ``workers`` is not positive or the seed is negative.
    """

    cases: int
    seed: int
    workers: int = 1

    def __post_init__(self):
        if self.cases < 1 or self.workers < 1 or self.seed < 0:
            raise InputError(
                f"phantom cohort of {self.cases} cases, seed {self.seed}, {self.workers} workers: "
                "cases and workers must be at least 1, the seed 0 or more"
            )


def write_whole(
    out: Path,
    order: CohortOrder,
    details: dict,
    parts: Sequence[str],
    write_patient: Callable[[int, Path], None],
    finish: Callable[[Path], None],
    progress: Progress,
) -> None:
    """Write a cohort into ``<out>.partial`` and give it its name when it is complete.

    A run that was stopped is taken up there, patient by patient. A finished phantom cohort at ``out`` is replaced,
    unless it is the one asked for and whole: then nothing is done.

    Parameters
    ----------
    out : folder to write
    order : how many patients, of which seed
    details : what the manifest says of the layout; two cohorts are the same where this, seed and number are
    parts : what is there of a whole cohort: files, and folders that hold any, by their place within its folder
    write_patient : ``(index, folder)``, writes one patient unless that is done; picklable for several workers
    finish : ``(folder)``, writes what belongs to the cohort as a whole
    progress : told "phantom" and the fraction of patients written

    Raises
    ------
    OutputError
        If ``out`` is a file or holds something beside a phantom cohort, or cannot be written.
    """
    out = Path(out).resolve()
    manifest = _manifest(order, details)
    is_there = _may_replace(out) and _read_manifest(out) == manifest
    if is_there and all(_holds_something(out / part) for part in parts):
        progress("phantom", 1.0)
        return
    try:
        folder = _open_partial(out, manifest)
        _write_patients(folder, order, write_patient, progress)
        finish(folder)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    except OSError as error:
        raise OutputError(f"{out}: the phantom cohort cannot be written ({error}); check space and rights") from error


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_file()


def write_image(path: Path, volume: Volume) -> None:
    """Write a volume as NIfTI.

    Raises
    ------
    OutputError
        If that fails.
    """
    try:
        sitk.WriteImage(image_from_volume(volume), str(path), useCompression=True, compressionLevel=1)
    except RuntimeError as error:
        raise OutputError(f"{path}: the image cannot be written; check space and rights") from error


def _manifest(order: CohortOrder, details: dict) -> dict:
    return {
        "format": FORMAT,
        "statement": STATEMENT,
        "mmpl_version": __version__,
        "rendering": RENDERING,
        "seed": order.seed,
        "cases": order.cases,
        **details,
    }


def _read_manifest(folder: Path) -> dict | None:
    """The folder's manifest, or None if it is no phantom cohort."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def _may_replace(out: Path) -> bool:
    """True if something of ours lies at ``out``; False if nothing does.

    Raises
    ------
    OutputError
        If it is somebody else's.
    """
    if not out.exists():
        return False
    if not out.is_dir():
        raise OutputError(f"{out}: a file of this name exists; give a folder for the phantom cohort")
    if any(out.iterdir()) and _read_manifest(out) is None:
        raise OutputError(f"{out}: this folder is not empty and is no phantom cohort; give another folder")
    others = sorted(
        p.name for p in out.iterdir() if not (OURS.fullmatch(p.name) or is_left_by_file_manager(Path(p.name)))
    )
    if others:
        raise OutputError(
            f"{out}: {others[0]} lies beside the phantom cohort, which would be replaced as a whole; move it, or give "
            "another folder"
        )
    return True


def _open_partial(out: Path, manifest: dict) -> Path:
    """The work folder: that of a stopped run of the same cohort, else a fresh one."""
    folder = out.with_name(out.name + ".partial")
    if _may_replace(folder) and _read_manifest(folder) != manifest:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
    return folder


def _write_patients(folder: Path, order: CohortOrder, write_patient, progress: Progress) -> None:
    progress("phantom", 0.0)
    work = partial(_call, write_patient, folder)
    if order.workers == 1:
        for index in range(order.cases):
            work(index)
            progress("phantom", (index + 1) / order.cases)
        return
    with ProcessPoolExecutor(max_workers=order.workers) as pool:
        for done, _ in enumerate(pool.map(work, range(order.cases), chunksize=1), start=1):
            progress("phantom", done / order.cases)


def _call(write_patient, folder: Path, index: int) -> None:
    write_patient(index, folder)
