"""The shared faults do what their names say, so that a reader's tests can trust them."""

from __future__ import annotations

import pydicom
import pytest

from mmpl.phantom.dicom import write_ct, write_pet


@pytest.fixture
def paths(tmp_path, small_suv):
    return write_pet(tmp_path, small_suv)


def _readable(folder):
    return [pydicom.dcmread(p) for p in sorted(folder.iterdir())]


def _position(ds):
    return tuple(map(float, ds.ImagePositionPatient))


def test_every_fault_can_be_done_to_pet_and_ct(tmp_path, small_suv, small_ct, dicom_faults):
    for number, fault in enumerate(dicom_faults.FAULTS.values()):
        for kind, write, volume in (("pt", write_pet, small_suv), ("ct", write_ct, small_ct)):
            folder = tmp_path / f"{kind}{number}"
            before = {p: p.read_bytes() for p in write(folder, volume)}
            touched = fault(tuple(before))
            after = {p: p.read_bytes() for p in folder.iterdir()}
            assert {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)} == {touched}


def test_removed(paths, dicom_faults, tmp_path):
    dicom_faults.remove_slice(paths)
    assert len(_readable(tmp_path)) == 11


def test_duplicates(paths, dicom_faults, tmp_path):
    copy = pydicom.dcmread(dicom_faults.duplicate_slice(paths))
    again = pydicom.dcmread(dicom_faults.duplicate_slice_other_uid(paths))
    other = pydicom.dcmread(dicom_faults.contradict_slice(paths))
    original = pydicom.dcmread(paths[6])
    assert copy == original
    assert {_position(ds) for ds in (again, other)} == {_position(original)}
    assert again.PixelData == original.PixelData != other.PixelData
    assert len({ds.SOPInstanceUID for ds in (original, again, other)}) == 3


def test_uneven(paths, dicom_faults):
    z = [_position(pydicom.dcmread(p))[2] for p in (paths[5], dicom_faults.space_unevenly(paths), paths[7])]
    assert [z[1] - z[0], z[2] - z[1]] == pytest.approx([1.4 * 3.27, 0.6 * 3.27])


def test_shapes_and_planes(paths, dicom_faults):
    shorter = pydicom.dcmread(dicom_faults.mix_sizes(paths))
    assert shorter.pixel_array.shape == (18, 24)
    scout = pydicom.dcmread(dicom_faults.add_localiser(paths))
    assert scout.pixel_array.shape == (9, 11)
    assert scout.ImageType[2] == "LOCALIZER"
    turned = pydicom.dcmread(dicom_faults.turn_slice(paths))
    assert list(map(float, turned.ImageOrientationPatient)) == [1, 0, 0, 0, 0, 1]
    assert scout.SeriesInstanceUID == turned.SeriesInstanceUID


def test_damage(paths, dicom_faults, tmp_path):
    cut = dicom_faults.truncate_pixels(paths)
    whole = len(pydicom.dcmread(paths[0]).PixelData)
    assert len(pydicom.dcmread(cut).PixelData) < whole
    assert dicom_faults.empty_file(paths).stat().st_size == 0
    with pytest.raises(pydicom.errors.InvalidDicomError):
        pydicom.dcmread(dicom_faults.add_text_file(paths))


def test_slope_removed(paths, dicom_faults):
    assert "RescaleSlope" not in pydicom.dcmread(dicom_faults.remove_slope(paths))
