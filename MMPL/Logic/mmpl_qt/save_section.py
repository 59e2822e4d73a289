"""Save to a folder, and open the report."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from mmpl_qt.widgets import show_text
from mmpl_slicer.panel_state import SaveState


class SaveSection:
    """One button; the folder is remembered between sessions."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.report_path = ""
        ui.saveButton.clicked.connect(lambda *_: self._save())
        ui.reportButton.clicked.connect(lambda *_: self._open())

    def render(self, state: SaveState) -> None:
        ui, self.report_path = self.ui, state.report_path
        ui.saveButton.setEnabled(state.can_save)
        ui.saveButton.setText(_("Saving...") if state.saving else _("Save"))
        ui.reportButton.setEnabled(bool(state.report_path))
        show_text(ui.savedLabel, state.text or _("Results are kept in the scene too, and saved with it."))

    def _save(self) -> None:
        self.ui.saveFolder.addCurrentPathToHistory()
        self.presenter.save(self.ui.saveFolder.property("currentPath"), self.ui.withScene.isChecked())

    def _open(self) -> None:
        if self.report_path:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.report_path))
