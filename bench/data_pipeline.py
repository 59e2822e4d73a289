"""Training patches a second: from the cache, and the plain way, in one run.

    python -P bench/data_pipeline.py [--cases 4] [--seed 31] [--patches 24] [--plain 4] [--json FILE]

Phantoms are written to a temporary folder. The plain way is what a data set without a cache does for each patch: read
the NIfTI files, prepare the ROI, resample to the network grid, list the crop centres, crop. Both ways call the same
functions and end in the same augmentation; what differs is when they are called. Times depend on what else the machine
does: the ratio within one run is what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from mmpl.lengths import WINDOW_MM, padded_voxels
from mmpl.phantom import write_cohort
from mmpl.training.cache import build_cache, prepare_case
from mmpl.training.cohort import CohortCase, read_cohort
from mmpl.training.config import AugmentationConfig
from mmpl.training.crops import where_to_crop
from mmpl.training.patches import SegmentationPatches, segmentation_patch

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


def line(m: Measured, cases: int) -> str:
    reached = "reaches" if m.ratio >= TARGET else "misses"
    return (
        f"{m.spacing_mm:g} mm, {m.window} voxels: {m.cached:.2f} patches/s from the cache, {m.plain:.3f} the plain "
        f"way: {m.ratio:.1f} times ({reached} {TARGET:g}); building it took {m.build_s:.0f} s for {cases} phantoms, "
        f"{m.cache_mb:.0f} MB each, which pays after {m.pays_after:.0f} patches"
    )


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
    if arguments.json:
        figures = [{**asdict(m), "ratio": m.ratio} for m in found]
        arguments.json.write_text(json.dumps({"machine": where, "figures": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
