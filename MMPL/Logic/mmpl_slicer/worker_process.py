"""A worker as a child process: starts it, moves lines, kills it with all its children. Knows nothing of requests.

No thread reads here. Slicer's own thread keeps Python's lock between events, so that a reading thread would get its
turn by chance only: :meth:`WorkerProcess.lines` takes what the pipe holds, on the caller's thread, and never waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_BYTES = 20_000  # of the end of the log, for people
CHUNK_BYTES = 1 << 16
PATIENCE_S = 2.0  # a killed process is gone in hundredths of a second; whoever stops it can count on that
IS_WINDOWS = sys.platform == "win32"

_dying: list[subprocess.Popen] = []  # killed, and not yet gone


class WorkerProcess:
    """One run of a command that speaks in lines.

    Parameters
    ----------
    command : program and arguments
    environment : of the process; None for this process' own. Inside Slicer give ``slicer.util.startupEnvironment()``
        with ``PYTHONPATH`` set: another Python dies silently in Slicer's own environment
    log : file that takes what it writes to standard error; a temporary one by default
    folder : where it runs; where this process runs by default
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: str | Path | None = None,
        folder: str | Path | None = None,
    ):
        self._text = b""
        self._log = Path(log) if log is not None else _temporary_log()
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                list(command),
                env=None if environment is None else dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                # its own group: killed as a whole, and untouched by Ctrl-C in the parent's terminal
                start_new_session=not IS_WINDOWS,
                creationflags=subprocess.CREATE_NO_WINDOW if IS_WINDOWS else 0,
            )
        if not IS_WINDOWS:
            os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """The end of what it wrote to standard error."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
                return file.read().decode("utf-8", errors="replace").rstrip()
        except OSError:
            return ""

    def send(self, line: str) -> bool:
        """Write one line; False where nobody reads any more."""
        try:
            self._process.stdin.write(line.encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # a broken or closed pipe: the process is gone, which exit_code will tell
            return False
        return True

    def lines(self) -> list[str]:
        """What it has said since the last call; of a process that has ended, to the last word."""
        self._text += self._available()
        *whole, self._text = self._text.split(b"\n")
        return [line.decode("utf-8", errors="replace").rstrip("\r") for line in whole]

    def kill(self) -> None:
        """End it and all its children, now; harmless where it has ended."""
        if self.exit_code is None:
            _kill_tree(self.pid)
        _see_off(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()
            except OSError:
                continue  # what could not be flushed to a dead process is of no use

    def _available(self) -> bytes:
        """The bytes that can be read without waiting."""
        found = []
        while not self._process.stdout.closed:
            part = _read_now(self._process.stdout.fileno())
            if not part:
                break
            found.append(part)
        return b"".join(found)


def _temporary_log() -> Path:
    handle, name = tempfile.mkstemp(prefix="mmpl-worker-", suffix=".log")
    os.close(handle)
    return Path(name)


def _read_now(pipe: int) -> bytes:
    """Some of what a pipe holds; nothing where it is empty or its writer is gone."""
    try:
        if IS_WINDOWS:
            import _winapi
            import msvcrt

            held, _ = _winapi.PeekNamedPipe(msvcrt.get_osfhandle(pipe), 0)
            return os.read(pipe, min(held, CHUNK_BYTES)) if held else b""
        return os.read(pipe, CHUNK_BYTES)
    except (BlockingIOError, BrokenPipeError):
        return b""


def _see_off(process: subprocess.Popen) -> None:
    """Wait for a killed process, but not for ever: one that hangs in the system is looked after later."""
    _dying[:] = [one for one in _dying if one.poll() is None]
    try:
        process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        _dying.append(process)


def _kill_tree(pid: int) -> None:
    if IS_WINDOWS:
        program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run(
            [program, "/T", "/F", "/PID", str(pid)],
            capture_output=True,
            check=False,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
