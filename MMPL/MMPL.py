"""The Slicer module MMPL: registration, widget shell and self-tests. What it does lives in Logic/."""

import os
import sys
import unittest

import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode

_LOGIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Logic")
if _LOGIC not in sys.path:
    sys.path.insert(0, _LOGIC)


class MMPL(ScriptedLoadableModule):
    """What Slicer lists: title, category, help. Nothing heavy is imported here."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "MMPL"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Radiotherapy")]
        self.parent.dependencies = []
        self.parent.contributors = ["The MMPL contributors"]
        self.parent.helpText = _(
            "Segments the primary tumour (GTVp) and the nodes (GTVn) of a head-and-neck FDG-PET/CT, follows your"
            " corrections, and shows HPV probability and recurrence-free survival. For research use only."
        )
        self.parent.acknowledgementText = _("Method: MMPL, HECKTOR 2025. Licence: Apache-2.0.")
        slicer.app.startupCompleted.connect(_register_sample_data)


def _register_sample_data():
    """Offer the synthetic patient in Slicer's Sample Data module, where there is one."""
    if hasattr(slicer.modules, "sampledata"):
        from mmpl_slicer.sample_registration import register_sample_data

        register_sample_data(__file__)


@parameterNodeWrapper
class MMPLParameterNode:
    """What is chosen in the panel; all else of a case is kept in the case's own node.

    ct, pet: the images. segmentation: the one that is corrected and measured. autoUpdate: numbers follow the pen.
    bundlePath: folder or zip of the model, empty for the demo's. device: where networks run, empty for the best.
    """

    ct: vtkMRMLScalarVolumeNode
    pet: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    autoUpdate: bool = True
    bundlePath: str = ""
    device: str = ""


class MMPLWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel with Slicer: parameter node, scene events, enter and exit."""

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self.panel = None
        self._parameterNode = None
        self._guiTag = None
        self._choosing = False
        ScriptedLoadableModuleWidget.__init__(self, parent)  # last: without a parent it calls setup()

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from pathlib import Path

        from mmpl_qt.panel import Panel

        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MMPL.ui"))
        self.layout.addWidget(uiWidget)
        self.layout.addStretch(1)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MMPLLogic()
        self.panel = Panel(self.ui, Path(self.resourcePath("requirements.txt")), self.onState)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    @property
    def presenter(self):
        """What the panel shows and does, for scripts and tests."""
        return self.panel.presenter

    def cleanup(self):
        """The module goes, or Slicer ends: the worker goes first."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None

    def enter(self):
        if self.panel is None:
            return
        if self._parameterNode is None:
            self.initializeParameterNode()
        self.panel.enter()

    def exit(self):
        if self.panel is not None:
            self.panel.exit()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self.panel.close_scene()

    def onSceneEndClose(self, caller, event):
        self.initializeParameterNode()

    def onSceneStartImport(self, caller, event):
        self.setParameterNode(None)  # nodes come one by one, and their voxels later: nothing is chosen meanwhile

    def onSceneEndImport(self, caller, event):
        self.initializeParameterNode()
        self.presenter.restore()

    def initializeParameterNode(self):
        from mmpl_qt import preferences

        isNew = not self.logic.hasParameters()
        parameterNode = self.logic.getParameterNode()
        if isNew:  # a scene that was closed has emptied it
            preferences.bring_back(parameterNode)
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode):
        """Follow another parameter node, None for none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
            self.onParameters()

    def onParameters(self, caller=None, event=None):
        """Something else was chosen, in the panel or by a script."""
        if self._choosing or self._parameterNode is None:
            return
        from mmpl_qt import preferences

        self._choosing = True
        try:
            chosen, presenter = self._parameterNode, self.presenter
            inputs, segmentation = (chosen.ct, chosen.pet), chosen.segmentation
            presenter.choose_bundle(chosen.bundlePath)
            presenter.choose_device(chosen.device)
            if chosen.autoUpdate != presenter.auto_update:
                preferences.keep("autoUpdate", chosen.autoUpdate)
                presenter.set_auto_update(chosen.autoUpdate)
            if inputs != (presenter.ct, presenter.pet):
                presenter.choose_inputs(*inputs)  # another case comes with its own segmentation
            else:
                presenter.choose_segmentation(segmentation)
        finally:
            self._choosing = False
        self.onState(self.presenter.state)

    def onState(self, state):
        """What the presenter has chosen goes into the parameter node, and by it into the selectors."""
        if self._parameterNode is None or self._choosing:
            return
        from mmpl_qt import preferences
        from mmpl_qt.widgets import node_of

        chosen = {
            "ct": node_of(state.inputs.ct_id),
            "pet": node_of(state.inputs.pet_id),
            "segmentation": node_of(state.contours.segmentation_id),
            "bundlePath": state.inputs.bundle_path,
            "device": state.inputs.device,
            "autoUpdate": state.auto_update,
        }
        self._choosing = True
        try:
            for name, value in chosen.items():
                if getattr(self._parameterNode, name) != value:
                    setattr(self._parameterNode, name, value)
                    preferences.keep(name, value)
        finally:
            self._choosing = False


class MMPLLogic(ScriptedLoadableModuleLogic):
    """The parameter node; the work is the presenter's and the worker's."""

    def getParameterNode(self):
        return MMPLParameterNode(super().getParameterNode())

    def hasParameters(self):
        """Whether anything was ever chosen in this scene."""
        return super().getParameterNode().HasParameter("autoUpdate")


class MMPLTest(ScriptedLoadableModuleTest):
    """Self-tests for real Slicer; each is a function of mmpl_qt/self_test.py and sets itself up."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(dir(self)):
            if name.startswith("test_"):
                self.setUp()
                try:
                    getattr(self, name)()
                except unittest.SkipTest as reason:
                    print(f"NOT RUN: {name}: {reason}")

    def _run(self, name):
        from mmpl_qt import self_test

        self.delayDisplay(f"MMPL: {name}", 50)
        getattr(self_test, name)(self)

    def test_import_brings_no_networks(self):
        self._run("import_brings_no_networks")

    def test_panel_guesses_and_checks_the_inputs(self):
        self._run("panel_guesses_and_checks_the_inputs")

    def test_panel_fits_a_narrow_dock(self):
        self._run("panel_fits_a_narrow_dock")

    def test_segment_correct_undo_save(self):
        self._run("segment_correct_undo_save")

    def test_scene_remembers_the_case(self):
        self._run("scene_remembers_the_case")

    def test_closing_the_scene_in_a_run_is_clean(self):
        self._run("closing_the_scene_in_a_run_is_clean")

    def test_deleted_nodes_are_said(self):
        self._run("deleted_nodes_are_said")
