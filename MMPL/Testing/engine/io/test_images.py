from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.io.images import check_finite, check_varies, read_label_map, read_volume
from mmpl.io.masks import write_segmentation_nrrd
from mmpl.notices import VOXELS_NOT_FINITE

FORMATS = ["a.nii.gz", "a.nii", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"]
META_HEADER = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    b"CompressedData = False\n"
    b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 5 6 7\n"
    b"ElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
)
NRRD_HEADER = (
    b"NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes: 5 6 7\n"
    b"space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
)
VOXEL_BYTES = bytes(5 * 6 * 7 * 4)


def saved(path, array, is_vector=False):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=is_vector), str(path))
    return path


def message_of(path, read=read_volume, error=InputError, **kw):
    with pytest.raises(error) as caught:
        read(path, **kw)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


# -- good images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("compressed", [False, True])
def test_voxels_come_back_in_every_format(noise_file, noise, name, compressed):
    volume = read_volume(noise_file(name, compressed))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, noise)


@pytest.mark.parametrize("name", FORMATS)
def test_geometry_comes_back(tmp_path, a_label_map, name):
    path = tmp_path / name
    sitk.WriteImage(image_from_volume(a_label_map), str(path))
    assert read_volume(path).geometry.is_close(a_label_map.geometry)


def test_nifti_affine_is_read_in_lps(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])  # RAS
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)  # nibabel's arrays are (x, y, z)
    nibabel.Nifti1Image(array, affine).to_filename(tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.array, array.T)
    np.testing.assert_allclose(volume.geometry.physical((1, 1, 1)), [-12, -23, 34], atol=1e-5)


def test_scale_slope_of_nifti_is_applied(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.full((3, 4, 5), 7, np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, -1.0)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii").array, 2.5)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_fourth_axis_of_one_is_dropped(tmp_path, name):
    path = saved(tmp_path / name, np.ones((1, 3, 4, 5), np.float32))
    assert read_volume(path).array.shape == (3, 4, 5)


@pytest.mark.parametrize("binary", [b"False", b"no"])
def test_a_meta_image_of_numbers_as_text_is_whole(tmp_path, binary):
    header = META_HEADER.replace(b"BinaryData = True", b"BinaryData = " + binary)
    assert header != META_HEADER
    (tmp_path / "text.mha").write_bytes(header + b"1 " * (5 * 6 * 7))
    assert read_volume(tmp_path / "text.mha").array.sum() == 5 * 6 * 7


def test_a_meta_image_that_does_not_say_so_is_not_text(tmp_path):
    path = tmp_path / "silent.mha"
    header = META_HEADER.replace(b"BinaryData = True\n", b"")
    path.write_bytes(header + VOXEL_BYTES)
    assert read_volume(path).array.sum() == 0
    path.write_bytes(header + VOXEL_BYTES[:-10])
    assert "cut short" in message_of(path)


def test_several_gzip_members_and_padding_are_one_file(noise_file, noise):
    path = noise_file("a.nii.gz", True)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]) + bytes(512))
    np.testing.assert_array_equal(read_volume(path).array, noise)


# -- bad images ----------------------------------------------------------------------------------------


def test_missing_file(tmp_path):
    assert "does not exist" in message_of(tmp_path / "no.nii.gz")


def test_message_names_what_was_wanted(tmp_path):
    assert message_of(tmp_path / "no.nii.gz", what="PET").startswith("PET ")


def test_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert "holds no CT images: found 1 files that are no DICOM" in message_of(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_not_an_image(tmp_path, name):
    path = tmp_path / name
    path.write_text("this is no image")
    assert "not a readable image" in message_of(path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.touch()
    assert "empty" in message_of(path)


def test_other_format(tmp_path):
    path = saved(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    assert "not an image MMPL reads" in message_of(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_truncated_file(noise_file, capfd, name, compressed, kept):
    path = noise_file(name, compressed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert "cut short" in message_of(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("header", ["a.nhdr", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_or_missing_data_beside_a_header(noise_file, tmp_path, capfd, header, compressed):
    path = noise_file(header, compressed)
    (data,) = (p for p in tmp_path.iterdir() if p != path)
    data.write_bytes(data.read_bytes()[:4000])
    with pytest.raises(InputError, match="cut short"):
        read_volume(path)
    data.unlink()
    with pytest.raises(InputError, match="missing"):
        read_volume(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_flipped_bits_in_compressed_data(noise_file, name):
    path = noise_file(name, True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x5A
    path.write_bytes(data)
    assert re.search("damaged|cut short", message_of(path))


def test_four_dimensions(tmp_path):
    path = saved(tmp_path / "a.nii.gz", np.zeros((2, 3, 4, 5), np.float32))
    assert "5 x 4 x 3 x 2" in message_of(path)


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5)])
def test_single_slice(tmp_path, shape):
    path = saved(tmp_path / "a.nii.gz", np.zeros(shape, np.float32))
    assert "single slice" in message_of(path)


def test_colour(tmp_path):
    path = saved(tmp_path / "a.nrrd", np.zeros((3, 4, 5, 3), np.uint8), is_vector=True)
    assert "3 values a voxel" in message_of(path)


def test_complex(tmp_path):
    assert "complex" in message_of(saved(tmp_path / "a.nii.gz", np.zeros((3, 4, 5), np.complex64)))


def test_no_voxels(tmp_path):
    path = tmp_path / "a.mha"
    path.write_bytes(META_HEADER.replace(b"5 6 7", b"5 0 7"))
    assert "no voxels" in message_of(path)


@pytest.mark.parametrize("channels", [b"abc", b"", "²".encode(), b"9" * 5000])
def test_a_number_of_channels_that_is_none(tmp_path, channels):
    path = tmp_path / "a.mha"
    line = b"ElementNumberOfChannels = " + channels + b"\nElementType"
    path.write_bytes(META_HEADER.replace(b"ElementType", line) + VOXEL_BYTES)
    message_of(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero_column.mha", META_HEADER.replace(b"1 0 0 0 1 0 0 0 1", b"1 0 0 0 0 0 0 0 1")),
        ("shear.nrrd", NRRD_HEADER.replace(b"(1,0,0)", b"(1,0.6,0)")),
        ("no_spacing.nrrd", NRRD_HEADER.replace(b"(1,0,0)", b"(0,0,0)")),
    ],
)
def test_damaged_direction(tmp_path, capfd, name, content):
    path = tmp_path / name
    path.write_bytes(content + VOXEL_BYTES)
    message_of(path, error=GeometryError)
    assert capfd.readouterr().err == ""


def test_sheared_nifti(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    affine = np.eye(4)
    affine[0, 1] = 0.5
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.float32), affine)
    image.header.set_sform(affine, 1)
    image.header.set_qform(None, 0)
    image.to_filename(tmp_path / "a.nii.gz")
    message_of(tmp_path / "a.nii.gz", error=GeometryError)


def test_reading_leaves_simpleitk_settings_alone(noise_file):
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    read_volume(noise_file("a.nii.gz", True))
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == before


# -- label maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_labels_of_any_type(tmp_path, a_label_map, dtype):
    path = tmp_path / "m.nii.gz"
    sitk.WriteImage(image_from_volume(a_label_map.with_array(a_label_map.array.astype(dtype))), str(path))
    read = read_label_map(path)
    assert read.array.dtype == np.uint8
    np.testing.assert_array_equal(read.array, a_label_map.array)


@pytest.mark.parametrize(("value", "listed"), [(3, "3"), (0.5, "0.5"), (-1, "-1"), (np.nan, "nan")])
def test_other_labels_are_listed(tmp_path, value, listed):
    array = np.zeros((3, 4, 5), np.float32)
    array[1, 1, 1] = value
    assert f"holds the values {listed}:" in message_of(saved(tmp_path / "m.nrrd", array), read_label_map)


def test_mask_folder(tmp_path):
    assert "is a folder" in message_of(tmp_path, read_label_map)


def test_truncated_mask(noise_file):
    path = noise_file("m.nii.gz", True)
    path.write_bytes(path.read_bytes()[:9000])
    assert "cut short" in message_of(path, read_label_map)


def segmentation(path, array, names, layers=None, is_vector=False):
    """A .seg.nrrd as 3D Slicer writes it, cut to what tells segments apart."""
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    for i, (name, value) in enumerate(names):
        image.SetMetaData(f"Segment{i}_Name", name)
        image.SetMetaData(f"Segment{i}_LabelValue", str(value))
        image.SetMetaData(f"Segment{i}_Layer", str(layers[i] if layers else 0))
    sitk.WriteImage(image, str(path), True)
    return path


def test_segments_are_read_by_name_not_by_value(tmp_path):
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0, 0], array[2, 3, 4] = 1, 2
    path = segmentation(tmp_path / "m.seg.nrrd", array, [("GTVn", 1), ("gtvp", 2)])
    read = read_label_map(path).array
    assert (read[0, 0, 0], read[2, 3, 4], np.count_nonzero(read)) == (2, 1, 2)


def test_primary_wins_where_segments_overlap(tmp_path):
    layers = np.zeros((3, 4, 5, 2), np.uint8)
    layers[0, 0, 0] = (1, 1)  # both segments
    layers[1, 1, 1] = (0, 1)  # nodes only
    path = segmentation(tmp_path / "m.seg.nrrd", layers, [("GTVp", 1), ("GTVn", 1)], [0, 1], is_vector=True)
    read = read_label_map(path).array
    assert (read[0, 0, 0], read[1, 1, 1], np.count_nonzero(read)) == (1, 2, 2)


def test_segment_of_another_name(tmp_path):
    path = segmentation(tmp_path / "m.seg.nrrd", np.zeros((3, 4, 5), np.uint8), [("Parotid", 1)])
    assert '"Parotid"' in message_of(path, read_label_map)


def older_segmentation(path, array, names, is_vector=False):
    """A .seg.nrrd of Slicer before 4.11: a layer a segment, voxels 1, and no tag that says so."""
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    for i, name in enumerate(names):
        image.SetMetaData(f"Segment{i}_ID", f"Segment_{i + 1}")
        image.SetMetaData(f"Segment{i}_Name", name)
    sitk.WriteImage(image, str(path), True)
    return path


def test_the_only_segment_of_an_older_slicer_has_its_name(tmp_path):
    array = np.zeros((3, 4, 5), np.uint8)
    array[1, 2, 3] = 1
    read = read_label_map(older_segmentation(tmp_path / "m.seg.nrrd", array, ["GTVn"])).array
    assert (read[1, 2, 3], np.count_nonzero(read)) == (2, 1)
    brain = older_segmentation(tmp_path / "b.seg.nrrd", array, ["Brain"])
    assert 'a segment named "Brain"' in message_of(brain, read_label_map)


def test_segments_of_an_older_slicer_are_the_layers_in_turn(tmp_path):
    layers = np.zeros((3, 4, 5, 2), np.uint8)
    layers[0, 0, 0, 0], layers[1, 1, 1, 1] = 1, 1
    path = older_segmentation(tmp_path / "m.seg.nrrd", layers, ["GTVn", "GTVp"], is_vector=True)
    read = read_label_map(path).array
    assert (read[0, 0, 0], read[1, 1, 1], np.count_nonzero(read)) == (2, 1, 2)


def test_two_segments_in_one_layer_need_values(tmp_path):
    path = older_segmentation(tmp_path / "m.seg.nrrd", np.zeros((3, 4, 5), np.uint8), ["GTVn", "GTVp"])
    assert "which voxels its segment 2 is" in message_of(path, read_label_map)


@pytest.mark.parametrize(
    ("layer", "value"), [(3, 1), (-1, 1), ("a", 1), (0, "1.0"), (0, "9" * 5000), (0, 0), (0, -1), (0, "")]
)
def test_a_segment_that_is_not_in_the_file(tmp_path, layer, value):
    path = segmentation(tmp_path / "m.seg.nrrd", np.zeros((3, 4, 5), np.uint8), [("GTVp", value)], [layer])
    assert "which voxels its segment 1 is" in message_of(path, read_label_map)


def test_segments_that_claim_the_same_voxels(tmp_path):
    path = segmentation(tmp_path / "m.seg.nrrd", np.zeros((3, 4, 5), np.uint8), [("GTVp", 1), ("GTVn", 1)])
    assert "same voxels" in message_of(path, read_label_map)


def test_a_segment_without_a_name(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetMetaData("Segment0_LabelValue", "1")
    sitk.WriteImage(image, str(tmp_path / "m.seg.nrrd"))
    assert "a segment without a name" in message_of(tmp_path / "m.seg.nrrd", read_label_map)


def test_own_segmentation_is_read_back(tmp_path, a_label_map):
    write_segmentation_nrrd(tmp_path / "m.seg.nrrd", a_label_map)
    read = read_label_map(tmp_path / "m.seg.nrrd")
    np.testing.assert_array_equal(read.array, a_label_map.array)
    assert read.geometry.is_close(a_label_map.geometry)


# -- voxel values --------------------------------------------------------------------------------------


def ramp():
    return Volume(np.arange(1000, dtype=np.float32).reshape(10, 10, 10), Geometry((10, 10, 10), (1, 1, 1), (0, 0, 0)))


def test_finite_image_is_left_alone():
    volume = ramp()
    assert check_finite(volume, "CT") == (volume, None)


@pytest.mark.parametrize(("what", "air"), [("CT", -1024), ("PET", 0)])
def test_a_few_voxels_become_air(what, air):
    volume = ramp()
    volume.array[0, 0, :9] = [np.nan, np.inf, -np.inf] * 3
    mended, notice = check_finite(volume, what)
    np.testing.assert_array_equal(mended.array[0, 0], [air] * 9 + [9])
    np.testing.assert_array_equal(mended.array[1:], volume.array[1:])
    assert mended.array.dtype == np.float32
    assert notice.code == VOXELS_NOT_FINITE
    assert f"9 of 1000 {what} voxels" in notice.text


def test_one_percent_is_too_many():
    volume = ramp()
    volume.array[0, 0, :10] = np.nan
    with pytest.raises(InputError, match="10 of 1000 voxels"):
        check_finite(volume, "PET")


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_constant_pet(value):
    volume = ramp()
    with pytest.raises(InputError, match=f"the PET is constant: every voxel is {value:g}"):
        check_varies(volume.with_array(np.full_like(volume.array, value)), "PET")
    check_varies(volume, "PET")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_without_a_value_are_seen_in_every_format(tmp_path, suffix, dtype):
    """ITK's NIfTI reader alone would give 0, which is water in a CT."""
    array = np.random.default_rng(3).normal(size=(20, 31, 37)).astype(dtype)
    array[0, 0, 0], array[7, 8, 9], array[19, 30, 36] = np.nan, np.inf, -np.inf
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"image{suffix}"))
    found = read_volume(tmp_path / f"image{suffix}").array
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(array))
    np.testing.assert_array_equal(found[1:7], array[1:7].astype(np.float32))
