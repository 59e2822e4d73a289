"""The synthetic patient that Slicer's Sample Data module offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import slicer
from mmpl_slicer import sample_data, sample_registration
from mmpl_slicer.demo import DEMO_INDEX, DEMO_SEED
from mmpl_slicer.subject_hierarchy import hierarchy_of
from mmpl_slicer.volumes import pet_units_of_node, volume_from_node

MODULE_FILE = Path(__file__).resolve().parents[3] / "MMPL.py"


@pytest.fixture
def sample_data_module(monkeypatch) -> list[dict]:
    """What was registered with a stand-in that takes what Slicer's own function takes and refuses what it refuses."""
    registered = []

    def register(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
    ):
        fields = (uris, fileNames, nodeNames, loadFiles, loadFileType, checksums)
        if len({len(field) for field in fields}) != 1:  # a missing field is a TypeError, as in Slicer
            raise ValueError("All fields of sample data source must have the same length")
        entry = {"category": category, "name": sampleName, "uris": uris, "thumbnail": thumbnailFileName}
        registered.append({**entry, "load": customDownloader})

    logic = SimpleNamespace(registerCustomSampleDataSource=register)
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))
    return registered


def test_a_click_on_the_thumbnail_loads_the_patient_without_a_download(scene, sample_data_module):
    sample_registration.register_sample_data(MODULE_FILE)
    (entry,) = sample_data_module
    assert (entry["category"], entry["uris"]) == ("MMPL", [])
    assert Path(entry["thumbnail"]) == MODULE_FILE.parent / "Resources" / "Icons" / "MMPLPhantom.png"
    assert Path(entry["thumbnail"]).is_file()
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0

    assert slicer.mrmlScene is scene
    entry["load"](entry)

    ct, pet = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    assert (ct.GetName(), pet.GetName()) == ("PHA-0024 CT", "PHA-0024 PET")
    assert volume_from_node(ct).array.dtype == np.int16
    assert volume_from_node(ct).array.min() < -900  # air, HU
    assert volume_from_node(pet).array.max() > 5  # a hot tumour, SUV
    assert pet_units_of_node(pet) == "SUVbw"
    assert pet.GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"
    assert (ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()) == (350.0, 40.0)
    assert (pet.GetDisplayNode().GetWindowLevelMin(), pet.GetDisplayNode().GetWindowLevelMax()) == (0.0, 10.0)
    assert pet.GetDisplayNode().GetColorNode().GetName() == "PET-Heat"

    hierarchy = hierarchy_of(scene)
    studies = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (ct, pet)}
    (study,) = studies
    assert hierarchy.GetItemName(study) == "FDG-PET/CT"
    assert hierarchy.GetItemName(hierarchy.GetItemParent(study)) == "PHA-0024"
    for view in ("Red", "Green", "Yellow"):
        layers = scene.GetSingletonNode(view, "vtkMRMLSliceCompositeNode")
        assert (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()) == (ct.GetID(), pet.GetID())
        assert layers.GetForegroundOpacity() == pytest.approx(0.4)


def test_the_sample_is_the_demos_patient():
    assert (sample_data.SAMPLE_SEED, sample_data.SAMPLE_INDEX) == (DEMO_SEED, DEMO_INDEX)


def test_registering_twice_gives_slicer_the_same_loader(sample_data_module):
    sample_registration.register_sample_data(MODULE_FILE)
    sample_registration.register_sample_data(str(MODULE_FILE))
    first, second = sample_data_module
    assert first == second  # Slicer drops an entry that equals an earlier one


def test_the_module_is_imported_before_anything_is_installed():
    """Blocks what Slicer does not bundle, Qt, and the Sample Data module itself."""
    absent = ("torch", "numba", "safetensors", "jsonschema", "PIL", "qt", "ctk", "SampleData")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import mmpl_slicer.sample_data"
    folder = MODULE_FILE.parent / "Logic"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, timeout=120)
