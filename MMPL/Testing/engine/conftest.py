"""The command line run in this process, on the tiny patient."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mmpl import console
from mmpl.case import Case
from mmpl.cli import main
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_case
from mmpl.io.images import read_volume
from mmpl.pipeline import Outcome, PreparedCase, assess, prepare_case


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, standard output, lines on standard error."""

    code: int
    out: str
    errors: list[str]


@pytest.fixture
def mmpl(capsys, monkeypatch) -> Callable[..., Ran]:
    """Runs ``mmpl`` with arguments; how long a step took is not said, however busy the machine is."""
    monkeypatch.setattr(console, "LOG_AFTER_S", float("inf"))

    def run(*arguments) -> Ran:
        capsys.readouterr()
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err.splitlines())

    return run


@pytest.fixture
def on_tiny(mmpl, tiny_files, tiny_bundle_path, tmp_path) -> Callable[..., Ran]:
    """Runs predict or assess on the tiny patient into ``tmp_path / "out"``; keywords replace or add options."""

    def run(command: str, *flags: str, **options) -> Ran:
        chosen = {
            "ct": tiny_files["ct"],
            "pt": tiny_files["pt"],
            "bundle": tiny_bundle_path,
            "out": tmp_path / "out",
            **({"mask": tiny_files["mask"]} if command == "assess" else {}),
            **options,
        }
        pairs = [text for name, value in chosen.items() if value is not None for text in (f"--{name}", value)]
        return mmpl(command, *pairs, *flags)

    return run


@pytest.fixture(scope="session")
def ehr_path(tiny_patient, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ehr") / "ehr.json"
    path.write_text(json.dumps(tiny_patient.clinical))
    return path


@pytest.fixture(scope="session")
def predicted(tiny_files, tiny_bundle_path, ehr_path, tmp_path_factory) -> Path:
    """The output folder of ``mmpl predict`` on the tiny patient."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    files = {"ct": tiny_files["ct"], "pt": tiny_files["pt"], "ehr": ehr_path, "bundle": tiny_bundle_path, "out": out}
    assert main(["predict", *(str(text) for name, value in files.items() for text in (f"--{name}", value))]) == 0
    return out


@pytest.fixture(scope="session")
def tiny_case(tiny_files, tiny_patient) -> Case:
    """The tiny patient as read from its files."""
    return read_case("TINY-1", tiny_files["ct"], tiny_files["pt"], tiny_patient.clinical)


@pytest.fixture(scope="session")
def tiny_prepared(tiny_case, tiny_ensemble) -> PreparedCase:
    return prepare_case(tiny_case, tiny_ensemble)


@pytest.fixture(scope="session")
def tiny_outcome(tiny_case, tiny_patient, tiny_ensemble) -> Outcome:
    """The tiny patient's true contours, assessed."""
    return assess(tiny_case, tiny_patient.label_map, tiny_ensemble)


@pytest.fixture(scope="session")
def large_case() -> Case:
    """A body of 256 x 240 x 360 mm, more than the region of interest on every axis; uptake in the head only."""
    ct_grid = Geometry((64, 60, 90), (4.0, 4.0, 4.0), (-126.0, -118.0, -178.0))
    pet_grid = Geometry((43, 40, 60), (6.0, 6.0, 6.0), (-126.0, -117.0, -177.0))
    rng = np.random.default_rng(5)
    ct = rng.normal(40, 8, ct_grid.shape).astype(np.float32)
    k, j, i = np.indices(pet_grid.shape)
    points = pet_grid.physical(np.stack([i, j, k], axis=-1))
    pet = 1 + 5 * (np.linalg.norm(points - (0, 0, 130), axis=-1) < 40)
    pet = (pet * rng.normal(1, 0.05, pet_grid.shape)).astype(np.float32)
    return Case("LARGE-1", Volume(ct, ct_grid), Volume(pet, pet_grid), clinical={"Primary Site": "oropharynx"})


@pytest.fixture(scope="session")
def results_of() -> Callable[[Path], dict]:
    """Reads results.json of an output folder."""
    return lambda folder: json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def without_timings(results_of) -> Callable[[Path], dict]:
    """results.json of an output folder but for its timings."""

    def read(folder: Path) -> dict:
        results = results_of(folder)
        assert set(results.pop("timings_s")) >= {"prepare", "lesion_figures", "radiomics", "outcome"}
        return results

    return read


@pytest.fixture(scope="session")
def reordered() -> Callable[[Volume, tuple[int, int, int], tuple[int, ...]], Volume]:
    """Stores the same voxels in another order: array axes permuted, then some of them reversed."""

    def change(volume: Volume, order: tuple[int, int, int], reverse: tuple[int, ...] = ()) -> Volume:
        g = volume.geometry
        axes = [2 - a for a in order][::-1]  # array axes (z, y, x) are index axes (2, 1, 0)
        direction = np.asarray(g.direction)[:, axes]
        moved = Geometry([g.size[a] for a in axes], [g.spacing_mm[a] for a in axes], g.origin_mm, direction)
        array = volume.array.transpose(order)
        start = [0, 0, 0]
        for axis in reverse:
            direction[:, 2 - axis] *= -1
            start[2 - axis] = moved.size[2 - axis] - 1
        array = np.flip(array, reverse) if reverse else array
        flipped = replace(moved, origin_mm=tuple(moved.physical(start)), direction=tuple(map(tuple, direction)))
        return Volume(np.ascontiguousarray(array), flipped)

    return change


@pytest.fixture(scope="session")
def read_mask() -> Callable[[Path], Volume]:
    return lambda folder: read_volume(folder / "mask.nii.gz", what="mask")


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file and folder below a path, hidden ones too, with its bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        found = sorted(folder.rglob("*"))
        return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in found}

    return read


@pytest.fixture
def small_suv() -> Volume:
    """A PET of SUV 0 to about 20 on 24 x 20 x 12 voxels, written as DICOM in milliseconds."""
    suv = np.random.default_rng(3).gamma(1.5, 1.6, (12, 20, 24)).astype(np.float32)
    suv[:, :2] = 0.0
    return Volume(suv, Geometry((24, 20, 12), (4.07, 4.05, 3.27), (-45.5, -312.25, -820.125)))


@pytest.fixture
def small_ct() -> Volume:
    """A CT in HU on 24 x 20 x 12 voxels."""
    hu = np.random.default_rng(4).integers(-1024, 1800, (12, 20, 24)).astype(np.int16)
    return Volume(hu, Geometry((24, 20, 12), (1.37, 1.52, 2.5), (-15.5, -290.0, -815.0)))


@pytest.fixture(scope="session")
def dicom_faults():
    """The module ``dicom_faults.py`` beside this one: faults to do to a written series."""
    spec = importlib.util.spec_from_file_location("dicom_faults", Path(__file__).parent / "dicom_faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
