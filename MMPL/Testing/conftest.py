"""A model bundle that needs no training and a small patient whose lesions it finds.

The bundle's segmentation weights are set by hand: GTVp where the PET is hot, GTVn where it is hot and the CT bright.
One kernel looks a voxel to the patient's left, so that a mirrored image would not give a mirrored mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from mmpl.bundle.info import BundleInfo, MemberInfo, Thresholds
from mmpl.bundle.reader import open_bundle
from mmpl.bundle.writer import write_bundle
from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.clinical.fields import FIELDS
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.ensemble import Ensemble, InferenceSettings, load_ensemble
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.hpv.forest import Forest
from mmpl.hpv.member import HpvMember
from mmpl.network.config import NetworkConfig
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.network.run import stored_weights
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.survival.cox import CoxMember

NETWORK = NetworkConfig(
    stream_channels=(1,) * 5,
    fusion_channels=(2,) * 5,
    decoder_channels=(2,) * 4,
    encoder_convs=(1,) * 5,
    decoder_convs=(1,) * 4,
    hidden_units=4,
    spacing_mm=8.0,
)
BREAKS_DAYS = (0.0, 400.0, 1000.0, 2000.0)
FEATURES = FeatureSet(families=("shape", "firstorder"), log_sigmas_mm=(), wavelet=None)
PRIMARY_MAX = "GTVp_PT_original_firstorder_Maximum"
PRIMARY_VOLUME = "GTVp_original_shape_MeshVolume"
NODE_MEAN = "GTVn_PT_original_firstorder_Mean"
NOTHING_IS_HOT = 1e6  # z-score no voxel reaches

GTVP_CENTRE_LPS, GTVP_RADIUS_MM = (12.0, -6.0, -25.0), 15.0
GTVN_CENTRE_LPS, GTVN_RADIUS_MM = (-26.0, 8.0, -38.0), 12.0


@dataclass(frozen=True)
class TinyPatient:
    """Images, true contours and clinical record of the small patient."""

    ct: Volume
    pet: Volume
    label_map: Volume
    clinical: dict


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory) -> Path:
    """Two members at 8 mm that find the tiny patient's lesions."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", hot_z=3.4)


@pytest.fixture(scope="session")
def blind_bundle_path(tmp_path_factory) -> Path:
    """The same, but for the model nothing is ever hot."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "blind", hot_z=NOTHING_IS_HOT)


@pytest.fixture(scope="session")
def tiny_ensemble(tiny_bundle_path) -> Ensemble:
    return load_ensemble(open_bundle(tiny_bundle_path))


@pytest.fixture(scope="session")
def tiny_patient() -> TinyPatient:
    """A head of 120 x 112 x 150 mm, a hot primary and a hot, contrast-enhanced node."""
    ct_grid = Geometry((60, 56, 50), (2.0, 2.0, 3.0), (-59.0, -55.0, -74.0))
    pet_grid = Geometry((32, 30, 40), (4.0, 4.0, 4.0), (-62.0, -58.0, -78.0))
    return TinyPatient(
        Volume(_ct(ct_grid), ct_grid),
        Volume(_pet(pet_grid), pet_grid),
        Volume(_labels(ct_grid), ct_grid),
        {"Age": 61, "Gender": 1, "Tobacco Consumption": 0, "Primary Site": "oropharynx"},
    )


@pytest.fixture(scope="session")
def save_image() -> Callable[[Volume, Path], Path]:
    """Writes a volume to a file and returns the path."""

    def save(volume: Volume, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image_from_volume(volume), str(path), path.name.endswith(".gz"))
        return path

    return save


@pytest.fixture(scope="session")
def tiny_files(tiny_patient, save_image, tmp_path_factory) -> dict[str, Path]:
    """The tiny patient on disk: "ct", "pt" and "mask"."""
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "ct": save_image(tiny_patient.ct, folder / "TINY-1__CT.nii.gz"),
        "pt": save_image(tiny_patient.pet, folder / "TINY-1__PT.nii.gz"),
        "mask": save_image(tiny_patient.label_map, folder / "TINY-1.nii.gz"),
    }


def _distance(grid: Geometry, centre_lps, radii_mm=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Distance of each voxel from a point in units of the radii, array (z, y, x)."""
    k, j, i = np.indices(grid.shape)
    points = grid.physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm((points - np.asarray(centre_lps)) / np.asarray(radii_mm), axis=-1)


def _ct(grid: Geometry) -> np.ndarray:
    body = _distance(grid, (0, 0, 0), (52.0, 50.0, 90.0))
    hu = np.where(body < 1, 40.0, -1000.0)
    hu[_distance(grid, GTVN_CENTRE_LPS) < GTVN_RADIUS_MM + 7] = 300.0
    return (hu + np.random.default_rng(1).normal(0, 6, grid.shape)).astype(np.float32)


def _pet(grid: Geometry) -> np.ndarray:
    suv = np.where(_distance(grid, (0, 0, 0), (52.0, 50.0, 90.0)) < 1, 1.0, 0.0)
    suv += 3.0 / (1 + np.exp((_distance(grid, (4, -2, 52)) - 18) / 2))  # brain
    for centre, radius, uptake in ((GTVP_CENTRE_LPS, GTVP_RADIUS_MM, 13.0), (GTVN_CENTRE_LPS, GTVN_RADIUS_MM, 11.0)):
        suv += uptake / (1 + np.exp((_distance(grid, centre) - radius) / 1.5))
    return (suv * np.random.default_rng(2).normal(1, 0.04, grid.shape)).astype(np.float32)


def _labels(grid: Geometry) -> np.ndarray:
    labels = np.zeros(grid.shape, np.uint8)
    labels[_distance(grid, GTVN_CENTRE_LPS) < GTVN_RADIUS_MM] = 2
    labels[_distance(grid, GTVP_CENTRE_LPS) < GTVP_RADIUS_MM] = 1
    return labels


def write_tiny_bundle(folder: Path, *, hot_z: float) -> Path:
    """Write a bundle of two hand-made members; PET voxels above ``hot_z`` are lesions."""
    payload, members = {}, []
    for number in range(2):
        name = f"member_{number}"
        content = _member(number, hot_z * (1 + 0.05 * number))
        files = {role: f"{name}/{role}{suffix}" for role, (suffix, _) in content.items()}
        payload |= {files[role]: value for role, (_, value) in content.items()}
        members.append(MemberInfo(name, files))
    write_bundle(folder, replace(_info(), members=tuple(members)), payload)
    return folder


def _info() -> BundleInfo:
    return BundleInfo(
        name="tiny",
        version="0.1.0",
        created="2025-01-31",
        description="Hand-made weights for tests.",
        training_data="None.",
        phantom=True,
        folds=2,
        intended_use="Tests only.",
        limitations=("It knows nothing.",),
        licence="Apache-2.0",
        network=NETWORK.to_dict(),
        preprocessing=InferenceSettings(0.25, BREAKS_DAYS).to_dict(),
        radiomics=FEATURES.to_dict(),
        clinical=tuple(FIELDS),
        thresholds=Thresholds(0.5, 0.5, 0.5),
        risk_tertiles=(-0.3, 0.4),
        time_zero="end of radiotherapy",
        rfs_last_day=1500,
        members=(),
        scores={},
    )


def _member(number: int, hot_z: float) -> dict[str, tuple[str, object]]:
    """Role -> (suffix, content)."""
    rng = np.random.default_rng(number)
    encoder = ClinicalEncoder.fit(
        [{"Age": age, "Gender": age % 2, "Tobacco Consumption": None} for age in (48 + number, 57, 66, 75)]
    )
    hpv = _hpv_member(rng)
    return {
        "segmentation": (".safetensors", stored_weights(_segmentation_net(hot_z))),
        "hpv": (".safetensors", stored_weights(_outcome_net(1, seed=10 + number))),
        "rfs": (".safetensors", stored_weights(_outcome_net(len(BREAKS_DAYS) - 1, seed=20 + number))),
        "encoder": (".json", encoder.to_dict()),
        "hpv_statistics": (".json", hpv.to_dict()),
        "hpv_forest": (".npz", hpv.to_arrays()),
        "rfs_statistics": (".json", _cox_member(rng).to_dict()),
    }


def _segmentation_net(hot_z: float) -> SegmentationNet:
    """logit(GTVp) = 2 (4 relu(pet) - 4 hot_z) - 200 bright; logit(GTVn) = the same + 200 (2 bright - 0.3)."""
    torch.manual_seed(0)
    net = SegmentationNet(NETWORK)
    backbone = net.backbone
    with torch.no_grad():
        for block in (backbone.pet[0], backbone.ct[0], backbone.fusion[0], backbone.decoder[3]):
            for unit in (block.first, block.shortcut):
                unit[0].weight.zero_()
                unit[0].bias.zero_()
        for block in (backbone.pet[0], backbone.ct[0]):
            _pass(block.first, 0, 0)
            _pass(block.shortcut, 0, 0)
        merge = backbone.gates[0].merge
        merge[0].weight.zero_()
        merge[0].bias.zero_()
        for unit, dark in ((backbone.fusion[0].first, 0.15), (backbone.fusion[0].shortcut, 0.15), (merge, 0.3)):
            _pass(unit, 0, 0)
            _pass(unit, 1, 1)
            unit[0].bias[1] = -dark  # CT below 150 HU is not bright
        kernel = merge[0].weight[0, 0]
        kernel[1, 1, 1], kernel[1, 1, 2] = 0.6, 0.4
        for unit in (backbone.decoder[3].first, backbone.decoder[3].shortcut):
            _pass(unit, 0, 2)  # inputs 0 and 1 are the coarser feature, 2 and 3 the skip
            _pass(unit, 1, 3)
        decide = backbone.attention[3].decide[0]
        decide.weight.zero_()
        decide.bias.fill_(20.0)  # the gate is open
        net.head.weight.copy_(torch.tensor([[2.0, -200.0], [2.0, 200.0]]).reshape(2, 2, 1, 1, 1))
        net.head.bias.copy_(torch.tensor([-8 * hot_z, -8 * hot_z - 60.0]))
    return net


def _pass(unit, output: int, source: int) -> None:
    """Make an output channel of a convolution unit the relu of one input channel."""
    middle = unit[0].kernel_size[0] // 2
    unit[0].weight[output, source, middle, middle, middle] = 1.0


def _outcome_net(outputs: int, *, seed: int) -> OutcomeNet:
    torch.manual_seed(seed)
    return OutcomeNet(NETWORK, outputs)


def _hpv_member(rng: np.random.Generator) -> HpvMember:
    columns = (DEEP_HPV, PRIMARY_MAX, PRIMARY_VOLUME, "Age", "Gender=1")
    cuts = {0: 0.0, 1: 10.0, 2: 12000.0, 3: 0.1, 4: 0.5}
    trees = [_tree(rng, cuts) for _ in range(5)]
    sizes = [len(tree["feature"]) for tree in trees]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    joined = {key: np.concatenate([tree[key] for tree in trees]) for key in trees[0]}
    shift = np.repeat(offsets[:-1], sizes)
    for child in ("left", "right"):
        joined[child] = np.where(joined[child] < 0, -1, joined[child] + shift)
    forest = Forest(**joined, offsets=offsets, n_features=len(columns))
    return HpvMember(columns, np.array([0.0, 9.0, 9000.0, 0.0, 1.0]), forest, DEEP_HPV, deep_mean=0.1, deep_sd=0.7)


def _tree(rng: np.random.Generator, cuts: dict[int, float]) -> dict[str, np.ndarray]:
    """Three splits, four leaves."""
    root, low, high = rng.permutation(len(cuts))[:3]
    value = np.round(rng.uniform(0.05, 0.95, 7), 3)
    feature = np.array([root, low, -1, -1, high, -1, -1])
    return {
        "feature": feature,
        "threshold": np.array([cuts.get(int(f), 0.0) for f in feature]),
        "left": np.array([1, 2, -1, -1, 5, -1, -1]),
        "right": np.array([4, 3, -1, -1, 6, -1, -1]),
        "value": value,
        "cover": np.array([40.0, 25.0, 10.0, 15.0, 15.0, 9.0, 6.0]),
    }


def _cox_member(rng: np.random.Generator) -> CoxMember:
    return CoxMember(
        columns=(DEEP_DAYS, HPV_PROBABILITY, PRIMARY_VOLUME, NODE_MEAN, "Age"),
        medians=[900.0, 0.6, 9000.0, 7.0, 0.0],
        means=[950.0, 0.55, 10000.0, 7.5, 0.0],
        sds=[150.0, 0.2, 6000.0, 2.5, 1.0],
        coefficients=np.array([-0.3, -0.5, 0.4, 0.2, 0.15]) * rng.uniform(0.8, 1.2, 5),
        event_times=[120.0, 300.0, 480.0, 700.0, 1000.0, 1500.0],
        cumulative_hazard=[0.03, 0.08, 0.14, 0.2, 0.27, 0.36],
        lp_mean=0.05,
        lp_sd=0.6,
        ridge=0.01,
        deep_column=DEEP_DAYS,
    )
