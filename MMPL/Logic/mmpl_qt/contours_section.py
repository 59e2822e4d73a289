"""GTVp and GTVn: figures, lesions, where each contour came from, and the names of a segmentation from elsewhere."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from mmpl.segments import SEGMENTS
from mmpl_qt.text import GREY, ORANGE, colored, paragraphs
from mmpl_qt.widgets import fit_rows, show_text, silent, stretch_first_column, table_cell
from mmpl_slicer.panel_state import EDITED, EMPTY, MANUAL, MODEL, ContoursState
from mmpl_slicer.segment_mapping import UNUSED


def _origins() -> dict[str, str]:
    return {MODEL: _("model"), EDITED: _("edited"), MANUAL: _("by hand"), EMPTY: _("empty")}


class ContoursSection:
    """Tables and buttons; the Segment Editor stands below them."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.lesions, self.answers, self.asked = (), {}, None
        stretch_first_column(ui.classTable, (_("Class"), _("Volume"), _("SUVmax"), _("MTV"), _("From")))
        stretch_first_column(ui.lesionTable, (_("Lesion"), _("Volume"), _("SUVmax"), _("MTV")))
        ui.lesionTable.cellClicked.connect(lambda row, *_: self._jump(row))
        ui.compareButton.toggled.connect(lambda *_: presenter.compare(ui.compareButton.isChecked()))
        ui.questionButton.clicked.connect(lambda *_: self._answer())
        self.returns = dict(zip(SEGMENTS, (ui.returnPrimaryButton, ui.returnNodesButton), strict=True))
        for label, button in self.returns.items():
            button.clicked.connect(lambda *_, label=label: presenter.return_to_model(label))

    def render(self, state: ContoursState) -> None:
        ui = self.ui
        self._render_classes(state)
        self._render_lesions(state)
        self._render_question(state)
        with silent(ui.compareButton):
            ui.compareButton.setChecked(state.comparing)
        ui.compareButton.setEnabled(state.can_compare)
        lines = [(note, ORANGE) for note in state.notes] + [(state.drawn_by, GREY)]
        show_text(ui.contourNotes, paragraphs(colored(text, color) for text, color in lines if text))
        ui.editorSection.setVisible(bool(state.segmentation_id) and state.question is None)

    def _render_classes(self, state: ContoursState) -> None:
        table, origins = self.ui.classTable, _origins()
        table.setRowCount(len(state.classes))
        for row, one in enumerate(state.classes):
            table.setItem(row, 0, table_cell(one.name, color=one.color))
            for column, text in enumerate((one.volume, one.suv_max, one.mtv), start=1):
                table.setItem(row, column, table_cell(text, right=True))
            table.setItem(row, 4, table_cell(origins[one.origin]))
            self.returns[one.label].setEnabled(one.can_return)
        fit_rows(table)

    def _render_lesions(self, state: ContoursState) -> None:
        table, self.lesions = self.ui.lesionTable, state.lesions
        table.setRowCount(len(state.lesions))
        for row, one in enumerate(state.lesions):
            table.setItem(row, 0, table_cell(one.name))
            for column, text in enumerate((one.volume, one.suv_max, one.mtv), start=1):
                table.setItem(row, column, table_cell(text, right=True))
        table.setVisible(bool(state.lesions))
        self.ui.lesionHint.setVisible(bool(state.lesions))
        fit_rows(table)

    def _jump(self, row: int) -> None:
        if row < len(self.lesions):
            self.presenter.jump_to(self.lesions[row].centre_lps)

    def _render_question(self, state: ContoursState) -> None:
        self.ui.questionFrame.setVisible(state.question is not None)
        if state.question == self.asked:
            return
        self.asked = state.question
        rows = self.ui.questionRows.layout()
        while self.answers:
            self.answers.popitem()
            rows.removeRow(0)
        for segment in state.question or ():
            box = qt.QComboBox()
            for label, name in ((UNUSED, _("not used")), *((label, spec.name) for label, spec in SEGMENTS.items())):
                box.addItem(name, label)
            box.setCurrentIndex(box.findData(segment.label))
            rows.addRow(segment.name, box)
            self.answers[segment.segment_id] = box

    def _answer(self) -> None:
        chosen = {i: int(box.itemData(box.property("currentIndex"))) for i, box in self.answers.items()}
        self.presenter.name_segments(chosen)
