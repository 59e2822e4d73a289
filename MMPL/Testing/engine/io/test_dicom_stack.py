"""Slices in order: even or refused, in a sentence that says how many are missing and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpl.errors import GeometryError, InputError
from mmpl.io.dicom.slices import PixelFormat, Slice
from mmpl.io.dicom.stack import stack

PLAIN = PixelFormat(16, 16, 15, 1, 1, "MONOCHROME2")
COS, SIN = 0.8, 0.6


def a_slice(z: float, x: float = -5.0, y: float = -6.0, **changes) -> Slice:
    one = Slice(
        path=Path(f"{z}.dcm"),
        position=(x, y, z),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        spacing=(1.25, 1.5),
        rows=6,
        columns=7,
        slope=1.0,
        intercept=0.0,
        pixels=PLAIN,
    )
    return replace(one, **changes)


def said(slices) -> str:
    with pytest.raises(InputError) as caught:
        stack(slices, "PET here")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_slices_are_put_in_order_of_place():
    found = stack([a_slice(z) for z in (9, 0, 3, 6)], "PET")
    assert [one.position[2] for one in found.slices] == [0, 3, 6, 9]
    assert found.geometry.size == (7, 6, 4)
    assert found.geometry.spacing_mm == (1.5, 1.25, 3.0)
    assert found.geometry.origin_mm == (-5, -6, 0)
    assert (found.tilted, found.doubles) == (False, ())


def test_feet_first_columns_that_run_up_turn_the_normal():
    found = stack([a_slice(z, orientation=(1, 0, 0, 0, -1, 0)) for z in (0, 3, 6)], "PET")
    assert [one.position[2] for one in found.slices] == [6, 3, 0]
    np.testing.assert_array_equal(found.geometry.direction, [[1, 0, 0], [0, -1, 0], [0, 0, -1]])
    assert found.geometry.origin_mm == (-5, -6, 6)


def test_oblique_slices_step_along_their_normal():
    # rows along (0.8, 0.6, 0), columns along -z: the normal is (-0.6, 0.8, 0)
    turned = {"orientation": (COS, SIN, 0.0, 0.0, 0.0, -1.0)}
    slices = [a_slice(5.0, -5 - 0.6 * 2 * k, -6 + 0.8 * 2 * k, **turned) for k in range(4)]
    geometry = stack(slices, "PET").geometry
    np.testing.assert_allclose(geometry.physical((0, 0, 3)), slices[3].position, atol=1e-12)
    assert geometry.spacing_mm[2] == pytest.approx(2.0)


def test_rounded_positions_are_even_enough():
    assert stack([a_slice(z) for z in (0, 3.3, 6.5, 9.8, 13.1)], "PET").geometry.spacing_mm[2] == pytest.approx(3.275)


def test_one_missing_slice_is_counted_and_placed():
    message = said([a_slice(z) for z in (0, 3, 9, 12, 15)])
    assert message == (
        "PET here: slices are missing (steps of 3.00 to 6.00 mm): about 1, the first between the slices at "
        "3.0 and 9.0 mm; export the whole series"
    )


def test_several_missing_slices_are_counted():
    assert "about 4, the first between the slices at 27.0 and 36.0 mm" in said(
        [a_slice(3.0 * k) for k in range(30) if k not in (10, 11, 20, 21)]
    )


def test_uneven_slices_are_refused():
    assert said([a_slice(z) for z in (0, 3, 6, 10, 13)]) == (
        "PET here: slices are missing or unevenly spaced (steps of 3.00 to 4.00 mm); "
        "export one reconstruction of even spacing"
    )


def test_steps_that_drift_are_refused():
    """50 steps of 3 mm, then 50 of 3.1 mm: on an even grid of 3.05 mm the middle slice would lie 2.5 mm off."""
    heights = np.concatenate([[0], np.cumsum([3.0] * 50 + [3.1] * 50)])
    assert "unevenly spaced (steps of 3.00 to 3.10 mm)" in said([a_slice(z) for z in heights])


@pytest.mark.parametrize("step", [1.25, 2.027, 3.27, 4.25])
@pytest.mark.parametrize("start", [0.0, -712.35, 433.149])
def test_a_long_series_with_positions_rounded_to_a_tenth_is_even(step, start):
    slices = [a_slice(round(start + step * k, 1)) for k in range(400)]
    assert stack(slices, "PET").geometry.spacing_mm[2] == pytest.approx(step, abs=0.1 / 399)


def test_a_slice_aside_is_refused():
    slices = [a_slice(0), a_slice(3), a_slice(6, x=-4.5), a_slice(9)]
    assert "slices are displaced sideways from each other" in said(slices)


def test_an_even_displacement_is_a_tilted_gantry():
    found = stack([a_slice(3.0 * k, y=-6 + 0.5 * k) for k in range(5)], "CT")
    assert found.tilted
    assert found.shift_mm == pytest.approx((0.0, 0.5))


def test_one_slice_is_no_volume():
    assert said([a_slice(0)]) == "PET here is a single slice (one DICOM image): give the whole series"
    assert "is a single slice" in said([a_slice(4.0), a_slice(4.0), a_slice(4.0)])


def test_slices_of_one_place_are_kept_apart():
    first, second = a_slice(3), a_slice(3.005, path=Path("again.dcm"))
    found = stack([a_slice(0), first, second, a_slice(6)], "PET")
    assert [one.position[2] for one in found.slices] == [0, 3, 6]
    assert found.doubles == ((first, second),)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0.1, 1, 0), (0, 0, 0, 0, 1, 0), (2, 0, 0, 0, 2, 0), (1, 0, 0, 1, 0, 0)]
)
def test_axes_must_be_two_perpendicular_directions(orientation):
    with pytest.raises(GeometryError, match="ImageOrientationPatient is not two perpendicular directions"):
        stack([a_slice(z, orientation=orientation) for z in (0, 3)], "PET")
