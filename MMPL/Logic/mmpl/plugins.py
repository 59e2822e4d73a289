"""Parts that live above the engine and announce themselves to it.

The engine imports nothing of Slicer. What needs a Slicer scene (the demo, ``--mrb``) is registered by
``mmpl_slicer`` as an entry point of the group ``mmpl.plugins`` and loaded by name.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from mmpl.errors import MMPLError

GROUP = "mmpl.plugins"


def load_plugin(name: str):
    """The object registered under ``name``.

    Raises
    ------
    MMPLError
        If nothing is registered, or it cannot be imported because slicer-core or a system library is missing.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    remedy = "install the Slicer side with: pip install 'mmpl[slicer-core]'"
    if not found:
        raise MMPLError(f"'{name}' is not installed; {remedy}")
    try:
        return found[0].load()
    except ModuleNotFoundError as error:
        raise MMPLError(f"'{name}' needs the Python package '{error.name}'; {remedy}") from error
    except ImportError as error:
        raise MMPLError(f"'{name}' cannot be loaded ({error}): install the library it names") from error
