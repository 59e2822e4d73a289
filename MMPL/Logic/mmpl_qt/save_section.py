"""Save to a folder, as DICOM too where that can be, and open the report."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from mmpl_qt.widgets import show_text
from mmpl_slicer.panel_state import SaveState


class SaveSection:
    """One button; the folder is remembered between sessions."""

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.report_path = self.case_name = ""
        ui.caseName.editingFinished.connect(lambda *_: self._rename())
        ui.saveButton.clicked.connect(lambda *_: self._save())
        ui.withDicom.toggled.connect(lambda *_: self._show_anonymise())
        ui.reportButton.clicked.connect(lambda *_: self._open())

    def render(self, state: SaveState) -> None:
        ui, self.report_path = self.ui, state.report_path
        ui.caseName.setEnabled(bool(state.case_name))
        if state.case_name != self.case_name:  # else what is being typed there would go
            self.case_name = state.case_name
            ui.caseName.setText(state.case_name)
        ui.saveButton.setEnabled(state.can_save)
        ui.saveButton.setText(_("Saving...") if state.saving else _("Save"))
        ui.reportButton.setEnabled(bool(state.report_path))
        ui.withDicom.setEnabled(not state.no_dicom)
        ui.withDicom.setToolTip(_dicom_tip(state.no_dicom))
        self._show_anonymise()
        show_text(ui.savedLabel, state.text or _("Results are kept in the scene too, and saved with it."))

    def _rename(self) -> None:
        self.presenter.rename_case(self.ui.caseName.property("text"))
        self.ui.caseName.setText(self.presenter.state.save.case_name)  # an empty name is refused

    def _save(self) -> None:
        ui = self.ui
        ui.saveFolder.addCurrentPathToHistory()
        with_dicom = ui.withDicom.isEnabled() and ui.withDicom.isChecked()
        self.presenter.save(
            ui.saveFolder.property("currentPath"),
            ui.withScene.isChecked(),
            with_dicom,
            with_dicom and ui.anonymise.isChecked(),
        )

    def _show_anonymise(self) -> None:
        ui = self.ui
        ui.anonymise.setEnabled(ui.withDicom.isEnabled() and ui.withDicom.isChecked())

    def _open(self) -> None:
        if self.report_path:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.report_path))


def _dicom_tip(why_not: str) -> str:
    if why_not:
        return _("Not possible: {why}.").format(why=why_not)
    return _("Written into the folder dicom: they refer to the CT, and carry its patient and study on")
