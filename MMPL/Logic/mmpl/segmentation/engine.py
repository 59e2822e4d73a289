"""Carrying out a plan: the searchers everywhere, the other members where anything is possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.network.backends.base import OutOfMemory, Tick, probabilities
from mmpl.segmentation.plan import PAPER, Account, Plan
from mmpl.segmentation.regions import Region, around_findings, cut, split
from mmpl.segmentation.windows import average_windows

Member = Callable[[np.ndarray, Tick], np.ndarray]  # (n, 2, z, y, x), tick -> logits (n, 2, z, y, x)
Done = Callable[[float], None]


def segment_by_plan(
    network_array: np.ndarray,
    members: Sequence[Member],
    plan: Plan,
    *,
    fills: tuple[float, float],
    account: Account,
    done: Done = lambda fraction: None,
    first_member: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Probabilities of the ensemble on the network grid: the mean of the members that looked at a voxel.

    Where only the searchers looked, their mean lies below the search threshold: nothing is drawn there.

    Parameters
    ----------
    network_array : float32, shape (2, z, y, x)
    members : one callable a member; each may raise OutOfMemory, and its pass (or its batch of windows) is cut in two
    fills : (PET, CT) padding of the paper plan's windows
    account : filled with what was done
    done : called with the finished fraction; what it raises stops the work within one step of a pass
    first_member : called with the first member's probabilities as soon as there are any, where more are to come

    Returns
    -------
    float32, shape (2, z, y, x); channel 0 GTVp, channel 1 GTVn; 0 where nobody looked

    Raises
    ------
    OutOfMemory
        If not even the smallest pass fits.
    """
    run = PlanRun(network_array, plan, account, done)
    if plan.settings.name == PAPER:
        return run.paper(members, fills, first_member)
    searched, peak = run.search(members[: plan.searchers], first_member if len(members) > 1 else None)
    rest = members[plan.searchers :]
    return run.refine(searched, peak, rest) if rest else searched


class PlanRun:
    """One case's passes, and the count of them; arguments as of :func:`segment_by_plan`."""

    def __init__(self, network_array: np.ndarray, plan: Plan, account: Account, done: Done):
        self._array, self._plan, self._account = network_array, plan, account
        self._progress = _Progress(plan, done)

    def search(
        self, members: Sequence[Member], first_member: Callable[[np.ndarray], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean probabilities (2, z, y, x) of members that look everywhere, and the highest of any of them (z, y, x)."""
        total, regions = self.over(members[0], list(self._plan.regions))
        if first_member is not None:
            first_member(total)
        peak = np.maximum(total[0], total[1])
        for member in members[1:]:
            share, regions = self.over(member, regions)
            total += share
            np.maximum(peak, np.maximum(share[0], share[1]), out=peak)
            del share
        if len(members) > 1:
            total /= len(members)
        return total, peak

    def over(self, member: Member, regions: list[Region]) -> tuple[np.ndarray, list[Region]]:
        """One member's probabilities, 0 outside the regions' cores; and the regions as small as they had to become."""
        out = np.zeros((2, *self._array.shape[1:]), np.float32)
        todo, ran = list(regions), []
        while todo:
            region = todo.pop(0)
            try:
                found = self._pass(member, region)
            except OutOfMemory:
                halves = split(region, self._plan.domain, self._plan.settings.halo)
                if halves is None:
                    raise
                self._account.shrunk += 1
                todo = halves + todo
                continue
            out[(slice(None), *region.core.slices)] = found
            ran.append(region)
        return out, ran

    def refine(self, searched: np.ndarray, peak: np.ndarray, members: Sequence[Member]) -> np.ndarray:
        """The search's mean, with the other members' where anything is possible."""
        possible = grown(peak >= self._plan.threshold, self._plan.settings.margin_mm / self._plan.spacing_mm)
        plan = self._plan
        regions = around_findings(possible, plan.domain, plan.settings.halo, plan.fits, plan.fixed_voxels)
        self._account.boxes += [region.box.size for region in regions]
        self._progress.expect(len(members) * sum(region.box.voxels for region in regions))
        if not regions:
            return searched
        total = searched * self._plan.searchers
        for member in members:
            share, regions = self.over(member, regions)
            total += share
            del share
        return np.where(possible, total / (self._plan.searchers + len(members)), searched)

    def paper(self, members: Sequence[Member], fills, first_member) -> np.ndarray:
        """Overlapping windows of every member, averaged uniformly."""
        total = None
        for n, member in enumerate(members):
            share = average_windows(
                self._array,
                self._windows_of(member),
                window=self._plan.window,
                overlap=self._plan.settings.overlap,
                fills=fills,
                batch=self._plan.batch,
                done=lambda fraction, n=n: self._progress.at((n + fraction) / len(members)),
            )
            if n == 0 and first_member is not None and len(members) > 1:
                first_member(share)
            total = share if total is None else total + share
        return total / len(members)

    def _windows_of(self, member: Member) -> Callable[[np.ndarray], np.ndarray]:
        def predict(batch: np.ndarray) -> np.ndarray:
            try:
                logits = member(batch, self._progress.again)
            except OutOfMemory:
                if len(batch) == 1:
                    raise
                logits = None
            if logits is None:  # out of the handler: the error holds what the failed pass had taken
                self._account.shrunk += 1
                return np.concatenate([predict(half) for half in np.array_split(batch, 2)])
            self._account.passes += len(batch)
            voxels = len(batch) * int(np.prod(batch.shape[2:]))
            self._account.voxels += voxels
            self._account.largest_pass = max(self._account.largest_pass, voxels)
            return probabilities(logits)

        return predict

    def _pass(self, member: Member, region: Region) -> np.ndarray:
        """Probabilities of a region's core."""
        voxels = region.box.voxels
        logits = member(cut(self._array, region.box)[None], lambda fraction: self._progress.during(fraction * voxels))
        self._account.passes += 1
        self._account.voxels += voxels
        self._account.largest_pass = max(self._account.largest_pass, voxels)
        self._progress.add(voxels)
        return probabilities(logits[(0, slice(None), *region.core.relative_to(region.box).slices)])


class _Progress:
    """Finished voxels of all that are to come; never falls."""

    def __init__(self, plan: Plan, done: Done):
        once = sum(region.box.voxels for region in plan.regions)
        self._expected = (plan.searchers + plan.expected_share * (plan.members - plan.searchers)) * once
        self._finished, self._told, self._done = 0.0, 0.0, done
        self._from = (0.0, 0.0)  # fraction that was told, and what was finished then

    def expect(self, voxels: int) -> None:
        """The search is over: so many are to come. If more than expected, the rest of the bar is theirs."""
        self._expected = self._finished + voxels
        if self._finished < self._told * self._expected:
            self._from = self._told, self._finished

    def add(self, voxels: int) -> None:
        self._finished += voxels
        self.during(0)

    def during(self, voxels: float) -> None:
        told, finished = self._from
        share = (self._finished + voxels - finished) / max(self._expected - finished, 1)
        self.at(told + (1 - told) * share)

    def again(self, _fraction: float) -> None:
        self.at(self._told)

    def at(self, fraction: float) -> None:
        self._told = max(self._told, min(fraction, 1.0))
        self._done(self._told)


def grown(mask: np.ndarray, voxels: float) -> np.ndarray:
    """All that lies within so many voxels, rounded up, of a mask along each axis; bool."""
    reach, box = math.ceil(voxels), bounding_box(mask)
    if reach < 1 or box is None:
        return mask
    out = np.zeros_like(mask)
    near = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in box)
    out[near] = ndimage.maximum_filter(mask[near].view(np.uint8), size=2 * reach + 1, mode="constant").view(bool)
    return out
