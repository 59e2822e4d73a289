"""Plans and their carrying out, with members whose answers are known."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.network.backends.base import OutOfMemory, probabilities
from mmpl.segmentation.engine import grown, segment_by_plan
from mmpl.segmentation.plan import UNLIMITED, Account, Cost, PlanSettings, make_plan, plan_record
from mmpl.segmentation.regions import Box, Region, whole
from mmpl.segmentation.windows import average_windows

EVERYTHING = PlanSettings(skip_air=False)
NARROW_HALO = PlanSettings(skip_air=False, halo=16)


class Echo:
    """A member whose logits are the image, scaled; counts what it was shown."""

    def __init__(self, scale=1.0, most=10**9):
        self.scale, self.most, self.shapes = scale, most, []

    def __call__(self, batch, tick):
        tick(0.5)
        if batch[0, 0].size > self.most:
            raise OutOfMemory("too large")
        self.shapes.append(batch.shape[2:])
        return self.scale * batch


@pytest.fixture
def array():
    """Logits of -8 but for two lesions, one of either class."""
    image = np.full((2, 96, 64, 64), -8.0, np.float32)
    image[0, 20:26, 30:36, 30:36] = 3.0
    image[1, 70:74, 10:14, 50:54] = 1.0
    return image


def plan_of(array, settings=EVERYTHING, *, members=3, threshold=None, cost=UNLIMITED):
    return make_plan(array, settings, members=members, threshold=threshold, spacing_mm=4.0, cost=cost)


def run(array, members, plan, **how):
    account = how.pop("account", Account())
    return segment_by_plan(array, members, plan, fills=(-8.0, -1.0), account=account, **how)


def test_every_member_searches_where_there_is_no_threshold(array):
    members = [Echo(), Echo(2.0), Echo(0.5)]
    found = run(array, members, plan_of(array))
    np.testing.assert_allclose(found, np.mean([probabilities(m.scale * array) for m in members], axis=0), atol=1e-6)
    assert [len(m.shapes) for m in members] == [1, 1, 1]


def test_paper_plan_is_window_averaging(array):
    settings = PlanSettings(name="paper", overlap=0.25)
    members = [Echo(), Echo(0.3)]
    expected = [
        average_windows(array, lambda b, m=m: probabilities(m.scale * b), window=32, overlap=0.25, fills=(0, 0))
        for m in members
    ]
    found = run(array, members, plan_of(array, settings, members=2))
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)


def test_later_members_look_only_where_anything_is_possible(array):
    settings = PlanSettings(skip_air=False, searchers=2, halo=16, margin_mm=8.0)
    members, account = [Echo(), Echo(1.5), Echo(0.5), Echo(2.0)], Account()
    plan = plan_of(array, settings, members=4, threshold=0.01)
    found = run(array, members, plan, account=account)
    everywhere = np.mean([probabilities(m.scale * array) for m in members], axis=0)
    possible = grown(array.max(axis=0) > 0, 2)
    np.testing.assert_allclose(found[:, possible], everywhere[:, possible], atol=1e-6)
    searched = np.mean([probabilities(m.scale * array) for m in members[:2]], axis=0)
    np.testing.assert_allclose(found[:, ~possible], searched[:, ~possible], atol=1e-6)
    assert [len(m.shapes) for m in members] == [1, 1, 2, 2]
    assert account.passes == 6
    assert account.boxes == members[2].shapes == [(48, 64, 64), (48, 32, 32)]
    assert account.voxels == 2 * 96 * 64 * 64 + 2 * (48 * 64 * 64 + 48 * 32 * 32)


def test_boxes_around_findings_keep_to_the_memory(array):
    """Nothing tells on Linux that a pass is too large before the process is ended for it."""
    most = 48 * 48 * 48
    cost = Cost(seconds=lambda n: 0.0, fits=lambda n: n <= most, memory=lambda n: n)
    settings = PlanSettings(skip_air=False, searchers=1, halo=16, margin_mm=40.0)
    members, account = [Echo(), Echo(2.0)], Account()
    plan = plan_of(array, settings, members=2, threshold=0.01, cost=cost)
    found = run(array, members, plan, account=account)
    assert max(np.prod(shape) for member in members for shape in member.shapes) <= most
    assert account.shrunk == 0
    possible = grown(array.max(axis=0) > 0, 10)
    expected = np.mean([probabilities(m.scale * array) for m in members], axis=0)
    np.testing.assert_allclose(found[:, possible], expected[:, possible], atol=1e-6)


def test_nothing_possible_ends_the_work(array):
    members = [Echo(), Echo()]
    plan = plan_of(array[:, :16], PlanSettings(skip_air=False, searchers=1), members=2, threshold=0.01)
    found = run(array[:, :16], members, plan)
    assert found.max() < 0.01
    assert members[1].shapes == []


def test_a_pass_that_does_not_fit_is_cut_and_the_result_is_the_same(array):
    account = Account()
    found = run(array, [Echo(most=64**3)], plan_of(array, NARROW_HALO, members=1), account=account)
    np.testing.assert_allclose(found, probabilities(array), atol=1e-6)
    assert account.shrunk > 0


def test_the_next_member_starts_with_the_smaller_passes(array):
    first, second, account = Echo(most=64**3), Echo(most=64**3), Account()
    run(array, [first, second], plan_of(array, NARROW_HALO, members=2), account=account)
    assert first.shapes == second.shapes
    assert account.shrunk == len(first.shapes) - 1


@pytest.mark.parametrize(("most", "shrunk"), [(4, 0), (3, 1), (1, 3)])
def test_the_paper_plans_batches_are_cut_and_the_result_is_the_same(array, most, shrunk):
    class Small(Echo):
        def __call__(self, batch, tick):
            if len(batch) > most:
                raise OutOfMemory("too many windows")
            return super().__call__(batch, tick)

    account = Account()
    plan = plan_of(array[:, :48, :48, :32], PlanSettings(name="paper"), members=1)
    found = run(array[:, :48, :48, :32], [Small()], plan, account=account)
    np.testing.assert_array_equal(found, run(array[:, :48, :48, :32], [Echo()], plan))
    assert (plan.batch, account.passes, account.shrunk) == (4, 4, shrunk)
    assert account.voxels == 4 * 32**3


def test_what_a_failed_batch_took_is_free_when_its_halves_are_run(array):
    held, alive = [], []

    class Activations:
        pass

    class Small(Echo):
        def __call__(self, batch, tick):
            alive.append(sum(one() is not None for one in held))
            activations = Activations()
            held.append(weakref.ref(activations))
            if len(batch) > 1:
                raise OutOfMemory("too many windows")
            return super().__call__(batch, tick)

    part = array[:, :48, :48, :32]
    run(part, [Small()], plan_of(part, PlanSettings(name="paper"), members=1))
    assert len(alive) == 7
    assert set(alive) == {0}


def test_what_fits_nowhere_is_said(array):
    with pytest.raises(OutOfMemory):
        run(array, [Echo(most=10)], plan_of(array, members=1))


def test_the_plan_keeps_to_the_memory(array):
    cost = Cost(seconds=lambda n: n * 1e-6, fits=lambda n: n <= 80 * 64 * 64, memory=lambda n: 100 * n)
    plan = plan_of(array, members=3, cost=cost)
    assert [r.box.size for r in plan.regions] == [(80, 64, 64), (80, 64, 64)]
    assert plan.predicted_bytes == 100 * 80 * 64 * 64
    assert plan.predicted_s == pytest.approx(3 * 2 * 80 * 64 * 64 * 1e-6)


def test_a_members_windows_are_of_one_shape_and_made_ready_for_once(array):
    cost = Cost(seconds=lambda n: 0.7 + n * 1e-6, fits=lambda n: True, memory=lambda n: n)
    plan = plan_of(array, PlanSettings(name="paper"), members=2, cost=cost)  # 5 x 3 x 3 windows of 32 voxels
    assert plan.predicted_s == pytest.approx(2 * (0.7 + 45 * 32**3 * 1e-6))


def test_air_is_left_out():
    image = np.full((2, 96, 64, 64), -1.0, np.float32)
    image[1, 40:60, 20:40, 20:40] = 0.0
    plan = plan_of(image, PlanSettings())
    assert plan.domain == Box((38, 18, 18), (70, 50, 50))
    found = run(image, [Echo()] * 3, plan)
    assert found[0, 0, 0, 0] == 0.0
    np.testing.assert_allclose(found[:, 40:60, 20:40, 20:40], probabilities(image[:, 40:60, 20:40, 20:40]), atol=1e-6)


def test_progress_rises_to_one_and_never_falls(array):
    told = []
    run(
        array,
        [Echo(), Echo(), Echo()],
        plan_of(array, PlanSettings(skip_air=False, searchers=1), threshold=0.01),
        done=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_on_a_coarse_grid_all_of_it_is_expected_of_every_member(array):
    cost = Cost(seconds=lambda n: n * 1e-6, fits=lambda n: True, memory=lambda n: n)
    plan = plan_of(array, PlanSettings(skip_air=False, searchers=2), members=10, threshold=0.01, cost=cost)
    assert plan.predicted_s == pytest.approx(10 * 96 * 64 * 64 * 1e-6)  # a halo of 32 reaches everywhere
    told = []
    run(array, [Echo() for _ in range(10)], plan, done=told.append)
    assert told[-1] == pytest.approx(1.0)
    assert np.diff(told).max() < 0.11


def test_progress_goes_on_where_the_search_finds_more_than_was_expected(array):
    # a halo of 0: a third was expected of the eight others, and they look at nearly all of it
    wide = PlanSettings(skip_air=False, searchers=2, halo=0, margin_mm=100.0)
    members, told = [Echo() for _ in range(10)], []
    plan = plan_of(array, replace(wide, margin_mm=8.0), members=10, threshold=0.01)
    assert plan.expected_share < 0.5
    plan = replace(plan, settings=wide)
    run(array, members, plan, done=told.append)
    assert sum(np.prod(shape) for shape in members[-1].shapes) > 0.9 * array[0].size
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert np.diff(told).min() > 0.02  # in the middle of each pass, and at its end


def test_what_a_pass_takes_whatever_its_size_is_told_in_voxels():
    def cost(seconds):
        return Cost(seconds=seconds, fits=lambda n: True, memory=lambda n: n)

    assert cost(lambda n: 0.7 + n / 1e6).fixed_voxels == 700_000
    assert cost(lambda n: n / 3.1e5).fixed_voxels == 0
    assert UNLIMITED.fixed_voxels == 0


def test_what_progress_raises_stops_the_pass(array):
    def stop(fraction):
        raise KeyboardInterrupt

    members = [Echo(), Echo(), Echo()]
    with pytest.raises(KeyboardInterrupt):
        run(array, members, plan_of(array), done=stop)
    assert all(m.shapes == [] for m in members)


def test_the_first_member_is_heard_before_the_others_run(array):
    members, heard = [Echo(), Echo(2.0)], []

    def hear(share):
        heard.append(share.copy())
        assert members[1].shapes == []

    run(array, members, plan_of(array, members=2), first_member=hear)
    np.testing.assert_allclose(heard, [probabilities(array)], atol=1e-6)
    run(array, members[:1], plan_of(array, members=1), first_member=hear)
    assert len(heard) == 1  # one member alone is no preview


def test_the_record_says_what_was_done(array):
    account, plan = Account(), plan_of(array, members=2)
    run(array, [Echo(), Echo()], plan, account=account)
    record = plan_record(plan, account, "PyTorch, fp32, cpu", ["A", "B"])
    assert (record["searching"], record["refining"]) == (["A", "B"], [])
    assert record["computed_share"] == 1.0
    assert record["passes"] == 2
    assert record["domain_zyx"] == {"low": [0, 0, 0], "high": [96, 64, 64]}


def test_the_share_of_the_work_is_of_the_whole_region(array):
    """As the paper plan's is, so that both can be compared."""
    grid = whole((96, 64, 64))
    half = Box((0, 0, 0), (48, 64, 64))
    plan = replace(plan_of(array, members=1), domain=half, regions=(Region(half, half),))
    account = Account()
    run(array, [Echo()], plan, account=account)
    assert plan.grid_voxels == grid.voxels
    assert plan_record(plan, account, "PyTorch, fp32, cpu", ["A"])["computed_share"] == 0.5


def test_the_record_names_who_searches_and_who_refines(array):
    plan = plan_of(array, PlanSettings(skip_air=False, searchers=2), members=4, threshold=0.01)
    record = plan_record(plan, Account(), "PyTorch, fp32, cpu", ["A", "B", "C", "D"])
    assert (record["searching"], record["refining"]) == (["A", "B"], ["C", "D"])


@pytest.mark.parametrize("wrong", [{"name": "quick"}, {"halo": 8}, {"halo": -16}, {"searchers": -1}, {"overlap": 1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match="plan"):
        PlanSettings(**wrong)


def test_grown_reaches_so_far_along_every_axis():
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True
    wide = grown(mask, 1.5)
    assert wide.sum() == 5**3
    assert wide[2:7, 2:7, 2:7].all()
    assert grown(mask, 0) is mask
    assert not grown(np.zeros((3, 3, 3), bool), 2).any()
