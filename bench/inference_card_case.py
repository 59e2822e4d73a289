"""The case of inference_card.py: a phantom, ten members on a device, and what they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from mmpl.boxes import bounding_box
from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.case import CLASS_NAMES, Case, RoiCase
from mmpl.ensemble import Ensemble, InferenceSettings, load_ensemble
from mmpl.geometry import Volume
from mmpl.network.backends.base import Backend, StoredNetwork
from mmpl.network.backends.choose import PYTORCH, BackendChoice, backends
from mmpl.network.config import NetworkConfig
from mmpl.network.model import SegmentationNet
from mmpl.network.run import stored_weights
from mmpl.phantom import generate_patient
from mmpl.preprocess.network_grid import network_input, to_network_grid, to_roi_grid
from mmpl.preprocess.prepare import label_on_roi, prepare
from mmpl.segmentation.engine import PlanRun
from mmpl.segmentation.plan import UNLIMITED, Account, make_plan

SEED, INDEX = 7001, 0
FAINTEST = 8.0  # logits are shown to the networks as numbers from 0 up, which a ReLU lets through: -8 as 0
TINY_MARGIN = 20  # voxels of the CT around the lesions


@dataclass(frozen=True)
class Size:
    """What is run.

    Attributes
    ----------
    network : of every member
    members : of them
    repeats : cases after the first
    memory_gb : that a pass may take, see :class:`mmpl.ensemble.Inference`
    side : of the matrices
    """

    name: str
    network: NetworkConfig
    members: int
    repeats: int
    memory_gb: tuple[float | None, ...]
    side: int


FULL = Size("full", NetworkConfig.full(), members=10, repeats=5, memory_gb=(None, 16.0), side=8192)
NARROW = NetworkConfig((2,) * 5, (2,) * 5, (2,) * 4, (2, 1, 1, 1, 1), (1, 1, 1, 2), hidden_units=2, spacing_mm=8.0)
TINY = Size("tiny", NARROW, members=3, repeats=1, memory_gb=(None,), side=256)


@dataclass(frozen=True, eq=False)
class Bench:
    """A case and its members on a device.

    Attributes
    ----------
    shown : float32, shape (2, z, y, x) on the networks' grid; what the members are given in place of PET and CT
    threshold : the search's
    """

    size: Size
    device: str
    folder: Path
    case: Case
    shown: np.ndarray
    threshold: float

    def stored(self) -> list[StoredNetwork]:
        paths = [self.folder / f"member_{n}.safetensors" for n in range(self.size.members)]
        return [
            StoredNetwork(self.size.network, None, partial(load_file, path), f"{n:064d}", path.name)
            for n, path in enumerate(paths)
        ]

    def backends(self) -> list[Backend]:
        return backends(BackendChoice(self.device, backend=PYTORCH), self.size.network, self.folder / "bundle")[0]


def make_bench(size: Size, device: str, folder: Path) -> Bench:
    """The phantom, what the members are shown of it, and their weights."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = open_bundle(default_bundle_path())
    patient = generate_patient(SEED, INDEX)
    ct = _around(patient.ct, patient.label_map) if size is TINY else patient.ct
    case = Case(patient.patient_id, ct, patient.pet)
    shown = folder / "shown.npy"
    if not shown.is_file():
        roi = prepare(case)
        if size is TINY:
            labels = label_on_roi(patient.label_map, roi.geometry)
            possible = [(labels == value).astype(np.float32) for value in CLASS_NAMES]
        else:
            possible = _possible(roi, load_ensemble(bundle))
        spacing = size.network.spacing_mm
        np.save(shown, np.stack([_as_shown(to_network_grid(p, spacing)) for p in possible]))
    for member in range(size.members):
        path = folder / f"member_{member}.safetensors"
        if not path.is_file():
            torch.manual_seed(member)
            save_file(stored_weights(carrying(SegmentationNet(size.network))), path)
    threshold = InferenceSettings.from_dict(bundle.info.preprocessing).search_threshold
    return Bench(size, device, folder, case, np.load(shown), threshold)


def _around(ct: Volume, label_map: Volume) -> Volume:
    """The part of a CT around the lesions."""
    box = bounding_box(label_map.array, margin=TINY_MARGIN)
    part = ct.array[box]
    return Volume(part, ct.geometry.cropped([s.start for s in reversed(box)], part.shape[::-1]))


def _possible(roi: RoiCase, ensemble: Ensemble) -> list[np.ndarray]:
    """The highest probability of each class that a searcher of the demo ensemble gives, on the 1 mm ROI."""
    spacing = ensemble.network.spacing_mm
    array = network_input(roi, spacing)
    plan = make_plan(
        array,
        ensemble.plan_settings,
        members=len(ensemble.members),
        threshold=ensemble.settings.search_threshold,
        spacing_mm=spacing,
        cost=UNLIMITED,
    )
    run = PlanRun(array, plan, Account(), lambda fraction: None)
    found = [run.over(member, list(plan.regions))[0] for member in ensemble.segmenters[: plan.searchers]]
    return [to_roi_grid(p, spacing, roi.geometry.shape) for p in np.maximum.reduce(found)]


def _as_shown(probability: np.ndarray) -> np.ndarray:
    least = 1 / (1 + np.exp(FAINTEST))
    p = np.clip(probability, least, 1 - least)
    return (np.log(p / (1 - p)) + FAINTEST).astype(np.float32)


def carrying(net: SegmentationNet) -> SegmentationNet:
    """Make the two answers what the two input channels hold: through the finest level, its skip and the last stage."""
    backbone = net.backbone
    first, last, gate, skip = backbone.fusion[0], backbone.decoder[-1], backbone.gates[0], backbone.attention[-1]
    before = backbone.decoder[-2].first[0].out_channels  # the coarser feature's channels come before the skip's
    with torch.no_grad():
        for block, offset in ((first, 0), (last, before)):
            for unit in (block.first, block.shortcut, *block.rest):
                unit[0].weight[:2], unit[0].bias[:2] = 0.0, 0.0
            for unit in (block.first, block.shortcut):  # their sum is the input, twice
                middle = unit[0].kernel_size[0] // 2
                for channel in range(2):
                    unit[0].weight[channel, offset + channel, middle, middle, middle] = 1.0
        gate.weigh_fusion.bias[:2] = 20.0
        skip.decide[0].weight.zero_()
        skip.decide[0].bias.fill_(20.0)
        net.head.weight.zero_()
        net.head.weight[0, 0], net.head.weight[1, 1] = 0.25, 0.25
        net.head.bias.fill_(-FAINTEST)
    return net
