"""Open a bundle: everything is verified before anything is used, and nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
from safetensors import SafetensorError

from mmpl.bundle.info import BundleInfo, parse_info
from mmpl.bundle.safety import UNREADABLE_ZIP, check_content, check_path
from mmpl.bundle.store import (
    BUNDLE_JSON,
    Store,
    bundle_sha256,
    canonical_json,
    default_bundle_path,
    open_store,
    parse_json,
    read_bundle_json,
)
from mmpl.errors import BundleError

if TYPE_CHECKING:
    import torch

__all__ = ["BUNDLE_JSON", "Bundle", "canonical_json", "default_bundle_path", "open_bundle"]


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
    _store: Store = field(repr=False)

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
        try:
            return _verified(self._store, rel, self._files[rel], str(self.path))
        except OSError as error:
            raise BundleError(f"bundle {self.path}: {rel} cannot be read ({error.strerror or error})") from error

    def json(self, rel: str) -> object:
        """Parsed JSON file."""
        return parse_json(self.bytes(rel), f"{self.path}: {rel}")

    def text(self, rel: str) -> str:
        """Text file in UTF-8."""
        return self.bytes(rel).decode("utf-8")

    def arrays(self, rel: str) -> dict[str, np.ndarray]:
        """Arrays of an npz file."""
        try:
            with np.load(io.BytesIO(self.bytes(rel)), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, OverflowError, MemoryError, *UNREADABLE_ZIP) as error:
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
    try:
        return _open(open_store(path), path)
    except OSError as error:
        raise BundleError(f"bundle {path} cannot be read ({error.strerror or error}): get it again") from error


def _open(store: Store, path: Path) -> Bundle:
    where = str(path)
    raw = read_bundle_json(store, where)
    info, files = parse_info(raw, where)
    for rel in files:
        check_path(rel, where)
    _check_listed(set(store.names()) - {BUNDLE_JSON}, set(files), where)
    for rel, expected in files.items():
        check_content(rel, _verified(store, rel, expected, where), where)
    return Bundle(info, bundle_sha256(raw, where), path, files, store)


def _check_listed(present: set[str], listed: set[str], where: str) -> None:
    if missing := sorted(listed - present):
        raise BundleError(f"bundle {where} lacks {', '.join(missing)}: get the bundle again")
    if extra := sorted(present - listed):
        raise BundleError(
            f"bundle {where} holds {', '.join(extra)}, which its {BUNDLE_JSON} does not list: "
            "remove it or get the bundle again"
        )


def _verified(store: Store, rel: str, expected: str, where: str) -> bytes:
    data = store.read(rel)
    if hashlib.sha256(data).hexdigest() != expected:
        raise BundleError(f"bundle {where}: {rel} does not match its checksum: it was altered or damaged; get it again")
    return data
