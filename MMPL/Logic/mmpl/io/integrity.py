"""Is all of an image file there, and undamaged?

SimpleITK reads a truncated ``.nii.gz`` or ``.nii``, and compressed NRRD and MHA data with flipped bits,
without an error and returns wrong voxels. So the stored stream is checked here: compressed data must
inflate to its end with the right checksum, and to at least the number of bytes the header promises.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from mmpl.errors import InputError

CHUNK_BYTES = 1 << 16
HEADER_LIMIT_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
GZIP_OR_ZLIB = 47  # zlib's "wbits" that recognises both wrappers


@dataclass(frozen=True)
class StoredData:
    """Where an image file keeps its voxels.

    Attributes
    ----------
    path : the file that holds them (another one for .nhdr and .mhd)
    offset : first byte of the (compressed) data
    compressed : gzip or zlib, else raw
    size : least number of bytes after ``offset`` once inflated; None when the header does not say
    """

    path: Path
    offset: int
    compressed: bool
    size: int | None


def check_stored_data(path: Path, what: str) -> None:
    """Raise InputError when the voxels of an image file are cut short or damaged.

    Parameters
    ----------
    path : a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file
    what : what the image is, for the message
    """
    stored = _find_stored_data(path, what)
    if stored is None:
        return
    if not stored.path.is_file():
        raise InputError(
            f"{what} {path} keeps its voxels in {stored.path.name}, which is missing: "
            "put it beside the header"
        )
    found = _inflated_size(stored, what) if stored.compressed else _raw_size(stored)
    if stored.size is not None and found < stored.size:
        raise InputError(
            f"{what} {stored.path} is cut short: {found} of {stored.size} bytes of image data are "
            "there; copy or export it again"
        )


def _raw_size(stored: StoredData) -> int:
    return max(stored.path.stat().st_size - stored.offset, 0)


def _inflated_size(stored: StoredData, what: str) -> int:
    """Bytes that the compressed data inflate to, all gzip members together."""
    total, members = 0, 0
    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        with stored.path.open("rb") as file:
            file.seek(stored.offset)
            chunk = file.read(CHUNK_BYTES)
            while chunk:
                total += len(inflater.decompress(chunk))
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
    raise InputError(
        f"{what} {stored.path} is cut short: its compressed data end early; copy or export it again"
    )


def _find_stored_data(path: Path, what: str) -> StoredData | None:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _nifti_data(path, what)
    if name.endswith((".nrrd", ".nhdr")):
        return _nrrd_data(path)
    return _meta_image_data(path)


def _nifti_data(path: Path, what: str) -> StoredData:
    """NIfTI-1 and NIfTI-2 headers: https://nifti.nimh.nih.gov/nifti-1, /nifti-2."""
    with path.open("rb") as file:
        head = file.read(4096)
    compressed = head.startswith(GZIP_MAGIC)
    if compressed:
        try:
            head = zlib.decompressobj(GZIP_OR_ZLIB).decompress(head)
        except zlib.error as error:
            raise InputError(f"{what} {path} is damaged ({error}): copy or export it again") from error
    return StoredData(path, 0, compressed, _nifti_file_size(head))


def _nifti_file_size(head: bytes) -> int | None:
    for order in "<>":
        if len(head) >= 348 and struct.unpack_from(f"{order}i", head)[0] == 348:
            dims = struct.unpack_from(f"{order}8h", head, 40)
            bits = struct.unpack_from(f"{order}h", head, 72)[0]
            start = struct.unpack_from(f"{order}f", head, 108)[0]
            break
        if len(head) >= 540 and struct.unpack_from(f"{order}i", head)[0] == 540:
            dims = struct.unpack_from(f"{order}8q", head, 16)
            bits = struct.unpack_from(f"{order}h", head, 14)[0]
            start = struct.unpack_from(f"{order}q", head, 168)[0]
            break
    else:
        return None
    if not (0 < dims[0] < 8 and math.isfinite(start)):
        return None
    return int(start) + math.prod(dims[1 : dims[0] + 1]) * bits // 8


_NRRD_TYPE_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4
    ),
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
        counts = [int(n) for n in fields["sizes"].split() if n.isdigit()]
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
    counts = [int(n) for n in fields.get("DimSize", "").split() if n.isdigit()]
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    return math.prod(counts) * channels * _META_TYPE_BYTES[fields["ElementType"]] if counts else None
