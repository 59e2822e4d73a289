"""What inference_card.py measures, each in a function of its own: our way, the plain way, a product of matrices."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from inference_card_case import Bench
from torch import nn

from mmpl.case import RoiCase
from mmpl.ensemble import pass_cost
from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.machine import GB
from mmpl.network.backends.base import StoredNetwork, Tick, describe, no_tick
from mmpl.network.backends.pytorch import CPU, DTYPES, TorchBackend, TorchRunner, gflop
from mmpl.network.networks import Networks
from mmpl.preprocess.network_grid import background_values, network_input
from mmpl.preprocess.prepare import label_on_ct, prepare
from mmpl.segmentation.engine import segment_by_plan
from mmpl.segmentation.plan import Account, Plan, PlanSettings, make_plan
from mmpl.steps import draw, probabilities_at_1mm

THRESHOLDS = (0.5, 0.5)
MOST_PLAIN_S = 100.0
ROUNDS, PRODUCTS = 3, 10
LOADING, GIVEN_BACK = "networks loaded", "memory given back"
THERE, PASSES, BACK = "to the card", "passes", "from the card"


class Steps:
    """Wall seconds of a case's steps; a card has finished what it was given before a step ends."""

    def __init__(self, device: str):
        self._device = device
        self.restart()

    def restart(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = self._last = self.now()

    def now(self) -> float:
        if self._device != CPU:
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def begin(self) -> None:
        self._last = self.now()

    def mark(self, name: str) -> None:
        """What came since the last mark, or since it began, has a name."""
        now = self.now()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def wall(self) -> float:
        return self.now() - self._started


@dataclass(frozen=True)
class Watched(TorchBackend):
    """PyTorch whose passes are split: to the card, the network, back from it."""

    steps: Steps | None = None

    def runner(self, network: StoredNetwork) -> WatchedRunner:
        self.steps.begin()
        runner = WatchedRunner(super().runner(network), self.steps)
        self.steps.mark(LOADING)
        return runner


class WatchedRunner:
    """See :class:`mmpl.network.backends.base.Runner`."""

    def __init__(self, runner: TorchRunner, steps: Steps):
        self._runner, self._steps = runner, steps
        runner.net.register_forward_pre_hook(lambda *_: steps.mark(THERE))
        runner.net.register_forward_hook(lambda *_: steps.mark(PASSES))

    def __call__(self, batch: np.ndarray, tick: Tick = no_tick) -> np.ndarray:
        self._steps.begin()
        logits = self._runner(batch, tick)
        self._steps.mark(BACK)
        return logits

    def release(self) -> None:
        self._steps.begin()
        self._runner.release()
        self._steps.mark(GIVEN_BACK)


@dataclass(frozen=True)
class Drawn:
    """A finished case.

    Attributes
    ----------
    voxels : of the masks, on the CT's grid
    parts : wall seconds before, within and after the segmentation; they add up to ``wall_s``
    preview_s : until what the first member alone draws is there
    """

    voxels: int
    wall_s: float
    parts: tuple[float, float, float]
    plan: Plan
    account: Account
    preview_s: float | None


def draw_case(
    bench: Bench,
    networks: Networks,
    members: Sequence[StoredNetwork],
    memory_gb: float | None,
    *,
    with_preview: bool = False,
) -> Drawn:
    """One case our way, from CT and PET to the masks on the CT's grid."""
    spacing, account, previews, steps = bench.size.network.spacing_mm, Account(), [], Steps(bench.device)
    roi = prepare(bench.case)
    array = network_input(roi, spacing)
    plan = make_plan(
        array,
        PlanSettings(),
        members=bench.size.members,
        threshold=bench.threshold,
        spacing_mm=spacing,
        cost=pass_cost(networks.backend, bench.size.network, memory_gb),
    )

    def preview(share: np.ndarray) -> None:
        mask_voxels(roi, share, spacing)
        previews.append(steps.wall())

    before = steps.wall()
    probabilities = segment_by_plan(
        bench.shown,
        [partial(networks.run, network) for network in members],
        plan,
        fills=background_values(array),
        account=account,
        first_member=preview if with_preview else None,
    )
    segmented = steps.wall()
    voxels = mask_voxels(roi, probabilities, spacing)
    wall = steps.wall()
    parts = before, segmented - before, wall - segmented
    return Drawn(voxels, wall, parts, plan, account, previews[0] if previews else None)


def mask_voxels(roi: RoiCase, probabilities: np.ndarray, spacing_mm: float) -> int:
    """Draw what probabilities on the networks' grid give, as far as the CT's grid."""
    drawn = draw(roi, probabilities_at_1mm(roi, probabilities, spacing_mm, min(THRESHOLDS)), THRESHOLDS)
    return int(np.count_nonzero(label_on_ct(drawn, roi.geometry, roi.ct_geometry).array))


def ours(bench: Bench, memory_gb: float | None) -> dict:
    """The first case, repeated ones, and one more that shows what the first member draws."""
    forget_peak(bench.device)
    networks, members = Networks(bench.backends(), bench.size.network, memory_gb=memory_gb), bench.stored()
    first = draw_case(bench, networks, members, memory_gb)
    repeated = [draw_case(bench, networks, members, memory_gb) for _ in range(bench.size.repeats)]
    peak = peak_gb(bench.device)
    previewed = draw_case(bench, networks, members, memory_gb, with_preview=True)
    plan, account = first.plan, first.account
    return {
        "backend": describe(networks.backend),
        "notices": [notice.text for notice in networks.notices],
        "first_s": first.wall_s,
        "repeated_s": statistics.median(case.wall_s for case in repeated),
        "each_s": [case.wall_s for case in repeated],
        "preview_s": previewed.preview_s,
        "peak_gb": peak,
        "predicted_s": plan.predicted_s,
        "predicted_gb": plan.predicted_bytes / GB,
        "regions": [list(region.box.size) for region in plan.regions],
        "boxes": [list(size) for size in account.boxes],
        "passes": account.passes,
        "voxels": account.voxels,
        "drawn": first.voxels,
    }


def profile(bench: Bench, memory_gb: float | None) -> dict:
    """Where a repeated case's time goes. Each part waits for the card, so that the whole takes a little longer."""
    steps = Steps(bench.device)
    backend = bench.backends()[0]
    networks = Networks(
        [Watched(backend.device, backend.precision, steps=steps)], bench.size.network, memory_gb=memory_gb
    )
    members = bench.stored()
    draw_case(bench, networks, members, memory_gb)
    steps.restart()
    case = draw_case(bench, networks, members, memory_gb)
    before, within, after = case.parts
    network = {name: steps.seconds.get(name, 0.0) for name in (LOADING, THERE, PASSES, BACK, GIVEN_BACK)}
    return {
        "seconds": {
            "images onto the region, plan": before,
            **network,
            "averaging, boxes, checks": within - sum(network.values()),
            "masks, lesions, onto the CT": after,
        },
        "wall_s": case.wall_s,
        "gflop": gflop(bench.size.network, case.account.voxels),
    }


def plain(bench: Bench, *, allow_tf32: bool) -> dict:
    """The same case as most would run it; a window before it is not counted."""
    from monai.inferers import sliding_window_inference

    size, device = bench.size, bench.device
    spacing, window = size.network.spacing_mm, (padded_voxels(WINDOW_MM, size.network.spacing_mm),) * 3
    forget_peak(device)
    # inference keeps weights in another order of axes
    nets = [network.module().to(device, memory_format=torch.contiguous_format) for network in bench.stored()]
    windows, members_s, total = [], [], 0.0

    def counted(net: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        windows.append(len(batch))
        return torch.sigmoid(net(batch))

    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=allow_tf32):
        nets[0](torch.zeros(1, 2, *window, device=device))
        steps = Steps(device)
        roi = prepare(bench.case)
        network_input(roi, spacing)
        image = torch.from_numpy(bench.shown)[None].to(device)
        for net in nets:
            started = steps.now()
            total = total + sliding_window_inference(image, window, 1, partial(counted, net), overlap=0.5)
            members_s.append(steps.now() - started)
            if sum(members_s) > MOST_PLAIN_S:
                break
        voxels = mask_voxels(roi, (total / len(members_s))[0].cpu().numpy(), spacing)
        wall = steps.wall()
    left = bench.size.members - len(members_s)
    return {
        "wall_s": wall + left * statistics.mean(members_s),
        "members_s": sum(members_s) + left * statistics.mean(members_s),
        "members_measured": len(members_s),
        "windows": sum(windows),
        "peak_gb": peak_gb(device),
        "drawn": voxels,
    }


def matrices(bench: Bench) -> dict:
    """The product of two random matrices, in the precision of our passes: the fastest of three rounds."""
    backend, side = bench.backends()[0], bench.size.side
    one, other = (torch.randn(side, side, device=bench.device).to(DTYPES[backend.precision]) for _ in range(2))
    steps, rounds = Steps(bench.device), []
    for _ in range(1 + ROUNDS):  # the first is not counted
        started = steps.now()
        for _ in range(PRODUCTS):
            one @ other
        rounds.append((steps.now() - started) / PRODUCTS)
    return {"side": side, "precision": backend.precision, "tflops": 2 * side**3 / min(rounds[1:]) / 1e12}


def forget_peak(device: str) -> None:
    if device != CPU:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: str) -> float:
    """What PyTorch took of a card's memory, with what it keeps for the next arrays; on a CPU, of the process."""
    if device == CPU:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB
    return torch.cuda.max_memory_reserved(device) / GB
