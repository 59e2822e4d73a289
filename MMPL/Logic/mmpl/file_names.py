"""Names of files: what file managers leave beside others, and what cannot be written down."""

from __future__ import annotations

from pathlib import Path, PurePath

from mmpl.errors import InputError

_FILE_MANAGERS = frozenset({".ds_store", "thumbs.db", "desktop.ini", "__macosx"})


def is_left_by_file_manager(path: PurePath) -> bool:
    """Whether macOS or Windows put a file there by itself, or a folder above it: nobody's data."""
    return any(part.lower() in _FILE_MANAGERS or part.startswith("._") for part in path.parts)


def can_be_spelt(path: str | PurePath) -> bool:
    """Whether a name is text. Linux allows any bytes; JSON, CSV and ITK (which ends the process) do not."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def spelt(path: str | PurePath) -> str:
    """A name as text, the bytes that are none as \\udcfc and the like."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def check_spelling(path: str | Path) -> None:
    """Refuse a name that is no text.

    Raises
    ------
    InputError
        If it holds bytes that are not UTF-8.
    """
    if not can_be_spelt(path):
        raise InputError(f"{spelt(path)}: the name is not valid UTF-8; rename the file or folder")
