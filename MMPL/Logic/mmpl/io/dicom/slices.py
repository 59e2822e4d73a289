"""One image slice, as its header describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


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
    least_bytes : a file that holds its pixels is at least this large; 0 where nobody can say (compressed)
    header : PET: what SUV needs (see :mod:`mmpl.io.suv.header`)
    frame : index in a multi-frame file, None for a file of one image
    """

    path: Path
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    rows: int
    columns: int
    slope: float | None
    intercept: float | None
    least_bytes: int = 0
    header: Mapping[str, str] = field(default_factory=dict)
    frame: int | None = None

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Directions in which columns (x) and rows (y) count up, and the normal of both."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        return row, column, np.cross(row, column)

    @property
    def shape_key(self) -> tuple:
        """Alike for slices that can make one volume."""
        return (
            self.rows,
            self.columns,
            tuple(np.round(self.orientation, 3) + 0.0),
            tuple(np.round(self.spacing, 3)),
        )
