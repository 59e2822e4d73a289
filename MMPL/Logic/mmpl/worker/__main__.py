"""Entry point of ``python -m mmpl.worker FOLDER``; FOLDER holds the arrays that pass between the two processes."""

from __future__ import annotations

import importlib.util
import json
import os
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
    from mmpl.worker.server import serve

    serve(lines, out, Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
