"""Segment pressed again, cancelled or failing: nothing that the user made is overwritten or renamed."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

import slicer
from mmpl.geometry import Volume
from mmpl_slicer import engine_session
from mmpl_slicer.case_record import MODEL
from mmpl_slicer.contours import read_contours
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.panel_state import EDITED, EMPTY, STOPPED
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.segmentation import create_segmentation, segment_mask
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, vtk_matrix

GTVP_LPS = (12.0, -6.0, -25.0)
CANCELLED = "Cancelled; contours and results are as they were."
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def segmentations(scene) -> list[str]:
    return sorted(node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene))


def volume_of(node, segment_id: str, ct) -> int:
    return int(segment_mask(node, segment_id, geometry_of_node(ct)).sum())


def test_untouched_contours_are_replaced_in_place_with_undo(segmented, scene):
    node, names = segmented.presenter.segmentation, segmentations(scene)
    editor = segmented.editor()
    segmented.segment()
    assert segmented.presenter.segmentation is node
    assert segmentations(scene) == names
    assert editor.logic.CanUndo()
    assert segmented.state.results.current


def test_edited_contours_are_kept_and_a_new_segmentation_is_made(segmented, scene):
    presenter = segmented.presenter
    node, ct = presenter.segmentation, presenter.ct
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    edited = volume_of(node, "GTVp", ct)
    segmented.segment()
    assert presenter.segmentation is not node
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert volume_of(node, "GTVp", ct) == edited
    assert presenter.segmentation.GetName() != node.GetName()
    presenter.choose_segmentation(node)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]


def test_a_contour_split_into_segments_is_not_drawn_into(segmented, scene, blind_bundle_path):
    """Together they are still what the model drew, and the new contour would replace one of them only."""
    presenter = segmented.presenter
    node, grid = presenter.segmentation, geometry_of_node(presenter.ct)
    mask = segment_mask(node, "GTVp", grid)
    lower = mask.copy()
    lower[int(np.argwhere(mask)[:, 0].mean()) :] = False
    node.GetSegmentation().AddEmptySegment("GTVp_2", "GTVp_2", (1, 1, 0))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for segment_id, part in (("GTVp", lower), ("GTVp_2", mask & ~lower)):
        logic.SetBinaryLabelmapToSegment(oriented_image(part, grid), node, segment_id, logic.MODE_REPLACE)
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    presenter.choose_bundle(str(blind_bundle_path))
    segmented.segment()
    assert presenter.segmentation is not node
    assert segmented.state.contours.notes == ()
    assert presenter.results["lesions"]["GTVp"]["volume_ml"] == 0
    assert volume_of(node, "GTVp", presenter.ct) == lower.sum()
    assert volume_of(node, "GTVp_2", presenter.ct) == (mask & ~lower).sum()


def test_a_stroke_during_the_run_is_kept(segmented):
    presenter, editor = segmented.presenter, segmented.editor()
    node, ct = presenter.segmentation, presenter.ct
    segmented.segment_until_preview()
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    edited = volume_of(node, "GTVp", ct)
    segmented.until(lambda: not presenter.running)
    assert volume_of(node, "GTVp", ct) == edited
    assert presenter.segmentation is not node
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_what_the_user_brought_is_never_drawn_into(chosen, scene, tiny_patient):
    presenter = chosen.presenter
    nothing = Volume(tiny_patient.label_map.array * 0, tiny_patient.label_map.geometry)
    mine = create_segmentation(nothing, presenter.ct, scene, "mine, empty yet")
    presenter.choose_segmentation(mine)
    chosen.segment()
    assert presenter.segmentation is not mine
    assert mine.GetName() == "mine, empty yet"
    assert volume_of(mine, "GTVp", presenter.ct) == 0


def put_far_away(scene, *nodes) -> None:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "far away")
    transform.SetMatrixTransformToParent(vtk_matrix([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2000], [0, 0, 0, 1]]))
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())


def test_contours_of_another_patient_are_never_drawn_into(segmented, scene, tiny_patient):
    presenter = segmented.presenter
    node, ct, digest = presenter.segmentation, presenter.ct, presenter.contours.digest
    other = [node_from_volume(getattr(tiny_patient, name), scene, f"{name} of another") for name in ("ct", "pet")]
    put_far_away(scene, *other)
    presenter.choose_inputs(*other)
    presenter.choose_segmentation(node)
    assert segmented.origins == [EMPTY, EMPTY]  # the images do not meet
    segmented.segment()
    assert presenter.segmentation is not node
    assert read_contours(node, {"GTVp": 1, "GTVn": 2}, geometry_of_node(ct)).digest == digest


def test_contours_that_lie_beside_the_ct_are_kept(segmented, scene):
    presenter = segmented.presenter
    node, digest = presenter.segmentation, presenter.contours.digest
    put_far_away(scene, node)
    segmented.rest()
    assert segmented.origins == [EDITED, EDITED]  # nothing is on the CT's grid
    segmented.segment()
    assert presenter.segmentation is not node
    node.SetAndObserveTransformNodeID(None)
    assert read_contours(node, {"GTVp": 1, "GTVn": 2}, geometry_of_node(presenter.ct)).digest == digest


def test_a_class_painted_wholly_within_the_other_is_kept(segmented, scene):
    """GTVp wins where both are: the label map is still the model's, and the voxels are somebody's work."""
    presenter = segmented.presenter
    node, grid = presenter.segmentation, geometry_of_node(presenter.ct)
    drawn = {name: segment_mask(node, name, grid) for name in ("GTVp", "GTVn")}
    both = drawn["GTVn"] | drawn["GTVp"]
    node.GetSegmentation().SeparateSegmentLabelmap("GTVn")
    image = oriented_image(both, grid)
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, node, "GTVn")
    segmented.rest()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    segmented.segment()
    assert presenter.segmentation is not node
    assert np.array_equal(segment_mask(node, "GTVn", grid), both)


def test_an_empty_segmentation_of_ours_is_drawn_into(segmented, scene):
    presenter = segmented.presenter
    node = presenter.segmentation
    for segment_id in ("GTVp", "GTVn"):
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(node, segment_id)
    segmented.rest()
    segmented.segment()
    assert presenter.segmentation is node


def test_a_segment_of_the_users_own_stays_in_ours(segmented):
    node = segmented.presenter.segmentation
    node.GetSegmentation().AddEmptySegment("Parotid", "Parotid")
    segmented.rest()
    assert "Not used: Parotid." in segmented.state.contours.notes
    segmented.segment()
    assert segmented.presenter.segmentation is node
    assert list(node.GetSegmentation().GetSegmentIDs()) == ["GTVp", "GTVn", "Parotid"]


def test_a_first_run_that_is_cancelled_leaves_nothing(chosen, scene):
    presenter = chosen.presenter
    chosen.segment_until_preview()
    presenter.cancel()
    chosen.until(lambda: not presenter.running)
    assert chosen.state.message == CANCELLED
    assert segmentations(scene) == []
    assert chosen.origins == [EMPTY, EMPTY]
    assert not chosen.state.results.available
    chosen.segment()


def test_cancel_while_the_images_are_handed_over(chosen, scene):
    presenter = chosen.presenter
    presenter.segment()
    presenter.cancel()
    chosen.until(lambda: not presenter.running)
    assert chosen.state.message == CANCELLED
    chosen.segment()
    assert presenter.results["case_id"] == "CT head neck"


def choose_nothing(presenter):
    presenter.choose_inputs(None, None)


def delete_the_ct(presenter):
    presenter.scene.RemoveNode(presenter.ct)


def move_the_pet(presenter):
    transform = presenter.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    presenter.pet.SetAndObserveTransformNodeID(transform.GetID())
    presenter.desk.clock.put_forward(1.0)
    presenter.tick()


def start_the_worker_anew(presenter):
    presenter.restart_worker()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (choose_nothing, ""),
        (delete_the_ct, "The CT was deleted: choose another one."),
        (move_the_pet, "PET or CT has changed: start again."),
        (start_the_worker_anew, ""),
    ],
)
def test_a_run_that_waits_for_its_turn_can_be_given_up(chosen, change, said):
    """In the first seconds, while bundle and images are on their way to the worker."""
    presenter = chosen.presenter
    presenter.segment()
    assert presenter.engine._waiting
    change(presenter)
    assert (presenter.running, presenter.message) == ("", said)
    chosen.rest()
    assert presenter.message == said
    assert not chosen.state.results.available


def test_nothing_is_measured_for_a_case_that_is_left_in_the_middle_of_a_run(segmented, monkeypatch):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    presenter.pet.GetImageData().Modified()  # the images are handed over again, so that the run waits
    presenter.segment()
    assert presenter.engine._waiting
    asked, request = [], presenter.engine.request
    monkeypatch.setattr(presenter.engine, "request", lambda do, *a, **k: (asked.append(do), request(do, *a, **k)))
    presenter.choose_inputs(None, None)
    assert asked == []
    assert presenter.running == ""


def test_a_later_run_that_is_cancelled_leaves_all_as_it_was(segmented, scene, without_timings):
    presenter = segmented.presenter
    names, before = segmentations(scene), presenter.results
    digest = presenter.contours.digest
    segmented.segment_until_preview()
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    assert segmentations(scene) == names
    assert presenter.contours.digest == digest
    assert presenter.results is before
    assert segmented.state.results.current
    assert not presenter.record.get(MODEL).GetDisplayNode().GetVisibility()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]


def test_a_stroke_during_a_run_that_is_cancelled_is_measured(segmented):
    presenter, before = segmented.presenter, segmented.volume
    segmented.segment_until_preview()
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    presenter.desk.clock.put_forward(1.0)
    for _ in range(20):  # a busy machine may spread the reading over several turns
        presenter.tick()  # read, but not measured while the run lasts
        if segmented.origins == [EDITED, FROM_MODEL]:
            break
    assert segmented.origins == [EDITED, FROM_MODEL]
    assert presenter.running
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    segmented.settle()
    assert segmented.volume > before


def test_a_cancel_during_a_measurement_does_not_keep_the_next_from_being_made(segmented):
    presenter, before = segmented.presenter, segmented.volume
    editor = segmented.editor()
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.until(lambda: presenter.engine.client.is_busy)
    presenter.cancel()
    segmented.rest()
    presenter.update_now()
    segmented.settle()
    assert segmented.volume > before


def edit_is_being_measured(front) -> None:
    front.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    front.until(lambda: front.presenter.desk.case.asked is not None and front.presenter.engine.client.is_busy)


def test_a_measurement_that_is_cancelled_along_with_a_run_is_made_again(segmented):
    presenter, before = segmented.presenter, segmented.volume
    edit_is_being_measured(segmented)
    presenter.segment()
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    segmented.rest()
    assert segmented.state.results.current, segmented.state.results.stale_text
    assert segmented.volume > before


@posix
def test_numbers_follow_also_where_the_worker_had_to_be_killed(own_front, nodes, monkeypatch):
    monkeypatch.setattr(engine_session, "CANCEL_S", 0.1)
    presenter = own_front.presenter
    presenter.choose_inputs(*nodes)
    own_front.segment()
    before = own_front.volume
    edit_is_being_measured(own_front)
    presenter.segment()
    os.kill(presenter.engine.client.pid, signal.SIGSTOP)
    presenter.cancel()
    own_front.until(lambda: not presenter.running)
    own_front.settle()
    assert own_front.volume > before


def test_without_auto_update_a_cancelled_measurement_waits_for_the_button(segmented):
    presenter = segmented.presenter
    edit_is_being_measured(segmented)
    presenter.set_auto_update(False)
    presenter.segment()
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    segmented.rest()
    assert segmented.state.results.stale_text == "Stale: press Update"


def test_a_measurement_that_is_given_up_with_the_worker_starts_none(own_front, nodes, tiny_patient, scene):
    presenter = own_front.presenter
    presenter.choose_inputs(*nodes)
    presenter.choose_segmentation(create_segmentation(tiny_patient.label_map, presenter.ct, scene, "mine"))
    presenter.update_now()
    presenter.segment()
    assert len(presenter.engine._waiting) == 2  # while bundle and images are on their way
    presenter.stop_worker()
    own_front.ticks(0.3)
    assert own_front.state.work.worker == STOPPED


def test_segmenting_twice_at_once_is_refused(chosen):
    chosen.presenter.segment()
    chosen.presenter.segment()
    assert chosen.state.message == "Segmentation is running already."
    chosen.until(lambda: not chosen.presenter.running)
    assert chosen.state.results.current


def test_a_value_tried_during_the_first_measurement_is_measured_after_it(chosen, tiny_patient, scene):
    presenter = chosen.presenter
    presenter.choose_segmentation(create_segmentation(tiny_patient.label_map, presenter.ct, scene, "mine"))
    presenter.update_now()
    presenter.set_clinical("Age", 85)
    chosen.until(lambda: presenter.results is not None)
    chosen.rest()
    assert chosen.state.results.current, chosen.state.results.stale_text


def test_a_value_tried_during_the_run_is_measured_after_it(chosen):
    presenter = chosen.presenter
    chosen.segment_until_preview()
    presenter.set_clinical("Age", 85)
    chosen.until(lambda: not presenter.running)
    without = presenter.results["rfs"]["risk"]
    chosen.settle()
    assert presenter.results["rfs"]["risk"] != without


@pytest.mark.parametrize("part", ["segmentation", "model"])
def test_a_deleted_segmentation_is_said_or_made_again(segmented, scene, part):
    presenter = segmented.presenter
    if part == "model":
        scene.RemoveNode(presenter.record.get(MODEL))
        segmented.rest()
        assert not segmented.state.contours.can_compare
        assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    else:
        scene.RemoveNode(presenter.segmentation)
        assert segmented.state.message == "The segmentation was deleted: choose another one, or press Segment."
        assert segmented.state.contours.segmentation_id == ""
        assert not segmented.state.results.current
    presenter.dismiss_message()
    segmented.segment()
    assert segmented.state.results.current
    assert segmented.state.contours.can_compare
