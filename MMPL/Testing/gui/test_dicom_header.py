"""What a volume's DICOM header gives for SUV, from datasets in memory and, opt-in, from a real series."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mmpl.io.suv import PET_BQML, inputs_from_header, pet_units_of_header
from mmpl_qt.dicom_header import earliest_header, header_of, header_values

ROOT = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere"))


def pet_slice(acquired: str) -> Dataset:
    tracer = Dataset()
    tracer.RadionuclideTotalDose = "394092000"
    tracer.RadionuclideHalfLife = "6588"
    tracer.RadiopharmaceuticalStartTime = "122800"
    dataset = Dataset()
    dataset.Units, dataset.DecayCorrection, dataset.PatientWeight = "BQML", "START", "69"
    dataset.CorrectedImage = ["DECY", "ATTN"]
    dataset.SeriesDate = dataset.AcquisitionDate = "20050303"
    dataset.SeriesTime, dataset.AcquisitionTime = "132800", acquired
    dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    return dataset


def test_a_header_gives_all_that_suv_needs():
    found, notes = inputs_from_header(header_values(pet_slice("132800")))
    assert found == {"weight_kg": 69.0, "injected_mbq": 394.092, "half_life_s": 6588.0, "decay_min": 60.0}
    assert notes == []


def test_the_earliest_image_counts_and_other_objects_do_not():
    report = Dataset()
    report.PatientWeight = "69"
    header = earliest_header([pet_slice("134000"), report, pet_slice("132800")])
    assert header["AcquisitionTime"] == "132800"


def test_an_empty_value_is_a_missing_one():
    dataset = pet_slice("132800")
    dataset.PatientWeight = None
    assert "PatientWeight" not in header_values(dataset)


def test_a_volume_from_elsewhere_has_no_header(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET")
    assert header_of(node) is None


@pytest.mark.real_data
@pytest.mark.skipif(not (ROOT / "pet_dicom").is_dir(), reason="MMPL_TEST_DATA names no folder with pet_dicom")
def test_a_real_series():
    files = sorted((ROOT / "pet_dicom" / "PET").glob("*.dcm"))
    header = earliest_header([pydicom.dcmread(file, stop_before_pixels=True) for file in files])
    found, notes = inputs_from_header(header)
    assert pet_units_of_header(header) == PET_BQML
    assert found["weight_kg"] == 69.0
    assert 55 < found["decay_min"] < 65
    assert notes == []
