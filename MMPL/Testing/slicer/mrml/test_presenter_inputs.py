"""Inputs that are wrong, odd or change: said in one sentence, mended where they can be, and never lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import vtk

import slicer
from mmpl.case import PET_SUV
from mmpl.geometry import Volume
from mmpl_slicer.case_record import records
from mmpl_slicer.panel_state import EDITED
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.segmentation import segment_mask
from mmpl_slicer.subject_hierarchy import hierarchy_of, place_in_study
from mmpl_slicer.volumes import node_from_volume, set_pet_units, update_node, vtk_matrix

GTVP_LPS = (12.0, -6.0, -25.0)
WEIGHT_KG, INJECTED_MBQ, DECAY_MIN, HALF_LIFE_MIN = 80.0, 320.0, 60.0, 109.77


def bad_lines(front) -> list[str]:
    return [line.text for line in front.state.inputs.lines if line.level == "bad"]


def under_transform(scene, node, matrix) -> None:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


@pytest.fixture
def bqml_node(scene, tiny_patient):
    """The PET in Bq/mL: SUV = activity * weight in g / (injected Bq * 2 ** (-decay / half-life))."""
    left_bq = INJECTED_MBQ * 1e6 * 2 ** (-DECAY_MIN / HALF_LIFE_MIN)
    activity = tiny_patient.pet.array * (left_bq / (WEIGHT_KG * 1000.0))
    node = node_from_volume(Volume(activity.astype(np.float32), tiny_patient.pet.geometry), scene, "PET raw")
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning("BQML", "DCM", "Becquerels/milliliter")
    node.SetVoxelValueUnits(entry)
    return node


def test_swapped_inputs_are_noticed_and_swapped_back(front, nodes):
    ct, pet = nodes
    front.presenter.choose_inputs(pet, ct)
    assert front.state.inputs.can_swap
    assert not front.state.inputs.usable
    assert bad_lines(front) == ["CT and PET look exchanged: the CT holds no air, the PET does. Swap them."]
    front.presenter.set_clinical("Age", 61)
    front.presenter.swap_inputs()
    assert front.state.inputs.usable
    assert (front.presenter.ct, front.presenter.pet) == (ct, pet)
    assert front.presenter.data.clinical_in_force["Age"] == 61
    assert len(records(front.presenter.scene)) == 1


def test_what_was_typed_before_images_goes_with_the_first_ones(front, nodes):
    ct, pet = nodes
    front.presenter.set_clinical("Age", 61)
    front.presenter.choose_inputs(ct, None)
    front.presenter.choose_inputs(ct, pet)
    assert front.presenter.data.clinical_in_force["Age"] == 61


def test_what_was_typed_for_one_patient_does_not_go_to_another(front, nodes, scene, tiny_patient):
    ct, pet = nodes
    front.presenter.choose_inputs(ct, None)
    front.presenter.set_clinical("Age", 61)
    other = node_from_volume(tiny_patient.ct, scene, "CT of another")
    front.presenter.choose_inputs(other, pet)
    assert front.presenter.data.clinical_in_force == {}


def test_one_volume_twice(front, nodes):
    front.presenter.choose_inputs(nodes[0], nodes[0])
    assert bad_lines(front) == ["'CT head neck' is chosen as CT and as PET: choose two volumes."]
    front.presenter.segment()
    assert front.state.message == "See the inputs above."


def test_nothing_chosen(front):
    assert front.state.work.why_not == "Choose PET and CT first."
    front.presenter.choose_segmentation(None)
    front.presenter.update_now()
    front.presenter.swap_inputs()
    front.presenter.use_anyway()
    front.presenter.cancel()
    front.presenter.return_to_model(1)
    front.presenter.tick()
    assert records(front.presenter.scene) == []


def test_numbers_follow_once_images_are_used_anyway(segmented, scene):
    presenter = segmented.presenter
    for node, patient in ((presenter.ct, "A"), (presenter.pet, "B")):
        of_patient(scene, node, patient)
    slicer.util.arrayFromVolume(presenter.pet)[:] *= 0.5
    slicer.util.arrayFromVolumeModified(presenter.pet)
    segmented.rest()
    assert segmented.state.inputs.can_use_anyway
    assert not segmented.state.results.current
    presenter.use_anyway()
    segmented.rest()
    assert segmented.state.results.current, segmented.state.results.stale_text


def test_another_patients_pet_can_be_used_anyway_and_that_is_remembered(front, nodes, make_front, scene, tmp_path):
    ct, pet = nodes
    for node, patient in ((ct, 'A "1"'), (pet, "B & 2 <x> Ü")):
        of_patient(scene, node, patient)
    front.presenter.choose_inputs(ct, pet)
    assert not front.state.inputs.usable
    assert front.state.inputs.can_use_anyway
    (text,) = bad_lines(front)
    assert "'B & 2 <x> Ü'" in text
    front.presenter.use_anyway()
    assert front.state.inputs.usable
    assert any(text in line.text and "as you said" in line.text for line in front.state.inputs.lines)
    assert front.presenter.case_id == "Case"  # who the patient is, is told by no name of ours
    front.presenter.rename_case('A "1"')
    save_mrb(scene, tmp_path / "case.mrb")
    front.presenter.close()
    load_mrb(scene, tmp_path / "case.mrb")
    again = make_front()
    again.presenter.restore()
    assert again.state.inputs.usable
    assert again.presenter.case_id == 'A "1"'
    assert again.presenter.data.used_anyway == text


@pytest.mark.parametrize("kind", ["vectors", "empty", "label map", "sequence", "constant"])
def test_volumes_that_are_no_image(front, nodes, scene, tiny_patient, kind):
    ct, pet = nodes
    node, said = {
        "vectors": lambda: (a_vector_volume(scene), "has 3 values a voxel"),
        "empty": lambda: (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "odd"), "holds no voxels"),
        "label map": lambda: (
            node_from_volume(tiny_patient.label_map, scene, "odd", "vtkMRMLLabelMapVolumeNode"),
            "is a label map",
        ),
        "sequence": lambda: (a_sequence_proxy(scene, pet), "is one frame of the sequence"),
        "constant": lambda: (
            node_from_volume(Volume(np.ones((9, 9, 9), np.float32), ct_grid(tiny_patient)), scene, "odd"),
            "is the same everywhere",
        ),
    }[kind]()
    number = scene.GetNumberOfNodes()
    front.presenter.choose_inputs(ct, node)
    (line,) = bad_lines(front)
    assert said in line
    assert node.GetName() in line
    assert not front.state.work.can_segment
    front.presenter.segment()
    assert front.state.message == "See the inputs above."
    assert scene.GetNumberOfNodes() == number


def ct_grid(patient):
    return patient.ct.geometry.cropped((0, 0, 0), (9, 9, 9))


def a_vector_volume(scene):
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "odd")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(vtk.VTK_FLOAT, 3)
    node.SetAndObserveImageData(image)
    return node


def a_sequence_proxy(scene, pet):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    for frame in range(2):
        sequence.SetDataNodeAtValue(pet, str(frame))
    browser = scene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(pet, sequence, False)
    return browser.GetProxyNode(sequence)


def test_a_linear_transform_is_honoured_as_if_hardened(front, scene, tiny_patient, nodes, without_timings):
    matrix = np.eye(4)
    matrix[:3, 3] = (0.0, 0.0, 30.0)  # RAS
    ct, pet = nodes
    for node in nodes:
        under_transform(scene, node, matrix)
    front.presenter.choose_inputs(ct, pet)
    assert any("transform 'moved' puts it" in line.text for line in front.state.inputs.lines)
    front.segment()
    placed = front.presenter.results
    for node in nodes:
        node.HardenTransform()
    front.rest()
    front.settle()
    front.segment()
    assert without_timings(front.presenter.results) == without_timings(placed)
    centre = placed["lesions"]["GTVp"]["components"][0]["centroid_lps_mm"]
    assert centre[2] == pytest.approx(-25.0 + 30.0, abs=4.0)


def test_a_nonlinear_transform_is_refused_until_it_is_gone(segmented, scene):
    presenter = segmented.presenter
    warp = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    presenter.ct.SetAndObserveTransformNodeID(warp.GetID())
    segmented.rest()
    (line,) = bad_lines(segmented)
    assert "non-linear transform 'warp'" in line
    assert not segmented.state.work.can_segment
    presenter.ct.SetAndObserveTransformNodeID(None)
    segmented.rest()
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_a_segmentation_under_a_nonlinear_transform_is_said_and_kept(segmented, scene):
    presenter = segmented.presenter
    node = presenter.segmentation
    warp = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    node.SetAndObserveTransformNodeID(warp.GetID())
    segmented.rest()
    assert "non-linear transform 'warp'" in segmented.state.message
    assert not segmented.state.save.can_save
    segmented.segment()
    assert presenter.segmentation is not node


def test_a_pet_in_bqml_is_converted_by_what_is_typed(front, nodes, bqml_node, without_timings):
    ct, pet = nodes
    set_pet_units(pet, PET_SUV)
    presenter = front.presenter
    presenter.choose_inputs(ct, pet)
    front.segment()
    expected = presenter.results
    presenter.choose_inputs(ct, bqml_node)
    assert [field.value for field in front.state.inputs.suv_fields] == [None] * 3
    assert any("or contours are drawn without HPV and RFS" in line.text for line in front.state.inputs.lines)
    for name, value in (("weight_kg", WEIGHT_KG), ("injected_mbq", INJECTED_MBQ), ("decay_min", DECAY_MIN)):
        presenter.set_suv_field(name, value)
    assert any("converted to SUV with 80 kg, 320 MBq" in line.text for line in front.state.inputs.lines)
    front.segment()
    given = presenter.results
    for part in ("GTVp", "GTVn"):
        assert given["lesions"][part]["volume_ml"] == expected["lesions"][part]["volume_ml"]
        assert given["lesions"][part]["suv_max"] == pytest.approx(expected["lesions"][part]["suv_max"], rel=1e-5)
    assert given["hpv"]["probability"] == pytest.approx(expected["hpv"]["probability"], abs=1e-4)
    assert given["rfs"]["risk"] == pytest.approx(expected["rfs"]["risk"], abs=1e-3)


def test_another_weight_makes_results_stale_and_is_measured(front, nodes, bqml_node):
    presenter = front.presenter
    presenter.choose_inputs(nodes[0], bqml_node)
    for name, value in (("weight_kg", WEIGHT_KG), ("injected_mbq", INJECTED_MBQ), ("decay_min", DECAY_MIN)):
        presenter.set_suv_field(name, value)
    front.segment()
    before = presenter.results["lesions"]["GTVp"]["suv_max"]
    presenter.set_suv_field("weight_kg", WEIGHT_KG / 2)
    assert not front.state.results.current
    front.settle()
    assert presenter.results["lesions"]["GTVp"]["suv_max"] == pytest.approx(before / 2)


def test_impossible_suv_values_are_refused(front, nodes, bqml_node):
    front.presenter.choose_inputs(nodes[0], bqml_node)
    for name, value in (("weight_kg", 0.0), ("injected_mbq", -1.0), ("decay_min", float("nan")), ("weight_kg", 9e9)):
        front.presenter.set_suv_field(name, value)
        assert front.state.message.endswith(".")
        assert (
            str(value) in front.state.message.replace("inf", "").replace("9e+09", "9000000000.0")
            or "nan" in front.state.message
            or f"{value:g}" in front.state.message
        )
        assert front.presenter.data.suv.get(name) is None
        front.presenter.dismiss_message()


def test_a_pet_without_suv_gives_contours_but_no_hpv_or_rfs(front, nodes, bqml_node):
    front.presenter.choose_inputs(nodes[0], bqml_node)
    assert front.state.work.can_segment
    front.segment()
    front.settle()
    assert front.origins == [FROM_MODEL, FROM_MODEL]
    assert front.state.results.hpv_probability is None
    assert front.state.results.hpv_text == "HPV: not given, the PET is not in SUV"
    assert front.state.results.rfs_text == "RFS: not given, the PET is not in SUV"
    front.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    front.settle()
    front.rest()
    assert front.state.results.current


def test_images_that_change_make_results_stale_and_are_measured_anew(segmented):
    presenter = segmented.presenter
    before = presenter.results["lesions"]["GTVp"]["suv_max"]
    slicer.util.arrayFromVolume(presenter.pet)[:] *= 0.5
    slicer.util.arrayFromVolumeModified(presenter.pet)
    assert not segmented.state.results.current
    segmented.rest()
    segmented.settle()
    assert presenter.results["lesions"]["GTVp"]["suv_max"] == pytest.approx(before / 2)


def test_images_that_change_during_a_run_end_it(chosen):
    presenter = chosen.presenter
    chosen.segment_until_preview()
    slicer.util.arrayFromVolumeModified(presenter.pet)
    chosen.until(lambda: not presenter.running)
    assert chosen.state.message == "PET or CT has changed: start again."
    chosen.rest()
    assert not chosen.state.results.available
    presenter.dismiss_message()
    chosen.segment()


def crop_in_place(ct, volume: Volume) -> None:
    """Leave 8 mm off at three sides, as the Crop volume module does."""
    part = volume.geometry.cropped((4, 4, 3), (56, 52, 47))
    update_node(ct, Volume(volume.array[3:, 4:, 4:].copy(), part))


@pytest.mark.parametrize("waits", [True, False], ids=["settled", "at once"])
def test_after_the_ct_was_cropped_a_class_returns_to_where_the_model_drew_it(segmented, nodes, tiny_patient, waits):
    presenter, whole = segmented.presenter, tiny_patient.ct.geometry
    drawn = segment_mask(presenter.segmentation, "GTVp", whole)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    crop_in_place(nodes[0], tiny_patient.ct)
    if waits:
        segmented.rest()
        assert segmented.origins == [EDITED, FROM_MODEL]
    presenter.return_to_model(1)
    segmented.rest()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    np.testing.assert_array_equal(segment_mask(presenter.segmentation, "GTVp", whole), drawn)


def test_a_preview_is_taken_back_to_where_the_model_drew_before_the_ct_was_cropped(segmented, nodes, tiny_patient):
    presenter, whole = segmented.presenter, tiny_patient.ct.geometry
    drawn = segment_mask(presenter.record.get("MMPL.Model"), "GTVp", whole)
    segmented.segment_until_preview()
    crop_in_place(nodes[0], tiny_patient.ct)
    segmented.rest()
    assert presenter.running == ""
    np.testing.assert_array_equal(segment_mask(presenter.record.get("MMPL.Model"), "GTVp", whole), drawn)
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_what_the_worker_sends_before_a_changed_ct_is_checked_is_not_read(segmented, nodes, tiny_patient):
    """On the cropped CT's grid its contours would be shifted."""
    presenter, whole = segmented.presenter, tiny_patient.ct.geometry
    drawn = segment_mask(presenter.record.get("MMPL.Model"), "GTVp", whole)
    segmented.segment_until_preview()
    crop_in_place(nodes[0], tiny_patient.ct)
    presenter.desk.case.images_touched_at = float("inf")  # the check is still to come
    segmented.until(lambda: presenter.running == "" and not presenter.desk.chores)
    np.testing.assert_array_equal(segment_mask(presenter.record.get("MMPL.Model"), "GTVp", whole), drawn)
    assert segmented.state.message == "PET or CT has changed: start again."


def test_segment_takes_in_images_that_have_just_changed(segmented, nodes, tiny_patient):
    presenter, node = segmented.presenter, segmented.presenter.segmentation
    crop_in_place(nodes[0], tiny_patient.ct)
    segmented.segment()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert segmented.state.results.current
    assert presenter.segmentation is node


@pytest.mark.parametrize("which", [0, 1], ids=["CT", "PET"])
def test_a_deleted_image_is_said_and_its_case_waits_for_another(segmented, scene, nodes, tiny_patient, which):
    presenter = segmented.presenter
    presenter.set_clinical("Age", 61)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    volume = segmented.volume
    name = ("CT", "PET")[which]
    scene.RemoveNode(nodes[which])
    assert (
        segmented.state.message == f"The {name} was deleted: choose another one. Its segmentation stays in the scene."
    )
    assert not segmented.state.inputs.usable
    assert len(bad_lines(segmented)) == 1
    again = node_from_volume((tiny_patient.ct, tiny_patient.pet)[which], scene, f"{name} loaded again")
    presenter.choose_inputs(*((again, nodes[1]) if which == 0 else (nodes[0], again)))
    assert presenter.data.what_if == {"Age": 61}
    assert segmented.origins == [EDITED, FROM_MODEL]
    segmented.settle()
    assert segmented.volume == volume


def of_patient(scene, node, patient: str) -> None:
    """Put a volume under a patient of the subject hierarchy, as one that was loaded from DICOM."""
    place_in_study(scene, (node,), patient, "study")
    hierarchy = hierarchy_of(scene)
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    hierarchy.SetItemAttribute(hierarchy.GetItemParent(study), "DICOM.PatientID", patient)


@pytest.mark.parametrize("how", ["elsewhere", "of another patient"])
def test_a_case_whose_ct_was_deleted_is_not_given_another_patients(segmented, scene, nodes, tiny_patient, how):
    presenter = segmented.presenter
    presenter.set_clinical("Age", 61)
    segmented.settle()
    (orphan,) = records(scene)
    scene.RemoveNode(nodes[0])
    grid = tiny_patient.ct.geometry
    other = node_from_volume(
        Volume(tiny_patient.ct.array, replace(grid, origin_mm=(-59.0, -50.0, -74.0)) if how == "elsewhere" else grid),
        scene,
        "CT of another",
    )
    if how == "of another patient":
        for node, patient in ((other, "B"), (nodes[1], "A")):
            of_patient(scene, node, patient)
    presenter.choose_inputs(other, nodes[1])
    assert presenter.data.clinical_in_force == {}
    assert presenter.segmentation is None
    assert presenter.results is None
    assert orphan.get("MMPL.CT") is None
    assert [record.data.what_if for record in records(scene)] == [{"Age": 61}]


def test_what_was_used_anyway_waits_for_its_image_too(front, scene, nodes, tiny_patient):
    ct, pet = nodes
    for node, patient in ((ct, "A"), (pet, "B")):
        of_patient(scene, node, patient)
    presenter = front.presenter
    presenter.choose_inputs(ct, pet)
    presenter.use_anyway()
    presenter.set_clinical("Age", 61)
    scene.RemoveNode(ct)
    again = node_from_volume(tiny_patient.ct, scene, "CT again")
    of_patient(scene, again, "A")
    presenter.choose_inputs(again, pet)
    assert front.state.inputs.usable
    assert presenter.data.what_if == {"Age": 61}


def test_a_ct_that_is_deleted_during_a_run(chosen, scene, nodes):
    presenter = chosen.presenter
    chosen.segment_until_preview()
    late = list(presenter.engine.client._waiting.values())
    scene.RemoveNode(nodes[0])
    assert presenter.running == ""
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene) == []
    for one in late:
        one.result({"label_map": {"file": "x.npy", "start_zyx": [0, 0, 0]}})
    chosen.rest()
    assert chosen.state.message.startswith("The CT was deleted")


def test_a_ct_that_is_deleted_during_a_later_run_keeps_the_models_contours(segmented, scene, nodes):
    digest = segmented.presenter.model.digest
    node = segmented.presenter.record.get("MMPL.Model")
    segmented.segment_until_preview()
    scene.RemoveNode(nodes[0])
    assert node.GetScene() is scene
    assert not node.GetDisplayNode().GetVisibility()
    assert digest


def test_images_that_come_while_the_panel_is_open_are_looked_at(make_front, scene, tiny_patient):
    front = make_front()
    front.presenter.guess_new_inputs()
    ct = node_from_volume(tiny_patient.ct, scene, "CT")
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET that is being read")
    front.presenter.guess_new_inputs()
    assert front.presenter.ct is None  # not before all voxels are there
    scene.RemoveNode(empty)
    pet = node_from_volume(tiny_patient.pet, scene, "PET")
    front.presenter.guess_new_inputs()
    assert (front.presenter.ct, front.presenter.pet) == (ct, pet)


@pytest.mark.parametrize("first", ["ct", "pet"])
def test_an_image_that_was_guessed_alone_waits_for_the_other_one(make_front, scene, tiny_patient, first):
    front = make_front()
    loaded = {first: node_from_volume(getattr(tiny_patient, first), scene, first.upper())}
    front.presenter.guess_new_inputs()
    assert getattr(front.presenter, first) is loaded[first]
    second = "pet" if first == "ct" else "ct"
    loaded[second] = node_from_volume(getattr(tiny_patient, second), scene, second.upper())
    front.presenter.guess_new_inputs()
    assert (front.presenter.ct, front.presenter.pet) == (loaded["ct"], loaded["pet"])
    node_from_volume(tiny_patient.pet, scene, "PET FDG SUV")
    front.presenter.choose_inputs(loaded["ct"], None)
    front.presenter.guess_inputs()
    assert front.presenter.pet is None  # somebody has taken it out


def test_what_the_user_chose_is_not_guessed_over(make_front, scene, tiny_patient):
    front = make_front()
    pet = node_from_volume(tiny_patient.pet, scene, "PET")
    front.presenter.choose_inputs(None, pet)
    node_from_volume(tiny_patient.ct, scene, "CT")
    front.presenter.guess_new_inputs()
    assert (front.presenter.ct, front.presenter.pet) == (None, pet)


def test_pet_over_ct_is_shown_when_asked_for(make_front, scene, tiny_patient):
    front = make_front()
    front.presenter.show_fused()
    assert "Choose PET and CT" in front.state.message
    ct, pet = (node_from_volume(getattr(tiny_patient, name), scene, name) for name in ("ct", "pet"))
    front.presenter.choose_inputs(ct, pet)
    front.presenter.show_fused()
    red = scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert (red.GetBackgroundVolumeID(), red.GetForegroundVolumeID()) == (ct.GetID(), pet.GetID())
    display = pet.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (10.0, 5.0)


def test_a_scene_with_as_many_volumes_as_the_last_one_is_guessed_too(make_front, scene, tiny_patient):
    front = make_front()
    for _ in range(2):
        node_from_volume(tiny_patient.ct, scene, "CT")
        node_from_volume(tiny_patient.pet, scene, "PET")
        front.presenter.guess_new_inputs()
        assert front.presenter.ct is not None
        assert front.presenter.pet is not None
        scene.Clear(False)
