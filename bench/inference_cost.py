"""One full-width case, the plain way and ours, each in a process of its own; and how the cost grows.

The networks' weights are random (what is computed does not depend on them); where the members after the searchers look
is what the demo ensemble finds possible on the same phantom.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from inference_whole import whole
from safetensors.torch import load_file, save_file

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.ensemble import load_ensemble, pass_cost
from mmpl.io.case import case_from_volumes
from mmpl.io.output import write_json_atomic
from mmpl.network.backends.base import StoredNetwork, describe
from mmpl.network.backends.choose import BackendChoice, backends
from mmpl.network.config import NetworkConfig
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.network.networks import Networks
from mmpl.network.run import HPV_OUTPUTS, stored_weights
from mmpl.phantom import generate_patient
from mmpl.pipeline import plan_case, prepare_case
from mmpl.preprocess.network_grid import network_input, to_roi_grid
from mmpl.segmentation.engine import PlanRun
from mmpl.segmentation.plan import Account, PlanSettings, make_plan
from mmpl.segmentation.postprocess import compose
from mmpl.training.config import TrainingConfig

SEED, INDEX = 7001, 0
MEMBERS = 10
FULL = NetworkConfig.full()
LIMITS_GB = (0.6, 1.0, 1.5, 3.0)
LENGTHS_MM = (80, 160, 240, 310)
MEMBER_COUNTS = (1, 2, 4, 7, 10)
LESION_COUNTS = (1, 2, 4, 8)
PATCH = 128  # voxels along each side: what the HPV and RFS networks see
OUTPUTS = {"hpv": HPV_OUTPUTS, "rfs": len(TrainingConfig().breaks_days) - 1}


def make_case(folder: Path) -> None:
    """The phantom at 1 mm, what the demo ensemble finds possible on it, and random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "peak.npy").is_file():
        ensemble = load_ensemble(open_bundle(default_bundle_path()))
        patient = generate_patient(SEED, INDEX)
        case = case_from_volumes(patient.patient_id, patient.ct, patient.pet, clinical={})
        prepared = prepare_case(case, ensemble)
        plan = plan_case(prepared, ensemble)
        run = PlanRun(prepared.network_array, plan, Account(), lambda fraction: None)
        _, peak = run.search(ensemble.segmenters[: plan.searchers])
        np.save(folder / "array.npy", network_input(prepared.roi, FULL.spacing_mm))
        np.save(folder / "peak.npy", to_roi_grid(peak, ensemble.network.spacing_mm, prepared.roi.geometry.shape))
    for member in range(MEMBERS):
        path = folder / f"member_{member}.safetensors"
        if not path.is_file():
            torch.manual_seed(member)
            save_file(stored_weights(SegmentationNet(FULL)), path)
    for name, outputs in OUTPUTS.items():
        path = folder / f"{name}.safetensors"
        if not path.is_file():
            torch.manual_seed(MEMBERS + outputs)
            save_file(stored_weights(OutcomeNet(FULL, outputs)), path)


def job(name: str, folder: Path) -> dict:
    """Run one job in a process of its own, or read what an earlier run of it measured."""
    path = folder / f"{name.replace(' ', '_')}.json"
    if not path.is_file():
        script = Path(__file__).with_name("inference.py")
        subprocess.run([sys.executable, "-P", str(script), "--run", str(folder.parent), "--job", name], check=True)
    return json.loads(path.read_text(encoding="utf-8"))


def do_job(name: str, folder: Path) -> None:
    """What such a process does: measure, and write what was measured."""
    kind, *numbers = name.split()
    jobs = {"plain": plain, "convert": convert, "ours": ours, "length": ours_at_length, "limit": ours_within}
    jobs |= {"lesions": ours_with_lesions}
    jobs |= {"plain-outcomes": plain_outcomes, "convert-outcomes": convert_outcomes, "outcomes": outcomes}
    jobs |= {"whole": whole}
    measured = jobs[kind](folder, *map(float, numbers))
    measured.setdefault("peak_gb", peak_gb())
    write_json_atomic(folder / f"{name.replace(' ', '_')}.json", measured)


def peak_gb() -> float:
    """Of this process. What ``getrusage`` calls its peak may be that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e9, 2)


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self):
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict:
        return {"wall_s": time.perf_counter() - self._wall, "cpu_s": time.process_time() - self._cpu}


def plain(folder: Path) -> dict:
    """One member as most would run it: PyTorch, fp32, MONAI's sliding windows of 128, overlap 0.5."""
    from monai.inferers import sliding_window_inference

    image = torch.from_numpy(np.load(folder / "array.npy"))[None]
    net = SegmentationNet(FULL)
    net.load_state_dict({k: v.float() for k, v in load_file(folder / "member_0.safetensors").items()}, strict=False)
    net.eval()
    windows, clock = [], Clock()

    def counted(batch):
        windows.append(len(batch))
        print(f"  window {len(windows)}, {clock.read()['wall_s']:.0f} s", file=sys.stderr)
        return torch.sigmoid(net(batch))

    with torch.no_grad():  # in inference mode our convolutions choose their own kernels
        sliding_window_inference(image, (128,) * 3, 1, counted, overlap=0.5, mode="constant")
    return {**clock.read(), "windows": sum(windows)}


def plain_outcomes(folder: Path) -> dict:
    """One HPV and one RFS network on a patch, in PyTorch and fp32."""
    patch = torch.from_numpy(_patch(folder))
    nets = [network.module() for network in stored_outcomes(folder)[: len(OUTPUTS)]]
    clock = Clock()
    with torch.no_grad():
        for net in nets:
            net(patch)
    return clock.read()


def convert_outcomes(folder: Path) -> dict:
    """The same of the HPV and RFS networks of ten members."""
    return _made_ready(folder, stored_outcomes(folder))


def outcomes(folder: Path) -> dict:
    """The HPV and RFS networks of ten members on a patch."""
    networks, patch = networks_of(folder), _patch(folder)
    clock = Clock()
    for network in stored_outcomes(folder):
        networks.run(network, patch)
    return {**clock.read(), "backend": describe(networks.backend), "notices": [n.text for n in networks.notices]}


def _patch(folder: Path) -> np.ndarray:
    """From the middle of the ROI, shape (1, 2, z, y, x)."""
    array = np.load(folder / "array.npy", mmap_mode="r")
    box = tuple(slice((size - PATCH) // 2, (size + PATCH) // 2) for size in array.shape[1:])
    return np.ascontiguousarray(array[(slice(None), *box)])[None]


def stored_outcomes(folder: Path) -> list[StoredNetwork]:
    """Each of another name, so that each is converted, on the same two sets of weights."""
    return [
        StoredNetwork(FULL, outputs, partial(load_file, folder / f"{name}.safetensors"), f"{name}{n}".zfill(64), name)
        for n in range(MEMBERS)
        for name, outputs in OUTPUTS.items()
    ]


def stored(folder: Path) -> list[StoredNetwork]:
    paths = [folder / f"member_{n}.safetensors" for n in range(MEMBERS)]
    return [StoredNetwork(FULL, None, partial(load_file, p), f"{n:064d}", p.name) for n, p in enumerate(paths)]


def networks_of(folder: Path) -> Networks:
    chosen, why_not = backends(BackendChoice(), FULL, folder / "bundle")
    return Networks(chosen, FULL, why_not)


def convert(folder: Path) -> dict:
    """What happens once a bundle: all ten made ready."""
    return _made_ready(folder, stored(folder))


def _made_ready(folder: Path, all_of_them: list[StoredNetwork]) -> dict:
    networks, clock = networks_of(folder), Clock()
    tiny = np.zeros((1, 2, 16, 16, 16), np.float32)
    for network in all_of_them:
        networks.run(network, tiny)
    return clock.read()


def ours(folder: Path, members: float) -> dict:
    return _ours(folder, np.load(folder / "array.npy"), np.load(folder / "peak.npy"), int(members))


def ours_at_length(folder: Path, length: float) -> dict:
    """One member on the upper part of the ROI."""
    array, peak = np.load(folder / "array.npy"), np.load(folder / "peak.npy")
    return _ours(folder, np.ascontiguousarray(array[:, -int(length) :]), peak[-int(length) :], 1)


def ours_within(folder: Path, limit_gb: float) -> dict:
    """One member within a limit of memory, on the whole box: nothing left out."""
    return _ours(folder, np.load(folder / "array.npy"), np.load(folder / "peak.npy"), 1, limit_gb)


def ours_with_lesions(folder: Path, count: float) -> dict:
    """Ten members with so many findings of 20 mm, spread over the neck."""
    array = np.load(folder / "array.npy")
    peak = np.zeros(array.shape[1:], np.float32)
    for n in range(int(count)):
        z, y, x = 40 + 34 * n, 70 + 30 * (n % 3), 60 + 80 * (n % 2)
        peak[z : z + 20, y : y + 20, x : x + 20] = 1.0
    return _ours(folder, array, peak, MEMBERS)


def _ours(folder: Path, array: np.ndarray, peak: np.ndarray, members: int, limit_gb: float | None = None) -> dict:
    networks, threshold = networks_of(folder), search_threshold()
    account, clock = Account(), Clock()
    plan = make_plan(
        array,
        PlanSettings(),
        members=members,
        threshold=threshold,
        spacing_mm=FULL.spacing_mm,
        cost=pass_cost(networks.backend, FULL, limit_gb),
    )
    first = []
    run = PlanRun(array, plan, account, lambda fraction: None)
    callables = [partial(networks.run, network) for network in stored(folder)[:members]]
    searched, _ = run.search(callables[: plan.searchers], lambda share: first.append(clock.read()["wall_s"]))
    rest = callables[plan.searchers :]
    found = run.refine(searched, peak, rest) if rest else searched
    del found
    compose(peak, peak / 2, (0.5, 0.5))  # random weights would make all of it noise, and cleaning noise takes long
    return {
        **clock.read(),
        "backend": describe(networks.backend),
        "notices": [notice.text for notice in networks.notices],
        "preview_s": first[0] if first else None,
        "regions": [list(region.box.size) for region in plan.regions],
        "boxes": [list(size) for size in account.boxes],
        "voxels": account.voxels,
        "predicted_s": plan.predicted_s,
        "predicted_gb": plan.predicted_bytes / 1e9,
    }


def search_threshold() -> float | None:
    """The demo bundle's."""
    return load_ensemble(open_bundle(default_bundle_path())).settings.search_threshold
