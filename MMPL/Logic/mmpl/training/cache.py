"""Preprocessed cases on disk: what the networks train on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.case import GTVN, GTVP, PET_SUV, RoiCase
from mmpl.io.case import read_case
from mmpl.io.images import read_label_map
from mmpl.preprocess.network_grid import network_input, to_network_grid
from mmpl.preprocess.prepare import label_on_roi, prepare
from mmpl.progress import Progress, silent
from mmpl.training.cohort import CohortCase
from mmpl.training.errors import require
from mmpl.training.parallel import each


@dataclass(frozen=True)
class CachedCase:
    """Arrays of one case on the network grid.

    Attributes
    ----------
    image : float16, shape (2, z, y, x), PET and CT
    label : uint8, shape (2, z, y, x), share of GTVp and GTVn in each voxel times 255; None without a label map
    lost_voxels : label voxels of the native CT grid that lie outside the ROI
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


def cache_case(case: CohortCase, path: Path, spacing_mm: float) -> None:
    """Prepare one case and write its arrays (atomically)."""
    roi = load_roi(case)
    arrays = {"image": network_input(roi, spacing_mm).astype(np.float16), "lost_voxels": np.int64(0)}
    if case.label_path is not None:
        label_map = read_label_map(case.label_path)
        on_roi = label_on_roi(label_map, roi.geometry)
        shares = [to_network_grid((on_roi == value).astype(np.float32), spacing_mm) for value in (GTVP, GTVN)]
        arrays["label"] = np.rint(np.stack(shares) * 255).astype(np.uint8)
        arrays["lost_voxels"] = np.int64(lost_label_voxels(label_map, roi))
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, path)


def lost_label_voxels(label_map, roi: RoiCase) -> int:
    """Labelled voxels of the native label map whose centres lie outside the ROI."""
    zyx = np.argwhere(label_map.array)
    if zyx.size == 0:
        return 0
    index = roi.geometry.index(label_map.geometry.physical(zyx[:, ::-1]))
    inside = np.all((index >= -0.5) & (index <= np.asarray(roi.geometry.size) - 0.5), axis=1)
    return int((~inside).sum())


def load_cached(path: Path) -> CachedCase:
    with np.load(path, allow_pickle=False) as stored:
        label = stored["label"] if "label" in stored.files else None
        return CachedCase(stored["image"], label, int(stored["lost_voxels"]))


def build_cache(cases, folder: Path, spacing_mm: float, *, workers: int = 1, progress: Progress = silent) -> None:
    """Cache every case that is not cached yet."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [(c, folder / f"{c.patient_id}.npz", spacing_mm) for c in cases]
    todo = [t for t in todo if not t[1].is_file()]
    each(_cache_one, todo, workers=workers, progress=progress, step="preparing cases")


def _cache_one(task) -> None:
    cache_case(*task)
