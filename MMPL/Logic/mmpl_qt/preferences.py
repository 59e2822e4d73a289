"""What is chosen once for all patients: the model, the device, and whether numbers follow the pen."""

from __future__ import annotations

import qt

SETTINGS = {"bundlePath": "MMPL/Bundle", "device": "MMPL/Device"}
AUTO_UPDATE = "MMPL/AutoUpdate"


def bring_back(node_wrapper) -> None:
    """Put the preferences into a parameter node that a scene has not filled."""
    for name, key in SETTINGS.items():
        setattr(node_wrapper, name, str(qt.QSettings().value(key, "") or ""))
    node_wrapper.autoUpdate = str(qt.QSettings().value(AUTO_UPDATE, "on")) == "on"


def keep(name: str, value: object) -> None:
    """Remember a choice, if it is one of these."""
    if name in SETTINGS:
        qt.QSettings().setValue(SETTINGS[name], value)
    elif name == "autoUpdate":
        qt.QSettings().setValue(AUTO_UPDATE, "on" if value else "off")
