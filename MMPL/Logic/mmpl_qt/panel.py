"""All sections together: a timer drives the presenter, each section shows what has changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

import slicer
from mmpl_qt.contours_section import ContoursSection
from mmpl_qt.dicom_database import file_of_instance
from mmpl_qt.editor import Editor
from mmpl_qt.inputs_section import InputsSection
from mmpl_qt.message_bar import MessageBar
from mmpl_qt.patient_section import PatientSection
from mmpl_qt.results_section import ResultsSection
from mmpl_qt.save_section import SaveSection
from mmpl_qt.segment_section import SegmentSection
from mmpl_qt.widgets import node_of
from mmpl_qt.worker_python import make_client
from mmpl_slicer.dicom_files import DicomFiles
from mmpl_slicer.panel_state import PanelState
from mmpl_slicer.presenter import Presenter

TICK_MS, SLOW_TICK_MS = 30, 300  # in front or at work, and otherwise
KEPT_S = 0.02  # what takes longer to show is shown at the next tick


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
        self.presenter = Presenter(
            slicer.mrmlScene, client, dicom=DicomFiles(file_of_instance), save_undo=self.editor.save_undo
        )
        presenter = self.presenter
        self.message = MessageBar(ui, presenter, requirements_file)
        self.inputs = InputsSection(ui, presenter)
        self.segment = SegmentSection(ui, presenter)
        self.contours = ContoursSection(ui, presenter)
        self.patient = PatientSection(ui, presenter)
        self.results = ResultsSection(ui, presenter)
        self.save = SaveSection(ui, presenter)
        self.shown: PanelState | None = None
        self.due: dict[str, None] = {}  # sections that are still to be shown, in order
        self.sections = self._sections()
        presenter.listener = self.render
        self.timer = qt.QTimer()
        self.timer.setInterval(TICK_MS)
        self.timer.timeout.connect(self.tick)
        self.is_ticking, self.faults = False, set()
        self.is_open = False  # the module is in front: images that come are looked at
        self.timer.start()
        self.render(presenter.state)

    def _sections(self) -> dict[str, tuple[tuple[str, ...], Callable[[PanelState], None]]]:
        """Section -> the parts of the state that it shows, and how."""
        return {
            "message": (("message", "work"), self.message.render),
            "segment": (("work",), lambda state: self.segment.render(state.work)),
            "results": (("results", "contours"), self.results.render),
            "inputs": (("inputs",), lambda state: self.inputs.render(state.inputs)),
            "contours": (("contours",), lambda state: self.contours.render(state.contours)),
            "editor": (("contours", "inputs"), self._show_editor),
            "patient": (("patient",), lambda state: self.patient.render(state.patient)),
            "save": (("save",), lambda state: self.save.render(state.save)),
        }

    def _show_editor(self, state: PanelState) -> None:
        self.editor.show(node_of(state.contours.segmentation_id), node_of(state.inputs.ct_id))

    def tick(self) -> None:
        """The timer's beat: one at a time, though a dialog within it lets events through."""
        if self.is_ticking:
            return
        self.is_ticking = True
        try:
            self._beat()
        except Exception as fault:  # the edge: said once, and in full to the console; the panel goes on
            self._say_fault(fault)
        finally:
            self.is_ticking = False

    def _beat(self) -> None:
        if self.due:
            self._show_some()
            return
        self.presenter.tick()
        if self.is_open:
            self.presenter.guess_new_inputs()
        self.timer.setInterval(TICK_MS if self.is_open or self.presenter.engine.is_busy else SLOW_TICK_MS)

    def _say_fault(self, fault: Exception) -> None:
        text = f"{type(fault).__name__}: {fault}"
        if text in self.faults:
            return
        self.faults.add(text)
        logging.exception("MMPL: a fault of the panel")
        self.presenter.say(
            _("Something went wrong in the panel ({text}); the Python console says more.").format(text=text)
        )

    def enter(self) -> None:
        """The module comes to the front."""
        self.is_open = True
        self.presenter.guess_inputs()
        self.editor.enter()

    def exit(self) -> None:
        """Another module comes to the front; what runs goes on."""
        self.is_open = False
        self.editor.leave()

    def render(self, state: PanelState) -> None:
        """Show a state: the sections whose part has changed, a few now and the rest at the next ticks."""
        before, self.shown = self.shown, state
        if before is None:
            self.ui.noticeLabel.setText(f"<i>{state.notice}</i>")
        for section, (parts, _show) in self.sections.items():
            if before is None or any(getattr(before, part) != getattr(state, part) for part in parts):
                self.due[section] = None
        self._show_some()
        self.on_state(state)

    def _show_some(self) -> None:
        """Show sections that are due, as they are now, until the thread has been kept long enough."""
        began = time.perf_counter()
        while self.due and time.perf_counter() - began < KEPT_S:
            section = next(iter(self.due))
            del self.due[section]
            self.sections[section][1](self.shown)

    def redraw(self) -> None:
        """Show everything anew and at once, in the colours of a theme that has changed."""
        state, self.shown = self.presenter.state, None
        self.render(state)
        while self.due:
            self._show_some()

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
