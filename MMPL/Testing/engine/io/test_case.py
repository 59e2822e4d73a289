"""A case of images in memory: checked, and its PET's unit judged or stated."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.io.case import Reading, case_from_volumes, read_case, read_pet
from mmpl.io.suv import Typed

GRID = Geometry((12, 12, 12), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


@pytest.fixture
def ct():
    return Volume(np.linspace(-1000, 1000, 12**3, dtype=np.float32).reshape(GRID.shape), GRID)


@pytest.fixture
def pet():
    return Volume(np.linspace(0, 9, 12**3, dtype=np.float32).reshape(GRID.shape), GRID)


def test_a_stated_unit_is_taken_without_judging(ct, pet):
    case = case_from_volumes("A", ct, pet.with_array(pet.array * 5000), pet_units="SUVbw")
    assert case.pet_units == "SUVbw"
    assert case.provenance == {"pet_units": "SUVbw", "rule": "stated with the image"}
    assert case.notices == ()


def test_a_unit_is_judged_by_the_voxels_where_none_is_stated(ct, pet):
    assert case_from_volumes("A", ct, pet).pet_units == "SUVbw"
    raw = case_from_volumes("A", ct, pet.with_array(pet.array * 5000))
    assert raw.pet_units == "unknown"
    assert "judged" in raw.provenance["rule"]
    assert [notice.code for notice in raw.notices] == ["PET_NOT_SUV"]


def test_provenance_and_record_are_kept_and_copied(ct, pet):
    record = {"Age": 61}
    case = case_from_volumes("A", ct, pet, clinical=record, pet_units="SUVbw", provenance={"rule": "converted"})
    assert case.provenance == {"pet_units": "SUVbw", "rule": "converted"}
    record["Age"] = 90
    assert case.clinical == {"Age": 61}


@pytest.mark.parametrize(
    ("highest", "kept_as"), [(1000, np.int16), (1000.5, np.float32), (32767, np.int16), (32768, np.float32)]
)
def test_a_ct_of_whole_numbers_takes_half_the_memory(ct, pet, highest, kept_as):
    array = np.rint(ct.array)
    array[5, 5, 5] = highest
    kept = case_from_volumes("A", ct.with_array(array), pet).ct.array
    assert kept.dtype == kept_as
    np.testing.assert_array_equal(kept, array)


@pytest.mark.parametrize("which", ["ct", "pet"])
def test_an_image_that_is_the_same_everywhere_is_refused(ct, pet, which):
    images = {"ct": ct, "pet": pet}
    images[which] = images[which].with_array(np.ones_like(images[which].array))
    with pytest.raises(InputError, match=which.upper()):
        case_from_volumes("A", images["ct"], images["pet"])


def test_a_ct_that_is_not_in_hu_is_said_whatever_its_file_was(ct, pet):
    assert case_from_volumes("A", ct, pet).notices == ()
    (notice,) = case_from_volumes("A", ct.with_array(ct.array + 1024), pet).notices
    assert notice.code == "CT_DOUBT"
    assert "hardly any is air" in notice.text


def test_a_few_voxels_that_are_no_numbers_become_air_and_many_are_refused(ct, pet):
    few, many = ct.array.copy(), ct.array.copy()
    few[0, 0, 0] = np.nan
    many[:6] = np.nan
    case = case_from_volumes("A", ct.with_array(few), pet)
    assert [notice.code for notice in case.notices] == ["VOXELS_NOT_FINITE"]
    assert np.isfinite(case.ct.array).all()
    with pytest.raises(InputError, match="CT"):
        case_from_volumes("A", ct.with_array(many), pet)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_voxel_that_is_no_number_says_nothing_of_the_units(ct, pet, value, tmp_path):
    pet.array[0, 0, 0] = value
    paths = {"ct": tmp_path / "ct.nrrd", "pt": tmp_path / "pt.nrrd"}
    for path, volume in zip(paths.values(), (ct, pet), strict=True):
        sitk.WriteImage(image_from_volume(volume), str(path))
    weight = Typed(weight_kg=70)  # what would convert a PET that is not in SUV
    alone = read_pet(paths["pt"], typed=weight)
    case = read_case("A", paths["ct"], paths["pt"], reading=Reading(typed=weight))
    for volume, units, notices in (
        (alone.volume, alone.units, alone.notices),
        (case.pet, case.pet_units, case.notices),
    ):
        assert (units, [notice.code for notice in notices]) == ("SUVbw", ["VOXELS_NOT_FINITE"])
        assert (volume.array.min(), volume.array.max()) == (0, 9)


def test_a_pet_of_many_voxels_that_are_no_numbers_is_refused_alone_too(pet, tmp_path):
    pet.array[:6] = np.nan
    sitk.WriteImage(image_from_volume(pet), str(tmp_path / "pt.nrrd"))
    with pytest.raises(InputError, match="PET: 864 of 1728 voxels are NaN or infinite"):
        read_pet(tmp_path / "pt.nrrd")
