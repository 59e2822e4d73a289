"""Compile the inner loops with numba where it is installed; without it they run as plain Python, same values.

Compiled code is kept on disk beside the sources (or in numba's user cache where those cannot be written), so
that only the first run after an installation compiles.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

HAS_NUMBA = importlib.util.find_spec("numba") is not None


def compiled(function: Callable) -> Callable:
    """The function in machine code that lets other threads run; the function itself without numba."""
    if not HAS_NUMBA:
        return function
    import numba

    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for compiled code can be written, as in a read-only container
        return numba.njit(**options)(function)
