"""Segment: a preview, then the model's contours where they are edited, and beside them a copy that nobody edits.

A run draws in a segmentation of its own, which becomes the model's only when the run concludes: a scene that is saved
amid it keeps the model's contours that go with the results beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from mmpl.errors import MMPLError
from mmpl_slicer import contour_nodes
from mmpl_slicer.case_record import SEGMENTATION
from mmpl_slicer.contours import Contours, holds_voxels
from mmpl_slicer.handing_over import read_contours_file
from mmpl_slicer.presenter.case_session import SAVE, SEGMENT, CaseSession, Run
from mmpl_slicer.presenter.contours import ContourWork
from mmpl_slicer.presenter.desk import MEASURING, Desk
from mmpl_slicer.presenter.measuring import Measuring
from mmpl_slicer.results_nodes import MODEL_RESULTS_ROLE, keep_results
from mmpl_slicer.segment_mapping import mapping_in_force
from mmpl_slicer.volumes import geometry_of_node
from mmpl_slicer.worker_client import Callbacks

IMAGES_CHANGED = "PET or CT has changed: start again."
CANCELLED = "Cancelled; contours and results are as they were."


class Segmenting:
    """Starts a segmentation and places what comes of it."""

    def __init__(self, desk: Desk, contours: ContourWork, measuring: Measuring):
        self.desk, self.contours, self.measuring = desk, contours, measuring

    @property
    def why_not(self) -> str:
        """What is missing before Segment can run, "" for nothing."""
        desk, case = self.desk, self.desk.case
        if desk.card is None:
            return desk.card_problem
        if not case.report.usable:
            return "See the inputs above." if case.report.lines else "Choose PET and CT first."
        return "Saving; one moment." if case.running == SAVE else ""

    def start(self) -> None:
        """Draw contours; a preview comes first."""
        desk, case = self.desk, self.desk.case
        if self.why_not or case.run is not None:
            desk.say(self.why_not or "Segmentation is running already.", MEASURING)
            return
        desk.message = ""
        case.ensure_record()
        run = case.run = Run(SEGMENT, replace(desk.basis, hpv_as_known=False), case.contours, case.model)
        callbacks = self.callbacks(case, run, self._segmented, self._previewed)
        self.ask(run, callbacks, preview=True, clinical=case.data.clinical_in_force)

    def ask(self, run: Run, callbacks: Callbacks, **arguments) -> None:
        """Send what a run asks for."""
        try:
            self.desk.request(run.kind, callbacks, **arguments)
        except MMPLError as problem:
            self.end(self.desk.case, run, problem)

    def callbacks(self, case: CaseSession, run: Run, result, partial=None) -> Callbacks:
        """Hear of a run as long as it is the one that is waited for, and end it by any error."""

        return Callbacks(
            result=lambda told: self._if_wanted(case, run, lambda: result(case, run, told)),
            partial=lambda told: self._if_wanted(case, run, lambda: partial and partial(case, run, told)),
            error=lambda _kind, text: self.end(case, run, text),
            withdrawn=lambda: self.end(case, run, CANCELLED),
        )

    def _if_wanted(self, case: CaseSession, run: Run, do: Callable[[], object]) -> None:
        """Do something for a run that is still waited for; it ends with what goes wrong."""
        if case is not self.desk.case or case.run is not run:
            return
        if case.images_touched_at is not None:  # its grid, too, may be another by now
            self.abandon(IMAGES_CHANGED)
            return
        try:
            do()
        except MMPLError as problem:
            self.end(case, run, problem)

    def abandon(self, text: str) -> None:
        """End what runs without waiting for the worker to say so."""
        case, run = self.desk.case, self.desk.case.run
        if run is None:
            return
        self._stop(case)  # first: the engine tells at once what still waits there that it was cancelled
        self.desk.engine.cancel()
        if text:
            self.desk.say(text)

    def end(self, case: CaseSession, run: Run, text: str | Exception) -> None:
        """A run came to nothing: all is as it was before it, and what was edited meanwhile is measured."""
        if case.run is not run:
            return
        self._stop(case)
        if case is self.desk.case and text:
            self.desk.say(text)
            self.measuring.follow_soon(case)

    def _stop(self, case: CaseSession) -> None:
        case.run = None
        if _is_there(case.drawing):
            self.desk.scene.RemoveNode(case.drawing)
        case.drawing = None

    def _previewed(self, case: CaseSession, _run: Run, told: dict) -> None:
        self._draw(self._read(told))
        contour_nodes.show(case.model_node, False)
        contour_nodes.show(case.drawing, True)

    def _segmented(self, case: CaseSession, run: Run, told: dict) -> None:
        """Place what was drawn, in parts: the front end gets its turn between them."""
        drawn = self._read(told)
        self._draw(drawn)
        contour_nodes.show(case.model_node, False)
        contour_nodes.show(case.drawing, False)
        self._later(case, run, lambda: self._place(case, run, drawn))
        self._later(case, run, lambda: self._conclude(case, run, drawn, told))

    def _later(self, case: CaseSession, run: Run, part: Callable[[], None]) -> None:
        """Do a part of a run's end at a tick of its own."""
        self.desk.chores.append(lambda: self._if_wanted(case, run, part))

    def _conclude(self, case: CaseSession, run: Run, drawn: Contours, told: dict) -> None:
        if not _is_there(case.drawing):  # someone has deleted it just now
            self._draw(drawn)
        contour_nodes.make_models(case.drawing, case.ct, case.model_node)
        self.desk.set_model_node(case.drawing)
        case.run = case.drawing = None
        case.model, case.model_is_unknown, case.model_results = drawn, False, told["results"]
        case.data.model_digests, case.data.model_basis = dict(drawn.digests), run.basis.but_for_contours
        case.data.model_name = self.desk.card.name if self.desk.card else ""
        keep_results(self.desk.scene, told["results"], MODEL_RESULTS_ROLE)
        self.measuring.take(told, replace(run.basis, contours=drawn.digest))
        self.measuring.if_out_of_date()  # what was tried meanwhile

    def _place(self, case: CaseSession, run: Run, drawn: Contours) -> None:
        """The model's contours where they are edited: in place of untouched ones, else in a new segmentation."""
        node, grid = case.segmentation, geometry_of_node(case.ct)
        in_place = contour_nodes.is_ours(node, case.case_id) and self._is_untouched(node, run)
        with self.desk.watch.paused():
            if in_place:
                self.desk.save_undo()
            else:
                node = contour_nodes.add_segmentation(self.desk.scene, case.ct, case.case_id)
            contour_nodes.set_contours(node, drawn, grid)
        case.record.set(SEGMENTATION, node)
        self.contours.use(node)

    def _is_untouched(self, node, run: Run) -> bool:
        """Whether a segmentation holds nothing at all, or just what an earlier run drew there."""
        try:
            now = self.contours.read_from(node)
        except MMPLError:  # under a transform that cannot be undone: someone has put it there
            return False
        if now is None:
            return False
        if now.is_empty:  # on the CT's grid; what lies beside it is somebody's work too
            return not holds_voxels(node)
        if now.overlap_voxels or now.outside_ml or now.between_ml:  # somebody's work that the label map does not show
            return False
        if any(count > 1 for count in Counter(mapping_in_force(node).values()).values()):  # split: one is overwritten
            return False
        return run.model is not None and now.digest == run.model.digest

    def _draw(self, drawn: Contours) -> None:
        case = self.desk.case
        if not _is_there(case.drawing):
            case.drawing = contour_nodes.add_drawing(self.desk.scene, case.ct, case.case_id)
        contour_nodes.set_contours(case.drawing, drawn, geometry_of_node(case.ct))

    def _read(self, told: dict) -> Contours:
        return read_contours_file(self.desk.engine.folder, told["label_map"], geometry_of_node(self.desk.case.ct))


def _is_there(node) -> bool:
    return node is not None and node.GetScene() is not None
