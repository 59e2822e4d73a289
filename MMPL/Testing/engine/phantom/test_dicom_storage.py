"""How PET and CT lie on disk: geometry, transfer syntaxes, order, tilt, multi-frame, conformance, determinism."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.pixels import get_encoder
from scipy.spatial.transform import Rotation

from mmpl.errors import InputError, OutputError
from mmpl.geometry import Geometry, Volume
from mmpl.phantom.dicom import (
    PET_VARIANTS,
    TRANSFER_SYNTAXES,
    Body,
    CtScan,
    Person,
    PetVariant,
    Storage,
    write_ct,
    write_pet,
)
from mmpl.phantom.dicom import files as files_module

OBLIQUE = tuple(map(tuple, Rotation.from_euler("xyz", (7.0, -11.0, 23.0), degrees=True).as_matrix()))
SAGITTAL = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
LEFT_HANDED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def _voxel(ds, row, column):
    """LPS position of a pixel by the image plane equation (PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, ds.PixelSpacing)
    return np.array(ds.ImagePositionPatient, float) + (
        along_row * between_columns * column + along_column * between_rows * row
    )


@pytest.mark.parametrize("direction", [OBLIQUE, SAGITTAL, LEFT_HANDED], ids=["oblique", "sagittal", "left-handed"])
def test_every_voxel_is_where_the_volume_has_it(tmp_path, small_suv, direction):
    volume = Volume(small_suv.array, replace(small_suv.geometry, direction=direction))
    for k, path in enumerate(write_pet(tmp_path, volume)):
        ds = pydicom.dcmread(path)
        for row, column in ((0, 0), (19, 0), (7, 23)):
            np.testing.assert_allclose(_voxel(ds, row, column), volume.geometry.physical((column, row, k)), atol=1e-5)


def test_ct_by_hand(tmp_path, small_ct):
    paths = write_ct(tmp_path, small_ct)
    assert [p.name for p in paths[:2]] == ["CT00001.dcm", "CT00002.dcm"]
    for k, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        np.testing.assert_array_equal(hu, small_ct.array[k])
        np.testing.assert_allclose(_voxel(ds, 3, 5), small_ct.geometry.physical((5, 3, k)), atol=1e-6)
        assert (ds.Modality, ds.RescaleType, float(ds.GantryDetectorTilt)) == ("CT", "HU", 0.0)


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize("multiframe", [False, True], ids=["slices", "multi-frame"])
def test_transfer_syntaxes_hold_the_same_voxels(tmp_path, small_suv, syntax, multiframe):
    """pydicom and, by another decoder, SimpleITK."""
    uid = TRANSFER_SYNTAXES[syntax]
    if pydicom.uid.UID(uid).is_compressed and syntax != "deflated" and not get_encoder(uid).is_available:
        pytest.skip(f"no encoder of {syntax} is installed")
    wide = np.tile(small_suv.array, (1, 2, 2))  # JPEG 2000 wants 32 pixels
    volume = Volume(wide, replace(small_suv.geometry, size=wide.shape[::-1]))
    plain = write_pet(tmp_path / "plain", volume, storage=Storage(multiframe=multiframe))
    paths = write_pet(tmp_path / "other", volume, storage=Storage(syntax, multiframe=multiframe))
    for path, reference in zip(paths, plain, strict=True):
        ds, expected = pydicom.dcmread(path), pydicom.dcmread(reference)
        assert ds.file_meta.TransferSyntaxUID == uid
        np.testing.assert_array_equal(ds.pixel_array, expected.pixel_array)
        reads = [sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (path, reference)]
        np.testing.assert_array_equal(*reads)


@pytest.mark.parametrize("syntax", ["RLE", "deflated"])
def test_compressed_ct(tmp_path, small_ct, syntax):
    paths = write_ct(tmp_path, small_ct, Storage(syntax))
    image = sitk.ReadImage([str(p) for p in paths])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), small_ct.array)


def test_simpleitk_finds_slope_and_geometry(tmp_path, small_suv):
    """Its own reader on one series: positions, spacing, and each slice's slope."""
    paths = write_pet(tmp_path, small_suv, PetVariant(units="GML"))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(names, sitk.sitkFloat64)
    assert len(names) == len(paths)
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(image), small_suv.array, atol=1.01 * small_suv.array.max() / 65534
    )
    np.testing.assert_allclose(image.GetSpacing(), small_suv.geometry.spacing_mm, atol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), small_suv.geometry.origin_mm, atol=1e-6)


def test_shuffled_names_and_numbers_say_nothing_of_position(tmp_path, small_suv):
    paths = write_pet(tmp_path, small_suv, storage=Storage(shuffled=True))
    z = [float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in paths]
    assert z == sorted(z)
    names = [p.name for p in paths]
    numbers = [int(pydicom.dcmread(p).InstanceNumber) for p in paths]
    assert names != sorted(names)
    assert sorted(numbers) == list(range(1, 13))
    assert numbers != sorted(numbers)


def test_extra_object_is_no_image(tmp_path, small_suv):
    paths = write_pet(tmp_path, small_suv, storage=Storage(extra_object=True))
    (extra,) = set(tmp_path.iterdir()) - set(paths)
    ds, image = pydicom.dcmread(extra), pydicom.dcmread(paths[0])
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66"
    assert (ds.Modality, "PixelData" in ds) == ("PT", False)
    assert ds.StudyInstanceUID == image.StudyInstanceUID
    assert ds.SeriesInstanceUID != image.SeriesInstanceUID


def test_enhanced_pet_has_its_places_per_frame(tmp_path, small_suv):
    volume = Volume(small_suv.array, replace(small_suv.geometry, direction=OBLIQUE))
    (path,) = write_pet(tmp_path, volume, storage=Storage(multiframe=True))
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.130"
    assert ds.NumberOfFrames == 12
    shared = ds.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(orientation, [*np.array(OBLIQUE)[:, 0], *np.array(OBLIQUE)[:, 1]], atol=1e-8)
    assert list(map(float, shared.PixelMeasuresSequence[0].PixelSpacing)) == [4.05, 4.07]
    for k, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, volume.geometry.physical((0, 0, k)), atol=1e-5)
    assert not ds.private_creators(0x7053)
    assert "Units" not in ds


@pytest.mark.parametrize("tilt_deg", [-17.5, 12.0])
def test_tilted_ct_holds_the_same_hu_at_the_same_place(tmp_path, tilt_deg):
    """Linear interpolation is exact on HU that change linearly: every pixel must hold its own place's value."""
    geometry = Geometry((24, 20, 30), (1.5, 1.5, 2.0), (-17.0, -14.0, -400.0))
    k, j, i = np.mgrid[:30, :20, :24]
    lps = geometry.physical(np.stack([i, j, k], axis=-1))
    gradient, offset = np.array([4.0, -7.0, 3.0]), 1200.0
    ct = Volume(lps @ gradient + offset, geometry)
    slices = [pydicom.dcmread(p) for p in write_ct(tmp_path, ct, Storage(tilt_deg=tilt_deg))]
    compared = 0
    for ds in slices:
        assert float(ds.GantryDetectorTilt) == tilt_deg
        hu = ds.pixel_array + float(ds.RescaleIntercept)
        for row, column in ((0, 0), (10, 12), (19, 23)):
            place = _voxel(ds, row, column)
            index = geometry.index(place)
            if np.all(index > 0) and np.all(index < np.array(geometry.size) - 1):
                assert hu[row, column] == pytest.approx(place @ gradient + offset, abs=0.51)
                compared += 1
            elif np.any(index < -0.01) or np.any(index > np.array(geometry.size) - 0.99):
                assert hu[row, column] == -1024
    assert compared > 25
    positions = np.array([ds.ImagePositionPatient for ds in slices], float)
    np.testing.assert_allclose(np.diff(positions, axis=0), [[0.0, 0.0, 2.0]] * 29, atol=1e-6)
    along_row, along_column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    cosine = np.cross(along_row, along_column) @ [0.0, 0.0, 1.0]
    assert np.degrees(np.arccos(cosine)) == pytest.approx(abs(tilt_deg), abs=1e-5)


def test_ct_and_pet_share_study_and_space_unless_told_otherwise(tmp_path, small_ct, small_suv):
    ct = pydicom.dcmread(write_ct(tmp_path / "ct", small_ct)[0])
    pet = pydicom.dcmread(write_pet(tmp_path / "pet", small_suv)[0])
    assert ct.StudyInstanceUID == pet.StudyInstanceUID
    assert ct.FrameOfReferenceUID == pet.FrameOfReferenceUID
    assert (ct.StudyDate, ct.StudyTime) == (pet.StudyDate, pet.StudyTime)
    assert (
        (str(ct.PatientName), ct.PatientID) == (str(pet.PatientName), pet.PatientID) == ("Phantom^PHA-0001", "PHA-0001")
    )
    own = pydicom.dcmread(write_pet(tmp_path / "own", small_suv, frame_of_reference="2.25.7")[0])
    assert own.FrameOfReferenceUID == "2.25.7"
    other = pydicom.dcmread(write_pet(tmp_path / "other", small_suv, person=Person(seed=1))[0])
    assert other.StudyInstanceUID != pet.StudyInstanceUID


def test_same_arguments_give_the_same_bytes(tmp_path, small_suv, small_ct):
    storage = Storage("RLE", shuffled=True, extra_object=True)
    for folder in ("a", "b"):
        write_pet(tmp_path / folder, small_suv, PET_VARIANTS["five beds"], storage)
        write_ct(tmp_path / folder, small_ct, storage)
    one, other = (sorted((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    assert len(one) == 26
    assert [p.name for p in one] == [p.name for p in other]
    assert all(p.read_bytes() == q.read_bytes() for p, q in zip(one, other, strict=True))


def test_uids_are_unique_valid_and_follow_the_content(tmp_path, small_suv):
    ones = [pydicom.dcmread(p) for p in write_pet(tmp_path / "a", small_suv)]
    brighter = pydicom.dcmread(write_pet(tmp_path / "b", small_suv.with_array(small_suv.array * 2))[0])
    slower = pydicom.dcmread(write_pet(tmp_path / "c", small_suv, PET_VARIANTS["five beds"])[0])
    uids = [ds.SOPInstanceUID for ds in ones] + [ds.SeriesInstanceUID for ds in (ones[0], brighter, slower)]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") and pydicom.uid.UID(uid).is_valid for uid in uids)


DCIODVFY = shutil.which("dciodvfy")


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("storage", [Storage(), Storage("implicit"), Storage("RLE"), Storage(multiframe=True)])
@pytest.mark.parametrize("name", ["plain", "not decay-corrected, five beds", "SUV by weight", "GE scan time"])
def test_pet_files_conform(tmp_path, small_suv, name, storage):
    assert _errors(write_pet(tmp_path, small_suv, PET_VARIANTS[name], storage)[0]) == []


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (dicom3tools) is not installed")
def test_other_files_conform(tmp_path, small_suv, small_ct):
    ct = write_ct(tmp_path, small_ct, Storage(tilt_deg=8.0, extra_object=True))
    counts = write_pet(tmp_path, small_suv, PET_VARIANTS["Philips counts, both factors"], Storage(extra_object=True))
    for path in (ct[0], counts[0], tmp_path / "PTRAW.dcm", tmp_path / "CTRAW.dcm"):
        assert _errors(path) == []


def _errors(path):
    ran = subprocess.run([DCIODVFY, "-new", str(path)], capture_output=True, text=True)
    lines = (ran.stdout + ran.stderr).splitlines()
    assert lines  # it names the kind of object it took the file for
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"units": "SUV"}, "PET variant with units 'SUV': there are BQML, CNTS, GML, CM2ML"),
        ({"suv_type": "LBM"}, "in BQML with SUV type LBM: it takes none"),
        ({"units": "GML", "suv_type": "BSA"}, "it takes BW, LBM, LBMJAMES128, LBMJANMA, IBW"),
        ({"units": "GML", "suv_type": "IBW", "body": Body(sex="O")}, "its formula knows M and F only"),
        ({"units": "GML", "decay_correction": "NONE"}, "an SUV always has it"),
        ({"philips_factors": "suv"}, "they belong to CNTS"),
        ({"frame_s": ()}, "more than 0 s"),
        ({"frame_s": (180.0, -1.0)}, "more than 0 s"),
        ({"uptake_s": -1.0}, "none may be negative"),
        ({"timezone": "UTC"}, "write it as \\+0100"),
        ({"injection_timezone": "+0100"}, "give timezone too"),
        ({"dose_bq": 352.0}, "give 1e5 to 1e11 Bq"),
        ({"omitted": ("PatientID",)}, "PET variant without PatientID"),
        ({"corrected_image": ("decay",)}, "write terms such as"),
    ],
)
def test_impossible_variants_are_refused(changes, said):
    with pytest.raises(InputError, match=said):
        PetVariant(**changes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Storage("JPEG"), "transfer syntax 'JPEG': there are explicit"),
        (lambda: Storage(tilt_deg=45.0), "CT gantries tilt up to 30"),
        (lambda: Body(weight_kg=76000.0), "units cannot be mistaken"),
        (lambda: Body(height_m=174.0), "units cannot be mistaken"),
        (lambda: Body(sex="m"), "DICOM writes M, F, O"),
        (lambda: Person(""), "1 to 50 plain characters"),
        (lambda: Person(born=PetVariant().injected_at.date().replace(year=2030)), "the birth comes first"),
    ],
)
def test_impossible_settings_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize(
    ("variant", "storage", "said"),
    [
        (PetVariant(), Storage(tilt_deg=5.0), "only a CT's gantry tilts"),
        (PetVariant(frame_s=(60.0,) * 13), Storage(), "13 beds on 12 slices"),
        (PetVariant(), Storage("JPEG 2000"), "24 x 20 pixels as JPEG 2000: its encoder needs 32"),
        (PetVariant(units="CNTS"), Storage(multiframe=True), "Enhanced PET in CNTS: DICOM has no code"),
        (PetVariant(injection="time"), Storage(multiframe=True), "the standard has no such object"),
    ],
)
def test_impossible_pets_are_refused(tmp_path, small_suv, variant, storage, said):
    with pytest.raises(InputError, match=said):
        write_pet(tmp_path / "pet", small_suv, variant, storage)


def test_voxels_that_dicom_cannot_hold_are_refused(tmp_path, small_suv, small_ct):
    broken = small_suv.array.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="voxels that are not finite"):
        write_pet(tmp_path, small_suv.with_array(broken))
    with pytest.raises(InputError, match="give -1024 to 31743"):
        write_ct(tmp_path, small_ct.with_array(small_ct.array - np.int16(2000)))
    with pytest.raises(InputError, match="multi-frame CT"):
        write_ct(tmp_path, small_ct, Storage(multiframe=True))


def test_missing_encoder_is_said(tmp_path, small_suv, monkeypatch):
    class NoEncoder:
        is_available = False

    monkeypatch.setattr(files_module, "get_encoder", lambda uid: NoEncoder())
    with pytest.raises(InputError, match="transfer syntax JPEG-LS: pydicom has no encoder for it here; install"):
        write_pet(tmp_path, small_suv, storage=Storage("JPEG-LS"))


def test_a_file_where_the_folder_goes(tmp_path, small_ct):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="the DICOM series cannot be written"):
        write_ct(tmp_path / "taken", small_ct, scan=CtScan(timezone="+0200"))
