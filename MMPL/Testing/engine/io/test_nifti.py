"""Where a NIfTI file says that its image lies; written by nibabel."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.io.case import read_case
from mmpl.io.nifti import _positions, _version, position_doubt, read_head

HERE = np.array([[-2.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])
VERSIONS = {"NIfTI-1": nibabel.Nifti1Image, "NIfTI-2": nibabel.Nifti2Image}
ORDERS = {"little": "<", "big": ">"}


def moved(by):
    other = HERE.copy()
    other[:3, 3] += by
    return other


def turned(degrees):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ HERE


@pytest.fixture
def write(tmp_path):
    def write(qform, sform, kind=nibabel.Nifti1Image, order="<", name="image.nii.gz", array=None):
        array = np.zeros((20, 30, 8), np.float32) if array is None else array
        image = kind(array, None, header=kind.header_class(endianness=order))
        image.set_data_dtype(np.float32)
        image.set_qform(*qform)
        image.set_sform(*sform)
        nibabel.save(image, tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("affine", [HERE, turned(17), HERE @ np.diag([1, 1, -1, 1])], ids=["axial", "turned", "mirror"])
def test_both_positions_are_read_as_nibabel_reads_them(write, kind, order, affine):
    path = write((affine, 1), (moved(5), 2), kind, order)
    head, compressed = read_head(path, "CT")
    codes, of_quaternion, of_rows = _positions(head, *_version(head))
    image = nibabel.load(path)
    assert compressed
    assert tuple(codes) == (1, 2)
    np.testing.assert_allclose(of_quaternion, image.get_qform()[:3], atol=1e-4)
    np.testing.assert_allclose(of_rows, image.get_sform()[:3], atol=1e-5)


@pytest.mark.parametrize("kind", VERSIONS.values(), ids=VERSIONS)
def test_equal_positions_one_of_them_and_rounding_are_no_doubt(write, kind):
    for qform, sform in [
        ((HERE, 1), (HERE, 1)),
        ((HERE, 1), (moved(0.5), 2)),
        ((HERE, 1), (None, 0)),
        ((HERE, 0), (moved(30), 2)),
        ((turned(17), 1), (turned(17), 1)),
    ]:
        assert position_doubt(write(qform, sform, kind), "CT") is None


@pytest.mark.parametrize("kind", VERSIONS.values(), ids=VERSIONS)
def test_two_positions_are_told_with_their_distance(write, kind):
    said = position_doubt(write((HERE, 1), (moved([0, 0, 30]), 2), kind), "CT")
    assert said.startswith("gives two positions up to 30 mm apart (qform and sform)")
    assert "gives two positions up to " in position_doubt(write((HERE, 1), (turned(5), 1), kind), "CT")


def test_no_position_is_told(write):
    assert position_doubt(write((HERE, 0), (None, 0)), "CT").startswith("names no position and no direction")


def test_micrometres_are_micrometres(write, tmp_path):
    affine, other = HERE.copy(), moved([0, 0, 0.5])
    affine[:3] *= 1000
    other[:3] *= 1000
    path = write((affine, 1), (other, 2))
    image = nibabel.load(path)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "micron.nii.gz")
    assert position_doubt(tmp_path / "micron.nii.gz", "CT") is None
    assert "500 mm" in position_doubt(path, "CT")


def test_other_files_have_no_doubt(tmp_path):
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(path))
    assert position_doubt(path, "CT") is None


def test_a_case_says_so(write):
    """A PET registered to the CT by its sform alone: ITK takes the scanner's position."""
    draw = np.random.default_rng(0)
    ct = write((HERE, 1), (HERE, 1), name="ct.nii.gz", array=draw.uniform(-1000, 100, (20, 30, 8)).astype(np.float32))
    pet = write((HERE, 1), (moved(30), 2), name="pt.nii.gz", array=draw.uniform(0, 9, (20, 30, 8)).astype(np.float32))
    case = read_case("A", ct, pet)
    (notice,) = [notice for notice in case.notices if notice.code == "POSITION_DOUBT"]
    assert notice.text.startswith("The PET's file gives two positions up to 52 mm apart")
    assert case.pet.geometry.origin_mm == pytest.approx(case.ct.geometry.origin_mm)
