"""CT slices as a tilted gantry takes them.

The gantry is turned about the patient's row axis (i), so image planes are no longer square to the table; but between
two images the table still moves along k. Image normal and stacking direction then differ by the tilt: seen in the
images' own frame, each slice lies a little further along its columns than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mmpl.geometry import Geometry, Volume

AIR_HU = -1024.0


@dataclass(frozen=True)
class TiltedSlices:
    """Images with their places.

    Attributes
    ----------
    array : HU, shape (slices, rows, columns)
    plane : Geometry whose first two axes are those of every image; its third is their normal
    positions_mm : LPS position of each image's first pixel, shape (slices, 3)
    """

    array: np.ndarray
    plane: Geometry
    positions_mm: np.ndarray


def tilted(ct_hu: Volume, tilt_deg: float) -> TiltedSlices:
    """The slices of a CT at a gantry tilt; without one they are the volume's own.

    Every slice is turned about the row through its own middle. Points are interpolated linearly in the volume, so the
    HU at a place in the patient stays what it was there; places outside the volume are air.
    """
    g = ct_hu.geometry
    if tilt_deg == 0:
        return TiltedSlices(ct_hu.array, g, g.physical([(0, 0, k) for k in range(g.size[2])]))
    plane = replace(g, direction=np.asarray(g.direction) @ _turn_about_i(tilt_deg))
    middles = g.physical([(0, (g.size[1] - 1) / 2, k) for k in range(g.size[2])])
    columns = np.asarray(plane.direction)[:, 1]
    positions = middles - columns * ((g.size[1] - 1) / 2 * g.spacing_mm[1])
    return TiltedSlices(np.stack([_sampled(ct_hu, plane, p) for p in positions]), plane, positions)


def _turn_about_i(angle_deg: float) -> np.ndarray:
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _sampled(ct_hu: Volume, plane: Geometry, position_mm: np.ndarray) -> np.ndarray:
    """One image, shape (rows, columns)."""
    rows, columns = np.mgrid[: plane.size[1], : plane.size[0]]
    at = replace(plane, origin_mm=position_mm).physical(np.stack([columns, rows, np.zeros_like(rows)], axis=-1))
    index_kji = np.moveaxis(ct_hu.geometry.index(at)[..., ::-1], -1, 0)
    return ndimage.map_coordinates(ct_hu.array.astype(float), index_kji, order=1, mode="constant", cval=AIR_HU)
