"""What the worker does before it imports anything: it says what its Python lacks."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import mmpl
from mmpl.worker.__main__ import NEEDED, missing_packages

LOGIC = Path(mmpl.__file__).parents[1]


def test_nothing_is_missing_here():
    assert missing_packages() == []


def test_what_is_missing_has_pips_name(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in ("PIL", "torch") else find(name, *a)
    )
    assert missing_packages() == ["torch", "pillow"]


def test_what_is_needed_are_dependencies_of_the_package():
    text = (LOGIC.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    (block,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    declared = {re.match(r"[\w-]+", line)[0].lower() for line in re.findall(r'"([^"]+)"', block)}
    assert {package.lower() for package in NEEDED.values()} <= declared


def test_a_bare_python_says_so_and_ends(tmp_path):
    done = subprocess.run(
        [sys.executable, "-S", "-m", "mmpl.worker", str(tmp_path)],
        env={"PYTHONPATH": str(LOGIC)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["event"], told["id"]) == ("unfit", None)
    assert set(told["missing"]) == set(NEEDED.values())
