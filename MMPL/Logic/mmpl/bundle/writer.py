"""Write a bundle: the same content gives the same bytes, and a bundle appears whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch

from mmpl.bundle.card import model_card
from mmpl.bundle.info import BundleInfo, parse_info
from mmpl.bundle.reader import BUNDLE_JSON, Bundle, canonical_json, open_bundle
from mmpl.bundle.safety import check_content, check_path
from mmpl.errors import BundleError, OutputError

MODEL_CARD = "MODEL_CARD.md"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(folder: str | Path, info: BundleInfo, payload: Mapping[str, object]) -> Bundle:
    """Write a bundle with its checksums and model card, then open it as any reader would.

    Parameters
    ----------
    folder : where to; an older bundle there is replaced as a whole
    info : BundleInfo; its members name files of the payload
    payload : path in the bundle -> content. By suffix: ``.json`` any JSON value; ``.npz`` a mapping of
        arrays; ``.safetensors`` a mapping of tensors; anything else text. Bytes are taken as they are.

    Raises
    ------
    BundleError
        If the bundle could not be opened again: a path, a kind of file or ``info`` is not allowed.
    OutputError
        If the folder cannot be written or holds something that is not a bundle.
    """
    folder = Path(os.path.abspath(folder))
    if BUNDLE_JSON in payload or MODEL_CARD in payload:
        raise BundleError(f"{BUNDLE_JSON} and {MODEL_CARD} are written from the bundle's info: leave them out")
    content = {rel: _encoded(rel, value, str(folder)) for rel, value in sorted(payload.items())}
    content[MODEL_CARD] = model_card(info).encode("utf-8")
    raw = info.as_dict({rel: hashlib.sha256(data).hexdigest() for rel, data in sorted(content.items())})
    parse_info(raw, str(folder))
    content[BUNDLE_JSON] = canonical_json(raw)
    _replace_folder(folder, content)
    return open_bundle(folder)


def zip_bundle(bundle: Bundle, path: str | Path) -> None:
    """Pack a bundle into one file; the same bundle gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    files = {BUNDLE_JSON: canonical_json(bundle.info.as_dict(bundle.checksums))}
    files |= {rel: bundle.bytes(rel) for rel in sorted(bundle.files)}
    partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
    try:
        partial.write_bytes(_zipped(files, zipfile.ZIP_DEFLATED))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"bundle {path} cannot be written ({error.strerror}): choose another place") from error


def _encoded(rel: str, value: object, where: str) -> bytes:
    check_path(rel, where)
    data = value if isinstance(value, bytes) else _bytes_of(rel, value)
    check_content(rel, data, where)
    return data


def _bytes_of(rel: str, value: object) -> bytes:
    if rel.endswith(".json"):
        return canonical_json(value)
    if rel.endswith(".npz"):
        return _npz(value)
    if rel.endswith(".safetensors"):
        return safetensors.torch.save({name: value[name].detach().cpu().contiguous() for name in sorted(value)})
    return str(value).encode("utf-8")


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An npz with a fixed date in it (numpy's own takes the clock)."""
    entries = {}
    for name in sorted(arrays):
        buffer = io.BytesIO()
        array = np.asarray(arrays[name])
        if array.dtype.hasobject:
            raise BundleError(f"array {name} holds Python objects: give it a number or text type")
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        entries[f"{name}.npy"] = buffer.getvalue()
    return _zipped(entries, zipfile.ZIP_DEFLATED)


def _zipped(entries: Mapping[str, bytes], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.compress_type = compression
            entry.create_system = 3  # Unix, on Windows too
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _replace_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write beside ``folder``, then swap; an older bundle goes only after the new one is complete."""
    if folder.exists() and not (folder / BUNDLE_JSON).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise OutputError(f"{folder} holds something that is not a bundle: choose an empty or new folder")
    mark = secrets.token_hex(4)
    partial = folder.with_name(f".{folder.name}.partial-{mark}")
    old = folder.with_name(f".{folder.name}.old-{mark}")
    try:
        for rel, data in content.items():
            place = partial / rel
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        if folder.exists():
            os.rename(folder, old)
        os.rename(partial, folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        shutil.rmtree(partial, ignore_errors=True)
        raise OutputError(f"bundle {folder} cannot be written ({error.strerror}): choose another place") from error
    shutil.rmtree(old, ignore_errors=True)
