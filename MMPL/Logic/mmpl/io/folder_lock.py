"""One command at a time in a folder that a command goes on with when it is given again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mmpl.errors import MMPLError

log = logging.getLogger(__name__)


@contextmanager
def held(lock_file: Path, refusal: MMPLError) -> Iterator[None]:
    """Hold a lock while the block lasts; it ends with the process, however that ends.

    A file system that knows no locks goes without.

    Parameters
    ----------
    lock_file : in a folder that exists; it stays there
    refusal : raised where another command holds the lock
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise refusal from error
    except (NotImplementedError, OSError) as error:
        log.info("%s: no lock (%s)", lock_file, error)
    try:
        yield
    finally:
        lock.release()
