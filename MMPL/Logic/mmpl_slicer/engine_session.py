"""The presenter's port to the worker: sees to it that the worker runs and has the right bundle and case, then asks.

Images of a case are written for the worker a part at a time, between two events of the front end, so that nobody waits
for a CT to be written. What is asked meanwhile waits for its turn here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import slicer
from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl.io.suv import SuvInputs
from mmpl_slicer.contours import Contours, contours_of_label_map
from mmpl_slicer.volumes import geometry_of_node
from mmpl_slicer.worker_client import CRASHED, READY, STARTING, UNFIT, Callbacks, WorkerClient, ignore

PART_BYTES = 4 << 20
TURN_S = 0.015  # how long one turn may write


@dataclass(frozen=True)
class CaseSource:
    """The images that a case is made of, as they are now.

    Attributes
    ----------
    case_id : name of the case
    ct, pet : vtkMRMLScalarVolumeNode
    suv : what converts the PET, None where it is SUV
    pet_units : units to state, None to let the engine judge
    """

    case_id: str
    ct: object
    pet: object
    suv: SuvInputs | None = None
    pet_units: str | None = None

    @property
    def fingerprint(self) -> tuple:
        """Changes whenever the worker's copy would be out of date."""
        images = tuple((n.GetID(), n.GetImageData().GetMTime(), repr(geometry_of_node(n))) for n in (self.ct, self.pet))
        return (self.case_id, images, self.suv, self.pet_units)


@dataclass
class _Known:
    """What the running worker was told."""

    bundle: tuple[str, str] | None = None
    case: tuple | None = None


@dataclass
class EngineSession:
    """One worker and what it was told. Call :meth:`turn` from a timer.

    Attributes
    ----------
    make_client : makes a WorkerClient; asked anew at every start, so that another Python can be chosen meanwhile
    on_failure : called with kind and sentence when the worker dies or a bundle or case cannot be opened
    on_case : called with the answer to opening a case
    """

    make_client: Callable[[], WorkerClient]
    on_failure: Callable[[str, str], None] = ignore
    on_case: Callable[[dict], None] = ignore
    devices: tuple[dict, ...] = ()
    client: WorkerClient | None = None
    step: str = ""
    fraction: float | None = None
    _known: _Known = field(default_factory=_Known)
    _waiting: deque = field(default_factory=deque)
    _upload: Iterator | None = None
    _count: int = 0
    _step_began: float = 0.0

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
    def log(self) -> str:
        return "" if self.client is None else self.client.log

    def request(self, do: str, callbacks: Callbacks, bundle: tuple[str, str], case: CaseSource, **arguments) -> None:
        """Ask for something about a case; contours among the arguments are written for the worker.

        Parameters
        ----------
        do : "segment", "measure" or "save"
        bundle : path ("" for the demo's) and device
        case : the case as it is now

        Raises
        ------
        InputError
            If the worker cannot be started.
        """
        self._ensure_running()
        self._ensure_bundle(bundle)
        self._ensure_case(case)
        self._waiting.append((do, callbacks, arguments))
        self._send_waiting()

    def turn(self) -> None:
        """Write a part of what is to be written, and hand out what the worker has said."""
        if self._upload is not None:
            deadline = time.perf_counter() + TURN_S
            try:
                while time.perf_counter() < deadline:
                    next(self._upload)
            except StopIteration:
                self._upload = None
                self._send_waiting()
            except OSError as error:
                self._upload = None
                self._known.case = None
                self._withdraw_waiting()
                self.on_failure("input", f"The images cannot be handed to the worker: {error.strerror or error}.")
        if self.client is not None:
            self.client.poll()
        if not self.is_busy:
            self.step, self.fraction = "", None

    def cancel(self) -> None:
        """Withdraw what was asked; the worker keeps its bundle and case."""
        self._withdraw_waiting()
        if self.client is not None:
            self.client.cancel()

    def stop(self) -> None:
        """Kill the worker; nobody who waits is told."""
        self._waiting.clear()
        self._upload = None
        if self.client is not None:
            self.client.stop()
        self._known = _Known()
        self.step, self.fraction = "", None

    def _ensure_running(self) -> None:
        if self.is_running:
            return
        self.stop()
        self.client = self.make_client()
        self.client.start()
        self.step = "starting the worker"
        self.client.ask("hello", Callbacks(result=self._heard_hello, error=self.on_failure, progress=self._heard_step))

    def _heard_hello(self, told: dict) -> None:
        self.devices = tuple(told["devices"])

    def _heard_step(self, step: str, fraction: float) -> None:
        if step != self.step:
            self._step_began = time.monotonic()
        self.step, self.fraction = step, fraction

    def seconds_left(self, from_fraction: float) -> float | None:
        """What the step that runs will still take at the pace so far; None while that cannot be told."""
        if self.fraction is None or not from_fraction <= self.fraction < 1:
            return None
        return (time.monotonic() - self._step_began) * (1 - self.fraction) / self.fraction

    def _ensure_bundle(self, bundle: tuple[str, str]) -> None:
        if self._known.bundle == bundle:
            return
        path, device = bundle
        self._known = _Known(bundle=bundle)

        def failed(kind: str, text: str) -> None:
            self._known = _Known()
            self.on_failure(kind, text)

        callbacks = Callbacks(error=failed, progress=self._heard_step, withdrawn=lambda: failed("", ""))
        self.client.ask("open_bundle", callbacks, path=path or None, device=device or None)

    def _ensure_case(self, case: CaseSource) -> None:
        if self._known.case == case.fingerprint:
            return
        self._known.case = case.fingerprint
        self._upload = self._uploading(case)

    def _uploading(self, case: CaseSource) -> Iterator[None]:
        """Write both images, then ask the worker to open them."""
        told = {}
        folder = self.client.folder
        self._count += 1
        self.step, self.fraction = "handing over the images", None
        for name, node in (("ct", case.ct), ("pet", case.pet)):
            file = f"{name}-{self._count}.npy"  # the worker may still be reading the case before
            yield from write_in_parts(folder / file, slicer.util.arrayFromVolume(node))
            told[name] = {"file": file, "geometry": geometry_of_node(node).to_dict()}

        def remove() -> None:
            for one in told.values():
                (folder / one["file"]).unlink(missing_ok=True)

        def opened(answer: dict) -> None:
            remove()
            self.on_case(answer)

        def failed(kind: str, text: str) -> None:
            remove()
            self._known.case = None
            self.on_failure(kind, text)

        self.client.ask(
            "open_case",
            Callbacks(result=opened, error=failed, progress=self._heard_step, withdrawn=lambda: failed("", "")),
            case_id=case.case_id,
            pet_units=case.pet_units,
            suv=None if case.suv is None else case.suv.to_dict(),
            **told,
        )

    def _send_waiting(self) -> None:
        while self._waiting and self._upload is None:
            do, callbacks, arguments = self._waiting.popleft()
            heard = callbacks.progress

            def progress(step: str, fraction: float, heard=heard) -> None:
                self._heard_step(step, fraction)
                heard(step, fraction)

            self.client.ask(do, replace(callbacks, progress=progress), **self._as_files(arguments))

    def _as_files(self, arguments: dict) -> dict:
        """Contours among the arguments become files of the exchange folder."""
        sent = {}
        for name, value in arguments.items():
            sent[name] = self._write_contours(value) if isinstance(value, Contours) else value
        return sent

    def _write_contours(self, contours: Contours) -> dict:
        self._count += 1
        name = f"contours-{self._count}.npy"
        np.save(self.client.folder / name, contours.labels, allow_pickle=False)
        (self.client.folder / f"contours-{self._count - 8}.npy").unlink(missing_ok=True)  # long read
        return {"file": name, "start_zyx": list(contours.start_zyx)}

    def _withdraw_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        if self._upload is not None:
            self._upload, self._known.case = None, None
        for _, callbacks, _ in waiting:
            callbacks.withdrawn()


def read_contours_file(folder: Path, told: dict, geometry: Geometry) -> Contours:
    """The contours that a worker's answer names.

    Raises
    ------
    InputError
        If they are not on this grid or cannot be read.
    """
    try:
        labels = np.load(folder / told["file"], allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"the worker's contours cannot be read: {error}") from error
    ends = np.add(told["start_zyx"], labels.shape)
    if np.any(np.greater(ends, geometry.shape)):
        raise InputError("the worker's contours lie on another grid than the CT: segment again")
    return contours_of_label_map(labels, told["start_zyx"])


def write_in_parts(path: Path, array: np.ndarray, part_bytes: int = PART_BYTES) -> Iterator[None]:
    """Write a ``.npy`` file a part at a time; the array is not copied as a whole."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        )
        rows = max(1, part_bytes // max(1, array[:1].nbytes)) if array.ndim else 1
        for first in range(0, len(array), rows):
            file.write(memoryview(np.ascontiguousarray(array[first : first + rows])).cast("B"))
            yield
