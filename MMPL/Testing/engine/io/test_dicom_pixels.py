"""Voxels of slices: every storage bit by bit, slopes slice by slice, and damage refused in a sentence."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.choose import choose
from mmpl.io.dicom.pixels import straightened
from mmpl.io.dicom.read import read_series
from mmpl.io.dicom.series import list_series
from mmpl.io.dicom.stored import remarks_on_stored
from mmpl.phantom.dicom import TRANSFER_SYNTAXES, PetVariant, Storage, write_ct, write_pet
from mmpl.resample import resample

SAME_PATIENT = PetVariant(injection="datetime")
WIDE = Geometry((40, 34, 4), (4.07, 4.05, 3.27), (-45.5, -312.25, -820.125))  # JPEG 2000 needs 32 pixels


def read(folder, kind):
    return read_series(choose(list_series(folder), kind, "folder")[0], f"{kind} folder")


def refused(folder, kind) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def wide_pet():
    suv = np.random.default_rng(7).gamma(1.5, 1.6, WIDE.shape).astype(np.float32)
    return Volume(suv, WIDE)


@pytest.fixture(scope="module")
def wide_ct():
    return Volume(np.random.default_rng(8).integers(-1024, 1800, WIDE.shape).astype(np.int16), WIDE)


# --- storage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [s for s in TRANSFER_SYNTAXES if s != "explicit"])
def test_every_transfer_syntax_gives_the_bits_of_the_plain_one(tmp_path, wide_pet, wide_ct, syntax):
    for kind, write, image in (("PET", write_pet, wide_pet), ("CT", write_ct, wide_ct)):
        write(tmp_path / kind / "plain", image)
        write(tmp_path / kind / "other", image, storage=Storage(syntax))
        plain, other = read(tmp_path / kind / "plain", kind), read(tmp_path / kind / "other", kind)
        np.testing.assert_array_equal(other.volume.array, plain.volume.array)
        assert other.volume.geometry == plain.volume.geometry
        assert (plain.notices, other.notices) == ((), ())


def test_a_ct_is_read_as_it_was_written(tmp_path, small_ct):
    write_ct(tmp_path, small_ct, Storage(shuffled=True))
    found = read(tmp_path, "CT")
    np.testing.assert_array_equal(found.volume.array, small_ct.array)
    assert found.volume.geometry.is_close(small_ct.geometry, 1e-6)
    assert found.volume.array.dtype == np.float32


def test_every_slice_has_its_own_slope(tmp_path, small_suv):
    paths = write_pet(tmp_path, small_suv)
    slices = [pydicom.dcmread(path) for path in paths]
    assert len({float(ds.RescaleSlope) for ds in slices}) == 12
    expected = np.stack([ds.pixel_array * float(ds.RescaleSlope) for ds in slices])
    np.testing.assert_allclose(read(tmp_path, "PET").volume.array, expected, rtol=2e-7)


def test_a_multi_frame_object_gives_the_voxels_of_single_files(tmp_path, small_suv):
    write_pet(tmp_path / "single", small_suv, SAME_PATIENT)
    (path,) = write_pet(tmp_path / "multi", small_suv, SAME_PATIENT, Storage(multiframe=True))
    single, multi = read(tmp_path / "single", "PET"), read(tmp_path / "multi", "PET")
    np.testing.assert_allclose(multi.volume.array, single.volume.array, rtol=2e-7)
    assert multi.volume.geometry.is_close(single.volume.geometry, 1e-6)
    assert multi.source.files == (path,)
    assert (single.source.on_slices, multi.source.on_slices) == (True, False)


def test_oblique_slices_lie_where_they_did(tmp_path, small_suv):
    oblique = replace(small_suv.geometry, direction=((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0)))
    write_pet(tmp_path, Volume(small_suv.array, oblique))
    found = read(tmp_path, "PET")
    assert found.volume.geometry.is_close(oblique, 1e-4)
    assert found.notices == ()


# --- the tilted gantry ---------------------------------------------------------------------------------


def test_straightening_puts_every_voxel_where_its_slice_says():
    # shifts by whole voxels: each slice of 2 x 2 lands one voxel further in x, what no slice shows is outside
    grid = Geometry((2, 2, 3), (1.5, 1.0, 2.0), (10.0, 20.0, 30.0))
    found = straightened(Volume(np.arange(12.0).reshape(3, 2, 2), grid), (1.5, 0.0), -1.0)
    assert found.geometry.size == (4, 2, 3)
    assert found.geometry.origin_mm == (10.0, 20.0, 30.0)
    np.testing.assert_array_equal(found.array[:, 0], [[0, 1, -1, -1], [-1, 4, 5, -1], [-1, -1, 8, 9]])
    back = straightened(Volume(np.arange(12.0).reshape(3, 2, 2), grid), (-1.5, 0.0), -1.0)
    assert back.geometry.origin_mm == (7.0, 20.0, 30.0)
    np.testing.assert_array_equal(back.array[:, 0], [[-1, -1, 0, 1], [-1, 4, 5, -1], [8, 9, -1, -1]])


def test_a_fraction_of_a_voxel_is_linear():
    grid = Geometry((2, 1, 2), (2.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    found = straightened(Volume(np.array([[[4.0, 8.0]], [[4.0, 8.0]]]), grid), (0.5, 0.0), 0.0)
    np.testing.assert_allclose(found.array[:, 0], [[4, 8, 0], [3, 7, 2]])  # a quarter of each goes to the right


@pytest.mark.parametrize("tilt_deg", [-14.0, 14.0])
def test_a_tilted_ct_reads_back_as_it_truly_was(tmp_path, tilt_deg):
    # a ball of 40 mm and a smooth slope; resampling twice costs less than 15 HU inside, where the slope is 2 HU/mm
    grid = Geometry((60, 60, 40), (2.0, 2.0, 2.5), (-59.0, -59.0, -49.0))
    k, j, i = np.indices(grid.shape)
    points = grid.physical(np.stack([i, j, k], axis=-1))
    hu = np.clip(60 + points @ (1.0, 1.5, -1.0), -1000, 1000)
    write_ct(tmp_path, Volume(np.rint(hu).astype(np.int16), grid), Storage(tilt_deg=tilt_deg))
    found = read(tmp_path, "CT")
    assert [n.text.split(":")[0] for n in found.notices] == ["CT"]
    assert "(a tilted gantry)" in found.notices[0].text
    assert not found.source.on_slices
    # the slices' normal is tilted about x, as the direction says; compare within 25 mm of the middle
    normal = np.asarray(found.volume.geometry.direction)[:, 2]
    assert abs(normal[1]) == pytest.approx(np.sin(np.deg2rad(14)), abs=1e-6)
    on_truth = resample(found.volume, grid, method="linear", fill=-1024.0).array
    middle = np.linalg.norm(points, axis=-1) < 25
    assert middle.sum() > 5000
    np.testing.assert_allclose(on_truth[middle], hu[middle], atol=3.0)


# --- copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["duplicate_slice", "duplicate_slice_other_uid"])
def test_a_copy_of_an_image_does_no_harm_and_is_said(tmp_path, small_suv, dicom_faults, fault):
    paths = write_pet(tmp_path, small_suv)
    whole = read(tmp_path, "PET").volume
    getattr(dicom_faults, fault)(paths)
    found = read(tmp_path, "PET")
    np.testing.assert_array_equal(found.volume.array, whole.array)
    assert [n.text for n in found.notices] == ["PET: 1 image is there twice; one copy is used."]


def test_two_images_that_contradict_each_other_are_refused(tmp_path, small_suv, dicom_faults):
    dicom_faults.contradict_slice(write_pet(tmp_path, small_suv))
    assert "1 images lie where another one does and differ from it" in refused(tmp_path, "PET")


def test_a_localiser_in_the_series_is_left_out_and_said(tmp_path, small_ct, dicom_faults):
    dicom_faults.add_localiser(write_ct(tmp_path, small_ct))
    found = read(tmp_path, "CT")
    np.testing.assert_array_equal(found.volume.array, small_ct.array)
    assert [n.text for n in found.notices] == ["CT: 1 images of another size or orientation left out."]


# --- damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big endian"])
def test_a_file_that_is_cut_short_is_refused(tmp_path, small_suv, dicom_faults, syntax):
    paths = write_pet(tmp_path, small_suv, storage=Storage(syntax))
    paths[3].write_bytes(paths[3].read_bytes()[:-2])
    assert refused(tmp_path, "PET").endswith(": 1 of 12 files are cut short: copy or export the series again")


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG 2000"])
def test_compressed_pixels_that_end_early_are_refused(tmp_path, wide_pet, syntax):
    path = write_pet(tmp_path, wide_pet, storage=Storage(syntax))[1]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert "1 of 4 files are cut short" in refused(tmp_path, "PET")  # where GDCM searches for a quarter of a minute


def test_fragments_that_do_not_follow_each_other_are_cut(tmp_path, wide_pet):
    path = write_pet(tmp_path, wide_pet, storage=Storage("RLE"))[1]
    content = bytearray(path.read_bytes())
    item = content.rfind(b"\xfe\xff\x00\xe0")
    content[item + 4] ^= 0x10  # its length
    path.write_bytes(content)
    assert "1 of 4 files are cut short" in refused(tmp_path, "PET")


def test_compressed_pixels_that_are_none_are_refused(tmp_path, wide_pet):
    path = write_pet(tmp_path, wide_pet, storage=Storage("JPEG-LS"))[1]
    content = bytearray(path.read_bytes())
    begin = content.rfind(b"\xff\xd8\xff")
    content[begin : begin + 60] = bytes(60)
    path.write_bytes(content)
    assert refused(tmp_path, "PET").endswith("compressed in an unknown way; export it again")


def test_a_multi_frame_object_that_is_cut_short_is_refused(tmp_path, small_suv):
    (path,) = write_pet(tmp_path, small_suv, SAME_PATIENT, Storage(multiframe=True))
    path.write_bytes(path.read_bytes()[:-100])
    assert "1 of 1 files are cut short" in refused(tmp_path, "PET")


def test_an_object_without_pixels_is_refused(tmp_path, small_suv, every):
    every(write_pet(tmp_path, small_suv)[:1], PixelData=None)
    assert refused(tmp_path, "PET")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_file_whose_name_is_no_text_is_refused(tmp_path, small_ct):
    """A folder that an archive was unpacked into, say, whose names are Latin-1."""
    first = write_ct(tmp_path, small_ct)[0]
    first.rename(tmp_path / os.fsdecode(b"M\xfcller.dcm"))
    assert refused(tmp_path, "CT").endswith("M\\udcfcller.dcm: the name is not valid UTF-8; rename the file or folder")


def test_colour_is_refused(tmp_path, small_suv):
    for path in write_pet(tmp_path, small_suv):
        ds = pydicom.dcmread(path)
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = bytes(3 * ds.Rows * ds.Columns)
        ds.save_as(path)
    assert refused(tmp_path, "PET").endswith(" holds colour images: give the series of the images themselves")


@pytest.mark.parametrize(
    "values",
    [
        {"BitsStored": 17},
        {"BitsStored": 0},
        {"BitsStored": None},
        {"HighBit": 11},
        {"PixelRepresentation": 2},
        {"PixelRepresentation": None},
        {"BitsAllocated": 12},
        {"SamplesPerPixel": None},
    ],
)
def test_a_pixel_format_that_cannot_be_is_refused(tmp_path, small_ct, values, every):
    every(write_ct(tmp_path, small_ct)[4:5], **values)
    assert "an image's pixel format (BitsAllocated, " in refused(tmp_path, "CT")


def test_inverted_grey_values_are_refused(tmp_path, small_ct, every):
    every(write_ct(tmp_path, small_ct)[4:5], PhotometricInterpretation="MONOCHROME1")
    assert "inverted grey values (MONOCHROME1)" in refused(tmp_path, "CT")


def test_images_of_two_formats_are_noticed(tmp_path, small_ct, every):
    every(write_ct(tmp_path, small_ct)[4:5], PixelRepresentation=0)
    (notice,) = read(tmp_path, "CT").notices
    assert "not all stored in one pixel format" in notice.text


def test_pixels_of_more_bits_than_are_said_to_be_stored_are_noticed(tmp_path, small_ct, every):
    # stored are 0 to 2823: 12 bits hold them, 11 do not
    paths = write_ct(tmp_path, small_ct)
    every(paths, BitsStored=12, HighBit=11, PixelRepresentation=0)
    assert read(tmp_path, "CT").notices == ()
    every(paths, BitsStored=11, HighBit=10)
    assert "CT: in 12 of 12 files, pixels have more bits than BitsStored says." in [
        n.text for n in read(tmp_path, "CT").notices
    ]


@pytest.mark.parametrize("photometric", ["RGB", "PALETTE COLOR", "YBR_FULL"])
def test_one_image_that_calls_itself_coloured_is_refused(tmp_path, small_ct, photometric, every):
    every(write_ct(tmp_path, small_ct)[4:5], PhotometricInterpretation=photometric)
    assert "holds colour images" in refused(tmp_path, "CT")


@pytest.mark.parametrize("syntax", ["JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("values", [{"Rows": 17}, {"Columns": 20}, {"Rows": 40, "Columns": 34}])
def test_compressed_images_of_another_size_than_their_header_are_refused(tmp_path, wide_pet, syntax, values, every):
    every(write_pet(tmp_path, wide_pet, storage=Storage(syntax)), **values)
    assert "compressed images are not of the size that Rows and Columns say" in refused(tmp_path, "PET")


@pytest.mark.parametrize("syntax", ["JPEG-LS", "JPEG 2000", "RLE"])
def test_compressed_pixels_of_more_bits_than_are_said_to_be_stored_are_noticed(tmp_path, wide_pet, syntax, every):
    every(write_pet(tmp_path, wide_pet, storage=Storage(syntax)), BitsStored=12, HighBit=11)
    (notice,) = read(tmp_path, "PET").notices
    assert "bits" in notice.text


def test_run_lengths_of_more_rows_than_the_header_says_are_noticed(tmp_path, small_suv, every):
    # where a run happens to end with the last row that is asked for, GDCM gives a cropped image without a word
    paths = write_pet(tmp_path, small_suv, storage=Storage("RLE"))
    assert remarks_on_stored(list_series(tmp_path).series[0].slices, "PET") == []
    every(paths, Rows=10)
    (said,) = remarks_on_stored(list_series(tmp_path).series[0].slices, "PET")
    assert said == "PET: its compressed images (RLE) hold more pixels, or of more bits, than their header says."


def test_fewer_rows_than_pixels_are_noticed(tmp_path, small_suv, every):
    every(write_pet(tmp_path, small_suv), Rows=18)
    found = read(tmp_path, "PET")
    assert "PET: 12 of 12 files hold more pixels than their size (Rows, Columns) needs." in [
        n.text for n in found.notices
    ]


def test_more_rows_than_pixels_are_cut_short(tmp_path, small_suv, every):
    every(write_pet(tmp_path, small_suv), Rows=22)
    assert "12 of 12 files are cut short" in refused(tmp_path, "PET")


# --- slope and intercept -------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", ["0", "-1"])
@pytest.mark.parametrize("kind", ["CT", "PET"])
def test_a_slope_that_cannot_be_is_refused(tmp_path, small_suv, small_ct, kind, slope, every):
    paths = write_pet(tmp_path, small_suv) if kind == "PET" else write_ct(tmp_path, small_ct)
    every(paths[6:7], RescaleSlope=slope)
    assert refused(tmp_path, kind).endswith(f": an image has the rescale slope {slope}: export the series again")


def test_a_pet_without_a_slope_is_refused(tmp_path, small_suv, dicom_faults):
    dicom_faults.remove_slope(write_pet(tmp_path, small_suv))
    assert "an image has no rescale slope (RescaleSlope)" in refused(tmp_path, "PET")


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_ct_of_which_some_images_lack_a_rescale_is_refused(tmp_path, small_ct, keyword, every):
    every(write_ct(tmp_path, small_ct)[2:3], **{keyword: None})
    assert f"({keyword})" in refused(tmp_path, "CT")


@pytest.mark.parametrize(("keyword", "word"), [("RescaleSlope", "slope"), ("RescaleIntercept", "intercept")])
def test_a_ct_without_any_rescale_is_noticed(tmp_path, small_ct, keyword, word, every):
    every(write_ct(tmp_path, small_ct), **{keyword: None})
    texts = [n.text for n in read(tmp_path, "CT").notices]
    assert f"CT: its images have no rescale {word}: look whether its values are HU." in texts


def test_one_ct_image_of_another_slope_is_noticed(tmp_path, small_ct, every):
    every(write_ct(tmp_path, small_ct)[5:6], RescaleSlope="1.5")
    (notice,) = read(tmp_path, "CT").notices
    assert "differ in rescale slope or intercept" in notice.text


def test_a_pet_without_an_intercept_is_noticed(tmp_path, small_suv, every):
    every(write_pet(tmp_path, small_suv), RescaleIntercept=None)
    (notice,) = read(tmp_path, "PET").notices
    assert notice.text == "PET: its images have no rescale intercept, which is taken for 0: check the export."


def test_an_intercept_of_a_pet_is_noticed(tmp_path, small_suv, every):
    every(write_pet(tmp_path, small_suv), RescaleIntercept="3")
    (notice,) = read(tmp_path, "PET").notices
    assert notice.text == "PET: a rescale intercept is not 0, which a PET's must be: check the export."


@pytest.mark.parametrize("place", [0, 5, 11])
@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_one_slice_a_thousand_times_too_bright_or_dark_is_noticed(tmp_path, small_suv, place, factor, every):
    path = write_pet(tmp_path, small_suv)[place]
    every([path], RescaleSlope=f"{float(pydicom.dcmread(path).RescaleSlope) * factor:.8g}")
    (notice,) = read(tmp_path, "PET").notices
    assert notice.text == (f"PET: slice {place + 1} of 12 is far brighter or darker than its neighbours: look at it.")
