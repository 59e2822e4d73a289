"""The main job on one case: contours, then what they mean.

:func:`predict` draws contours and measures them; :func:`assess` measures given (corrected) ones. Both end in
:func:`assess`'s code, so that a saved mask gives the numbers that were saved with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mmpl.case import CLASS_NAMES, PET_SUV, Case, RoiCase
from mmpl.clinical.fields import missing_notice, parse_record
from mmpl.clinical.tumour import known_hpv, primary_site
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.dose.result import DoseResult, DoseSource, dose_of_contours
from mmpl.ensemble import Ensemble, Member
from mmpl.errors import GeometryError, InputError
from mmpl.fingerprint import fingerprint
from mmpl.geometry import Geometry, Volume
from mmpl.hpv.ensemble import combine_hpv, null_hpv
from mmpl.lengths import padded_voxels
from mmpl.machine import GB
from mmpl.network.backends.base import BackendChanged, OutOfMemory, StoredNetwork, Tick, describe
from mmpl.notices import (
    FOV_FALLBACK,
    HPV_AS_KNOWN,
    MASK_OUTSIDE_CT,
    MASK_OUTSIDE_PET,
    MEMORY_EXCEEDED,
    NO_LESION,
    PHANTOM_BUNDLE,
    PLAN_SHRUNK,
    Notice,
    between_voxels,
)
from mmpl.preprocess.field_of_view import FIELD_OF_VIEW_MM, outcome_patch_start
from mmpl.preprocess.network_grid import network_input
from mmpl.preprocess.prepare import label_on_ct, prepare
from mmpl.progress import Progress, silent
from mmpl.radiomics.case_radiomics import CaseRadiomics
from mmpl.radiomics.extraction import FAST, make_extractor
from mmpl.radiomics.lesion_figures import class_figures
from mmpl.resample import resample
from mmpl.results import ClassFigures, Contribution, HpvResult, Results, RfsResult
from mmpl.segmentation.plan import PAPER, Account, Cost, Plan, make_plan, plan_record
from mmpl.steps import (
    LostLesions,
    deep_scores,
    label_for_measurement,
    lost_between_voxels,
    outcome_centre,
    percent,
    radiomics_roi,
    segment_on_roi,
    share_outside,
    shared_grids,
)
from mmpl.survival.ensemble import combine_rfs, null_rfs

KNOWN_PROBABILITY = {"positive": 1.0, "negative": 0.0}
FOV_FALLBACK_TEXT = (
    "The contours lie outside the region of interest: the networks' HPV and RFS scores look at its centre."
)


@dataclass
class Stopwatch:
    """Seconds spent in each named step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


@dataclass(frozen=True)
class DeepScores:
    """What the networks say of the patch around the lesions.

    Attributes
    ----------
    centre_zyx : voxel index of the patch's centre on the segmentation's 1 mm ROI
    rows : one a member, column -> raw HPV logit and expected days
    """

    centre_zyx: tuple[float, float, float]
    rows: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Outcome:
    """All that is known of a case after the main job.

    Attributes
    ----------
    results : Results, what ``results.json`` holds
    label_map : Volume, uint8 (1 GTVp, 2 GTVn) on exactly the CT's grid
    features : radiomics columns; NaN where not computed
    roi : RoiCase that radiomics were read from
    label_on_roi : uint8 array, shape (z, y, x), the label map on that ROI
    deep : DeepScores, or None where no outcome is given
    deep_is_kept : True when ``deep`` is of earlier contours: for a panel while someone draws, never to be saved
    hpv_as_known : True when RFS was given the recorded HPV status in place of the prediction: a what-if, never saved
    """

    results: Results
    label_map: Volume
    features: dict[str, float]
    roi: RoiCase
    label_on_roi: np.ndarray
    deep: DeepScores | None
    deep_is_kept: bool = False
    hpv_as_known: bool = False


@dataclass(frozen=True)
class PreparedCase:
    """A case on the ROI and on the networks' grid: what stays while contours change.

    Attributes
    ----------
    case, roi : as read, and on the 1 mm ROI
    network_array : float32, shape (2, z, y, x)
    radiomics : CaseRadiomics, which keeps the filtered images
    scores : what networks said of patches of these images: the networks and the patch's first voxel -> rows
    ct_fingerprint : of the CT as read
    """

    case: Case
    roi: RoiCase
    network_array: np.ndarray
    radiomics: CaseRadiomics
    scores: dict[tuple, tuple[Mapping[str, float], ...]] = field(default_factory=dict)
    ct_fingerprint: str = ""


def prepare_case(
    case: Case, ensemble: Ensemble, watch: Stopwatch | None = None, *, extractor: str = FAST
) -> PreparedCase:
    """Images onto the ROI and the networks' grid.

    ``extractor`` names who computes radiomics, see :func:`mmpl.radiomics.extraction.make_extractor`.

    Raises
    ------
    GeometryError
        If PET and CT do not overlap.
    ClinicalError
        If a clinical value is impossible (found here, before anything slow starts).
    InputError
        If the extractor is unknown or not installed.
    """
    check_clinical(case.clinical)
    ensemble.networks.begin_case()
    radiomics = CaseRadiomics(make_extractor(extractor, ensemble.feature_set))
    with (watch or Stopwatch()).step("prepare"):
        roi = prepare(case)
        array = network_input(roi, ensemble.network.spacing_mm)
        return PreparedCase(case, roi, array, radiomics, ct_fingerprint=fingerprint(case.ct.array))


def check_clinical(record: Mapping[str, object]) -> None:
    """Raise ClinicalError when a raw clinical record holds an unknown field or an impossible value."""
    parse_record(record)
    primary_site(record)
    known_hpv(record)


def predict(case: Case, ensemble: Ensemble, *, progress: Progress = silent, extractor: str = FAST) -> Outcome:
    """Segment a case and assess the contours found."""
    watch = Stopwatch()
    progress("preparing images", 0.0)
    prepared = prepare_case(case, ensemble, watch, extractor=extractor)
    drawing = draw_contours(prepared, ensemble, watch=watch, done=lambda f: progress("segmenting", f))
    return measure_drawing(prepared, drawing, ensemble, watch=watch, progress=progress)


def assess(
    case: Case, label_map: Volume, ensemble: Ensemble, *, progress: Progress = silent, extractor: str = FAST
) -> Outcome:
    """Radiomics, HPV and RFS from given contours; no segmentation.

    Parameters
    ----------
    label_map : uint8 (1 GTVp, 2 GTVn); brought to the CT's grid by nearest neighbour when it lies on another

    Raises
    ------
    GeometryError
        If the mask does not overlap the CT.
    """
    watch = Stopwatch()
    progress("preparing images", 0.0)
    prepared = prepare_case(case, ensemble, watch, extractor=extractor)
    moved, notices = on_ct_grid(label_map, case.ct.geometry)
    return measure(prepared, moved, ensemble, watch=watch, progress=progress, notices=notices)


@dataclass(frozen=True)
class Drawing:
    """Contours that the ensemble drew.

    Attributes
    ----------
    label_map : Volume, uint8 (1 GTVp, 2 GTVn) on exactly the CT's grid
    notices : what the reader must know of how they were drawn
    record : the plan and what it cost, as ``results.json`` holds it
    """

    label_map: Volume
    notices: tuple[Notice, ...]
    record: Mapping


def draw_contours(
    prepared: PreparedCase,
    ensemble: Ensemble,
    *,
    watch: Stopwatch | None = None,
    done: Callable[[float], None] = lambda fraction: None,
    preview: Callable[[Volume], None] | None = None,
) -> Drawing:
    """The ensemble's label map on exactly the CT's grid; ``preview`` hears first what one member alone draws.

    Raises
    ------
    InputError
        If the memory of this machine does not hold the smallest pass.
    """

    def on_ct(drawn: np.ndarray) -> Volume:
        return label_on_ct(drawn, prepared.roi.geometry, prepared.roi.ct_geometry)

    first = None if preview is None else lambda drawn: preview(on_ct(drawn))
    with (watch or Stopwatch()).step("segmentation"):
        drawn, notices, record = draw_on_roi(prepared, ensemble, done=done, preview=first)
        return Drawing(on_ct(drawn), notices, record)


def draw_on_roi(
    prepared: PreparedCase,
    ensemble: Ensemble,
    *,
    done: Callable[[float], None] = lambda fraction: None,
    preview: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, tuple[Notice, ...], dict]:
    """The ensemble's label map as it is drawn, uint8, shape (z, y, x), on the 1 mm ROI; notices; and the record."""
    thresholds = ensemble.info.thresholds
    members = [partial(member, planned=True) for member in ensemble.segmenters]
    ensemble.networks.begin_case()
    rising = _Rising(done)
    while True:
        ensemble.networks.give_way()
        account, cost = Account(), ensemble.cost()
        plan = plan_case(prepared, ensemble, cost)
        if not cost.fits(plan.largest_pass) and ensemble.networks.prefer_what_holds(plan.largest_pass):
            continue
        try:
            drawn = segment_on_roi(
                prepared.roi,
                prepared.network_array,
                members,
                plan,
                thresholds=(thresholds.GTVp, thresholds.GTVn),
                account=account,
                done=rising,
                preview=preview,
            )
            break
        except BackendChanged:
            continue
        except OutOfMemory:
            pass  # it holds what the failed pass had taken until here
        finally:
            ensemble.networks.release()
        make_room(ensemble)
    names = [member.name for member in ensemble.members]
    record = plan_record(plan, account, describe(ensemble.networks.backend), names)
    found = _over_limit("Networks were run", cost, account.largest_pass)
    return drawn, (*ensemble.networks.notices, *_shrunk(plan, account), *found), record


def plan_case(prepared: PreparedCase, ensemble: Ensemble, cost: Cost | None = None) -> Plan:
    """How a case is going to be segmented on this machine, as it is now, or where passes cost what is given."""
    return make_plan(
        prepared.network_array,
        ensemble.plan_settings,
        members=len(ensemble.members),
        threshold=ensemble.settings.search_threshold,
        spacing_mm=ensemble.network.spacing_mm,
        cost=cost or ensemble.cost(),
    )


class _Rising:
    """Tells a fraction that begins anew, as what is planned again does, only once it is beyond where it was."""

    def __init__(self, done: Callable[[float], None]):
        self._done, self._most = done, 0.0

    def __call__(self, fraction: float) -> None:
        self._most = max(self._most, fraction)
        self._done(self._most)


def make_room(ensemble: Ensemble) -> None:
    """After a pass that did not fit even when cut small: fewer weights in memory, else the next backend.

    To be called once the error has been handled: until then it holds what the failed pass had taken.

    Raises
    ------
    InputError
        If nothing is left to give up.
    """
    networks = ensemble.networks
    if networks.drop_weights() or networks.fall_back_for_memory():
        return
    raise InputError(
        f"the memory of {networks.backend.device} does not hold one small pass of the networks: "
        "close other programs, or use a bundle of narrower networks"
    )


def _over_limit(what: str, cost: Cost, voxels: int) -> tuple[Notice, ...]:
    """A notice where the smallest pass there is takes more than it may."""
    if cost.fits(voxels):
        return ()
    need, limit = cost.memory(voxels) / GB, cost.most_bytes / GB
    text = f"{what} in a pass of {need:.3g} GB, more than the {limit:.3g} GB that one may take"
    return (Notice(MEMORY_EXCEEDED, f"{text}: it cannot be made smaller."),)


def _shrunk(plan: Plan, account: Account) -> tuple[Notice, ...]:
    if not account.shrunk:
        return ()
    text = f"Memory ran short: {account.shrunk} passes of the networks were cut in two, which takes longer"
    if plan.settings.name != PAPER:
        text += " and may move a contour by a voxel where the parts meet"
    return (Notice(PLAN_SHRUNK, f"{text}."),)


def on_ct_grid(label_map: Volume, ct: Geometry) -> tuple[Volume, tuple[Notice, ...]]:
    """A label map on the CT's grid, unchanged when it lies there already; notices where part of it is lost.

    Raises
    ------
    GeometryError
        If no labelled voxel of a mask that has some falls on the CT.
    """
    if label_map.geometry.is_close(ct):
        return Volume(label_map.array, ct), ()
    moved = resample(label_map, ct, method="nearest", fill=0)
    share = share_outside(label_map, ct)
    if label_map.array.any() and not moved.array.any():
        if share == 1:
            raise GeometryError("the mask does not overlap the CT: check that both belong to the same case")
        raise GeometryError(
            "the mask's contours hold no voxel centre of the CT: they are thinner than its voxels; draw them on this CT"
        )
    return moved, notices_of_loss(lost_between_voxels(label_map, ct), share)


def notices_of_loss(between: Sequence[LostLesions], outside: float) -> tuple[Notice, ...]:
    """What contours lose on their way to the CT's grid: lesions between its voxels, the share that lies outside."""
    notices = [*map(_between_voxels, between)]
    if outside:
        text = f"{percent(outside)} of the contoured volume lies outside the CT and is left out of everything."
        notices.append(Notice(MASK_OUTSIDE_CT, text))
    return tuple(notices)


def _between_voxels(lost: LostLesions) -> Notice:
    lesions = f"{lost.lost} of {lost.lesions} {lost.class_name} lesions of the mask ({lost.volume_ml:.2g} mL)"
    return between_voxels(lesions)


def measure(
    prepared: PreparedCase,
    label_map: Volume,
    ensemble: Ensemble,
    *,
    watch: Stopwatch | None = None,
    progress: Progress = silent,
    notices: Sequence[Notice] = (),
    deep: DeepScores | None = None,
    hpv_as_known: bool = False,
) -> Outcome:
    """Lesion figures, radiomics, HPV and RFS of contours on the CT's grid.

    ``notices`` are what was found while the contours came to that grid. With ``deep``, an earlier outcome's, the
    networks do not run: for the moments of an edit. With ``hpv_as_known`` the Cox models are given the recorded HPV
    status, 0 or 1, in place of the predicted probability that they were trained on. Such outcomes cannot be saved.
    """
    watch = watch or Stopwatch()
    case = prepared.case
    whole, label_map = label_map, label_map.trimmed()
    notices = [*prepared.roi.notices, *_bundle_notices(ensemble), *notices]
    progress("measuring lesions", 0.0)
    with watch.step("lesion_figures"):
        lesions = lesion_figures(case, label_map)
        dose, found = dose_figures(case, label_map)
        notices += found
    with watch.step("radiomics"):
        roi, found = radiomics_roi(case, prepared.roi, label_map, last=prepared.radiomics.roi)
        notices += found
        on_roi = label_for_measurement(label_map, roi)
        notices += _mask_notices(case, label_map, on_roi)
        progress("radiomics", 0.0)
        features, found = prepared.radiomics.of(roi, on_roi, done=lambda f: progress("radiomics", f))
        notices += found
    progress("HPV and RFS", 0.0)
    reason = _why_no_outcome(case, label_map, roi.geometry, on_roi)
    kept = reason is None and deep is not None
    if reason is not None:
        deep = None
    elif deep is None:
        with watch.step("deep_scores"):
            found = make_ready_for_patch(ensemble)
            deep = read_deep_scores(prepared, label_map, ensemble, lambda f: progress("HPV and RFS", 0.9 * f))
            notices += [*ensemble.networks.notices, *found]
    if reason is None and not (on_roi if roi is prepared.roi else label_for_measurement(label_map, prepared.roi)).any():
        notices.append(Notice(FOV_FALLBACK, FOV_FALLBACK_TEXT))
    with watch.step("outcome"):
        hpv, rfs, contributions, found = outcome(case, deep, reason, features, ensemble, hpv_as_known=hpv_as_known)
        notices += found
    results = Results(
        case_id=case.case_id,
        bundle=bundle_summary(ensemble),
        inputs=_inputs(prepared, roi),
        lesions=lesions,
        hpv=hpv,
        rfs=rfs,
        contributions=contributions,
        warnings=_distinct(notices),
        timings_s=dict(watch.seconds),
        dose=dose,
    )
    progress("HPV and RFS", 1.0)
    return Outcome(results, whole, features, roi, on_roi, deep, deep_is_kept=kept, hpv_as_known=hpv_as_known)


def measure_drawing(
    prepared: PreparedCase, drawing: Drawing, ensemble: Ensemble, *, notices: Sequence[Notice] = (), **how
) -> Outcome:
    """:func:`measure` of what the ensemble drew; the results say how it was drawn."""
    outcome = measure(prepared, drawing.label_map, ensemble, notices=(*drawing.notices, *notices), **how)
    return replace(outcome, results=replace(outcome.results, segmentation=dict(drawing.record)))


def lesion_figures(case: Case, label_map: Volume) -> dict[str, ClassFigures]:
    """Volume and uptake per class and lesion, from the CT-grid mask and the native PET."""
    pet = case.pet if case.pet_units == PET_SUV else None
    return {
        name: class_figures(label_map.with_array(label_map.array == value), pet) for value, name in CLASS_NAMES.items()
    }


def dose_figures(case: Case, label_map: Volume) -> tuple[DoseResult | None, tuple[Notice, ...]]:
    """Planned dose in each class, where the case has one: for the reader, no model is given it."""
    if case.dose is None:
        return None, ()
    return dose_of_contours(
        case.dose.volume,
        {name: label_map.array == value for value, name in CLASS_NAMES.items()},
        label_map.geometry,
        source=DoseSource(case.dose.dose_type, case.dose.summation_type),
        levels_gy=case.dose.levels_gy,
    )


def outcome(
    case: Case,
    deep: DeepScores | None,
    reason: str | None,
    features: dict[str, float],
    ensemble: Ensemble,
    *,
    hpv_as_known: bool = False,
) -> tuple[HpvResult, RfsResult, dict[str, tuple[Contribution, ...]], list[Notice]]:
    """HPV probability and RFS, or the reason why there is none."""
    record, notices = parse_record(case.clinical)
    notices = [*notices, *missing_notice(record)]
    notices += [n for m in ensemble.members for n in m.encoder.unseen(record)]
    site, known = primary_site(case.clinical), known_hpv(case.clinical)
    info = ensemble.info
    if deep is None:
        return (
            null_hpv(info.thresholds.hpv, reason, known),
            null_rfs(info.time_zero, reason),
            {"hpv": (), "rfs": ()},
            notices,
        )
    rows = [
        {**row, **features, **member.encoder.encode(record)}
        for row, member in zip(deep.rows, ensemble.members, strict=True)
    ]
    hpv, hpv_terms, found = combine_hpv(
        [m.hpv for m in ensemble.members], rows, threshold=info.thresholds.hpv, site=site, known=known
    )
    notices += found
    assumed = KNOWN_PROBABILITY.get(known) if hpv_as_known else None
    if assumed is not None:
        notices.append(Notice(HPV_AS_KNOWN, f"What-if: RFS is given HPV {known} as recorded, not the prediction."))

    def probability(member: Member, row: Mapping) -> float | None:
        # a probability that is not given is not used either: the Cox model then takes its training median
        predicted = None if hpv.probability is None else member.hpv.predict(row)
        return predicted if assumed is None else assumed

    rfs_rows = [
        {**row, HPV_PROBABILITY: probability(member, row)} for row, member in zip(rows, ensemble.members, strict=True)
    ]
    rfs, rfs_terms = combine_rfs(
        [m.rfs for m in ensemble.members],
        rfs_rows,
        time_zero=info.time_zero,
        tertiles=info.risk_tertiles,
        deep_days=[row[DEEP_DAYS] for row in rows],
    )
    return hpv, rfs, {"hpv": hpv_terms, "rfs": rfs_terms}, notices


def read_deep_scores(
    prepared: PreparedCase,
    label_map: Volume,
    ensemble: Ensemble,
    done: Callable[[float], None] = lambda fraction: None,
) -> DeepScores:
    """Each member's deep scores of the patch around the lesions; networks run once a patch of a case.

    Raises
    ------
    InputError
        If the memory of this machine does not hold the patch's pass.
    """
    centre = outcome_centre(label_for_measurement(label_map, prepared.roi))
    spacing_mm = ensemble.network.spacing_mm
    start = outcome_patch_start(prepared.network_array.shape[1:], centre, spacing_mm)
    key = (ensemble.networks, start, *((member.hpv_net, member.rfs_net) for member in ensemble.members))
    if key not in prepared.scores:
        prepared.scores[key] = _run_members(prepared, centre, ensemble, done)
    return DeepScores(tuple(float(v) for v in centre), prepared.scores[key])


def _run_members(
    prepared: PreparedCase, centre: np.ndarray, ensemble: Ensemble, done: Callable[[float], None]
) -> tuple[Mapping[str, float], ...]:
    count = 2 * len(ensemble.members)
    rows = []
    for n, member in enumerate(ensemble.members):
        hpv_net, rfs_net = (
            partial(_run_outcome, ensemble, network, lambda f, k=2 * n + k: done((k + f) / count))
            for k, network in enumerate((member.hpv_net, member.rfs_net))
        )
        logit, days = deep_scores(
            prepared.network_array,
            centre,
            hpv_net,
            rfs_net,
            spacing_mm=ensemble.network.spacing_mm,
            breaks_days=ensemble.settings.breaks_days,
        )
        rows.append({DEEP_HPV: logit, DEEP_DAYS: days})
    return tuple(rows)


def make_ready_for_patch(ensemble: Ensemble) -> tuple[Notice, ...]:
    """Go on to a backend that holds the HPV and RFS networks' patch within its limit; a notice where there is none."""
    voxels = padded_voxels(FIELD_OF_VIEW_MM, ensemble.network.spacing_mm) ** 3
    ensemble.networks.prefer_what_holds(voxels)
    return _over_limit("HPV and RFS networks were run", ensemble.cost(), voxels)


def _run_outcome(ensemble: Ensemble, network: StoredNetwork, tick: Tick, patch: np.ndarray) -> np.ndarray:
    """An outcome network's pass; the patch cannot be cut, so only weights and backends make room."""
    rising = _Rising(tick)
    while True:
        try:
            return ensemble.networks.run(network, patch, rising)
        except OutOfMemory:
            pass  # it holds what the failed pass had taken until here
        finally:
            ensemble.networks.release()
        make_room(ensemble)


def _why_no_outcome(case: Case, label_map: Volume, roi: Geometry, on_roi: np.ndarray) -> str | None:
    if not label_map.array.any():
        return "no lesion is contoured"
    if not on_roi.any():
        if share_outside(label_map, *_shared(case)) == 1:
            return "the contours lie outside what PET and CT share"
        within = share_outside(label_map, roi) < 1
        return "the contours hold no voxel of 1 mm" if within else "the contours span more than the region"
    if case.pet_units != PET_SUV:
        return "the PET is not in SUV"
    return None


def _shared(case: Case) -> tuple[Geometry, ...]:
    return shared_grids(case.ct.geometry, case.pet.geometry, case_id=case.case_id)


def _mask_notices(case: Case, label_map: Volume, on_roi: np.ndarray) -> list[Notice]:
    if not label_map.array.any():
        return [Notice(NO_LESION, "No lesion is contoured in either class: HPV probability and RFS are not given.")]
    share = share_outside(label_map, *_shared(case))
    if share == 1 and not on_roi.any():  # a CT voxel at the rim may hold voxels of 1 mm that are shared
        text = "The contours lie outside what PET and CT share: radiomics, HPV probability and RFS are not given."
        return [Notice(MASK_OUTSIDE_PET, text)]
    if share:
        text = f"{percent(share)} of the contoured volume lies outside what PET and CT share"
        return [Notice(MASK_OUTSIDE_PET, f"{text} and is left out of radiomics, HPV probability and RFS.")]
    return []


def _bundle_notices(ensemble: Ensemble) -> list[Notice]:
    if not ensemble.info.phantom:
        return []
    text = "The models were trained on synthetic phantoms only: nothing they say of a real patient means anything."
    return [Notice(PHANTOM_BUNDLE, text)]


def _distinct(notices: list[Notice]) -> tuple[Notice, ...]:
    """One notice a code and text; PET_NOT_SUV is told once, by whoever saw it first."""
    kept: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        key = (notice.code, "" if notice.code == "PET_NOT_SUV" else notice.text)
        kept.setdefault(key, notice)
    return tuple(kept.values())


def bundle_summary(ensemble: Ensemble) -> dict:
    """What results say of the models behind them."""
    info = ensemble.info
    return {
        "name": info.name,
        "version": info.version,
        "sha256": ensemble.sha256,
        "phantom": info.phantom,
        "training_data": info.training_data,
        "members": len(info.members),
    }


def _inputs(prepared: PreparedCase, radiomics: RoiCase) -> dict:
    case, roi = prepared.case, prepared.roi
    return {
        "ct": {**case.ct.geometry.to_dict(), "fingerprint": prepared.ct_fingerprint},
        "pet": {**case.pet.geometry.to_dict(), "units": case.pet_units, "provenance": dict(case.provenance)},
        "roi": {**roi.geometry.to_dict(), "centre_lps_mm": list(roi.centre_lps)},
        "radiomics_roi": radiomics.geometry.to_dict(),
    }


def with_clinical(prepared: PreparedCase, clinical: dict) -> PreparedCase:
    """The same images with another clinical record (a what-if)."""
    return replace(prepared, case=replace(prepared.case, clinical=clinical))
