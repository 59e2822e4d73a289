"""Where a bundle lies and how its bytes are read: what can be done without torch, safetensors or jsonschema."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol

from mmpl.bundle.safety import SIZE_LIMIT_BYTES, UNREADABLE_ZIP, check_compression, check_path
from mmpl.errors import BundleError
from mmpl.file_names import is_left_by_file_manager

BUNDLE_JSON = "bundle.json"
DEMO_BUNDLE = "mmpl-demo"


class Store(Protocol):
    """Where the bytes of a bundle lie."""

    def names(self) -> list[str]: ...

    def read(self, rel: str) -> bytes: ...


def default_bundle_path() -> Path:
    """The demo bundle that comes with MMPL.

    Raises
    ------
    BundleError
        If this installation has none.
    """
    package = Path(__file__).resolve().parents[1]
    places = (
        package.parents[1] / "Resources" / "Bundles" / DEMO_BUNDLE,  # source tree and Slicer extension
        package / "resources" / DEMO_BUNDLE,  # installed wheel
    )
    for place in places:
        if (place / BUNDLE_JSON).is_file():
            return place
    raise BundleError(
        f"this installation has no demo bundle ({places[0]}): pass --bundle, or train one with mmpl train"
    )


def open_store(path: Path) -> Store:
    """The files of a bundle, listed but not yet read.

    Parameters
    ----------
    path : a bundle's folder, or a zip of it (with or without one enclosing folder)

    Raises
    ------
    BundleError
        If nothing is there, or a zip is none or holds what no bundle may.
    OSError
        If it cannot be read.
    """
    if not path.exists():
        raise BundleError(f"bundle {path} does not exist: check the path, or train one with mmpl train")
    return FolderStore(path) if path.is_dir() else ZipStore(path)


def read_bundle_json(store: Store, where: str) -> object:
    """The parsed ``bundle.json``, after the paths of all files were checked.

    Parameters
    ----------
    store : the bundle's files
    where : what to call the bundle in a message

    Raises
    ------
    BundleError
        If it is missing or no JSON, or a path is not allowed.
    OSError
        If a file cannot be read.
    """
    names = store.names()
    for name in names:
        check_path(name, where)
    if BUNDLE_JSON not in names:
        raise BundleError(f"bundle {where} has no {BUNDLE_JSON}: it is not an MMPL bundle")
    return parse_json(store.read(BUNDLE_JSON), f"{where}: {BUNDLE_JSON}")


def parse_json(data: bytes, where: str) -> object:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"bundle {where} is not valid JSON ({error})") from error


def canonical_json(value: object) -> bytes:
    """JSON bytes that depend on the content only: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def bundle_sha256(raw: object, where: str) -> str:
    """Of the canonical ``bundle.json``, which holds the sha256 of every other file: it names the whole content.

    Parameters
    ----------
    raw : the parsed ``bundle.json``
    where : what to call the bundle in a message

    Raises
    ------
    BundleError
        If it holds what JSON has no form for: numbers beyond all bounds, halves of characters.
    """
    try:
        return hashlib.sha256(canonical_json(raw)).hexdigest()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"bundle {where}: {BUNDLE_JSON} is not valid JSON ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class FolderStore:
    """A bundle as a folder. Links are refused: they could point anywhere."""

    def __init__(self, folder: Path):
        self._folder = folder

    def names(self) -> list[str]:
        found, total = [], 0
        for root, folders, files in os.walk(self._folder, followlinks=False, onerror=_raise):
            for name in folders + files:
                place = Path(root) / name
                rel = place.relative_to(self._folder).as_posix()
                if is_left_by_file_manager(PurePosixPath(rel)):
                    continue  # never read
                if place.is_symlink():
                    raise BundleError(
                        f"bundle {self._folder} holds the link {rel!r}, a path that leaves it: do not use this bundle"
                    )
                if name in files:
                    total += place.stat().st_size
                    found.append(rel)
        _check_total(total, self._folder)
        return sorted(found)

    def read(self, rel: str) -> bytes:
        return (self._folder / rel).read_bytes()


class ZipStore:
    """A bundle as a zip, read in memory: nothing is extracted, so no entry can land anywhere."""

    def __init__(self, path: Path):
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            entries = [entry for entry in entries if not is_left_by_file_manager(PurePosixPath(entry.filename))]
        except zipfile.BadZipFile as error:
            raise BundleError(f"bundle {path} is neither a folder nor a zip file: give a bundle") from error
        except UNREADABLE_ZIP as error:  # of a later version of zip, or with a name that is no text
            raise BundleError(
                f"bundle {path} is a zip that cannot be read ({error}): pack it with plain zip"
            ) from error
        _check_total(sum(entry.file_size for entry in entries), path)
        self._refuse_odd_entries(entries)
        self._prefix = _enclosing_folder([entry.filename for entry in entries])
        self._sizes = {entry.filename[len(self._prefix) :]: entry.file_size for entry in entries}

    def names(self) -> list[str]:
        return sorted(self._sizes)

    def read(self, rel: str) -> bytes:
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._prefix + rel) as file:
                data = file.read(self._sizes[rel] + 1)
        except UNREADABLE_ZIP as error:
            raise BundleError(f"bundle {self._path}: {rel} is damaged in the zip ({error}): get it again") from error
        if len(data) != self._sizes[rel]:
            raise BundleError(f"bundle {self._path}: {rel} is not as long as the zip says: do not use this bundle")
        return data

    def _refuse_odd_entries(self, entries: list[zipfile.ZipInfo]) -> None:
        names = [entry.filename for entry in entries]
        for entry in entries:
            check_path(entry.orig_filename, str(self._path))
            check_compression(entry, str(self._path))
            if (entry.external_attr >> 16) & 0o170000 == 0o120000:
                raise BundleError(
                    f"bundle {self._path} holds the link {entry.filename!r}, a path that leaves it: "
                    "do not use this bundle"
                )
        if len(set(names)) != len(names):
            raise BundleError(f"bundle {self._path} holds two files of one name: do not use this bundle")


def _enclosing_folder(names: list[str]) -> str:
    """ "folder/" when every entry lies in one folder that holds bundle.json, else ""."""
    if BUNDLE_JSON in names or not names:
        return ""
    prefix = names[0].split("/")[0] + "/"
    inside = all(name.startswith(prefix) for name in names)
    return prefix if inside and prefix + BUNDLE_JSON in names else ""


def _check_total(size: int, path: Path) -> None:
    if size > SIZE_LIMIT_BYTES:
        raise BundleError(f"bundle {path} unpacks to {size / 2**30:.1f} GiB, more than 4: do not use this bundle")


def _raise(error: OSError) -> None:
    raise error
