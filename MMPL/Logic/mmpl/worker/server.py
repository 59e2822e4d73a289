"""Lines in, lines out: reads requests in one thread and answers them in another."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mmpl.errors import MMPLError
from mmpl.worker.inbox import CANCEL, Cancelled, Inbox, Request
from mmpl.worker.session import Session

PROTOCOL = 1
INPUT, MEMORY, FAULT = "input", "memory", "fault"  # whose an error is: the user's to mend, the machine's, ours


class Speaker:
    """Writes messages, one JSON object a line, from any thread; to a front end that is gone, nothing."""

    def __init__(self, out: TextIO):
        self._out = out
        self._turn = threading.Lock()

    def say(self, request_id: int | None, event: str, **content) -> None:
        line = json.dumps({"id": request_id, "event": event, **content}, allow_nan=False)
        with self._turn, suppress(OSError):  # nobody reads any more: the lines end, too, which ends the worker
            self._out.write(line + "\n")
            self._out.flush()


def serve(lines: TextIO, out: TextIO, folder: Path) -> None:
    """Answer requests until the lines end, which is how a front end that goes away is noticed.

    A request is ``{"id": 7, "do": "measure", ...}``. It is answered by any number of ``progress`` messages (``step``,
    ``fraction``), by ``partial`` ones with a part of the answer, and by one of: ``result``; ``error`` with ``kind`` and
    one sentence as ``text``; ``cancelled``; ``dropped`` when a later request took its place before it began.
    """
    inbox, speaker, session = Inbox(), Speaker(out), Session(folder)
    speaker.say(None, "ready", protocol=PROTOCOL)
    reader = threading.Thread(target=_read, args=(lines, inbox, speaker), name="requests", daemon=True)
    reader.start()
    while (request := inbox.take()) is not None:
        answer(request, session, inbox, speaker)


def _read(lines: TextIO, inbox: Inbox, speaker: Speaker) -> None:
    try:
        for line in lines:
            if line.strip():
                _take_in(line, inbox, speaker)
    finally:
        inbox.close()


def _take_in(line: str, inbox: Inbox, speaker: Speaker) -> None:
    try:
        data = json.loads(line)
        request = Request(int(data.pop("id")), str(data.pop("do")), data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        speaker.say(None, "error", kind=FAULT, text=f"a request cannot be read: {error!r}")
        return
    for dropped in inbox.put(request):
        speaker.say(dropped.id, "cancelled" if request.do == CANCEL else "dropped")
    if request.do == CANCEL:
        speaker.say(request.id, "result")


def answer(request: Request, session: Session, inbox: Inbox, speaker: Speaker) -> None:
    """Do what a request asks and say how it ended. Nothing that goes wrong in it ends the worker."""

    def progress(step: str, fraction: float) -> None:
        inbox.check()
        speaker.say(request.id, "progress", step=step, fraction=round(fraction, 4))

    try:
        action = session.actions().get(request.do)
        if action is None:
            raise ValueError(f"there is no request {request.do!r}")
        session.tell = lambda **part: speaker.say(request.id, "partial", **part)
        content = action(request.arguments, progress)
        speaker.say(request.id, "result", **content)
    except Cancelled:
        speaker.say(request.id, "cancelled")
    except MMPLError as error:
        speaker.say(request.id, "error", kind=INPUT, text=" ".join(str(error).split()))
    except Exception as error:  # the one edge of this process: said to the front end, and in full to its log
        traceback.print_exc(file=sys.stderr)
        speaker.say(request.id, "error", **described(error))


def described(error: Exception) -> dict[str, str]:
    """An unexpected error as ``kind`` and one sentence."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        text = "There is not enough memory for this case: close other programs, or choose the CPU."
        return {"kind": MEMORY, "text": text}
    text = f"Something went wrong in the worker ({type(error).__name__}: {error}); its log says more."
    return {"kind": FAULT, "text": text}
