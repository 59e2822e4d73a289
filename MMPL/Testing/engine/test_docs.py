"""The documentation says what the code does: options, warnings, settings, fields, figures and links."""

from __future__ import annotations

import argparse
import json
import os
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

import mmpl
from mmpl import cli, notices
from mmpl.clinical.fields import FIELDS, HPV_STATUS, NOT_FEATURES, PRIMARY_SITE
from mmpl.network.config import NetworkConfig
from mmpl.network.model import SegmentationNet, parameter_count
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.report.validate import SCHEMA_FILE
from mmpl.training.config import TrainingConfig

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
ENGINE = Path(mmpl.__file__).parent
NOT_OURS = {"runs", "build", "dist", "demo-output"}

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.*?)\s*$", re.MULTILINE)
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Text from the first heading that contains the words to the next of its level or above."""
    found = re.search(rf"^(#+) [^\n]*{re.escape(heading)}[^\n]*\n", text, re.MULTILINE)
    assert found, f"no heading with {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def first_cells(text: str) -> list[str]:
    """What stands in backticks in the first column of a section's tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = {o for a in parser._actions for o in a.option_strings if o.startswith("--")}
    return found - {"--help"}


# --- command line -------------------------------------------------------------------------------------


def test_commands_in_usage_are_those_of_the_command_line():
    overview = first_cells(text_of("usage.md").split("\n## ")[0])
    assert overview == [f"mmpl {name}" for name in commands()]


@pytest.mark.parametrize("name", commands())
def test_every_option_of_a_command_is_in_its_section(name):
    documented = {cell.split()[0] for cell in first_cells(section(text_of("usage.md"), f"`mmpl {name}`"))}
    assert options(commands()[name]) <= documented


def test_no_document_names_an_option_that_no_command_has():
    known = {"--help", "--version"}.union(*map(options, commands().values()))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text_of("usage.md")))
    assert named <= known


@pytest.mark.parametrize("code", [cli.DONE, cli.FAULT, cli.BAD_INPUT, cli.DONE_WITH_WARNINGS, cli.STOPPED])
def test_exit_codes_are_listed(code):
    assert f"\n| {code} |" in section(text_of("usage.md"), "Exit codes")


# --- warnings, record, results ------------------------------------------------------------------------


def test_the_table_of_warnings_holds_every_code_and_no_other():
    codes = {value for name, value in vars(notices).items() if name.isupper() and isinstance(value, str)}
    assert set(first_cells(section(text_of("usage.md"), "Warnings"))) == codes


def test_every_field_of_the_record_and_its_categories_are_listed():
    record = section(text_of("usage.md"), "Clinical record")
    rows = {row.split("|")[1].strip(" `"): row for row in record.splitlines() if row.startswith("| `")}
    for name, field in FIELDS.items():
        assert name in rows
        for code, spelling in ((c, s) for s, c in getattr(field, "spellings", {}).items()):
            assert f"`{spelling}`" in rows[name].lower(), (name, code)
        for code in getattr(field, "levels", {}):
            assert re.search(rf"\b{code}\b", rows[name]), (name, code)
    assert {PRIMARY_SITE, HPV_STATUS, *NOT_FEATURES} <= set(first_cells(record))


def schema_names(schema: dict) -> set[str]:
    """Names of all properties of a JSON Schema, however deep."""
    found = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", {}))
        for part in schema.values():
            found |= schema_names(part)
    elif isinstance(schema, list):
        for part in schema:
            found |= schema_names(part)
    return found


def test_every_field_of_results_json_is_described():
    described = set(re.findall(r"`([^`]+)`", section(text_of("usage.md"), "`results.json`")))
    assert schema_names(json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))) <= described


# --- bundle and training ------------------------------------------------------------------------------


def yaml_keys(config, prefix: str = "") -> dict[str, object]:
    found = {}
    for f in fields(config):
        value = getattr(config, f.name)
        found |= yaml_keys(value, f"{prefix}{f.name}.") if is_dataclass(value) else {prefix + f.name: value}
    return found


def settings_table() -> dict[str, list[str]]:
    rows = [
        line.split("|")[1:-1]
        for line in section(text_of("bundle.md"), "Settings (YAML)").splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in rows}


def same_value(text: str, value) -> bool:
    parts = [part.strip(" `") for part in text.split(",")]
    values = list(value) if isinstance(value, tuple) else [value]
    return len(parts) == len(values) and all(map(_same, parts, values))


def _same(text: str, value) -> bool:
    if isinstance(value, bool) or value is None:
        return text == {True: "true", False: "false", None: "null"}[value]
    return float(text) == value if isinstance(value, int | float) else text == value


def test_the_settings_are_those_of_the_configuration():
    assert set(settings_table()) == {"base", *yaml_keys(TrainingConfig())}


@pytest.mark.parametrize("key", yaml_keys(TrainingConfig()))
def test_the_defaults_in_the_table_are_the_configurations(key):
    full, demo, _ = settings_table()[key]
    assert same_value(full, yaml_keys(TrainingConfig())[key])
    assert same_value(full if demo == "same" else demo, yaml_keys(TrainingConfig.demo())[key])


def test_every_key_of_bundle_json_is_described():
    schema = json.loads((ENGINE / "bundle" / "bundle.schema.json").read_text(encoding="utf-8"))
    described = set(first_cells(section(text_of("bundle.md"), "Format")))
    assert set(schema["properties"]) == described


# --- figures and names --------------------------------------------------------------------------------


def test_counts_in_the_method_are_the_codes():
    method = text_of("method.md")
    assert f"{parameter_count(SegmentationNet(NetworkConfig.full())):,} parameters" in method
    assert f"{len(FeatureSet.full().names())} columns" in method
    assert f"has {len(FeatureSet.demo().names())}" in method


def test_every_package_and_module_of_the_engine_has_its_place_in_the_architecture():
    text = text_of("architecture.md")
    packages = [p.parent.name for p in ENGINE.glob("*/__init__.py")]
    modules = [p.name for p in ENGINE.glob("*.py") if not p.name.startswith("__") and p.name != "version.py"]
    assert [p for p in packages if f"`mmpl/{p}`" not in text] == []
    assert [m for m in modules if f"`{m}`" not in text] == []


def test_every_module_of_the_slicer_layer_has_its_place_in_the_architecture():
    text = text_of("architecture.md")
    modules = [p.stem for p in (ENGINE.parent / "mmpl_slicer").glob("*.py") if p.stem != "__init__"]
    assert [m for m in modules if f"`{m}`" not in text] == []


def test_every_section_of_the_presenter_has_its_place_in_the_architecture():
    text = section(text_of("architecture.md"), "The presenter")
    modules = [p.name for p in (ENGINE.parent / "mmpl_slicer" / "presenter").glob("*.py") if p.stem != "__init__"]
    assert [m for m in modules if f"`{m}`" not in text] == []


# --- links --------------------------------------------------------------------------------------------


def documents() -> list[Path]:
    ours = []
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [f for f in subfolders if not f.startswith(".") and f not in NOT_OURS]
        ours += [Path(folder, f) for f in files if f.endswith(".md")]
    return sorted(ours)


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to a document's headings."""
    headings = HEADING.findall(FENCED.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_there_are_documents_to_check():
    assert DOCS / "usage.md" in documents()


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_relative_links_resolve(path):
    broken = []
    for target in LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = path.parent / unquote(file) if file else path
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []
