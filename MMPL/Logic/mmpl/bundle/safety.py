"""What a bundle may contain. Nothing in it may run code, leave its folder or fill the memory."""

from __future__ import annotations

import ast
import io
import math
import re
import zipfile
import zlib
from pathlib import PurePosixPath

import numpy as np

from mmpl.errors import BundleError

ALLOWED_SUFFIXES = (".json", ".npz", ".safetensors", ".md", ".csv", ".svg", ".png", ".txt")
SIZE_LIMIT_BYTES = 4 << 30
NPY_MAGIC = b"\x93NUMPY"
_PICKLE_OPENINGS = tuple(b"\x80" + bytes([protocol]) for protocol in range(1, 6))
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError)
_DRIVE = re.compile(r"^[A-Za-z]:")


def check_path(rel: str, where: str) -> None:
    """Raise BundleError unless ``rel`` is a plain relative path of an allowed kind.

    Parameters
    ----------
    rel : path in the bundle, with forward slashes
    where : what to call the bundle in a message
    """
    parts = rel.split("/")
    if (
        rel.startswith("/")
        or "\\" in rel
        or "\0" in rel
        or _DRIVE.match(rel)
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise BundleError(f"bundle {where} names {rel!r}, a path that leaves it: do not use this bundle")
    if PurePosixPath(rel).suffix.lower() not in ALLOWED_SUFFIXES:
        raise BundleError(
            f"bundle {where} holds {rel!r}, a kind of file that is not allowed and may run code "
            f"(allowed: {', '.join(ALLOWED_SUFFIXES)}): do not use this bundle"
        )


def check_content(rel: str, data: bytes, where: str) -> None:
    """Raise BundleError when a file is not what its suffix says, or hides a pickle.

    Parameters
    ----------
    rel : path in the bundle
    data : its bytes
    where : what to call the bundle in a message
    """
    suffix = PurePosixPath(rel).suffix.lower()
    if suffix == ".npz":
        _check_npz(rel, data, where)
    elif suffix == ".safetensors":
        # 8 bytes of header length, then JSON (https://github.com/huggingface/safetensors)
        if data[8:9] != b"{" or int.from_bytes(data[:8], "little") > len(data) - 8:
            raise BundleError(f"bundle {where}: {rel} is not a safetensors file: get the bundle again")
    elif data.startswith((*_PICKLE_OPENINGS, b"PK\x03\x04")):
        raise BundleError(f"bundle {where}: {rel} is a pickle or an archive under another name: do not use this bundle")


def check_compression(entry: zipfile.ZipInfo, where: str) -> None:
    """Raise BundleError unless a zip entry is stored or deflated, as every common tool writes it."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"bundle {where} holds {entry.filename!r} in an uncommon compression: pack it with plain zip")


def _check_npz(rel: str, data: bytes, where: str) -> None:
    """Every entry must be an .npy array of plain numbers or text; no object arrays, no bombs."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > SIZE_LIMIT_BYTES:
                raise BundleError(f"bundle {where}: {rel} unpacks to more than 4 GiB: do not use this bundle")
            for entry in entries:
                check_compression(entry, where)
                with archive.open(entry) as file:
                    head = file.read(1 << 16)
                _check_npy(head, entry.file_size, f"{rel} ({entry.filename})", where)
    except UNREADABLE_ZIP as error:
        raise BundleError(f"bundle {where}: {rel} is not an npz file: get the bundle again") from error


def _check_npy(head: bytes, size: int, name: str, where: str) -> None:
    """Look at the header only. The .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html."""
    if not head.startswith(NPY_MAGIC) or len(head) < 10:
        raise BundleError(f"bundle {where}: {name} is not a numpy array: do not use this bundle")
    wide = head[6] >= 2
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    try:
        header = ast.literal_eval(head[start : start + length].decode("latin-1").strip())
        dtype = np.lib.format.descr_to_dtype(header["descr"])
        array_bytes = math.prod(header["shape"]) * dtype.itemsize
    except (ValueError, SyntaxError, LookupError, TypeError, RecursionError, MemoryError) as error:
        raise BundleError(f"bundle {where}: {name} has a damaged header: get the bundle again") from error
    if dtype.hasobject:
        raise BundleError(
            f"bundle {where}: {name} holds Python objects (a pickle), which may run code: do not use this bundle"
        )
    if array_bytes > size:
        raise BundleError(f"bundle {where}: {name} promises more data than it holds: do not use this bundle")
