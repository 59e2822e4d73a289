"""One image slice, as its header describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmpl.io.dicom.codestream import FrameSize

ROUNDING = 1e-3  # of direction cosines, and of mm between pixels: images of one volume differ by less
COLOURS = ("RGB", "PALETTE COLOR", "HSV", "ARGB", "CMYK")


@dataclass(frozen=True)
class PixelFormat:
    """How an object's pixels are stored, as its header says; None where that is missing or unreadable.

    Attributes
    ----------
    allocated, stored, high : BitsAllocated, BitsStored, HighBit
    representation : 0 unsigned, 1 signed
    samples, photometric : SamplesPerPixel and PhotometricInterpretation
    plain : the pixels lie there as they are, neither compressed nor deflated
    frame : what compressed pixels say of their own size
    cut, spare : there are fewer or more bytes than size and bits need; False where nobody can say
    """

    allocated: int | None
    stored: int | None
    high: int | None
    representation: int | None
    samples: int | None
    photometric: str
    plain: bool = False
    frame: FrameSize | None = None
    cut: bool = False
    spare: bool = False

    @property
    def coloured(self) -> bool:
        return (self.samples or 1) > 1 or self.photometric in COLOURS or self.photometric.startswith("YBR")

    @property
    def possible(self) -> bool:
        """Whether it can be the format of single-valued images."""
        bits = self.allocated in (8, 16, 32) and self.stored is not None and 1 <= self.stored <= self.allocated
        values = self.representation in (0, 1) and self.samples == 1 and self.photometric in ("MONOCHROME2", "")
        return bits and values and self.high == self.stored - 1

    @property
    def key(self) -> tuple:
        """Alike for pixels that are stored alike."""
        return self.allocated, self.stored, self.high, self.representation, self.photometric


@dataclass(frozen=True)
class Slice:
    """One image of a series.

    Attributes
    ----------
    path : its file
    position : LPS mm of the centre of its first pixel
    orientation : direction cosines of a row, then of a column
    spacing : mm between rows, then between columns (DICOM's order)
    rows, columns : its size
    slope, intercept : from stored values to the image's unit; None where missing or unreadable
    pixels : how they are stored
    header : PET: what SUV needs (see :mod:`mmpl.io.suv.header`)
    frame : index in a multi-frame file, None for a file of one image
    thickness_mm : of the slice by its header; None where it does not say
    """

    path: Path
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    rows: int
    columns: int
    slope: float | None
    intercept: float | None
    pixels: PixelFormat
    header: Mapping[str, str] = field(default_factory=dict)
    frame: int | None = None
    thickness_mm: float | None = None

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Directions in which columns (x) and rows (y) count up, and the normal of both."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        return row, column, np.cross(row, column)

    def is_like(self, other: Slice) -> bool:
        """Whether both can be of one volume: the same size, and orientation and spacing but for rounding."""
        ours, theirs = ((*one.orientation, *one.spacing) for one in (self, other))
        same_size = (self.rows, self.columns) == (other.rows, other.columns)
        return same_size and max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= ROUNDING
