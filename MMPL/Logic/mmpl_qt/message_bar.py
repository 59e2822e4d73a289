"""The one sentence that something went wrong, and the buttons that may mend it."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from mmpl_qt import packages, worker_python
from mmpl_qt.text import RED, colored
from mmpl_qt.widgets import on_path, set_path
from mmpl_slicer.panel_state import FAILED, NEEDS_SETUP, PanelState


class MessageBar:
    """Shown while there is something to say; set-up and choice of Python belong to it.

    Parameters
    ----------
    requirements_file : what the worker needs, without torch
    """

    def __init__(self, ui, presenter, requirements_file: Path):
        self.ui, self.presenter, self.requirements_file = ui, presenter, requirements_file
        set_path(ui.pythonPath, worker_python.python_setting())
        ui.dismissButton.clicked.connect(lambda *_: presenter.dismiss_message())
        ui.restartButton.clicked.connect(lambda *_: presenter.restart_worker())
        for button in (ui.installButton, ui.setupButton):
            button.clicked.connect(lambda *_: self.set_up())
        ui.removeButton.clicked.connect(lambda *_: self.remove())
        on_path(ui.pythonPath, Path.is_file, self._python_chosen)

    def render(self, state: PanelState) -> None:
        ui, worker = self.ui, state.work.worker
        ui.messageFrame.setVisible(bool(state.message) or worker in (FAILED, NEEDS_SETUP))
        ui.messageLabel.setText(colored(state.message, RED))
        ui.installButton.setVisible(worker == NEEDS_SETUP)
        ui.restartButton.setVisible(worker in (FAILED, NEEDS_SETUP))
        ui.dismissButton.setVisible(bool(state.message))

    def set_up(self) -> None:
        """Install into Slicer's own Python; one that a site has chosen is the site's to fill."""
        python = worker_python.chosen_python()
        if python:
            text = _('Install into the Python that you chose: "{python}" -m pip install torch -r "{file}"')
            self.presenter.say(text.format(python=python, file=self.requirements_file))
            return
        self._try(lambda: packages.install(self.requirements_file, self.ui.wheelFolder.property("currentPath")))

    def remove(self) -> None:
        self.presenter.stop_worker()  # its files are in use
        self._try(packages.remove)

    def _try(self, action) -> None:
        try:
            action()
        except packages.SetupError as problem:
            self.presenter.say(str(problem))
        else:
            self.presenter.restart_worker()

    def _python_chosen(self, path: str) -> None:
        if path != worker_python.python_setting():
            worker_python.choose_python(path)
            self.presenter.restart_worker()
