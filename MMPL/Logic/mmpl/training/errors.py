"""A check that raises the training error."""

from __future__ import annotations

from mmpl.errors import TrainingError


def require(condition: bool, message: str) -> None:
    """Raise :class:`TrainingError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise TrainingError(message)
