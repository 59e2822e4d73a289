"""What the pipeline promises of its numbers and notices."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mmpl.bundle.reader import open_bundle
from mmpl.case import PET_UNKNOWN
from mmpl.ensemble import Inference, load_ensemble
from mmpl.errors import BundleError, ClinicalError, GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.network.backends.base import BackendUnavailable, OutOfMemory
from mmpl.network.backends.pytorch import TorchBackend
from mmpl.network.networks import Networks
from mmpl.notices import BACKEND_FALLBACK, FOV_FALLBACK, MASK_OUTSIDE_ROI, MEMORY_EXCEEDED, PLAN_SHRUNK, Notice
from mmpl.pipeline import (
    assess,
    draw_contours,
    make_room,
    measure,
    measure_drawing,
    on_ct_grid,
    predict,
    prepare_case,
    with_clinical,
)
from mmpl.segmentation.plan import PlanSettings
from mmpl.steps import label_for_measurement, share_outside

CT_VOXEL_ML = 0.012


def numbers(outcome) -> dict:
    """Results without the timings, which no two runs share."""
    results = outcome.results.as_dict()
    del results["timings_s"]
    return results


def box(geometry, low_lps, high_lps, value=1) -> Volume:
    """A label map of the voxels whose centres lie in a box."""
    k, j, i = np.indices(geometry.shape)
    points = geometry.physical(np.stack([i, j, k], axis=-1))
    inside = np.all((points >= low_lps) & (points <= high_lps), axis=-1)
    return Volume((inside * value).astype(np.uint8), geometry)


def text_of(outcome, code: str) -> str:
    (text,) = [w.text for w in outcome.results.warnings if w.code == code]
    return text


def test_base_and_effects_add_up_to_the_hpv_probability(tiny_outcome):
    hpv, effects = tiny_outcome.results.hpv, [c.effect for c in tiny_outcome.results.contributions["hpv"]]
    assert hpv.base + sum(effects) == pytest.approx(hpv.probability, abs=1e-12)
    assert np.mean(hpv.members) == pytest.approx(hpv.probability)
    assert [abs(e) for e in effects] == sorted((abs(e) for e in effects), reverse=True)


def test_effects_add_up_to_the_mean_linear_predictor(tiny_outcome, tiny_ensemble):
    effects = [c.effect for c in tiny_outcome.results.contributions["rfs"]]
    members = zip(tiny_outcome.results.rfs.members, tiny_ensemble.members, strict=True)
    linear_predictors = [z * m.rfs.lp_sd + m.rfs.lp_mean for z, m in members]
    assert sum(effects) == pytest.approx(np.mean(linear_predictors), abs=1e-12)


def test_each_member_gets_its_own_hpv_probability(tiny_outcome):
    (given,) = [c.value for c in tiny_outcome.results.contributions["rfs"] if c.feature == "hpv_probability"]
    assert given == pytest.approx(tiny_outcome.results.hpv.probability)
    assert len(set(tiny_outcome.results.hpv.members)) == 2


def test_predict_is_draw_and_measure(tiny_case, tiny_prepared, tiny_ensemble):
    drawing = draw_contours(tiny_prepared, tiny_ensemble)
    apart = measure_drawing(tiny_prepared, drawing, tiny_ensemble)
    assert numbers(predict(tiny_case, tiny_ensemble)) == numbers(apart)
    assert numbers(apart)["segmentation"] == drawing.record


def test_measuring_prepared_images_gives_what_assess_gives(tiny_outcome, tiny_prepared, tiny_patient, tiny_ensemble):
    again = measure(tiny_prepared, tiny_patient.label_map, tiny_ensemble)
    assert numbers(again) == numbers(tiny_outcome)
    assert again.features == pytest.approx(tiny_outcome.features, nan_ok=True)


def test_a_what_if_changes_the_prediction_and_nothing_else(tiny_outcome, tiny_prepared, tiny_patient, tiny_ensemble):
    older = with_clinical(tiny_prepared, {**tiny_prepared.case.clinical, "Age": 80})
    outcome = measure(older, tiny_patient.label_map, tiny_ensemble)
    # the hand-made Cox members have a positive coefficient of age
    assert outcome.results.rfs.risk > tiny_outcome.results.rfs.risk
    assert outcome.results.lesions == tiny_outcome.results.lesions
    assert outcome.features == pytest.approx(tiny_outcome.features, nan_ok=True)
    assert tiny_prepared.case.clinical["Age"] == 61


def test_an_impossible_record_is_found_before_the_images_are_touched(tiny_case, tiny_ensemble, monkeypatch):
    monkeypatch.setattr("mmpl.pipeline.prepare", lambda _case: pytest.fail("images were prepared"))
    with pytest.raises(ClinicalError, match="Age"):
        prepare_case(replace(tiny_case, clinical={"Age": -3}), tiny_ensemble)


def test_no_notice_is_told_twice(tiny_prepared, tiny_patient, tiny_ensemble):
    # the same unseen category for both members, a PET without units told by reading and by radiomics
    notice = Notice("PET_NOT_SUV", "The PET is not in SUV.")
    case = replace(tiny_prepared.case, pet_units=PET_UNKNOWN, clinical={"Performance Status": 4}, notices=(notice,))
    roi = replace(tiny_prepared.roi, pet_units=PET_UNKNOWN, notices=(notice,))
    outcome = measure(replace(tiny_prepared, case=case, roi=roi), tiny_patient.label_map, tiny_ensemble)
    told = Counter((w.code, w.text) for w in outcome.results.warnings)
    assert max(told.values()) == 1
    found = Counter(w.code for w in outcome.results.warnings)
    assert found["PET_NOT_SUV"] == found["UNSEEN_CATEGORY"] == 1


def test_a_mask_on_the_cts_grid_is_not_touched(tiny_patient):
    same, notices = on_ct_grid(tiny_patient.label_map, tiny_patient.ct.geometry)
    assert same.array is tiny_patient.label_map.array
    assert notices == ()


def test_an_empty_mask_elsewhere_is_an_empty_mask(tiny_patient, large_case):
    empty = box(large_case.ct.geometry, (0, 0, 0), (-1, 0, 0))
    moved, notices = on_ct_grid(empty, tiny_patient.ct.geometry)
    assert not moved.array.any()
    assert notices == ()
    far = Volume(np.ones((2, 2, 2), np.uint8), replace(tiny_patient.ct.geometry, size=(2, 2, 2), origin_mm=(900, 0, 0)))
    with pytest.raises(GeometryError, match="does not overlap the CT"):
        on_ct_grid(far, tiny_patient.ct.geometry)


CT_OF_3_MM = Geometry((40, 40, 20), (1, 1, 3), (0, 0, 0))
OF_1_MM = Geometry((40, 40, 58), (1, 1, 1), (0, 0, 0))


def test_a_lesion_between_the_cts_voxel_centres_is_named():
    """Slices 31 and 32 mm lie between the CT's at 30 and 33 mm; slice 36 mm is one of the CT's."""
    mask = np.zeros(OF_1_MM.shape, np.uint8)
    mask[10:20, 10:20, 10:20] = 1
    mask[31:33, 10:20, 10:20] = mask[36, 30:35, 30:35] = 2
    moved, notices = on_ct_grid(Volume(mask, OF_1_MM), CT_OF_3_MM)
    assert np.count_nonzero(moved.array == 2) == 25
    (notice,) = notices
    assert notice.code == "MASK_BETWEEN_VOXELS"
    assert notice.text.startswith("1 of 2 GTVn lesions of the mask (0.2 mL) hold no voxel centre of the CT")


def test_a_mask_of_which_nothing_is_left_says_why():
    mask = np.zeros(OF_1_MM.shape, np.uint8)
    mask[31:33, 10:20, 10:20] = 2
    with pytest.raises(GeometryError, match="hold no voxel centre of the CT: they are thinner than its voxels"):
        on_ct_grid(Volume(mask, OF_1_MM), CT_OF_3_MM)


@pytest.fixture(scope="module")
def large_prepared(large_case, tiny_ensemble):
    return prepare_case(large_case, tiny_ensemble)


def test_contours_inside_the_region_of_interest_need_no_other(large_case, large_prepared, tiny_ensemble):
    assert large_prepared.roi.geometry.size == (200, 200, 310)
    outcome = measure(large_prepared, box(large_case.ct.geometry, (-20, -20, 0), (20, 20, 30)), tiny_ensemble)
    assert outcome.roi is large_prepared.roi
    assert "MASK_OUTSIDE_ROI" not in {w.code for w in outcome.results.warnings}


def test_contours_that_leave_the_region_of_interest_move_it(large_case, large_prepared, tiny_ensemble):
    label_map = box(large_case.ct.geometry, (-122, -10, 0), (-100, 20, 30))
    outcome = measure(large_prepared, label_map, tiny_ensemble)
    text = text_of(outcome, "MASK_OUTSIDE_ROI")
    shift = np.subtract(outcome.roi.geometry.origin_mm, large_prepared.roi.geometry.origin_mm)
    assert shift[0] < 0
    assert shift[0] % 16 == 0
    assert list(shift[1:]) == [0, 0]
    assert f"moved {-shift[0]:.0f} mm to the right." in text
    assert "still lies outside" not in text
    # what is measured is all of it: volumes on both grids agree
    assert outcome.label_on_roi.sum() / 1000 == pytest.approx(outcome.results.lesions["GTVp"].total.volume_ml, rel=0.12)
    assert outcome.results.inputs["radiomics_roi"] != outcome.results.inputs["roi"]


def sides(case, inner_mm: float) -> Volume:
    """A lesion on either side of the body, from ``inner_mm`` to 122 mm from the middle."""
    left = box(case.ct.geometry, (inner_mm, -10, 0), (122, 20, 30))
    right = box(case.ct.geometry, (-122, -10, 0), (-inner_mm, 20, 30))
    return left.with_array(left.array | right.array)


def test_contours_that_the_box_holds_nothing_of_give_no_outcome(large_case, large_prepared, tiny_ensemble):
    outcome = measure(large_prepared, sides(large_case, 110), tiny_ensemble)
    assert "100.0 % of the contoured volume still lies outside" in text_of(outcome, "MASK_OUTSIDE_ROI")
    assert outcome.results.rfs.reason == "the contours span more than the region"
    assert "MASK_OUTSIDE_PET" not in {w.code for w in outcome.results.warnings}


def test_contours_too_small_for_the_grid_of_1_mm_say_so(tiny_prepared, tiny_ensemble, monkeypatch):
    """A click of a fine CT's voxel may hold no voxel of the ROI."""
    one = np.zeros(tiny_prepared.case.ct.geometry.shape, np.uint8)
    one[30, 30, 30] = 1
    none = np.zeros(tiny_prepared.roi.geometry.shape, np.uint8)
    monkeypatch.setattr("mmpl.pipeline.label_for_measurement", lambda label_map, roi: none)
    outcome = measure(tiny_prepared, Volume(one, tiny_prepared.case.ct.geometry), tiny_ensemble)
    assert outcome.results.hpv.reason == outcome.results.rfs.reason == "the contours hold no voxel of 1 mm"


def test_what_no_box_can_hold_is_left_out_and_named(large_case, large_prepared, tiny_ensemble):
    both = sides(large_case, 70)
    outcome = measure(large_prepared, both, tiny_ensemble)
    share = share_outside(both, outcome.roi.geometry)
    assert 0.1 < share < 0.9
    assert f"{100 * share:.1f} % of the contoured volume still lies outside it" in text_of(outcome, "MASK_OUTSIDE_ROI")


@pytest.fixture(scope="module")
def low_pet_case(tiny_case):
    """The PET ends at z = -30 mm: it holds the upper part of the primary only."""
    grid = tiny_case.pet.geometry
    first = int(np.ceil((-30 - grid.origin_mm[2]) / grid.spacing_mm[2]))
    part = grid.cropped((0, 0, first), (*grid.size[:2], grid.size[2] - first))
    return replace(tiny_case, pet=Volume(tiny_case.pet.array[first:], part))


def test_what_the_pet_does_not_cover_is_no_part_of_radiomics(low_pet_case, tiny_patient, tiny_ensemble):
    outcome = assess(low_pet_case, tiny_patient.label_map, tiny_ensemble)
    assert "lies outside what PET and CT share" in text_of(outcome, "MASK_OUTSIDE_PET")
    labels = outcome.label_on_roi
    bottom = low_pet_case.pet.geometry.origin_mm[2]
    z = outcome.roi.geometry.origin_mm[2] + np.arange(labels.shape[0])
    assert not labels[z < bottom].any()
    assert labels[z >= bottom].any()
    # padding would have put 0 into the contour; what is left has the uptake of the lesion
    assert outcome.features["GTVp_PT_original_firstorder_Minimum"] > 1
    assert outcome.results.hpv.probability is not None


def test_contours_wholly_outside_the_pet_give_no_outcome(low_pet_case, tiny_patient, tiny_ensemble):
    low = box(tiny_patient.ct.geometry, (-10, -10, -70), (10, 10, -50))
    outcome = assess(low_pet_case, low, tiny_ensemble)
    assert "are not given" in text_of(outcome, "MASK_OUTSIDE_PET")
    reason = "the contours lie outside what PET and CT share"
    assert (outcome.results.hpv.reason, outcome.results.rfs.reason) == (reason, reason)
    figures = outcome.results.lesions["GTVp"].total
    assert figures.volume_ml == pytest.approx(np.count_nonzero(low.array) * CT_VOXEL_ML)
    assert figures.suv_max is None


@pytest.fixture(scope="module")
def turned_pet_case(tiny_case):
    """The PET is turned about the front-back axis: the corners of its box along L, P and S lie outside it."""
    upright = tiny_case.pet.geometry
    cos, sin = np.cos(np.deg2rad(12)), np.sin(np.deg2rad(12))
    turned = replace(upright, direction=((cos, 0, sin), (0, 1, 0), (-sin, 0, cos)))
    middle = (np.asarray(upright.size) - 1) / 2
    origin = np.asarray(turned.origin_mm) + upright.physical(middle) - turned.physical(middle)
    return replace(tiny_case, pet=Volume(tiny_case.pet.array, replace(turned, origin_mm=tuple(origin))))


def in_a_voxel_of(grid, points) -> np.ndarray:
    index = grid.index(points)
    return np.all((index >= -0.5) & (index <= np.asarray(grid.size) - 0.5), axis=-1)


def test_the_corners_around_an_oblique_pet_are_no_part_of_radiomics(turned_pet_case, tiny_patient, tiny_ensemble):
    pet = turned_pet_case.pet.geometry
    z = pet.bounds_lps()[1][2] - 40
    across = box(tiny_patient.ct.geometry, (-200, -10, z), (200, 10, z + 20))
    outcome = assess(turned_pet_case, across, tiny_ensemble)
    assert "lies outside what PET and CT share" in text_of(outcome, "MASK_OUTSIDE_PET")
    kept = outcome.roi.geometry.physical(np.argwhere(outcome.label_on_roi)[:, ::-1])
    assert len(kept) > 1000
    assert in_a_voxel_of(pet, kept).all()
    assert outcome.results.hpv.probability is not None


def test_contours_wholly_in_such_a_corner_give_no_outcome(turned_pet_case, tiny_patient, tiny_ensemble):
    ct, pet = tiny_patient.ct.geometry, turned_pet_case.pet.geometry
    points = ct.physical(np.moveaxis(np.indices(ct.shape)[::-1], 0, -1))
    in_its_box = np.all((points >= pet.bounds_lps()[0] + 4) & (points <= pet.bounds_lps()[1] - 4), axis=-1)
    away_from = replace(pet, origin_mm=tuple(pet.physical((-1, -1, -1))), size=tuple(n + 2 for n in pet.size))
    corner = Volume((in_its_box & ~in_a_voxel_of(away_from, points)).astype(np.uint8), ct)
    assert corner.array.sum() > 100
    outcome = assess(turned_pet_case, corner, tiny_ensemble)
    assert "are not given" in text_of(outcome, "MASK_OUTSIDE_PET")
    assert outcome.results.hpv.reason == "the contours lie outside what PET and CT share"
    assert not outcome.label_on_roi.any()


def test_contours_at_the_rim_that_reach_into_it_are_not_said_to_give_nothing(
    turned_pet_case, tiny_patient, tiny_ensemble
):
    """All centres of the CT's voxels lie outside the PET, but not all voxels of 1 mm that they hold."""
    ct, pet = tiny_patient.ct.geometry, turned_pet_case.pet.geometry
    points = ct.physical(np.moveaxis(np.indices(ct.shape)[::-1], 0, -1))
    near = replace(pet, origin_mm=tuple(pet.physical((-0.2,) * 3)), size=pet.size)
    rim = Volume((in_a_voxel_of(near, points) & ~in_a_voxel_of(pet, points)).astype(np.uint8), ct)
    assert rim.array.any()
    outcome = assess(turned_pet_case, rim, tiny_ensemble)
    assert outcome.label_on_roi.any()
    assert "is left out of radiomics" in text_of(outcome, "MASK_OUTSIDE_PET")
    assert outcome.results.hpv.probability is not None


def test_measuring_leaves_the_label_map_alone(low_pet_case, tiny_patient, tiny_ensemble):
    roi = prepare_case(low_pet_case, tiny_ensemble).roi
    before = tiny_patient.label_map.array.copy()
    label_for_measurement(tiny_patient.label_map, roi)
    np.testing.assert_array_equal(tiny_patient.label_map.array, before)


def test_deep_scores_of_an_earlier_outcome_are_kept(tiny_prepared, tiny_outcome, tiny_patient, tiny_ensemble):
    other = tuple({name: value + 1 for name, value in row.items()} for row in tiny_outcome.deep.rows)
    kept = measure(tiny_prepared, tiny_patient.label_map, tiny_ensemble, deep=replace(tiny_outcome.deep, rows=other))
    assert kept.deep.rows == other
    assert kept.results.hpv.members != tiny_outcome.results.hpv.members
    assert "deep_scores" not in kept.results.timings_s
    same = measure(tiny_prepared, tiny_patient.label_map, tiny_ensemble, deep=tiny_outcome.deep)
    assert numbers(same) == numbers(tiny_outcome)


def test_networks_run_once_a_patch_of_a_case(tiny_case, tiny_patient, tiny_outcome, tiny_ensemble):
    backend = Scarce()
    ensemble = on(tiny_ensemble, backend)
    prepared = prepare_case(tiny_case, ensemble)
    first = measure(prepared, tiny_patient.label_map, ensemble)
    ran = len(backend.asked)
    assert ran == 2 * len(ensemble.members)
    younger = with_clinical(prepared, {**prepared.case.clinical, "Age": 40})
    again = measure(younger, tiny_patient.label_map, ensemble)
    assert len(backend.asked) == ran
    assert again.deep == first.deep
    assert not again.deep_is_kept
    assert numbers(measure(prepared, tiny_patient.label_map, ensemble)) == numbers(tiny_outcome)
    measure(prepared, tiny_patient.label_map, on(tiny_ensemble, backend))  # other networks have a say of their own
    assert len(backend.asked) == 2 * ran


def test_without_a_lesion_there_are_no_deep_scores(tiny_prepared, tiny_patient, tiny_outcome, tiny_ensemble):
    label_map = tiny_patient.label_map
    nothing = label_map.with_array(np.zeros_like(label_map.array))
    outcome = measure(tiny_prepared, nothing, tiny_ensemble, deep=tiny_outcome.deep)
    assert outcome.deep is None
    assert outcome.results.hpv.probability is None


def test_contours_that_stay_outside_the_roi_are_filtered_once(large_case, tiny_ensemble):
    prepared = prepare_case(large_case, tiny_ensemble)
    low = prepared.roi.geometry.corner_centres_lps.min(axis=0)
    outside = box(large_case.ct.geometry, np.add(low, (80, 80, -12)), np.add(low, (100, 100, 20)))
    first = measure(prepared, outside, tiny_ensemble)
    assert first.roi is not prepared.roi
    edited = outside.with_array(outside.array.copy())
    edited.array[tuple(np.argwhere(outside.array)[0])] = 0
    second = measure(prepared, edited, tiny_ensemble)
    assert second.roi is first.roi
    assert numbers(second) == numbers(measure(prepare_case(large_case, tiny_ensemble), edited, tiny_ensemble))


def test_contours_longer_than_the_region_use_it_as_it_is(large_case, tiny_ensemble):
    prepared = prepare_case(large_case, tiny_ensemble)
    low, high = prepared.roi.geometry.bounds_lps()
    middle = (low + high) / 2
    long = box(large_case.ct.geometry, (middle[0] - 10, middle[1] - 10, low[2] - 4), (*(middle[:2] + 10), high[2] + 4))
    outcome = measure(prepared, long, tiny_ensemble)
    assert outcome.roi is prepared.roi
    assert "lies outside it" in text_of(outcome, MASK_OUTSIDE_ROI)


def test_where_the_networks_look_is_said_of_the_contours_of_now(large_case, tiny_ensemble):
    prepared = prepare_case(large_case, tiny_ensemble)
    low, high = prepared.roi.geometry.bounds_lps()
    inside = box(large_case.ct.geometry, (low + high) / 2 - 10, (low + high) / 2 + 10)
    outside = box(
        large_case.ct.geometry, (low[0] + 80, low[1] + 80, low[2] - 12), (low[0] + 100, low[1] + 100, low[2] - 4)
    )
    first = measure(prepared, outside, tiny_ensemble)
    assert FOV_FALLBACK in {w.code for w in first.results.warnings}
    moved = measure(prepared, inside, tiny_ensemble, deep=first.deep)
    assert FOV_FALLBACK not in {w.code for w in moved.results.warnings}
    back = measure(prepared, outside, tiny_ensemble, deep=moved.deep)
    assert FOV_FALLBACK in {w.code for w in back.results.warnings}


class Scarce:
    """PyTorch in a machine whose memory holds passes of so many voxels, and may not have what else a backend needs."""

    name, device, precision = "Scarce", "cpu", "fp32"

    def __init__(self, most=10**9, fault=None):
        self.most, self.fault, self.asked = most, fault, []

    def runner(self, network):
        plain = TorchBackend().runner(network)

        def run(batch, tick=None):
            self.asked.append(batch.shape)
            if self.fault is not None:
                raise self.fault
            if batch[0, 0].size > self.most:
                raise OutOfMemory("too large")
            return plain(batch, tick or (lambda fraction: None))

        run.release = lambda: None
        return run

    def pass_bytes(self, config, voxels):
        return voxels

    def kept_bytes(self, config):
        return 1000

    def pass_seconds(self, config, voxels):
        return 1e-6 * voxels


def on(ensemble, *chain, plan="fast"):
    return replace(ensemble, networks=Networks(chain, ensemble.network), inference=Inference(plan=plan))


def test_a_backend_that_fails_costs_a_warning_and_no_case(tiny_prepared, tiny_ensemble):
    expected = draw_contours(tiny_prepared, on(tiny_ensemble, TorchBackend()))
    broken = on(tiny_ensemble, Scarce(fault=BackendUnavailable("the driver is too old")), TorchBackend())
    drawing = draw_contours(tiny_prepared, broken)
    np.testing.assert_array_equal(drawing.label_map.array, expected.label_map.array)
    assert drawing.record["backend"] == "PyTorch, fp32, cpu"
    warnings = measure_drawing(tiny_prepared, drawing, broken).results.warnings
    (warning,) = [w for w in warnings if w.code == BACKEND_FALLBACK]
    assert "the driver is too old" in warning.text


def test_too_little_memory_costs_a_warning_and_no_case(tiny_prepared, tiny_ensemble):
    # the box is 48 x 32 x 32 at 8 mm: a halo of 32 leaves nothing to cut, so weights and then the backend make room
    scarce = Scarce(most=16**3)
    drawing = draw_contours(tiny_prepared, on(tiny_ensemble, scarce, TorchBackend()))
    expected = draw_contours(tiny_prepared, on(tiny_ensemble, TorchBackend()))
    np.testing.assert_array_equal(drawing.label_map.array, expected.label_map.array)
    assert len(scarce.asked) == 2  # once more after the other weights were dropped
    assert [notice.code for notice in drawing.notices] == [PLAN_SHRUNK, BACKEND_FALLBACK]
    assert "too little memory" in drawing.notices[1].text


def test_room_is_made_once_the_failed_pass_is_gone(tiny_prepared, tiny_patient, tiny_ensemble, monkeypatch):
    """An error that is being handled holds what the pass had taken."""
    made = []

    def noted(ensemble):
        made.append(sys.exception())
        make_room(ensemble)

    monkeypatch.setattr("mmpl.pipeline.make_room", noted)
    draw_contours(tiny_prepared, on(tiny_ensemble, Scarce(most=16**3), TorchBackend()))
    drawn = len(made)
    assess(tiny_prepared.case, tiny_patient.label_map, on(tiny_ensemble, Scarce(most=16), TorchBackend()))
    assert 0 < drawn < len(made)
    assert set(made) == {None}


def test_progress_never_goes_back_when_a_case_is_planned_again(tiny_prepared, tiny_ensemble):

    class Breaking(Scarce):
        def runner(self, network):
            run = super().runner(network)

            def breaking(batch, tick=None):
                if self.asked:
                    raise BackendUnavailable("it broke after its first pass")
                return run(batch, tick)

            breaking.release = run.release
            return breaking

    fractions = []
    draw_contours(tiny_prepared, on(tiny_ensemble, Breaking(), TorchBackend()), done=fractions.append)
    assert len(fractions) > 3
    assert fractions == sorted(fractions)


def test_memory_that_holds_nothing_ends_with_one_sentence(tiny_prepared, tiny_ensemble):
    with pytest.raises(
        InputError, match=r"^the memory of cpu does not hold one small pass of the networks: close other"
    ):
        draw_contours(tiny_prepared, on(tiny_ensemble, Scarce(most=1)))


def test_memory_that_ran_short_in_one_case_does_not_slow_down_the_next(tiny_case, tiny_prepared, tiny_ensemble):
    scarce = Scarce(most=16**3)
    ensemble = on(tiny_ensemble, scarce, TorchBackend())
    draw_contours(tiny_prepared, ensemble)
    scarce.most = 10**9
    drawing = draw_contours(prepare_case(tiny_case, ensemble), ensemble)
    assert drawing.record["backend"] == "Scarce, fp32, cpu"
    assert drawing.notices == ()


def limited(ensemble, memory_gb, *chain):
    """Within a limit for a pass; of the tiny bundle the smallest pass holds 8,192 voxels."""
    networks = Networks(chain, ensemble.network, memory_gb=memory_gb)
    return replace(ensemble, networks=networks, inference=Inference(plan="fast", memory_gb=memory_gb))


def test_a_pass_beyond_the_limit_is_said_with_both_numbers(tiny_prepared, tiny_ensemble):
    ensemble = limited(tiny_ensemble, 0.000003, Scarce())
    drawing = draw_contours(tiny_prepared, ensemble)
    (notice,) = drawing.notices
    assert notice.code == MEMORY_EXCEEDED
    assert notice.text.startswith(
        "Networks were run in a pass of 8.19e-06 GB, more than the 3e-06 GB that one may take"
    )
    warnings = measure_drawing(tiny_prepared, drawing, ensemble).results.warnings
    texts = [w.text.partition(" in ")[0] for w in warnings if w.code == MEMORY_EXCEEDED]
    assert texts == ["Networks were run", "HPV and RFS networks were run"]


def test_a_backend_that_needs_less_runs_what_another_has_no_room_for(tiny_prepared, tiny_patient, tiny_ensemble):
    large, small = Scarce(), Scarce()
    large.pass_bytes = lambda config, voxels: 100 * voxels
    ensemble = limited(tiny_ensemble, 0.0001, large, small)
    drawing = draw_contours(tiny_prepared, ensemble)
    assert [notice.code for notice in drawing.notices] == [BACKEND_FALLBACK]
    ensemble = limited(tiny_ensemble, 0.0001, large, small)
    warnings = measure(tiny_prepared, tiny_patient.label_map, ensemble).results.warnings
    assert {w.code for w in warnings} & {BACKEND_FALLBACK, MEMORY_EXCEEDED} == {BACKEND_FALLBACK}
    assert large.asked == []


@pytest.mark.parametrize("plan", ["fast", "paper"])
def test_both_plans_draw_the_tiny_patients_lesions(plan, tiny_prepared, tiny_ensemble):
    drawing = draw_contours(tiny_prepared, on(tiny_ensemble, TorchBackend(), plan=plan))
    assert drawing.record["plan"]["name"] == plan
    assert drawing.record["searching"] == [member.name for member in tiny_ensemble.members]
    assert set(np.unique(drawing.label_map.array)) == {0, 1, 2}


def test_a_plan_can_be_given_field_by_field(tiny_bundle_path):
    settings = PlanSettings(searchers=0, skip_air=False)
    ensemble = load_ensemble(open_bundle(tiny_bundle_path), Inference(plan_settings=settings))
    assert ensemble.plan_settings is settings


@pytest.mark.parametrize(("search", "refused"), [(0.5, False), (0.51, True)])
def test_every_member_looks_at_what_is_contoured(search, refused, tiny_bundle_path):
    bundle = open_bundle(tiny_bundle_path)
    lowest = min(bundle.info.thresholds.GTVp, bundle.info.thresholds.GTVn)
    search += lowest - 0.5
    info = replace(bundle.info, preprocessing={**bundle.info.preprocessing, "search_threshold": search})
    bundle = replace(bundle, info=info)
    if not refused:
        assert load_ensemble(bundle).settings.search_threshold == search
        return
    with pytest.raises(BundleError, match=rf"search_threshold {search:g} lies above the threshold {lowest:g} "):
        load_ensemble(bundle)


def test_without_a_search_threshold_the_papers_plan_is_taken(tiny_ensemble):
    assert replace(tiny_ensemble, inference=Inference()).plan_settings.name == "paper"
    fitted = replace(tiny_ensemble.settings, search_threshold=0.05)
    assert replace(tiny_ensemble, inference=Inference(), settings=fitted).plan_settings.name == "fast"
