"""Resampling against SimpleITK, and the small matrices by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.resample import (
    INTERPOLATORS,
    apply_along_axes,
    area_matrix,
    bspline_matrix,
    from_identity,
    linear_matrix,
    nearest_index,
    resample,
    to_identity,
)

COS, SIN = np.cos(0.3), np.sin(0.3)
OBLIQUE = ((COS, -SIN, 0), (SIN, COS, 0), (0, 0, 1))
IDENTITY = np.eye(3)
FLIPPED = np.diag([-1.0, 1.0, -1.0])
CORONAL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
CYCLIC = np.array([[0.0, 0, -1], [1, 0, 0], [0, 1, 0]])
DIRECTIONS = [IDENTITY, FLIPPED, CORONAL, CYCLIC]
ALL_SIGNED_PERMUTATIONS = [
    np.eye(3)[list(order)] * np.array(signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def _volume(direction, size=(13, 11, 9), spacing=(1.7, 2.1, 3.0)) -> Volume:
    array = np.random.default_rng(1).normal(0, 1, size[::-1]).astype(np.float32)
    placed = Geometry(size, spacing, (0, 0, 0), direction)
    middle = placed.physical((np.array(size) - 1) / 2)
    return Volume(array, Geometry(size, spacing, -middle + 0.37, direction))


def _itk(volume: Volume, target: Geometry, method: str, fill: float) -> np.ndarray:
    image = sitk.Resample(
        image_from_volume(volume),
        target.size,
        sitk.Transform(),
        INTERPOLATORS[method],
        target.origin_mm,
        target.spacing_mm,
        np.ravel(target.direction).tolist(),
        fill,
    )
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("method", ["bspline", "linear", "nearest"])
@pytest.mark.parametrize("source", range(len(DIRECTIONS)))
@pytest.mark.parametrize("target", range(len(DIRECTIONS)))
def test_separable_resampling_is_simpleitks(method, source, target):
    volume = _volume(DIRECTIONS[source])
    # reaches beyond the source on one side and cuts it on the other
    placed = Geometry((16, 15, 14), (1, 1.3, 1.1), (0, 0, 0), DIRECTIONS[target])
    grid = Geometry(placed.size, placed.spacing_mm, -placed.physical((-2, 4, 1)), DIRECTIONS[target])
    ours = resample(volume, grid, method=method, fill=-7.0)
    theirs = _itk(volume, grid, method, -7.0)
    assert (theirs == -7.0).any()
    assert (theirs != -7.0).any()
    np.testing.assert_allclose(ours.array, theirs, atol=1e-4)
    assert ours.geometry == grid


def test_one_slice_and_up_sampling_of_one_voxel():
    volume = _volume(IDENTITY, size=(6, 5, 1))
    grid = Geometry((8, 7, 4), (1, 1, 1), volume.geometry.origin_mm)
    for method in INTERPOLATORS:
        np.testing.assert_allclose(
            resample(volume, grid, method=method, fill=0.0).array, _itk(volume, grid, method, 0.0), atol=1e-4
        )


def test_far_part_of_a_long_volume_is_exact():
    """The spline filter runs on a part of the source; what lies beyond its margin must not matter."""
    array = np.random.default_rng(2).normal(0, 1, (200, 3, 3)).astype(np.float32)
    volume = Volume(array, Geometry((3, 3, 200), (1, 1, 1), (0, 0, 0)))
    grid = Geometry((3, 3, 10), (1, 1, 0.7), (0, 0, 120.3))
    np.testing.assert_allclose(
        resample(volume, grid, method="bspline", fill=0.0).array,
        _itk(volume, grid, "bspline", 0.0),
        atol=1e-4,
    )


@pytest.mark.parametrize("method", ["bspline", "linear", "nearest"])
def test_oblique_source_is_simpleitks(method):
    volume = _volume(OBLIQUE)
    grid = Geometry((12, 12, 12), (1, 1, 1), (-6, -6, -6))
    ours = resample(volume, grid, method=method, fill=-7.0)
    np.testing.assert_allclose(ours.array, _itk(volume, grid, method, -7.0), atol=1e-4)


def test_oblique_and_separable_paths_agree():
    """A direction a hair away from the identity takes SimpleITK's path and gives the same values.

    The tilt moves a voxel by 2e-4 mm at most, over noise of unit standard deviation.
    """
    hair = 2e-5
    tilted = ((1, -hair, 0), (hair, 1, 0), (0, 0, 1))
    array = np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    grid = Geometry((5, 5, 5), (1.1, 1.1, 1.1), (1, 1, 1))
    straight = resample(Volume(array, Geometry((7, 8, 9), (1, 1, 1), (0, 0, 0))), grid, method="bspline", fill=0)
    source = Geometry((7, 8, 9), (1, 1, 1), (0, 0, 0), tilted)
    assert not source.is_axis_aligned()
    np.testing.assert_allclose(
        resample(Volume(array, source), grid, method="bspline", fill=0).array, straight.array, atol=1e-3
    )


def test_outside_is_fill_and_inside_reaches_half_a_voxel():
    volume = Volume(np.full((1, 1, 3), 5, np.float32), Geometry((3, 1, 1), (2, 2, 2), (0, 0, 0)))
    grid = Geometry((8, 1, 1), (1, 1, 1), (-1.9, 0, 0))  # source voxels span -1 .. 5
    expected = [-1, 5, 5, 5, 5, 5, 5, -1]
    for method in INTERPOLATORS:
        np.testing.assert_allclose(resample(volume, grid, method=method, fill=-1).array[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("method", ["bspline", "linear", "nearest"])
def test_a_target_that_misses_the_source_is_all_fill(method):
    volume = _volume(FLIPPED)
    out = resample(volume, Geometry((3, 4, 5), (1, 1, 1), (500, 0, 0)), method=method, fill=-3.0)
    assert out.array.shape == (5, 4, 3)
    assert (out.array == -3.0).all()


def test_nearest_keeps_the_type_and_others_give_float32():
    labels = Volume(np.ones((3, 3, 3), np.uint8), Geometry((3, 3, 3), (1, 1, 1), (0, 0, 0)))
    grid = Geometry((5, 5, 5), (0.5, 0.5, 0.5), (0, 0, 0))
    assert resample(labels, grid, method="nearest", fill=0).array.dtype == np.uint8
    assert resample(labels, grid, method="linear", fill=0).array.dtype == np.float32
    oblique = Volume(labels.array > 0, Geometry((3, 3, 3), (1, 1, 1), (0, 0, 0), OBLIQUE))
    assert resample(oblique, grid, method="nearest", fill=0).array.dtype == bool


def test_ties_do_not_depend_on_how_the_volume_is_stored():
    """A point halfway between two voxels takes the same physical neighbour, stored forwards or backwards."""
    forwards = Volume(np.arange(4, dtype=np.uint8).reshape(1, 1, 4), Geometry((4, 1, 1), (2, 2, 2), (0, 0, 0)))
    flip = ((-1, 0, 0), (0, 1, 0), (0, 0, 1))
    backwards = Volume(forwards.array[..., ::-1], Geometry((4, 1, 1), (2, 2, 2), (6, 0, 0), flip))
    grid = Geometry((3, 1, 1), (2, 1, 1), (1, 0, 0))
    for volume in (forwards, backwards):
        np.testing.assert_array_equal(resample(volume, grid, method="nearest", fill=9).array[0, 0], [1, 2, 3])


@pytest.mark.parametrize("k", range(len(ALL_SIGNED_PERMUTATIONS)))
def test_identity_round_trip_is_exact(k):
    direction = ALL_SIGNED_PERMUTATIONS[k]
    array = np.arange(2 * 3 * 4).reshape(4, 3, 2)
    volume = Volume(array, Geometry((2, 3, 4), (1, 2, 3), (5, 6, 7), direction))
    plain = to_identity(volume)
    np.testing.assert_array_equal(plain.geometry.direction, np.eye(3))
    back = from_identity(plain, volume.geometry)
    np.testing.assert_array_equal(back.array, array)
    # each voxel stays where it is in space
    for index in ((0, 0, 0), (1, 2, 3), (1, 0, 2)):
        i, j, k = np.rint(plain.geometry.index(volume.geometry.physical(index))).astype(int)
        assert plain.array[k, j, i] == array[index[::-1]]


def test_linear_matrix_by_hand():
    matrix = linear_matrix(np.array([-0.5, 0.25, 1.0, 1.75, 2.5]), 3)
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0.25, 0.75], [0, 0, 1]]
    np.testing.assert_allclose(matrix, expected)
    np.testing.assert_allclose(linear_matrix(np.array([-0.3, 0.4]), 1), [[1], [1]])


def test_bspline_matrix_by_hand():
    # at a voxel 1, 4, 1 sixths; midway 1, 23, 23, 1 forty-eighths; at index 0 the left neighbour mirrors to 1
    matrix = bspline_matrix(np.array([2.0, 2.5, 0.0]), 5)
    np.testing.assert_allclose(matrix[0] * 6, [0, 1, 4, 1, 0], atol=1e-12)
    np.testing.assert_allclose(matrix[1] * 48, [0, 1, 23, 23, 1], atol=1e-12)
    np.testing.assert_allclose(matrix[2] * 6, [4, 2, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_matrices_are_partitions_of_unity(n):
    positions = np.linspace(-0.5, n - 0.5, 23)
    np.testing.assert_allclose(bspline_matrix(positions, n).sum(axis=1), 1)
    np.testing.assert_allclose(linear_matrix(positions, n).sum(axis=1), 1)
    np.testing.assert_allclose(area_matrix(np.linspace(0, n, 6), n).sum(axis=1), 1)


def test_matrices_are_exact_on_linear_functions():
    ramp = np.arange(9) * 2.0 + 3
    positions = np.linspace(1, 7, 13)
    np.testing.assert_allclose(linear_matrix(positions, 9) @ ramp, positions * 2 + 3)
    # away from the ends a linear function's spline coefficients are its samples
    np.testing.assert_allclose(bspline_matrix(positions, 9) @ ramp, positions * 2 + 3)
    # voxel k spans k .. k + 1, so the mean of the ramp over a bin is its value at the bin's middle
    edges = np.arange(0, 10, 3)
    np.testing.assert_allclose(area_matrix(edges, 9) @ ramp, ((edges[:-1] + edges[1:]) / 2 - 0.5) * 2 + 3)


def test_area_matrix_by_hand():
    matrix = area_matrix(np.array([0.0, 1.5, 3.0, 4.5, 6.0]), 4)
    expected = [[2 / 3, 1 / 3, 0, 0], [0, 1 / 3, 2 / 3, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(matrix, expected)


def test_nearest_index_by_hand():
    np.testing.assert_array_equal(nearest_index(np.array([-0.6, 0.49, 0.5, 1.5, 2.7]), 3), [0, 0, 1, 2, 2])


def test_apply_along_axes_is_einsum():
    draw = np.random.default_rng(0)
    array = draw.normal(size=(4, 5, 6))
    z, y, x = draw.normal(size=(7, 4)), draw.normal(size=(2, 5)), draw.normal(size=(6, 6))
    expected = np.einsum("az,by,cx,zyx->abc", z, y, x, array)
    np.testing.assert_allclose(apply_along_axes(array, [z, y, x]), expected, rtol=1e-4, atol=1e-4)
