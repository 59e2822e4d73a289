"""Which series is meant, and whether a CT and a PET belong together."""

from __future__ import annotations

from dataclasses import replace

import pydicom
import pytest

from mmpl.errors import InputError
from mmpl.io.dicom.choose import check_pair, choose, choose_pair
from mmpl.io.dicom.series import list_series
from mmpl.phantom.dicom import Person, PetVariant, write_ct, write_pet


def renamed(paths, **values):
    for path in paths:
        ds = pydicom.dcmread(path)
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.save_as(path)


def said(call) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def two_pets(tmp_path, small_suv):
    """Two corrected PETs of one person: series 2, "PET of an MMPL phantom", and series 7, "FDG late"."""
    write_pet(tmp_path / "one", small_suv)
    late = write_pet(tmp_path / "two", small_suv, PetVariant(uptake_s=7000.0))
    renamed(late, SeriesNumber=7, SeriesDescription="FDG late")
    return tmp_path


@pytest.fixture
def pair(tmp_path, small_ct, small_suv):
    write_ct(tmp_path / "ct", small_ct)
    write_pet(tmp_path / "pt", small_suv)
    return tmp_path


def a_series(folder, kind):
    (series,) = list_series(folder).of(kind)
    return series


# --- one of several ------------------------------------------------------------------------------------


def test_several_are_named_and_none_is_guessed(two_pets):
    message = said(lambda: choose(list_series(two_pets), "PET", "folder"))
    assert message.startswith("PET folder holds 2 PET series: choose one with --pt-series NUMBER")
    assert 'series 2, "PET of an MMPL phantom", 12 images of 24 x 20; series 7, "FDG late"' in message


@pytest.mark.parametrize("wanted", ["7", "fdg", "FDG late"])
def test_one_is_chosen_by_number_or_description(two_pets, wanted):
    series, notices = choose(list_series(two_pets), "PET", "folder", wanted)
    assert (series.number, notices) == ("7", ())


def test_one_is_chosen_by_uid(two_pets):
    listing = list_series(two_pets)
    wanted = listing.series[1]
    assert choose(listing, "PET", "folder", wanted.uid)[0] is wanted


def test_a_wish_that_fits_none_or_several_is_refused(two_pets):
    listing = list_series(two_pets)
    assert said(lambda: choose(listing, "PET", "folder", "9")).startswith("PET folder holds no series '9': found ")
    renamed(sorted((two_pets / "one").iterdir()), SeriesDescription="FDG early")
    listing = list_series(two_pets)
    assert said(lambda: choose(listing, "PET", "folder", "FDG")).startswith("PET folder holds 2 series 'FDG': found ")


def test_where_there_is_none_it_is_said_what_there_is(pair):
    message = said(lambda: choose(list_series(pair / "ct"), "PET", "folder"))
    assert message == (
        'PET folder holds no PET images: found CT: series 1, "CT of an MMPL phantom", 12 images of 24 x 20'
    )
    (pair / "empty").mkdir()
    assert "it is empty" in said(lambda: choose(list_series(pair / "empty"), "CT", "folder"))


def test_a_pet_without_attenuation_correction_is_passed_over_and_that_is_said(tmp_path, small_suv):
    write_pet(tmp_path / "ac", small_suv)
    write_pet(tmp_path / "nac", small_suv, PetVariant(corrected_image=("DECY", "RAN")))
    series, (notice,) = choose(list_series(tmp_path), "PET", "folder")
    assert series.attenuation_corrected
    assert (notice.code, notice.text) == (
        "DICOM_SERIES",
        "PET: 1 series without attenuation correction was passed over.",
    )
    alone, notices = choose(list_series(tmp_path / "nac"), "PET", "folder")
    assert (alone.attenuation_corrected, notices) == (False, ())


def test_localisers_and_single_images_are_no_series_where_there_is_another(tmp_path, small_ct):
    renamed(write_ct(tmp_path / "ct", small_ct), SeriesNumber=4)
    scout = write_ct(tmp_path / "scout", small_ct, person=Person(seed=1))
    renamed(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    series, notices = choose(list_series(tmp_path), "CT", "folder")
    assert (series.number, notices) == ("4", ())


def test_an_end_slice_that_left_its_series_is_noticed(tmp_path, small_suv):
    renamed(write_pet(tmp_path, small_suv)[-1:], SeriesInstanceUID="1.2.3")
    series, (notice,) = choose(list_series(tmp_path), "PET", "folder")
    assert len(series.slices) == 11
    assert notice.text == (
        "PET: a series of a single image was passed over: look whether slices are missing at an end."
    )


def test_damaged_files_are_noticed_once_a_pair(pair):
    last = sorted((pair / "pt").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:200])
    expected = "1 DICOM file is damaged and left out: look whether slices are missing at an end."
    assert [n.text for n in choose_pair(pair, pair)[2]] == [expected]
    assert [n.text for n in choose_pair(pair / "ct", pair / "pt")[2]] == [expected]


# --- pairs ---------------------------------------------------------------------------------------------


def test_a_pair_of_one_visit_is_taken_without_a_word(pair):
    ct, pet, notices = choose_pair(pair, pair)
    assert (ct.kind, pet.kind, notices) == ("CT", "PET", ())


def test_of_two_cts_that_of_the_pets_frame_of_reference_is_taken(pair, small_ct):
    other = write_ct(pair / "diagnostic", small_ct, frame_of_reference="1.2.3.4")
    renamed(other, SeriesNumber=9)
    ct, _, (notice,) = choose_pair(pair, pair)
    assert ct.number == "1"
    assert notice.text == "CT: of 2 series, 1 of another frame of reference than the PET's were passed over."
    message = said(lambda: choose_pair(pair, pair, ct_wanted="9"))
    assert "they have different frames of reference, so that nothing says how they lie to each other" in message
    assert message.endswith("choose others, or use them anyway with --any-pair")


def test_of_two_cts_of_the_pets_frame_of_reference_none_is_taken(pair, small_ct):
    write_ct(pair / "second", small_ct.with_array(small_ct.array[::-1]))
    assert "holds 2 CT series: choose one with --ct-series NUMBER" in said(lambda: choose_pair(pair, pair))


def test_another_patient_is_refused_and_with_any_pair_noticed(pair, small_suv):
    write_pet(pair / "stranger", small_suv, person=Person("PHA-0009"))
    message = said(lambda: choose_pair(pair / "ct", pair / "stranger"))
    assert "do not belong together: they are of different patients and they have different frames" in message
    assert "PHA-0009" not in message
    _, _, notices = choose_pair(pair / "ct", pair / "stranger", any_pair=True)
    assert [n.code for n in notices] == ["DICOM_PAIR"] * 3
    assert notices[0].text == "CT and PET were used together although they are of different patients."


def test_of_one_name_is_one_patient_where_an_id_is_missing(pair):
    renamed((pair / "pt").iterdir(), PatientID="")
    assert choose_pair(pair / "ct", pair / "pt")[2] == ()
    renamed((pair / "pt").iterdir(), PatientName="Another^One")
    assert "they are of different patients" in said(lambda: choose_pair(pair / "ct", pair / "pt"))


def test_another_study_and_a_missing_frame_of_reference_are_noticed(pair):
    ct, pet = a_series(pair, "CT"), a_series(pair, "PET")
    (notice,) = check_pair(ct, replace(pet, study_uid="1.2.3"))
    assert notice.text == "CT and PET are of different studies: look whether they are of one session."
    (notice,) = check_pair(replace(ct, frame_of_reference=""), pet)
    assert notice.text == "CT or PET has no frame of reference: look whether they lie on each other."


def test_files_may_be_given_instead_of_folders(pair):
    files = sorted((pair / "ct").iterdir())
    ct, _, _ = choose_pair(files, pair / "pt")
    assert len(ct.slices) == 12
    assert "the list of files holds no CT images" in said(lambda: choose_pair(files[:0], pair / "pt"))
