"""One preprocessed case on disk: a folder of two arrays, read memory-mapped, and a description of them.

::

    <patient>/image.npy    float16, shape (2, z, y, x), PET and CT
    <patient>/label.npy    uint8, shape (2, z, y, x); only where there are contours
    <patient>/case.json    format, spacing, lost voxels, and how to tell that a file has changed
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import OutputError
from mmpl.io.output import write_json_atomic

FORMAT = 2  # raised whenever the same images give other arrays
IMAGE, LABEL, DESCRIPTION = "image.npy", "label.npy", "case.json"
HIDDEN_FOR_S = 24 * 3600.0  # a hidden folder this old belongs to a process that was killed
ATTEMPTS = 50  # another process may put its own entry in place in between


class DamagedEntryError(Exception):
    """An entry cannot be used; says why."""


@dataclass(frozen=True)
class SourceState:
    """A source file when the entry was made: an unchanged size and time are trusted, else its content is compared."""

    size: int
    mtime_ns: int
    sha256: str

    def looks_like(self, path: Path) -> bool:
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True)
class ArrayState:
    """A file of the entry itself."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Description:
    """What ``case.json`` holds.

    Attributes
    ----------
    spacing_mm : of the network grid
    lost_voxels : label voxels of the native grid that lie outside the ROI
    sources : "ct", "pt" and, where there are contours, "label"
    arrays : file name to its state
    """

    spacing_mm: float
    lost_voxels: int
    sources: Mapping[str, SourceState]
    arrays: Mapping[str, ArrayState]
    format: int = FORMAT

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping) -> Description:
        return cls(
            float(data["spacing_mm"]),
            int(data["lost_voxels"]),
            {role: SourceState(**state) for role, state in data["sources"].items()},
            {name: ArrayState(**state) for name, state in data["arrays"].items()},
            int(data["format"]),
        )


def arrays_sha256(path: Path) -> dict[str, str]:
    """File name -> checksum of an entry's arrays, as its description has them.

    Raises
    ------
    DamagedEntryError
        If the description cannot be read.
    """
    return {name: state.sha256 for name, state in sorted(read_description(path).arrays.items())}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_state(path: Path) -> SourceState:
    stat = path.stat()  # before reading: a file that changes meanwhile is then seen to have changed
    return SourceState(stat.st_size, stat.st_mtime_ns, sha256_of(path))


def read_description(path: Path) -> Description:
    """What an entry says of itself.

    Raises
    ------
    DamagedEntryError
        If ``case.json`` is missing or is not what is written there. An entry of another format may look like that.
    """
    try:
        return Description.from_dict(json.loads((path / DESCRIPTION).read_text(encoding="utf-8")))
    except OSError as error:
        raise DamagedEntryError(f"{DESCRIPTION} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedEntryError(f"{DESCRIPTION} does not describe a case") from error


def check_arrays(path: Path, description: Description, *, checksums: bool) -> None:
    """Whether the arrays are there and whole; with ``checksums``, whether they are what was written.

    Raises
    ------
    DamagedEntryError
        If they are not.
    """
    for name, state in description.arrays.items():
        file = path / name
        if not file.is_file():
            raise DamagedEntryError(f"{name} is missing")
        if file.stat().st_size != state.size:
            raise DamagedEntryError(f"{name} has {file.stat().st_size} of {state.size} bytes")
        if checksums and sha256_of(file) != state.sha256:
            raise DamagedEntryError(f"{name} does not match its checksum")


def mapped_array(path: Path) -> np.ndarray:
    """An array that stays in its file until parts of it are read; read-only.

    Raises
    ------
    DamagedEntryError
        If the file is missing or cut short.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise DamagedEntryError(f"{path.name} cannot be read ({error})") from error


def write_entry(
    path: Path,
    image: np.ndarray,
    label: np.ndarray | None,
    *,
    spacing_mm: float,
    lost_voxels: int,
    sources: Mapping[str, SourceState],
) -> None:
    """Write an entry beside its place and rename it: readers see the old one, or the whole new one.

    Parameters
    ----------
    image, label : shape (2, z, y, x); stored as float16 and uint8

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left of it then.
    """
    partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
    arrays = {IMAGE: image.astype(np.float16)} | ({} if label is None else {LABEL: label.astype(np.uint8)})
    try:
        partial.mkdir(parents=True)
        states = {name: _write_array(partial / name, array) for name, array in arrays.items()}
        description = Description(float(spacing_mm), int(lost_voxels), dict(sources), states)
        (partial / DESCRIPTION).write_text(json.dumps(description.to_dict(), indent=2) + "\n", encoding="utf-8")
        _put_in_place(partial, path)
    except OSError as error:
        raise _cannot_write(path, error, arrays) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_description(path: Path, description: Description) -> None:
    """Replace an entry's description."""
    write_json_atomic(path / DESCRIPTION, description.to_dict())


def remove_leftovers(folder: Path, now_s: float | None = None) -> None:
    """Take away the hidden folders of processes that were killed; those of running ones are younger."""
    now_s = time.time() if now_s is None else now_s
    for hidden in folder.glob(".*-????????"):
        if hidden.is_dir() and now_s - hidden.stat().st_mtime > HIDDEN_FOR_S:
            shutil.rmtree(hidden, ignore_errors=True)


def _write_array(path: Path, array: np.ndarray) -> ArrayState:
    # by way of memory: numpy's own writing to a file does not say why it failed
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    data = stream.getbuffer()
    path.write_bytes(data)
    return ArrayState(len(data), hashlib.sha256(data).hexdigest())


def _put_in_place(partial: Path, path: Path) -> None:
    """A folder cannot be renamed onto another one: the old entry is moved aside first."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            os.rename(partial, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) or attempt == ATTEMPTS:
                raise
        _discard(path)


def _discard(path: Path) -> None:
    aside = path.with_name(f".{path.name}.old-{secrets.token_hex(4)}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:  # another process was quicker
        return
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError, arrays: Mapping[str, np.ndarray]) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        size_mb = sum(array.nbytes for array in arrays.values()) / 1e6
        return OutputError(
            f"cache {path} cannot be written: the disk is full; a case takes {size_mb:.0f} MB, free some space and "
            "give the same command again"
        )
    reason = error.strerror or str(error)
    return OutputError(f"cache {path} cannot be written ({reason}): choose a folder you may write to")
