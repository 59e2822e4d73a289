"""The button that starts and cancels, progress, and the worker's log behind a fold."""

from __future__ import annotations

from slicer.i18n import tr as _

from mmpl_qt.widgets import show_text
from mmpl_slicer.panel_state import WorkState


class SegmentSection:
    """Segment, Cancel, and how far it is."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        ui.segmentButton.clicked.connect(lambda *_: self._pressed())
        ui.logButton.clicked.connect(lambda *_: self.show_log())
        ui.logBox.toggled.connect(lambda *_: self.show_log())

    def render(self, state: WorkState) -> None:
        ui = self.ui
        ui.segmentButton.setText(_("Cancel") if state.can_cancel else _("Segment"))
        ui.segmentButton.setEnabled(state.can_cancel or state.can_segment)
        show_text(ui.whyNotLabel, state.why_not)
        show_text(ui.stepLabel, state.step)
        ui.progressBar.setVisible(bool(state.step))
        known = state.fraction is not None
        ui.progressBar.setMaximum(1000 if known else 0)  # 0: it moves without saying how far
        ui.progressBar.setValue(round(1000 * state.fraction) if known else 0)

    def show_log(self) -> None:
        """Read the log anew: it is not followed."""
        self.ui.logText.setPlainText(self.presenter.engine.log or _("The worker has written nothing."))

    def _pressed(self) -> None:
        if self.presenter.running:
            self.presenter.cancel()
        else:
            self.presenter.segment()
