"""The files that make the repository an extension of 3D Slicer: lists, index entry, icon, requirements, workflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image

from mmpl.results import HPV_SCALE

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MMPL"
TOOL = ROOT / "tools" / "cmake_lists.py"
BUNDLED_WITH_SLICER = {"numpy", "scipy", "simpleitk", "pydicom", "highdicom"}
FROM_THE_PYTORCH_EXTENSION = {"torch"}


def cmake_arguments(text: str) -> dict[str, list[str]]:
    """What each ``set()`` of a CMake file sets, comments left out; quoted arguments may hold anything."""
    calls = re.findall(r'\bset\(\s*((?:"[^"]*"|[^()"])*)\)', re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))
    words = [re.findall(r'"([^"]*)"|([^\s"#]+)(?=\s|$)', call) for call in calls]
    return {name: [quoted or plain for quoted, plain in rest] for (_, name), *rest in words}


@pytest.fixture(scope="module")
def listed() -> dict[str, list[str]]:
    return cmake_arguments((MODULE / "CMakeLists.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extension() -> dict[str, str]:
    """Variables of the top CMake file, references to the others put in."""
    arguments = cmake_arguments((ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    values: dict[str, str] = {}
    for name, words in arguments.items():
        values[name] = re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], m[0]), words[0] if words else "")
    return values


@pytest.fixture(scope="module")
def entry() -> dict:
    return json.loads((ROOT / "MMPL.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def requirements() -> dict[str, Requirement]:
    """As Slicer reads the file: each line that is neither empty nor a comment is one requirement."""
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    read = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {r.name.lower(): r for r in read}


@pytest.fixture(scope="module")
def project_dependencies() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["openvino"]]
    return {r.name.lower(): r for r in map(Requirement, wanted)}


# --- the file lists -----------------------------------------------------------------------------------


def files_of_the_module() -> set[str]:
    """Walked here, apart from the tool: MMPL.py, and all below Logic and Resources that is source."""
    found = {"MMPL.py"} if (MODULE / "MMPL.py").is_file() else set()
    for folder in ("Logic", "Resources"):
        for place, subfolders, names in os.walk(MODULE / folder):
            subfolders[:] = [s for s in subfolders if s != "__pycache__" and not s.endswith((".egg-info", ".openvino"))]
            found |= {Path(place, n).relative_to(MODULE).as_posix() for n in names if not n.endswith(".pyc")}
    return found


def test_every_file_of_the_module_is_listed_and_nothing_else(listed):
    assert set(listed["MODULE_PYTHON_SCRIPTS"] + listed["MODULE_PYTHON_RESOURCES"]) == files_of_the_module()


def test_scripts_are_python_and_resources_are_not(listed):
    assert all(name.endswith(".py") for name in listed["MODULE_PYTHON_SCRIPTS"])
    assert not any(name.endswith(".py") for name in listed["MODULE_PYTHON_RESOURCES"])


@pytest.mark.parametrize("variable", ["MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"])
def test_each_list_is_sorted_and_names_a_file_once(listed, variable):
    assert listed[variable] == sorted(set(listed[variable]))


def test_the_build_is_given_both_lists(listed):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    build = text.split("slicerMacroBuildScriptedModule(")[1].split(")")[0].split()
    assert build == [
        *("NAME", "${MODULE_NAME}"),
        *("SCRIPTS", "${MODULE_PYTHON_SCRIPTS}"),
        *("RESOURCES", "${MODULE_PYTHON_RESOURCES}"),
        "WITH_GENERIC_TESTS",
    ]
    assert listed["MODULE_NAME"] == ["MMPL"]


# --- the tool that writes them ------------------------------------------------------------------------


@pytest.fixture
def small_module(tmp_path) -> Path:
    """A repository of four files that belong to the module and three that do not."""
    module = tmp_path / "MMPL"
    ours = ("MMPL.py", "Logic/a/__init__.py", "Logic/a/table.json", "Resources/Icons/MMPL.png")
    others = ("Logic/a/__pycache__/__init__.pyc", "Logic/a.egg-info/PKG-INFO", "Testing/test_a.py")
    for name in (*ours, *others):
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).touch()
    (module / "CMakeLists.txt").write_text("# before\n# lists: begin\n# lists: end\n# after\n")
    return tmp_path


def lists_tool(action: str, root: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOL), action, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_tool_finds_this_repository_in_order():
    checked = lists_tool("--check", ROOT)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_written_lists_hold_the_modules_files(small_module):
    assert lists_tool("--write", small_module).returncode == 0
    assert (small_module / "MMPL" / "CMakeLists.txt").read_text() == (
        "# before\n# lists: begin\n"
        "set(MODULE_PYTHON_SCRIPTS\n  Logic/a/__init__.py\n  MMPL.py\n  )\n\n"
        "set(MODULE_PYTHON_RESOURCES\n  Logic/a/table.json\n  Resources/Icons/MMPL.png\n  )\n"
        "# lists: end\n# after\n"
    )


def test_writing_twice_changes_nothing(small_module):
    path = small_module / "MMPL" / "CMakeLists.txt"
    lists_tool("--write", small_module)
    once = path.read_bytes()
    lists_tool("--write", small_module)
    assert path.read_bytes() == once
    assert lists_tool("--check", small_module).returncode == 0


def test_a_missing_file_is_named(small_module):
    lists_tool("--write", small_module)
    (small_module / "MMPL" / "Logic" / "a" / "new.py").touch()
    checked = lists_tool("--check", small_module)
    assert checked.returncode == 1
    assert "does not list Logic/a/new.py; run: python tools/cmake_lists.py --write" in checked.stderr


def test_a_superfluous_file_is_named(small_module):
    lists_tool("--write", small_module)
    (small_module / "MMPL" / "Logic" / "a" / "table.json").unlink()
    checked = lists_tool("--check", small_module)
    assert checked.returncode == 1
    assert "lists what is not there: Logic/a/table.json;" in checked.stderr


def test_a_name_that_cmake_would_split_is_refused(small_module):
    (small_module / "MMPL" / "Resources" / "two words.txt").touch()
    written = lists_tool("--write", small_module)
    assert written.returncode == 1
    assert "MMPL/Resources/two words.txt has a space" in written.stderr


def test_without_markers_nothing_is_written(small_module):
    path = small_module / "MMPL" / "CMakeLists.txt"
    path.write_text("# no markers\n")
    assert lists_tool("--write", small_module).returncode == 1
    assert path.read_text() == "# no markers\n"


def test_what_git_ignores_is_not_listed(small_module):
    try:
        subprocess.run(["git", "init", "-q", str(small_module)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not installed")
    (small_module / ".gitignore").write_text("table.json\n")
    lists_tool("--write", small_module)
    names = cmake_arguments((small_module / "MMPL" / "CMakeLists.txt").read_text())
    assert names["MODULE_PYTHON_RESOURCES"] == ["Resources/Icons/MMPL.png"]


# --- the extension and its entry in the index ---------------------------------------------------------


def test_the_extension_describes_itself(extension):
    home = extension["MMPL_HOMEPAGE"]
    assert home.startswith("https://")
    assert extension["EXTENSION_HOMEPAGE"] == home
    assert extension["EXTENSION_CATEGORY"] == "Radiotherapy"
    assert extension["EXTENSION_CONTRIBUTORS"] == "The MMPL contributors"
    assert extension["EXTENSION_DEPENDS"] == "PyTorch"
    assert "research use only" in extension["EXTENSION_DESCRIPTION"]
    assert ";" not in extension["EXTENSION_DESCRIPTION"]  # CMake would make a list of it


@pytest.mark.parametrize("variable", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_pictures_are_files_of_this_repository(extension, variable):
    prefix = f"{extension['MMPL_HOMEPAGE']}/raw/main/"
    assert extension[variable].startswith(prefix)
    assert (ROOT / extension[variable].removeprefix(prefix)).is_file()


@pytest.mark.parametrize("variable", ["EXTENSION_LICENSE_FILE", "EXTENSION_README_FILE"])
def test_licence_and_readme_are_there(extension, variable):
    assert (ROOT / extension[variable].removeprefix("${CMAKE_CURRENT_SOURCE_DIR}/")).is_file()


def test_the_extension_is_built_in_the_order_that_slicer_asks_for():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    steps = (
        "project(MMPL)",
        "set(EXTENSION_DEPENDS",
        "find_package(Slicer REQUIRED)",
        "include(${Slicer_USE_FILE})",
        "add_subdirectory(MMPL)",
        "include(${Slicer_EXTENSION_GENERATE_CONFIG})",
        "include(${Slicer_EXTENSION_CPACK})",
    )
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_the_home_stands_in_one_place_of_the_build():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert len(re.findall("https://", text)) == 1


def test_the_index_entry_has_the_fields_of_schema_1_0_1(entry):
    optional = {"scm_revision": str, "scm_type": str, "build_dependencies": list, "build_subdirectory": str}
    kinds = {"$schema": str, "category": str, "scm_url": str, **optional, "enabled": bool, "tier": int}
    assert {"$schema", "category", "scm_url"} <= entry.keys() <= kinds.keys()
    assert all(type(value) is kinds[name] for name, value in entry.items())
    assert entry["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["tier"] in (1, 3, 5)


def test_index_entry_and_build_agree(entry, extension):
    assert entry["scm_url"] == extension["MMPL_HOMEPAGE"] + ".git"
    assert entry["category"] == extension["EXTENSION_CATEGORY"]
    assert entry["build_dependencies"] == extension["EXTENSION_DEPENDS"].split()
    assert entry["build_subdirectory"] == "."


# --- pictures -----------------------------------------------------------------------------------------


def test_the_icon_is_128_pixels_wide_with_clear_corners():
    with Image.open(MODULE / "Resources" / "Icons" / "MMPL.png") as icon:
        assert (icon.format, icon.mode, icon.size) == ("PNG", "RGBA", (128, 128))
        alpha = icon.getchannel("A")
        assert [alpha.getpixel(corner) for corner in ((0, 0), (127, 0), (0, 127), (127, 127))] == [0] * 4
        assert alpha.getpixel((64, 64)) == 255


def test_the_icon_stands_out_from_dark_and_light_at_24_pixels():
    with Image.open(MODULE / "Resources" / "Icons" / "MMPL.png") as icon:
        small = icon.resize((24, 24), Image.Resampling.LANCZOS)
    for background in ("white", "#1e1e1e"):
        canvas = Image.new("RGB", small.size, background)
        canvas.paste(small, mask=small)
        darkest, brightest = canvas.crop((2, 2, 22, 22)).convert("L").getextrema()
        assert darkest < 50
        assert brightest > 200


def test_the_sample_patients_thumbnail_is_as_wide_as_slicer_shows_it():
    with Image.open(MODULE / "Resources" / "Icons" / "MMPLPhantom.png") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("PNG", (300, 200))
        red, _, blue = thumbnail.convert("RGB").split()
        assert max(r - b for r, b in zip(red.tobytes(), blue.tobytes(), strict=True)) > 100  # hot colours: a PET


# --- requirements -------------------------------------------------------------------------------------


def test_every_dependency_is_bundled_required_or_the_pytorch_extensions(requirements, project_dependencies):
    elsewhere = BUNDLED_WITH_SLICER | FROM_THE_PYTORCH_EXTENSION
    assert requirements.keys() | elsewhere == project_dependencies.keys()
    assert requirements.keys().isdisjoint(elsewhere)


def test_bounds_are_those_of_the_project(requirements, project_dependencies):
    for name, requirement in requirements.items():
        assert requirement.specifier == project_dependencies[name].specifier


def test_requirements_leave_other_extensions_room(requirements):
    operators = {specifier.operator for r in requirements.values() for specifier in r.specifier}
    assert operators <= {">=", "~="}


@pytest.mark.parametrize(
    ("platform", "machine", "wanted"),
    [
        ("linux", "x86_64", True),
        ("win32", "AMD64", True),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", False),
    ],
)
def test_numba_is_wanted_where_it_has_builds_for_slicers_numpy(requirements, platform, machine, wanted):
    marker = requirements["numba"].marker
    assert marker.evaluate({"sys_platform": platform, "platform_machine": machine}) is wanted


def test_the_panel_says_of_the_hpv_probability_what_the_report_does():
    widgets = ElementTree.parse(MODULE / "Resources" / "UI" / "MMPL.ui").iter("widget")
    tips = {w.get("name"): w.findtext("property[@name='toolTip']/string") for w in widgets}
    assert tips["hpvLabel"] == tips["hpvBar"] == HPV_SCALE


# --- continuous integration ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow() -> dict:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))


def commands(job: dict) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_one_job_runs_what_a_new_user_runs(workflow):
    assert ".ci/run" in commands(workflow["jobs"]["python"])
    assert (ROOT / ".ci" / "run").is_file()


def test_one_job_runs_the_modules_tests_in_slicer(workflow):
    run = commands(workflow["jobs"]["slicer"])
    assert "slicer.testing.runUnitTest(['MMPL'],'MMPL')" in run
    assert "-r MMPL/Resources/requirements.txt" in run


def test_the_address_of_slicer_stands_in_one_place(workflow):
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert workflow["env"]["SLICER_URL"].startswith("https://download.slicer.org/download?os=linux&stability=release")
    assert text.count("https://") == 1
