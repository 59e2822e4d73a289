"""What a NIfTI file's header says, as far as SimpleITK passes over it.

NIfTI-1 and NIfTI-2: https://nifti.nimh.nih.gov/nifti-1, /nifti-2.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from mmpl.errors import InputError

SUFFIXES = (".nii", ".nii.gz")
GZIP_MAGIC = b"\x1f\x8b"
GZIP_OR_ZLIB = 47  # zlib's "wbits" that recognises both wrappers
HEAD_BYTES = 4096
FLOATS = {16: "f4", 64: "f8"}
UNIT_MM = {1: 1000.0, 3: 0.001}  # metres and micrometres; all else is taken for mm
APART_MM = 1.0  # two positions of one corner


def is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def read_head(path: Path, what: str) -> tuple[bytes, bool]:
    """The first bytes of a file, inflated where it is compressed, and whether it is.

    Raises
    ------
    InputError
        If the compressed data is damaged there.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return head, False
    try:
        return zlib.decompressobj(GZIP_OR_ZLIB).decompress(head), True
    except zlib.error as error:
        raise InputError(f"{what} {path} is damaged ({error}): copy or export it again") from error


def _version(head: bytes) -> tuple[int, str] | None:
    """1 or 2, and the order of bytes as ``struct`` names it; None for what is no NIfTI."""
    for order, (version, size) in itertools.product("<>", ((1, 348), (2, 540))):
        if len(head) >= size and struct.unpack_from(f"{order}i", head)[0] == size:
            return version, order
    return None


def stored_layout(head: bytes) -> tuple[int | None, str | None, int]:
    """Bytes of the whole file, numpy type of float voxels, and bytes before the first voxel."""
    found = _version(head)
    if found is None:
        return None, None, 0
    version, order = found
    dims = _dims(head, version, order)
    kind, bits = struct.unpack_from(f"{order}2h", head, 70 if version == 1 else 12)
    start = struct.unpack_from(f"{order}f", head, 108) if version == 1 else struct.unpack_from(f"{order}q", head, 168)
    if not (0 < dims[0] < 8 and math.isfinite(start[0])):
        return None, None, 0
    first = int(start[0])
    floats = order + FLOATS[kind] if kind in FLOATS else None
    return first + math.prod(dims[1 : dims[0] + 1]) * bits // 8, floats, first


def _dims(head: bytes, version: int, order: str) -> tuple[int, ...]:
    return struct.unpack_from(f"{order}8h", head, 40) if version == 1 else struct.unpack_from(f"{order}8q", head, 16)


def position_doubt(path: Path, what: str) -> str | None:
    """What is doubtful of where an image lies, as "PET ..." goes on; None where nothing is, or it is no NIfTI.

    A file may give two positions, the scanner's (qform) and another (sform), as of an image that was registered. ITK,
    and so Slicer and MMPL, takes one of them; other programs take the other.
    """
    head = read_head(path, what)[0] if is_nifti(path) else b""
    found = _version(head)
    if found is None:
        return None
    codes, of_quaternion, of_rows = _positions(head, *found)
    if max(codes) <= 0:
        return "names no position and no direction (qform and sform codes 0): look whether PET and CT lie on each other"
    if min(codes) <= 0:
        return None
    size = np.maximum(_dims(head, *found)[1:4], 1)
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, n - 1) for n in size))]).T
    apart_mm = float(np.linalg.norm((of_quaternion - of_rows) @ corners, axis=0).max())
    if not apart_mm > APART_MM:
        return None
    return (
        f"gives two positions up to {apart_mm:.3g} mm apart (qform and sform), of which the one is used that Slicer "
        "shows: look whether PET and CT lie on each other"
    )


def _positions(head: bytes, version: int, order: str) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """(qform_code, sform_code), and the matrix of each, voxel -> RAS mm, shape (3, 4)."""
    if version == 1:
        codes, unit = struct.unpack_from(f"{order}2h", head, 252), head[123]
        pixdim, quaternion = struct.unpack_from(f"{order}8f", head, 76), struct.unpack_from(f"{order}6f", head, 256)
        rows = struct.unpack_from(f"{order}12f", head, 280)
    else:
        codes, unit = struct.unpack_from(f"{order}2i", head, 344), struct.unpack_from(f"{order}i", head, 500)[0]
        pixdim, quaternion = struct.unpack_from(f"{order}8d", head, 104), struct.unpack_from(f"{order}6d", head, 352)
        rows = struct.unpack_from(f"{order}12d", head, 400)
    scale = UNIT_MM.get(unit & 7, 1.0)
    return codes, scale * _of_quaternion(quaternion, pixdim), scale * np.reshape(rows, (3, 4))


def _of_quaternion(quaternion: tuple[float, ...], pixdim: tuple[float, ...]) -> np.ndarray:
    b, c, d, *offset = quaternion
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    turned = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = np.array([pixdim[1], pixdim[2], pixdim[3] * (-1.0 if pixdim[0] < 0 else 1.0)])
    return np.column_stack([turned * steps, offset])
