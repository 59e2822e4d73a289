"""Keep what C++ image readers print to stderr from reaching the user's terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()


@contextmanager
def captured_native_stderr(task: str) -> Iterator[None]:
    """Divert file descriptor 2 for the length of a block and log what arrived.

    ITK's MetaIO and NIfTI libraries print to stderr directly, whatever ITK's warning display is set to.
    The failure itself is an exception and passes through; only the chatter goes to the log (level INFO),
    so nothing is lost and the global settings of SimpleITK stay as they were.

    Parameters
    ----------
    task : what is being done, for the log line
    """
    with _one_at_a_time, tempfile.TemporaryFile() as sink:
        _flush_stderr()
        try:
            saved = os.dup(2)
        except OSError:  # no stderr at all (a windowed program): nothing to divert
            yield
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            _flush_stderr()
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            text = " ".join(sink.read().decode("utf-8", "replace").split())
            if text:
                logger.info("%s: %s", task, text)


def _flush_stderr() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
