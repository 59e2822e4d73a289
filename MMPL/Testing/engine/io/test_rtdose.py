"""RTDOSE: values and positions by hand, and what is refused or named."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from mmpl.errors import GeometryError, InputError
from mmpl.io.dicom.rtdose import read_rtdose

STORED = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5) + 1000
FRAME = "1.2.826.0.1.77"


@pytest.fixture
def write_rtdose(tmp_path):
    """Writes a dose and returns the path; keywords replace attributes, None takes one away."""

    def write(stored=STORED, compress=None, **changes):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.2"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.1"
        data.Modality, data.FrameOfReferenceUID = "RTDOSE", FRAME
        data.DoseUnits, data.DoseType, data.DoseSummationType = "GY", "PHYSICAL", "PLAN"
        data.DoseGridScaling = "0.01"
        data.ImagePositionPatient, data.ImageOrientationPatient = [-10, -20, -30], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing = [2, 3]  # between rows, between columns
        data.GridFrameOffsetVector = [2.5 * k for k in range(len(stored))]
        data.NumberOfFrames = len(stored)
        data.Rows, data.Columns = stored.shape[-2:]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
        data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
        data.PixelData = stored.tobytes()
        for keyword, value in changes.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)
        if compress is not None:
            data.compress(compress, generate_instance_uid=False)
        path = tmp_path / "dose.dcm"
        data.save_as(path, enforce_file_format=True)
        return path

    return write


def position(volume, i, j, k):
    return tuple(np.round(volume.geometry.physical((i, j, k)), 6))


@pytest.mark.parametrize(
    "compress", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=["RLE", "JPEG-LS", "JPEG 2000"]
)
def test_compressed_doses_are_decoded(write_rtdose, compress):
    stored = np.tile(STORED, (1, 16, 16))
    volume, _ = read_rtdose(write_rtdose(stored, compress=compress))
    np.testing.assert_allclose(volume.array, stored * 0.01, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_dose_is_stored_value_times_scaling(write_rtdose, dtype):
    volume, info = read_rtdose(write_rtdose(STORED.astype(dtype)))
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, STORED * 0.01, rtol=1e-6)
    assert volume.geometry.size == (5, 4, 3)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (3, 2, 2.5))
    assert position(volume, 0, 0, 0) == (-10, -20, -30)
    assert position(volume, 1, 1, 1) == (-7, -18, -27.5)
    assert (info.frame_of_reference_uid, info.summation_type, info.dose_type) == (FRAME, "PLAN", "PHYSICAL")
    assert info.notices == ()


def test_32_bit_values_beyond_16_bits(write_rtdose):
    volume, _ = read_rtdose(write_rtdose(STORED.astype(np.uint32) * 1_000_000, DoseGridScaling="1e-8"))
    np.testing.assert_allclose(volume.array, STORED * 0.01, rtol=1e-6)


OFFSETS = {  # stored offsets, z of each stored plane
    "relative, rising": ([0, 2.5, 5], (-30, -27.5, -25)),
    "relative, falling": ([0, -2.5, -5], (-30, -32.5, -35)),
    "absolute, rising": ([-30, -27.5, -25], (-30, -27.5, -25)),
    "absolute, falling": ([-30, -32.5, -35], (-30, -32.5, -35)),
}


@pytest.mark.parametrize(("offsets", "heights"), OFFSETS.values(), ids=OFFSETS)
def test_offsets_place_every_plane(write_rtdose, offsets, heights):
    volume, _ = read_rtdose(write_rtdose(GridFrameOffsetVector=offsets))
    for plane, z in zip(STORED, heights, strict=True):
        i, j, k = np.rint(volume.geometry.index((-10, -20, z))).astype(int)
        assert (i, j) == (0, 0)
        np.testing.assert_allclose(volume.array[k], plane * 0.01, rtol=1e-6)


@pytest.mark.parametrize("offsets", [[0, 2.5, 5], [-30, -32.5, -35]], ids=["relative", "absolute"])
def test_rows_that_run_to_the_left_have_a_normal_to_the_feet(write_rtdose, offsets):
    volume, _ = read_rtdose(write_rtdose(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0], GridFrameOffsetVector=offsets))
    assert position(volume, 1, 1, 1) == (-13, -18, -32.5)
    np.testing.assert_allclose(volume.array, STORED * 0.01, rtol=1e-6)


def test_an_oblique_dose(write_rtdose):
    volume, _ = read_rtdose(write_rtdose(ImageOrientationPatient=[0.6, 0.8, 0, 0, 0, -1]))
    assert position(volume, 1, 0, 0) == (-10 + 1.8, -20 + 2.4, -30)
    assert position(volume, 0, 1, 0) == (-10, -20, -32)
    assert position(volume, 0, 0, 1) == (-12, -18.5, -30)  # (0.6, 0.8, 0) x (0, 0, -1) = (-0.8, 0.6, 0)


def test_uneven_planes_become_even_by_linear_interpolation(write_rtdose):
    ramp = np.broadcast_to(np.array([10, 12, 18])[:, None, None] * 100, (3, 4, 5)).astype(np.uint16)
    volume, info = read_rtdose(write_rtdose(ramp, GridFrameOffsetVector=[0, 1, 4]))
    np.testing.assert_allclose(volume.array[:, 0, 0], [10, 12, 14, 16, 18], rtol=1e-6)
    assert volume.geometry.spacing_mm[2] == pytest.approx(1.0)
    (notice,) = info.notices
    assert notice.code == "DOSE_DOUBT"
    assert "1 to 3 mm apart; it was resampled to even planes" in notice.text


DOUBTS = {
    "a fraction": ({"DoseSummationType": "FRACTION"}, "sum of FRACTION (DoseSummationType), not of one whole plan"),
    "beams": ({"DoseSummationType": "BEAM"}, "sum of BEAM"),
    "sum unsaid": ({"DoseSummationType": None}, "sum of what it does not say"),
    "effective": ({"DoseType": "EFFECTIVE"}, "effective (weighted for biological effect), not physical"),
    "type unsaid": ({"DoseType": None}, "does not say whether it is physical or effective"),
    "little": ({"DoseGridScaling": "0.0005"}, "maximum is only 0.529 Gy"),
}


@pytest.mark.parametrize(("changes", "words"), DOUBTS.values(), ids=DOUBTS)
def test_doubts_are_said(write_rtdose, changes, words):
    (notice,) = read_rtdose(write_rtdose(**changes))[1].notices
    assert notice.code == "DOSE_DOUBT"
    assert words in notice.text


REFUSED = {
    "relative": ({"DoseUnits": "RELATIVE"}, "relative to a reference (DoseUnits), expected GY"),
    "units unsaid": ({"DoseUnits": None}, "in units that are not given"),
    "error": ({"DoseType": "ERROR"}, "of type ERROR, a difference and no dose"),
    "no scaling": ({"DoseGridScaling": None}, "what a stored value means (DoseGridScaling)"),
    "scaling 0": ({"DoseGridScaling": "0"}, "what a stored value means (DoseGridScaling)"),
    "cGy": ({"DoseGridScaling": "6"}, "maximum of 6354 Gy, expected at most 200: if it is in cGy (63.54 Gy)"),
    "zero": ({"stored": np.zeros((3, 4, 5), np.uint16)}, "is 0 everywhere"),
    "negative": ({"stored": STORED.astype(np.int16) - 1010}, "has negative values"),
    "one plane": ({"stored": STORED[:1]}, "a single plane"),
    "too few pixels": ({"PixelData": STORED.tobytes()[:50]}, "cannot be decoded"),
    "no pixels": ({"PixelData": None}, "cannot be decoded"),
    "another class": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "its modality is CT"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_dose_in_gy_is_refused(write_rtdose, changes, words):
    with pytest.raises(InputError) as caught:
        read_rtdose(write_rtdose(**changes))
    assert words in str(caught.value)
    assert str(caught.value).startswith("dose dose.dcm")


NOWHERE = {
    "no position": ({"ImagePositionPatient": None}, "where it lies"),
    "no orientation": ({"ImageOrientationPatient": None}, "how it is oriented"),
    "no spacing": ({"PixelSpacing": None}, "PixelSpacing"),
    "no offsets": ({"GridFrameOffsetVector": None}, "position of each of its 3 planes"),
    "too few offsets": ({"GridFrameOffsetVector": [0, 2]}, "position of each of its 3 planes"),
    "neither form": ({"GridFrameOffsetVector": [1, 2, 3]}, "begins neither with 0 nor"),
    "absolute and oblique": (
        {"GridFrameOffsetVector": [-30, -28, -26], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
        "begins neither with 0 nor",
    ),
    "out of order": ({"GridFrameOffsetVector": [0, 4, 2]}, "out of order or coincide"),
    "coinciding": ({"GridFrameOffsetVector": [0, 2, 2]}, "out of order or coincide"),
    "wildly uneven": ({"GridFrameOffsetVector": [0, 0.1, 50]}, "0.1 to 49.9 mm apart: export it on an even grid"),
    "skew axes": ({"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}, "not orthonormal"),
}


@pytest.mark.parametrize(("changes", "words"), NOWHERE.values(), ids=NOWHERE)
def test_a_dose_that_is_nowhere_is_refused(write_rtdose, changes, words):
    with pytest.raises(GeometryError, match=words.replace("(", r"\(")):
        read_rtdose(write_rtdose(**changes))


def test_files_that_are_none(write_rtdose, tmp_path):
    with pytest.raises(InputError, match=r"none\.dcm does not exist"):
        read_rtdose(tmp_path / "none.dcm")
    with pytest.raises(InputError, match="is a folder"):
        read_rtdose(tmp_path)
    (tmp_path / "notes.txt").write_text("not DICOM")
    with pytest.raises(InputError, match=r"notes\.txt is not a readable DICOM file"):
        read_rtdose(tmp_path / "notes.txt")


def test_half_a_file_is_refused(write_rtdose):
    path = write_rtdose()
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.8, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError):
            read_rtdose(path)
