"""Arrays between the two processes: plain ``.npy`` files in a folder that both know, named in the messages.

A label map travels as the box that holds its labels, which is small however large the CT is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume


def write_volume(folder: Path, name: str, volume: Volume) -> dict:
    """Write a volume's voxels and return the part of a message that names them."""
    np.save(folder / name, volume.array, allow_pickle=False)
    return {"file": name, "geometry": volume.geometry.to_dict()}


def read_volume(folder: Path, data: Mapping) -> Volume:
    return Volume(_read(folder, data["file"]), Geometry.from_dict(data["geometry"]))


def write_label_map(folder: Path, name: str, label_map: np.ndarray) -> dict:
    """Write the labelled box of a uint8 array (z, y, x) and return the part of a message that names it."""
    box = bounding_box(label_map) or (slice(0, 0),) * 3
    return write_box(folder, name, label_map[box], [s.start for s in box])


def write_box(folder: Path, name: str, labels: np.ndarray, start_zyx) -> dict:
    """What :func:`write_label_map` does, of a box that is cut out already and begins at ``start_zyx`` of the grid."""
    np.save(folder / name, labels, allow_pickle=False)
    return {"file": name, "start_zyx": [int(start) for start in start_zyx]}


def read_label_map(folder: Path, data: Mapping, shape: tuple[int, int, int]) -> np.ndarray:
    """The whole label map, uint8, shape (z, y, x).

    Raises
    ------
    InputError
        If the box leaves the grid.
    """
    part, label_map = _read(folder, data["file"]), np.zeros(shape, np.uint8)
    box = tuple(slice(a, a + n) for a, n in zip(data["start_zyx"], part.shape, strict=True))
    if any(s.start < 0 or s.stop > n for s, n in zip(box, shape, strict=True)):
        raise InputError(f"contours of {part.shape} voxels at {data['start_zyx']} leave the CT's grid of {shape}")
    label_map[box] = part
    return label_map


def _read(folder: Path, name: str) -> np.ndarray:
    if Path(name).name != name:
        raise InputError(f"array {name!r}: only files of the shared folder are read")
    try:
        return np.load(folder / name, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"array {name!r} cannot be read: {error}") from error
