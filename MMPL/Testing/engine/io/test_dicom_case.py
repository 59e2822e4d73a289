"""A case from DICOM folders and from files: SUV, provenance, notices, and nothing of the patient in any sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.errors import InputError, SuvError
from mmpl.geometry import image_from_volume
from mmpl.io.case import Reading, apply_conversion, read_case, read_pet
from mmpl.io.suv import Conversion, Typed
from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, PET_VARIANTS, Person, PetVariant, write_ct, write_pet

TYPED = Typed(weight_kg=76.0, injected_mbq=352.0, decay_min=3745 / 60)


@pytest.fixture
def pair(tmp_path, small_ct, small_suv):
    """Writes both and gives their folders."""

    def write(variant: PetVariant | None = None, person: Person | None = None):
        write_ct(tmp_path / "ct", small_ct, person=person)
        write_pet(tmp_path / "pt", small_suv, variant, person=person)
        return tmp_path / "ct", tmp_path / "pt"

    return write


@pytest.fixture
def bqml_file(tmp_path, small_suv):
    """The PET in Bq/mL as NIfTI: 352 MBq in 76 kg, of which 2 ** (-3745 / 6586.2) are left."""
    per_suv = 352e6 / 76e3 * 2 ** (-3745 / 6586.2)
    path = tmp_path / "pet.nii.gz"
    sitk.WriteImage(image_from_volume(small_suv.with_array(small_suv.array * np.float32(per_suv))), str(path))
    return path


@pytest.fixture
def ct_file(tmp_path, small_ct):
    sitk.WriteImage(image_from_volume(small_ct), str(tmp_path / "ct.nii.gz"))
    return tmp_path / "ct.nii.gz"


def assert_suv(volume, truth):
    np.testing.assert_allclose(volume.array, truth.array, rtol=0.001, atol=truth.array.max() / 60_000)
    assert volume.geometry.is_close(truth.geometry, 1e-3)


# --- DICOM ---------------------------------------------------------------------------------------------


def test_a_pair_becomes_a_case_in_suv_with_its_provenance(pair, small_ct, small_suv):
    ct, pt = pair()
    case = read_case("A", ct, pt, {"Age": 61})
    assert (case.pet_units, case.notices, case.clinical) == (PET_SUV, (), {"Age": 61})
    assert_suv(case.pet, small_suv)
    np.testing.assert_array_equal(case.ct.array, small_ct.array)
    assert [len(s.files) for s in (case.ct_source, case.pet_source)] == [12, 12]
    record = case.provenance["suv"]
    assert record["values"] == pytest.approx(
        {"weight_kg": 76, "height_cm": 174, "injected_mbq": 352, "decay_min": 3745 / 60, "half_life_s": 6586.2},
        rel=1e-4,
    )
    assert record["sources"]["decay_min"] == "RadiopharmaceuticalStartDateTime to SeriesTime"
    assert record["factor"] == pytest.approx(76e3 / (352e6 * 2 ** (-3745 / 6586.2)), rel=1e-4)
    assert case.provenance["pet_units"] == PET_SUV


def test_one_folder_may_hold_both(pair, small_suv):
    _, pt = pair()
    case = read_case("A", pt.parent, pt.parent)
    assert case.pet_units == PET_SUV
    assert_suv(case.pet, small_suv)


def test_typed_values_fill_what_a_header_lacks(pair, small_suv):
    ct, pt = pair(FAULTY_PET_VARIANTS["weight missing"])
    case = read_case("A", ct, pt)
    assert case.pet_units == PET_UNKNOWN
    assert case.notices[0].code == "PET_NOT_SUV"
    assert "it lacks the patient's weight (kg); type what is missing (--weight-kg" in case.notices[0].text
    typed = read_case("A", ct, pt, reading=Reading(typed=Typed(weight_kg=76.0)))
    assert (typed.pet_units, typed.notices) == (PET_SUV, ())
    assert_suv(typed.pet, small_suv)
    assert typed.provenance["suv"]["sources"]["weight_kg"] == "typed"


def test_a_typed_value_that_differs_from_the_header_is_said(pair, small_suv):
    ct, pt = pair()
    case = read_case("A", ct, pt, reading=Reading(typed=Typed(weight_kg=152.0)))
    (notice,) = case.notices
    assert notice.text == "SUV: The weight (kg) was typed as 152, the header says 76: the former is used."
    assert case.pet.array.max() == pytest.approx(2 * small_suv.array.max(), rel=0.001)


def test_of_several_series_one_is_chosen_by_the_reading(pair, small_suv, tmp_path):
    ct, pt = pair()
    for path in write_pet(pt / "late", small_suv.with_array(small_suv.array[::-1]), PetVariant(uptake_s=7000.0)):
        ds = pydicom.dcmread(path)
        ds.SeriesNumber = 8
        ds.save_as(path)
    with pytest.raises(InputError, match="holds 2 PET series"):
        read_case("A", ct, pt)
    case = read_case("A", ct, pt, reading=Reading(pt_series="8"))
    assert_suv(case.pet, small_suv.with_array(small_suv.array[::-1]))
    assert_suv(read_pet(pt, series="2").volume, small_suv)


def test_a_pet_alone_says_what_was_passed_over(pair, small_suv):
    _, pt = pair()
    write_pet(pt / "nac", small_suv.with_array(small_suv.array[::-1]), PetVariant(corrected_image=("DECY",)))
    found = read_pet(pt)
    assert found.units == PET_SUV
    assert [n.text for n in found.notices] == ["PET: 1 series without attenuation correction was passed over."]


def test_a_ct_folder_and_a_pet_file_go_together(pair, bqml_file, small_suv):
    ct, _ = pair()
    case = read_case("A", ct, bqml_file, reading=Reading(typed=TYPED))
    assert_suv(case.pet, small_suv)
    assert (case.ct_source is not None, case.pet_source) == (True, None)


def test_nothing_of_the_patient_is_in_any_sentence(pair, dicom_faults):
    person = Person("SECRET-ID")
    ct, pt = pair(FAULTY_PET_VARIANTS["no attenuation correction"], person)
    paths = sorted(pt.iterdir())
    dicom_faults.duplicate_slice(paths)
    case = read_case("A", ct, pt)
    said = [n.text for n in case.notices] + [repr(case.provenance)]
    assert len(case.notices) >= 2
    dicom_faults.truncate_pixels(paths)
    with pytest.raises(InputError) as caught:
        read_case("A", ct, pt)
    for text in (*said, str(caught.value)):
        for secret in ("SECRET", person.study_uid, person.frame_of_reference, "19630614", "20240305"):
            assert secret not in text


# --- files that say nothing ----------------------------------------------------------------------------


def test_typed_values_alone_convert_a_file_in_bqml(ct_file, bqml_file, small_suv):
    case = read_case("A", ct_file, bqml_file, reading=Reading(typed=TYPED))
    assert case.pet_units == PET_SUV
    assert_suv(case.pet, small_suv)
    assert case.provenance["suv"]["sources"] == {
        "weight_kg": "typed", "injected_mbq": "typed", "decay_min": "typed", "half_life_s": "fluorine-18, assumed"
    }  # fmt: skip


def test_without_typed_values_the_voxels_are_judged(ct_file, bqml_file):
    case = read_case("A", ct_file, bqml_file)
    assert case.pet_units == PET_UNKNOWN
    assert "judged" in case.provenance["rule"]


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (
            Reading(pet_units="bqml"),
            "to convert the PET from Bq/mL, the patient's weight (kg), the injected activity (MBq) and the time from "
            "injection to scan (min) is missing: type what is missing (--weight-kg, --injected-mbq, --decay-min)",
        ),
        (Reading(typed=Typed(weight_kg=70, decay_min=60)), "the injected activity (MBq) is missing"),
        (Reading(pet_units="suv", typed=TYPED), "have no place then"),
    ],
)
def test_what_is_typed_must_be_enough_and_fit(ct_file, bqml_file, reading, said):
    with pytest.raises(SuvError) as caught:
        read_case("A", ct_file, bqml_file, reading=reading)
    assert said in str(caught.value)


def test_a_file_that_is_said_to_be_suv_is_believed(ct_file, tmp_path, small_suv):
    sitk.WriteImage(image_from_volume(small_suv.with_array(small_suv.array * 60)), str(tmp_path / "hot.nii.gz"))
    assert read_case("A", ct_file, tmp_path / "hot.nii.gz").pet_units == PET_UNKNOWN
    case = read_case("A", ct_file, tmp_path / "hot.nii.gz", reading=Reading(pet_units="suv"))
    assert (case.pet_units, case.provenance["rule"]) == (PET_SUV, "stated to be body-weight SUV")


def test_a_series_can_be_chosen_only_of_a_folder(ct_file, bqml_file):
    with pytest.raises(InputError, match="is no DICOM folder: a series can be chosen only of one"):
        read_case("A", ct_file, bqml_file, reading=Reading(pt_series="2"))


# --- conversions ---------------------------------------------------------------------------------------


def test_a_result_that_is_no_suv_has_unknown_units(small_suv):
    pet, units, provenance, (notice,) = apply_conversion(small_suv, Conversion(PET_SUV, 1000.0, "a rule"))
    assert (units, notice.code) == (PET_UNKNOWN, "PET_NOT_SUV")
    assert notice.text.startswith("The PET was converted by a rule, but the result is no SUV (99.9th percentile ")
    assert "look at weight, injected activity and times" in notice.text
    assert provenance["suv"]["factor"] == 1000.0
    assert pet.array.max() == pytest.approx(1000 * small_suv.array.max())


@pytest.mark.parametrize(("value", "said"), [(700.0, "largest value 700"), (-3.0, "smallest value -3")])
def test_a_single_odd_voxel_is_a_doubt_and_no_other_units(small_suv, value, said):
    """An injection site that has leaked, or a reconstruction that goes below 0."""
    array = small_suv.array.copy()
    array[0, 0, 0] = value
    pet, units, _, (notice,) = apply_conversion(small_suv.with_array(array), Conversion(PET_SUV, 1.0, "a rule"))
    assert (units, notice.code) == (PET_SUV, "SUV_DOUBT")
    assert notice.text.startswith(f"SUV: {said}")
    assert pet.array[0, 0, 0] == value


def test_a_factor_beyond_all_numbers_is_no_suv(small_suv):
    with pytest.raises(InputError, match="voxels are NaN or infinite"):
        apply_conversion(small_suv, Conversion(PET_SUV, 1e300, "a rule"))


def test_doubts_travel_as_notices(small_suv):
    _, units, _, notices = apply_conversion(small_suv, Conversion(PET_SUV, 1.0, "a rule", doubts=("It is odd.",)))
    assert (units, [(n.code, n.text) for n in notices]) == (PET_SUV, [("SUV_DOUBT", "SUV: It is odd.")])


def test_a_slope_a_thousand_times_too_large_everywhere_gives_unknown_units(pair):
    ct, pt = pair(replace(PET_VARIANTS["plain"], slope="series"))
    for path in pt.iterdir():
        ds = pydicom.dcmread(path)
        ds.RescaleSlope = f"{1000 * float(ds.RescaleSlope):.10g}"
        ds.save_as(path)
    case = read_case("A", ct, pt)
    assert case.pet_units == PET_UNKNOWN
    assert "the result is no SUV" in case.notices[0].text


def test_units_that_a_header_lacks_may_be_stated(pair, small_suv):
    ct, pt = pair()
    for path in pt.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.Units = ""
        dataset.save_as(path)
    assert read_case("A", ct, pt).pet_units == PET_UNKNOWN
    assert_suv(read_case("A", ct, pt, reading=Reading(pet_units="bqml")).pet, small_suv)
    with pytest.raises(SuvError, match="whose header says its units"):
        read_case("A", ct, pt, reading=Reading(pet_units="suv"))


def test_stated_units_do_not_go_against_a_header(pair):
    with pytest.raises(SuvError, match=r"whose header says its units \(BQML\)"):
        read_case("A", *pair(), reading=Reading(pet_units="bqml"))


def test_a_pet_file_in_suv_takes_height_and_sex_for_other_kinds_of_suv(tmp_path, small_suv):
    body = Typed(weight_kg=70, height_cm=175, sex="M")
    # the body's median of this noise is that of SUV
    sitk.WriteImage(image_from_volume(small_suv), str(tmp_path / "pet.nii.gz"))
    for units in ("auto", "suv"):
        found = read_pet(tmp_path / "pet.nii.gz", typed=body, pet_units=units)
        assert found.units == PET_SUV
        # James: 1.10 * 70 - 128 * (70 / 175) ** 2 = 56.52 kg of 70
        assert found.provenance["suv"]["other_suv_per_suvbw"]["SUVlbm (James)"] == pytest.approx(56.52 / 70)
    with pytest.raises(SuvError, match="have no place"):
        read_pet(tmp_path / "pet.nii.gz", typed=Typed(injected_mbq=350), pet_units="suv")


@pytest.mark.parametrize(("value", "said"), [(7000.0, "if it is in cGy"), (-5.0, "negative values")])
def test_a_dose_in_an_image_file_is_checked_as_an_rtdose_is(value, said, ct_file, bqml_file, small_ct, tmp_path):
    dose = small_ct.with_array(np.full(small_ct.array.shape, 1.0, np.float32))
    dose.array[0, 0, 0] = value
    sitk.WriteImage(image_from_volume(dose), str(tmp_path / "dose.nii.gz"))
    with pytest.raises(InputError, match=said):
        read_case("A", ct_file, bqml_file, reading=Reading(dose=tmp_path / "dose.nii.gz", typed=TYPED))


@pytest.mark.parametrize(("highest", "doubts"), [(0.98, ["DOSE_DOUBT"]), (66.0, [])])
def test_a_dose_in_an_image_file_is_doubted_where_it_is_a_share_of_what_is_prescribed(
    highest, doubts, ct_file, bqml_file, small_ct, tmp_path
):
    rising = np.linspace(0, highest, small_ct.array.size, dtype=np.float32).reshape(small_ct.array.shape)
    sitk.WriteImage(image_from_volume(small_ct.with_array(rising)), str(tmp_path / "dose.nii.gz"))
    case = read_case("A", ct_file, bqml_file, reading=Reading(dose=tmp_path / "dose.nii.gz", typed=TYPED))
    assert [notice.code for notice in case.notices if "dose" in notice.text.lower()] == doubts
