"""Entry point of ``python -m mmpl.worker FOLDER``; FOLDER holds the arrays that pass between the two processes.

A front end kills its worker and removes the folder. One that has crashed does neither: then the worker's input ends,
and with ``--temporary`` the worker removes the folder, which may hold a patient's images.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

# import name -> what pip calls it; numba is not among them, since radiomics do without it, slowly
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "SimpleITK": "SimpleITK",
    "torch": "torch",
    "safetensors": "safetensors",
    "jsonschema": "jsonschema",
    "PIL": "pillow",
}


def missing_packages() -> list[str]:
    """What this interpreter lacks of what the engine needs, by pip's names."""
    return [package for name, package in NEEDED.items() if importlib.util.find_spec(name) is None]


def main() -> int:
    # the protocol's own stream: whatever a library prints goes to the log, not between the messages
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines = os.fdopen(os.dup(sys.stdin.fileno()), "r", encoding="utf-8", errors="replace")
    missing = missing_packages()
    if missing:
        out.write(json.dumps({"id": None, "event": "unfit", "missing": missing, "python": sys.executable}) + "\n")
        out.flush()
        return 3
    from mmpl.worker import TEMPORARY
    from mmpl.worker.server import serve

    folder = Path(sys.argv[1])
    serve(lines, out, folder)
    if TEMPORARY in sys.argv[2:]:
        _remove(folder)
    return 0


def _remove(folder: Path) -> None:
    """Remove a folder that may hold this process' own log: Windows removes no file that is open."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(nowhere, stream.fileno())
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
