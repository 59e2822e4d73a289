"""Unique identifiers: new ones under a root, and replacements that need a key to be made again."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid

from mmpl.errors import InputError

UUID_ROOT = "2.25"  # of UIDs made from UUIDs (DICOM PS3.5 B.2): needs no registration
LONGEST = 64
FEWEST_RANDOM_DIGITS = 20
_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def new_uid(root: str = UUID_ROOT) -> str:
    """A UID that nothing else has.

    Parameters
    ----------
    root : "2.25", below which a random UUID stands, or an organisation's own root, below which a random number does

    Raises
    ------
    InputError
        If the root is none, or leaves too little room.
    """
    check_root(root)
    if root == UUID_ROOT:
        return f"{root}.{uuid.uuid4().int}"
    digits = min(LONGEST - len(root) - 1, 38)
    return f"{root}.{1 + secrets.randbelow(10**digits - 1)}"


def check_root(root: str) -> None:
    """Raise InputError unless UIDs can be made below ``root``."""
    if not _ROOT.fullmatch(root):
        raise InputError(f'UID root "{root}" is none: give numbers with dots between them, such as 1.2.826.0.1.99')
    if LONGEST - len(root) - 1 < FEWEST_RANDOM_DIGITS:
        longest = LONGEST - 1 - FEWEST_RANDOM_DIGITS
        raise InputError(f"UID root of {len(root)} characters: at most {longest} leave room for a unique number")


def keyed_uid(uid: str, key: bytes) -> str:
    """The UID that stands for another one: the same for the same key, and not to be traced back without it.

    HMAC-SHA256 of the UID, its first 16 bytes as a UUID under 2.25.
    """
    digest = hmac.new(key, uid.encode(), hashlib.sha256).digest()
    return f"{UUID_ROOT}.{uuid.UUID(bytes=digest[:16], version=5).int}"
