"""Phantom patients and cohorts as DICOM."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mmpl.errors import InputError, OutputError
from mmpl.geometry import Volume, volume_from_image
from mmpl.phantom import generate_patient, write_cohort
from mmpl.phantom.dicom import PetVariant, Storage, write_cohort_dicom, write_patient

SEED = 5


@pytest.fixture(scope="module")
def patient():
    return generate_patient(SEED, 0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohorts") / "dicom"
    write_cohort_dicom(out, 1, SEED, storage=Storage(shuffled=True))
    return out


def _few_slices(volume):
    return Volume(volume.array[:6], volume.geometry.cropped((0, 0, 0), (*volume.geometry.size[:2], 6)))


def test_patient_is_one_study_in_one_space(tmp_path, patient):
    small = replace(patient, ct=_few_slices(patient.ct), pet=_few_slices(patient.pet))
    written = write_patient(tmp_path, small, PetVariant(decay_correction="ADMIN"), pet_storage=Storage(multiframe=True))
    assert {p.parent for p in written.ct} == {tmp_path / "CT"}
    assert (len(written.ct), [p.parent for p in written.pet]) == (6, [tmp_path / "PET"])
    ct, pet = (pydicom.dcmread(p[0]) for p in (written.ct, written.pet))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientSex", "PatientWeight", "StudyDate"):
        assert ct[keyword].value == pet[keyword].value
    assert str(ct.PatientName) == f"Phantom^{patient.patient_id}"
    assert ct.PatientSex == ("M" if patient.latents["male"] else "F")
    assert int(ct.PatientAge[:3]) == pytest.approx(patient.latents["age_years"], abs=1)


def test_cohort_layout(cohort):
    files = sorted(str(p.relative_to(cohort)) for p in cohort.rglob("*") if p.is_file() and p.suffix != ".dcm")
    assert files == ["PHA-0000/PHA-0000.nii.gz", "PHA-0000/ehr.json", "phantom.json"]
    assert not cohort.with_name("dicom.partial").exists()
    assert {p.parent.name for p in cohort.rglob("*.dcm")} == {"CT", "PET"}


def test_cohort_is_that_of_the_same_seed(cohort, patient):
    folder = cohort / "PHA-0000"
    label_map = volume_from_image(sitk.ReadImage(str(folder / "PHA-0000.nii.gz")))
    np.testing.assert_array_equal(label_map.array, patient.label_map.array)
    assert json.loads((folder / "ehr.json").read_text(encoding="utf-8")) == patient.clinical
    slices = [pydicom.dcmread(p) for p in (folder / "CT").iterdir()]
    k = np.asarray(patient.ct.geometry.direction)[:, 2]
    slices.sort(key=lambda ds: np.dot(np.array(ds.ImagePositionPatient, float), k))
    np.testing.assert_array_equal([ds.pixel_array - 1024 for ds in slices], patient.ct.array)


def test_cohorts_pet_holds_the_suv(cohort, patient):
    slices = [pydicom.dcmread(p) for p in (cohort / "PHA-0000" / "PET").iterdir()]
    k = np.asarray(patient.pet.geometry.direction)[:, 2]
    slices.sort(key=lambda ds: np.dot(np.array(ds.ImagePositionPatient, float), k))
    weight_g = 1000.0 * float(slices[0].PatientWeight)
    suv = (
        np.stack([float(ds.RescaleSlope) * ds.pixel_array for ds in slices])
        * weight_g
        / (352e6 * 0.5 ** (3745.0 / 6586.2))
    )
    np.testing.assert_allclose(suv, patient.pet.array, atol=1.01 * patient.pet.array.max() / 65534)


def test_the_cohort_asked_for_again_is_left_alone(cohort):
    before = (cohort / "phantom.json").stat().st_mtime_ns
    assert write_cohort_dicom(cohort, 1, SEED, storage=Storage(shuffled=True)) == ("PHA-0000",)
    assert (cohort / "phantom.json").stat().st_mtime_ns == before


def test_a_stopped_cohort_has_no_name_yet_and_is_taken_up(tmp_path, patient, monkeypatch):
    from mmpl.phantom.dicom import cohort as module

    small = replace(
        patient, ct=_few_slices(patient.ct), pet=_few_slices(patient.pet), label_map=_few_slices(patient.label_map)
    )
    drawn = []

    def draw(seed, index):
        drawn.append(index)
        if drawn == [0, 1]:
            raise OSError("no space")
        return replace(small, patient_id=f"PHA-{index:04d}")

    monkeypatch.setattr(module, "generate_patient", draw)
    out = tmp_path / "cohort"
    with pytest.raises(OutputError, match="the phantom cohort cannot be written"):
        write_cohort_dicom(out, 2, SEED)
    assert not out.exists()
    write_cohort_dicom(out, 2, SEED)
    assert drawn == [0, 1, 1]
    assert sorted(p.name for p in out.iterdir()) == ["PHA-0000", "PHA-0001", "phantom.json"]
    ids = {pydicom.dcmread(p).StudyInstanceUID for p in out.rglob("*00001.dcm")}
    assert len(ids) == 2
    for path in (out / "PHA-0001" / "PET").iterdir():
        path.unlink()
    write_cohort_dicom(out, 2, SEED)  # which is not whole any more
    assert drawn == [0, 1, 1, 0, 1]
    assert any((out / "PHA-0001" / "PET").iterdir())


def test_a_cohort_of_another_layout_is_another_cohort(tmp_path, patient, monkeypatch):
    from mmpl.phantom import cohort as plain
    from mmpl.phantom.dicom import cohort as module

    small = replace(
        patient, ct=_few_slices(patient.ct), pet=_few_slices(patient.pet), label_map=_few_slices(patient.label_map)
    )
    for changed in (plain, module):
        monkeypatch.setattr(changed, "generate_patient", lambda seed, index: small)
    out = tmp_path / "cohort"
    write_cohort(out, 1, SEED)
    write_cohort_dicom(out, 1, SEED)
    assert (out / "PHA-0000" / "ehr.json").exists()
    assert not (out / "Task 1").exists()


@pytest.mark.parametrize(("cases", "seed", "workers"), [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_impossible_numbers_are_refused(tmp_path, cases, seed, workers):
    with pytest.raises(InputError, match="at least 1"):
        write_cohort_dicom(tmp_path / "x", cases, seed, workers=workers)
