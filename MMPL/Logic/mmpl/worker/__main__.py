"""Entry point of ``python -m mmpl.worker FOLDER``; FOLDER holds the arrays that pass between the two processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mmpl.worker.server import serve


def main() -> int:
    # the protocol's own stream: whatever a library prints goes to the log, not between the messages
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines = os.fdopen(os.dup(sys.stdin.fileno()), "r", encoding="utf-8", errors="replace")
    serve(lines, out, Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
