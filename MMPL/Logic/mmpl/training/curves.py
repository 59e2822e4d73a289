"""Learning curves: one line of JSON an epoch, and for TensorBoard where that is asked for."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from mmpl.io.output import append_line, write_text_atomic
from mmpl.training.errors import require

LOG = "log.jsonl"
TO_TENSORBOARD = ("loss", "learning_rate", "skipped")


class LearningCurve:
    """The log of one stage.

    Parameters
    ----------
    folder : of the stage
    first : epoch that is trained next; later ones were logged, but not saved before the run was stopped
    tensorboard : write for TensorBoard, too
    """

    def __init__(self, folder: Path, first: int, *, tensorboard: bool = False):
        self._path = folder / LOG
        self._trim(first)
        self._writer = _tensorboard_writer(folder, first) if tensorboard else None

    def add(self, record: Mapping) -> None:
        """One epoch: ``epoch`` and figures by name.

        Raises
        ------
        OutputError
            If the disk is full; what is left of the line is taken away when the stage is taken up again.
        """
        append_line(self._path, json.dumps(record))
        if self._writer is not None:
            for name in TO_TENSORBOARD:
                self._writer.add_scalar(name, record[name], record["epoch"])
            self._writer.flush()

    def _trim(self, first: int) -> None:
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n") and _is_before(line, first)]
        if whole != lines:
            write_text_atomic(self._path, "".join(whole))


def read_losses(folder: Path) -> list[float]:
    """Mean losses of a stage's epochs, in order; none where there is no log."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [json.loads(line)["loss"] for line in lines if _is_before(line, len(lines))]


def logged_epochs(folder: Path) -> int:
    """How many epochs a stage has logged; 0, too, where the log cannot be read just now."""
    try:
        return (folder / LOG).read_bytes().count(b"\n")
    except OSError:
        return 0


def _is_before(line: str, first: int) -> bool:
    """Whether a line is of an epoch before ``first``; one that a power cut has damaged is of none."""
    try:
        return json.loads(line)["epoch"] < first
    except (ValueError, LookupError, TypeError):
        return False


def check_tensorboard(wanted: bool) -> None:
    """Find out before training whether what writes for TensorBoard is installed.

    Raises
    ------
    TrainingError
        If it is wanted and is not.
    """
    there = importlib.util.find_spec("tensorboard") is not None
    require(there or not wanted, "tensorboard is not installed: pip install tensorboard, or set 'tensorboard: false'")


def _tensorboard_writer(folder: Path, first: int):
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=first)
