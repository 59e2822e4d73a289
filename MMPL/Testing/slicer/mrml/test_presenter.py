"""The panel's whole story on a real scene with a real worker, as a front end drives it."""

from __future__ import annotations

import json
import time

import pytest

from mmpl.pipeline import assess
from mmpl_slicer.bootstrap import start_scene
from mmpl_slicer.editing import SegmentEditor
from mmpl_slicer.panel_state import EDITED
from mmpl_slicer.panel_state import MODEL as FROM_MODEL
from mmpl_slicer.presenter import Presenter
from mmpl_slicer.volumes import geometry_of_node, node_from_volume
from mmpl_slicer.worker_client import WorkerClient

GTVP_LPS = (12.0, -6.0, -25.0)


class FrontEnd:
    """A front end without widgets: a timer that calls tick, and a memory of what was shown."""

    def __init__(self, presenter: Presenter):
        self.presenter = presenter
        self.shown = []
        presenter.listener = self.shown.append

    @property
    def state(self):
        return self.presenter.state

    def until(self, condition, seconds: float = 120):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.state.message, self.state.work, self.presenter.engine.log[-2000:])
            self.presenter.tick()
            time.sleep(0.005)

    def settle(self):
        """Until the numbers are those of the contours."""
        self.until(lambda: self.state.results.current and not self.presenter.engine.is_busy)

    def segment(self):
        self.presenter.segment()
        self.until(lambda: not self.presenter.running)
        assert self.state.message == ""


@pytest.fixture
def scene():
    scene = start_scene()
    scene.Clear(0)
    yield scene
    scene.Clear(0)


@pytest.fixture(scope="module")
def client():
    """One worker for the module's tests: it starts once, as in a session of Slicer."""
    client = WorkerClient()
    yield client
    client.stop()


@pytest.fixture
def front(scene, tiny_bundle_path):
    presenter = Presenter(scene)
    presenter.choose_bundle(str(tiny_bundle_path))
    front = FrontEnd(presenter)
    yield front
    presenter.close()


@pytest.fixture
def nodes(scene, tiny_patient):
    return (
        node_from_volume(tiny_patient.ct, scene, "CT head neck"),
        node_from_volume(tiny_patient.pet, scene, "PET FDG"),
    )


def test_the_story(front, nodes, scene, tiny_patient, tiny_ensemble, tmp_path):
    presenter = front.presenter
    presenter.guess_inputs()
    ct, pet = nodes
    assert (front.state.inputs.ct_id, front.state.inputs.pet_id) == (ct.GetID(), pet.GetID())
    assert front.state.work.can_segment, front.state
    # segment: a preview first, then all
    front.segment()
    steps = [state.work.step for state in front.shown]
    assert any(step.startswith("Segmenting") for step in steps)
    assert any("Preview" in note for state in front.shown for note in state.contours.notes)
    front.settle()
    contours = front.state.contours
    assert [row.origin for row in contours.classes] == [FROM_MODEL, FROM_MODEL]
    assert contours.lesions[0].name == "GTVp 1"
    assert 0 < front.state.results.hpv_probability < 1
    first = presenter.results
    # a stroke: stale at once, then current
    segmentation = presenter.segmentation
    editor = SegmentEditor(scene, segmentation, ct)
    presenter.save_undo = editor.logic.SaveStateForUndo
    editor.add_ball("GTVp", GTVP_LPS, 20.0)
    assert not front.state.results.current
    assert "Stale" in front.state.results.stale_text
    front.settle()
    assert [row.origin for row in front.state.contours.classes] == [EDITED, FROM_MODEL]
    assert presenter.results["lesions"]["GTVp"]["volume_ml"] > first["lesions"]["GTVp"]["volume_ml"]
    # undo
    editor.undo()
    front.settle()
    assert [row.origin for row in front.state.contours.classes] == [FROM_MODEL, FROM_MODEL]
    assert without_timings(presenter.results) == without_timings(first)
    # return to the model, and undo that
    editor.erase_ball("GTVn", (-26.0, 8.0, -38.0), 30.0)
    front.settle()
    assert [row.origin for row in front.state.contours.classes] == [FROM_MODEL, EDITED]
    presenter.return_to_model(2)
    front.settle()
    assert [row.origin for row in front.state.contours.classes] == [FROM_MODEL, FROM_MODEL]
    editor.undo()
    front.settle()
    assert front.state.contours.classes[1].origin == EDITED
    # what-if
    presenter.set_clinical("Age", 50)
    presenter.keep_clinical()
    front.settle()
    younger = presenter.results["rfs"]["risk"]
    presenter.set_clinical("Age", 85)
    front.settle()
    assert "Age 85" in front.state.patient.tried
    assert presenter.results["rfs"]["risk"] != younger
    presenter.reset_clinical()
    front.settle()
    assert presenter.results["rfs"]["risk"] == younger
    # save: what assess gives
    presenter.save(str(tmp_path / "out"))
    front.until(lambda: not presenter.running)
    assert front.state.save.text.startswith("Saved to"), front.state.message
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    label_map = presenter.contours.on_grid(geometry_of_node(ct))
    case = presenter_case(presenter, tiny_patient)
    expected = assess(case, label_map, tiny_ensemble).results.as_dict()
    assert without_timings(saved) == without_timings(json.loads(json.dumps(expected)))


def presenter_case(presenter, patient):
    from mmpl.io.case import case_from_volumes

    clinical = presenter.data.clinical
    return case_from_volumes(presenter.case_id, patient.ct, patient.pet, clinical=clinical)


def without_timings(results: dict) -> dict:
    return {k: v for k, v in results.items() if k not in ("timings_s", "inputs")}
