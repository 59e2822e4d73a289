"""Is all of an image file there, and undamaged?

SimpleITK reads a truncated ``.nii.gz`` or ``.nii``, and compressed NRRD and MHA data with flipped bits,
without an error and returns wrong voxels. So the stored stream is checked here: compressed data must
inflate to its end with the right checksum, and to at least the number of bytes the header promises.
ITK's NIfTI library also turns NaN and infinite voxels into 0 without a word; they are looked for on the way.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import InputError
from mmpl.io.nifti import GZIP_MAGIC, GZIP_OR_ZLIB, is_nifti, read_head, stored_layout

CHUNK_BYTES = 1 << 16
HEADER_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredData:
    """Where an image file keeps its voxels.

    Attributes
    ----------
    path : the file that holds them (another one for .nhdr and .mhd)
    offset : first byte of the (compressed) data
    compressed : gzip or zlib, else raw
    size : least number of bytes after ``offset`` once inflated; None when the header does not say
    floats : numpy type of the voxels where they are to be looked at (NIfTI with float voxels), else None
    first_voxel : bytes before the first voxel once inflated, for ``floats``
    """

    path: Path
    offset: int
    compressed: bool
    size: int | None
    floats: str | None = None
    first_voxel: int = 0


class _NotFiniteVoxels:
    """Finds NaN and infinite voxels in a stream of bytes."""

    def __init__(self, stored: StoredData):
        self._type = np.dtype(stored.floats or "u1")
        self._skip = stored.first_voxel
        self._wanted = stored.floats is not None
        self._rest, self._seen, self._found = b"", 0, []

    def look_at(self, data: bytes) -> None:
        if not self._wanted:
            return
        skipped = data[: self._skip]
        self._skip -= len(skipped)
        data = self._rest + data[len(skipped) :]
        whole = len(data) - len(data) % self._type.itemsize
        voxels = np.frombuffer(data[:whole], self._type)
        self._found.append(np.flatnonzero(~np.isfinite(voxels)) + self._seen)
        self._rest, self._seen = data[whole:], self._seen + len(voxels)

    def index(self) -> np.ndarray:
        """Indices in the order of the file."""
        return np.concatenate(self._found) if self._found else np.empty(0, dtype=int)


def check_stored_data(path: Path, what: str) -> np.ndarray:
    """Raise InputError when the voxels of an image file are cut short or damaged.

    Parameters
    ----------
    path : a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file
    what : what the image is, for the message

    Returns
    -------
    int array, indices (x fastest) of NaN and infinite voxels that the reader will have turned into 0
    """
    stored = _find_stored_data(path, what)
    if stored is None:
        return np.empty(0, dtype=int)
    if not stored.path.is_file():
        raise InputError(
            f"{what} {path} keeps its voxels in {stored.path.name}, which is missing: put it beside the header"
        )
    voxels = _NotFiniteVoxels(stored)
    found = _inflated_size(stored, what, voxels) if stored.compressed else _raw_size(stored, voxels)
    if stored.size is not None and found < stored.size:
        raise InputError(
            f"{what} {stored.path} is cut short: {found} of {stored.size} bytes of image data are "
            "there; copy or export it again"
        )
    return voxels.index()


def _raw_size(stored: StoredData, voxels: _NotFiniteVoxels) -> int:
    if stored.floats:
        with stored.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                voxels.look_at(chunk)
    return max(stored.path.stat().st_size - stored.offset, 0)


def _inflated_size(stored: StoredData, what: str, voxels: _NotFiniteVoxels) -> int:
    """Bytes that the compressed data inflate to, all gzip members together."""
    total, members = 0, 0
    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        with stored.path.open("rb") as file:
            file.seek(stored.offset)
            chunk = file.read(CHUNK_BYTES)
            while chunk:
                data = inflater.decompress(chunk)
                voxels.look_at(data)
                total += len(data)
                chunk = inflater.unused_data
                if inflater.eof:
                    members += 1
                    chunk += file.read(CHUNK_BYTES)
                    if not chunk.startswith(GZIP_MAGIC):  # padding after the last member
                        return total
                    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
                else:
                    chunk = file.read(CHUNK_BYTES)
    except zlib.error as error:
        raise InputError(f"{what} {stored.path} is damaged ({error}): copy or export it again") from error
    raise InputError(f"{what} {stored.path} is cut short: its compressed data end early; copy or export it again")


def _find_stored_data(path: Path, what: str) -> StoredData | None:
    if is_nifti(path):
        return _nifti_data(path, what)
    if path.name.lower().endswith((".nrrd", ".nhdr")):
        return _nrrd_data(path)
    return _meta_image_data(path)


def _nifti_data(path: Path, what: str) -> StoredData:
    head, compressed = read_head(path, what)
    size, floats, first_voxel = stored_layout(head)
    return StoredData(path, 0, compressed, size, floats, first_voxel)


_NRRD_TYPE_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t", "ulonglong", "uint64", "uint64_t"), 8),
    "float": 4,
    "double": 8,
}


def _nrrd_data(path: Path) -> StoredData | None:
    """NRRD0001-5 headers: https://teem.sourceforge.net/nrrd/format.html."""
    with path.open("rb") as file:
        head = file.read(HEADER_LIMIT_BYTES)
    if not head.startswith(b"NRRD"):
        return None
    text, offset = _until_blank_line(head)
    fields = {}
    for line in text.splitlines()[1:]:
        key, separator, value = line.partition(":")
        if separator and not value.startswith("=") and not line.startswith("#"):
            fields[key.strip().lower()] = value.strip()
    if any(fields.get(skip, "0") != "0" for skip in ("line skip", "lineskip", "byte skip", "byteskip")):
        return None
    size = None
    if fields.get("type") in _NRRD_TYPE_BYTES and "sizes" in fields:
        counts = _whole_numbers(fields["sizes"])
        size = math.prod(counts) * _NRRD_TYPE_BYTES[fields["type"]]
    data_file = fields.get("data file", fields.get("datafile"))
    if data_file is not None:
        if "%" in data_file or data_file.startswith("LIST"):
            return None  # many files: left to the reader, which checks raw sizes
        path, offset = path.parent / data_file, 0
    encoding = fields.get("encoding", "raw")
    if encoding not in ("raw", "gzip", "gz"):
        return None
    return StoredData(path, offset, encoding != "raw", size)


def _until_blank_line(head: bytes) -> tuple[str, int]:
    ends = [(head.find(blank), len(blank)) for blank in (b"\n\n", b"\r\n\r\n")]
    found = [(at, at + length) for at, length in ends if at >= 0]
    stop, offset = min(found, default=(len(head), len(head)))
    return head[:stop].decode("utf-8", "replace"), offset


def _meta_image_data(path: Path) -> StoredData | None:
    """MetaImage headers: https://itk.org/Wiki/MetaIO/Documentation."""
    with path.open("rb") as file:
        head = file.read(HEADER_LIMIT_BYTES)
    fields, offset = {}, 0
    for raw in head.split(b"\n"):
        offset += len(raw) + 1
        key, separator, value = raw.decode("utf-8", "replace").partition("=")
        if not separator:
            return None
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    else:
        return None
    data_file = fields["ElementDataFile"]
    if data_file != "LOCAL":
        if "%" in data_file or data_file.startswith("LIST"):
            return None
        path, offset = path.parent / data_file, 0
    compressed = fields.get("CompressedData", "False").lower() == "true"
    return StoredData(path, offset, compressed, _meta_image_size(fields))


_META_TYPE_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


def _meta_image_size(fields: dict[str, str]) -> int | None:
    if fields.get("ElementType") not in _META_TYPE_BYTES or "HeaderSize" in fields:
        return None
    if not fields.get("BinaryData", "True").startswith(("T", "t", "1")):  # as ITK reads it
        return None  # numbers as text, of any length: left to the reader
    counts = _whole_numbers(fields.get("DimSize", ""))
    channels = _whole_numbers(fields.get("ElementNumberOfChannels", "1"))
    if not counts or len(channels) != 1:
        return None  # for the reader to refuse
    return math.prod(counts) * channels[0] * _META_TYPE_BYTES[fields["ElementType"]]


def _whole_numbers(text: str) -> list[int]:
    """Those of a header's words that are numbers of a size that can be."""
    return [int(word) for word in text.split() if re.fullmatch("[0-9]{1,18}", word)]
