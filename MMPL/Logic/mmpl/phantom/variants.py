"""The same patient stored in other ways: what must not change a result."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial.transform import Rotation

from mmpl.geometry import Geometry, Volume
from mmpl.phantom.scanner import reorient
from mmpl.resample import resample, to_identity

Stored = tuple[tuple[int, int, int], tuple[bool, bool, bool]]


def storage_variants() -> list[Stored]:
    """Every order of the index axes with no axis, and with all axes, running backwards."""
    flips = ((False, False, False), (True, True, True))
    return list(itertools.product(itertools.permutations(range(3)), flips))


def stored_as(volume: Volume, variant: Stored) -> Volume:
    """The same voxels in the same places in another order in memory; exact."""
    return reorient(to_identity(volume), *variant)


def on_oblique_grid(volume: Volume, angles_deg: tuple[float, float, float], *, method: str, fill: float) -> Volume:
    """Resample onto a grid of the same spacing, turned about the volume's middle and large enough to hold it all.

    Parameters
    ----------
    volume : Volume, axis-aligned
    angles_deg : rotation of the grid's axes about L, P and S, degrees
    method : "bspline" or "nearest"
    fill : value outside the volume
    """
    source = to_identity(volume).geometry
    rotation = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    spacing = np.asarray(source.spacing_mm)
    half = (np.asarray(source.size) - 1) / 2 * spacing
    middle = source.physical((np.asarray(source.size) - 1) / 2)
    size = 2 * np.ceil(np.abs(rotation.T) @ half / spacing).astype(int) + 1
    origin = middle - rotation @ ((size - 1) / 2 * spacing)
    return resample(volume, Geometry(size, spacing, origin, rotation), method=method, fill=fill)
