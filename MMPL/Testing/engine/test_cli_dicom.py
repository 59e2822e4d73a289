"""The command line on DICOM, in and out, as a user runs it. The patient is a phantom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mmpl.cli import case_id_of, main
from mmpl.geometry import Geometry, Volume
from mmpl.io.images import read_label_map, read_volume
from mmpl.io.masks import write_image, write_label_map
from mmpl.phantom.dicom import Person, PetVariant, write_ct, write_pet

OBJECTS = {"segmentation.dcm": "SEG", "rtstruct.dcm": "RTSTRUCT", "report.dcm": "SR"}
PERSON, OTHER = Person("SOMEONE-1"), Person("OTHER-7")


def in_whole_hu(ct: Volume) -> Volume:
    return ct.with_array(np.clip(np.rint(ct.array), -1024, None).astype(np.int16))


@pytest.fixture(scope="module")
def study(tiny_patient, tmp_path_factory) -> Path:
    """The tiny patient's CT and PET as DICOM, one folder each."""
    folder = tmp_path_factory.mktemp("study")
    write_ct(folder / "CT", in_whole_hu(tiny_patient.ct), person=PERSON)
    write_pet(folder / "PET", tiny_patient.pet, PetVariant(), person=PERSON)
    return folder


@pytest.fixture(scope="module")
def out(study, tiny_bundle_path, tmp_path_factory) -> Path:
    """What ``mmpl predict --dicom`` wrote for it."""
    out = tmp_path_factory.mktemp("dicom-out") / "out"
    options = {"ct": study, "pt": study, "bundle": tiny_bundle_path, "out": out}
    words = [str(text) for name, value in options.items() for text in (f"--{name}", value)]
    assert main(["predict", *words, "--dicom"]) == 0
    return out


def test_a_folder_of_both_gives_what_the_image_files_give(out, predicted, results_of):
    found, expected = results_of(out), results_of(predicted)
    assert found["case_id"] == "case"
    assert found["inputs"]["pet"]["units"] == "SUVbw"
    # DICOM stores the PET in 16 bits a slice and the CT in whole HU
    for name, lesion in expected["lesions"].items():
        assert found["lesions"][name]["volume_ml"] == pytest.approx(lesion["volume_ml"], rel=0.02)
        assert found["lesions"][name]["suv_max"] == pytest.approx(lesion["suv_max"], rel=1e-3)
    assert found["inputs"]["ct"]["size"] == expected["inputs"]["ct"]["size"]


def test_the_results_say_how_the_pet_became_suv(out, results_of):
    record = results_of(out)["inputs"]["pet"]["provenance"]["suv"]
    assert record["rule"] == "Bq/mL to body-weight SUV; corrected for decay to the start of the scan"
    variant = PetVariant()
    assert record["values"]["injected_mbq"] == pytest.approx(variant.dose_bq / 1e6)
    assert record["sources"]["injected_mbq"] == "RadionuclideTotalDose"
    assert record["values"]["decay_min"] == pytest.approx(variant.uptake_s / 60, abs=0.02)
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "from RadionuclideTotalDose" in report


def test_three_objects_are_written_for_the_same_patient_and_study(out, study):
    ct = pydicom.dcmread(next((study / "CT").iterdir()), stop_before_pixels=True)
    assert {p.name for p in (out / "dicom").iterdir()} == set(OBJECTS)
    for name, modality in OBJECTS.items():
        found = pydicom.dcmread(out / "dicom" / name)
        assert found.Modality == modality
        assert (found.PatientID, found.StudyInstanceUID) == (ct.PatientID, ct.StudyInstanceUID)
        assert "RESEARCH USE ONLY" in found.SeriesDescription.upper()


@pytest.mark.parametrize("name", ["segmentation.dcm", "rtstruct.dcm"])
def test_contours_that_come_back_from_dicom_give_the_same_results(name, out, study, on_tiny, results_of, tmp_path):
    ran = on_tiny("assess", ct=study / "CT", pt=study / "PET", mask=out / "dicom" / name)
    assert ran.code == 0
    np.testing.assert_array_equal(
        read_label_map(tmp_path / "out" / "mask.nii.gz").array, read_label_map(out / "mask.nii.gz").array
    )
    found, expected = results_of(tmp_path / "out"), results_of(out)
    for field in ("lesions", "hpv", "rfs"):
        assert found[field] == expected[field]


def test_nothing_that_is_not_dicom_names_the_patient(out, tiny_patient, study):
    ct = pydicom.dcmread(next((study / "CT").iterdir()), stop_before_pixels=True)
    names = [ct.PatientID, str(ct.PatientName), ct.StudyInstanceUID, ct.FrameOfReferenceUID, ct.StudyDate, str(study)]
    for path in out.iterdir():
        if path.suffix in (".json", ".html", ".csv"):
            text = path.read_text(encoding="utf-8")
            assert [name for name in names if name in text] == []


def test_an_anonymised_export_carries_the_cases_name(study, on_tiny, tmp_path):
    ran = on_tiny("predict", "--dicom", "--anonymise", ct=study, pt=study, **{"case-id": "S-001"})
    assert ran.code == 0
    ct = pydicom.dcmread(next((study / "CT").iterdir()), stop_before_pixels=True)
    for name in OBJECTS:
        raw = (tmp_path / "out" / "dicom" / name).read_bytes()
        assert pydicom.dcmread(tmp_path / "out" / "dicom" / name).PatientID == "S-001"
        for value in (ct.PatientID, ct.StudyInstanceUID, ct.FrameOfReferenceUID, ct.SeriesInstanceUID):
            assert value.encode() not in raw


def test_dicom_out_needs_dicom_in(on_tiny, tmp_path):
    ran = on_tiny("predict", "--dicom")
    assert ran.code == 2
    assert "only for a CT that is a DICOM series" in ran.errors[-1]
    assert not (tmp_path / "out").exists()


def test_anonymising_nothing_is_refused(on_tiny):
    ran = on_tiny("predict", "--anonymise")
    assert (ran.code, len(ran.errors)) == (2, 1)
    assert "give --dicom too" in ran.errors[0]


def test_another_patients_pet_is_refused_unless_told_otherwise(study, tiny_patient, on_tiny, tmp_path):
    write_pet(tmp_path / "pet", tiny_patient.pet, PetVariant(), person=OTHER)
    ran = on_tiny("assess", ct=study / "CT", pt=tmp_path / "pet", mask=None)
    assert ran.code == 2
    mask = tmp_path / "mask.nii.gz"
    write_label_map(mask, tiny_patient.label_map)
    ran = on_tiny("assess", ct=study / "CT", pt=tmp_path / "pet", mask=mask)
    assert ran.code == 2
    assert "different patients" in ran.errors[-1]
    assert OTHER.patient_id not in " ".join(ran.errors)
    ran = on_tiny("assess", "--any-pair", ct=study / "CT", pt=tmp_path / "pet", mask=mask)
    assert ran.code == 0
    assert any("DICOM_PAIR" in line for line in ran.errors)


def test_series_are_listed_without_names(study, mmpl):
    ran = mmpl("series", "--data", study)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == ["CT", "PET"]
    ct = pydicom.dcmread(next((study / "CT").iterdir()), stop_before_pixels=True)
    assert ct.PatientID not in ran.out
    assert ct.StudyInstanceUID not in ran.out


def test_a_pet_becomes_an_image_of_suv(study, mmpl, tiny_patient, tmp_path):
    image, record = tmp_path / "suv.nii.gz", tmp_path / "suv.json"
    ran = mmpl("suv", "--pt", study / "PET", "--out", image, "--json", record)
    assert ran.code == 0
    assert "injected_mbq" in ran.out
    found = read_volume(image, what="PET")
    hot = tiny_patient.pet.array > 1
    np.testing.assert_allclose(found.array[hot], tiny_patient.pet.array[hot], rtol=1e-3)
    assert json.loads(record.read_text(encoding="utf-8"))["suv"]["factor"] > 0


def test_lean_body_mass_needs_height_and_sex(mmpl, tiny_files, tmp_path):
    typed = ("--pt-units", "suv")
    ran = mmpl("suv", "--pt", tiny_files["pt"], "--kind", "lbm-janma", *typed)
    assert ran.code == 2
    assert "--height-cm" in ran.errors[0]


def test_typed_values_convert_an_image_file_in_bqml(mmpl, tiny_patient, tmp_path):
    # one half-life after 350 MBq in 70 kg: SUV 1 is 2500 Bq/mL
    write_image(tmp_path / "pet.nii.gz", tiny_patient.pet.with_array(tiny_patient.pet.array * np.float32(2500)))
    typed = ("--weight-kg", "70", "--injected-mbq", "350", "--decay-min", "109.77")
    ran = mmpl("suv", "--pt", tmp_path / "pet.nii.gz", "--out", tmp_path / "suv.nii.gz", *typed)
    assert ran.code == 0
    assert "weight_kg = 70   (typed)" in ran.out
    np.testing.assert_allclose(read_volume(tmp_path / "suv.nii.gz").array, tiny_patient.pet.array, rtol=1e-5)
    ran = mmpl("suv", "--pt", tmp_path / "pet.nii.gz", "--weight-kg", "70")
    assert ran.code == 2
    assert "injected activity" in ran.errors[0]


def test_a_planned_dose_is_reported_and_changes_nothing_else(study, out, on_tiny, results_of, tmp_path, tiny_patient):
    g = tiny_patient.label_map.geometry
    low, high = g.bounds_lps()
    grid = Geometry((9, 9, 9), (high - low) / 8, low)
    write_image(tmp_path / "dose.nii.gz", Volume(np.full((9, 9, 9), 66, np.float32), grid))
    ran = on_tiny(
        "assess",
        ct=study,
        pt=study,
        mask=out / "mask.nii.gz",
        dose=tmp_path / "dose.nii.gz",
        **{"dose-levels": "60,70"},
    )
    assert ran.code == 0
    found, expected = results_of(tmp_path / "out"), results_of(out)
    total = found["dose"]["total"]
    assert (total["mean_gy"], total["d95_gy"], total["v_percent"]) == (pytest.approx(66), pytest.approx(66), [100, 0])
    assert expected["dose"] is None
    for field in ("lesions", "hpv", "rfs"):
        assert found[field] == expected[field]
    assert "<h2>Dose</h2>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_levels_that_are_no_doses_are_refused(on_tiny):
    for text in ("60;70", "60,-1", ""):
        ran = on_tiny("predict", **{"dose-levels": text})
        assert (ran.code, len(ran.errors)) == (2, 1)
        assert f"{text!r}: give doses above 0 and up to 200 Gy, as 50,60,66,70" in ran.errors[0]


def test_two_cts_that_may_be_meant_are_offered_by_name(study, tiny_patient, on_tiny, tmp_path):
    for seed in (1, 2):
        write_ct(tmp_path / str(seed), in_whole_hu(tiny_patient.ct), person=Person("SOMEONE-1", seed=seed))
    ran = on_tiny("predict", ct=tmp_path, pt=study / "PET")
    assert ran.code == 2
    assert "2 CT series: choose one with --ct-series" in ran.errors[-1]


def test_of_two_cts_the_one_of_the_pets_space_is_taken_and_that_is_said(study, tiny_patient, on_tiny, tmp_path):
    write_ct(tmp_path / "a", in_whole_hu(tiny_patient.ct), person=PERSON)
    write_ct(tmp_path / "b", in_whole_hu(tiny_patient.ct), person=Person("SOMEONE-1", seed=1))
    ran = on_tiny("predict", ct=tmp_path, pt=study / "PET")
    assert ran.code == 0
    assert any("1 of another frame of reference than the PET's" in line for line in ran.errors)


def test_the_patients_own_id_is_no_name_for_an_anonymised_export(study, on_tiny, tmp_path):
    own = {"case-id": PERSON.patient_id}
    ran = on_tiny("predict", "--dicom", "--anonymise", ct=study, pt=study, **own)
    assert ran.code == 2
    assert "segmenting" not in " ".join(ran.errors)
    assert not (tmp_path / "out").exists()


def test_contours_of_another_patient_are_refused_unless_told_otherwise(study, out, on_tiny, tmp_path):
    other = pydicom.dcmread(out / "dicom" / "segmentation.dcm")
    other.PatientID = OTHER.patient_id
    other.save_as(tmp_path / "other.dcm")
    ran = on_tiny("assess", ct=study, pt=study, mask=tmp_path / "other.dcm")
    assert ran.code == 2
    assert "the segmentation is of another patient than the CT" in ran.errors[-1]
    assert OTHER.patient_id not in ran.errors[-1]
    ran = on_tiny("assess", "--any-pair", ct=study, pt=study, mask=tmp_path / "other.dcm")
    assert ran.code == 0
    assert any("DICOM_PAIR" in line for line in ran.errors)


def test_a_multi_frame_file_gives_its_name_to_nobody(tmp_path):
    (tmp_path / "SMITH_JOHN.dcm").write_bytes(bytes(128) + b"DICM")
    assert case_id_of(tmp_path / "SMITH_JOHN.dcm") == "case"
