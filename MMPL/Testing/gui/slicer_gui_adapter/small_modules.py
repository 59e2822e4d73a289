"""``slicer.i18n``, ``slicer.packaging`` and ``slicer.testing``."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# slicer.i18n


def tr(text: str) -> str:
    return text


def translate(context: str, text: str) -> str:
    return text


def getContext(sourceFile: str) -> str:
    return Path(sourceFile).stem


# slicer.packaging


class Installer:
    """Stands in for pip: checks for real, installs nothing, remembers what it was asked for.

    Attributes
    ----------
    asked : list of requirement strings, one list for each pip_ensure or pip_install
    """

    def __init__(self):
        self.asked: list[list[str]] = []

    def pip_check(self, req, _seen=None) -> bool:
        """True if every requirement is met by an installed distribution."""
        return all(_is_met(Requirement(str(one))) for one in _as_list(req))

    def pip_ensure(
        self,
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ) -> list[str]:
        """Remember the requirements; return the names of those that are missing and skipped, as the real one does."""
        skipped = {canonicalize_name(name) for name in skip_packages or []}
        wanted = [Requirement(str(one)) for one in _as_list(requirements)]
        self.asked.append([str(one) for one in wanted if canonicalize_name(one.name) not in skipped])
        return [str(one) for one in wanted if canonicalize_name(one.name) in skipped]

    def pip_install(self, requirements, *_args, completedCallback=None, **_kwargs) -> None:
        texts = requirements.split() if isinstance(requirements, str) else [str(one) for one in requirements]
        self.asked.append(texts)
        if completedCallback is not None:
            completedCallback(0)

    def isPipInstallInProgress(self) -> bool:
        return False


def load_requirements(path) -> list[Requirement]:
    """Requirements of a text file; comments and options are left out."""
    lines = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def _as_list(requirements) -> list:
    return list(requirements) if isinstance(requirements, list | tuple) else [requirements]


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


# slicer.testing


def exitSuccess() -> None:
    raise SystemExit(0)


def exitFailure(message: str = "") -> None:
    raise SystemExit(message or 1)
