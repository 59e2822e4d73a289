"""Files that a run has finished and reads again: a damaged one is a sentence that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from mmpl.errors import TrainingError
from mmpl.training.errors import require

REMOVE = "remove it and give the same command again, which makes it anew"


def read_finished(path: Path, remedy: str = REMOVE) -> dict:
    """A JSON object that a run has written.

    Parameters
    ----------
    remedy : what to do about a missing or damaged file, for its one sentence

    Raises
    ------
    TrainingError
        If the file is missing or damaged.
    """
    record = record_or_none(path)
    require(record is not None, f"{path}: the file is missing or damaged; {remedy}")
    return record


def record_or_none(path: Path) -> dict | None:
    """The same; None where the file is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # ValueError: no JSON, or no UTF-8
        return None
    return record if isinstance(record, dict) else None


def read_stage_weights(path: Path) -> dict[str, Tensor]:
    """Those of a finished stage, ``<fold>/<stage>/weights.safetensors``; as :func:`read_weights`."""
    fold = path.parent.parent
    return read_weights(
        path,
        f"remove {fold.name} in {fold.parent}, and overlaps, measured, deep_scores, scores and out_of_fold.json there "
        "and ablation/oda of the run, as far as they are there, which are of its networks: all are then made anew",
    )


def read_weights(path: Path, remedy: str) -> dict[str, Tensor]:
    """Tensors that a run has written, on the CPU.

    Parameters
    ----------
    remedy : what to do about a damaged file, for its one sentence

    Raises
    ------
    TrainingError
        If the file is damaged.
    """
    try:
        return load(path.read_bytes())
    except SafetensorError as error:
        raise TrainingError(f"{path}: the weights are damaged ({error}); {remedy}") from error
