from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import OutputError
from mmpl.io.images import read_label_map
from mmpl.io.masks import write_label_map, write_segmentation_nrrd


def test_label_map_comes_back_on_its_grid(tmp_path, a_label_map):
    write_label_map(tmp_path / "mask.nii.gz", a_label_map)
    read = read_label_map(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read.array, a_label_map.array)
    assert read.geometry.is_close(a_label_map.geometry)
    assert sitk.ReadImage(str(tmp_path / "mask.nii.gz")).GetPixelID() == sitk.sitkUInt8


def test_segmentation_header(tmp_path, a_label_map):
    path = tmp_path / "m.seg.nrrd"
    write_segmentation_nrrd(path, a_label_map)
    image = sitk.ReadImage(str(path))
    assert image.GetMetaData("Segment0_Name") == "GTVp"
    assert image.GetMetaData("Segment0_Extent") == "4 8 3 4 2 3"  # x, y, z; last index included
    assert image.GetMetaData("Segment0_Tags") == (
        "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^49755003^Morphologically Altered Structure~SCT^86049000^Neoplasm, Primary~^^"
        "~Anatomic codes - DICOM master list~SCT^774007^Head and Neck~^^|"
    )
    assert image.GetMetaData("Segment1_Name") == "GTVn"
    assert image.GetMetaData("Segment1_Extent") == "1 2 7 8 6 7"
    assert image.GetMetaData("Segment1_LabelValue") == "2"


def test_empty_segments_are_there(tmp_path, a_label_map):
    path = tmp_path / "m.seg.nrrd"
    write_segmentation_nrrd(path, a_label_map.with_array(np.zeros_like(a_label_map.array)))
    image = sitk.ReadImage(str(path))
    assert [image.GetMetaData(f"Segment{i}_Extent") for i in (0, 1)] == ["0 -1 0 -1 0 -1"] * 2


@pytest.mark.parametrize(("write", "name"), [(write_label_map, "m.nii.gz"), (write_segmentation_nrrd, "m.seg.nrrd")])
def test_missing_folder(tmp_path, capfd, a_label_map, write, name):
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "no" / name, a_label_map)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("write", "name"), [(write_label_map, "m.nii.gz"), (write_segmentation_nrrd, "m.seg.nrrd")])
def test_file_cut_by_a_full_disk_is_noticed(tmp_path, monkeypatch, a_label_map, write, name):
    """SimpleITK's writers end without an error when the disk fills up."""
    real = sitk.WriteImage

    def short_write(image, path, compressed):
        real(image, path, compressed)
        with open(path, "r+b") as file:
            file.truncate(file.seek(0, 2) - 20)

    monkeypatch.setattr(sitk, "WriteImage", short_write)
    with pytest.raises(OutputError, match="disk has space"):
        write(tmp_path / name, a_label_map)
