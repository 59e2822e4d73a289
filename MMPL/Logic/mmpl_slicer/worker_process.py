"""A worker as a child process: starts it, moves lines, kills it with all its children. Knows nothing of requests."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_LINES = 200
IS_WINDOWS = sys.platform == "win32"


class WorkerProcess:
    """One run of a command that speaks in lines.

    What it says is collected by threads and handed out by :meth:`lines` on the caller's own thread, so that no MRML or
    Qt object is ever touched from another one.

    Parameters
    ----------
    command : program and arguments
    environment : of the process; None for this process' own. Inside Slicer give ``slicer.util.startupEnvironment()``
        with ``PYTHONPATH`` set: another Python dies silently in Slicer's own environment
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._process = subprocess.Popen(
            list(command),
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # its own group: killed as a whole, and untouched by Ctrl-C in the parent's terminal
            start_new_session=not IS_WINDOWS,
            creationflags=subprocess.CREATE_NO_WINDOW if IS_WINDOWS else 0,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, keep), daemon=True)
            for stream, keep in ((self._process.stdout, self._lines.put), (self._process.stderr, self._log.append))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, keep) -> None:
        for line in stream:
            keep(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """The last lines it wrote to standard error."""
        return "\n".join(self._log)

    def send(self, line: str) -> bool:
        """Write one line; False where nobody reads any more."""
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:  # a broken pipe: the process is gone, which exit_code will tell
            return False
        return True

    def lines(self) -> list[str]:
        """What it has said since the last call; of a process that has ended, to the last word."""
        if self.exit_code is not None:
            self._finish_reading()
        found = []
        while not self._lines.empty():
            found.append(self._lines.get())
        return found

    def kill(self) -> None:
        """End it and all its children, now; harmless where it has ended."""
        if self.exit_code is None:
            _kill_tree(self.pid)
        self._process.wait()
        self._finish_reading()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                stream.close()
            except OSError:
                continue  # what could not be flushed to a dead process is of no use

    def _finish_reading(self) -> None:
        for reader in self._readers:
            reader.join(timeout=5)


def _kill_tree(pid: int) -> None:
    if IS_WINDOWS:
        program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run([program, "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
