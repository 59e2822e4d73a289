"""What lies in a folder: series, other objects, damaged files."""

from __future__ import annotations

import pytest

from mmpl.errors import InputError
from mmpl.io.dicom.series import list_series
from mmpl.phantom.dicom import Person, PetVariant, Storage, write_ct, write_pet


@pytest.fixture
def study(tmp_path, small_ct, small_suv):
    """Writes the CT and the PET of one person into folders of one folder."""
    write_ct(tmp_path / "study" / "a" / "ct", small_ct)
    write_pet(tmp_path / "study" / "b", small_suv, PetVariant())
    return tmp_path / "study"


def test_nested_folders_give_every_series(study):
    listing = list_series(study)
    assert [(s.kind, s.number, s.description, len(s.slices)) for s in listing.series] == [
        ("CT", "1", "CT of an MMPL phantom", 12),
        ("PET", "2", "PET of an MMPL phantom", 12),
    ]
    assert (listing.others, listing.unreadable, listing.damaged) == ({}, 0, 0)
    assert listing.series[1].name == 'series 2, "PET of an MMPL phantom", 12 images of 24 x 20'


def test_a_list_of_files_and_a_single_file_are_looked_through(study):
    files = sorted(study.rglob("PT*.dcm"))
    (series,) = list_series(files).series
    assert (series.kind, len(series.slices)) == ("PET", 12)
    (series,) = list_series(files[3]).series
    assert len(series.slices) == 1


def test_what_does_not_exist_is_said(tmp_path, study):
    with pytest.raises(InputError, match="nowhere does not exist: check the path"):
        list_series(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"gone\.dcm is no file: check the list of DICOM files"):
        list_series([*study.rglob("*.dcm"), tmp_path / "gone.dcm"])


def test_other_objects_are_counted_by_kind(tmp_path, small_suv, every):
    write_pet(tmp_path, small_suv, None, Storage(extra_object=True))
    paths = write_pet(tmp_path / "mr", small_suv, None, None, Person("OTHER"))
    for path in paths[:2]:
        every([path], SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR", SeriesInstanceUID="1.2.3")
    listing = list_series(tmp_path)
    assert listing.others == {"MR": 2, "PT": 1}
    assert sorted(len(s.slices) for s in listing.series) == [10, 12]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_modality_that_is_no_word_is_not_repeated(tmp_path, small_suv, every):
    for path in write_pet(tmp_path, small_suv):
        every([path], SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="PHANTOM^PHA-0001")
    assert list_series(tmp_path).others == {"unknown": 12}


def test_an_object_of_another_class_in_the_series_is_remarked(tmp_path, small_suv, every):
    last = write_pet(tmp_path, small_suv)[-1]
    every([last], SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    (series,) = list_series(tmp_path).series
    assert series.strays == {"objects of another kind": 1}


def test_damaged_files_are_told_from_other_files(tmp_path, small_suv, dicom_faults):
    paths = write_pet(tmp_path, small_suv)
    dicom_faults.empty_file(paths)
    (tmp_path / "readme.txt").write_text("Exported.", encoding="utf-8")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    listing = list_series(tmp_path)
    assert (listing.unreadable, listing.damaged) == (3, 1)
    assert "3 files that are no DICOM, or damaged" in listing.text()
    paths[0].write_bytes(paths[0].read_bytes()[:180])
    paths[1].rename(tmp_path / "IM1").write_bytes(b"\0" * 128 + b"DICM")
    assert list_series(tmp_path).damaged == 3


def test_a_deflated_file_that_ends_early_is_damaged(tmp_path, small_suv):
    path = write_pet(tmp_path, small_suv, None, Storage("deflated"))[4]
    path.write_bytes(path.read_bytes()[:-200])
    assert list_series(tmp_path).damaged == 1


@pytest.mark.parametrize(
    "values", [{"ImageOrientationPatient": None}, {"SOPClassUID": "1.2.840.10008.5.1R4.1.1.2"}, {"SOPClassUID": "1"}]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_doubly_damaged_image_that_left_its_series_is_damaged(tmp_path, small_ct, values, every):
    every([write_ct(tmp_path, small_ct)[-1]], SeriesInstanceUID="1.2.3", **values)
    assert list_series(tmp_path).damaged == (0 if values == {"SOPClassUID": "1"} else 1)  # "1" is a class, of somebody


def test_an_empty_folder_holds_nothing(tmp_path):
    assert list_series(tmp_path).text() == "nothing"


def test_directions_that_differ_by_rounding_are_of_one_series(tmp_path, small_suv, every):
    """Half of them one way over a border of rounding: two series of one number, and neither could be chosen."""
    paths = write_pet(tmp_path, small_suv)
    for part, tilt in ((paths[::2], 0.00050001), (paths[1::2], 0.00049999)):
        every(part, ImageOrientationPatient=[1, tilt, 0, -tilt, 1, 0])
    (one,) = list_series(tmp_path).series
    assert (len(one.slices), one.strays) == (len(paths), {})


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"ImagePositionPatient": None}, "images without a position or orientation"),
        ({"ImageOrientationPatient": [1, 0, 0]}, "images without a position or orientation"),
        ({"PixelSpacing": None}, "images without a pixel spacing"),
        ({"PixelSpacing": [0, 4]}, "images without a pixel spacing"),
        ({"Rows": 0}, "images without a size"),
        ({"NumberOfFrames": 3}, "multi-frame objects whose frames are not described"),
        ({"Rows": 18}, "images of another size or orientation"),
    ],
)
def test_an_image_that_does_not_fit_is_counted(tmp_path, small_suv, values, what, every):
    every([write_pet(tmp_path, small_suv)[-1]], **values)
    (series,) = list_series(tmp_path).series
    assert series.strays == {what: 1}
    assert len(series.slices) == 11
    assert f"1 {what}" in list_series(tmp_path).text()


def test_two_stacks_of_one_series_are_two(tmp_path, small_suv, every):
    for path in write_pet(tmp_path, small_suv)[:5]:
        every([path], ImageOrientationPatient=[0, 1, 0, 0, 0, 1])
    assert [len(s.slices) for s in list_series(tmp_path).series] == [7, 5]


@pytest.mark.parametrize("values", [{"PatientID": "OTHER"}, {"FrameOfReferenceUID": "1.2.3"}])
def test_a_series_of_two_patients_or_spaces_is_marked(tmp_path, small_suv, values, every):
    every([write_pet(tmp_path, small_suv)[5]], **values)
    (series,) = list_series(tmp_path).series
    assert "patients or frames of reference in one series" in series.strays


def test_two_names_without_an_id_are_two_patients(tmp_path, small_suv, every):
    paths = write_pet(tmp_path, small_suv)
    for path in paths:
        every([path], PatientID="")
    assert list_series(tmp_path).series[0].strays == {}
    every([paths[5]], PatientName="Another^One")
    assert list_series(tmp_path).series[0].strays == {"patients or frames of reference in one series": 2}


def test_an_image_without_an_id_is_no_other_patients(tmp_path, small_suv, every):
    every([write_pet(tmp_path, small_suv)[5]], PatientID="")
    assert list_series(tmp_path).series[0].strays == {}


def test_the_table_has_one_patient_where_an_image_lacks_the_id(tmp_path, small_ct, small_suv, every):
    write_ct(tmp_path, small_ct)
    for path in write_pet(tmp_path, small_suv):
        every([path], PatientID="")
    assert list_series(tmp_path).text().count("patient 1, study 1, frame of reference 1") == 2


def test_localisers_and_uncorrected_pets_are_marked(tmp_path, small_ct, small_suv, every):
    for path in write_ct(tmp_path, small_ct):
        every([path], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_pet(tmp_path, small_suv, PetVariant(corrected_image=("DECY", "SCAT")))
    ct, pet = list_series(tmp_path).series
    assert (ct.scout, pet.scout) == (True, False)
    assert (ct.attenuation_corrected, pet.attenuation_corrected) == (True, False)
    said = list_series(tmp_path).text()
    assert "localiser" in said
    assert "not corrected for attenuation" in said


def test_the_table_numbers_patients_and_names_none(tmp_path, small_ct, small_suv):
    write_ct(tmp_path, small_ct, person=Person("SECRET-1"))
    write_pet(tmp_path, small_suv, person=Person("SECRET-2"))
    listing = list_series(tmp_path)
    assert "patient 1, study 1, frame of reference 1" in listing.text()
    assert "patient 2, study 2, frame of reference 2" in listing.text()
    for one in listing.series:
        for secret in (one.patient.id, one.patient.name, one.uid, one.study_uid, one.frame_of_reference):
            assert secret
            assert secret not in listing.text()
