"""What announces itself to the engine, and what happens when it cannot be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points

import pytest

from mmpl.errors import MMPLError
from mmpl.plugins import GROUP, load_plugin


@dataclass
class Entry:
    """An entry point that loads, or fails to."""

    result: object = None
    error: Exception | None = None

    def load(self):
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def registered(monkeypatch):
    """Puts one entry point in place of all."""

    def put(entry: Entry) -> None:
        def found(*, group, name):
            return (entry,) if (group, name) == (GROUP, "scene") else ()

        monkeypatch.setattr("mmpl.plugins.entry_points", found)

    return put


def test_the_slicer_side_is_registered():
    targets = {e.name: e.value for e in entry_points(group=GROUP)}
    assert targets["scene"] == "mmpl_slicer.scene_plugin:write_scene"
    assert targets["demo"] == "mmpl_slicer.demo:run_demo"


def test_what_is_registered_is_loaded(registered):
    registered(Entry(result=print))
    assert load_plugin("scene") is print


def test_what_is_not_registered_is_named_with_the_remedy(registered):
    registered(Entry())
    with pytest.raises(MMPLError, match=r"'demo' is not installed; install .*slicer-core"):
        load_plugin("demo")


def test_a_missing_package_is_named_with_the_remedy(registered):
    registered(Entry(error=ModuleNotFoundError("No module named 'slicer'", name="slicer")))
    with pytest.raises(MMPLError, match=r"needs the Python package 'slicer'; install .*slicer-core"):
        load_plugin("scene")


def test_a_missing_system_library_is_named(registered):
    registered(Entry(error=ImportError("libGL.so.1: cannot open shared object file")))
    with pytest.raises(MMPLError, match=r"cannot be loaded \(libGL\.so\.1.*install the library it names"):
        load_plugin("scene")


def test_a_fault_of_the_plugin_is_not_hidden(registered):
    registered(Entry(error=TypeError("a bug")))
    with pytest.raises(TypeError, match="a bug"):
        load_plugin("scene")
