"""Fingerprint of an image: where its voxels lie in the world and what they hold, cheap enough for a front end."""

from __future__ import annotations

import hashlib

import numpy as np

import slicer
from mmpl.geometry import Geometry
from mmpl_slicer.volumes import geometry_of_node

STEPS_PER_MM = 1000
OFF_ROUND = 0.137  # headers hold round numbers, which must not lie where one step passes into the next
SUMS, SAMPLES = 256, 1 << 14


def image_digest(node) -> str:
    """Fingerprint of a volume node, the same on whatever machine its scene is opened.

    Raises
    ------
    InputError
        If the node holds no voxels.
    GeometryError
        If the node lies under a non-linear transform, or axes are not orthogonal.
    """
    place = _place(geometry_of_node(node))
    return hashlib.blake2b(place + voxel_digest(slicer.util.arrayFromVolume(node)), digest_size=12).hexdigest()


def voxel_digest(array: np.ndarray) -> bytes:
    """Fingerprint of an array's shape and content: sums see that a value changes, samples see values change places.

    A cryptographic hash of all of a CT would keep a front end waiting.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    octets = flat.view(np.uint8)
    words = octets[: octets.size // 8 * 8].view(np.uint64)
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=12)
    if words.size:
        digest.update(np.add.reduceat(words, np.arange(0, words.size, _stride(words.size, SUMS))).tobytes())
    digest.update(octets[words.nbytes :].tobytes())
    digest.update(flat[:: _stride(flat.size, SAMPLES)].tobytes())
    return digest.digest()


def _stride(size: int, parts: int) -> int:
    return max(1, -(-size // parts))


def _place(geometry: Geometry) -> bytes:
    """Where a grid's corners lie, to a thousandth of a millimetre."""
    return np.rint(geometry.corner_centres_lps * STEPS_PER_MM + OFF_ROUND).astype(np.int64).tobytes()
