"""The input check: what it says of a CT and a PET, on plain nodes."""

from __future__ import annotations

import numpy as np
import pytest

import slicer
from mmpl.case import PET_SUV, PET_UNKNOWN
from mmpl.geometry import Geometry, Volume
from mmpl_slicer.dicom_files import PetHeader
from mmpl_slicer.input_check import check_inputs
from mmpl_slicer.input_report import BAD, GOOD, NOTE
from mmpl_slicer.pet_suv import fair_sample
from mmpl_slicer.subject_hierarchy import hierarchy_of, place_in_study
from mmpl_slicer.volumes import node_from_volume, set_pet_units

HEADER = {
    "Units": "BQML",
    "DecayCorrection": "START",
    "PatientWeight": 80.0,
    "RadionuclideTotalDose": 320e6,
    "RadionuclideHalfLife": 6586.2,
    "RadiopharmaceuticalStartTime": "100000",
    "SeriesTime": "110000",
    "AcquisitionTime": "110000",
    "CorrectedImage": ["ATTN", "DECAY"],
}


@pytest.fixture
def ct(scene, ct_volume):
    return node_from_volume(ct_volume, scene, "CT")


@pytest.fixture
def pet(scene, pet_volume):
    return node_from_volume(pet_volume, scene, "PET")


@pytest.fixture
def activity(scene, pet_volume):
    return node_from_volume(pet_volume.with_array(pet_volume.array * 4000.0), scene, "PET raw")


def levels(report) -> list[str]:
    return [line.level for line in report.lines]


def test_a_pair_that_is_as_it_should_be(ct, pet):
    set_pet_units(pet, PET_SUV)
    report = check_inputs(ct, pet, typed={})
    assert report.usable
    assert levels(report) == [GOOD] * 4
    assert report.lines[0].text.startswith("CT: 90 x 100 x 80 voxels of 2 x 2 x 3 mm, values -1")
    # voxel centres they share: x -90 to 88 mm, y -90 to 108 mm, z -88 to 147 mm, a voxel of 1 mm round each
    assert "PET and CT share 179 mm x 199 mm x 236 mm" in report.lines[2].text
    assert report.pet_units == PET_SUV
    assert report.conversion is None


def test_values_of_suv_without_units_are_taken_as_such_and_that_is_said(ct, pet):
    report = check_inputs(ct, pet, typed={})
    assert report.lines[-1].level == NOTE
    assert "no units" in report.lines[-1].text
    assert report.pet_units is None


@pytest.mark.parametrize(("chosen", "text"), [("ct", "Choose a PET"), ("pet", "Choose a CT")])
def test_one_of_the_two_is_missing(ct, pet, chosen, text):
    report = check_inputs(ct if chosen == "ct" else None, pet if chosen == "pet" else None, typed={})
    assert levels(report) == [BAD]
    assert report.lines[0].text.startswith(text)


def test_exchanged_volumes_are_told_by_values_and_by_modality(ct, pet):
    assert check_inputs(pet, ct, typed={}).can_swap
    ct.SetAttribute("DICOM.Modality", "PT")
    pet.SetAttribute("DICOM.Modality", "CT")
    assert check_inputs(ct, pet, typed={}).can_swap
    ct.SetAttribute("DICOM.Modality", "CT")
    pet.SetAttribute("DICOM.Modality", "PT")
    assert not check_inputs(ct, pet, typed={}).can_swap


def test_images_that_do_not_meet(ct, scene, pet_volume):
    far = Geometry(pet_volume.geometry.size, pet_volume.geometry.spacing_mm, (500.0, 0.0, 0.0))
    report = check_inputs(ct, node_from_volume(Volume(pet_volume.array, far), scene, "PET"), typed={})
    assert not report.usable
    assert levels(report) == [BAD]
    assert "overlap" in report.lines[0].text
    assert report.lines[0].text.endswith(".")


def test_a_ct_without_air_is_objected_to_and_can_be_overruled(scene, ct_volume, pet):
    lifted = node_from_volume(ct_volume.with_array(np.maximum(ct_volume.array, -100.0)), scene, "CT")
    report = check_inputs(lifted, pet, typed={})
    assert not report.usable
    assert "holds no air (its lowest value is -100" in report.objection
    overruled = check_inputs(lifted, pet, typed={}, used_anyway=report.objection)
    assert overruled.usable
    assert overruled.objection == ""
    assert BAD not in levels(overruled)
    assert not check_inputs(lifted, pet, typed={}, used_anyway="another objection").usable


def test_two_patients_are_objected_to(ct, pet, scene):
    place_in_study(scene, (ct,), "Ann", "one")
    place_in_study(scene, (pet,), "Bea", "two")
    assert check_inputs(ct, pet, typed={}).objection == (
        "The CT is of patient 'Ann', the PET of 'Bea': choose images of one patient."
    )
    hierarchy = hierarchy_of(scene)
    for node in (ct, pet):
        patient = hierarchy.GetItemParent(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)))
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", "7")
    assert check_inputs(ct, pet, typed={}).objection == ""


@pytest.mark.parametrize(
    ("of_ct", "of_pet", "objection"),
    [
        ({"ID": "7", "Name": "DOE^ANN"}, {"Name": "Doe^Ann^^"}, ""),
        ({"ID": "7", "Name": "DOE^ANN"}, {"ID": "7", "Name": "ROE^ANN"}, ""),
        ({"ID": "7", "Name": "DOE^ANN"}, {"ID": "8", "Name": "DOE^ANN"}, "The CT is of patient '7', the PET of '8'"),
        ({"ID": "7", "Name": "DOE^ANN"}, {"Name": "ROE^BEA"}, "The CT is of patient 'DOE^ANN', the PET of 'ROE^BEA'"),
        ({"ID": "one"}, {}, "The CT is of patient 'one', the PET of 'two'"),
    ],
)
def test_an_id_is_never_compared_with_a_name(ct, pet, scene, of_ct, of_pet, objection):
    """In the last case both have the data tree's names alone to go by."""
    hierarchy = hierarchy_of(scene)
    for node, item, header in ((ct, "one", of_ct), (pet, "two", of_pet)):
        place_in_study(scene, (node,), item, f"study of {item}")
        patient = hierarchy.GetItemParent(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)))
        for what, value in header.items():
            hierarchy.SetItemAttribute(patient, f"DICOM.Patient{what}", value)
    assert check_inputs(ct, pet, typed={}).objection.split(":")[0] == objection


def test_a_pet_in_bqml_asks_for_what_the_header_lacks(ct, activity):
    report = check_inputs(ct, activity, typed={})
    assert report.usable
    assert report.asks_for_suv
    assert report.pet_units == PET_UNKNOWN
    text = report.lines[-1].text
    assert "the patient's weight (kg), the injected activity (MBq) and the time from injection" in text
    header = {key: value for key, value in HEADER.items() if key != "PatientWeight"}
    report = check_inputs(ct, activity, typed={}, header=lambda _node: PetHeader(header))
    assert any("type the patient's weight (kg) to convert it" in line.text for line in report.lines)
    assert report.suv_found == pytest.approx({"injected_mbq": 320.0, "decay_min": 60.0, "half_life_s": 6586.2})


def test_a_header_converts_and_what_is_typed_comes_before_it(ct, activity):
    report = check_inputs(ct, activity, typed={}, header=lambda _node: PetHeader(HEADER))
    used = report.conversion.values
    assert (used["weight_kg"], used["injected_mbq"], used["decay_min"]) == (80.0, 320.0, 60.0)
    # SUV = activity * weight in g / (injected Bq * 2 ** (-decay / half-life))
    left_bq = 320e6 * 2 ** (-60.0 / (6586.2 / 60))
    assert report.conversion.factor == pytest.approx(80e3 / left_bq)
    assert report.lines[-1].text == (
        "The PET is in Bq/mL: converted to SUV with 80 kg, 320 MBq, 60 min of decay (half-life 109.77 min). "
        "Rule: Bq/mL to body-weight SUV; corrected for decay to the start of the scan."
    )
    assert report.pet_units is None
    typed = check_inputs(
        ct, activity, typed={"weight_kg": 70.0, "decay_min": None}, header=lambda _node: PetHeader(HEADER)
    )
    assert (typed.conversion.values["weight_kg"], typed.conversion.values["decay_min"]) == (70.0, 60.0)
    assert any("was typed as 70, the header says 80" in line.text for line in typed.lines)


def test_counts_cannot_be_converted(ct, activity):
    report = check_inputs(ct, activity, typed={}, header=lambda _node: PetHeader({**HEADER, "Units": "CNTS"}))
    assert report.usable
    assert not report.asks_for_suv
    assert report.pet_units == PET_UNKNOWN
    assert report.lines[-1].text == "The PET cannot be converted to SUV: contours are drawn without HPV and RFS."


def test_impossible_typed_values_are_said_and_not_used(ct, activity):
    report = check_inputs(ct, activity, typed={"weight_kg": 900.0, "injected_mbq": 300.0, "decay_min": 60.0})
    assert report.conversion is None
    assert report.pet_units == PET_UNKNOWN
    (line,) = [line for line in report.lines if "900" in line.text]
    assert line.text.endswith(".")


def test_a_frame_of_a_sequence_is_refused_and_a_plain_volume_beside_it_is_not(ct, pet, scene, pet_volume):
    frame = node_from_volume(pet_volume, scene, "frame")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    sequence.SetDataNodeAtValue(frame, "0")
    browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    browser.SetName("browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(frame, sequence, False)
    report = check_inputs(ct, frame, typed={})
    assert "is one frame of the sequence 'browser'" in report.lines[0].text
    assert check_inputs(ct, pet, typed={}).usable


def test_a_fair_sample_is_small_and_from_everywhere():
    array = np.arange(300**3, dtype=np.float32).reshape(300, 300, 300)
    sample = fair_sample(array)
    assert sample.size <= 210_000
    assert sample[0, 0, 0] == 0
    assert sample.max() > 0.98 * array.max()
    small = np.arange(8.0).reshape(2, 2, 2)
    np.testing.assert_array_equal(fair_sample(small), small)
