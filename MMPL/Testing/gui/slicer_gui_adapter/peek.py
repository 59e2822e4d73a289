"""The one way for a test to see what widget code must not use."""

from __future__ import annotations


def peek(widget, name: str):
    """Any attribute of a strict object, private state of a substitute included.

    Parameters
    ----------
    name : such as ``"_shortcuts"`` of a segment editor or ``"sizeHint"``
    """
    return getattr(widget, name)
