"""Scenes as files: a .mrb is complete or it is not there; it is a copy, and what was unsaved before is so still."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import slicer
from mmpl.errors import InputError, OutputError


def save_mrb(scene, path: str | Path) -> Path:
    """Write a copy of a scene with all its data to a Slicer scene bundle.

    The file is written beside its final place and renamed, so a failure leaves what was there before. Data with a file
    of its own keeps that file's name, and what was modified and not saved there is so still: Slicer asks about it.

    Parameters
    ----------
    scene : vtkMRMLScene
    path : file name that ends in .mrb; its folder is made when absent

    Returns
    -------
    Path of the file

    Raises
    ------
    OutputError
        If the name does not end in .mrb or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".mrb":
        raise OutputError(f"scene file {path} must end in .mrb: choose such a name")
    folder = _working_folder(path)
    try:
        part = folder / path.name
        messages = slicer.vtkMRMLMessageCollection()
        with _as_it_was(scene):
            written = scene.WriteToMRB(str(part), None, messages)
        if not written or not part.is_file():
            raise OutputError(f"scene cannot be written to {path}: check free space and rights{_reason(messages)}")
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"scene cannot be written to {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return path


def load_mrb(scene, path: str | Path, clear: bool = True) -> None:
    """Read a Slicer scene bundle.

    Parameters
    ----------
    scene : vtkMRMLScene
    path : a .mrb file
    clear : close what the scene holds first

    Raises
    ------
    InputError
        If the file does not exist or is not a scene bundle; the scene is then left as it was.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"scene file {path} does not exist: check the path")
    if not _is_bundle(path):
        raise InputError(f"scene file {path} is not a Slicer scene bundle: give a .mrb file")
    messages = slicer.vtkMRMLMessageCollection()
    if not scene.ReadFromMRB(str(path), clear, messages):
        raise InputError(f"scene file {path} cannot be read: give a Slicer scene bundle (.mrb){_reason(messages)}")


@contextmanager
def _as_it_was(scene) -> Iterator[None]:
    """Take back what writing a bundle makes of a scene: all counts as saved, and hidden data get other file names."""
    storable = slicer.util.getNodesByClass("vtkMRMLStorableNode", scene)
    unsaved = [node for node in storable if node.GetModifiedSinceRead()]
    files = {node.GetID(): _files(node.GetStorageNode()) for node in storable}
    try:
        yield
    finally:
        for node in storable:
            if node.GetStorageNode() is not None and _files(node.GetStorageNode()) != files[node.GetID()]:
                _set_files(node.GetStorageNode(), *files[node.GetID()])
        for node in unsaved:
            node.StorableModified()


def _files(storage) -> tuple[str, list[str]]:
    """Where a node's data lie: file name, and the names of a series of files; empty where it has no file."""
    if storage is None:
        return "", []
    return storage.GetFileName() or "", [storage.GetNthFileName(n) for n in range(storage.GetNumberOfFileNames())]


def _set_files(storage, name: str, series: list[str]) -> None:
    storage.SetFileName(name)
    storage.ResetFileNameList()
    for one in series:
        storage.AddFileName(one)


def _is_bundle(path: Path) -> bool:
    """True for a zip file with a scene description in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".mrml") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _working_folder(path: Path) -> Path:
    """A folder beside the final place, so that the rename stays on one disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".mmpl-", dir=path.parent))
    except OSError as error:
        raise OutputError(f"scene cannot be written to {path}: {error.strerror or error}") from error


def _reason(messages) -> str:
    """What Slicer said went wrong, in brackets; empty when it said nothing."""
    text = " ".join(messages.GetAllMessagesAsString().split())
    return f" ({text})" if text else ""
