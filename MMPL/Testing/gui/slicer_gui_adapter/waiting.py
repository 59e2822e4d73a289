"""Letting Qt's event loop run inside a test, and ending what a test began."""

from __future__ import annotations

import time
from collections.abc import Callable

import shiboken6
from PySide6 import QtWidgets


def process_events(seconds: float = 0.0) -> None:
    """Run the event loop for a while; with 0, only what is due."""
    deadline = time.monotonic() + seconds
    QtWidgets.QApplication.processEvents()
    while time.monotonic() < deadline:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Run the event loop until a condition holds.

    Raises
    ------
    AssertionError
        If it does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s")
        QtWidgets.QApplication.processEvents()
        time.sleep(0.005)


def windows() -> list:
    """Widgets without a parent."""
    return [widget for widget in QtWidgets.QApplication.topLevelWidgets() if widget.parent() is None]


def delete_windows_but(kept: list) -> None:
    """Delete windows, so that those of one test hear nothing of the next one's scene.

    Left to Python's garbage collection they would die at any time, within a call into them even.
    """
    for window in windows():
        if shiboken6.isValid(window) and all(window is not one for one in kept):
            shiboken6.delete(window)
