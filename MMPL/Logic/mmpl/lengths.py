"""Lengths in mm as voxels of a network's grid: one rule for windows, patches and boxes."""

from __future__ import annotations

MULTIPLE = 16  # the network halves its grid four times
WINDOW_MM = 128.0  # side of the paper's windows and of training's crops


def voxels_of(length_mm: float, spacing_mm: float) -> int:
    return max(1, round(length_mm / spacing_mm))


def padded_voxels(length_mm: float, spacing_mm: float) -> int:
    """Voxels of a window: round(length / spacing), then up to the next multiple of 16."""
    return -(-voxels_of(length_mm, spacing_mm) // MULTIPLE) * MULTIPLE
