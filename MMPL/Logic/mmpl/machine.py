"""Where networks can run on this machine, and how much memory is free there."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import torch

from mmpl.errors import InputError

CPU = "cpu"
GB = 1e9
MOST_PASS_BYTES = 3.0 * GB  # of one pass of a network, so that a process stays within 4 GB with images and weights
FREE_SHARE = 0.8  # of what is free, that a pass may take


def devices() -> list[dict]:
    """Every device as ``id`` (PyTorch's name), ``name`` and ``free_gb`` (None where it cannot be told)."""
    found = [{"id": CPU, "name": _cpu_name(), "free_gb": _free_memory_gb()}]
    if torch.cuda.is_available():
        for n in range(torch.cuda.device_count()):
            free, _ = torch.cuda.mem_get_info(n)
            found.append({"id": f"cuda:{n}", "name": torch.cuda.get_device_name(n), "free_gb": round(free / GB, 1)})
    return found


def check_device(device: str) -> str:
    """The device, if it is one of :func:`devices`.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    known = [one["id"] for one in devices()]
    if device not in known:
        raise InputError(f"device {device!r} is not on this machine: choose {' or '.join(known)}")
    return device


def free_bytes(device: str) -> int | None:
    """Memory that can still be taken on a device; None where it cannot be told."""
    if device != CPU:
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    free = _free_memory_gb()
    return None if free is None else int(free * GB)


def usable_bytes(device: str, memory_gb: float | None) -> float:
    """Memory that a pass may take: what was asked for, else at most 3 GB and at most 80 % of what is free."""
    if memory_gb is not None:
        return memory_gb * GB
    free = free_bytes(device)
    return MOST_PASS_BYTES if free is None else min(MOST_PASS_BYTES, FREE_SHARE * free)


def _cpu_name() -> str:
    return f"CPU, {os.cpu_count()} cores" if os.cpu_count() else f"CPU {platform.machine()}"


def _free_memory_gb() -> float | None:
    """Memory that a process can still take, as the system tells it."""
    if sys.platform.startswith("linux"):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable")), None)
        return None if kilobytes is None else round(int(kilobytes) * 1024 / GB, 1)
    if sys.platform == "win32":
        return _free_memory_gb_windows()
    return None


def _free_memory_gb_windows() -> float | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return round(status.free / GB, 1)
