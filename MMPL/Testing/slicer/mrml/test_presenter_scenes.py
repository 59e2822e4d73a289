"""Cases in scenes: saved and opened again, several in one, closed in the middle, imported into another."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import vtk

import slicer
from mmpl.geometry import Volume
from mmpl_slicer.case_record import MODEL, CaseRecord, records
from mmpl_slicer.contour_nodes import set_contours
from mmpl_slicer.contours import contours_of_label_map
from mmpl_slicer.panel_state import EDITED, EMPTY, MANUAL, STOPPED
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.results_nodes import LESIONS_ROLE, chart_of
from mmpl_slicer.rfs_chart import CURVE_ROLE
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.subject_hierarchy import hierarchy_of
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE, column_values, find
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, vtk_matrix

GTVP_LPS = (12.0, -6.0, -25.0)


def runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def model_nodes(scene) -> list:
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    return [node for node in nodes if node.GetAttribute("MMPL.Role") == "model contours"]


@pytest.fixture
def edited(segmented):
    """GTVp edited, a value tried, HPV known and taken as such, a SUV field typed."""
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    presenter.set_clinical("HPV Status", "positive")
    presenter.set_clinical("Primary Site", "oropharynx")
    presenter.keep_clinical()
    presenter.set_hpv_as_known(True)
    presenter.set_clinical("Age", 77)
    presenter.set_suv_field("weight_kg", 81.5)
    segmented.settle()
    return segmented


@pytest.fixture
def reopened(edited, make_front, scene, tmp_path):
    """The scene saved, closed and opened again by a presenter that has no worker."""
    save_mrb(scene, tmp_path / "case.mrb")
    edited.presenter.close()
    scene.Clear(False)
    load_mrb(scene, tmp_path / "case.mrb")
    front = make_front()
    front.presenter.restore()
    return front


def test_a_scene_comes_back_as_it_was_without_a_worker(edited, reopened):
    before, after = edited.shown[-1], reopened.state
    assert after.work.worker == STOPPED
    assert after.results.current
    assert after.results.available
    for part in ("hpv_text", "rfs_text", "survival", "hpv_drivers", "rfs_drivers", "warnings", "deep_note"):
        assert getattr(after.results, part) == getattr(before.results, part), part
    assert after.contours.classes == before.contours.classes
    assert [row.origin for row in after.contours.classes] == [EDITED, FROM_MODEL]
    assert after.contours.lesions == before.contours.lesions
    assert after.patient == before.patient
    assert after.patient.hpv_as_known
    assert reopened.presenter.data.suv == {"weight_kg": 81.5}
    assert after.inputs.lines == before.inputs.lines
    chart = reopened.presenter.scene.GetNodeByID(after.results.chart_id)
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert names == ["RFS", "Members' minimum (not a CI)", "Members' maximum (not a CI)"]


def test_the_curve_before_comes_back_with_the_scene(segmented, make_front, shared_client, clock, scene, tmp_path):
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    save_mrb(scene, tmp_path / "case.mrb")
    segmented.presenter.close()
    load_mrb(scene, tmp_path / "case.mrb")
    front = make_front(make_client=lambda: shared_client, clock=clock)
    front.presenter.restore()
    front.editor().add_ball("GTVp", (12.0, -6.0, -5.0), 20.0)
    front.settle()
    chart = scene.GetNodeByID(front.state.results.chart_id)
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert "Model's contours" in names


def test_edits_after_opening_are_measured(reopened):
    before = reopened.volume
    reopened.editor().add_ball("GTVp", (12.0, -6.0, -5.0), 20.0)
    reopened.settle()
    assert reopened.volume > before
    reopened.presenter.return_to_model(1)
    reopened.settle()
    assert reopened.origins == [FROM_MODEL, FROM_MODEL]


def reopen(front, make_front, scene, path, **arguments):
    """Close the panel and the scene, and open a scene that was saved."""
    front.presenter.close()
    scene.Clear(False)
    load_mrb(scene, path)
    again = make_front(**arguments)
    again.presenter.restore()
    return again


def data_tree(scene) -> list[str]:
    """Names of what MMPL has put into Slicer's data tree."""
    hierarchy, items = hierarchy_of(scene), vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    names = (hierarchy.GetItemName(items.GetId(n)) for n in range(items.GetNumberOfIds()))
    return sorted(name for name in names if "MMPL" in name)


def test_a_preview_is_in_no_scene_that_is_saved_amid_the_first_run(chosen, make_front, scene, tmp_path):
    chosen.segment_until_preview()
    save_mrb(scene, tmp_path / "amid.mrb")
    chosen.until(lambda: not chosen.presenter.running)
    assert model_nodes(scene) == [chosen.presenter.record.get(MODEL)]
    assert data_tree(scene) == ["CT head neck MMPL model contours", "CT head neck MMPL segmentation"]
    front = reopen(chosen, make_front, scene, tmp_path / "amid.mrb")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene) == []
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationDisplayNode", scene) == []
    assert data_tree(scene) == []
    assert front.origins == [EMPTY, EMPTY]
    assert front.presenter.model is None
    assert not front.state.contours.can_compare


def test_a_scene_saved_amid_a_later_run_keeps_the_models_contours(segmented, make_front, scene, tmp_path):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    digests, drawn = presenter.model.digests, presenter.model_results
    segmented.segment_until_preview()
    save_mrb(scene, tmp_path / "amid.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "amid.mrb")
    assert front.presenter.model.digests == digests
    assert front.presenter.model_results == drawn
    assert front.origins == [EDITED, FROM_MODEL]
    assert front.state.message == ""
    assert front.state.results.current
    front.presenter.return_to_model(1)
    front.rest()
    assert front.origins == [FROM_MODEL, FROM_MODEL]


def test_contours_that_the_model_did_not_draw_are_not_called_its_own(
    segmented, make_front, shared_client, clock, scene, tmp_path
):
    presenter = segmented.presenter
    labels = presenter.model.labels.copy()
    labels[: len(labels) // 2] = 0  # as a preview that an earlier version saved, or somebody's edit elsewhere
    half = contours_of_label_map(labels, presenter.model.start_zyx)
    set_contours(presenter.record.get(MODEL), half, geometry_of_node(presenter.ct))
    save_mrb(scene, tmp_path / "case.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "case.mrb", make_client=lambda: shared_client, clock=clock)
    assert front.state.message.startswith("What the scene keeps as the model's contours is not what the model drew")
    assert front.origins == [MANUAL, MANUAL]
    assert [row.can_return for row in front.state.contours.classes] == [False, False]
    assert not front.state.contours.can_compare
    assert front.state.contours.drawn_by == ""
    front.presenter.return_to_model(1)
    assert "press Segment first" in front.state.message
    put_beside(scene, front.presenter.pet)
    front.rest()  # the images were checked again
    assert front.origins == [MANUAL, MANUAL]
    front.presenter.dismiss_message()
    front.segment()
    assert front.origins == [FROM_MODEL, FROM_MODEL]
    assert front.state.contours.can_compare


def test_a_preview_that_an_earlier_version_saved_is_not_called_the_models(segmented, make_front, scene, tmp_path):
    """Of a first run: nothing says what the model drew, and there are no results of it."""
    segmented.presenter.data.model_digests = {}
    segmented.presenter.record.save()
    (drawn,) = [n for n in slicer.util.getNodesByClass("vtkMRMLTextNode", scene) if "model" in n.GetName()]
    scene.RemoveNode(drawn)
    save_mrb(scene, tmp_path / "case.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "case.mrb")
    assert front.presenter.model is None
    assert front.origins == [MANUAL, MANUAL]


def put_beside(scene, *nodes) -> None:
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 6], [0, 0, 0, 1]]))
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())


def test_the_models_contours_on_a_ct_that_was_moved_come_back(segmented, make_front, scene, tmp_path):
    put_beside(scene, segmented.presenter.ct)
    segmented.rest()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    save_mrb(scene, tmp_path / "case.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "case.mrb")
    assert front.origins == [FROM_MODEL, FROM_MODEL]


def test_that_networks_scores_were_kept_is_said_after_opening_too(segmented, make_front, scene, tmp_path):
    segmented.editor().add_ball("GTVp", GTVP_LPS, 17.0)
    segmented.settle()
    note = segmented.state.results.deep_note
    assert "last full pass" in note
    save_mrb(scene, tmp_path / "case.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "case.mrb")
    assert front.state.results.current
    assert front.state.results.deep_note == note


def move_lesions(front) -> None:
    """Far enough that the networks' scores are not those of the lesions any more; stop before they are refreshed."""
    front.editor().add_ball("GTVn", (-10.0, 30.0, 40.0), 18.0)
    front.until(lambda: not front.presenter.data.deep_is_current)


def test_networks_scores_that_nobody_refreshes_are_stale_after_opening(
    segmented, make_front, shared_client, clock, scene, tmp_path
):
    move_lesions(segmented)
    assert "being refreshed" in segmented.state.results.deep_note
    save_mrb(scene, tmp_path / "case.mrb")
    front = reopen(segmented, make_front, scene, tmp_path / "case.mrb", make_client=lambda: shared_client, clock=clock)
    assert front.state.work.worker == STOPPED
    assert front.state.results.stale_text == "Stale: press Update"
    assert front.state.results.deep_note.endswith("the lesions have moved by more than 10 mm since: press Update.")
    front.presenter.update_now()
    front.settle()
    assert front.state.results.deep_note == ""


def test_networks_scores_are_refreshed_when_a_case_is_chosen_again(segmented, nodes):
    move_lesions(segmented)
    segmented.presenter.choose_inputs(None, None)
    segmented.presenter.choose_inputs(*nodes)
    assert segmented.state.results.stale_text == "Stale: updating..."
    segmented.settle()
    assert segmented.state.results.deep_note == ""


def test_a_refresh_that_was_cancelled_is_not_said_to_be_under_way(segmented):
    move_lesions(segmented)
    segmented.presenter.cancel()
    segmented.rest()
    assert segmented.state.results.deep_note.endswith("press Update.")
    segmented.presenter.update_now()
    segmented.until(lambda: segmented.state.results.deep_note == "")


def test_a_case_renamed_right_after_new_numbers_has_them_all(segmented, scene):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 24.0)
    segmented.until(lambda: presenter.desk.chores and presenter.desk.case.asked is None)
    presenter.rename_case("Trial 7")
    segmented.rest()
    assert {n.GetAttribute(CASE_ATTRIBUTE) for n in slicer.util.getNodesByClass("vtkMRMLNode", scene)} == {
        None,
        "Trial 7",
    }
    lesions = find(scene, "vtkMRMLTableNode", LESIONS_ROLE, "Trial 7")
    assert column_values(lesions, "Volume (mL)")[0] == segmented.volume
    curve = find(scene, "vtkMRMLTableNode", CURVE_ROLE, "Trial 7")
    expected = presenter.results["rfs"]["curve"]["survival"]
    known = [value for value in expected if value is not None]
    assert column_values(curve, "RFS probability")[: len(known)] == pytest.approx(known)
    assert segmented.state.results.chart_id == chart_of(scene, "Trial 7").GetID()


def test_results_of_other_values_do_not_come_back_as_current(segmented, make_front, scene, tmp_path):
    segmented.presenter.set_auto_update(False)
    segmented.presenter.set_clinical("Age", 85)  # tried, not measured
    save_mrb(scene, tmp_path / "case.mrb")
    segmented.presenter.close()
    load_mrb(scene, tmp_path / "case.mrb")
    front = make_front()
    front.presenter.restore()
    assert front.state.patient.tried.startswith("Age 85")
    assert front.state.results.available
    assert not front.state.results.current


def test_results_of_another_model_of_that_name_and_version_come_back_stale(segmented, make_front, retrained):
    segmented.presenter.close()
    front = make_front()
    front.presenter.choose_bundle(str(retrained))
    front.presenter.restore()
    assert front.state.inputs.bundle_title == segmented.state.inputs.bundle_title
    assert front.state.results.available
    assert not front.state.results.current


def test_a_model_that_was_rewritten_where_it_lies_is_opened_anew(chosen, tiny_bundle_path, retrained, tmp_path):
    presenter, mine = chosen.presenter, tmp_path / "mine"
    shutil.copytree(tiny_bundle_path, mine)
    presenter.choose_bundle(str(mine))
    chosen.segment()
    assert presenter.results["hpv"]["threshold"] == 0.5
    shutil.copy(retrained / "bundle.json", mine)
    presenter.update_now()
    assert not chosen.state.results.current
    chosen.settle()
    assert presenter.results["hpv"]["threshold"] == 0.9
    shutil.copy(tiny_bundle_path / "bundle.json", mine)
    chosen.segment()
    assert presenter.results["hpv"]["threshold"] == 0.5


def test_contours_edited_elsewhere_make_results_stale(segmented, make_front, scene, tmp_path):
    segmented.presenter.close()
    editor = segmented.editor()
    editor.add_ball("GTVp", GTVP_LPS, 20.0)  # nobody looks
    front = make_front()
    front.presenter.restore()
    assert front.origins == [EDITED, FROM_MODEL]
    assert not front.state.results.current


def test_a_results_text_that_someone_has_edited_is_not_shown(segmented, make_front, scene):
    presenter = segmented.presenter
    (document,) = [
        n
        for n in slicer.util.getNodesByClass("vtkMRMLTextNode", scene)
        if n.GetAttribute("MMPL.Role") == "results.json"
    ]
    presenter.close()
    whole = document.GetText()
    for text in ("nonsense", "5", "{}", whole.replace('"volume_ml": ', '"volume_ml": 9'), ""):
        document.SetText(text)
        front = make_front()
        front.presenter.restore()
        assert not front.state.results.available, text
        assert front.origins == [FROM_MODEL, FROM_MODEL]
        front.presenter.close()


@pytest.fixture
def retrained(tiny_bundle_path, tmp_path):
    """A model of the same name and version, with another HPV threshold."""
    folder = tmp_path / "retrained"
    shutil.copytree(tiny_bundle_path, folder)
    raw = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    assert raw["thresholds"]["hpv"] == 0.5
    raw["thresholds"]["hpv"] = 0.9
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    return folder


@pytest.fixture
def second_pair(scene, tiny_patient):
    """Another patient: the same head with half the uptake in the lesions, mirrored."""
    ct, pet = tiny_patient.ct, tiny_patient.pet
    return (
        node_from_volume(Volume(ct.array[:, :, ::-1].copy(), ct.geometry), scene, "CT of another"),
        node_from_volume(Volume(pet.array[:, :, ::-1].copy(), pet.geometry), scene, "PET of another"),
    )


def test_each_patient_keeps_its_own(segmented, nodes, second_pair, without_timings):
    presenter = segmented.presenter
    presenter.set_clinical("Age", 61)
    presenter.keep_clinical()
    segmented.settle()
    first, digest = presenter.results, presenter.contours.digest
    presenter.choose_inputs(*second_pair)
    assert not segmented.state.results.available
    assert segmented.state.contours.segmentation_id == ""
    assert presenter.data.clinical == {}
    segmented.segment()
    second = presenter.results
    assert second["case_id"] == "CT of another"
    assert second["lesions"]["GTVp"]["components"][0]["centroid_lps_mm"][0] < 0
    presenter.choose_inputs(*nodes)
    assert presenter.results == first
    assert segmented.state.results.current
    assert presenter.contours.digest == digest
    assert presenter.data.clinical["Age"] == 61
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)  # the worker is given this case again
    segmented.settle()
    assert presenter.results["case_id"] == "CT head neck"
    assert presenter.results["lesions"]["GTVp"]["components"][0]["centroid_lps_mm"][0] > 0
    presenter.choose_inputs(*second_pair)
    assert without_timings(presenter.results) == without_timings(second)


def save(front, folder) -> str:
    """Press Save; what is said of it."""
    front.presenter.save(str(folder))
    front.until(lambda: not front.presenter.running)
    return front.state.message


def test_one_patients_results_are_not_saved_over_anothers(segmented, second_pair, tmp_path):
    presenter, out = segmented.presenter, tmp_path / "out"
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    assert save(segmented, out) == ""
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    presenter.choose_inputs(*second_pair)
    segmented.segment()
    assert save(segmented, out) == (
        f"{out} holds results of the case CT head neck, not of CT of another: choose another folder."
    )
    assert segmented.state.save.text == segmented.state.save.report_path == ""
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert segmented.state.results.current
    assert save(segmented, tmp_path / "other") == ""


def test_a_case_is_saved_over_its_own_results(segmented, make_front, shared_client, clock, scene, tmp_path):
    assert save(segmented, tmp_path / "out") == ""
    first = (tmp_path / "out" / "mask.nii.gz").read_bytes()
    save_mrb(scene, tmp_path / "case.mrb")
    segmented.presenter.close()
    load_mrb(scene, tmp_path / "case.mrb")
    front = make_front(make_client=lambda: shared_client, clock=clock)
    front.presenter.restore()
    front.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    assert save(front, tmp_path / "out") == ""
    assert (tmp_path / "out" / "mask.nii.gz").read_bytes() != first


def test_a_folder_of_files_of_nobody_knows_which_case_is_refused(segmented, tmp_path):
    (tmp_path / "mask.nii.gz").write_bytes(b"somebody's work")
    assert "no results that say of which case: choose another folder" in save(segmented, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_a_shared_pet_that_was_moved_in_another_case_makes_results_stale(segmented, nodes, scene, tiny_patient):
    presenter, pet = segmented.presenter, nodes[1]
    before = segmented.presenter.results["lesions"]["GTVp"]["suv_max"]
    presenter.choose_inputs(node_from_volume(tiny_patient.ct, scene, "CT of next week"), pet)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(vtk_matrix([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 24], [0, 0, 0, 1]]))
    pet.SetAndObserveTransformNodeID(transform.GetID())
    segmented.rest()
    presenter.choose_inputs(*nodes)
    assert segmented.state.results.available
    assert not segmented.state.results.current
    segmented.settle()
    assert presenter.results["lesions"]["GTVp"]["suv_max"] != before


def test_results_of_images_that_were_changed_elsewhere_do_not_come_back_as_current(segmented, make_front, nodes):
    segmented.presenter.close()
    slicer.util.arrayFromVolume(nodes[1])[20, 15, 16] += 1  # nobody looks
    slicer.util.arrayFromVolumeModified(nodes[1])
    front = make_front()
    front.presenter.restore()
    assert front.state.results.available
    assert not front.state.results.current


def test_results_stay_stale_after_images_have_changed_until_they_are_measured(segmented, nodes):
    presenter = segmented.presenter
    presenter.set_auto_update(False)
    slicer.util.arrayFromVolume(nodes[1])[:] *= 0.5
    slicer.util.arrayFromVolumeModified(nodes[1])
    assert presenter.record.data.measured == ""
    presenter.choose_inputs(None, None)
    presenter.engine.stop()  # nothing is measured by itself
    presenter.choose_inputs(*nodes)
    assert segmented.state.results.available
    assert not segmented.state.results.current


def test_what_comes_late_for_one_patient_never_lands_in_another(chosen, second_pair, nodes, scene):
    presenter = chosen.presenter
    presenter.segment()
    heard = chosen.presenter.engine.client
    chosen.until(lambda: chosen.state.work.step.startswith("Segmenting"))
    callbacks = dict(heard._waiting)
    presenter.choose_inputs(*second_pair)
    assert presenter.running == ""
    assert model_nodes(scene) == []
    for one in callbacks.values():  # the worker had answered already, say
        one.partial({"label_map": {"file": "preview.npy", "start_zyx": [0, 0, 0]}})
        one.result({"label_map": {"file": "x.npy", "start_zyx": [0, 0, 0]}, "results": {"case_id": "wrong"}})
        one.error("input", "of the other one")
        one.withdrawn()
    assert presenter.results is None
    assert presenter.message == ""
    assert presenter.running == ""
    chosen.segment()
    assert presenter.results["case_id"] == "CT of another"


def test_a_late_measurement_does_not_land_in_another_patient_either(segmented, second_pair):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.until(lambda: presenter.engine.client.is_busy)
    late = list(presenter.engine.client._waiting.values())
    told = {"results": presenter.results, "deep_is_current": True, "deep_is_kept": False}
    presenter.choose_inputs(*second_pair)
    for one in late:
        one.result(told)
    assert presenter.results is None


def test_the_patient_chosen_last_is_shown_first(segmented, nodes, second_pair, make_front, scene, tmp_path):
    presenter = segmented.presenter
    presenter.choose_inputs(*second_pair)
    presenter.set_clinical("Age", 50)
    presenter.choose_inputs(*nodes)
    save_mrb(scene, tmp_path / "two.mrb")
    presenter.close()
    load_mrb(scene, tmp_path / "two.mrb")
    front = make_front()
    front.presenter.restore()
    assert front.presenter.ct.GetName() == "CT head neck"
    assert len(records(scene)) == 2


def test_a_scene_that_is_added_brings_a_case_of_its_own(segmented, scene, tmp_path):
    presenter = segmented.presenter
    first = presenter.results
    save_mrb(scene, tmp_path / "case.mrb")
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    here = presenter.results
    load_mrb(scene, tmp_path / "case.mrb", clear=False)
    assert [record.case_id for record in records(scene)] == ["CT head neck", "CT head neck (2)"]
    assert presenter.results == here
    own, added = records(scene)
    presenter.choose_inputs(added.get("MMPL.CT"), added.get("MMPL.PET"))
    assert presenter.results["lesions"] == first["lesions"]
    assert segmented.state.results.current
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    presenter.choose_inputs(own.get("MMPL.CT"), own.get("MMPL.PET"))
    assert presenter.results == here
    assert segmented.origins == [EDITED, FROM_MODEL]
    ids = [n.GetAttribute(CASE_ATTRIBUTE) for n in slicer.util.getNodesByClass("vtkMRMLTextNode", scene)]
    assert sorted(ids) == ["CT head neck", "CT head neck", "CT head neck (2)", "CT head neck (2)"]


def test_scenes_added_to_one_another_before_the_panel_was_there(segmented, make_front, scene, tmp_path):
    """Two cases of one name: each has its own results, not the first one's."""
    first = segmented.presenter.results
    save_mrb(scene, tmp_path / "first.mrb")
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    second = segmented.presenter.results
    save_mrb(scene, tmp_path / "second.mrb")
    segmented.presenter.close()
    scene.Clear(False)
    load_mrb(scene, tmp_path / "first.mrb")
    load_mrb(scene, tmp_path / "second.mrb", clear=False)
    assert [record.case_id for record in records(scene)] == ["CT head neck", "CT head neck"]
    front = make_front()
    assert [record.case_id for record in records(scene)] == ["CT head neck", "CT head neck (2)"]
    for record, results in zip(records(scene), (first, second), strict=True):
        front.presenter.choose_inputs(record.get("MMPL.CT"), record.get("MMPL.PET"))
        assert front.state.results.current
        assert front.presenter.results["lesions"] == results["lesions"]
    assert first["lesions"] != second["lesions"]


def test_closing_the_scene_in_the_middle_of_a_run(own_front, nodes, scene):
    presenter = own_front.presenter
    presenter.choose_inputs(*nodes)
    own_front.segment_until_preview()
    pid, folder = presenter.engine.client._process.pid, presenter.engine.folder
    late = list(presenter.engine.client._waiting.values())
    presenter.close_scene()
    scene.Clear(False)
    own_front.ticks(0.1)
    assert not runs(pid)
    assert not folder.exists()
    for one in late:
        one.progress("segmenting", 0.5)
        one.error("crash", "too late")
    state = own_front.state
    assert (state.inputs.ct_id, state.message, state.work.worker, state.work.can_cancel) == ("", "", STOPPED, False)


def test_a_scene_that_is_cleared_without_a_word(segmented, scene, nodes, tiny_patient):
    scene.Clear(False)
    segmented.ticks(0.2)
    assert segmented.state.inputs.ct_id == segmented.state.message == ""
    assert records(scene) == []
    ct = node_from_volume(tiny_patient.ct, scene, "CT")
    segmented.presenter.choose_inputs(ct, node_from_volume(tiny_patient.pet, scene, "PET"))
    segmented.segment()
    assert segmented.presenter.results["case_id"] == "CT"


def test_a_panel_that_goes_in_the_middle_of_a_run(own_front, nodes, scene):
    presenter = own_front.presenter
    presenter.choose_inputs(*nodes)
    own_front.segment_until_preview()
    pid = presenter.engine.client._process.pid
    presenter.close()
    assert not runs(pid)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene) == []  # the preview went too
    scene.RemoveNode(nodes[0])  # nobody listens any more
    presenter.tick()
    presenter.close()


def test_a_record_that_was_deleted_is_made_again(segmented, make_front, scene, nodes):
    presenter = segmented.presenter
    presenter.set_clinical("Age", 61)
    segmented.settle()
    scene.RemoveNode(presenter.record.node)
    segmented.ticks(0.05)
    (record,) = records(scene)
    assert record.data.what_if == {"Age": 61}
    presenter.close()
    front = make_front()
    front.presenter.restore()
    assert front.state.results.current
    assert front.origins == [FROM_MODEL, FROM_MODEL]


def test_a_damaged_record_counts_as_absent(segmented, make_front, scene):
    node = segmented.presenter.record.node
    segmented.presenter.close()
    for text in ("nonsense", "[]", '{"clinical": 5, "suv": [], "model_digests": "x", "turn": "late"}'):
        node.SetParameter("record", text)
        assert CaseRecord(node).data.clinical == {}
        front = make_front()
        front.presenter.restore()
        assert front.origins == [FROM_MODEL, FROM_MODEL]
        front.presenter.close()


def test_fields_of_a_later_version_are_left_out_and_named(segmented, make_front):
    record = segmented.presenter.record
    record.data.clinical = {"Age": 61, "Shoe size": 43}
    record.save()
    segmented.presenter.close()
    front = make_front()
    front.presenter.restore()
    assert front.presenter.data.clinical == {"Age": 61}
    assert "Shoe size" in front.state.message
