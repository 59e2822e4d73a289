"""The segmentation that is edited: which it is, what its segments are, and what they hold now."""

from __future__ import annotations

from mmpl.errors import MMPLError
from mmpl_slicer import contour_nodes
from mmpl_slicer.case_record import MODEL, SEGMENTATION, records
from mmpl_slicer.contours import Contours, read_contours
from mmpl_slicer.presenter.desk import CHOICE, CONTOURS, Desk
from mmpl_slicer.segment_mapping import mapping_in_force, proposed_mapping, remember_mapping
from mmpl_slicer.segmentation_check import objection_to
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE
from mmpl_slicer.volumes import from_world, geometry_of_node


class ContourWork:
    """Reads contours into the case, and writes them where the user asks for it."""

    def __init__(self, desk: Desk):
        self.desk = desk

    def choose(self, node) -> None:
        """Choose the segmentation that is edited and measured; None for none."""
        case = self.desk.case
        if node is case.segmentation:
            return
        if contour_nodes.is_models(node) and not self._is_a_copy(node):
            text = "These are the model's own contours: they are compared with, not edited. Choose another."
            self.desk.say(text, CHOICE)
            return
        if node is not None and not case.has_both:
            self.desk.say("Choose PET and CT first: contours are measured on them.", CHOICE)
            return
        if node is not None:
            if objection := objection_to(node, case.ct, case.pet):
                self.desk.say(objection)
                return
            case.ensure_record()
        if case.record is not None:
            case.record.set(SEGMENTATION, node)
        self.use(node)

    def _is_a_copy(self, node) -> bool:
        """Whether a segmentation with the marks of a model's is none: somebody has cloned one to edit it."""
        held = [record.get(MODEL) for record in records(self.desk.scene)]
        if node in held or node is self.desk.case.drawing:
            return False
        contour_nodes.give_away(node, node.GetAttribute(CASE_ATTRIBUTE))
        return True

    def use(self, node) -> None:
        """Follow a segmentation and read it."""
        self.desk.case.segmentation = node
        self.desk.answered(CHOICE)
        self.desk.watch_nodes()
        self.read()

    def name_segments(self, labels: dict[str, int]) -> None:
        """Keep which segment is which class (label, 0 for unused)."""
        node = self.desk.case.segmentation
        if node is not None:
            remember_mapping(node, {**proposed_mapping(node), **labels})
            self.read()

    @property
    def why_not(self) -> str:
        """Why what was read cannot be measured, "" where it can, or where the reading itself has said why not."""
        case = self.desk.case
        if case.segmentation is None:
            return "There is no segmentation to measure: choose one under Contours, or press Segment."
        if case.classes is None:
            return "Say first under Contours which segment is which class: nothing is measured before."
        if case.results is None and case.contours is not None and case.contours.is_empty:
            return "Nothing is contoured on the CT yet: draw GTVp or GTVn, or press Segment."
        return ""

    def touched(self) -> None:
        """Segments may have changed, and may be half-way through it."""
        self.desk.case.touched_at = self.desk.clock()

    def read(self) -> None:
        """Read what is contoured, once an edit is over."""
        case = self.desk.case
        self.desk.answered(CONTOURS)
        case.touched_at, case.contours, case.overlap_ml = None, None, 0.0
        case.classes = {} if case.segmentation is None else mapping_in_force(case.segmentation)  # segments come and go
        if case.segmentation is None or case.ct is None or case.classes is None:
            return
        try:
            grid = geometry_of_node(case.ct)
            case.contours = read_contours(case.segmentation, case.classes, grid)
            case.overlap_ml = case.contours.overlap_voxels * grid.voxel_volume_ml
        except MMPLError as problem:
            self.desk.say(problem, CONTOURS)

    def read_from(self, node) -> Contours | None:
        """What a segmentation holds; None when its segments must be named first."""
        classes = mapping_in_force(node)
        return None if classes is None else read_contours(node, classes, geometry_of_node(self.desk.case.ct))

    def compare(self, shown: bool) -> None:
        """Show or hide the model's contours beside the edited ones."""
        contour_nodes.show(self.desk.case.model_node, shown)

    def return_to_model(self, label: int) -> None:
        """Take one class back to the model's contour; the editor's undo brings the other one back."""
        case = self.desk.case
        if case.model is None or case.segmentation is None or case.classes is None:
            self.desk.say("There is no contour of the model to return to: press Segment first.")
            return
        try:
            grid = geometry_of_node(case.ct)
            from_world(case.segmentation)  # before anything is written: not every transform can be undone
        except MMPLError as problem:
            self.desk.say(problem)
            return
        self.desk.save_undo()
        contour_nodes.return_class(case.segmentation, case.classes, case.model, grid, label)
        if not contour_nodes.is_ours(case.segmentation, case.case_id):
            contour_nodes.give_away(case.segmentation, case.case_id)
