"""Results appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mmpl.errors import OutputError
from mmpl.file_names import check_spelling
from mmpl.results import json_ready

LONGEST_STEM = 200  # bytes; file systems allow 255 a name
SET_ASIDE = "-old"
HALF_WRITTEN = re.compile(rf"\.(?P<stem>.+)\.partial-[0-9a-f]{{8}}({SET_ASIDE})?")
ABANDONED_S = 3600.0  # whoever writes changes something more often than that
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # file systems that have none


class OutputFolder:
    """Write into a hidden folder; move everything in place when the block ends without an error.

    ``with OutputFolder(path) as folder:`` gives the folder to write into. On success its files (sub-folders
    included) appear in ``path``: a new ``path`` by one rename, an existing one file by file, where files
    of the same name are replaced and all others are left alone. On any exception, and when a file cannot
    be moved, ``path`` is as it was before. What a killed process left of an earlier attempt is removed on success,
    once nothing in it has changed for an hour. For an existing ``path`` the hidden folder lies inside it, so
    a mounted output folder works (same file system, no rights needed beside it).

    Raises
    ------
    OutputError
        If ``path`` is a file, cannot be made or written, or the disk is full. Other errors pass through.
    """

    def __init__(self, path: str | Path):
        self.path = Path(os.path.abspath(path))
        self._made_parents: list[Path] = []
        self._partial: Path | None = None

    def __enter__(self) -> Path:
        check_spelling(self.path)
        try:
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(f"output {self.path} is a file: give a folder")
            self._existed = self.path.is_dir()
            home = self.path if self._existed else self.path.parent
            self._make_parents(home)
            partial = home / f".{partial_stem(self.path.name)}.partial-{secrets.token_hex(4)}"
            partial.mkdir()
        except OSError as error:
            self._discard()
            raise _output_error(self.path, error) from error
        self._partial = partial
        return partial

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._commit()
            except OSError as failure:
                self._discard()
                raise _output_error(self.path, failure) from failure
            except BaseException:  # Ctrl-C
                self._discard()
                raise
            return
        about_output = isinstance(error, OSError) and self._concerns_output(error)
        self._discard()
        if about_output:
            raise _output_error(self.path, error) from error

    def _make_parents(self, home: Path) -> None:
        missing = [home, *home.parents]
        for folder in reversed([p for p in missing if not p.exists()]):
            folder.mkdir()
            self._made_parents.append(folder)

    def _commit(self) -> None:
        if self._existed or self.path.is_dir():  # it may have come meanwhile
            _move_files(self._partial, self.path)
            shutil.rmtree(self._partial)
        else:
            os.rename(self._partial, self.path)
        for folder in half_written(self.path):
            if time.time() - _changed_s(folder) > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)

    def _discard(self) -> None:
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
        for folder in reversed(self._made_parents):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _concerns_output(self, error: OSError) -> bool:
        if error.errno in _DISK_ERRORS:
            return True
        return error.filename is not None and self._partial in Path(os.fsdecode(error.filename)).parents


def partial_stem(name: str) -> str:
    """What tells the hidden, half-written copy of a file or folder: its name, or a checksum where that is long."""
    data = os.fsencode(name)
    return name if len(data) <= LONGEST_STEM else hashlib.sha256(data).hexdigest()[:16]


def half_written(path: Path) -> list[Path]:
    """The hidden folders that are being written for an output, or that killed processes have left."""
    return [*_half_written_in(path.parent, {path.name}), *_half_written_in(path, {path.name})]


def remove_half_written(path: Path, but: Collection[Path]) -> None:
    """Remove what a process that has ended left of an output; ``but`` is what lay there before it began.

    Files that it had set aside for its own, and could not put in their place any more, are somebody's: they stay.
    """
    for folder in half_written(path):
        if folder not in but and not folder.name.endswith(SET_ASIDE):
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(home: Path, names: Collection[str]) -> None:
    """Remove what killed runs left half-written in a folder, of outputs of these names."""
    for folder in _half_written_in(home, names):
        shutil.rmtree(folder, ignore_errors=True)


def _half_written_in(home: Path, names: Collection[str]) -> list[Path]:
    stems = {partial_stem(name) for name in names}
    with suppress(OSError):  # it may not be listed, or not be there
        found = ((path, HALF_WRITTEN.fullmatch(path.name)) for path in home.iterdir())
        return [path for path, match in found if match and match["stem"] in stems and path.is_dir()]
    return []


def _changed_s(folder: Path) -> float:
    """When anything in a folder changed last; now, where it is about to go."""
    with suppress(OSError):
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time()


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write UTF-8 text: the file is either the old one or the whole new one.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_bytes_atomic(path, text.encode("utf-8"))


def write_json_atomic(path: str | Path, value: object) -> None:
    """Write JSON, indented, numpy values accepted; NaN and infinities become null.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text_atomic(path, json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: str | Path, line: str) -> None:
    """Add a line of UTF-8 text to a file.

    Raises
    ------
    OutputError
        If it cannot be written; part of the line may then be there.
    """
    try:
        with Path(path).open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
    except OSError as error:
        raise _output_error(Path(path), error) from error


def make_folder(path: str | Path) -> Path:
    """A folder that is there afterwards, with all above it; what was in it stays.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _output_error(path, error) from error
    return path


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Write bytes to a temporary file beside ``path``, then rename.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{partial_stem(path.name)}.partial-{secrets.token_hex(4)}")
    try:
        partial.write_bytes(data)
        to_disk(partial)
        os.replace(partial, path)
    except OSError as error:
        if partial.exists():
            partial.unlink()
        raise _output_error(path, error) from error


def to_disk(path: Path) -> None:
    """Have a file's content written out, so that a power cut after it is renamed leaves no empty file in its place."""
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_FSYNC:
                raise


def _move_files(source: Path, target: Path) -> None:
    """Move every file of ``source`` to the same place under ``target``; all of them or none."""
    retired = source.parent / f"{source.name}{SET_ASIDE}"
    done: list[tuple[Path, Path | None]] = []
    made: list[Path] = []
    retired.mkdir()
    try:
        for file in sorted(p for p in source.rglob("*") if p.is_file()):
            place = target / file.relative_to(source)
            for folder in reversed([p for p in place.parents if not p.exists()]):
                folder.mkdir()
                made.append(folder)
            old = None
            if place.exists() and not place.is_dir():
                old = retired / str(len(done))
                os.replace(place, old)
            done.append((place, old))
            os.replace(file, place)
    except BaseException:  # Ctrl-C too: half of the new files would be worse than none
        _restore(done, made)
        raise
    finally:
        shutil.rmtree(retired, ignore_errors=True)


def _restore(done: list[tuple[Path, Path | None]], made: list[Path]) -> None:
    for place, old in reversed(done):
        if old is not None:
            os.replace(old, place)
        elif place.is_file():
            place.unlink()
    for folder in reversed(made):
        folder.rmdir()


def is_of_disk(error: OutputError) -> bool:
    """Whether something could not be written because the disk is full or read-only, wherever on it."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_ERRORS


def _output_error(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"output {path} cannot be written: the disk is full; free some space or choose another")
    reason = error.strerror or str(error)
    return OutputError(f"output {path} cannot be written ({reason}): choose a folder you may write to")


class _NothingToKeepError(Exception):
    """Ends an OutputFolder without moving anything in place."""


def check_writable(path: str | Path) -> None:
    """Find out now, rather than after the work, whether a folder can be written; leaves no trace.

    Raises
    ------
    OutputError
        As :class:`OutputFolder` would.
    """
    try:
        with OutputFolder(path) as folder:
            (folder / "probe").write_bytes(b"")
            raise _NothingToKeepError
    except _NothingToKeepError:
        return
