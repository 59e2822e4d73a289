"""The steps that training and inference share, each a few calls into the clinical packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmpl.boxes import Box, bounding_box
from mmpl.case import CLASS_NAMES, Case, RoiCase
from mmpl.components import connected
from mmpl.geometry import Geometry, Volume
from mmpl.notices import MASK_OUTSIDE_ROI, Notice
from mmpl.preprocess.field_of_view import lesion_centroid, outcome_patch
from mmpl.preprocess.grid import common_grid
from mmpl.preprocess.network_grid import background_values, felt_on_roi, to_roi_grid
from mmpl.preprocess.prepare import label_on_roi, prepare
from mmpl.preprocess.roi import shifted_to_hold
from mmpl.resample import resample
from mmpl.segmentation.engine import Member, segment_by_plan
from mmpl.segmentation.plan import Account, Plan
from mmpl.segmentation.postprocess import compose
from mmpl.survival.discrete import expected_time_days, survival_from_hazards

Network = Callable[[np.ndarray], np.ndarray]  # patches (n, 2, z, y, x) -> logits (n, outputs)
ROUNDING = 1e-6  # of a mean of eight numbers in float32, relative


def segment_on_roi(
    roi: RoiCase,
    network_array: np.ndarray,
    members: Sequence[Member],
    plan: Plan,
    *,
    thresholds: tuple[float, float],
    account: Account | None = None,
    done: Callable[[float], None] = lambda fraction: None,
    preview: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """The label map as it is drawn: uint8 (1 GTVp, 2 GTVn), shape (z, y, x), on the 1 mm ROI.

    Parameters
    ----------
    roi : RoiCase
    network_array : float32, shape (2, z, y, x), the ROI as the networks see it
    members : one callable a member, see :func:`mmpl.segmentation.engine.segment_by_plan`
    plan : how they are run
    thresholds : (GTVp, GTVn)
    account : filled with what was run
    preview : called with what the first member alone draws, before the others have run

    Raises
    ------
    OutOfMemory
        If not even the smallest pass fits.
    """

    def drawn_from(probabilities: np.ndarray) -> np.ndarray:
        return draw(roi, probabilities_at_1mm(roi, probabilities, plan.spacing_mm, min(thresholds)), thresholds)

    probabilities = segment_by_plan(
        network_array,
        members,
        plan,
        fills=background_values(network_array),
        account=account or Account(),
        done=done,
        first_member=None if preview is None else lambda share: preview(drawn_from(share)),
    )
    return drawn_from(probabilities)


@dataclass(frozen=True, eq=False)
class MaskProbabilities:
    """Both classes' probabilities on the 1 mm ROI, in the box outside which all are lower than what is drawn.

    Attributes
    ----------
    box : slices (z, y, x) of the ROI
    inside : float32, shape (2, z, y, x) of the box: GTVp, GTVn
    least : probability from which they are whole
    """

    box: Box
    inside: np.ndarray
    least: float


def probabilities_at_1mm(roi: RoiCase, probabilities: np.ndarray, spacing_mm: float, least: float) -> MaskProbabilities:
    """Probabilities (2, z, y, x) on the network grid, brought to the 1 mm ROI wherever they can reach ``least``.

    A voxel of the ROI lies between eight of the network grid: where all are lower, so is it.
    """
    likely = (probabilities >= least * (1 - ROUNDING)).any(axis=0)
    box = bounding_box(likely) or (slice(0, 0),) * 3
    on_roi = felt_on_roi(box, spacing_mm, likely.shape, roi.geometry.shape)
    inside = np.stack([to_roi_grid(p, spacing_mm, roi.geometry.shape, on_roi) for p in probabilities])
    return MaskProbabilities(on_roi, inside, least)


def draw(roi: RoiCase, at_1mm: MaskProbabilities, thresholds: tuple[float, float]) -> np.ndarray:
    """The label map, uint8 (z, y, x), that probabilities give when cut at (GTVp, GTVn) thresholds.

    Raises
    ------
    ValueError
        If they are not whole from a threshold on.
    """
    if min(thresholds) < at_1mm.least:
        raise ValueError(f"thresholds {thresholds} of probabilities that are whole from {at_1mm.least} on")
    labels = np.zeros(roi.geometry.shape, np.uint8)
    labels[at_1mm.box] = compose(*at_1mm.inside, thresholds)
    clear_outside_shared(labels, roi)  # no contour is drawn on padding
    return labels


def deep_scores(
    network_array: np.ndarray,
    centre_zyx_1mm,
    hpv_net: Network,
    rfs_net: Network,
    *,
    spacing_mm: float,
    breaks_days: Sequence[float],
) -> tuple[float, float]:
    """Raw HPV logit and expected recurrence-free days of one member's networks.

    Parameters
    ----------
    centre_zyx_1mm : (3,) voxel index on the 1 mm ROI, see :func:`outcome_centre`
    """
    patch = outcome_patch(network_array, centre_zyx_1mm, spacing_mm)
    return hpv_logit(hpv_net, patch), expected_days(rfs_net, patch, breaks_days)


def hpv_logit(net: Network, patch: np.ndarray) -> float:
    return float(net(patch[None])[0, 0])


def expected_days(net: Network, patch: np.ndarray, breaks_days: Sequence[float]) -> float:
    hazards = 1.0 / (1.0 + np.exp(net(patch[None])[0].astype(np.float64)))
    return float(expected_time_days(survival_from_hazards(hazards), breaks_days))


def outcome_centre(label_on_roi_1mm: np.ndarray) -> np.ndarray:
    """Where the heads look, as a (z, y, x) index of the 1 mm ROI: the lesions' centroid, else the ROI's centre."""
    centroid = lesion_centroid(label_on_roi_1mm)
    return (np.array(label_on_roi_1mm.shape) - 1) / 2 if centroid is None else centroid


def radiomics_roi(
    case: Case, roi: RoiCase, label_map: Volume, last: RoiCase | None = None
) -> tuple[RoiCase, tuple[Notice, ...]]:
    """The ROI that radiomics are read from: the segmentation's, unless given contours leave it.

    Then it is the same box shifted on a 16 mm lattice to hold them; what still lies outside is named. ``last`` is
    the ROI of the contours before, which is used again when it is the same box.
    """
    bounds = _label_bounds(label_map)
    if bounds is None:
        return roi, ()
    if roi.geometry.holds(bounds).all():
        return roi, ()
    box = shifted_to_hold(roi.geometry, *bounds)
    known = (one for one in (roi, last) if one is not None and one.geometry.is_close(box))
    shifted = next(known, None) or prepare(case, roi=box)
    shift = np.asarray(shifted.geometry.origin_mm) - np.asarray(roi.geometry.origin_mm)
    moved = ", ".join(f"{abs(d):.0f} mm {names[int(d > 0)]}" for d, names in zip(shift, _SIDES, strict=True) if d)
    outside = share_outside(label_map, shifted.geometry)
    text = "The contours leave the region of interest"
    text += f": radiomics are read from the same box moved {moved}." if moved else "."
    if outside:
        text += f" {percent(outside)} of the contoured volume still lies outside it and is left out of radiomics."
    return shifted, (Notice(MASK_OUTSIDE_ROI, text),)


_SIDES = (("to the right", "to the left"), ("forward", "backward"), ("down", "up"))  # LPS: -, +


def _label_bounds(label_map: Volume) -> tuple[np.ndarray, np.ndarray] | None:
    """LPS bounds in mm of the labelled voxels' centres."""
    box = bounding_box(label_map.array)
    if box is None:
        return None
    if not label_map.geometry.is_axis_aligned():  # the box' corners lie farther out than any labelled voxel
        points = _labelled_lps(label_map)
        return points.min(axis=0), points.max(axis=0)
    low, size = zip(*((s.start, s.stop - s.start) for s in reversed(box)), strict=True)
    return label_map.geometry.cropped(low, size).bounds_lps()


def _labelled_lps(label_map: Volume) -> np.ndarray:
    """LPS mm of the labelled voxels' centres, shape (n, 3)."""
    return label_map.geometry.physical(np.argwhere(label_map.array)[:, ::-1])


def share_outside(label_map: Volume, *grids: Geometry) -> float:
    """Fraction of the labelled voxels whose centres lie outside any of the grids; 0 when nothing is labelled."""
    points = _labelled_lps(label_map)
    if len(points) == 0:
        return 0.0
    return float(np.mean(~np.all([grid.holds(points) for grid in grids], axis=0)))


def shared_grids(ct: Geometry, pet: Geometry, *, case_id: str = "case") -> tuple[Geometry, ...]:
    """Grids whose intersection is what PET and CT share: their common grid, and each image that lies oblique in it.

    The common grid is a box along L, P and S. The corners of an oblique image's box lie outside the image, where
    resampling pads.

    Raises
    ------
    GeometryError
        If the two boxes do not meet.
    """
    return common_grid(ct, pet, case_id=case_id), *(grid for grid in (ct, pet) if not grid.is_axis_aligned())


@dataclass(frozen=True)
class LostLesions:
    """Lesions of a class, 26-connected, that another grid has no voxel of, although they lie within it.

    Attributes
    ----------
    class_name : "GTVp" or "GTVn"
    lost, lesions : how many are lost, of how many
    volume_ml : of those lost
    """

    class_name: str
    lost: int
    lesions: int
    volume_ml: float


def lost_between_voxels(label_map: Volume, grid: Geometry) -> list[LostLesions]:
    """What a label map loses on its way to a grid by nearest neighbour because it lies between voxel centres."""
    found = []
    for value, name in CLASS_NAMES.items():
        parts, lesions = connected(label_map.array == value)
        numbered = label_map.with_array(parts.astype(np.int32))
        where = np.argwhere(parts)
        within = parts[tuple(where[grid.holds(label_map.geometry.physical(where[:, ::-1]))].T)]
        kept = resample(numbered, grid, method="nearest", fill=0).array
        lost = np.setdiff1d(within, kept)
        if len(lost):
            ml = float(np.isin(parts, lost).sum() * label_map.geometry.voxel_volume_ml)
            found.append(LostLesions(name, len(lost), lesions, ml))
    return found


def percent(share: float) -> str:
    """A fraction above 0 for people."""
    return "Less than 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def label_for_measurement(label_map: Volume, roi: RoiCase) -> np.ndarray:
    """A CT-grid label map on the 1 mm ROI. The only way a mask reaches radiomics and the heads.

    Voxels outside what PET and CT share are left out: the ROI is padded there, and air is no measurement.
    """
    labels = label_on_roi(label_map, roi.geometry)
    clear_outside_shared(labels, roi)
    return labels


def clear_outside_shared(labels: np.ndarray, roi: RoiCase) -> None:
    """Set to 0, in place, what an array on the 1 mm ROI holds outside what PET and CT share."""
    shared, *oblique = shared_grids(roi.ct_geometry, roi.pet_native.geometry)
    start = np.rint(roi.geometry.index(shared.origin_mm)).astype(int)
    for axis, (first, n) in enumerate(zip(start[::-1], shared.size[::-1], strict=True)):
        across = np.moveaxis(labels, axis, 0)
        across[: max(first, 0)] = 0
        across[max(first + n, 0) :] = 0
    for grid in oblique:
        labelled = np.argwhere(labels)
        lost = labelled[~grid.holds(roi.geometry.physical(labelled[:, ::-1]))]
        labels[tuple(lost.T)] = 0
