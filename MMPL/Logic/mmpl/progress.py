"""How long steps tell the outside how far they are."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a step's name and the fraction of it that is done, 0 to 1."""

    def __call__(self, step: str, fraction: float) -> None: ...


def silent(step: str, fraction: float) -> None:
    """A progress that says nothing."""
