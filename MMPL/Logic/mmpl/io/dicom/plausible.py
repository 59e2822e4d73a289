"""Can this be a PET or CT of a person? Sentences about grids and values that a damaged header leaves behind."""

from __future__ import annotations

import numpy as np

from mmpl.geometry import Geometry, Volume

VOXEL_MM = {"CT": (0.2, 6.0), "PET": (0.8, 12.0)}  # in the slice
SLICE_STEP_MM = (0.3, 15.0)
LARGEST_EXTENT_MM = 3000.0
FARTHEST_MM = 10_000.0  # of the origin from the scanner's
JUMP = 10.0  # between neighbouring slices, in mean value
FAINT_END = 200.0  # the last slice may lie outside the patient
SMOOTHER = 0.75  # a sound image gets rougher by the exchange
PLANES_LOOKED_AT = 8


def remarks_on_grid(grid: Geometry, kind: str) -> list[str]:
    """About spacing, extent and place."""
    found = []
    x, y, z = grid.spacing_mm
    low, high = VOXEL_MM[kind]
    if not (low <= min(x, y) and max(x, y) <= high and SLICE_STEP_MM[0] <= z <= SLICE_STEP_MM[1]):
        found.append(f"{kind}: voxels of {x:.3g} x {y:.3g} x {z:.3g} mm are not those of a patient's {kind}: check it.")
    extent = max(n * s for n, s in zip(grid.size, grid.spacing_mm, strict=True))
    if extent > LARGEST_EXTENT_MM:
        found.append(f"{kind}: it reaches over {extent:.4g} mm, more than any patient: check its spacing.")
    if np.abs(grid.origin_mm).max() > FARTHEST_MM:
        found.append(
            f"{kind}: it lies more than {FARTHEST_MM / 1000:g} m from the scanner's origin: check its position."
        )
    return found


def remarks_on_values(volume: Volume, kind: str, outside: float) -> list[str]:
    """About the values of neighbouring slices and rows.

    Parameters
    ----------
    volume : slices along the array's first axis, as they were stored
    outside : value of air
    """
    with np.errstate(all="ignore"):
        return _jumps(volume.array, kind, outside) + _swapped(volume.array, kind)


def _jumps(array: np.ndarray, kind: str, outside: float) -> list[str]:
    level = np.array([np.abs(plane - np.float32(outside)).mean(dtype=float) for plane in array])
    odd = [k for k in range(len(level)) if _stands_out(level, k)]
    if not odd:
        return []
    if len(odd) == 1:
        return [
            f"{kind}: slice {odd[0] + 1} of {len(level)} is far brighter or darker than its neighbours: look at it."
        ]
    return [
        f"{kind}: {len(odd)} of {len(level)} slices, first slice {odd[0] + 1}, are far brighter or darker than their "
        "neighbours: look at them."
    ]


def _stands_out(level: np.ndarray, k: int) -> bool:
    beside = np.array([level[n] for n in (k - 1, k + 1) if 0 <= n < len(level)])
    if not np.isfinite(level[k]) or level[k] > JUMP * beside.max() > 0:
        return True
    if len(beside) == 1:
        return bool(0 < level[k] * FAINT_END < beside.min())
    return bool(level[k] * JUMP < beside.min())


def _swapped(array: np.ndarray, kind: str) -> list[str]:
    """Rows and columns exchanged in the header make noise of an image, which the exchange undoes."""
    count, rows, columns = array.shape
    if rows == columns or min(rows, columns) < 4:
        return []
    planes = array[:: max(1, count // PLANES_LOOKED_AT)].astype(np.float64)
    turned = planes.reshape(len(planes), columns, rows)
    if not 0 < _roughness(turned) < SMOOTHER * _roughness(planes):
        return []
    return [f"{kind}: its rows and columns seem to be exchanged (Rows, Columns): look at the images."]


def _roughness(planes: np.ndarray) -> float:
    """Mean difference of neighbouring rows."""
    return float(np.abs(np.diff(planes, axis=1)).mean())
