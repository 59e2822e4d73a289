import numpy as np
import pytest

from mmpl.dicom_out.outlines import outlines


def area(polygon: np.ndarray) -> float:
    """Shoelace formula; a channel walked there and back counts nothing."""
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


def test_a_single_voxel_is_a_diamond_round_its_centre():
    (polygon,) = outlines(mask_of("...", ".#.", "..."))
    assert {tuple(p) for p in polygon} == {(1.49, 1.0), (0.51, 1.0), (1.0, 1.49), (1.0, 0.51)}


def test_a_block_keeps_its_extent_but_for_a_hundredth_and_its_corners():
    (polygon,) = outlines(mask_of("####", "####", "####"))
    assert polygon.min(axis=0) == pytest.approx([-0.49, -0.49])
    assert polygon.max(axis=0) == pytest.approx([3.49, 2.49])
    assert area(polygon) == pytest.approx(3.98 * 2.98 - 4 * 0.49**2 / 2)
    assert len(polygon) == 8


def test_voxels_that_touch_by_a_corner_have_outlines_of_their_own():
    assert len(outlines(mask_of("#.", ".#"))) == 2
    assert len(outlines(mask_of(".#", "#."))) == 2


def test_a_neck_of_one_voxel_holds_both_sides_together():
    (polygon,) = outlines(mask_of("##..##", "######", "##..##"))
    assert len(np.unique(polygon, axis=0)) == len(polygon)


def test_a_hole_is_joined_by_a_channel_to_the_left_along_a_row_of_centres():
    (polygon,) = outlines(mask_of("#####", "#####", "##.##", "#####", "#####"))
    steps = np.roll(polygon, -1, axis=0) - polygon
    channel = polygon[np.isclose(np.abs(steps[:, 0]), 1.98) & (steps[:, 1] == 0)]
    assert {tuple(p) for p in channel.round(2)} == {(-0.49, 2.0), (1.49, 2.0)}
    assert area(polygon) == pytest.approx(4.98**2 - 4 * 0.49**2 / 2 - 2 * 0.51**2)


def test_holes_in_one_row_are_joined_one_after_another():
    (polygon,) = outlines(mask_of("#######", "#.#.#.#", "#######"))
    on_row = polygon[polygon[:, 1] == 1.0][:, 0].round(2)
    assert sorted(set(on_row)) == [-0.49, 0.49, 1.51, 2.49, 3.51, 4.49, 5.51]
    assert area(polygon) == pytest.approx(6.98 * 2.98 - 4 * 0.49**2 / 2 - 3 * 2 * 0.51**2)


def channels(polygon: np.ndarray) -> list[tuple[int, float, float]]:
    """Row, first and last x of the edges along a row of voxel centres: channels, and nothing else runs there."""
    ends = np.roll(polygon, -1, axis=0)
    along = (polygon[:, 1] == ends[:, 1]) & (polygon[:, 1] % 1 == 0)
    return [(int(a[1]), min(a[0], b[0]), max(a[0], b[0])) for a, b in zip(polygon[along], ends[along], strict=True)]


@pytest.mark.parametrize("seed", range(50))
def test_channels_run_through_voxels_of_the_mask_only_and_there_and_back(awkward, seed):
    found = 0
    for mask in awkward(seed) == 1:
        for polygon in outlines(mask):
            runs = channels(polygon)
            assert sorted(runs) == sorted(2 * list(set(runs)))
            assert all(mask[row, int(np.ceil(a)) : int(b) + 1].all() for row, a, b in runs)
            found += len(runs)
    assert found > 0


def test_an_island_in_a_hole_has_an_outline_of_its_own():
    ring_and_island = mask_of("#####", "#...#", "#.#.#", "#...#", "#####")
    assert sorted(len(p) for p in outlines(ring_and_island))[0] == 4
    assert len(outlines(ring_and_island)) == 2


def test_an_empty_slice_has_no_outline():
    assert outlines(np.zeros((4, 5), bool)) == []
