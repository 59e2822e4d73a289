"""The panel's story on a real scene with a real worker: segment, edit, try, save."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

import slicer
from mmpl.io.case import case_from_volumes
from mmpl.pipeline import assess
from mmpl_slicer.case_record import MODEL
from mmpl_slicer.panel_state import EDITED, EMPTY, MANUAL
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.segmentation import create_segmentation
from mmpl_slicer.table_nodes import column_values
from mmpl_slicer.volumes import geometry_of_node

GTVP_LPS, GTVN_LPS = (12.0, -6.0, -25.0), (-26.0, 8.0, -38.0)


def assessed(presenter, patient, ensemble) -> dict:
    """What the command line would give for the contours as they are, with the record."""
    clinical = presenter.data.clinical
    case = case_from_volumes(presenter.case_id, patient.ct, patient.pet, clinical=clinical)
    torch.set_num_threads(1)  # as the tests' worker: sums of another order differ in the last digits
    label_map = presenter.contours.on_grid(geometry_of_node(presenter.ct))
    with threadpool_limits(1):  # numpy's BLAS, for the same reason
        return json.loads(json.dumps(assess(case, label_map, ensemble).results.as_dict()))


def test_inputs_are_guessed(front, nodes):
    front.presenter.guess_inputs()
    ct, pet = nodes
    assert (front.state.inputs.ct_id, front.state.inputs.pet_id) == (ct.GetID(), pet.GetID())
    assert front.state.work.can_segment, front.state


def test_a_preview_comes_first_and_progress_is_told(segmented):
    fractions = [s.work.fraction for s in segmented.shown if s.work.step.startswith("Segmenting")]
    assert fractions
    previews = [any("Preview" in note for note in state.contours.notes) for state in segmented.shown]
    assert any(previews)
    assert not previews[-1]
    assert not segmented.state.contours.comparing


def test_segment_gives_contours_and_current_results(segmented, tiny_patient, tiny_ensemble, without_timings):
    assert segmented.state.results.current
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert segmented.state.contours.lesions[0].name == "GTVp 1"
    drawn_by = segmented.state.contours.drawn_by
    assert drawn_by == "Model's contours: PyTorch, fp32, cpu: 2 members in overlapping windows"
    expected = assessed(segmented.presenter, tiny_patient, tiny_ensemble)
    shown = dict(segmented.presenter.results)
    assert shown.pop("segmentation")["members"] == 2
    assert expected.pop("segmentation") is None  # to assess, the same contours are given ones
    assert without_timings(shown) == without_timings(expected)


def test_results_are_stale_from_the_first_stroke_until_they_are_current(segmented):
    editor, before = segmented.editor(), segmented.volume
    segmented.shown.clear()
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    assert "Stale" in segmented.state.results.stale_text
    segmented.settle()
    current = [state.results.current for state in segmented.shown]
    assert not current[0]
    assert current == sorted(current)  # once current, it stays so
    assert segmented.origins == [EDITED, FROM_MODEL]
    assert segmented.volume > before


def test_undo_brings_contours_and_numbers_back(segmented, without_timings):
    editor, before = segmented.editor(), segmented.presenter.results
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    editor.undo()
    segmented.settle()
    assert segmented.origins == [FROM_MODEL, FROM_MODEL]
    assert without_timings(segmented.presenter.results) == without_timings(before)


def test_a_class_returns_to_the_model_and_undo_takes_that_back(segmented):
    editor = segmented.editor()
    editor.erase_ball("GTVn", GTVN_LPS, 30.0)
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    assert [row.can_return for row in segmented.state.contours.classes] == [True, True]
    segmented.presenter.return_to_model(2)
    segmented.settle()
    assert segmented.origins == [EDITED, FROM_MODEL]
    editor.undo()
    segmented.settle()
    assert segmented.origins == [EDITED, EDITED]
    assert segmented.state.contours.classes[1].volume == "0.0 mL"


def test_the_chart_holds_the_curve_before_only_once_contours_differ(segmented):
    chart = segmented.presenter.scene.GetNodeByID(segmented.state.results.chart_id)
    series = chart.GetNumberOfPlotSeriesNodes()
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    assert chart.GetNumberOfPlotSeriesNodes() == series + 1


def curves(front) -> list[str]:
    """Names of the curves in the chart, once all has been written."""
    front.settle()
    chart = front.presenter.scene.GetNodeByID(front.state.results.chart_id)
    return [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]


def test_the_curve_before_is_left_out_while_more_than_contours_differ(segmented):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    assert "Model's contours" in curves(segmented)
    presenter.set_clinical("Age", 85)
    assert "Model's contours" not in curves(segmented)
    presenter.reset_clinical()
    assert "Model's contours" in curves(segmented)
    presenter.set_clinical("Age", 85)
    presenter.keep_clinical()
    assert "Model's contours" not in curves(segmented)
    segmented.segment()
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    assert "Model's contours" in curves(segmented)  # both are of the record as it is


def test_the_curve_before_is_left_out_once_the_pet_has_changed(segmented):
    presenter = segmented.presenter
    slicer.util.arrayFromVolume(presenter.pet)[:] *= 0.5
    slicer.util.arrayFromVolumeModified(presenter.pet)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.rest()
    assert "Model's contours" not in curves(segmented)


def test_the_models_contours_are_shown_beside_the_edited_ones(segmented):
    node = segmented.presenter.record.get(MODEL)
    assert not node.GetDisplayNode().GetVisibility()
    segmented.presenter.compare(True)
    assert segmented.state.contours.comparing
    assert node.GetDisplayNode().GetVisibility()
    segmented.presenter.compare(False)
    assert not segmented.state.contours.comparing


def test_a_value_is_tried_taken_back_and_kept(segmented):
    presenter = segmented.presenter
    unknown = presenter.results["rfs"]["risk"]
    presenter.set_clinical("Age", 85)
    assert not segmented.state.results.current
    segmented.settle()
    older = presenter.results["rfs"]["risk"]
    assert older != unknown
    assert segmented.state.patient.tried == "Age 85 years (on record: Unknown)"
    presenter.reset_clinical()
    segmented.settle()
    assert presenter.results["rfs"]["risk"] == unknown
    presenter.set_clinical("Age", 85)
    presenter.keep_clinical()
    segmented.settle()
    assert presenter.results["rfs"]["risk"] == older
    assert segmented.state.patient.tried == ""
    assert presenter.record.data.clinical["Age"] == 85


def test_an_impossible_value_is_refused_and_nothing_changes(segmented):
    segmented.presenter.set_clinical("Age", 900)
    assert "Age" in segmented.state.message
    assert segmented.state.results.current
    assert segmented.presenter.data.what_if == {}


def test_a_known_hpv_status_is_a_what_if_for_rfs_only(segmented):
    presenter = segmented.presenter
    presenter.set_clinical("HPV Status", "negative")
    presenter.keep_clinical()
    segmented.settle()
    predicted = presenter.results
    assert predicted["hpv"]["known"] == "negative"
    presenter.set_hpv_as_known(True)
    segmented.settle()
    tried = presenter.results
    assert tried["hpv"]["probability"] == predicted["hpv"]["probability"]
    assert tried["rfs"]["risk"] != predicted["rfs"]["risk"]
    assert any("as recorded" in text for text in segmented.state.results.warnings)
    presenter.reset_clinical()
    segmented.settle()
    assert presenter.results["rfs"]["risk"] == predicted["rfs"]["risk"]


def test_a_record_is_read_from_a_file(segmented, tmp_path):
    path = tmp_path / "ehr.json"
    path.write_text(json.dumps({"Age": 61, "Gender": 1}), encoding="utf-8")
    segmented.presenter.load_clinical(str(path))
    segmented.settle()
    assert segmented.presenter.data.clinical["Age"] == 61
    segmented.presenter.load_clinical(str(tmp_path / "absent.json"))
    assert "absent.json" in segmented.state.message
    assert segmented.presenter.data.clinical["Age"] == 61


def test_what_is_saved_is_what_assess_gives(segmented, tiny_patient, tiny_ensemble, tmp_path, without_timings):
    presenter = segmented.presenter
    presenter.set_clinical("HPV Status", "positive")
    presenter.keep_clinical()
    presenter.set_hpv_as_known(True)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    segmented.settle()
    shown = presenter.results
    presenter.save(str(tmp_path / "out"), with_scene=True)
    assert segmented.state.save.saving
    segmented.until(lambda: not presenter.running)
    assert segmented.state.save.text == f"Saved to {tmp_path / 'out'}, with the scene"
    assert segmented.state.save.report_path == str(tmp_path / "out" / "report.html")
    assert (tmp_path / "out" / "scene.mrb").is_file()
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert without_timings(saved) == without_timings(assessed(presenter, tiny_patient, tiny_ensemble))
    segmented.settle()  # the what-if, which is never saved, comes back to the panel
    assert presenter.results["rfs"]["risk"] == shown["rfs"]["risk"] != saved["rfs"]["risk"]


def test_tried_values_are_never_saved_as_the_record(segmented, tiny_patient, tiny_ensemble, tmp_path, without_timings):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    presenter.set_clinical("Gender", 1)
    presenter.keep_clinical()
    presenter.set_clinical("Age", 85)
    segmented.settle()
    shown = presenter.results
    presenter.save(str(tmp_path / "out"), with_scene=True)
    segmented.until(lambda: not presenter.running)
    assert segmented.state.save.text == (
        f"Saved to {tmp_path / 'out'}, with the scene. "
        "What is only tried is left out: Age 85 years (on record: Unknown)"
    )
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert without_timings(saved) == without_timings(assessed(presenter, tiny_patient, tiny_ensemble))
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "85 years" not in report
    assert presenter.data.what_if == {"Age": 85}
    segmented.settle()
    assert presenter.results["rfs"]["risk"] == shown["rfs"]["risk"] != saved["rfs"]["risk"]


def test_of_ten_quick_strokes_only_the_last_is_measured(
    make_front, shared_client, nodes, tiny_patient, tiny_ensemble, monkeypatch
):
    front = make_front(make_client=lambda: shared_client)  # with a clock that is not hurried
    front.presenter.choose_inputs(*nodes)
    front.segment()
    asked, ask = [], shared_client.ask
    monkeypatch.setattr(shared_client, "ask", lambda do, *a, **k: (asked.append(do), ask(do, *a, **k))[1])
    editor = front.editor()
    for n in range(10):
        editor.add_ball("GTVp", (GTVP_LPS[0], GTVP_LPS[1], GTVP_LPS[2] + n), 15.0)
        front.ticks(0.02)
    assert asked == []
    front.settle()
    assert asked == ["measure"]
    assert front.presenter.results["lesions"] == assessed(front.presenter, tiny_patient, tiny_ensemble)["lesions"]


def test_networks_scores_are_kept_for_small_edits_and_said_so(segmented):
    presenter, editor = segmented.presenter, segmented.editor()
    assert segmented.state.results.deep_note == ""
    before = presenter.results["rfs"]["deep_restricted_mean_days"]
    editor.add_ball("GTVp", GTVP_LPS, 17.0)
    segmented.settle()
    assert "last full pass" in segmented.state.results.deep_note
    assert presenter.results["rfs"]["deep_restricted_mean_days"] == before


def test_networks_scores_are_refreshed_once_the_lesions_have_moved(
    segmented, tiny_patient, tiny_ensemble, without_timings
):
    presenter, editor = segmented.presenter, segmented.editor()
    segmented.shown.clear()
    editor.add_ball("GTVp", (30.0, 20.0, 30.0), 20.0)
    segmented.settle()
    assert any("being refreshed" in state.results.deep_note for state in segmented.shown)
    segmented.until(lambda: segmented.state.results.deep_note == "")
    segmented.settle()
    expected = assessed(presenter, tiny_patient, tiny_ensemble)
    assert without_timings(presenter.results) == without_timings(expected)


def being_refreshed(front) -> bool:
    return front.presenter.desk.case.asked is not None and not front.presenter.data.deep_is_current


def test_networks_scores_are_refreshed_also_where_a_run_was_begun_and_cancelled_meanwhile(segmented):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", (30.0, 20.0, 30.0), 20.0)
    segmented.until(lambda: being_refreshed(segmented))
    presenter.segment()
    presenter.cancel()
    segmented.until(lambda: not presenter.running)
    segmented.rest()
    assert presenter.data.deep_is_current
    assert segmented.state.results.deep_note == ""


def test_networks_scores_that_nothing_refreshes_are_not_said_to_be_refreshed(segmented):
    presenter = segmented.presenter
    segmented.editor().add_ball("GTVp", (30.0, 20.0, 30.0), 20.0)
    segmented.until(lambda: being_refreshed(segmented))
    assert "being refreshed" in segmented.state.results.deep_note
    presenter.stop_worker()
    assert "press Update" in segmented.state.results.deep_note
    presenter.update_now()
    segmented.until(lambda: presenter.data.deep_is_current)
    assert segmented.state.results.deep_note == ""


def test_contours_that_were_wiped_off_settle_too(segmented):
    editor = segmented.editor()
    for segment_id, centre in (("GTVp", GTVP_LPS), ("GTVn", GTVN_LPS)):
        editor.erase_ball(segment_id, centre, 60.0)
    segmented.settle()
    segmented.rest()
    assert segmented.state.results.hpv_probability is None
    assert segmented.origins == [EDITED, EDITED]
    editor.add_ball("GTVp", GTVP_LPS, 12.0)
    segmented.settle()
    assert segmented.state.results.hpv_probability is not None


def test_without_auto_update_numbers_wait_for_the_button(segmented):
    presenter = segmented.presenter
    presenter.set_auto_update(False)
    segmented.editor().add_ball("GTVp", GTVP_LPS, 20.0)
    before = segmented.volume
    segmented.rest()
    assert segmented.state.results.stale_text == "Stale: press Update"
    assert segmented.volume == before
    presenter.update_now()
    segmented.settle()
    assert segmented.volume > before


def test_a_manual_contour_is_measured_without_the_model(chosen, tiny_patient, scene):
    node = create_segmentation(tiny_patient.label_map, chosen.presenter.ct, scene, "mine")
    chosen.presenter.choose_segmentation(node)
    assert chosen.origins == [MANUAL, MANUAL]
    chosen.presenter.update_now()
    chosen.settle()
    voxels = np.count_nonzero(tiny_patient.label_map.array == 1)
    assert chosen.volume == pytest.approx(voxels * tiny_patient.label_map.geometry.voxel_volume_ml)
    assert chosen.state.contours.classes[0].can_return is False


def test_nothing_is_contoured_before_segment(chosen):
    assert chosen.origins == [EMPTY, EMPTY]
    assert not chosen.state.save.can_save
    chosen.presenter.save("somewhere")
    assert chosen.state.message == "There is nothing to save yet: segment, or choose a segmentation."


def test_results_are_nodes_that_can_be_saved(segmented):
    (table,) = [
        n
        for n in slicer.util.getNodesByClass("vtkMRMLTableNode", segmented.presenter.scene)
        if n.GetAttribute("MMPL.Role") == "lesions"
    ]
    assert column_values(table, "Volume (mL)")[0] == pytest.approx(segmented.volume)


def test_a_listener_that_calls_back_is_told_in_order(segmented):
    told = []

    def listener(state):
        told.append(state.message)
        if state.message == "One.":
            segmented.presenter.say("two")
            assert segmented.presenter.state.message == "Two."
            assert told[-1] == "One."  # not in the middle of a call

    segmented.presenter.listener = listener
    segmented.presenter.say("one")
    assert told == ["One.", "Two."]


def test_relative_paths_are_the_front_ends_and_not_the_workers(segmented, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    segmented.presenter.save("here")
    segmented.until(lambda: not segmented.presenter.running)
    assert (tmp_path / "here" / "results.json").is_file(), segmented.state.message
