"""The image that ``mmpl suv`` writes: one file, whole or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mmpl.errors import InputError, OutputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.images import read_volume
from mmpl.pet_suv import PetSuv, check_name, write_suv

PET = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), Geometry((4, 3, 2), (2, 2, 3), (1, 2, 3)))


def suv() -> PetSuv:
    return PetSuv(PET, "SUVbw", {"rule": "stated"}, ())


@pytest.mark.parametrize("name", ["suv.nii", "suv.nii.gz", "suv.nrrd", "suv.mha"])
def test_the_image_is_all_in_the_one_file(tmp_path, name):
    write_suv(tmp_path / name, suv())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(read_volume(tmp_path / name).array, PET.array)


@pytest.mark.parametrize("name", ["suv.mhd", "suv.nhdr", "SUV.MHA", "suv.png", "suv"])
def test_a_kind_of_two_files_or_of_none_is_refused_before_anything_is_written(tmp_path, name):
    for refuse in (check_name, lambda path: write_suv(path, suv())):
        with pytest.raises(OutputError, match=r"one file, give a name that ends in \.nii\.gz, \.nrrd or \.mha"):
            refuse(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_no_text_is_refused_before_the_work(tmp_path):
    """ITK ends the process when it writes to one."""
    with pytest.raises(InputError, match="the name is not valid UTF-8; rename the file or folder"):
        check_name(tmp_path / os.fsdecode(b"suv\xff.nii.gz"))
