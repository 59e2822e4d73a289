"""The front end's side of the worker: requests with callbacks, and what to say when it dies.

Nothing here blocks: :meth:`WorkerClient.poll` is called from a timer of the front end's own thread and hands out what
has arrived since.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mmpl
from mmpl.errors import InputError
from mmpl.worker import TEMPORARY
from mmpl_slicer.worker_process import WorkerProcess

STOPPED, STARTING, READY, CRASHED = "stopped", "starting", "ready", "crashed"
UNFIT = "unfit"  # the interpreter lacks packages
CRASH, SETUP = "crash", "setup"  # kinds of an error, beside the worker's own
LOG_NAME = "worker.log"
ENDINGS = ("result", "error", "cancelled", "dropped")


def ignore(*_anything) -> None:
    """For those who do not want to know."""


@dataclass(frozen=True)
class Callbacks:
    """Who hears of one request; each is called at most once, but progress.

    Attributes
    ----------
    result : called with the answer
    error : called with kind ("input", "memory", "fault" or "crash") and one sentence
    progress : called with the step's name and the finished fraction
    partial : called with a part of the answer before it is whole
    withdrawn : called when the request was cancelled or a later one took its place
    """

    result: Callable[[dict], None] = ignore
    error: Callable[[str, str], None] = ignore
    progress: Callable[[str, float], None] = ignore
    partial: Callable[[dict], None] = ignore
    withdrawn: Callable[[], None] = ignore


@dataclass
class Opened:
    """What the running worker has open: bundle and case as their owners tell them apart, None for nothing."""

    bundle: tuple | None = None
    case: tuple | None = None


class WorkerClient:
    """Starts one worker and keeps track of what it was asked.

    Parameters
    ----------
    start : command, environment, log file and folder -> WorkerProcess; another one in tests
    python : interpreter that runs the worker; this one unless a site keeps torch elsewhere
    environment : of the worker; None for this process' own
    """

    def __init__(
        self,
        *,
        start: Callable[[list[str], Mapping[str, str], Path, str], WorkerProcess] = WorkerProcess,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ):
        self._start, self._python = start, python
        self._environment = dict(os.environ if environment is None else environment)
        self._process: WorkerProcess | None = None
        self._waiting: dict[int, Callbacks] = {}
        self._count = 0
        self.opened = Opened()
        self.state = STOPPED
        self.missing: tuple[str, ...] = ()
        self.problem_kind = self.problem = ""  # why it is CRASHED or UNFIT
        self._old_log = ""
        self._cancelled = 0  # number of the last cancel
        self.folder: Path | None = None

    def start(self) -> None:
        """Start the worker in a fresh folder; one that runs is killed first.

        Raises
        ------
        InputError
            If the interpreter cannot be started.
        """
        self.stop()
        logic = str(Path(mmpl.__file__).parents[1])
        paths = [logic, *filter(None, [self._environment.get("PYTHONPATH")])]
        environment = {**self._environment, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="mmpl-worker-"))
            command = [self._python, "-m", "mmpl.worker", str(self.folder), TEMPORARY]
            # ``-m`` finds the engine by the folder too, should a launcher set PYTHONPATH anew
            self._process = self._start(command, environment, self.folder / LOG_NAME, logic)
        except OSError as error:
            self._remove_folder()
            text = f"the worker cannot be started with {self._python} ({error.strerror}): choose another Python"
            self.state, self.problem_kind, self.problem = CRASHED, CRASH, text
            raise InputError(text) from error
        self.state = STARTING

    def stop(self) -> None:
        """Kill the worker with all its children; nobody who waits is told. Harmless where none runs."""
        self._waiting.clear()
        if self._process is not None:
            self._process.kill()
            self._old_log = self._process.log
            self._process = None
        self.opened = Opened()
        self._remove_folder()
        self.state = STOPPED

    def ask(self, do: str, callbacks: Callbacks | None = None, **arguments) -> int:
        """Send a request and return its number. A worker that is gone is told by ``error`` at the next poll."""
        self._count += 1
        self._waiting[self._count] = callbacks or Callbacks()
        if self._process is not None:
            self._process.send(json.dumps({"id": self._count, "do": do, **arguments}, allow_nan=False))
        return self._count

    def cancel(self) -> None:
        """Withdraw everything that was asked; the worker keeps its model and case."""
        if self._waiting:
            self._cancelled = self.ask("cancel")

    def abort(self) -> None:
        """Kill the worker, and tell everybody who waits that it was withdrawn."""
        waiting, self._waiting = self._waiting, {}
        self.stop()
        for callbacks in waiting.values():
            callbacks.withdrawn()

    @property
    def pid(self) -> int | None:
        """Of the worker; None where none runs."""
        return None if self._process is None else self._process.pid

    @property
    def is_cancelling(self) -> bool:
        """Whether something that was withdrawn still runs."""
        return any(number < self._cancelled for number in self._waiting)

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting)

    @property
    def log(self) -> str:
        """The last lines of the worker's log, also of one that was stopped."""
        return self._old_log if self._process is None else self._process.log

    def poll(self) -> None:
        """Hand out what has arrived since the last call, and notice a worker that has died."""
        process = self._process
        ended = process is None or process.exit_code is not None
        for line in process.lines() if process else ():
            self._hear(line)
            if self._process is not process:  # whoever was told has stopped it
                return
        if ended and self.state == UNFIT:
            self._fail_all(self.problem_kind, self.problem)
        elif ended and (self._waiting or self.state in (STARTING, READY)):
            self._crashed()

    def _hear(self, line: str) -> None:
        message = _message(line)
        if message is None:
            return
        event, number = message.pop("event"), message.pop("id")
        if event == "ready":
            self.state = READY
        elif event == "unfit":
            self._unfit(message["missing"])
            return
        callbacks = self._waiting.pop(number, None) if event in ENDINGS else self._waiting.get(number)
        if callbacks is None:
            return
        if event == "progress":
            callbacks.progress(message["step"], message["fraction"])
        elif event == "partial":
            callbacks.partial(message)
        elif event == "result":
            callbacks.result(message)
        elif event == "error":
            callbacks.error(message["kind"], message["text"])
        else:
            callbacks.withdrawn()

    def _unfit(self, missing: list[str]) -> None:
        self.state, self.missing = UNFIT, tuple(missing)
        text = (
            f"The worker's Python ({self._python}) lacks {', '.join(missing)}: install them, or choose another Python."
        )
        self._fail_all(SETUP, text)

    def _crashed(self) -> None:
        code = self._process.exit_code if self._process else None
        self.state = CRASHED
        text = "The worker has stopped" + ("" if code is None else f" (exit code {code})")
        self._fail_all(CRASH, text + ": nothing you drew is lost; restart it to go on.")

    def _fail_all(self, kind: str, text: str) -> None:
        self.problem_kind, self.problem = kind, text
        waiting, self._waiting = self._waiting, {}
        for callbacks in waiting.values():
            callbacks.error(kind, text)

    def _remove_folder(self) -> None:
        if self.folder is not None:
            # a virus scanner may hold a file; the system clears its folder for such things one day
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def _message(line: str) -> dict | None:
    """A line of the protocol; None for what another program prints."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and {"event", "id"} <= set(message) else None
