"""Errors as people read them."""

from __future__ import annotations


def sentence(text: object) -> str:
    """An error's or a worker's words on one line, with a capital and a full stop."""
    words = " ".join(str(text).split())
    if not words:
        return ""
    return words[0].upper() + words[1:] + ("" if words[-1] in ".!?" else ".")
