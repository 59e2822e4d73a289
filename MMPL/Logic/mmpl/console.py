"""Progress in a terminal: one line a step, with the time left once it can be told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

SHOW_AFTER_S = 2.0
REFRESH_S = 0.5
LOG_AFTER_S = 10.0  # elsewhere than on a terminal, so that a mistake found early stays the only line


class ConsoleProgress:
    """Writes steps to a stream; satisfies :class:`mmpl.progress.Progress`.

    On a terminal the running step's line is rewritten; elsewhere a line appears at most every ten seconds of a step,
    when the per cent are others, and when a step that took as long ends. As a context manager it ends the last line,
    and takes an unfinished one back when an error is on its way to the terminal.

    Parameters
    ----------
    stream : where to write; standard error by default
    clock : seconds, for tests
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic):
        self._stream = stream or sys.stderr
        self._clock = clock
        self._step: str | None = None
        self._started = self._shown = self._before = 0.0  # the share that was done when the step began
        self._text = ""
        self._live = self._stream.isatty()

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self.close()
        else:
            self.take_back()

    def __call__(self, step: str, fraction: float) -> None:
        now = self._clock()
        if step != self._step:
            self._finish(now)
            self._step, self._started, self._shown, self._before, self._text = step, now, now, fraction, ""
        first, pause = (SHOW_AFTER_S, REFRESH_S) if self._live else (LOG_AFTER_S, LOG_AFTER_S)
        if fraction < 1 and now - self._started >= first and now - self._shown >= pause:
            self._show(f"{step}: {100 * fraction:.0f} %", now, fraction)
        elif fraction >= 1:
            self._finish(now)

    def close(self) -> None:
        """End the running step's line."""
        self._finish(self._clock())

    def take_back(self) -> None:
        """Erase a line that is not finished."""
        if self._live and self._step is not None:
            self._write("", final=False)
        self._step = None

    def _show(self, text: str, now: float, fraction: float) -> None:
        if self._live or text != self._text:
            self._shown, self._text = now, text
            self._write(text + self._time_left(now, fraction), final=not self._live)

    def _time_left(self, now: float, fraction: float) -> str:
        done = fraction - self._before
        if done <= 0.02:
            return ""
        left = (now - self._started) * (1 - fraction) / done
        return f", {duration(left)} left"

    def _finish(self, now: float) -> None:
        if self._step is not None and (self._live or now - self._started >= LOG_AFTER_S):
            self._write(f"{self._step}: {now - self._started:.1f} s", final=True)
        self._step = None

    def _write(self, text: str, *, final: bool) -> None:
        start, end = ("\r\x1b[K", "\n" if final else "") if self._live else ("", "\n")
        self._stream.write(f"{start}{text}{end}")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds for people: "8 s", "2 min 05 s", "1 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
