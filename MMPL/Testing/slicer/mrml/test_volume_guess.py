"""Which volume of a scene is the CT and which the PET."""

from __future__ import annotations

import pytest

from mmpl.dicom_source import Patient
from mmpl_slicer.subject_hierarchy import place_in_study
from mmpl_slicer.volume_guess import guess_inputs, patient_of
from mmpl_slicer.volumes import node_from_volume, set_pet_units

FILES = [("CT", "P001__CT"), ("CT", "P002__CT"), ("PET", "P002__PT"), ("PET", "P001__PT")]


@pytest.fixture
def volume(scene, ct_volume, pet_volume):
    """A function that adds a CT or a PET of a name."""

    def add(kind: str, name: str, modality: str = ""):
        node = node_from_volume(ct_volume if kind == "CT" else pet_volume, scene, name)
        if modality:
            node.SetAttribute("DICOM.Modality", modality)
        return node

    return add


def test_an_empty_scene(scene):
    assert guess_inputs(scene) == (None, None)


def test_values_alone_tell_ct_from_pet(scene, volume):
    pet, ct = volume("PET", "2: series"), volume("CT", "1: series")
    assert guess_inputs(scene) == (ct, pet)


def test_one_of_the_two(scene, volume):
    ct = volume("CT", "head")
    assert guess_inputs(scene) == (ct, None)


def test_names_and_modality_come_before_other_volumes(scene, volume):
    volume("PET", "dose")
    pet = volume("PET", "SUV FDG")
    ct = volume("CT", "series", "CT")
    volume("CT", "other")
    assert guess_inputs(scene) == (ct, pet)


def test_an_mr_is_neither(scene, volume):
    volume("PET", "T1", "MR")
    volume("CT", "T2", "MR")
    assert guess_inputs(scene) == (None, None)


def test_stated_units_make_a_pet(scene, volume):
    volume("PET", "a PET by name")
    stated = volume("PET", "b")
    set_pet_units(stated, "SUVbw")
    assert guess_inputs(scene)[1] is stated


def test_a_pair_of_one_study_comes_before_the_best_of_two_patients(scene, volume):
    other, pet, ct = volume("CT", "CT", "CT"), volume("PET", "PET", "PT"), volume("CT", "planning")
    place_in_study(scene, (other,), "Ann", "one")
    place_in_study(scene, (pet, ct), "Bea", "two")
    assert guess_inputs(scene) == (ct, pet)
    assert (patient_of(other), patient_of(ct)) == (Patient("", "Ann"), Patient("", "Bea"))


def test_of_two_patients_files_those_whose_names_agree_are_a_pair(scene, volume):
    """Files stand in the tree itself, without a patient."""
    ct, other, foreign, pet = (volume(kind, name) for kind, name in FILES)
    assert guess_inputs(scene) == (ct, pet)
    scene.RemoveNode(ct)
    assert guess_inputs(scene) == (other, foreign)
    scene.RemoveNode(other)
    assert guess_inputs(scene) == (None, None)


def test_a_patient_without_a_pet_gets_no_others(scene, volume):
    volume("CT", "P001__CT")
    ct, pet = volume("CT", "P002__CT"), volume("PET", "P002__PT")
    assert guess_inputs(scene) == (ct, pet)
    pet.SetName("P003__PT")
    assert guess_inputs(scene) == (None, pet)


def test_label_maps_and_empty_volumes_are_never_inputs(scene, label_map):
    node_from_volume(label_map, scene, "CT PET", "vtkMRMLLabelMapVolumeNode")
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    assert guess_inputs(scene) == (None, None)


def test_a_volume_without_a_patient(scene, volume):
    assert patient_of(volume("CT", "CT")) == Patient()
