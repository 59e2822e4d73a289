"""Open a bundle: everything is verified before anything is used, and nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import safetensors.torch
from safetensors import SafetensorError

from mmpl.bundle.info import BundleInfo, parse_info
from mmpl.bundle.safety import SIZE_LIMIT_BYTES, UNREADABLE_ZIP, check_compression, check_content, check_path
from mmpl.errors import BundleError

if TYPE_CHECKING:
    import torch

BUNDLE_JSON = "bundle.json"
DEMO_BUNDLE = "mmpl-demo"


class _Store(Protocol):
    """Where the bytes of a bundle lie."""

    def names(self) -> list[str]: ...

    def read(self, rel: str) -> bytes: ...


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes
    ----------
    info : BundleInfo
    sha256 : of the canonical ``bundle.json``, which holds the sha256 of every other file: it names the
        bundle's whole content
    path : the folder or zip
    """

    info: BundleInfo
    sha256: str
    path: Path
    _files: Mapping[str, str] = field(repr=False)
    _store: _Store = field(repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files but ``bundle.json``."""
        return tuple(self._files)

    @property
    def checksums(self) -> dict[str, str]:
        """Path -> sha256 of all files but ``bundle.json``."""
        return dict(self._files)

    def bytes(self, rel: str) -> bytes:
        """Content of a file, its checksum verified again."""
        if rel not in self._files:
            raise BundleError(f"bundle {self.path} has no file {rel}: it has {', '.join(sorted(self._files))}")
        return _verified(self._store, rel, self._files[rel], str(self.path))

    def json(self, rel: str) -> object:
        """Parsed JSON file."""
        return _parse_json(self.bytes(rel), f"{self.path}: {rel}")

    def text(self, rel: str) -> str:
        """Text file in UTF-8."""
        return self.bytes(rel).decode("utf-8")

    def arrays(self, rel: str) -> dict[str, np.ndarray]:
        """Arrays of an npz file."""
        try:
            with np.load(io.BytesIO(self.bytes(rel)), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, *UNREADABLE_ZIP) as error:
            raise BundleError(f"bundle {self.path}: {rel} holds no plain arrays ({error})") from error

    def tensors(self, rel: str) -> dict[str, torch.Tensor]:
        """Tensors of a safetensors file, on the CPU, in the stored precision."""
        try:
            return safetensors.torch.load(self.bytes(rel))
        except (SafetensorError, KeyError) as error:
            raise BundleError(f"bundle {self.path}: {rel} is not a safetensors file ({error})") from error


def open_bundle(path: str | Path) -> Bundle:
    """Verify a bundle and open it.

    Checked: the schema of ``bundle.json``; that every listed file is there with its checksum and no other;
    that no path leaves the bundle and no file is a link; that only harmless kinds of file are in it.

    Parameters
    ----------
    path : a bundle's folder, or a zip of it (with or without one enclosing folder)

    Raises
    ------
    BundleError
        With the reason it is refused.
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(f"bundle {path} does not exist: check the path, or train one with mmpl train")
    try:
        store = _FolderStore(path) if path.is_dir() else _ZipStore(path)
        return _open(store, path)
    except OSError as error:
        raise BundleError(f"bundle {path} cannot be read ({error.strerror or error}): get it again") from error


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


def canonical_json(value: object) -> bytes:
    """JSON bytes that depend on the content only: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def _open(store: _Store, path: Path) -> Bundle:
    where = str(path)
    names = store.names()
    for name in names:
        check_path(name, where)
    if BUNDLE_JSON not in names:
        raise BundleError(f"bundle {where} has no {BUNDLE_JSON}: it is not an MMPL bundle")
    raw = _parse_json(store.read(BUNDLE_JSON), f"{where}: {BUNDLE_JSON}")
    info, files = parse_info(raw, where)
    for rel in files:
        check_path(rel, where)
    _check_listed(set(names) - {BUNDLE_JSON}, set(files), where)
    for rel, expected in files.items():
        check_content(rel, _verified(store, rel, expected, where), where)
    return Bundle(info, hashlib.sha256(canonical_json(raw)).hexdigest(), path, files, store)


def _check_listed(present: set[str], listed: set[str], where: str) -> None:
    if missing := sorted(listed - present):
        raise BundleError(f"bundle {where} lacks {', '.join(missing)}: get the bundle again")
    if extra := sorted(present - listed):
        raise BundleError(
            f"bundle {where} holds {', '.join(extra)}, which its {BUNDLE_JSON} does not list: "
            "remove it or get the bundle again"
        )


def _verified(store: _Store, rel: str, expected: str, where: str) -> bytes:
    data = store.read(rel)
    if hashlib.sha256(data).hexdigest() != expected:
        raise BundleError(f"bundle {where}: {rel} does not match its checksum: it was altered or damaged; get it again")
    return data


def _parse_json(data: bytes, where: str) -> object:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"bundle {where} is not valid JSON ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class _FolderStore:
    """A bundle as a folder. Links are refused: they could point anywhere."""

    def __init__(self, folder: Path):
        self._folder = folder

    def names(self) -> list[str]:
        found, total = [], 0
        for root, folders, files in os.walk(self._folder, followlinks=False, onerror=_raise):
            for name in folders + files:
                place = Path(root) / name
                rel = place.relative_to(self._folder).as_posix()
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


class _ZipStore:
    """A bundle as a zip, read in memory: nothing is extracted, so no entry can land anywhere."""

    def __init__(self, path: Path):
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        except zipfile.BadZipFile as error:
            raise BundleError(f"bundle {path} is neither a folder nor a zip file: give a bundle") from error
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
