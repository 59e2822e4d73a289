"""Which request comes next: in order, but of several edits only the latest."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

MEASURE, CANCEL = "measure", "cancel"


class Cancelled(Exception):
    """The running request is no longer wanted."""


@dataclass(frozen=True)
class Request:
    """One line of the front end: a number, what to do, and with what."""

    id: int
    do: str
    arguments: dict = field(default_factory=dict)


class Inbox:
    """Filled by the thread that reads, emptied by the one that works.

    A later ``measure`` takes the place of one that waits and stops one that runs: numbers of contours that have
    changed since are of no use. A ``cancel`` stops what runs and drops what waits.
    """

    def __init__(self):
        self._waiting: deque[Request] = deque()
        self._changed = threading.Condition()
        self._running: Request | None = None
        self._stop = False
        self._closed = False

    def put(self, request: Request) -> list[Request]:
        """Add a request; returns those that are dropped for it."""
        with self._changed:
            dropped = []
            if request.do == CANCEL:
                dropped, self._waiting = list(self._waiting), deque()
                self._stop = self._running is not None
            else:
                if request.do == MEASURE:
                    dropped = [r for r in self._waiting if r.do == MEASURE]
                    self._waiting = deque(r for r in self._waiting if r.do != MEASURE)
                    self._stop |= self._running is not None and self._running.do == MEASURE
                self._waiting.append(request)
            self._changed.notify()
            return dropped

    def take(self) -> Request | None:
        """Wait for the next request; None once the inbox is closed."""
        with self._changed:
            self._running, self._stop = None, False
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            return self._running

    def close(self) -> None:
        """The front end is gone: nothing that waits or runs is wanted any more."""
        with self._changed:
            self._closed = self._stop = True
            self._waiting.clear()
            self._changed.notify()

    def check(self) -> None:
        """Raise Cancelled when the running request is no longer wanted. Called wherever progress is told."""
        with self._changed:
            if self._stop:
                raise Cancelled
