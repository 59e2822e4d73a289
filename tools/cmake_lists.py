"""Name every file of the Slicer module in MMPL/CMakeLists.txt.

python tools/cmake_lists.py --write    write the lists anew
python tools/cmake_lists.py --check    exit with 1 and name the files by which list and tree differ

A file that is not listed is missing in the installed extension only, where nobody looks until it breaks. What git
ignores is not part of the module. Standard library only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE = "MMPL"
SOURCES = ("MMPL.py", "Logic", "Resources")
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"
BEGIN, END = "# lists: begin", "# lists: end"
PLAIN_NAME = re.compile(r"[\w./+-]+", re.ASCII)
NAMED_AT_MOST = 5


class ListsError(Exception):
    """The lists cannot be made or read."""


def module_files(root: Path) -> list[str]:
    """Paths of the module's files below its folder, sorted, with forward slashes.

    Parameters
    ----------
    root : the repository's folder

    Raises
    ------
    ListsError
        If a name has a character that would need quoting in CMake.
    """
    module = root / MODULE
    found = _files_of_git(module)
    if found is None:
        found = _files_on_disk(module)
    names = sorted(name for name in found if _belongs(name) and (module / name).is_file())
    odd = [name for name in names if not PLAIN_NAME.fullmatch(name)]
    if odd:
        raise ListsError(f"{MODULE}/{odd[0]} has a space or another odd character in its name: rename it")
    return names


def _files_of_git(module: Path) -> list[str] | None:
    """Files that git tracks or would track; None where there is no git or no checkout."""
    command = ["git", "-C", str(module), "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *SOURCES]
    try:
        listed = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sorted(set(listed.stdout.decode("utf-8").split("\0")) - {""})


def _files_on_disk(module: Path) -> list[str]:
    paths = [p for source in SOURCES for p in (module / source, *(module / source).rglob("*"))]
    return [p.relative_to(module).as_posix() for p in paths if p.is_file()]


def _belongs(name: str) -> bool:
    """Not compiled, not hidden, not left behind by an installation."""
    parts = name.split("/")
    leftover = any(
        part.startswith(".") or part == "__pycache__" or part.endswith((".egg-info", ".openvino")) for part in parts
    )
    return not leftover and not name.endswith(".pyc")


def lists_text(names: list[str]) -> str:
    """The two CMake lists with the markers round them."""
    scripts = [name for name in names if name.endswith(".py")]
    resources = [name for name in names if not name.endswith(".py")]
    return "\n".join([BEGIN, *_set(SCRIPTS, scripts), "", *_set(RESOURCES, resources), END])


def _set(variable: str, names: list[str]) -> list[str]:
    return [f"set({variable}", *(f"  {name}" for name in names), "  )"]


def replace_lists(text: str, lists: str) -> str:
    """A CMake file with other lists between its markers.

    Raises
    ------
    ListsError
        If the markers are missing or stand more than once.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end or BEGIN in after or END in after:
        raise ListsError(f"{MODULE}/CMakeLists.txt must hold '{BEGIN}' and '{END}' once each, on lines of their own")
    return f"{before}{lists}\n{after}"


def listed_files(text: str) -> list[str]:
    """The names between the markers, in their order."""
    between = text.partition(BEGIN)[2].partition(END)[0]
    return [line.strip() for line in between.splitlines() if line.startswith("  ") and line.strip() != ")"]


def differences(text: str, names: list[str]) -> list[str]:
    """What is wrong with the lists, as sentences; empty when they are as ``--write`` would make them."""
    listed = listed_files(text)
    problems = [
        _sentence("does not list", [name for name in names if name not in set(listed)]),
        _sentence("lists what is not there:", [name for name in listed if name not in set(names)]),
    ]
    found = [problem for problem in problems if problem]
    if not found and replace_lists(text, lists_text(names)) != text:
        found = ["has its lists in another order or form"]
    return found


def _sentence(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"{what} {', '.join(names[:NAMED_AT_MOST])}{more}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Keep the file lists of MMPL/CMakeLists.txt.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the lists anew")
    action.add_argument("--check", action="store_true", help="exit with 1 if the lists differ from the tree")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's folder")
    chosen = parser.parse_args(arguments)
    try:
        return _write(chosen.root) if chosen.write else _check(chosen.root)
    except ListsError as error:
        print(error, file=sys.stderr)
        return 1


def _write(root: Path) -> int:
    path = root / MODULE / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    path.write_text(replace_lists(text, lists_text(module_files(root))), encoding="utf-8", newline="\n")
    return 0


def _check(root: Path) -> int:
    path = root / MODULE / "CMakeLists.txt"
    problems = differences(path.read_text(encoding="utf-8"), module_files(root))
    for problem in problems:
        print(f"{MODULE}/CMakeLists.txt {problem}; run: python tools/cmake_lists.py --write", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
