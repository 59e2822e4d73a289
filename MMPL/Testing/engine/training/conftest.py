"""Networks of a few channels at 8 mm and cohorts of random arrays: training in seconds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from filelock import FileLock

from mmpl.bundle.reader import open_bundle
from mmpl.case import RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.network.config import NetworkConfig
from mmpl.phantom.cohort import MANIFEST
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.training import run as training_run
from mmpl.training.cache_entry import write_entry
from mmpl.training.cohort import CohortCase
from mmpl.training.config import AugmentationConfig, StageConfig, TrainingConfig
from mmpl.training.ensemble_statistics import StatisticsConfig
from mmpl.training.hpv_classifier import HpvConfig
from mmpl.training.run import train

SHAPE = (34, 26, 25)  # (z, y, x); the patch is 16 voxels, cut 32 wide
FAST = (1e-2, 5e-3, 1e-3)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Volumes of 16 voxels a side: threads would cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_config():
    return TrainingConfig(
        name="tiny",
        seed=3,
        folds=2,
        network=NetworkConfig(
            stream_channels=(1, 1, 2, 2, 2),
            fusion_channels=(2, 2, 2, 2, 3),
            decoder_channels=(3, 2, 2, 2),
            encoder_convs=(1, 1, 1, 1, 1),
            decoder_convs=(1, 1, 1, 1),
            hidden_units=4,
            spacing_mm=8.0,
        ),
        segmentation=StageConfig(2, 2, FAST),
        hpv=StageConfig(2, 2, FAST),
        rfs=StageConfig(2, 2, FAST),
        breaks_days=(0, 300, 900, 2000, 6000),
        autocast=False,
    )


@pytest.fixture(scope="session")
def no_augmentation():
    return AugmentationConfig(probability=0.0)


def _empty_roi(shape: tuple[int, int, int]) -> RoiCase:
    grid = Geometry(shape[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    empty = np.zeros(shape, np.float32)
    return RoiCase("c", empty, empty, grid, (0, 0, 0), grid, Volume(empty, grid), "SUVbw")


@pytest.fixture(scope="session")
def empty_roi():
    """(z, y, x) -> a 1 mm ROI of that shape, all of which PET and CT share."""
    return _empty_roi


def _write(path: Path, image: np.ndarray, label: np.ndarray) -> Path:
    write_entry(path, image, label, spacing_mm=8.0, lost_voxels=0, sources={})
    return path


@pytest.fixture(scope="session")
def write_arrays():
    """(path, image (2, z, y, x), label (2, z, y, x)) -> path of a cached case."""
    return _write


def _write_random(path: Path, seed: int) -> Path:
    draw = np.random.default_rng(seed)
    label = np.zeros((2, *SHAPE), np.uint8)
    z, y, x = draw.integers(8, 16, 3)
    label[0, z : z + 3, y : y + 3, x : x + 3] = 255
    label[1, z + 5 : z + 7, y : y + 2, x : x + 2] = 255
    return _write(path, draw.normal(size=(2, *SHAPE)), label)


@pytest.fixture(scope="session")
def write_random():
    """(path, seed) -> path of a cached case of noise with two lesions."""
    return _write_random


class CohortWriter:
    """Writes a cohort in HECKTOR 2025's layout, with images of 27 voxels."""

    def __init__(self, root: Path):
        self.root = root

    def patient(self, patient_id: str, task: int = 1, label: bool = True) -> Path:
        home = self.root / f"Task {task}" / patient_id
        home.mkdir(parents=True)
        seed = sum(n * ord(c) for n, c in enumerate(patient_id, start=1))
        for suffix, scale in (("__CT", 1000), ("__PT", 1)):  # air and tissue; noise
            noise = np.random.default_rng(seed).normal(size=(3, 3, 3)).astype(np.float32)
            self.image(home / f"{patient_id}{suffix}.nii.gz", scale * noise)
        if label:
            self.image(home / f"{patient_id}.nii.gz", np.ones((3, 3, 3), np.uint8))
        return home

    def image(self, path: Path, array: np.ndarray, spacing_mm: float = 1.0, origin_mm: float = 0.0) -> Path:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((spacing_mm,) * 3)
        image.SetOrigin((origin_mm,) * 3)
        sitk.WriteImage(image, str(path))
        return path

    def table(self, task: int, *lines: str) -> Path:
        path = self.root / f"Task {task}" / f"HECKTOR_2025_Training_Task_{task}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@pytest.fixture
def writer(tmp_path) -> CohortWriter:
    """Writes a cohort into a folder of its own."""
    return CohortWriter(tmp_path / "cohort")


@pytest.fixture(scope="session")
def a_cohort():
    """Eight patients; every fold of four holds both HPV classes and both outcomes."""

    def case(n: int) -> CohortCase:
        here = Path("nowhere")
        return CohortCase(
            patient_id=f"P{n}",
            ct_path=here,
            pt_path=here,
            label_path=here,
            center_id="1",
            relapse=n % 2,
            rfs_days=200.0 + 311 * n,
            hpv=n // 2 % 2,
        )

    return [case(n) for n in range(8)]


# --- a whole run --------------------------------------------------------------------------------------

CASES = 8
TOLD = "told.json"
ONCE = StageConfig(1, 4, (1e-3, 1e-3, 1e-3))


@pytest.fixture(scope="session")
def small_statistics():
    """Settings of forests that eight patients can fill."""
    return StatisticsConfig(hpv=HpvConfig(top_features=5, trees=(5,), depths=(2,), leaf_sizes=(1,), inner_folds=2))


@pytest.fixture(scope="session")
def run_config(tiny_config):
    return replace(
        tiny_config,
        network=replace(tiny_config.network, spacing_mm=10.0),
        segmentation=ONCE,
        hpv=ONCE,
        rfs=ONCE,
        feature_set=FeatureSet(families=("firstorder",), log_sigmas_mm=(), wavelet=None),
        overlap=0.0,
    )


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """``made_once(name, make)`` -> a folder that ``make(folder)`` fills in one of the test processes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        done = shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.is_file():
                make(shared / name)
                done.touch()
        return shared / name

    return made


@pytest.fixture(scope="session")
def cohort_folder(made_once, tiny_patient, save_image):
    """The tiny patient eight times over, each with other noise, in HECKTOR's layout with a phantom's manifest.

    All test processes read the same one: a run knows its images by their times of change, too.
    """
    return made_once("cohort", lambda folder: _write_cohort(folder, tiny_patient, save_image))


def _write_cohort(folder: Path, tiny_patient, save_image) -> None:
    draw = np.random.default_rng(0)
    tables = {1: [], 2: [], 3: []}
    for n in range(CASES):
        name = f"T-{n:02d}"
        home = folder / "Task 1" / name
        pet = tiny_patient.pet.array * draw.uniform(0.7, 1.3) * draw.normal(1, 0.1, tiny_patient.pet.array.shape)
        ct = tiny_patient.ct.array + n  # no two patients have the same images
        save_image(tiny_patient.ct.with_array(ct.astype(np.float32)), home / f"{name}__CT.nii.gz")
        save_image(tiny_patient.pet.with_array(pet.astype(np.float32)), home / f"{name}__PT.nii.gz")
        save_image(tiny_patient.label_map, home / f"{name}.nii.gz")
        record = f"{name},{min(n // 2, 2)},{50 + n},{n % 2}"
        tables[1].append(record)
        tables[2].append(f"{record},{n // 2 % 2},{300 + 101 * n}")
        tables[3].append(f"{record},{n % 2}")
    columns = {1: "", 2: ",Relapse,RFS", 3: ",HPV Status"}
    for task, rows in tables.items():
        (folder / f"Task {task}").mkdir(exist_ok=True)
        text = "\n".join([f"PatientID,CenterID,Age,Gender{columns[task]}", *rows])
        (folder / f"Task {task}" / f"HECKTOR_2025_Training_Task_{task}.csv").write_text(text, encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps({"seed": 11}), encoding="utf-8")


@pytest.fixture(scope="session")
def finished_run(made_once, tmp_path_factory, cohort_folder, run_config, small_statistics):
    """The run folder, the bundle and what progress was told. One test process trains it, each has a copy."""

    def make(folder: Path) -> None:
        steps = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training_run, "StatisticsConfig", lambda: small_statistics)
            train(cohort_folder, folder / "run", run_config, progress=lambda *step: steps.append(step))
        (folder / TOLD).write_text(json.dumps(steps), encoding="utf-8")

    home = made_once("finished run", make)
    out = tmp_path_factory.mktemp("run") / "run"
    shutil.copytree(home / "run", out)
    told = json.loads((home / TOLD).read_text(encoding="utf-8"))
    return out, open_bundle(out / "bundle"), [tuple(step) for step in told]
