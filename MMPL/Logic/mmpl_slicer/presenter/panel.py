"""The presenter: what a front end calls, section by section."""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer
from mmpl_slicer.case_record import CT, PET
from mmpl_slicer.dicom_files import DicomFiles
from mmpl_slicer.engine_session import EngineSession
from mmpl_slicer.live import Watch
from mmpl_slicer.panel_state import PanelState
from mmpl_slicer.presenter.contours import ContourWork
from mmpl_slicer.presenter.desk import MEASURING, Desk
from mmpl_slicer.presenter.inputs import Inputs
from mmpl_slicer.presenter.measuring import Measuring
from mmpl_slicer.presenter.patient import Patient
from mmpl_slicer.presenter.readings import Readings
from mmpl_slicer.presenter.saving import Saving
from mmpl_slicer.presenter.scene import Scene
from mmpl_slicer.presenter.segmenting import Segmenting
from mmpl_slicer.presenter.view import PanelView
from mmpl_slicer.volumes import ras_from_lps
from mmpl_slicer.worker_client import WorkerClient, ignore

BUSY_S = 0.015  # a tick that has worked so long leaves the showing to the next one
MOST_LATE = 4
SETTLE_S = 0.35  # an edit is read once nothing has happened for so long


class Presenter(Readings):
    """One panel on one scene.

    Nothing here waits. A front end calls :meth:`tick` every few hundredths of a second from its own thread and shows
    the state that ``listener`` is given; widgets, a browser and the tests are such front ends. A listener may call
    back: it is then told again, once it has returned.

    Parameters
    ----------
    scene : vtkMRMLScene
    make_client : makes a WorkerClient
    listener : called with the new PanelState whenever it has changed
    clock : seconds, never backwards
    dicom : finds the DICOM files of volumes; by default there are none
    save_undo : called before contours are replaced: keeps the editor's state for undo
    """

    def __init__(
        self,
        scene,
        make_client: Callable[[], WorkerClient] = WorkerClient,
        *,
        listener: Callable[[PanelState], None] = ignore,
        clock: Callable[[], float] = time.monotonic,
        dicom: DicomFiles | None = None,
        save_undo: Callable[[], None] = ignore,
    ):
        self.listener = listener
        self.engine = EngineSession(make_client, on_failure=lambda _kind, text: self._worker_failed(text))
        self.desk = Desk(scene, self.engine, clock, dicom or DicomFiles(), save_undo)
        self._contours = ContourWork(self.desk)
        self._measuring = Measuring(self.desk)
        self._segmenting = Segmenting(self.desk, self._contours, self._measuring)
        self._saving = Saving(self.desk, self._contours, self._measuring, self._segmenting)
        self._patient = Patient(self.desk, self._measuring)
        self._scene = Scene(self.desk, self._contours)
        self._inputs = Inputs(self.desk, self._segmenting, self._measuring, self._scene)
        self._view = PanelView(self.desk, self._segmenting, self._saving)
        self._scene.imported()  # scenes may have been added to one another before anybody watched
        self.desk.watch = Watch(
            scene,
            on_contours=self._on_contours,
            on_images=self._on_images,
            on_gone=self._on_gone,
            on_close=self.close_scene,
            on_import=self._scene.imported,
        )
        self.state = self._told = PanelState()
        self._telling, self._late = False, 0
        self._inputs.open_card()
        self.publish()

    # --- the front end's clock -------------------------------------------------------------------

    def tick(self) -> None:
        """Hand over, listen, and read contours that have come to rest. Called often; never waits."""
        began = time.perf_counter()
        self._work()
        self._late = self._late + 1 if time.perf_counter() - began > BUSY_S else 0
        if self._late % MOST_LATE == 0:  # else what is shown follows at one of the next ticks: short waits are none
            self.publish()

    def _work(self) -> None:
        if self.desk.chores:
            self.desk.chores.popleft()()
            return
        self.engine.turn()
        case = self.desk.case
        case.mend_record()
        if self._is_over(case.images_touched_at):
            self._settle_images()
            self._measuring.follow()
        elif self._is_over(case.touched_at):
            self._contours.read()
            self._measuring.follow()

    def _settle_images(self) -> None:
        """Take in that images have changed, be it that they are changing still."""
        if self.desk.case.images_touched_at is not None:
            self._inputs.images_settled()
            self._contours.read()

    def _is_over(self, touched_at: float | None) -> bool:
        return touched_at is not None and self.desk.clock() - touched_at >= SETTLE_S

    def publish(self) -> None:
        """Tell the listener, if there is anything new; a listener that calls back is told after it has returned."""
        self.state = self._view.state()
        if self._telling:
            return
        self._telling = True
        try:
            while self.state != self._told:
                self._told = self.state
                self.listener(self.state)
        finally:
            self._telling = False

    # --- inputs ----------------------------------------------------------------------------------

    def guess_inputs(self) -> None:
        """Choose what the scene suggests, where nothing is chosen yet."""
        self._inputs.guess()
        self.publish()

    def guess_new_inputs(self) -> None:
        """Guess again when volumes were added and nothing is chosen; called often."""
        if self._inputs.has_new_volumes():
            self.guess_inputs()

    def show_fused(self) -> None:
        """Show the PET over the CT in all slice views, with windows that suit them."""
        self._inputs.show_fused()
        self.publish()

    def choose_inputs(self, ct, pet) -> None:
        """Choose CT and PET (either may be None); the case that the scene remembers of them comes back."""
        self._inputs.choose(ct, pet)
        self.publish()

    def swap_inputs(self) -> None:
        self._inputs.swap()
        self.publish()

    def use_anyway(self) -> None:
        """Overrule the input check's objection."""
        self._inputs.use_anyway()
        self._measuring.follow(only_if_running=True)
        self.publish()

    def set_suv_field(self, name: str, value: float | None) -> None:
        """Type weight, dose or time of the PET; None takes it back."""
        self._inputs.set_suv_field(name, value)
        self.publish()

    def choose_bundle(self, path: str) -> None:
        """Choose a bundle's folder or zip, "" for the bundled demo model."""
        self._inputs.choose_bundle(path)
        self.publish()

    def choose_device(self, device: str) -> None:
        """Choose where the networks run, from the next request on."""
        self._inputs.choose_device(device)
        self.publish()

    # --- segmentation ----------------------------------------------------------------------------

    def segment(self) -> None:
        """Draw contours; a preview comes first."""
        self._settle_images()
        self._inputs.check()
        self._inputs.open_card()  # a bundle may have been rewritten where it lies
        self._segmenting.start()
        self.publish()

    def cancel(self) -> None:
        """Stop what runs; contours and results stay as they are."""
        if not self.running:
            self.desk.case.asked = None  # a measurement by itself is given up, not asked for again
        if self.running or self.engine.is_busy:
            self.engine.cancel()
        self.publish()

    def restart_worker(self) -> None:
        """Start anew after a crash; the next request opens bundle and case again."""
        self._stop_worker()
        self._inputs.open_card()
        self.desk.message = ""
        self._contours.touched()  # measured again once the contours are read
        self.publish()

    def stop_worker(self) -> None:
        """Kill the worker and end what was asked of it; the next request starts another one."""
        self._stop_worker()
        self.publish()

    def _stop_worker(self) -> None:
        self.desk.case.asked = None  # first: what is given up is not asked for again
        self._segmenting.abandon("")
        self.engine.stop()

    # --- contours --------------------------------------------------------------------------------

    def choose_segmentation(self, node) -> None:
        """Choose the segmentation that is edited and measured; None for none."""
        self._contours.choose(node)
        self._measuring.if_out_of_date(only_if_running=True)
        self.publish()

    def name_segments(self, labels: dict[str, int]) -> None:
        """Answer which segment is which class (label, 0 for unused); asked once a segmentation."""
        self._contours.name_segments(labels)
        self._measuring.if_out_of_date(only_if_running=True)
        self.publish()

    def jump_to(self, centre_lps) -> None:
        """Centre all slice views on a point (LPS mm)."""
        slicer.vtkMRMLSliceNode.JumpAllSlices(
            self.scene, *ras_from_lps(centre_lps), slicer.vtkMRMLSliceNode.CenteredJumpSlice
        )

    def compare(self, shown: bool) -> None:
        """Show or hide the model's contours beside the edited ones."""
        self._contours.compare(shown)
        self.publish()

    def return_to_model(self, label: int) -> None:
        """Take one class back to the model's contour; the editor's undo brings the other one back."""
        self._settle_images()
        self._contours.return_to_model(label)
        self.publish()

    # --- patient ---------------------------------------------------------------------------------

    def set_clinical(self, name: str, value: object) -> None:
        """Try a value, None for Unknown; the record keeps its own until :meth:`keep_clinical`."""
        self._patient.set(name, value)
        self.publish()

    def reset_clinical(self) -> None:
        """Take every tried value back."""
        self._patient.reset()
        self.publish()

    def keep_clinical(self) -> None:
        """Make the tried values the record."""
        self._patient.keep()
        self.publish()

    def load_clinical(self, path: str) -> None:
        """Take the record from a JSON file."""
        self._patient.load(path)
        self.publish()

    def set_hpv_as_known(self, on: bool) -> None:
        """Show RFS as if HPV were what the record says."""
        self._patient.set_hpv_as_known(on)
        self.publish()

    def rename_case(self, name: str) -> None:
        """Give the case another name, for results, reports and anonymised exports."""
        self._scene.rename(name)
        self.publish()

    # --- results ---------------------------------------------------------------------------------

    def set_auto_update(self, on: bool) -> None:
        self.desk.auto_update = on
        self._measuring.follow(only_if_running=True)
        self.publish()

    def update_now(self) -> None:
        """Measure the contours as they are, or say why that is not possible."""
        self._settle_images()
        self._inputs.open_card()
        self._contours.read()
        if why_not := self._segmenting.why_not or self._contours.why_not:
            self.desk.say(why_not)
        self._measuring.if_out_of_date(again=True)
        self.publish()

    @property
    def can_save(self) -> bool:
        return self._saving.is_possible

    def save(self, folder: str, with_scene: bool = False, with_dicom: bool = False, anonymise: bool = False) -> None:
        """Write masks, results, features and report into a folder; numbers are measured anew with the networks.

        With ``with_dicom`` segmentation, structure set and report are written as DICOM too, under the case's name
        instead of the patient's where ``anonymise`` says so.
        """
        self._settle_images()
        self._saving.start(folder, with_scene, with_dicom, anonymise)
        self.publish()

    def dismiss_message(self) -> None:
        self.say("")

    def say(self, text: str) -> None:
        """Show a sentence of the front end's own, such as what an installation ended with."""
        self.desk.say(text)
        self.publish()

    # --- the scene -------------------------------------------------------------------------------

    def restore(self) -> None:
        """After a scene was opened: show the case that it was last left with."""
        if self.ct is None and self.pet is None:
            last = self._scene.last_case()
            if last is not None:
                self._inputs.choose(last.get(CT), last.get(PET))
        self.publish()

    def close_scene(self) -> None:
        """Before the scene goes: stop the worker, let go of every node."""
        self._scene.close()
        self._inputs.forget_volumes()
        self.publish()

    def close(self) -> None:
        """Before the panel goes."""
        self._segmenting.abandon("")
        self.engine.stop()
        self.watch.close()

    def _worker_failed(self, text: str) -> None:
        """The worker is down, which the next results answer; or it cannot open bundle or case."""
        self.desk.say(text, MEASURING if self.engine.is_down else "")

    def _on_contours(self) -> None:
        self._contours.touched()
        self.publish()

    def _on_images(self) -> None:
        case = self.desk.case
        case.images_touched_at = self.desk.clock()
        case.images += 1
        case.forget_measurement()
        self.publish()

    def _on_gone(self, node) -> None:
        """A node that is used was deleted."""
        if node is self.segmentation:
            self._scene.segmentation_deleted()
        else:
            self._inputs.deleted(node)
        self.publish()
