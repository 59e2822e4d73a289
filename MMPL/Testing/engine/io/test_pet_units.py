from __future__ import annotations

import numpy as np
import pytest

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.geometry import Geometry, Volume
from mmpl.io.pet_units import guess_pet_units
from mmpl.notices import PET_NOT_SUV

BQML_PER_SUV = 370e6 / 70e3 * 2 ** (-60 / 109.77)  # 370 MBq in 70 kg, one hour after injection


@pytest.fixture
def pet_suv():
    """Air, a body around 0.6, a brain around 8 and a tumour of 15."""
    rng = np.random.default_rng(0)
    array = np.zeros((20, 40, 40), np.float32)
    array[:, 8:32, 8:32] = rng.normal(0.6, 0.1, (20, 24, 24))
    array[14:, 14:26, 14:26] = rng.normal(8, 1, (6, 12, 12))
    array[5:8, 18:22, 18:22] = 15
    return Volume(np.maximum(array, 0), Geometry((40, 40, 20), (4, 4, 4), (0, 0, 0)))


def units(pet, header=None):
    found, notice = guess_pet_units(pet, header)
    assert (notice is None) == (found == PET_SUV)
    assert notice is None or notice.code == PET_NOT_SUV
    return found


def scaled(pet, factor, offset=0.0):
    return pet.with_array(pet.array * np.float32(factor) + np.float32(offset))


def test_suv_is_taken_as_suv(pet_suv):
    assert units(pet_suv) == PET_SUV


def test_hot_bladder_is_still_suv(pet_suv):
    pet_suv.array[0, 0, 0] = 180
    assert units(pet_suv) == PET_SUV


def test_resampling_ringing_is_still_suv(pet_suv):
    pet_suv.array[0, 0, 0] = -0.3
    assert units(pet_suv) == PET_SUV


@pytest.mark.parametrize("half_lives", [0, 4])
def test_activity_concentration_is_not_suv(pet_suv, half_lives):
    found, notice = guess_pet_units(scaled(pet_suv, BQML_PER_SUV / 2**half_lives))
    assert found == PET_UNKNOWN
    assert "masks are given" in notice.text
    assert "HPV and RFS are null" in notice.text


def test_scaled_to_one_is_not_suv(pet_suv):
    assert units(scaled(pet_suv, 1 / pet_suv.array.max())) == PET_UNKNOWN


def test_z_scores_are_not_suv(pet_suv):
    assert units(scaled(pet_suv, 1 / pet_suv.array.std(), -1.0)) == PET_UNKNOWN


def test_eight_bit_export_is_not_suv(pet_suv):
    assert units(scaled(pet_suv, 255 / pet_suv.array.max())) == PET_UNKNOWN


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("SUVbw", PET_SUV),
        ("GML", PET_SUV),
        ("{SUVbw}g/ml", PET_SUV),
        ("BQML", PET_UNKNOWN),
        ("CNTS", PET_UNKNOWN),
    ],
)
def test_the_header_is_believed(pet_suv, header, expected):
    assert units(pet_suv, header) == expected


def test_header_says_suv_but_values_cannot_be(pet_suv):
    assert units(scaled(pet_suv, BQML_PER_SUV), "SUVbw") == PET_UNKNOWN
