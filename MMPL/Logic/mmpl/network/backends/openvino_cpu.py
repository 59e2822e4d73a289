"""OpenVINO on the CPU: the same network several times faster than PyTorch, in bf16 where the CPU computes in it."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from mmpl.machine import give_back
from mmpl.network.backends.base import (
    BF16,
    FP32,
    BackendUnavailable,
    OutOfMemory,
    StoredNetwork,
    Tick,
    no_tick,
)
from mmpl.network.backends.conversion_cache import ConversionCache
from mmpl.network.backends.pytorch import CPU, gflop, thread_pairs
from mmpl.network.config import NetworkConfig
from mmpl.network.folded import fold

HINTS = {FP32: "f32", BF16: "bf16"}
# Measured with the full-width network on two cores of an AMD EPYC with AVX-512 and bf16; narrow ones do less a second.
BYTES_PER_VOXEL = {FP32: 335, BF16: 172}
GFLOP_PER_SECOND = {FP32: 200.0, BF16: 410.0}  # of the plain network's arithmetic
COMPILE_S, COMPILED_BYTES = 0.7, 320_000_000
KEPT_BYTES = {FP32: 180_000_000, BF16: 160_000_000}  # of a network that is compiled, without its working memory
WAIT_MS = 100
CONVERTER = "openvino.tools.ovc"
FRONTEND_FAILURES = (  # of openvino.frontend; none is a RuntimeError
    "GeneralFailure",
    "InitializationFailure",
    "NotImplementedFailure",
    "OpConversionFailure",
    "OpValidationFailure",
)


def installed() -> bool:
    """Whether OpenVINO is there; it is not imported for that."""
    return importlib.util.find_spec("openvino") is not None


@cache
def library():
    """The openvino package, without its converter.

    ``import openvino`` would import the converter's tools, which report their use over the network at once. It passes
    over them where they cannot be imported, so for the time of the import they cannot. Afterwards they can: other code
    that asks for them by name gets them.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules[CONVERTER] = None
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendUnavailable(f"OpenVINO cannot be loaded ({error})") from error
    finally:
        del sys.modules[CONVERTER]
    return openvino


@cache
def core():
    """OpenVINO itself. Files of weights are read, not mapped: a compiled network would keep 75 MB of them in memory
    that it never looks at again."""
    found = library().Core()
    found.set_property({"ENABLE_MMAP": False})
    return found


def available_precisions() -> tuple[str, ...]:
    """Precisions that this CPU computes in, fastest first.

    Raises
    ------
    BackendUnavailable
        If OpenVINO cannot be loaded.
    """
    try:
        able = core().get_property(CPU.upper(), "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise BackendUnavailable(f"OpenVINO finds no CPU to run on ({_last_line(error)})") from error
    return (BF16, FP32) if "BF16" in able else (FP32,)


@dataclass(frozen=True)
class OpenVinoBackend:
    """See :class:`mmpl.network.backends.base.Backend`.

    Attributes
    ----------
    precision : one of :func:`available_precisions`
    cache : where converted networks are kept
    """

    precision: str
    cache: ConversionCache
    device: str = CPU
    name: str = "OpenVINO"

    def runner(self, network: StoredNetwork) -> OpenVinoRunner:
        self.converted(network)
        return OpenVinoRunner(network, self)

    def converted(self, network: StoredNetwork) -> Path:
        """Where the converted network lies; converted again where its files are gone."""
        version = library().__version__
        try:
            return self.cache.path(network, version, convert)
        except (OSError, RuntimeError, ImportError, *_frontend_failures()) as error:
            raise BackendUnavailable(f"{network.what} cannot be converted ({_last_line(error)})") from error

    def pass_bytes(self, config: NetworkConfig, voxels: int) -> int:
        wide = config.fusion_channels[0] / 16
        return int(BYTES_PER_VOXEL[self.precision] * wide * voxels + COMPILED_BYTES * wide**2)

    def kept_bytes(self, config: NetworkConfig) -> int:
        return int(KEPT_BYTES[self.precision] * (config.fusion_channels[0] / 16) ** 2)

    def pass_seconds(self, config: NetworkConfig, voxels: int) -> float:
        return gflop(config, voxels) / (GFLOP_PER_SECOND[self.precision] * thread_pairs()) + COMPILE_S


def convert(network: StoredNetwork, path: Path) -> None:
    """Write a network as OpenVINO's .xml and .bin, weights in single precision, every size of input allowed."""
    ov = library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with _traced(network) as traced:
        manager, decoder = FrontEndManager(), TorchScriptPythonDecoder(traced)  # both must outlive the conversion
        frontend = manager.load_by_framework("pytorch")
        ov.save_model(frontend.convert(frontend.load(decoder)), path, compress_to_fp16=False)
        del frontend, decoder, manager
    give_back(CPU)


_traces: dict[tuple[NetworkConfig, int | None], torch.jit.ScriptModule] = {}
_tracing = threading.Lock()


@contextmanager
def _traced(network: StoredNetwork) -> Iterator[torch.jit.ScriptModule]:
    """The folded network as TorchScript; its weights are taken away again at the end.

    PyTorch never forgets what it has traced, some 20 MB of a network of full width. So networks of one kind take turns
    with one trace, in which only the weights change.
    """
    folded, kind = fold(network.module()), (network.config, network.outputs)
    with _tracing:
        if kind not in _traces:
            with torch.no_grad():
                _traces[kind] = torch.jit.trace(folded, torch.zeros(1, 2, 16, 16, 16), check_trace=False)
        places = _traces[kind].state_dict(keep_vars=True)
        try:
            for name, weights in folded.state_dict().items():
                places[name].data = weights
            del folded
            yield _traces[kind]
        finally:
            for place in places.values():
                place.data = place.new_empty(0)


class OpenVinoRunner:
    """A converted network, compiled for the shape that it was last given."""

    def __init__(self, network: StoredNetwork, backend: OpenVinoBackend):
        self._network, self._backend = network, backend
        self._shape, self._compiled, self._request = None, None, None

    def __call__(self, batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray:
        tick(0.0)
        batch = np.ascontiguousarray(batch, dtype=np.float32)
        try:
            self._start(batch)
            self._watch(batch, tick)
            return self._answer()
        except BaseException:
            self._cancel()
            self._forget()
            raise

    def release(self) -> None:
        self._request = None
        try:
            if self._compiled is not None:
                self._compiled.release_memory()
        except RuntimeError:
            self._forget()

    def _forget(self) -> None:
        self._shape, self._compiled, self._request = None, None, None

    def _start(self, batch: np.ndarray) -> None:
        with _named_errors():
            # an attribute: the traceback of an error would keep a local variable, and its memory, alive
            self._request = self._for_shape(batch.shape).create_infer_request()
            self._request.start_async([batch], share_inputs=True)

    def _watch(self, batch: np.ndarray, tick: Tick) -> None:
        voxels = batch.shape[0] * int(np.prod(batch.shape[2:]))
        predicted, started = self._backend.pass_seconds(self._network.config, voxels), time.monotonic()
        while not self._ended():
            tick(min((time.monotonic() - started) / predicted, 0.99))

    def _ended(self) -> bool:
        with _named_errors():
            return self._request.wait_for(WAIT_MS)

    def _answer(self) -> np.ndarray:
        with _named_errors():
            self._request.wait()  # raises what went wrong, if anything did
            logits = np.array(self._request.get_output_tensor(0).data, dtype=np.float32)
        self._request = None
        return logits

    def _cancel(self) -> None:
        """Stop the pass and wait until it has stopped; that it was cancelled is what the request then says."""
        if self._request is None:
            return
        try:
            self._request.cancel()
            self._request.wait()
        except RuntimeError:
            return

    def _for_shape(self, shape: tuple[int, ...]):
        if self._shape != shape:
            self._forget()
            model = core().read_model(self._backend.converted(self._network))
            model.reshape(list(shape))
            hints = {"INFERENCE_PRECISION_HINT": HINTS[self._backend.precision]}
            hints["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
            self._compiled, self._shape = core().compile_model(model, CPU.upper(), hints), shape
        return self._compiled


@contextmanager
def _named_errors():
    """Around OpenVINO's calls only: what a tick raises keeps its name."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:
        if _is_memory(error):
            raise OutOfMemory(_last_line(error)) from error
        raise BackendUnavailable(f"OpenVINO: {_last_line(error)}") from error


def _frontend_failures() -> tuple[type[Exception], ...]:
    from openvino import frontend

    return tuple(getattr(frontend, name) for name in FRONTEND_FAILURES)


def _is_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(words in text for words in ("bad_alloc", "allocate", "can't alloc", "out of memory"))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
