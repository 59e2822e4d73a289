"""Where networks can run on this machine, and how much memory is free there."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import torch

from mmpl.errors import InputError

CPU, AUTO = "cpu", "auto"
GB = 1e9
MOST_PASS_BYTES = 2.75 * GB  # of one pass of a network, so that a process stays within 4 GB with images and weights
FREE_SHARE = 0.8  # of what is free, that a pass may take


def devices() -> list[dict]:
    """Every device as ``id`` (PyTorch's name), ``name`` and ``free_gb`` (None where it cannot be told).

    A card that does not even tell its memory is not listed.
    """
    found = [{"id": CPU, "name": _cpu_name(), "free_gb": _free_memory_gb()}]
    if torch.cuda.is_available():
        for n in range(torch.cuda.device_count()):
            try:
                free, _ = torch.cuda.mem_get_info(n)
            except RuntimeError:
                continue
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
        raise InputError(f"device {device!r} is not on this machine: choose {' or '.join([*known, AUTO])}")
    return device


def chosen_device(asked: str) -> str:
    """The device asked for; with "auto" the first graphics card that works, else the CPU.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    known = [one["id"] for one in devices()]
    return check_device(asked) if asked != AUTO else next((one for one in known if one != CPU), CPU)


def free_bytes(device: str) -> int | None:
    """Memory that can still be taken on a device; None where it cannot be told."""
    if device != CPU:
        try:
            return int(torch.cuda.mem_get_info(torch.device(device))[0])
        except RuntimeError:  # a card that fails says so at its next pass, where another backend can take its place
            return None
    free = _free_memory_gb()
    return None if free is None else int(free * GB)


def give_back(device: str) -> None:
    """What is kept of memory that was freed is free for anyone again.

    PyTorch keeps a graphics card's for its next arrays; the C library of Linux a process's, from small pieces that lie
    between pieces in use. Networks made ready and dropped in turn would leave more of these each time.
    """
    if device == CPU:
        with suppress(AttributeError, OSError, TypeError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
    else:
        with suppress(RuntimeError):  # of a card that fails nothing comes back, and another device is to take its place
            torch.cuda.empty_cache()


def usable_bytes(device: str, memory_gb: float | None) -> float:
    """Memory that a pass may take: what was asked for, else at most 2.75 GB and at most 80 % of what is free."""
    if memory_gb is not None:
        return memory_gb * GB
    free = free_bytes(device)
    return MOST_PASS_BYTES if free is None else min(MOST_PASS_BYTES, FREE_SHARE * free)


def _cpu_name() -> str:
    return f"CPU, {os.cpu_count()} cores" if os.cpu_count() else f"CPU {platform.machine()}"


def _free_memory_gb() -> float | None:
    """Memory that a process can still take, as the system tells it, within the limit of its container or job."""
    if sys.platform.startswith("linux"):
        free = [one for one in (_available_bytes(Path("/proc/meminfo")), *cgroup_free_bytes()) if one is not None]
        return round(min(free) / GB, 1) if free else None
    if sys.platform == "win32":
        return _free_memory_gb_windows()
    return None


def _available_bytes(meminfo: Path) -> int | None:
    lines = meminfo.read_text(encoding="ascii").splitlines()
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable")), None)
    return None if kilobytes is None else int(kilobytes) * 1024


def cgroup_free_bytes(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What each limited control group above this process leaves; empty where there is none.

    Both versions are read. Cached files count as free: the kernel gives them up before it ends a process.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found = [_left(group, "memory.max", "memory.current", "inactive_file") for group in _upward(root, path)]
        elif "memory" in controllers.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            found = [_left(group, *names) for group in _upward(root / "memory", path)]
        else:
            continue
        free += [one for one in found if one is not None]
    return free


def _upward(root: Path, path: str) -> list[Path]:
    """A control group and those that it lies in; a container shows its own as the root."""
    inner = root / path.lstrip("/")
    return [group for group in (inner, *inner.parents) if group.is_relative_to(root)]


def _left(group: Path, limit: str, usage: str, cached: str) -> int | None:
    try:
        most, used = ((group / name).read_text(encoding="ascii").strip() for name in (limit, usage))
        if most == "max":
            return None
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0, int(most) - int(used) + int(stat.get(cached, 0)))
    except (OSError, ValueError):
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
