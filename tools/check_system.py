"""Name what is missing on this machine before an installation starts. Standard library only."""

from __future__ import annotations

import ctypes.util
import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)


def missing_packages() -> list[str]:
    """Debian packages that the set-up, the offscreen pictures or the panel's tests need and that are not there."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    needs = {
        f"python{version}-venv": importlib.util.find_spec("ensurepip") is not None,
        f"python{version}-dev": Path(sysconfig.get_paths()["include"], "Python.h").is_file(),
        "gcc": shutil.which("gcc") is not None,
        "g++": shutil.which("g++") is not None,
        "libegl1": ctypes.util.find_library("EGL") is not None,
        "libgl1-mesa-dri": _has_software_renderer(),
        "libgl1": ctypes.util.find_library("GL") is not None,
        "libglib2.0-0": ctypes.util.find_library("glib-2.0") is not None,
        "libxkbcommon0": ctypes.util.find_library("xkbcommon") is not None,
        "libdbus-1-3": ctypes.util.find_library("dbus-1") is not None,
        "libfontconfig1": ctypes.util.find_library("fontconfig") is not None,
        "fonts-dejavu-core": any(Path("/usr/share/fonts").rglob("DejaVuSans.ttf")),
    }
    return [package for package, found in needs.items() if not found]


def _has_software_renderer() -> bool:
    return any(Path("/usr/lib").glob("*/dri/swrast_dri.so")) or any(Path("/usr/lib").glob("*/libgallium*.so"))


def main() -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = sys.version.split()[0]
        print(f"MMPL needs Python 3.11 to 3.13, this is {found}: run make PYTHON=/path/to/python3.11", file=sys.stderr)
        return 1
    missing = missing_packages()
    if missing:
        names = " ".join(missing)
        print(f"Missing system packages. On Debian: apt-get update && apt-get install -y {names}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
