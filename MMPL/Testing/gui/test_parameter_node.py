"""Parameters live in a node of the scene and follow their widgets, both ways."""

from __future__ import annotations

import pathlib
from typing import Annotated

import pytest
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

import slicer


@parameterNodeWrapper
class SampleParameters:
    ct: slicer.vtkMRMLScalarVolumeNode
    suv: bool = True
    age: int
    dose_gy: float = 70.0
    folder: pathlib.Path
    patient: str = "unknown"
    site: Annotated[str, Choice(["oropharynx", "larynx"])] = "larynx"


class SampleLogic(ScriptedLoadableModuleLogic):
    pass


@pytest.fixture
def parameters(scene):
    return SampleParameters(SampleLogic().getParameterNode())


def test_a_new_parameter_node_holds_the_defaults(parameters):
    assert parameters.ct is None
    assert (parameters.suv, parameters.age, parameters.dose_gy) == (True, 0, 70.0)
    assert (parameters.folder, parameters.patient, parameters.site) == (pathlib.Path("."), "unknown", "larynx")


def test_parameters_survive_in_the_node(scene, parameters):
    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    parameters.ct, parameters.suv, parameters.age, parameters.folder = ct, False, 61, pathlib.Path("/data")
    again = SampleParameters(SampleLogic().getParameterNode())
    assert (again.ct, again.suv, again.age, again.folder) == (ct, False, 61, pathlib.Path("/data"))
    assert again.parameterNode.GetNodeReferenceID("ct") == ct.GetID()


def test_a_parameter_of_the_wrong_type_is_refused(parameters):
    with pytest.raises(TypeError, match="suv takes bool"):
        parameters.suv = "yes"
    with pytest.raises(ValueError, match="site is one of"):
        parameters.site = "knee"
    with pytest.raises(AttributeError, match="no parameter weight"):
        parameters.weight = 70


def test_widgets_and_parameters_follow_each_other(scene, parameters, sample_ui):
    ct = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    tag = parameters.connectGui(sample_ui)
    assert sample_ui.suvBox.isChecked()
    sample_ui.ageBox.setValue(61)
    sample_ui.ctSelector.setCurrentNode(ct)
    sample_ui.siteBox.setCurrentText("oropharynx")
    assert (parameters.age, parameters.ct, parameters.site) == (61, ct, "oropharynx")
    parameters.folder, parameters.suv, parameters.patient = pathlib.Path("/data"), False, "A"
    assert sample_ui.folderEdit.property("currentPath") == "/data"
    assert not sample_ui.suvBox.isChecked()
    assert sample_ui.nameEdit.property("text") == "A"
    parameters.disconnectGui(tag)
    sample_ui.ageBox.setValue(30)
    assert parameters.age == 61


def test_the_logic_keeps_one_parameter_node(scene):
    node = SampleLogic().getParameterNode()
    assert SampleLogic().getParameterNode() is node
    assert node.GetAttribute("ModuleName") == "Sample"
    assert node.GetSingletonTag() == "Sample"
