"""Training patches: how many a second from the cache, and the plain way; what one costs a core; whether a card waits.

    python -P bench/data_pipeline.py [--cases 4] [--seed 31] [--patches 24] [--plain 4] [--steps 20] [--json FILE]

Phantoms are written to a temporary folder. The plain way is what a data set without a cache does for each patch: read
the NIfTI files, prepare the ROI, resample to the network grid, list the crop centres, crop. Both ways call the same
functions and end in the same augmentation; what differs is when they are called. Times depend on what else the machine
does: the ratio within one run is what to compare.

What a patch costs a core is the processor time of one thread, with the full-size settings. Where there is a graphics
card, ``--steps`` steps of full-size training follow, patches made as training makes them: patches a second, the share
of the time that the card is within a step, and the arithmetic it does. ``bench/training_cost.py`` makes a cohort's cost
of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.network.backends.pytorch import gflop
from mmpl.network.model import SegmentationNet
from mmpl.phantom import write_cohort
from mmpl.training.batches import Batches
from mmpl.training.cache import build_cache, load_cached, prepare_case
from mmpl.training.cohort import CohortCase, read_cohort
from mmpl.training.config import AugmentationConfig, TrainingConfig
from mmpl.training.crops import where_to_crop
from mmpl.training.loop import Average, Trainer, prefetched
from mmpl.training.losses import SEGMENTATION_LOSSES
from mmpl.training.patches import OutcomePatches, SegmentationPatches, segmentation_patch
from mmpl.training.prefetch import patch_threads, usable_cores
from mmpl.training.ranks import ALONE

SPACINGS_MM = (1.0, 4.0)  # the full-size networks' and the demo's
TARGET = 3.0  # times as many patches a second from the cache


@dataclass(frozen=True)
class Measured:
    """Patches a second at one spacing.

    Attributes
    ----------
    window : voxels of a patch's side, 128 mm and more
    cached, plain : patches a second
    build_s : seconds that building the cache took, once for all epochs and folds
    cache_mb : size of one case
    """

    spacing_mm: float
    window: int
    cached: float
    plain: float
    build_s: float
    cache_mb: float

    @property
    def ratio(self) -> float:
        return self.cached / self.plain

    @property
    def pays_after(self) -> float:
        """Patches from which on the cache has cost less than it saved."""
        return self.build_s / (1 / self.plain - 1 / self.cached)


class PlainPatches:
    """A data set without a cache."""

    def __init__(self, cases: list[CohortCase], spacing_mm: float, augmentation: AugmentationConfig, seed: int):
        self.cases, self.spacing_mm = cases, spacing_mm
        self.window = (padded_voxels(WINDOW_MM, spacing_mm),) * 3
        self.draw = np.random.default_rng(seed)
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.cases)

    def patch(self, index: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        case = prepare_case(self.cases[index], self.spacing_mm)
        where = where_to_crop(case, self.window, self.draw)
        return segmentation_patch(case, where, self.window, self.spacing_mm, self.augmentation, seed)


def patches_per_second(data, patches: int) -> float:
    """One patch to warm up, then ``patches``, one case after the other."""
    data.patch(0, 0)
    return patches / seconds(lambda: [data.patch(n % len(data), n) for n in range(patches)])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(cases: list[CohortCase], folder: Path, spacing_mm: float, patches: int, plain: int) -> Measured:
    folder = folder / f"{spacing_mm:g}mm"
    build_s = seconds(lambda: build_cache(cases, folder, spacing_mm))
    paths = [folder / case.patient_id for case in cases]
    augmentation = AugmentationConfig()
    return Measured(
        spacing_mm,
        padded_voxels(WINDOW_MM, spacing_mm),
        patches_per_second(SegmentationPatches(paths, spacing_mm, augmentation, 0), patches),
        patches_per_second(PlainPatches(cases, spacing_mm, augmentation, 0), plain),
        build_s,
        sum(file.stat().st_size for file in paths[0].iterdir()) / 1e6,
    )


@dataclass(frozen=True)
class Making:
    """Processor time of one thread, seconds a patch, full-size settings: cut out of the cache and augmented.

    Attributes
    ----------
    window, wide : stage 1's windows and wide fields, images and labels
    outcome : stages 2 and 3
    """

    window: float
    wide: float
    outcome: float


def measure_making(paths: list[Path], patches: int) -> Making:
    config = TrainingConfig()
    spacing_mm, how = config.network.spacing_mm, config.augmentation
    first = SegmentationPatches(paths, spacing_mm, how, 0, config.wide_mm)
    centres = [np.array(load_cached(path).image.shape[1:]) / 2 for path in paths]
    later = OutcomePatches(paths, centres, [np.zeros(1)] * len(paths), spacing_mm, how)
    return Making(
        processor_seconds(first, patches),
        processor_seconds(first, patches, wide=True),
        processor_seconds(later, patches),
    )


def processor_seconds(data, patches: int, **which) -> float:
    """A patch; the first, which compiles and reads from the disk, is not counted."""
    data.patch(0, 0, **which)
    started = time.thread_time()
    for n in range(patches):
        data.patch(n % len(data), n, **which)
    return (time.thread_time() - started) / patches


@dataclass(frozen=True)
class OnCard:
    """Steps of stage 1 on a graphics card.

    Attributes
    ----------
    card : its name
    threads : that made patches
    patches : a second, of which ``wide_share`` are wide fields
    within_steps : share of the time from a step's first command on the card to its last
    tflops : arithmetic of the convolutions a second, forward and backward
    """

    card: str
    threads: int
    patches: float
    within_steps: float
    tflops: float


def measure_card(paths: list[Path], steps: int, config: TrainingConfig, device: torch.device, clock) -> OnCard:
    """Train, as a run does, for ``steps`` batches after two that are not counted.

    Parameters
    ----------
    clock : has ``mark()`` and ``seconds(mark, mark)``, as :class:`CardClock`
    """
    data = SegmentationPatches(paths, config.network.spacing_mm, config.augmentation, 0, config.wide_mm)
    threads = patch_threads(config, device, usable_cores())
    stage = replace(config.segmentation, epochs=2)  # one epoch of as many batches as there are to be
    batches = Batches(
        data,
        lambda draw: np.arange((steps + 2) * stage.batch_size) % len(data),
        stage,
        config.seed,
        ALONE,
        device,
        threads,
        lambda draw, settling: bool(draw.random() < config.wide_share),
    )
    net = SegmentationNet(config.network).to(device, memory_format=torch.channels_last_3d).train()
    optimizer = torch.optim.Adam(net.parameters(), config.segmentation.learning_rates[0])
    trainer = Trainer(net, net, optimizer, Average(net, 0.0), SEGMENTATION_LOSSES["oda"], config.autocast)
    marks, patches, voxels, started = [], 0, 0, 0.0
    for n, (image, target) in enumerate(prefetched(batches(0))):
        if n == 2:  # what the first of either size prepares for is over
            started = time.perf_counter()
        before = clock.mark()
        trainer.step(image, target)
        if n >= 2:
            marks.append((before, clock.mark()))
            patches += len(image)
            voxels += len(image) * image[0, 0].numel()
    wall = time.perf_counter() - started
    within = sum(clock.seconds(*pair) for pair in marks)
    flop = 3 * 1e9 * gflop(config.network, voxels)
    return OnCard(clock.name, threads, patches / wall, within / wall, flop / wall / 1e12)


class CardClock:
    """Times of a graphics card's own: PyTorch's events."""

    def __init__(self, device: torch.device):
        self.name = torch.cuda.get_device_name(device)

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, first: torch.cuda.Event, last: torch.cuda.Event) -> float:
        last.synchronize()
        return first.elapsed_time(last) / 1000


def line(m: Measured, cases: int) -> str:
    reached = "reaches" if m.ratio >= TARGET else "misses"
    return (
        f"{m.spacing_mm:g} mm, {m.window} voxels: {m.cached:.2f} patches/s from the cache, {m.plain:.3f} the plain "
        f"way: {m.ratio:.1f} times ({reached} {TARGET:g}); building it took {m.build_s:.0f} s for {cases} phantoms, "
        f"{m.cache_mb:.0f} MB each, which pays after {m.pays_after:.0f} patches"
    )


def lines_of_making(making: Making) -> list[str]:
    return [
        "processor time of one thread, full-size settings, augmented:",
        *(
            f"  {what}: {cost:.3f} s a patch, {1 / cost:.1f} patches/s and core"
            for what, cost in (
                ("stage 1, window of 128 mm", making.window),
                ("stage 1, wide field", making.wide),
                ("stages 2 and 3", making.outcome),
            )
        ),
    ]


def machine() -> dict:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": load,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--seed", type=int, default=31, help="of the phantoms")
    parser.add_argument("--patches", type=int, default=24, help="from the cache")
    parser.add_argument("--plain", type=int, default=4, help="the plain way")
    parser.add_argument("--steps", type=int, default=20, help="on a graphics card, where there is one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    where = machine()
    print("machine:", ", ".join(f"{key} {value}" for key, value in where.items()))
    if where["load_before"] is not None and where["load_before"] > 0.5:
        print(f"the machine is busy (load {where['load_before']:.1f}): rates are too low, ratios are rough")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder) / "cohort", arguments.cases, arguments.seed)
        cases = read_cohort(Path(folder) / "cohort")
        for spacing_mm in SPACINGS_MM:
            m = measure(cases, Path(folder), spacing_mm, arguments.patches, arguments.plain)
            found.append(m)
            print(line(m, len(cases)), flush=True)
        paths = [Path(folder) / "1mm" / case.patient_id for case in cases]
        making = measure_making(paths, arguments.patches)
        print("\n".join(lines_of_making(making)), flush=True)
        on_card = None
        if torch.cuda.is_available():
            card = torch.device("cuda", torch.cuda.current_device())
            on_card = measure_card(paths, arguments.steps, TrainingConfig(), card, CardClock(card))
            print(
                f"{on_card.card}, {on_card.threads} threads: {on_card.patches:.1f} patches/s, within steps "
                f"{on_card.within_steps:.0%} of the time, {on_card.tflops:.0f} TFLOP/s"
            )
    if arguments.json:
        figures = {
            "machine": where,
            "figures": [{**asdict(m), "ratio": m.ratio} for m in found],
            "making": asdict(making),
            "on_card": None if on_card is None else asdict(on_card),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
