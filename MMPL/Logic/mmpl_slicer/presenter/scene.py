"""Scenes come and go: a case comes back from its record, and all of it is let go before the scene closes."""

from __future__ import annotations

from mmpl.errors import MMPLError
from mmpl_slicer import contour_nodes
from mmpl_slicer.case_record import CT, PET, SEGMENTATION, CaseRecord, records
from mmpl_slicer.patient_form import without_unusable
from mmpl_slicer.presenter.case_session import CaseSession
from mmpl_slicer.presenter.contours import ContourWork
from mmpl_slicer.presenter.desk import CHOICE, MEASURING, Desk
from mmpl_slicer.results_nodes import MODEL_RESULTS_ROLE, results_from_scene
from mmpl_slicer.separate_cases import rename_case, separate_cases
from mmpl_slicer.volume_guess import case_name_of

NOT_THE_MODELS = (
    "What the scene keeps as the model's contours is not what the model drew: nothing is compared with it; press "
    "Segment to have the model's again."
)


class Scene:
    """What a scene remembers, brought back; and what it forgets."""

    def __init__(self, desk: Desk, contours: ContourWork):
        self.desk, self.contours = desk, contours

    def last_case(self) -> CaseRecord | None:
        """The case that was chosen last, None where the scene holds none with both images."""
        known = [record for record in records(self.desk.scene) if record.get(CT) and record.get(PET)]
        return max(known, key=lambda record: record.data.turn, default=None)

    def bring_back(self, record: CaseRecord) -> None:
        """Everything that the scene knows of a case, but its results."""
        desk, case = self.desk, self.desk.case
        case.record = record
        record.data.clinical, dropped = without_unusable(record.data.clinical)
        record.data.what_if, more = without_unusable(record.data.what_if)
        if dropped or more:
            desk.say(f"Left out of the clinical record, since unknown here: {', '.join(sorted({*dropped, *more}))}.")
        record.take_turn(desk.scene)
        self._read_model()
        self.contours.use(record.get(SEGMENTATION))

    def read_model(self) -> None:
        """What the model drew, on the CT's grid as it has become."""
        case = self.desk.case
        if case.model_is_unknown:
            return
        self._read_model()
        if case.model is not None and case.data.model_digests != case.model.digests:
            case.data.model_digests = dict(case.model.digests)
            case.save_record()

    def _read_model(self) -> None:
        case = self.desk.case
        case.model = None
        try:
            case.model = contour_nodes.model_contours(case.model_node, case.ct)
        except MMPLError as problem:
            self.desk.say(problem)

    def results_come_back(self) -> None:
        """The case's results, where nobody has changed them; current if all that they are of is as it was."""
        case = self.desk.case
        case.results = results_from_scene(self.desk.scene, case.case_id)
        case.model_results = results_from_scene(self.desk.scene, case.case_id, MODEL_RESULTS_ROLE)
        case.kept = case.data.measured if case.data.deep_is_current else ""  # nobody would refresh them
        if case.model is not None and not self._is_what_was_drawn():
            case.model, case.model_results, case.model_is_unknown = None, None, True
            contour_nodes.show(case.model_node, False)
            self.desk.say(NOT_THE_MODELS)

    def _is_what_was_drawn(self) -> bool:
        """Whether the scene's model contours are those that the model drew, as far as anybody can tell."""
        case = self.desk.case
        if not case.data.model_digests:  # a damaged record, or a preview that an earlier version saved
            return case.model_results is not None
        return case.model.digests == case.data.model_digests

    def imported(self) -> None:
        """Another scene was added to this one, perhaps with a case of the same name."""
        separate_cases(self.desk.scene)

    def rename(self, name: str) -> None:
        """Give the chosen case another name, for results, reports and anonymised exports."""
        case, name = self.desk.case, " ".join(name.split())
        if not case.has_both or not name or name == (case.case_id or case_name_of(case.ct)):
            return
        if case.run is not None or case.asked is not None:
            self.desk.say("The case is being measured: give it another name once the numbers are there.", MEASURING)
            return
        self.desk.do_chores()  # they go by the old name
        with self.desk.watch.paused():
            new = rename_case(self.desk.scene, case.ensure_record(), name)
        case.results = case.results and {**case.results, "case_id": new}
        case.model_results = case.model_results and {**case.model_results, "case_id": new}

    def close(self) -> None:
        """The scene goes: stop the worker, let go of every node."""
        self.desk.engine.stop()
        self.desk.chores.clear()
        self.desk.watch.stop()
        self.desk.case, self.desk.message = CaseSession(), ""

    def segmentation_deleted(self) -> None:
        self.contours.use(None)
        self.desk.say("The segmentation was deleted: choose another one, or press Segment.", CHOICE)
