"""The presenter's port to the worker: sees to it that the worker runs and has the right bundle and case, then asks.

Images of a case are written for the worker a part at a time, between two events of the front end, so that nobody waits
for a CT to be written. What is asked meanwhile waits for its turn here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import slicer
from mmpl.errors import InputError
from mmpl.io.output import half_written, remove_half_written
from mmpl.worker.arrays import write_box
from mmpl_slicer.contours import Contours
from mmpl_slicer.handing_over import CaseSource, contours_name, write_in_parts
from mmpl_slicer.volumes import geometry_of_node
from mmpl_slicer.worker_client import CRASHED, READY, STARTING, UNFIT, Callbacks, Opened, WorkerClient, ignore

TURN_S = 0.015  # how long one turn may write
CANCEL_S = 1.5  # how long a worker may go on with what was cancelled, so that all ends within 2 s
REWRITTEN = "The model's files have changed since it was looked at: press Segment or Update now."
KEPT_FILES = 8  # contours that the worker may still be about to read


@dataclass(eq=False)
class _Waiting:
    """A request that waits for its bundle and its case to be open."""

    do: str
    callbacks: Callbacks
    bundle: tuple[str, str, str]
    case: CaseSource
    fingerprint: tuple
    arguments: dict


@dataclass
class EngineSession:
    """One worker and what it was told. Call :meth:`turn` from a timer.

    Attributes
    ----------
    make_client : makes a WorkerClient; asked anew at every start, so that another Python can be chosen meanwhile
    on_failure : called with kind and sentence when the worker dies or a bundle or case cannot be opened; whoever waits
        for it is told by ``error`` as well
    on_case : called with the answer to opening a case
    """

    make_client: Callable[[], WorkerClient]
    on_failure: Callable[[str, str], None] = ignore
    on_case: Callable[[dict], None] = ignore
    devices: tuple[dict, ...] = ()
    client: WorkerClient | None = None
    step: str = ""
    fraction: float | None = None
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _upload: Generator | None = None
    _opening: bool = False
    _mourned: WorkerClient | None = None
    _count: int = 0
    _step_began: float = 0.0
    _cancelled_at: float | None = None
    _clear_up: Callable[[], None] = ignore

    @property
    def is_running(self) -> bool:
        return self.client is not None and self.client.state in (STARTING, READY)

    @property
    def is_busy(self) -> bool:
        return bool(self._upload or self._waiting or (self.client is not None and self.client.is_busy))

    @property
    def has_failed(self) -> bool:
        return self.client is not None and self.client.state == CRASHED

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that the worker's Python lacks."""
        return self.client.missing if self.client is not None and self.client.state == UNFIT else ()

    @property
    def is_down(self) -> bool:
        """Whether it takes somebody to start it again: no edit does."""
        return self.has_failed or bool(self.missing)

    @property
    def log(self) -> str:
        return "" if self.client is None else self.client.log

    @property
    def folder(self) -> Path:
        """Where the worker's answers put their arrays."""
        return self.client.folder

    def request(
        self, do: str, callbacks: Callbacks, bundle: tuple[str, str, str], case: CaseSource, **arguments
    ) -> None:
        """Ask for something about a case; contours among the arguments are written for the worker.

        A "measure" takes the place of one that still waits here, as it does in the worker.

        Parameters
        ----------
        do : "segment", "measure" or "save"
        bundle : path ("" for the demo's), device, and the sha256 that the bundle was last seen with ("" for unknown):
            one that has been rewritten is opened anew
        case : the case as it is now

        Raises
        ------
        InputError
            If the worker cannot be started.
        """
        self._ensure_running()
        superseded = [one for one in self._waiting if one.do == do == "measure"]
        self._waiting = deque(one for one in self._waiting if one not in superseded)
        self._waiting.append(_Waiting(do, callbacks, bundle, case, case.fingerprint, arguments))
        for one in superseded:
            one.callbacks.withdrawn()
        self._go_on()

    def turn(self) -> None:
        """Write a part of what is to be written, and hand out what the worker has said."""
        if self._upload is not None:
            self._write_on()
        if self.client is not None:
            self.client.poll()
        self._end_what_will_not_stop()
        if self.is_down and self._mourned is not self.client:
            self._mourned = self.client
            self._fail(self.client.problem_kind, self.client.problem, list(self._waiting))
        if not self.is_busy:
            self.step, self.fraction = "", None

    def cancel(self) -> None:
        """Withdraw what was asked; the worker keeps its bundle and case, if it stops soon."""
        waiting, self._waiting = self._waiting, deque()
        self._end_upload()
        if self.client is not None:
            self.client.cancel()
            self._cancelled_at = time.monotonic()
        for one in waiting:
            one.callbacks.withdrawn()

    def _end_what_will_not_stop(self) -> None:
        """Kill a worker that goes on with what was cancelled: it listens only between two passes of its networks."""
        if self._cancelled_at is None:
            return
        if self.client is None or not self.client.is_cancelling:
            self._cancelled_at = None
            self._go_on()
        elif time.monotonic() - self._cancelled_at > CANCEL_S:
            client, self.client, self._cancelled_at = self.client, None, None
            waiting, self._waiting = self._waiting, deque()
            self._end_upload()
            self._opening = False
            client.abort()
            if waiting:
                self._ask_anew(waiting)

    def _ask_anew(self, waiting: deque[_Waiting]) -> None:
        """Ask the next worker for what was asked since a cancel that killed the last one."""
        with suppress(InputError):  # whoever waits is told at this turn, as of a worker that dies
            self._ensure_running()
        self._waiting.extendleft(reversed(waiting))
        if self.is_running:
            self._go_on()

    def stop(self) -> None:
        """Kill the worker; nobody who waits is told."""
        self._waiting.clear()
        self._end_upload()
        self._opening = False
        if self.client is not None:
            self.client.stop()
        self._clear_up()
        self.step, self.fraction = "", None

    def seconds_left(self, from_fraction: float) -> float | None:
        """What the step that runs will still take at the pace so far; None while that cannot be told."""
        if self.fraction is None or not from_fraction <= self.fraction < 1:
            return None
        return (time.monotonic() - self._step_began) * (1 - self.fraction) / self.fraction

    # --- the worker ------------------------------------------------------------------------------

    def _ensure_running(self) -> None:
        if self.is_running:
            return
        self.stop()
        self.client = self.make_client()
        self._mourned = None
        self.client.start()
        self.step = "starting the worker"
        self._greet()

    def _greet(self) -> None:
        if self.client is None:
            return
        # a cancel may come before the answer: then it is asked again
        callbacks = Callbacks(result=self._heard_hello, progress=self._heard_step, withdrawn=self._greet)
        self.client.ask("hello", callbacks)

    def _heard_hello(self, told: dict) -> None:
        self.devices = tuple(told["devices"])

    def _heard_step(self, step: str, fraction: float) -> None:
        if step != self.step:
            self._step_began = time.monotonic()
        self.step, self.fraction = step, fraction

    def _fail(self, kind: str, text: str, waiting: list[_Waiting]) -> None:
        """Tell everybody concerned; others go on waiting."""
        self._opening = False
        if self.is_down:
            self._end_upload()
            self.client.opened = Opened()
        self._waiting = deque(one for one in self._waiting if one not in waiting)
        self.on_failure(kind, text)
        for one in waiting:
            one.callbacks.error(kind, text)

    # --- bundle and case -------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Send what can be sent; open what the next request needs.

        Nothing is sent to a worker that still has to stop what was cancelled: it may have to be killed for it.
        """
        while self.client is not None and self._waiting and self._upload is None and not self._opening:
            first = self._waiting[0]
            if self.client.opened.bundle != first.bundle:
                self._open_bundle(first)
            elif self.client.opened.case != first.fingerprint:
                self.step, self.fraction = "handing over the images", None
                self._upload = self._uploading(first)
            elif self._cancelled_at is not None and self.client.is_cancelling:
                return
            else:
                self._send(self._waiting.popleft())

    def _open_bundle(self, one: _Waiting) -> None:
        self.client.opened = Opened()
        path, device, sha256 = one.bundle
        concerned = [other for other in self._waiting if other.bundle == one.bundle]

        def opened(told: dict) -> None:
            if sha256 in ("", told["sha256"]):
                self.client.opened.bundle = one.bundle
            else:  # what it says would be taken for the other one's
                self._fail("input", REWRITTEN, [other for other in self._waiting if other.bundle == one.bundle])

        self._open(
            "open_bundle", opened, concerned, path=str(Path(path).absolute()) if path else None, device=device or None
        )

    def _write_on(self) -> None:
        deadline = time.perf_counter() + TURN_S
        try:
            while time.perf_counter() < deadline:
                next(self._upload)
        except StopIteration:
            self._upload = None
        except (OSError, InputError) as error:
            self._upload = None
            text = f"The images cannot be handed to the worker: {getattr(error, 'strerror', None) or error}"
            self._fail("input", text, list(self._waiting))

    def _end_upload(self) -> None:
        """Write no further, and leave nothing of it behind."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.close()

    def _uploading(self, one: _Waiting) -> Generator[None]:
        """Write both images, then ask the worker to open them; what is given up half-way is removed."""
        told, case, folder = {}, one.case, self.client.folder
        self.client.opened.case = None
        self._count += 1
        files = {name: f"{name}-{self._count}.npy" for name in ("ct", "pet")}  # it may still be reading those before

        def remove() -> None:
            for file in files.values():
                with suppress(OSError):  # a virus scanner may hold it
                    (folder / file).unlink(missing_ok=True)

        try:
            for name, node in (("ct", case.ct), ("pet", case.pet)):
                yield from write_in_parts(folder / files[name], slicer.util.arrayFromVolume(node))
                told[name] = {"file": files[name], "geometry": geometry_of_node(node).to_dict()}
        except BaseException:  # a cancel closes this generator, a disk may be full
            remove()
            raise

        def opened(answer: dict) -> None:
            self.client.opened.case = one.fingerprint
            self.on_case(answer)

        self._open(
            "open_case",
            opened,
            [other for other in self._waiting if other.fingerprint == one.fingerprint],
            done=remove,
            case_id=case.case_id,
            pet_units=case.pet_units,
            conversion=None if case.conversion is None else case.conversion.to_dict(),
            **told,
        )

    def _open(self, do: str, opened, concerned: list[_Waiting], done=ignore, **arguments) -> None:
        """Ask for a bundle or a case to be opened; whoever needs it waits till then."""
        self._opening = True

        def result(told: dict) -> None:
            self._opening = False
            done()
            opened(told)
            self._go_on()

        def error(kind: str, text: str) -> None:
            self._opening = False
            done()
            if not self.is_down:  # else all are told at once
                self._fail(kind, text, [one for one in self._waiting if one in concerned])
                self._go_on()

        def withdrawn() -> None:
            self._opening = False
            done()
            self._go_on()

        self.client.ask(do, Callbacks(result, error, self._heard_step, withdrawn=withdrawn), **arguments)

    # --- requests --------------------------------------------------------------------------------

    def _send(self, one: _Waiting) -> None:
        heard = one.callbacks.progress

        def progress(step: str, fraction: float) -> None:
            self._heard_step(step, fraction)
            heard(step, fraction)

        try:
            arguments = {name: self._as_file(value) for name, value in one.arguments.items()}
        except OSError as error:
            one.callbacks.error("input", f"The contours cannot be handed to the worker: {error.strerror or error}.")
            return
        callbacks = replace(one.callbacks, progress=progress)
        if one.do == "save":
            callbacks = self._clearing_up(callbacks, Path(arguments["out"]))
        self.client.ask(one.do, callbacks, **arguments)

    def _clearing_up(self, callbacks: Callbacks, out: Path) -> Callbacks:
        """Callbacks of a save that leaves nothing half-written among the user's files, however its worker ends."""
        before = half_written(out)

        def result(told: dict) -> None:
            self._clear_up = ignore
            callbacks.result(told)

        def error(kind: str, text: str) -> None:
            self._clear_up()
            callbacks.error(kind, text)

        def withdrawn() -> None:
            self._clear_up()
            callbacks.withdrawn()

        def clear_up() -> None:
            self._clear_up = ignore
            remove_half_written(out, before)

        self._clear_up = clear_up
        return replace(callbacks, result=result, error=error, withdrawn=withdrawn)

    def _as_file(self, value: object) -> object:
        """Contours become a file of the exchange folder; anything else goes as it is."""
        if not isinstance(value, Contours):
            return value
        self._count += 1
        (self.client.folder / contours_name(self._count - KEPT_FILES)).unlink(missing_ok=True)  # long read
        return write_box(self.client.folder, contours_name(self._count), value.labels, value.start_zyx)
