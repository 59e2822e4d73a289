"""Which image is which slice of a volume that another program has loaded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.on_grid import images_in_slice_order, source_on_grid
from mmpl.phantom.dicom import Storage, write_ct, write_pet


def flipped(geometry: Geometry) -> Geometry:
    """The same slices, counted from the other end."""
    direction = np.asarray(geometry.direction).copy()
    direction[:, 2] *= -1
    return replace(geometry, origin_mm=geometry.physical((0, 0, geometry.size[2] - 1)), direction=direction)


@pytest.mark.parametrize("reverse", [False, True], ids=["as stacked", "from the other end"])
def test_images_stand_in_the_order_of_the_volumes_slices(tmp_path, small_suv, reverse):
    paths = write_pet(tmp_path, small_suv, storage=Storage(shuffled=True))
    grid = flipped(small_suv.geometry) if reverse else small_suv.geometry
    images = images_in_slice_order(sorted(paths), grid, "the PET")
    assert [one.path for one in images] == list(paths[::-1] if reverse else paths)


def test_a_source_has_a_file_a_slice(tmp_path, small_ct):
    paths = write_ct(tmp_path, small_ct, Storage(shuffled=True))
    source = source_on_grid(sorted(paths), small_ct.geometry, "the CT")
    assert source.files == paths
    assert source.geometry == small_ct.geometry
    assert source.on_slices
    assert source.frame_of_reference == str(pydicom.dcmread(paths[0]).FrameOfReferenceUID)


def test_another_number_of_files_is_refused(tmp_path, small_suv):
    paths = write_pet(tmp_path, small_suv)
    with pytest.raises(InputError, match="the PET has 12 slices and its DICOM series 11 files: they must agree"):
        images_in_slice_order(paths[1:], small_suv.geometry, "the PET")


def test_files_of_two_series_are_refused(tmp_path, small_suv, small_ct):
    mixed = [*write_pet(tmp_path / "pet", small_suv)[:6], *write_ct(tmp_path / "ct", small_ct)[:6]]
    with pytest.raises(InputError, match="are not 12 images of one series"):
        images_in_slice_order(mixed, small_suv.geometry, "the PET")


def test_an_image_twice_is_refused(tmp_path, small_suv):
    paths = write_pet(tmp_path, small_suv)
    with pytest.raises(InputError, match="hold 11 different slices"):
        images_in_slice_order([*paths[:-1], paths[0]], small_suv.geometry, "the PET")


@pytest.mark.parametrize(
    "change",
    [
        {"origin_mm": (-15.5, -290.0, -800.0)},
        {"spacing_mm": (1.37, 1.52, 5.0)},
        {"direction": ((1, 0, 0), (0, 0, -1), (0, 1, 0))},
    ],
    ids=["moved along", "other spacing", "another axis"],
)
def test_slices_elsewhere_are_refused(tmp_path, small_ct, change):
    paths = write_ct(tmp_path, small_ct)
    with pytest.raises(GeometryError, match="do not lie where its DICOM images are"):
        images_in_slice_order(paths, replace(small_ct.geometry, **change), "the CT")


def test_a_square_volume_with_rows_and_columns_exchanged_has_no_source(tmp_path, small_ct):
    grid = replace(small_ct.geometry, size=(20, 20, 12), spacing_mm=(1.5, 1.5, 2.5))
    paths = write_ct(tmp_path, Volume(small_ct.array[:, :, :20], grid))
    assert source_on_grid(paths, grid, "the CT").files == paths
    exchanged = replace(grid, direction=((0, 1, 0), (1, 0, 0), (0, 0, 1)))
    with pytest.raises(GeometryError, match="the CT is not where its DICOM images are"):
        source_on_grid(paths, exchanged, "the CT")


@pytest.mark.parametrize(
    "change",
    [{"origin_mm": (-15.0, -290.0, -815.0)}, {"spacing_mm": (1.4, 1.52, 2.5)}, {"size": (23, 20, 12)}],
    ids=["moved aside", "other pixels", "cropped"],
)
def test_voxels_elsewhere_have_an_order_and_no_source(tmp_path, small_ct, change):
    paths = write_ct(tmp_path, small_ct)
    grid = replace(small_ct.geometry, **change)
    assert len(images_in_slice_order(paths, grid, "the CT")) == 12
    with pytest.raises(GeometryError, match="the CT is not where its DICOM images are"):
        source_on_grid(paths, grid, "the CT")
