"""Which backends to try, best first. PyTorch on the CPU is always the last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mmpl.errors import InputError
from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.machine import chosen_device
from mmpl.network.backends import openvino_cpu
from mmpl.network.backends.base import BF16, FP16, FP32, Backend, BackendUnavailable
from mmpl.network.backends.conversion_cache import ConversionCache, beside, cache_folder
from mmpl.network.backends.pytorch import CPU, TorchBackend, gflop
from mmpl.network.config import NetworkConfig

AUTO, PYTORCH, OPENVINO = "auto", "pytorch", "openvino"
BACKENDS = (AUTO, PYTORCH, OPENVINO)
PRECISIONS = (AUTO, FP32, BF16, FP16)
WORTH_CONVERTING_GFLOP = 50.0  # of a 128 mm window: below, a pass is over before another library has made ready for it


@dataclass(frozen=True)
class BackendChoice:
    """What a user asks for.

    Attributes
    ----------
    device : "cpu", "cuda:N", or "auto", which :func:`on_this_machine` decides
    backend : "auto", "pytorch" or "openvino"
    precision : "auto" (bf16 where the device computes in it, else fp32), "fp32", "bf16" or "fp16"
    """

    device: str = CPU
    backend: str = AUTO
    precision: str = AUTO

    def __post_init__(self):
        for name, value, known in (("backend", self.backend, BACKENDS), ("precision", self.precision, PRECISIONS)):
            if value not in known:
                raise InputError(f"{name} {value!r} is unknown: choose {', '.join(known)}")
        if self.backend == OPENVINO and self.device not in (CPU, AUTO):
            raise InputError(f"OpenVINO runs on the CPU here, not on {self.device}: choose the device cpu")
        if self.device == CPU and (self.precision == FP16 or (self.backend == PYTORCH and self.precision == BF16)):
            raise InputError(
                f"precision {self.precision} is not offered by {self.backend} on the CPU: "
                "choose fp32, or bf16 with OpenVINO"
            )


def on_this_machine(choice: BackendChoice) -> BackendChoice:
    """The choice with a device of this machine: with "auto" its first graphics card, else the CPU.

    Raises
    ------
    InputError
        If this machine has no such device, or what else was chosen does not go with it.
    """
    if choice.device == AUTO and choice.backend == OPENVINO:
        return replace(choice, device=CPU)
    return replace(choice, device=chosen_device(choice.device))


REFERENCE = BackendChoice(backend=PYTORCH, precision=FP32)


def backends(choice: BackendChoice, config: NetworkConfig, bundle: Path) -> tuple[list[Backend], str | None]:
    """Backends to try, best first, and why one that was asked for, or is installed, is not among them.

    After a graphics card's reduced precision comes fp32 on the same card, then the CPU's.

    Parameters
    ----------
    choice : BackendChoice
    config : size of the networks: small ones are not worth converting
    bundle : converted networks are kept beside it
    """
    if choice.device != CPU:
        precision = FP32 if choice.precision == FP32 else AUTO
        on_cpu, _ = backends(BackendChoice(backend=choice.backend, precision=precision), config, bundle)
        precision = cuda_precision() if choice.precision == AUTO else choice.precision
        on_card = [TorchBackend(choice.device, one) for one in dict.fromkeys((precision, FP32))]
        return [*on_card, *on_cpu], None
    reference, asked_for = TorchBackend(), choice.backend == OPENVINO or choice.precision == BF16
    if choice.backend == PYTORCH or not (asked_for or worth_converting(config)):
        return [reference], None
    try:
        return [_openvino(choice, bundle), reference], None
    except BackendUnavailable as error:
        return [reference], str(error) if asked_for or openvino_cpu.installed() else None


def worth_converting(config: NetworkConfig) -> bool:
    return gflop(config, padded_voxels(WINDOW_MM, config.spacing_mm) ** 3) >= WORTH_CONVERTING_GFLOP


def cuda_precision() -> str:
    """Of networks on a graphics card, where nobody asks for another: bf16 where it computes in it, else fp16."""
    return BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else FP16


def _openvino(choice: BackendChoice, bundle: Path) -> Backend:
    if not openvino_cpu.installed():
        raise BackendUnavailable("OpenVINO is not installed: pip install openvino")
    offered = openvino_cpu.available_precisions()
    precision = offered[0] if choice.precision == AUTO else choice.precision
    if precision not in offered:
        raise BackendUnavailable(f"this CPU does not compute in {precision}")
    cache = ConversionCache(cache_folder(bundle), beside(bundle))
    return openvino_cpu.OpenVinoBackend(precision=precision, cache=cache)
