"""Segmentations that others made: other names, surfaces, overlaps, other grids, segments that come and go."""

from __future__ import annotations

import numpy as np
import pytest
import vtk

import slicer
from mmpl.geometry import Geometry, Volume
from mmpl_slicer.contour_nodes import add_segmentation
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.panel_state import EDITED, EMPTY, MANUAL
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.segmentation import create_segmentation
from mmpl_slicer.subject_hierarchy import hierarchy_of, place_in_study
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, vtk_matrix


@pytest.fixture
def brought(scene, nodes):
    """A function that makes a segmentation of (segment name, mask, grid), as another program would."""

    def make(*segments):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "from the clinic")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(nodes[0])
        for name, mask, grid in segments:
            node.AddSegmentFromBinaryLabelmapRepresentation(oriented_image(mask, grid), name)
        return node

    return make


@pytest.fixture
def primary(tiny_patient):
    return tiny_patient.label_map.array == 1


@pytest.fixture
def nodal(tiny_patient):
    return tiny_patient.label_map.array == 2


@pytest.fixture
def grid(tiny_patient):
    return tiny_patient.label_map.geometry


def measured(front) -> dict:
    front.presenter.update_now()
    front.settle()
    return front.presenter.results["lesions"]


def ml(mask, grid) -> float:
    return np.count_nonzero(mask) * grid.voxel_volume_ml


def test_other_names_are_asked_for_once(chosen, brought, primary, nodal, grid, make_front, scene, tmp_path):
    presenter = chosen.presenter
    left = nodal.copy()
    left[:, :, : left.shape[2] // 2] = False
    node = brought(("Tumour", primary, grid), ("LN II", nodal & ~left, grid), ("Cord", ~primary & ~nodal, grid))
    presenter.choose_segmentation(node)
    question = chosen.state.contours.question
    assert [(row.name, row.label) for row in question] == [("Tumour", 1), ("LN II", 2), ("Cord", 0)]
    assert not chosen.state.save.can_save
    presenter.name_segments({question[0].segment_id: 1, question[1].segment_id: 2})
    assert chosen.state.contours.question is None
    assert chosen.origins == [MANUAL, MANUAL]
    assert "Not used: Cord." in chosen.state.contours.notes
    figures = measured(chosen)
    assert figures["GTVp"]["volume_ml"] == pytest.approx(ml(primary, grid))
    save_mrb(scene, tmp_path / "case.mrb")
    presenter.close()
    load_mrb(scene, tmp_path / "case.mrb")
    again = make_front()
    again.presenter.restore()
    assert again.state.contours.question is None
    assert again.state.results.current
    assert again.origins == [MANUAL, MANUAL]


def test_several_segments_are_one_class(chosen, brought, nodal, grid):
    half = nodal.copy()
    half[: np.argwhere(nodal)[:, 0].min() + 3] = False
    node = brought(("LN left", half, grid), ("LN right", nodal & ~half, grid))
    chosen.presenter.choose_segmentation(node)
    chosen.presenter.name_segments({})  # as proposed
    assert measured(chosen)["GTVn"]["volume_ml"] == pytest.approx(ml(nodal, grid))
    assert measured(chosen)["GTVp"]["volume_ml"] == 0


def test_a_segment_that_is_renamed_is_measured_as_what_it_is_called(segmented):
    presenter = segmented.presenter
    segmentation = presenter.segmentation.GetSegmentation()
    before = {name: presenter.results["lesions"][name]["volume_ml"] for name in ("GTVp", "GTVn")}
    assert 0 < before["GTVp"] < before["GTVn"]
    for segment_id, name in (("GTVp", "GTVn"), ("GTVn", "GTVp")):
        segmentation.GetSegment(segment_id).SetName(name)
    segmented.rest()
    segmented.settle()
    figures = presenter.results["lesions"]
    assert {name: figures[name]["volume_ml"] for name in before} == {"GTVp": before["GTVn"], "GTVn": before["GTVp"]}
    segmentation.GetSegment("GTVp").SetName("other")
    segmented.rest()
    segmented.settle()
    assert presenter.results["lesions"]["GTVn"]["volume_ml"] == 0
    assert "Not used: other (made as GTVp)." in segmented.state.contours.notes
    segmented.segment()  # the model's contours go where their names are
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_the_models_own_contours_stay_its_own_whatever_they_are_called(segmented):
    node = segmented.presenter.record.get("MMPL.Model")
    for segment_id, name in (("GTVp", "GTVn"), ("GTVn", "GTVp")):
        node.GetSegmentation().GetSegment(segment_id).SetName(name)
    segmented.segment()
    segmented.presenter._scene.read_model()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_an_answer_that_was_damaged_is_asked_for_again(chosen, brought, primary, grid):
    node = brought(("Tumour", primary, grid))
    for text in ("nonsense", "[1]", '{"Tumour": "x"}'):
        node.SetAttribute("MMPL.Segments", text)
        chosen.presenter.choose_segmentation(node)
        assert chosen.state.contours.question is not None
        chosen.presenter.choose_segmentation(None)


def test_segments_that_overlap_count_as_gtvp_and_that_is_said(chosen, brought, primary, nodal, grid):
    both = np.roll(primary, 2, axis=0)
    node = brought(("GTVp", primary, grid), ("GTVn", both, grid))
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    chosen.presenter.choose_segmentation(node)
    shared = ml(primary & both, grid)
    assert f"GTVp and GTVn overlap by {shared:.2f} mL, which count as GTVp." in chosen.state.contours.notes
    figures = measured(chosen)
    assert figures["GTVp"]["volume_ml"] == pytest.approx(ml(primary, grid))
    assert figures["GTVn"]["volume_ml"] == pytest.approx(ml(both & ~primary, grid))


def test_segments_on_another_grid_are_read_on_the_cts(chosen, brought, grid):
    coarse = Geometry((30, 28, 25), (4.0, 4.0, 6.0), (-58.0, -54.0, -72.5))
    mask = np.zeros(coarse.shape, bool)
    mask[7:10, 12:15, 16:19] = True
    chosen.presenter.choose_segmentation(brought(("GTVp", mask, coarse)))
    assert any("another grid" in note for note in chosen.state.contours.notes)
    # a voxel of the coarse grid is eight of the CT's
    assert measured(chosen)["GTVp"]["volume_ml"] == pytest.approx(27 * coarse.voxel_volume_ml)


def outside_ct(front) -> str:
    (text,) = [w["text"] for w in front.presenter.results["warnings"] if w["code"] == "MASK_OUTSIDE_CT"]
    return text


def test_what_lies_outside_the_ct_is_said(chosen, brought, tmp_path):
    below = Geometry((60, 56, 60), (2.0, 2.0, 3.0), (-59.0, -55.0, -74.0 - 90.0))
    mask = np.zeros(below.shape, bool)
    mask[20:40, 20:30, 20:30] = True  # 10 of its 20 slices are the CT's
    chosen.presenter.choose_segmentation(brought(("GTVn", mask, below)))
    outside = np.count_nonzero(mask) * below.voxel_volume_ml / 2
    assert f"{outside:.2f} mL of GTVn lie outside the CT and are not measured." in chosen.state.contours.notes
    assert chosen.presenter.contours.labels.shape == (10, 10, 10)
    measured(chosen)
    assert "50.0 % of the contoured volume lies outside the CT" in outside_ct(chosen)
    mask[20:24] = False  # the part on the CT stays as it is
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    node = chosen.presenter.segmentation
    (segment,) = node.GetSegmentation().GetSegmentIDs()
    logic.SetBinaryLabelmapToSegment(oriented_image(mask, below), node, segment, logic.MODE_REPLACE)
    chosen.rest()
    assert "37.5 % of the contoured volume lies outside the CT" in outside_ct(chosen)
    chosen.presenter.save(str(tmp_path / "out"))
    chosen.until(lambda: not chosen.presenter.running)
    assert "37.5 % of the contoured volume lies outside the CT" in outside_ct(chosen)
    assert "MASK_OUTSIDE_CT" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_surfaces_alone_are_read_like_an_rtstruct(chosen, brought, primary, nodal, grid):
    node = brought(("GTVp", primary, grid), ("GTVn", nodal, grid))
    names = slicer.vtkSegmentationConverter
    segmentation = node.GetSegmentation()
    segmentation.CreateRepresentation(names.GetClosedSurfaceRepresentationName())
    segmentation.SetSourceRepresentationName(names.GetClosedSurfaceRepresentationName())
    segmentation.RemoveRepresentation(names.GetBinaryLabelmapRepresentationName())
    chosen.presenter.choose_segmentation(node)
    assert not segmentation.ContainsRepresentation(names.GetBinaryLabelmapRepresentationName())
    figures = measured(chosen)
    assert figures["GTVp"]["volume_ml"] == pytest.approx(ml(primary, grid), rel=0.1)
    assert figures["GTVn"]["volume_ml"] == pytest.approx(ml(nodal, grid), rel=0.1)


@pytest.mark.parametrize("beside", ["an empty segment", "none"])
def test_contours_that_cannot_be_made_voxels_are_not_taken_for_empty(chosen, scene, beside):
    """A structure set that SlicerRT read, in a scene opened without it."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "RT")
    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(15.0)
    sphere.Update()
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName("Planar contour")
    for name, shape in (("GTVp", sphere.GetOutput()), ("GTVn", vtk.vtkPolyData()))[: 1 + (beside != "none")]:
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Planar contour", shape)
        segmentation.AddSegment(segment, name)
    chosen.presenter.choose_segmentation(node)
    assert chosen.state.message == (
        "The segmentation's segments (Planar contour) cannot be made voxels here: install the extension SlicerRT, or "
        "bring them as a label map."
    )
    assert not chosen.presenter.can_save
    chosen.presenter.update_now()
    assert not chosen.state.results.available


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_empty_surface_beside_others_is_nothing(chosen, scene, place):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "RT")
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName("Closed surface")
    for number in range(3):
        sphere = vtk.vtkSphereSource()
        sphere.SetRadius(12.0)
        sphere.SetThetaResolution(40)
        sphere.SetPhiResolution(40)
        sphere.SetCenter(-12 + 20.0 * number, 6, -25)
        sphere.Update()
        segment = slicer.vtkSegment()
        segment.SetName(("GTVp", "GTVn", "GTVn_2")[number])
        segment.AddRepresentation("Closed surface", vtk.vtkPolyData() if number == place else sphere.GetOutput())
        segmentation.AddSegment(segment, str(number))
    chosen.presenter.choose_segmentation(node)
    assert chosen.origins == ([EMPTY, MANUAL] if place == 0 else [MANUAL, MANUAL])


def test_a_contour_of_surfaces_returns_to_the_model(segmented, brought, primary, nodal, grid):
    node = brought(("GTVp", np.roll(primary, 3, axis=0), grid), ("GTVn", nodal, grid))
    names = slicer.vtkSegmentationConverter
    segmentation = node.GetSegmentation()
    segmentation.CreateRepresentation(names.GetClosedSurfaceRepresentationName())
    segmentation.SetSourceRepresentationName(names.GetClosedSurfaceRepresentationName())
    segmentation.RemoveRepresentation(names.GetBinaryLabelmapRepresentationName())
    segmented.presenter.choose_segmentation(node)
    segmented.settle()
    segmented.presenter.return_to_model(1)
    segmented.settle()
    assert segmented.origins[0] == FROM_MODEL


def test_empty_segments_are_nothing(chosen, scene, tiny_patient, grid):
    nothing = Volume(np.zeros(grid.shape, np.uint8), grid)
    chosen.presenter.choose_segmentation(create_segmentation(nothing, chosen.presenter.ct, scene))
    assert chosen.origins == [EMPTY, EMPTY]
    chosen.presenter.update_now()
    chosen.rest()
    assert not chosen.state.results.available


def test_update_now_says_why_nothing_is_measured(front, nodes, brought, primary, grid):
    presenter = front.presenter

    def said() -> str:
        presenter.dismiss_message()
        presenter.update_now()
        return front.state.message

    assert said() == "Choose PET and CT first."
    presenter.choose_inputs(*nodes)
    assert said() == "There is no segmentation to measure: choose one under Contours, or press Segment."
    presenter.choose_segmentation(brought(("Tumour", primary, grid)))
    assert said() == "Say first under Contours which segment is which class: nothing is measured before."
    presenter.choose_segmentation(brought(("GTVp", np.zeros_like(primary), grid)))
    assert said() == "Nothing is contoured on the CT yet: draw GTVp or GTVn, or press Segment."
    presenter.choose_bundle("nowhere")
    assert "nowhere does not exist" in said()


def test_no_segments_at_all(chosen, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bare")
    chosen.presenter.choose_segmentation(node)
    assert chosen.origins == [EMPTY, EMPTY]
    assert chosen.state.contours.question is None


def test_a_deleted_segment_counts_as_empty_and_is_made_again_by_return(segmented):
    presenter = segmented.presenter
    presenter.segmentation.GetSegmentation().RemoveSegment("GTVn")
    assert not segmented.state.results.current
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, EDITED]
    assert presenter.results["lesions"]["GTVn"]["volume_ml"] == 0
    presenter.return_to_model(2)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert presenter.segmentation.GetSegmentation().GetSegment("GTVn").GetName() == "GTVn"


def test_several_segments_of_a_class_return_to_the_model_as_one(segmented):
    presenter = segmented.presenter
    node = presenter.segmentation
    extra = node.GetSegmentation().AddEmptySegment("extra", "extra node")
    presenter.name_segments({"GTVp": 1, "GTVn": 2, extra: 2})
    segmented.editor().add_ball(extra, (-30.0, 20.0, 20.0), 8.0)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, EDITED]
    presenter.return_to_model(2)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert node.GetSegmentation().GetNumberOfSegments() == 3


def test_segments_that_are_replaced_all_at_once_are_read_and_measured(segmented):
    presenter, node = segmented.presenter, segmented.presenter.segmentation
    before = segmented.volume
    edited = slicer.vtkSegmentation()
    edited.DeepCopy(node.GetSegmentation())
    edited.RemoveSegment("GTVn")
    node.SetAndObserveSegmentation(edited)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, EDITED]
    assert presenter.results["lesions"]["GTVn"]["volume_ml"] == 0
    segmented.editor().add_ball("GTVp", (12.0, -6.0, -25.0), 20.0)  # the new segments are followed as the old were
    segmented.settle()
    assert segmented.volume > before


def test_a_class_returns_to_the_model_where_a_transform_puts_it(segmented, scene):
    presenter = segmented.presenter
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = np.eye(4)
    matrix[:3, 3] = (6.0, 0.0, -6.0)
    transform.SetMatrixTransformToParent(vtk_matrix(matrix))
    for node in (presenter.ct, presenter.pet, presenter.segmentation, presenter.record.get("MMPL.Model")):
        node.SetAndObserveTransformNodeID(transform.GetID())
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    segmented.editor().add_ball("GTVp", (6.0, -6.0, -31.0), 20.0)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]
    presenter.return_to_model(1)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    segmented.segment()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_a_class_of_a_warped_segmentation_does_not_return(segmented, scene):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", (12.0, -6.0, -25.0), 20.0)
    segmented.settle()
    warp = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    presenter.segmentation.SetAndObserveTransformNodeID(warp.GetID())
    presenter.return_to_model(1)
    assert "non-linear transform 'warp'" in segmented.state.message
    presenter.segmentation.SetAndObserveTransformNodeID(None)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]


def test_a_class_of_a_flattened_segmentation_does_not_return(segmented, scene):
    presenter = segmented.presenter
    flat = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "flat")
    flat.SetMatrixTransformToParent(vtk_matrix(np.diag([1.0, 1.0, 0.0, 1.0])))
    presenter.segmentation.SetAndObserveTransformNodeID(flat.GetID())
    presenter.return_to_model(1)
    assert "lies under a transform that makes it flat: take it out of it" in segmented.state.message
    presenter.segmentation.SetAndObserveTransformNodeID(None)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_a_segmentation_needs_images_first(front, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "bare")
    front.presenter.choose_segmentation(node)
    assert front.state.message == "Choose PET and CT first: contours are measured on them."
    assert front.state.contours.segmentation_id == ""


@pytest.fixture
def of_beta(chosen, scene, tiny_patient):
    """ALPHA has a segmentation, and BETA's images are chosen; with ALPHA's segmentation."""
    presenter = chosen.presenter
    alphas = add_segmentation(scene, presenter.ct, presenter.state.save.case_name)
    presenter.choose_segmentation(alphas)
    assert alphas.GetAttribute(CASE_ATTRIBUTE) == presenter.case_id
    place_in_study(scene, (presenter.ct, presenter.pet, alphas), "ALPHA", "study")
    betas = [node_from_volume(volume, scene, "BETA") for volume in (tiny_patient.ct, tiny_patient.pet)]
    place_in_study(scene, betas, "BETA", "study")
    presenter.choose_inputs(*betas)
    assert chosen.state.inputs.usable
    return chosen, alphas


def test_another_patients_segmentation_is_not_chosen(of_beta):
    front, alphas = of_beta
    front.presenter.choose_segmentation(alphas)
    assert front.presenter.segmentation is None
    assert front.state.contours.segmentation_id == ""
    assert front.state.message == (
        f"{alphas.GetName()!r} is of patient 'ALPHA', the images are of 'BETA': choose another segmentation, or put "
        "this one under its patient in the Data module."
    )


def test_a_segmentation_outside_the_data_tree_is_its_cases(of_beta, scene):
    front, alphas = of_beta
    hierarchy = hierarchy_of(scene)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(alphas), hierarchy.GetSceneItemID())
    front.presenter.choose_segmentation(alphas)
    assert "is of patient 'ALPHA'" in front.state.message
    assert front.presenter.segmentation is None


def test_a_segmentation_that_another_patients_case_uses_is_cloned_first(of_beta, scene):
    front, alphas = of_beta
    place_in_study(scene, (alphas,), "BETA", "study")
    front.presenter.choose_segmentation(alphas)
    assert front.state.message.endswith("another patient's: clone it in the Data module and choose the copy.")
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.Copy(alphas)
    place_in_study(scene, (copy,), "BETA", "study")
    front.presenter.choose_segmentation(copy)
    assert front.presenter.segmentation is copy


def test_a_segmentation_of_nobody_is_accepted_as_before(of_beta, brought, primary, grid):
    front, _ = of_beta
    node = brought(("GTVp", primary, grid))
    front.presenter.choose_segmentation(node)
    assert front.presenter.segmentation is node


def test_images_said_to_be_one_patients_take_the_segmentation_of_either_name(of_beta, scene, brought, primary, grid):
    front, _ = of_beta
    presenter = front.presenter
    place_in_study(scene, (presenter.pet,), "B.", "study")
    node = brought(("GTVp", primary, grid))
    place_in_study(scene, (node,), "B.", "study")
    presenter.choose_segmentation(node)
    assert presenter.segmentation is node


def test_there_is_nothing_to_return_to_before_segment(chosen):
    chosen.presenter.return_to_model(1)
    assert chosen.state.message == "There is no contour of the model to return to: press Segment first."


def test_a_lesion_is_jumped_to(segmented, scene):
    slice_node = scene.AddNode(slicer.vtkMRMLSliceNode())
    slice_node.SetOrientationToAxial()
    left, posterior, superior = segmented.state.contours.lesions[0].centre_lps
    segmented.presenter.jump_to((left, posterior, superior))
    matrix = slice_node.GetSliceToRAS()
    assert [matrix.GetElement(row, 3) for row in range(3)] == pytest.approx([-left, -posterior, superior])


def test_figures_of_other_contours_are_not_shown_while_segments_are_asked_for(chosen, brought, primary, grid):
    front = chosen
    front.presenter.choose_segmentation(brought(("GTVp", primary, grid)))
    measured(front)
    assert front.state.contours.classes[0].volume != ""
    front.presenter.choose_segmentation(brought(("something", primary, grid)))
    assert front.state.contours.question is not None
    assert [row.volume for row in front.state.contours.classes] == ["", ""]
    assert front.state.contours.lesions == ()
    assert not front.state.results.current


def test_a_clone_of_the_models_contours_can_be_edited_and_they_themselves_cannot(segmented, scene):
    presenter = segmented.presenter
    (model,) = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
        if node.GetAttribute("MMPL.Role") == "model contours"
    ]
    presenter.choose_segmentation(model)
    assert presenter.segmentation is not model
    assert "the model's own contours" in segmented.state.message
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.Copy(model)
    presenter.choose_segmentation(clone)
    segmented.settle()
    assert presenter.segmentation is clone
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    segmented.segment()  # it is the user's: nothing is drawn into it
    assert presenter.segmentation is not clone


def test_strokes_in_the_models_contours_do_not_become_the_models_when_the_pet_moves(segmented, scene):
    presenter = segmented.presenter
    drawn, node, grid = presenter.model.digest, presenter.segmentation, geometry_of_node(presenter.ct)
    ball = np.zeros(grid.shape, bool)
    ball[5:15, 5:15, 5:15] = True
    for one in (node, presenter.record.get("MMPL.Model")):
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(oriented_image(ball, grid), one, "GTVp", logic.MODE_MERGE_MAX)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    presenter.pet.SetAndObserveTransformNodeID(transform.GetID())
    segmented.settle()
    assert presenter.model.digest == drawn
    assert segmented.origins == [EDITED, FROM_MODEL]


@pytest.fixture
def saved(segmented, tmp_path, monkeypatch):
    """A function that saves; gives what the worker was told of the model's part, and whether the report shows it."""
    asked, ask = {}, segmented.presenter.desk.request

    def request(do, callbacks, **arguments):
        if do == "save":
            asked.update(arguments)
        ask(do, callbacks, **arguments)

    def save() -> tuple[set[str], bool]:
        asked.clear()
        segmented.presenter.save(str(tmp_path / "out"))
        segmented.until(lambda: not segmented.presenter.running)
        report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        return {"drawn", "model_label_map"} & asked.keys(), "GTVp, corrected" in report

    monkeypatch.setattr(segmented.presenter.desk, "request", request)
    return save


def test_a_segmentation_of_the_users_own_is_no_correction_of_the_models(segmented, saved, brought, grid):
    own = np.zeros(grid.shape, bool)
    own[15:20, 20:26, 20:26] = True
    segmented.presenter.choose_segmentation(brought(("GTVp", own, grid)))
    segmented.settle()
    assert segmented.origins == [MANUAL, EMPTY]
    assert [row.can_return for row in segmented.state.contours.classes] == [True, True]
    assert saved() == (set(), False)
    segmented.presenter.return_to_model(2)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]  # the model has drawn here now
    assert saved() == ({"drawn", "model_label_map"}, True)


def test_a_clone_of_the_models_contours_is_a_correction_once_it_is_edited(segmented, saved, scene):
    presenter = segmented.presenter
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.Copy(presenter.record.get("MMPL.Model"))
    presenter.choose_segmentation(clone)
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    clone.GetSegmentation().RemoveSegment("GTVn")
    segmented.editor().add_ball("GTVp", (-30.0, 20.0, 20.0), 8.0)
    segmented.settle()
    assert segmented.origins == [EDITED, EDITED]
    assert saved() == ({"drawn", "model_label_map"}, True)
