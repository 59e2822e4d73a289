"""Files that are not written with every result, and so may be left of an earlier one in the same folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmpl.dicom_out.files import NAMES

SCENE = "scene.mrb"
DICOM = "dicom"
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
