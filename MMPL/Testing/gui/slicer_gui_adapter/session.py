"""Puts the substitutes where widget code looks for them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import slicer
from slicer_gui_adapter import parameter_node, scripted_module, small_modules
from slicer_gui_adapter.application import Application
from slicer_gui_adapter.contract import class_contract
from slicer_gui_adapter.ctk_widgets import ctk
from slicer_gui_adapter.plot_view import MRMLPlotView
from slicer_gui_adapter.qmrml_basics import MRMLNodeComboBox, MRMLWidget
from slicer_gui_adapter.qt_module import qt
from slicer_gui_adapter.segment_editor import MRMLSegmentEditorWidget
from slicer_gui_adapter.segment_list import MRMLSegmentsTableView
from slicer_gui_adapter.strict import StrictModule, strict_class
from slicer_gui_adapter.util_functions import Dialogs, replacements

MRML_WIDGETS = {
    "qMRMLWidget": MRMLWidget,
    "qMRMLNodeComboBox": MRMLNodeComboBox,
    "qMRMLPlotView": MRMLPlotView,
    "qMRMLSegmentEditorWidget": MRMLSegmentEditorWidget,
    "qMRMLSegmentsTableView": MRMLSegmentsTableView,
}


def install() -> None:
    """Make ``import qt``, ``import ctk`` and the ``slicer`` submodules work; safe to call again."""
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    for name, real in MRML_WIDGETS.items():
        if not hasattr(slicer, name):
            setattr(slicer, name, strict_class(real, class_contract(f"slicer.{name}")))
    _submodule("ScriptedLoadableModule", scripted_module, scripted_module.__all__)
    _submodule("parameterNodeWrapper", parameter_node, parameter_node.__all__)
    _submodule("i18n", small_modules, ("tr", "translate", "getContext"))
    _submodule("packaging", small_modules, ("load_requirements",))
    _submodule("testing", small_modules, ("exitSuccess", "exitFailure"))


def _submodule(name: str, source, offered) -> None:
    module = ModuleType(f"slicer.{name}", source.__doc__)
    for key in offered:
        setattr(module, key, getattr(source, key))
    sys.modules[f"slicer.{name}"] = module
    setattr(slicer, name, module)


class Session:
    """``slicer.app`` and the Qt side of ``slicer.util``, in place until ``close``.

    Other tests of the same run use slicer-core alone and must find it as it was.

    Attributes
    ----------
    dialogs : what the user was told and asked
    installer : what pip was asked to install
    chosen_paths : paths that the next file dialogs return
    """

    def __init__(self, qt_application, folder: Path):
        self.chosen_paths = qt.QFileDialog._chosen
        self.dialogs, self.installer = Dialogs(), small_modules.Installer()
        self._util = dict(vars(slicer.util))
        self._util_class = type(slicer.util)
        slicer.app = Application(qt_application, folder)
        for name, function in replacements(self.dialogs).items():
            setattr(slicer.util, name, function)
        for name in ("pip_check", "pip_ensure", "pip_install", "isPipInstallInProgress"):
            setattr(slicer.packaging, name, getattr(self.installer, name))
        slicer.util.__class__ = StrictModule

    def forget(self) -> None:
        """Start a test with nothing told, asked, installed or chosen."""
        self.dialogs.clear()
        self.installer.asked.clear()
        self.chosen_paths.clear()
        slicer.app.settings().clear()
        self.set_testing(False)

    def set_testing(self, testing: bool) -> None:
        """What ``slicer.app.testingEnabled()`` says; False at first."""
        slicer.app._testing = testing

    def close(self) -> None:
        slicer.app.layoutManager()._close()
        slicer.util.__class__ = self._util_class
        vars(slicer.util).update(self._util)
        del slicer.app
