"""Mask probabilities of a patient by the network that did not train on them: run once, kept on the disk.

Thresholds, out-of-fold radiomics and the ablation of the loss all draw from them. On a CPU the pass is the dearest
part of each.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.case import RoiCase
from mmpl.io.output import make_folder, write_bytes_atomic
from mmpl.preprocess.network_grid import background_values, network_input
from mmpl.segmentation.engine import segment_by_plan
from mmpl.segmentation.plan import Account, single_plan
from mmpl.steps import draw, probabilities_at_1mm
from mmpl.training.stages import StageRun, trained_runner

LEAST = 0.1  # kept is what a mask cut at this probability or above is drawn from, to the last voxel
INSIDE, START, SHAPE = "inside", "start", "shape"


def unseen_labels(run: StageRun, patient_id: str, roi: RoiCase, thresholds: tuple[float, float]) -> np.ndarray:
    """What inference would draw with this network alone: uint8 (1 GTVp, 2 GTVn), shape (z, y, x), on the 1 mm ROI.

    Parameters
    ----------
    run : of stage 1, finished
    thresholds : (GTVp, GTVn), of at least ``LEAST``
    """
    probabilities = kept_probabilities(kept_path(run, patient_id))
    if probabilities is None:
        probabilities = unseen_probabilities(run, patient_id, roi)
    at_1mm = probabilities_at_1mm(roi, probabilities, run.config.network.spacing_mm, min(thresholds))
    return draw(roi, at_1mm, thresholds)


def unseen_probabilities(run: StageRun, patient_id: str, roi: RoiCase) -> np.ndarray:
    """Run the network over the ROI and keep what it says: float32, shape (2, z, y, x), on the network grid.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    image = network_input(roi, run.config.network.spacing_mm)
    probabilities = segment_by_plan(
        image,
        [trained_runner(run)],
        single_plan(image, run.config.network.spacing_mm),
        fills=background_values(image),
        account=Account(),
    )
    keep_probabilities(kept_path(run, patient_id), probabilities)
    return probabilities


def kept_path(run: StageRun, patient_id: str) -> Path:
    return run.folder / "unseen" / f"{patient_id}.npz"


def keep_probabilities(path: Path, probabilities: np.ndarray) -> None:
    """Write those (2, z, y, x) within the box of all voxels of at least ``LEAST`` in a class, and one voxel around.

    A voxel of the 1 mm ROI lies between eight of the network grid: where all are lower, so is it.
    """
    box = bounding_box((probabilities >= LEAST).any(axis=0), margin=1) or (slice(0, 0),) * 3
    data = io.BytesIO()
    np.savez_compressed(
        data,
        **{
            INSIDE: probabilities[(slice(None), *box)],
            START: np.array([axis.start for axis in box]),
            SHAPE: np.array(probabilities.shape),
        },
    )
    make_folder(path.parent)
    write_bytes_atomic(path, data.getvalue())


def kept_probabilities(path: Path) -> np.ndarray | None:
    """What :func:`keep_probabilities` wrote, 0 outside its box; None where there is none, or a damaged one."""
    if not path.is_file():
        return None
    data = io.BytesIO(path.read_bytes())
    try:
        with np.load(data) as stored:
            inside, start, shape = stored[INSIDE], stored[START], stored[SHAPE]
    except Exception:  # zipfile's, zlib's, numpy's or the tokenizer's, depending on the byte that is damaged
        return None
    probabilities = np.zeros(shape, dtype=inside.dtype)
    box = tuple(slice(s, s + n) for s, n in zip(start, inside.shape[1:], strict=True))
    probabilities[(slice(None), *box)] = inside
    return probabilities
