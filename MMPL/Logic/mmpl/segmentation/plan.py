"""How a case is to be segmented, decided and said before it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from mmpl.errors import InputError
from mmpl.lengths import MULTIPLE, WINDOW_MM, padded_voxels
from mmpl.segmentation.body import body_box
from mmpl.segmentation.regions import HALO, Box, Region, domain_of, region_around, slabs, whole
from mmpl.segmentation.windows import BATCH, OVERLAP, window_slices

FAST, PAPER = "fast", "paper"
PLANS = (FAST, PAPER)
SEARCHERS = 2
MARGIN_MM = 8.0
EXPECTED_REFINED_SHARE = 0.35  # of the search's voxels, until the search has said where anything is possible
HARDLY_SMALLER = 0.5  # a box around a single voxel that takes this share of the domain: all of it must be expected


@dataclass(frozen=True)
class PlanSettings:
    """What a user may choose of a plan.

    Attributes
    ----------
    name : "fast": whole-ROI passes or slabs, and a cascade; "paper": windows of 128 mm averaged uniformly, every member
    overlap : of the paper plan's windows
    skip_air : run on the box around the patient only
    searchers : members that search everywhere, where the bundle says how low a probability still counts; 0 = all do
    halo : voxels that a slab or box reaches beyond what is kept of it; a multiple of 16
    margin_mm : how far beyond what the searchers found possible the other members look
    """

    name: str = FAST
    overlap: float = OVERLAP
    skip_air: bool = True
    searchers: int = SEARCHERS
    halo: int = HALO
    margin_mm: float = MARGIN_MM

    def __post_init__(self):
        if self.name not in PLANS:
            raise InputError(f"plan {self.name!r} is unknown: choose {' or '.join(PLANS)}")
        lowest = min(self.halo, self.searchers, self.margin_mm)
        if lowest < 0 or self.halo % MULTIPLE or not 0 <= self.overlap < 1:
            raise InputError(
                f"plan: halo {self.halo} must be a multiple of 16, searchers {self.searchers} and margin_mm "
                f"{self.margin_mm} not negative, overlap {self.overlap} from 0 to below 1"
            )


@dataclass(frozen=True)
class Cost:
    """What passes cost on the backend in use.

    Attributes
    ----------
    seconds : voxels of a pass -> predicted time, a straight line
    fits : voxels of a pass -> whether the memory that may be used holds it
    memory : voxels of a pass -> predicted bytes
    most_bytes : that a pass may take
    """

    seconds: Callable[[int], float]
    fits: Callable[[int], bool]
    memory: Callable[[int], int]
    most_bytes: float = math.inf

    @property
    def fixed_voxels(self) -> int:
        """What a pass takes whatever its size, to be made ready for its shape, in voxels that take as long."""
        some = 10**6
        each = (self.seconds(2 * some) - self.seconds(some)) / some
        return round(max(0.0, self.seconds(some) / each - some)) if each > 0 else 0


@dataclass(frozen=True)
class Plan:
    """A decided plan for one case.

    Attributes
    ----------
    settings : PlanSettings
    members : of the ensemble
    searchers : members that search every region; the others run where these found anything possible
    threshold : the probability at which anything is possible; None when every member searches
    spacing_mm : of the networks' grid
    grid_voxels : of the networks' grid, the whole region
    domain : box of the grid on which everything runs
    regions : passes of each searcher
    predicted_s, predicted_bytes : of the whole segmentation; the cascade's part is a guess until the search is done
    expected_share : of the search's voxels that each other member is expected to see, until the search is done
    fits : voxels of a pass -> whether the memory that may be used holds it; for the boxes that the search will find
    fixed_voxels : see :class:`Cost`; for the same boxes
    window, batch : side in voxels of the paper plan's windows, and how many a pass; 0 and 1 in the fast plan
    """

    settings: PlanSettings
    members: int
    searchers: int
    threshold: float | None
    spacing_mm: float
    grid_voxels: int
    domain: Box
    regions: tuple[Region, ...]
    predicted_s: float
    predicted_bytes: int
    expected_share: float
    fits: Callable[[int], bool]
    fixed_voxels: int = 0
    window: int = 0
    batch: int = 1

    @property
    def largest_pass(self) -> int:
        """Voxels of the largest pass that is planned; boxes around findings come later."""
        return self.batch * self.window**3 or max(region.box.voxels for region in self.regions)


@dataclass
class Account:
    """What was done, for the report of a case.

    Attributes
    ----------
    passes, voxels : of networks, and the voxels that they saw
    largest_pass : voxels of the largest of them
    boxes : sizes (z, y, x) of the boxes that the other members looked at
    shrunk : how often a pass had to be cut in two for lack of memory
    """

    passes: int = 0
    voxels: int = 0
    largest_pass: int = 0
    boxes: list[tuple[int, ...]] = field(default_factory=list)
    shrunk: int = 0


def make_plan(
    network_array: np.ndarray,
    settings: PlanSettings,
    *,
    members: int,
    threshold: float | None,
    spacing_mm: float,
    cost: Cost,
) -> Plan:
    """Decide how to segment a case.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x)
    threshold : the bundle's search threshold; None where it has none, and then every member searches
    """
    grid = whole(network_array.shape[1:])
    if settings.name == PAPER:
        return _paper_plan(grid, settings, members, spacing_mm, cost)
    inner = body_box(network_array, spacing_mm) if settings.skip_air else grid
    domain = domain_of(inner, grid.size)
    regions = slabs(inner.within(grid), domain, cost.fits, settings.halo)
    cascade = threshold is not None and 0 < settings.searchers < members
    searchers = settings.searchers if cascade else members
    once = sum(cost.seconds(region.box.voxels) for region in regions)
    share = _expected_share(domain, settings, spacing_mm)
    return Plan(
        settings=settings,
        members=members,
        searchers=searchers,
        threshold=threshold if cascade else None,
        spacing_mm=spacing_mm,
        grid_voxels=grid.voxels,
        domain=domain,
        regions=tuple(regions),
        predicted_s=once * (searchers + share * (members - searchers)),
        predicted_bytes=max(cost.memory(region.box.voxels) for region in regions),
        expected_share=share,
        fits=cost.fits,
        fixed_voxels=cost.fixed_voxels,
    )


def _expected_share(domain: Box, settings: PlanSettings, spacing_mm: float) -> float:
    """All of it where the box around a single voxel is hardly smaller: a halo is wide on a coarse grid."""
    middle = tuple((a + b) // 2 for a, b in zip(domain.low, domain.high, strict=True))
    voxel = Box(middle, tuple(m + 1 for m in middle)).grown(math.ceil(settings.margin_mm / spacing_mm))
    least = region_around(voxel.within(domain), domain, settings.halo).box.voxels
    return 1.0 if least >= HARDLY_SMALLER * domain.voxels else EXPECTED_REFINED_SHARE


def _paper_plan(grid: Box, settings: PlanSettings, members: int, spacing_mm: float, cost: Cost) -> Plan:
    window = padded_voxels(WINDOW_MM, spacing_mm)
    count = len(window_slices([max(n, window) for n in grid.size], window, settings.overlap))
    batch = next((n for n in (BATCH, 2) if cost.fits(n * window**3)), 1)
    return Plan(
        settings=settings,
        members=members,
        searchers=members,
        threshold=None,
        spacing_mm=spacing_mm,
        grid_voxels=grid.voxels,
        domain=grid,
        regions=(Region(grid, grid),),
        predicted_s=members * cost.seconds(count * window**3),  # all of one shape: made ready for once
        predicted_bytes=cost.memory(batch * window**3),
        expected_share=1.0,
        fits=cost.fits,
        window=window,
        batch=batch,
    )


def plan_record(plan: Plan, account: Account, backend: str, names: Sequence[str]) -> dict:
    """What ``results.json`` says of how the contours were drawn; ``names`` are the members', in the order they ran."""
    grid_passes = plan.members * plan.grid_voxels
    return {
        "plan": asdict(plan.settings),
        "backend": backend,
        "members": plan.members,
        "searchers": plan.searchers,
        "searching": list(names[: plan.searchers]),
        "refining": list(names[plan.searchers :]),
        "search_threshold": plan.threshold,
        "domain_zyx": {"low": list(plan.domain.low), "high": list(plan.domain.high)},
        "slabs": len(plan.regions),
        "boxes_zyx": [list(size) for size in account.boxes],
        "passes": account.passes,
        "computed_share": round(account.voxels / grid_passes, 4),
        "shrunk": account.shrunk,
        "predicted_s": round(plan.predicted_s, 2),
        "predicted_gb": round(plan.predicted_bytes / 1e9, 3),
    }


UNLIMITED = Cost(seconds=lambda voxels: 0.0, fits=lambda voxels: True, memory=lambda voxels: 0)


def single_plan(network_array: np.ndarray, spacing_mm: float) -> Plan:
    """The plan by which one network alone searches a whole case, in one pass: training's out-of-fold masks."""
    return make_plan(network_array, PlanSettings(), members=1, threshold=None, spacing_mm=spacing_mm, cost=UNLIMITED)
