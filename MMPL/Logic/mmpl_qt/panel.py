"""All sections together: a timer drives the presenter, each section shows what has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt

import slicer
from mmpl_qt.contours_section import ContoursSection
from mmpl_qt.dicom_header import header_of
from mmpl_qt.editor import Editor
from mmpl_qt.inputs_section import InputsSection, node_of
from mmpl_qt.message_bar import MessageBar
from mmpl_qt.patient_section import PatientSection
from mmpl_qt.results_section import ResultsSection
from mmpl_qt.save_section import SaveSection
from mmpl_qt.segment_section import SegmentSection
from mmpl_qt.worker_python import make_client
from mmpl_slicer.panel_state import PanelState
from mmpl_slicer.presenter import Presenter

TICK_MS = 30


class Panel:
    """The panel of one module widget.

    Parameters
    ----------
    ui : the widgets of MMPL.ui by name
    requirements_file : what the worker needs, for set-up
    on_state : called with each new PanelState after it is shown
    client : makes the worker's client
    """

    def __init__(
        self,
        ui,
        requirements_file: Path,
        on_state: Callable[[PanelState], None] = lambda state: None,
        client=make_client,
    ):
        self.ui, self.on_state = ui, on_state
        self.editor = Editor(ui.editorLayout)
        self.presenter = Presenter(slicer.mrmlScene, client, header=header_of, save_undo=self.editor.save_undo)
        presenter = self.presenter
        self.message = MessageBar(ui, presenter, requirements_file)
        self.inputs = InputsSection(ui, presenter)
        self.segment = SegmentSection(ui, presenter)
        self.contours = ContoursSection(ui, presenter)
        self.patient = PatientSection(ui, presenter)
        self.results = ResultsSection(ui, presenter)
        self.save = SaveSection(ui, presenter)
        self.shown: PanelState | None = None
        presenter.listener = self.render
        self.timer = qt.QTimer()
        self.timer.setInterval(TICK_MS)
        self.timer.timeout.connect(presenter.tick)
        self.timer.start()
        self.render(presenter.state)

    def render(self, state: PanelState) -> None:
        """Show a state; sections whose part is as it was are left alone."""
        before, self.shown = self.shown, state

        def changed(*names: str) -> bool:
            return before is None or any(getattr(before, name) != getattr(state, name) for name in names)

        if before is None:
            self.ui.noticeLabel.setText(f"<i>{state.notice}</i>")
        if changed("message", "work"):
            self.message.render(state)
        if changed("inputs"):
            self.inputs.render(state.inputs)
        if changed("work"):
            self.segment.render(state.work)
        if changed("contours"):
            self.contours.render(state.contours)
        if changed("contours", "inputs"):
            self.editor.show(node_of(state.contours.segmentation_id), node_of(state.inputs.ct_id))
        if changed("patient"):
            self.patient.render(state.patient)
        if changed("results", "contours"):
            self.results.render(state)
        if changed("save"):
            self.save.render(state.save)
        self.on_state(state)

    def redraw(self) -> None:
        """Show everything anew, in the colours of a theme that has changed."""
        state, self.shown = self.presenter.state, None
        self.render(state)

    def close_scene(self) -> None:
        """Before the scene goes: nothing of it may be held."""
        self.editor.let_go()
        self.results.plot.let_go()
        self.presenter.close_scene()

    def close(self) -> None:
        """Before the widgets go: the worker ends with them."""
        self.timer.stop()
        self.presenter.listener = lambda state: None
        self.editor.let_go()
        self.results.plot.let_go()
        self.presenter.close()
