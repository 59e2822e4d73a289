"""Converted networks on disk: made once, checksummed, made again when anything about them is off."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmpl.network.backends.base import StoredNetwork

FORMAT = 1  # rises when a network is converted in another way
KEY_LENGTH = 16
CONVERTING = "converting-"
ABANDONED_S = 3600  # after so long nothing converts any more

Convert = Callable[[StoredNetwork, Path], None]  # writes NAME.xml and NAME.bin, given the path of NAME.xml


def beside(bundle: Path) -> Path:
    """The folder of a bundle's converted networks that goes with it; a bundle is a folder or zip."""
    return bundle.resolve().with_name(bundle.resolve().name + ".openvino")


def cache_folder(bundle: Path) -> Path:
    """Where a bundle's converted networks are written: beside it, else in the user's cache."""
    folder = beside(bundle)
    if _can_write(folder):
        return folder
    return _user_cache() / "mmpl" / (folder.name + "-" + hashlib.sha256(str(folder).encode()).hexdigest()[:8])


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class ConversionCache:
    """Converted networks of one bundle.

    Parameters
    ----------
    folder : made when it is needed; where it cannot be written, a temporary folder of this process takes its place
    given : what lies here intact is used before; nothing is written here
    """

    def __init__(self, folder: Path, given: Path | None = None):
        self._folder, self._given = Path(folder), given
        self._checked: set[Path] = set()

    def path(self, network: StoredNetwork, version: str, convert: Convert) -> Path:
        """A converted network's .xml, beside its .bin; converted now where it is missing or not as it was written.

        Parameters
        ----------
        network : StoredNetwork
        version : of the library that converts; another one's files are not used
        convert : writes both files
        """
        name = f"{_key(network, version)}.xml"
        if self._given is not None and self._found(self._given / name):
            return self._given / name
        path = self._writable() / name
        if not self._found(path):
            self._make(network, path, convert)
            self._checked.add(path)
        return path

    def _found(self, path: Path) -> bool:
        if path not in self._checked and _intact(path):
            self._checked.add(path)
        return path in self._checked and path.is_file() and path.with_suffix(".bin").is_file()

    def _writable(self) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            writable = _can_write(self._folder)
        except OSError:
            writable = False
        if not writable:
            self._folder = Path(tempfile.mkdtemp(prefix="mmpl-openvino-"))
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _make(self, network: StoredNetwork, path: Path, convert: Convert) -> None:
        """Convert into a folder of its own, then move: another process never sees a half-written file."""
        _sweep(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=CONVERTING) as own:
            made = Path(own) / path.name
            convert(network, made)
            sums = {suffix: _sha256(made.with_suffix(suffix)) for suffix in (".xml", ".bin")}
            made.with_suffix(".json").write_text(json.dumps(sums), encoding="utf-8")
            if not _intact(path):  # another process may have been faster, and have its files open by now
                _move(made, path)


def _sweep(folder: Path) -> None:
    """Remove what processes left that were killed while they converted, as Slicer kills one that does not stop."""
    for left in folder.glob(f"{CONVERTING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def _move(made: Path, path: Path) -> None:
    """Put a conversion in its place, the checksums last: what they name is there already."""
    try:
        for suffix in (".bin", ".xml", ".json"):
            os.replace(made.with_suffix(suffix), path.with_suffix(suffix))
    except PermissionError:  # Windows, of a file that another process has open
        if not _intact(path):
            raise


def _key(network: StoredNetwork, version: str) -> str:
    what = json.dumps([FORMAT, version, network.sha256, network.outputs, network.config.to_dict()], sort_keys=True)
    return hashlib.sha256(what.encode("utf-8")).hexdigest()[:KEY_LENGTH]


def _intact(path: Path) -> bool:
    try:
        sums = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return all(_sha256(path.with_suffix(suffix)) == sums[suffix] for suffix in (".xml", ".bin"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
