"""The panel without its widgets: what the user does comes in as calls, what is to be seen goes out as a PanelState.

Nothing here waits. A front end calls :meth:`Presenter.tick` every few hundredths of a second from its own thread and
shows the state that ``listener`` is given; widgets, a browser and the tests are such front ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import slicer
from mmpl.bundle.peek import BundleCard, peek
from mmpl.bundle.store import default_bundle_path
from mmpl.errors import MMPLError
from mmpl.io.ehr import read_ehr
from mmpl.io.suv import problem_with
from mmpl_slicer import contour_nodes
from mmpl_slicer.case_record import CT, MODEL, PET, SEGMENTATION, CaseData, CaseRecord, add_record, find_record, records
from mmpl_slicer.contours import Contours, read_contours
from mmpl_slicer.engine_session import CaseSource, EngineSession, read_contours_file
from mmpl_slicer.input_check import Header, InputReport, check_inputs, no_header
from mmpl_slicer.live import Watch
from mmpl_slicer.panel_state import PanelState
from mmpl_slicer.panel_view import PanelView
from mmpl_slicer.patient_form import checked_value, normal_values
from mmpl_slicer.results_nodes import (
    MODEL_RESULTS_ROLE,
    keep_results,
    results_from_scene,
    update_results_nodes,
)
from mmpl_slicer.scene_io import save_mrb
from mmpl_slicer.segment_mapping import mapping_in_force, proposed_mapping, remember_mapping
from mmpl_slicer.volume_guess import guess_inputs, patient_of
from mmpl_slicer.volumes import geometry_of_node, ras_from_lps
from mmpl_slicer.worker_client import CRASH, SETUP, Callbacks, WorkerClient, ignore

SETTLE_S = 0.35  # an edit is read once nothing has happened for so long
SCENE_FILE = "scene.mrb"


class Presenter:
    """One panel on one scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    make_client : makes a WorkerClient
    listener : called with the new PanelState whenever it has changed
    clock : seconds, never backwards
    header : gives a volume's DICOM values by keyword, None where there are none
    save_undo : called before contours are replaced: keeps the editor's state for undo
    """

    def __init__(
        self,
        scene,
        make_client: Callable[[], WorkerClient] = WorkerClient,
        *,
        listener: Callable[[PanelState], None] = ignore,
        clock: Callable[[], float] = time.monotonic,
        header: Header = no_header,
        save_undo: Callable[[], None] = ignore,
    ):
        self.scene, self.listener, self.clock, self.header, self.save_undo = scene, listener, clock, header, save_undo
        self.engine = EngineSession(make_client, on_failure=self._failed)
        self.watch = Watch(
            scene, on_contours=self._contours_touched, on_images=self._images_touched, on_gone=self._gone
        )
        self.state = PanelState()
        self.auto_update = True
        self.bundle_path, self.device = "", ""
        self._view = PanelView(self)
        self._open_bundle_card()
        self._forget_case()
        self.publish()

    def _forget_case(self) -> None:
        """Nothing is chosen."""
        self.ct = self.pet = self.segmentation = None
        self.report = InputReport(())
        self.record: CaseRecord | None = None
        self._loose = CaseData()  # until something is worth a record
        self.contours: Contours | None = None
        self.classes: dict[str, int] | None = {}
        self.model: Contours | None = None
        self.results: dict | None = None
        self.model_results: dict | None = None
        self.running = ""  # "segment", "save" or "" (measuring is no run: it never keeps the user from anything)
        self.asked: tuple | None = None  # what the measurement on its way is of
        self.measured: tuple | None = None  # what the results are of
        self.touched_at: float | None = None
        self.images_touched_at: float | None = None
        self.message = ""
        self.saved_text = self.report_path = ""
        self.deep_is_new = True  # the networks have run on these very contours
        self._before_run: tuple[Contours | None, Contours | None] = (None, None)
        self._run_wanted: tuple | None = None

    # --- the front end's clock -------------------------------------------------------------------

    def tick(self) -> None:
        """Hand over, listen, and read contours that have come to rest. Called often; never waits."""
        self.engine.turn()
        now = self.clock()
        if self.images_touched_at is not None and now - self.images_touched_at >= SETTLE_S:
            self.images_touched_at = None
            self._check_inputs()
            self.touched_at = now - SETTLE_S  # contours are read on the CT's grid
        if self.touched_at is not None and now - self.touched_at >= SETTLE_S:
            self._read_contours()
            if self.auto_update:
                self._measure_if_out_of_date()
        self.publish()

    def publish(self) -> None:
        """Tell the listener, if there is anything new."""
        state = self._view.state()
        if state != self.state:
            self.state = state
            self.listener(state)

    # --- inputs ----------------------------------------------------------------------------------

    def guess_inputs(self) -> None:
        """Choose what the scene suggests, where nothing is chosen yet."""
        if self.ct is None and self.pet is None:
            self.choose_inputs(*guess_inputs(self.scene))

    def choose_inputs(self, ct, pet) -> None:
        """Choose CT and PET (either may be None); the case that the scene remembers of them comes back."""
        if (ct, pet) == (self.ct, self.pet):
            return
        self.cancel()
        self._forget_case()
        self.ct, self.pet = ct, pet
        self._check_inputs()
        record = find_record(self.scene, ct, pet) if ct is not None and pet is not None else None
        if record is not None:
            self._restore(record)
        self._watch_nodes()
        self.publish()

    def swap_inputs(self) -> None:
        self.choose_inputs(self.pet, self.ct)

    def use_anyway(self) -> None:
        """Overrule the input check's objection."""
        self._change(lambda data: setattr(data, "used_anyway", self.report.objection))
        self._check_inputs()
        self.publish()

    def set_suv_field(self, name: str, value: float | None) -> None:
        """Type weight, dose or time of the PET; None takes it back."""
        problem = None if value is None else problem_with(name, value)
        if problem:
            self._say(problem[0].upper() + problem[1:] + ".")
        else:
            self._change(lambda data: data.suv.__setitem__(name, value))
            self._check_inputs()
        self.publish()

    def choose_bundle(self, path: str) -> None:
        """Choose a bundle's folder or zip, "" for the bundled demo model."""
        if path != self.bundle_path:
            self.bundle_path = path
            self._open_bundle_card()
            self._measure_if_out_of_date(only_if_running=True)
            self.publish()

    def choose_device(self, device: str) -> None:
        if device != self.device:
            self.device = device
            self._measure_if_out_of_date(only_if_running=True)
            self.publish()

    def _open_bundle_card(self) -> None:
        self.card: BundleCard | None = None
        self.card_problem = ""
        try:
            self.card = peek(self.bundle_path or default_bundle_path())
        except MMPLError as problem:
            self.card_problem = _sentence(problem)

    def _check_inputs(self) -> None:
        if self.ct is None and self.pet is None:
            self.report = InputReport(())
            return
        data = self.data
        try:
            self.report = check_inputs(
                self.ct, self.pet, typed=data.suv, used_anyway=data.used_anyway, header=self.header
            )
        except MMPLError as problem:
            self.report = InputReport(())
            self._say(_sentence(problem))

    # --- segmentation ----------------------------------------------------------------------------

    @property
    def why_not_segment(self) -> str:
        """What is missing before Segment can run, "" for nothing."""
        if self.card is None:
            return self.card_problem
        if not self.report.usable:
            return "Choose PET and CT first." if not self.report.lines else "See the inputs above."
        if self.running == "save":
            return "Saving; one moment."
        return ""

    def segment(self) -> None:
        """Draw contours; a preview comes first."""
        if self.why_not_segment or self.running:
            self._say(self.why_not_segment or "Segmentation is running already.")
            self.publish()
            return
        self.message = ""
        self._ensure_record()
        callbacks = Callbacks(
            result=self._segmented,
            error=self._run_failed,
            partial=self._previewed,
            withdrawn=self._run_withdrawn,
        )
        self._run_wanted = self._wanted()
        self._before_run = (self.contours, contour_nodes.model_contours(self.record.get(MODEL), self.ct))
        self._start("segment", callbacks, preview=True, clinical=self.data.clinical_in_force)

    def cancel(self) -> None:
        """Stop what runs; contours and results stay as they are."""
        if self.running or self.engine.is_busy:
            self.engine.cancel()
        self.publish()

    def restart_worker(self) -> None:
        """Start anew after a crash; the next request opens bundle and case again."""
        self.engine.stop()
        self.message, self.asked = "", None
        self.touched_at = self.clock()  # measured again once the contours are read
        self.publish()

    def _start(self, do: str, callbacks: Callbacks, **arguments) -> None:
        self.running = do
        try:
            self.engine.request(do, callbacks, self._bundle, self._source(), **arguments)
        except MMPLError as problem:
            self._run_failed("input", _sentence(problem))
        self.publish()

    def _previewed(self, told: dict) -> None:
        if self.running == "segment" and self.ct is not None:
            self._draw_model(self._contours_told(told["label_map"]))
            contour_nodes.show(self.record.get(MODEL), True)

    def _segmented(self, told: dict) -> None:
        self.running = ""
        if self.record is None or self.ct is None:
            return
        drawn = self._contours_told(told["label_map"])
        self._draw_model(drawn)
        contour_nodes.show(self.record.get(MODEL), False)
        data = self.data
        data.model_digests, data.model_name = dict(drawn.digests), self.card.name if self.card else ""
        self.model, self.model_results = drawn, told["results"]
        keep_results(self.scene, told["results"], MODEL_RESULTS_ROLE)
        self._place_drawn(drawn)
        _, clinical, _, bundle = self._run_wanted
        self._take_results(told, (self._wanted()[0], clinical, False, bundle))
        self._measure_if_out_of_date()  # what was tried meanwhile

    def _place_drawn(self, drawn: Contours) -> None:
        """The model's contours where they are edited: in place of untouched ones, else in a new segmentation."""
        node = self.record.get(SEGMENTATION)
        before, _ = self._before_run
        now = self._contours_of(node) if node is not None else None
        untouched = now is None or now.is_empty or self._is_models(now, before)
        with self._own_edit():
            if contour_nodes.is_ours(node) and untouched:
                self.save_undo()
                contour_nodes.set_contours(node, drawn, geometry_of_node(self.ct))
            else:
                node = contour_nodes.add_segmentation(self.scene, self.ct, self.record.case_id)
                contour_nodes.set_contours(node, drawn, geometry_of_node(self.ct))
                self.record.set(SEGMENTATION, node)
        self._use_segmentation(node)

    def _is_models(self, now: Contours, before: Contours | None) -> bool:
        """Whether contours are just what an earlier run of the model drew, and nobody has touched them since."""
        return (
            before is not None
            and now.digest == before.digest
            and self._before_run[1] is not None
            and (now.digest == self._before_run[1].digest)
        )

    def _draw_model(self, drawn: Contours) -> None:
        node = contour_nodes.model_node(self.scene, self.ct, self.record.case_id, self.record.get(MODEL))
        self.record.set(MODEL, node)
        contour_nodes.set_contours(node, drawn, geometry_of_node(self.ct))

    def _run_withdrawn(self) -> None:
        self._end_run("Cancelled; contours and results are as they were.")

    def _run_failed(self, kind: str, text: str) -> None:
        self._end_run(text)

    def _end_run(self, text: str) -> None:
        if self.running == "segment" and self.record is not None and self.ct is not None:
            _, model_before = self._before_run
            node = self.record.get(MODEL)
            if model_before is not None and node is not None:
                contour_nodes.set_contours(node, model_before, geometry_of_node(self.ct))
                contour_nodes.show(node, False)
            elif node is not None:
                self.scene.RemoveNode(node)
        self.running = ""
        self._say(text)
        self.publish()

    # --- contours --------------------------------------------------------------------------------

    def choose_segmentation(self, node) -> None:
        """Choose the segmentation that is edited and measured; None for none."""
        if node is self.segmentation:
            return
        if node is not None and self.ct is None:
            self._say("Choose PET and CT first: contours are measured on them.")
            self.publish()
            return
        if node is not None:
            self._ensure_record()
        if self.record is not None:
            self.record.set(SEGMENTATION, node)
        self._use_segmentation(node)
        self._measure_if_out_of_date(only_if_running=True)
        self.publish()

    def name_segments(self, labels: dict[str, int]) -> None:
        """Answer which segment is which class (label, 0 for unused); asked once a segmentation."""
        if self.segmentation is not None:
            remember_mapping(self.segmentation, {**proposed_mapping(self.segmentation), **labels})
            self._use_segmentation(self.segmentation)
            self._measure_if_out_of_date(only_if_running=True)
        self.publish()

    def jump_to(self, centre_lps) -> None:
        """Centre all slice views on a point (LPS mm)."""
        slicer.vtkMRMLSliceNode.JumpAllSlices(
            self.scene, *ras_from_lps(centre_lps), slicer.vtkMRMLSliceNode.CenteredJumpSlice
        )

    def compare(self, shown: bool) -> None:
        """Show or hide the model's contours beside the edited ones."""
        if self.record is not None:
            contour_nodes.show(self.record.get(MODEL), shown)
        self.publish()

    def return_to_model(self, label: int) -> None:
        """Take one class back to the model's contour; the editor's undo brings the other one back."""
        if self.model is None or self.segmentation is None or self.classes is None:
            self._say("There is no contour of the model to return to: press Segment first.")
        else:
            self.save_undo()
            contour_nodes.return_class(self.segmentation, self.classes, self.model, geometry_of_node(self.ct), label)
        self.publish()

    def _use_segmentation(self, node) -> None:
        self.segmentation = node
        self.classes = {} if node is None else mapping_in_force(node)
        self._watch_nodes()
        self._read_contours()

    def _read_contours(self) -> None:
        self.touched_at = None
        self.contours = None
        if self.segmentation is None or self.ct is None:
            return
        self.classes = mapping_in_force(self.segmentation)  # segments come and go
        if self.classes is None:
            return
        try:
            self.contours = read_contours(self.segmentation, self.classes, geometry_of_node(self.ct))
        except MMPLError as problem:
            self._say(_sentence(problem))

    def _contours_of(self, node) -> Contours | None:
        classes = mapping_in_force(node)
        return None if classes is None else read_contours(node, classes, geometry_of_node(self.ct))

    def _contours_told(self, told: dict) -> Contours:
        return read_contours_file(self.engine.client.folder, told, geometry_of_node(self.ct))

    @contextmanager
    def _own_edit(self):
        """What we write into the scene is no edit of the user's."""
        with self.watch.paused():
            yield

    # --- patient ---------------------------------------------------------------------------------

    def set_clinical(self, name: str, value: object) -> None:
        """Try a value, None for Unknown; the record keeps its own until :meth:`keep_clinical`."""
        try:
            value = checked_value(name, value)
        except MMPLError as problem:
            self._say(_sentence(problem))
            self.publish()
            return
        on_record = normal_values(self.data.clinical)[name]

        def change(data: CaseData) -> None:
            data.what_if = {key: one for key, one in data.what_if.items() if key != name}
            if value != on_record:
                data.what_if[name] = value

        self._change(change)
        self._clinical_changed()

    def reset_clinical(self) -> None:
        """Take every tried value back."""

        def change(data: CaseData) -> None:
            data.what_if, data.hpv_as_known = {}, False

        self._change(change)
        self._clinical_changed()

    def keep_clinical(self) -> None:
        """Make the tried values the record."""

        def change(data: CaseData) -> None:
            data.clinical, data.what_if = normal_values(data.clinical_in_force), {}

        self._change(change)
        self._clinical_changed()

    def load_clinical(self, path: str) -> None:
        """Take the record from a JSON file."""
        try:
            values = normal_values(read_ehr(path))
        except MMPLError as problem:
            self._say(_sentence(problem))
            self.publish()
            return

        def change(data: CaseData) -> None:
            data.clinical, data.what_if = values, {}

        self._change(change)
        self._clinical_changed()

    def set_hpv_as_known(self, on: bool) -> None:
        """Show RFS as if HPV were what the record says."""
        self._change(lambda data: setattr(data, "hpv_as_known", on))
        self._clinical_changed()

    def _clinical_changed(self) -> None:
        if self.auto_update and self.results is not None:
            self._measure_if_out_of_date()
        self.publish()

    # --- results ---------------------------------------------------------------------------------

    def set_auto_update(self, on: bool) -> None:
        self.auto_update = on
        if on:
            self._measure_if_out_of_date(only_if_running=True)
        self.publish()

    def update_now(self) -> None:
        """Measure the contours as they are."""
        self._read_contours()
        self._measure_if_out_of_date(again=True)
        self.publish()

    @property
    def is_current(self) -> bool:
        return self.results is not None and self.touched_at is None and self.measured == self._wanted()

    def _wanted(self) -> tuple:
        """What results should be of, now."""
        data = self.data
        digest = "" if self.contours is None else self.contours.digest
        clinical = tuple(sorted(normal_values(data.clinical_in_force).items()))
        return (digest, clinical, data.hpv_as_known, self.bundle_path)

    def _measure_if_out_of_date(self, *, only_if_running: bool = False, again: bool = False) -> None:
        if self.contours is None or not self.report.usable or self.card is None or self.running:
            return
        if only_if_running and not self.engine.is_running:
            return
        wanted = self._wanted()
        if not again and wanted in (self.asked, self.measured if self.asked is None else None):
            return
        if self.results is None and self.contours.is_empty:
            return
        self._measure(wanted)

    def _measure(self, wanted: tuple, deep: str | None = None) -> None:
        self._ensure_record()
        self.asked = wanted
        callbacks = Callbacks(
            result=lambda told: self._measured(told, wanted),
            error=self._measure_failed,
            withdrawn=self._measure_dropped,
        )
        data = self.data
        try:
            self.engine.request(
                "measure",
                callbacks,
                self._bundle,
                self._source(),
                label_map=self.contours,
                clinical=data.clinical_in_force,
                hpv_as_known=data.hpv_as_known,
                deep=deep,
            )
        except MMPLError as problem:
            self._measure_failed("input", _sentence(problem))

    def _measured(self, told: dict, wanted: tuple) -> None:
        if self.asked == wanted:
            self.asked = None
        if self.record is None or self.ct is None:
            return
        self._take_results(told, wanted)
        if not told["deep_is_current"] and wanted == self._wanted() and self.touched_at is None:
            self._measure(wanted, deep="refresh")  # in the background; the next edit takes its place

    def _measure_failed(self, kind: str, text: str) -> None:
        self.asked = None
        self._say(text)

    def _measure_dropped(self) -> None:
        """A later one takes its place, or it was cancelled."""
        if not self.engine.is_busy:
            self.asked = None

    def _take_results(self, told: dict, wanted: tuple) -> None:
        self.results, self.measured = told["results"], wanted
        self.deep_is_new = not told.get("deep_is_kept", False)
        self.message = ""
        data = self.data
        data.measured, data.deep_is_current = wanted[0], told["deep_is_current"]
        self.record.save()
        changed = self.model_results is not None and not self._is_model_now()
        with self._own_edit():
            update_results_nodes(
                self.scene,
                self.results,
                self.model_results if changed else None,
                cohort=self.card.cohort_survival if self.card else None,
            )

    def _is_model_now(self) -> bool:
        return self.model is not None and self.contours is not None and self.model.digest == self.contours.digest

    # --- save ------------------------------------------------------------------------------------

    @property
    def can_save(self) -> bool:
        return self.contours is not None and self.report.usable and not self.running

    def save(self, folder: str, with_scene: bool = False) -> None:
        """Write masks, results, features and report into a folder; numbers are measured anew with the networks."""
        if not self.can_save:
            self._say("There is nothing to save yet: segment, or choose a segmentation.")
        elif not folder:
            self._say("Choose a folder to save to.")
        else:
            self._read_contours()
            self.saved_text, self.report_path, self.message = "", "", ""
            wanted = self._wanted()
            callbacks = Callbacks(
                result=lambda told: self._saved(told, wanted, with_scene),
                error=self._run_failed,
                withdrawn=self._run_withdrawn,
            )
            arguments = {"label_map": self.contours, "clinical": self.data.clinical_in_force, "out": str(folder)}
            if self.model is not None and not self._is_model_now():
                arguments["model_label_map"] = self.model
            self._ensure_record()
            self._start("save", callbacks, **arguments)
        self.publish()

    def _saved(self, told: dict, wanted: tuple, with_scene: bool) -> None:
        self.running = ""
        self._take_results(told, (*wanted[:2], False, *wanted[3:]))
        self.saved_text, self.report_path = f"Saved to {told['out']}", told["report"]
        if with_scene:
            try:
                save_mrb(self.scene, Path(told["out"]) / SCENE_FILE)
                self.saved_text += ", with the scene"
            except MMPLError as problem:
                self._say(_sentence(problem))
        self._measure_if_out_of_date()  # a what-if that is not saved comes back
        self.publish()

    # --- the scene -------------------------------------------------------------------------------

    def restore(self) -> None:
        """After a scene was opened: show the case that it was last left with."""
        known = [record for record in records(self.scene) if record.get(CT) and record.get(PET)]
        if known and self.ct is None and self.pet is None:
            self.choose_inputs(known[-1].get(CT), known[-1].get(PET))

    def close_scene(self) -> None:
        """Before the scene goes: stop the worker, let go of every node."""
        self.engine.stop()
        self.watch.stop()
        self._forget_case()
        self.publish()

    def close(self) -> None:
        """Before the panel goes."""
        self.engine.stop()
        self.watch.close()

    def _restore(self, record: CaseRecord) -> None:
        self.record = record
        self._check_inputs()  # with what was typed for this case
        self.model = contour_nodes.model_contours(record.get(MODEL), self.ct)
        self.results = results_from_scene(self.scene, record.case_id)
        self.model_results = results_from_scene(self.scene, record.case_id, MODEL_RESULTS_ROLE)
        self._use_segmentation(record.get(SEGMENTATION))
        if self.results is not None:
            self.measured = (record.data.measured, *self._wanted()[1:])

    def _watch_nodes(self) -> None:
        self.watch.follow(self.ct, self.pet, self.segmentation)

    def _contours_touched(self) -> None:
        self.touched_at = self.clock()
        self.publish()

    def _images_touched(self) -> None:
        self.images_touched_at = self.clock()
        self.measured = None
        self.publish()

    def _gone(self, node) -> None:
        """A node that is used was deleted."""
        if node in (self.ct, self.pet):
            what, ct, pet = ("CT", None, self.pet) if node is self.ct else ("PET", self.ct, None)
            self.engine.cancel()
            self.running = ""
            segmentation = self.segmentation
            self._forget_case()
            self.ct, self.pet = ct, pet
            self._check_inputs()
            self._watch_nodes()
            kept = " Its segmentation stays in the scene." if segmentation is not None else ""
            self._say(f"The {what} was deleted: choose another one.{kept}")
        elif node is self.segmentation:
            self._use_segmentation(None)
            self._say("The segmentation was deleted: choose another one, or press Segment.")
        self.publish()

    # --- the case --------------------------------------------------------------------------------

    @property
    def data(self) -> CaseData:
        return self._loose if self.record is None else self.record.data

    def _change(self, change: Callable[[CaseData], None]) -> None:
        """Change what is remembered of the case, in the scene where there is a case."""
        if self.ct is not None and self.pet is not None:
            self._ensure_record()
        change(self.data)
        if self.record is not None:
            self.record.save()

    def _ensure_record(self) -> None:
        if self.record is not None:
            return
        case_id = patient_of(self.ct) or self.ct.GetName() or "case"
        self.record = add_record(self.scene, self.ct, self.pet, case_id)
        self.record.data = self._loose
        self.record.save()

    @property
    def case_id(self) -> str:
        return "" if self.record is None else self.record.case_id

    @property
    def _bundle(self) -> tuple[str, str]:
        return (self.bundle_path, self.device)

    def _source(self) -> CaseSource:
        return CaseSource(self.record.case_id, self.ct, self.pet, self.report.suv, self.report.pet_units)

    # --- what goes wrong -------------------------------------------------------------------------

    def dismiss_message(self) -> None:
        self.message = ""
        self.publish()

    def say(self, text: str) -> None:
        """Show a sentence of the front end's own, such as what an installation ended with."""
        self._say(text)
        self.publish()

    def _say(self, text: str) -> None:
        self.message = text

    def _failed(self, kind: str, text: str) -> None:
        """The worker could not be started, or could not open the bundle or the case."""
        if not text:
            return
        self.asked = None
        if kind in (CRASH, SETUP) or self.running:
            self._end_run(text)
            return
        self._say(text)


def _sentence(problem: Exception) -> str:
    """An error's sentence with a capital and a full stop."""
    text = " ".join(str(problem).split())
    return text if not text else text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
