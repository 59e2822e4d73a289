"""Preprocessed cases on disk: what the networks train on. What a case is on disk: :mod:`mmpl.training.cache_entry`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmpl.case import GTVN, GTVP, PET_SUV, RoiCase
from mmpl.cluster import InlinePool, Pool
from mmpl.errors import TrainingError
from mmpl.geometry import Volume
from mmpl.io.case import read_case
from mmpl.io.images import read_label_map
from mmpl.io.output import make_folder
from mmpl.preprocess.network_grid import network_input, to_network_grid
from mmpl.preprocess.prepare import label_on_roi, prepare
from mmpl.progress import Progress, silent
from mmpl.training.cache_entry import (
    FORMAT,
    IMAGE,
    LABEL,
    DamagedEntryError,
    Description,
    check_arrays,
    mapped_array,
    read_description,
    remove_leftovers,
    source_state,
    write_description,
    write_entry,
)
from mmpl.training.errors import require
from mmpl.training.layout import CohortCase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedCase:
    """Arrays of one case on the network grid, memory-mapped where they come from the cache: read-only.

    Attributes
    ----------
    image : float16, shape (2, z, y, x), PET and CT
    label : uint8, shape (2, z, y, x), share of GTVp and GTVn in each voxel times 255; None without a label map
    lost_voxels : label voxels of the native grid that lie outside the ROI
    """

    image: np.ndarray
    label: np.ndarray | None
    lost_voxels: int


def load_roi(case: CohortCase) -> RoiCase:
    """Read and prepare one case exactly as inference does."""
    read = read_case(case.patient_id, case.ct_path, case.pt_path)
    require(
        read.pet_units == PET_SUV,
        f"{case.pt_path}: the PET of {case.patient_id} is not in SUV; convert it or leave the patient out",
    )
    return prepare(read)


def prepare_case(case: CohortCase, spacing_mm: float) -> CachedCase:
    """Arrays of one case from its images, in memory."""
    roi = load_roi(case)
    image = network_input(roi, spacing_mm).astype(np.float16)
    if case.label_path is None:
        return CachedCase(image, None, 0)
    label_map = read_label_map(case.label_path)
    on_roi = label_on_roi(label_map, roi.geometry)
    shares = [to_network_grid((on_roi == value).astype(np.float32), spacing_mm) for value in (GTVP, GTVN)]
    label = np.rint(np.stack(shares) * 255).astype(np.uint8)
    return CachedCase(image, label, lost_label_voxels(label_map, roi))


def lost_label_voxels(label_map: Volume, roi: RoiCase) -> int:
    """Labelled voxels of the native label map whose centres lie outside the ROI."""
    zyx = np.argwhere(label_map.array)
    if zyx.size == 0:
        return 0
    return int((~roi.geometry.holds(label_map.geometry.physical(zyx[:, ::-1]))).sum())


def cache_case(case: CohortCase, path: Path, spacing_mm: float) -> None:
    """Prepare one case and write its entry, a folder; one that is there is replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    sources = {role: source_state(file) for role, file in _sources(case).items()}
    made = prepare_case(case, spacing_mm)
    write_entry(path, made.image, made.label, spacing_mm=spacing_mm, lost_voxels=made.lost_voxels, sources=sources)


def load_cached(path: Path) -> CachedCase:
    """Open an entry; voxels are read from the disk when they are used.

    An open case keeps two files open: cut what is needed, rather than hold a cohort of them.

    Raises
    ------
    TrainingError
        If it is damaged.
    """
    try:
        stored = read_description(path)
        label = mapped_array(path / LABEL) if LABEL in stored.arrays else None
        return CachedCase(mapped_array(path / IMAGE), label, stored.lost_voxels)
    except DamagedEntryError as error:
        raise TrainingError(f"cache {path}: {error}; give the same command again, which makes it anew") from error


def build_cache(
    cases: Sequence[CohortCase],
    folder: Path,
    spacing_mm: float,
    *,
    pool: Pool | None = None,
    progress: Progress = silent,
    verify: bool = False,
) -> list[str]:
    """Make the entries that are missing, damaged, of another spacing or format, or of files that have changed.

    Other processes may build the same cache at the same time.

    Parameters
    ----------
    pool : does the work; this process by default
    verify : compare the checksums of all arrays, too, which reads every one of them

    Returns
    -------
    IDs of the patients whose arrays were made.

    Raises
    ------
    TrainingError
        If a PET is not in SUV.
    InputError
        If an image cannot be used.
    OutputError
        If the cache cannot be written; what was made before stays.
    """
    make_folder(folder)
    remove_leftovers(folder)
    tasks = [CacheTask(case, folder / case.patient_id, spacing_mm, verify) for case in cases]
    todo = [task for task in tasks if verify or not task.is_trusted()]
    made = (pool or InlinePool()).each(_cache_one, todo, progress=progress, step="preparing cases", name=CacheTask.name)
    return [task.case.patient_id for task, was_made in zip(todo, made, strict=True) if was_made]


@dataclass(frozen=True)
class CacheTask:
    """One case, where its entry belongs, and how it is checked."""

    case: CohortCase
    path: Path
    spacing_mm: float
    verify: bool = False

    def name(self) -> str:
        return self.case.patient_id

    def is_trusted(self) -> bool:
        """Whether the entry can be used, as far as sizes and times tell."""
        try:
            description = read_description(self.path)
            check_arrays(self.path, description, checksums=False)
        except DamagedEntryError:
            return False
        return self.fits(description) and _look_the_same(description, self.case)

    def fits(self, description: Description) -> bool:
        """Made in this way, and of the same kinds of file."""
        made = (description.format, description.spacing_mm, set(description.sources))
        return made == (FORMAT, float(self.spacing_mm), set(_sources(self.case)))


def _cache_one(task: CacheTask) -> bool:
    """Whether the case had to be prepared."""
    if task.path.exists() and _is_usable(task):
        return False
    cache_case(task.case, task.path, task.spacing_mm)
    return True


def _is_usable(task: CacheTask) -> bool:
    try:
        description = read_description(task.path)
        if not task.fits(description):
            return False
        check_arrays(task.path, description, checksums=task.verify)
    except DamagedEntryError as error:
        logger.warning("cache %s: %s; it is made again", task.path, error)
        return False
    if _look_the_same(description, task.case):
        return True
    now = {role: source_state(file) for role, file in _sources(task.case).items()}
    if any(now[role].sha256 != state.sha256 for role, state in description.sources.items()):
        return False
    # copied or touched, not changed: not to be read again the next time
    write_description(task.path, replace(description, sources=now))
    return True


def _look_the_same(description: Description, case: CohortCase) -> bool:
    return all(description.sources[role].looks_like(file) for role, file in _sources(case).items())


def _sources(case: CohortCase) -> dict[str, Path]:
    files = {"ct": case.ct_path, "pt": case.pt_path, "label": case.label_path}
    return {role: file for role, file in files.items() if file is not None}
