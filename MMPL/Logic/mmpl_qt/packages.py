"""Puts into Slicer's Python what the worker needs, when the user says so, and takes it out again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from subprocess import CalledProcessError

import qt
from slicer.i18n import tr as _

import slicer

REQUESTER = "MMPL"
INSTALLED_SETTING = "MMPL/Installed"
TORCH = "torch>=2.4"
BUNDLED = ("numpy", "scipy", "SimpleITK", "pydicom", "highdicom")  # Slicer's own: never replaced


class SetupError(Exception):
    """Nothing was installed, or not all; the message says what to do."""


def install(requirements_file: Path, wheel_folder: str = "") -> None:
    """Install what is missing: torch through the PyTorch extension, the rest by Slicer's installer, both of which ask.

    Parameters
    ----------
    requirements_file : without torch
    wheel_folder : where wheels lie, torch's included, for computers without the internet; "" to download

    Raises
    ------
    SetupError
        If the user declines, the PyTorch extension is missing or an installation fails.
    """
    import slicer.packaging  # not loaded when Slicer starts

    requirements = slicer.packaging.load_requirements(requirements_file)
    missing = [one for one in (*map(str, requirements), TORCH) if not slicer.packaging.pip_check(one)]
    constraints = _constraints()
    try:
        if wheel_folder:
            _install_from(wheel_folder, missing, constraints)
        else:
            _install_torch()
            slicer.packaging.pip_ensure(requirements, constraints=constraints, requester=REQUESTER)
    except RuntimeError as error:  # how Slicer's installer says that the user declined
        raise SetupError(_("Nothing was installed: {reason}.").format(reason=error)) from error
    except CalledProcessError as error:
        text = _("The installation failed (pip ended with {code}): see the Python console, then set up again.")
        raise SetupError(text.format(code=error.returncode)) from error
    except (ImportError, OSError) as error:  # a package that is there and cannot be loaded
        text = _("The installation failed ({reason}): restart Slicer and set up again.")
        raise SetupError(text.format(reason=error)) from error
    finally:
        constraints.unlink(missing_ok=True)
        _remember([one for one in missing if slicer.packaging.pip_check(one)])  # also of an installation that failed


def remove() -> tuple[str, ...]:
    """Uninstall what :func:`install` has installed, and nothing else; returns the names.

    Raises
    ------
    SetupError
        If nothing was installed by MMPL, or uninstalling fails.
    """
    import slicer.packaging

    names = remembered()
    if not names:
        raise SetupError(_("MMPL has installed nothing into this Slicer."))
    try:
        slicer.packaging.pip_uninstall(list(names))
    except CalledProcessError as error:
        text = _("Not all could be removed: restart Slicer, and remove before anything else uses them.")
        raise SetupError(text) from error
    qt.QSettings().setValue(INSTALLED_SETTING, "")
    return names


def remembered() -> tuple[str, ...]:
    """Names of the packages that MMPL has installed."""
    return tuple(str(qt.QSettings().value(INSTALLED_SETTING, "") or "").split())


def _install_torch() -> None:
    if slicer.packaging.pip_check(TORCH):
        return
    try:
        import PyTorchUtils
    except ModuleNotFoundError as error:
        text = _(
            "PyTorch is missing: install the PyTorch extension (Extensions Manager), restart Slicer and set up again; "
            "or give a folder of wheels, or another Python."
        )
        raise SetupError(text) from error
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.4") is None:
        raise SetupError(_("PyTorch was not installed."))


def _install_from(wheel_folder: str, missing: Sequence[str], constraints: Path) -> None:
    if not Path(wheel_folder).is_dir():
        raise SetupError(_("The folder of wheels {path} does not exist: choose another.").format(path=wheel_folder))
    if missing:
        arguments = ["--no-index", "--find-links", wheel_folder, *missing]
        slicer.packaging.pip_install(arguments, constraints=constraints, requester=REQUESTER)


def _constraints() -> Path:
    """A file that pins what comes with Slicer to the versions that are there."""
    lines = [f"{name}=={version}" for name in BUNDLED if (version := _version(name))]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="mmpl-", delete=False, encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return Path(file.name)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _remember(requirements: Sequence[str]) -> None:
    """Add to the names of what MMPL has installed."""
    names = {_name(one) for one in requirements} | set(remembered())
    qt.QSettings().setValue(INSTALLED_SETTING, " ".join(sorted(names)))


def _name(requirement: str) -> str:
    return requirement.split(";")[0].split(">")[0].split("~")[0].split("=")[0].split("<")[0].strip()
