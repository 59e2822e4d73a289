"""slicer.app, slicer.util, slicer.packaging and a scripted module's widget."""

from __future__ import annotations

from pathlib import Path

import pytest
import qt
import shiboken6
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer_gui_adapter import waiting

import slicer
from mmpl_slicer.bootstrap import application_logic

UI = Path(__file__).with_name("sample_panel.ui")


def test_the_application_gives_the_scene_and_its_logic(scene):
    assert slicer.app.mrmlScene() is scene
    assert application_logic() is slicer.app.applicationLogic()
    assert slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetName() == "Red"


def test_a_layout_can_be_chosen(scene):
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_windows_of_a_test_are_deleted_after_it():
    kept, gone = qt.QWidget(), qt.QWidget()
    waiting.delete_windows_but([kept])
    assert not shiboken6.isValid(gone)
    assert shiboken6.isValid(kept)


def test_slice_viewers_show_the_layers_asked_for(scene):
    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    red = slicer.app.layoutManager().sliceWidget("Red")
    slicer.util.setSliceViewerLayers(background=ct)
    assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct.GetID()
    slicer.util.resetSliceViews()


def test_dialogs_are_recorded_and_answered(dialogs):
    dialogs.answers[:] = [True, False]
    assert slicer.util.confirmYesNoDisplay("Overwrite?")
    assert not slicer.util.confirmOkCancelDisplay("Stop?")
    slicer.util.errorDisplay("no PET")
    assert dialogs.shown == [("yes/no", "Overwrite?"), ("ok/cancel", "Stop?"), ("error", "no PET")]
    with pytest.raises(AssertionError, match="does not answer"):
        slicer.util.confirmYesNoDisplay("Again?")


def test_a_file_dialog_returns_a_string_and_a_modal_one_is_refused(chosen_paths):
    chosen_paths.append("/data/case")
    assert qt.QFileDialog.getExistingDirectory(None, "Case") == "/data/case"
    assert qt.QFileDialog.getOpenFileName() == ""
    for wait in (qt.QDialog().exec, qt.QMessageBox.question):
        with pytest.raises(AssertionError, match="waits for ever"):
            wait()


def test_an_error_in_a_block_is_shown_and_raised(dialogs):
    with pytest.raises(ValueError, match="bad"), slicer.util.tryWithErrorDisplay("Failed.", waitCursor=True):
        raise ValueError("bad")
    assert dialogs.texts("error") == ["Failed.\n\nbad"]


def test_settings_temporary_folders_and_environment_work():
    assert slicer.util.settingsValue("MMPL/never", 3, converter=int) == 3
    qt.QSettings().setValue("MMPL/never", 4)
    assert slicer.util.settingsValue("MMPL/never", 3, converter=int) == 4
    assert Path(slicer.util.tempDirectory("mmpl")).is_dir()
    assert "PATH" in slicer.util.startupEnvironment()


def test_a_process_reports_its_lines_without_blocking(wait_until):
    lines, codes = [], []
    slicer.util.launchConsoleProcess(
        ["echo", "ready"], blocking=False, logCallback=lines.append, completedCallback=codes.append
    )
    wait_until(lambda: codes)
    assert (lines, codes) == (["ready"], [0])


def test_requirements_are_checked_but_never_installed(installer, tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("numpy>=1  # arrays\nno-such-package>=2\ntorch>=2\n")
    wanted = slicer.packaging.load_requirements(path)
    assert slicer.packaging.pip_check("numpy>=1")
    assert not slicer.packaging.pip_check(wanted)
    slicer.packaging.pip_ensure(wanted, skip_packages=["torch"], requester="MMPL")
    assert installer.asked == [["numpy>=1", "no-such-package>=2"]]


class SampleWidget(ScriptedLoadableModuleWidget, slicer.util.VTKObservationMixin):
    def __init__(self, parent=None):
        slicer.util.VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        super().setup()
        self.uiWidget = slicer.util.loadUI(str(UI))
        self.layout.addWidget(self.uiWidget)


def test_a_module_widget_sets_itself_up_and_reloads(scene):
    widget = SampleWidget()
    assert widget.layout.count() == 1
    assert widget.resourcePath("UI/MMPL.ui").endswith("MMPL/Resources/UI/MMPL.ui")
    widget.onReload()
    assert widget.layout.count() == 1
