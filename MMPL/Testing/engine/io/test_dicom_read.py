"""A series as a volume: what is said of it, its SUV in every way of writing it, and a real PET."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mmpl.case import PET_SUV
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_pet
from mmpl.io.dicom.choose import choose
from mmpl.io.dicom.headers import private, read_header, text
from mmpl.io.dicom.plausible import remarks_on_grid, remarks_on_values
from mmpl.io.dicom.read import read_series
from mmpl.io.dicom.series import list_series
from mmpl.io.suv import convert
from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, PET_VARIANTS, PetVariant, Storage, write_ct, write_pet

TOLERANCE = 0.001
REAL = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere")) / "pet_dicom" / "PET"


def read(folder, kind="PET"):
    return read_series(choose(list_series(folder), kind, "folder")[0], f"{kind} folder")


def texts(read) -> list[str]:
    return [notice.text for notice in read.notices]


@pytest.fixture(scope="module")
def few_slices():
    """As many slices as the variants have beds, and one."""
    suv = np.random.default_rng(3).gamma(1.5, 1.6, (6, 12, 14)).astype(np.float32)
    return Volume(suv, Geometry((14, 12, 6), (4.07, 4.05, 3.27), (-45.5, -312.25, -820.125)))


# --- SUV in every way of writing it --------------------------------------------------------------------


@pytest.mark.parametrize("name", PET_VARIANTS)
def test_the_suv_of_every_variant_is_found(tmp_path, few_slices, name):
    write_pet(tmp_path, few_slices, PET_VARIANTS[name])
    found = read(tmp_path)
    conversion = convert(found.header, found.frames)
    assert conversion.units == PET_SUV
    hot = few_slices.array > 1
    assert hot.sum() > 400
    error = conversion.apply(found.volume).array[hot] / few_slices.array[hot] - 1
    assert np.abs(error).max() < TOLERANCE
    assert found.volume.geometry.is_close(few_slices.geometry, 1e-4)
    assert found.notices == ()


@pytest.mark.parametrize("name", FAULTY_PET_VARIANTS)
def test_no_faulty_variant_gives_a_wrong_suv_without_a_doubt(tmp_path, few_slices, name):
    write_pet(tmp_path, few_slices, FAULTY_PET_VARIANTS[name])
    found = read(tmp_path)
    conversion = convert(found.header, found.frames)
    assert conversion.doubts
    assert all(doubt.endswith(".") and "\n" not in doubt for doubt in conversion.doubts)


@pytest.mark.parametrize(
    ("name", "factor_is_right"),
    [("dose in MBq", True), ("half-life and nuclide missing", True), ("no attenuation correction", True)],
)
def test_what_is_taken_with_a_doubt_is_the_likeliest(tmp_path, few_slices, name, factor_is_right):
    write_pet(tmp_path, few_slices, FAULTY_PET_VARIANTS[name])
    found = read(tmp_path)
    ratio = convert(found.header, found.frames).apply(found.volume).array.max() / few_slices.array.max()
    assert (abs(ratio - 1) < 0.002) == factor_is_right


@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
def test_a_multi_frame_object_gives_the_same_suv(tmp_path, few_slices, correction):
    variant = PetVariant(injection="datetime", decay_correction=correction, frame_s=(150.0, 120.0))
    write_pet(tmp_path, few_slices, variant, Storage(multiframe=True))
    found = read(tmp_path)
    suv = convert(found.header, found.frames).apply(found.volume)
    hot = few_slices.array > 1
    np.testing.assert_allclose(suv.array[hot], few_slices.array[hot], rtol=TOLERANCE)
    assert suv.geometry.is_close(few_slices.geometry, 1e-4)


def test_frames_without_a_time_of_their_own_do_not_take_the_objects(tmp_path, few_slices):
    # the object's time is that of its first frame: the second bed's decay would be wrong by 1.6 %
    variant = PetVariant(injection="datetime", decay_correction="NONE", frame_s=(150.0, 120.0))
    (path,) = write_pet(tmp_path, few_slices, variant, Storage(multiframe=True))
    ds = pydicom.dcmread(path)
    for groups in ds.PerFrameFunctionalGroupsSequence:
        del groups.FrameContentSequence[0].FrameAcquisitionDateTime
    ds.save_as(path)
    found = read(tmp_path)
    assert [frame.acquisition for frame in found.frames] == [None] * 6
    (doubt,) = convert(found.header, found.frames).doubts
    assert "A slice lacks its acquisition time" in doubt


# --- what is said --------------------------------------------------------------------------------------


def test_images_that_do_not_agree_are_named_by_what(tmp_path, few_slices, every):
    paths = write_pet(tmp_path, few_slices)
    every(paths[2:3], PatientWeight="90", Units="GML")
    every(paths[4:5], SeriesTime=None)
    assert texts(read(tmp_path)) == [
        "PET: its images do not agree on Units, PatientWeight, SeriesTime; those of the first image are used."
    ]


def test_the_header_is_that_of_the_earliest_image(tmp_path, few_slices):
    variant = PetVariant(frame_s=(150.0, 120.0, 90.0))
    for path in write_pet(tmp_path, few_slices, variant):
        ds = pydicom.dcmread(path)
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], -float(ds.ImagePositionPatient[2])]  # feet first
        ds.save_as(path)
    found = read(tmp_path)
    begun = [frame.acquisition.seconds for frame in found.frames]
    assert begun == sorted(begun, reverse=True)
    assert found.header["AcquisitionTime"] == "101455.000000"
    assert begun[-1] == 10 * 3600 + 14 * 60 + 55


def test_slices_missing_at_an_end_are_noticed_by_the_pets_own_count(tmp_path, few_slices):
    write_pet(tmp_path, few_slices)[-1].unlink()
    assert texts(read(tmp_path)) == ["PET: by its header (NumberOfSlices) it has 6 slices, 5 are there."]


@pytest.mark.parametrize("thickness", ["3.27", "2", "0", None])
def test_a_series_that_was_thinned_out_evenly_is_noticed(tmp_path, few_slices, every, thickness):
    """A CT does not say how many slices it has; its slices say how thick they are."""
    hu = few_slices.with_array(few_slices.array * 400 - 1000)
    kept = [path for n, path in enumerate(write_ct(tmp_path, hu)) if n % 2 or path.unlink()]
    every(kept, SliceThickness=thickness)
    said = texts(read(tmp_path, "CT"))
    if thickness in ("0", None):
        assert said == []
    else:
        assert said == [
            f"CT: its slices lie 6.54 mm apart and are {thickness} mm thick: look whether every second one is missing."
        ]


def test_what_was_left_out_is_said(tmp_path, few_slices, every):
    every(write_pet(tmp_path, few_slices)[:1], ImagePositionPatient=None, NumberOfSlices=5)
    every(sorted(tmp_path.iterdir()), NumberOfSlices=5)
    assert texts(read(tmp_path)) == ["PET: 1 images without a position or orientation left out."]


def test_two_patients_in_one_series_are_refused(tmp_path, few_slices, every):
    every(write_pet(tmp_path, few_slices)[:1], PatientID="OTHER-ONE")
    with pytest.raises(InputError, match="mixes patients or frames of reference") as caught:
        read(tmp_path)
    assert "OTHER-ONE" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("remove_slice", "slices are missing (steps of 3.27 to 6.54 mm): about 1"), ("space_unevenly", "unevenly spaced")],
)
def test_gaps_are_refused(tmp_path, small_suv, dicom_faults, fault, said):
    getattr(dicom_faults, fault)(write_pet(tmp_path, small_suv))
    with pytest.raises(GeometryError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_positions_that_are_all_alike_are_one_slice(tmp_path, few_slices, every):
    every(write_pet(tmp_path, few_slices), ImagePositionPatient=[0, 0, 0])
    with pytest.raises(InputError, match="is a single slice"):
        read(tmp_path)


# --- what a patient cannot be --------------------------------------------------------------------------

HEAD = Geometry((128, 128, 60), (4.0, 4.0, 3.0), (-256.0, -256.0, -900.0))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("PET", {}, []),
        ("CT", {"spacing_mm": (0.977, 0.977, 0.625)}, []),
        ("PET", {"spacing_mm": (0.4, 0.4, 3.0)}, ["voxels of 0.4 x 0.4 x 3 mm"]),
        ("PET", {"spacing_mm": (4.0, 4.0, 32.7)}, ["voxels of 4 x 4 x 32.7 mm"]),
        ("CT", {"spacing_mm": (9.77, 9.77, 2.0)}, ["voxels of 9.77 x 9.77 x 2 mm"]),
        ("PET", {"spacing_mm": (40.0, 40.0, 3.0)}, ["voxels of 40 x 40 x 3 mm", "it reaches over 5120 mm"]),
        ("CT", {"size": (512, 512, 1700), "spacing_mm": (1.0, 1.0, 2.0)}, ["it reaches over 3400 mm"]),
        ("PET", {"origin_mm": (0.0, 1e7, 0.0)}, ["it lies more than 10 m from the scanner's origin"]),
    ],
)
def test_a_grid_that_no_patient_fits_is_noticed(kind, changes, said):
    found = remarks_on_grid(replace(HEAD, **changes), kind)
    assert [words in text for words, text in zip(said, found, strict=True)] == [True] * len(said)
    assert all(text.startswith(f"{kind}: ") and text.endswith(".") for text in found)


def a_ct(array) -> Volume:
    array = np.asarray(array, np.float32)
    return Volume(array, Geometry(array.shape[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))


def test_exchanged_rows_and_columns_are_noticed():
    y, x = np.mgrid[:20, :28]
    sound = np.stack([100 * np.exp(-(((y - 9) / 4) ** 2) - ((x - 12) / 5) ** 2)] * 4)
    assert remarks_on_values(a_ct(sound), "PET", 0.0) == []
    (said,) = remarks_on_values(a_ct(sound.reshape(4, 28, 20)), "PET", 0.0)
    assert said == "PET: its rows and columns seem to be exchanged (Rows, Columns): look at the images."


def test_slices_beside_each_other_are_alike():
    steady = np.ones((9, 4, 4)) * np.array([0.01, 1, 1.2, 1.1, 5, 1, 1, 1, 0.01])[:, None, None]
    assert remarks_on_values(a_ct(steady), "PET", 0.0) == []
    black = steady.copy()
    black[3], black[6] = 0.0, 100.0
    (said,) = remarks_on_values(a_ct(black), "PET", 0.0)
    assert said == "PET: 2 of 9 slices, first slice 4, are far brighter or darker than their neighbours: look at them."


# --- values as they are written ------------------------------------------------------------------------


def test_private_values_are_found_by_their_creators_block(tmp_path, few_slices):
    path = write_pet(tmp_path, few_slices, PET_VARIANTS["Philips counts, SUV factor"])[0]
    ds = read_header(path)
    expected = text(ds, (0x7053 << 16) | 0x1000)
    assert float(expected) > 0
    assert private(ds, 0x7053, "Philips PET Private Group", 0x00) == expected
    assert private(ds, 0x7053, "Somebody", 0x00) == ""
    del ds[0x7053, 0x0010]  # as anonymisers leave it
    assert private(ds, 0x7053, "Philips PET Private Group", 0x00) == expected


def test_a_file_that_is_no_dicom_is_none(tmp_path):
    for number, content in enumerate((b"", b"text", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 40)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(content)
        assert read_header(path) is None


# --- a real PET ----------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="MMPL_TEST_DATA names no folder with pet_dicom/PET")
def test_a_real_pet_agrees_with_pydicom_alone_and_with_another_programs_factor():
    slices, mappings = [], []
    for path in sorted(REAL.iterdir()):
        ds = pydicom.dcmread(path)
        (slices if "PixelData" in ds else mappings).append(ds)
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    (mapping,) = mappings
    (by_weight,) = [
        item
        for one in mapping.ReferencedImageRealWorldValueMappingSequence
        for item in one.RealWorldValueMappingSequence
        if item.MeasurementUnitsCodeSequence[0].CodeValue == "{SUVbw}g/ml"
    ]
    # body weight over the activity that is left: 69 kg, 394.092 MBq at 12:28:00, scan at 13:28:02, half-life 6588 s
    tracer = slices[0].RadiopharmaceuticalInformationSequence[0]
    assert (slices[0].SeriesTime, tracer.RadiopharmaceuticalStartTime) == ("132802", "122800.00")
    waited_s = (13 - 12) * 3600 + (28 - 28) * 60 + 2
    left_bq = float(tracer.RadionuclideTotalDose) * 0.5 ** (waited_s / float(tracer.RadionuclideHalfLife))
    factor = float(slices[0].PatientWeight) * 1000.0 / left_bq
    assert factor == pytest.approx(float(by_weight.RealWorldValueSlope), rel=1e-4)
    assert factor == pytest.approx(0.000255764, rel=1e-4)

    found = read_pet(REAL)
    assert found.units == PET_SUV
    expected = np.stack([ds.pixel_array * float(ds.RescaleSlope) * factor for ds in slices])
    assert found.volume.array.shape == expected.shape == (234, 128, 128)
    np.testing.assert_allclose(found.volume.array, expected, rtol=1e-5)
    np.testing.assert_allclose(found.volume.geometry.physical((0, 0, 233)), slices[-1].ImagePositionPatient, atol=0.01)
    record = found.provenance["suv"]
    assert record["factor"] == pytest.approx(factor, rel=1e-6)
    assert record["values"] == pytest.approx(
        {
            "weight_kg": 69.0,
            "height_cm": 157.0,
            "injected_mbq": 394.092,
            "decay_min": waited_s / 60,
            "half_life_s": 6588,
        }
    )
    assert set(record["sources"]) == {"weight_kg", "height_cm", "sex", "injected_mbq", "decay_min", "half_life_s"}
    # the archive gives 234 of the 263 slices that the header speaks of; the factors' object is no image
    assert [n.text for n in found.notices] == ["PET: by its header (NumberOfSlices) it has 263 slices, 234 are there."]
    assert list_series(REAL).others == {"RWV": 1}
