"""Networks of a few channels at 8 mm and cohorts of random arrays: training in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmpl.network.config import NetworkConfig
from mmpl.training.cohort import CohortCase
from mmpl.training.config import AugmentationConfig, StageConfig, TrainingConfig

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


def _write(path: Path, image: np.ndarray, label: np.ndarray) -> Path:
    np.savez(path, image=image.astype(np.float16), label=label.astype(np.uint8), lost_voxels=np.int64(0))
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
