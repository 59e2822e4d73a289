"""Image slices in order, and the grid they make: even or refused, gaps and doubles named, a tilted gantry seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry
from mmpl.io.dicom.slices import Slice

SAME_PLACE_MM = 0.01
UNEVEN_MM = 0.1  # slice positions are often rounded to a tenth of a millimetre
UNEVEN_SHARE = 0.01
ROUNDING_MM = 1e-6  # of binary numbers: steps of positions rounded to a tenth differ by just about a tenth
TILT_MM = 0.1  # sideways over the whole stack; below it, rounding
ASIDE_MM = 0.2
MISSING = 1.5  # a step of more than this many usual ones lacks a slice


@dataclass(frozen=True)
class Stack:
    """Slices in the order of the volume's z axis.

    Attributes
    ----------
    slices : one a slice, at least two
    geometry : the grid of these slices; with a tilted gantry, as if every slice lay above the first
    shift_mm : (x, y) in the slice's plane by which each slice is displaced from the one before; (0, 0) without tilt
    doubles : slices that lie where another one does, in the order met; for the reader to compare
    """

    slices: tuple[Slice, ...]
    geometry: Geometry
    shift_mm: tuple[float, float] = (0.0, 0.0)
    doubles: tuple[tuple[Slice, Slice], ...] = ()

    @property
    def tilted(self) -> bool:
        return any(self.shift_mm)


def stack(slices: Sequence[Slice], name: str) -> Stack:
    """Order slices of one size and orientation by place.

    Parameters
    ----------
    name : what they are, for messages

    Raises
    ------
    InputError
        If it is a single slice.
    GeometryError
        If axes are not perpendicular, slices are missing, unevenly spaced or displaced from each other.
    """
    row, column, normal = slices[0].axes
    if abs(np.dot(row, column)) > 1e-3 or not np.allclose(
        [np.linalg.norm(row), np.linalg.norm(column)], 1.0, atol=1e-3
    ):
        raise GeometryError(f"{name}: ImageOrientationPatient is not two perpendicular directions; export it again")
    heights = np.array([np.dot(one.position, normal) for one in slices])
    order = np.argsort(heights, kind="stable")
    kept, doubles = _without_doubles([slices[i] for i in order], heights[order])
    if len(kept) < 2:
        raise InputError(f"{name} is a single slice (one DICOM image): give the whole series")
    positions = np.array([one.position for one in kept])
    steps = np.diff(positions @ normal)
    _check_even(steps, positions @ normal, name)
    shift = _shift(positions, row, column, name)
    step = float((positions[-1] - positions[0]) @ normal) / (len(kept) - 1)
    first = kept[0]
    geometry = Geometry(
        (first.columns, first.rows, len(kept)),
        (first.spacing[1], first.spacing[0], step),
        first.position,
        np.stack([row, column, normal], axis=1),
    )
    return Stack(tuple(kept), geometry, shift, tuple(doubles))


def _without_doubles(slices: Sequence[Slice], heights: np.ndarray) -> tuple[list[Slice], list[tuple[Slice, Slice]]]:
    kept, doubles = [slices[0]], []
    last = heights[0]
    for one, height in zip(slices[1:], heights[1:], strict=True):
        if height - last < SAME_PLACE_MM:
            doubles.append((kept[-1], one))
        else:
            kept.append(one)
            last = height
    return kept, doubles


def _check_even(steps: np.ndarray, heights: np.ndarray, name: str) -> None:
    usual = float(np.median(steps))
    apart = np.abs(steps - usual)
    tolerance = max(UNEVEN_MM, UNEVEN_SHARE * usual) + ROUNDING_MM
    adrift = np.abs(heights - np.linspace(heights[0], heights[-1], len(heights))).max()
    if apart.max() <= tolerance and adrift <= tolerance:
        return
    said = f"steps of {steps.min():.2f} to {steps.max():.2f} mm"
    wide = steps > MISSING * usual
    if wide.any() and wide.sum() <= 0.1 * len(steps) + 1:
        at = int(np.argmax(wide))
        count = int(np.sum(np.round(steps[wide] / usual) - 1))
        raise GeometryError(
            f"{name}: slices are missing ({said}): about {max(count, 1)}, the first between the slices at "
            f"{heights[at]:.1f} and {heights[at + 1]:.1f} mm; export the whole series"
        )
    raise GeometryError(
        f"{name}: slices are missing or unevenly spaced ({said}); export one reconstruction of even spacing"
    )


def _shift(positions: np.ndarray, row: np.ndarray, column: np.ndarray, name: str) -> tuple[float, float]:
    """Displacement in the slices' plane from slice to slice: none, or the same everywhere (a tilted gantry)."""
    aside = (positions - positions[0]) @ np.stack([row, column], axis=1)
    steps = np.arange(len(positions))[:, None]
    slope = aside[-1] / (len(positions) - 1)
    if np.abs(aside - steps * slope).max() > ASIDE_MM:
        raise GeometryError(f"{name}: slices are displaced sideways from each other; export the series again")
    return (0.0, 0.0) if np.abs(aside[-1]).max() <= TILT_MM else (float(slope[0]), float(slope[1]))
