"""What the panel learns of a volume from Slicer's DICOM database, and, opt-in, from a real series."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest

import slicer
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.headers import read_header
from mmpl.io.dicom.pet_header import earliest_header, header_values
from mmpl.io.images import read_dicom
from mmpl.io.suv import convert
from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, write_ct, write_pet
from mmpl_qt.dicom_database import file_of_instance
from mmpl_slicer.dicom_files import DicomFiles
from mmpl_slicer.volumes import node_from_volume

ROOT = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere"))
GRID = Geometry((24, 24, 12), (8.0, 8.0, 9.0), (-92.0, -92.0, -49.5))


@pytest.fixture
def database(monkeypatch):
    """Stands for Slicer's DICOM database, which only 3D Slicer has: UID -> file."""
    files: dict[str, str] = {}
    monkeypatch.setattr(
        slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda uid: files.get(uid, "")), raising=False
    )
    return files


@pytest.fixture
def case_of_database(scene, database, tmp_path):
    """CT and PET, written as DICOM, in the database, and loaded; the PET's header lacks the weight."""
    inside = np.linalg.norm(GRID.physical(np.moveaxis(np.indices(GRID.size), 0, -1)), axis=-1).transpose() < 80
    rng = np.random.default_rng(2)
    ct = Volume(np.where(inside, rng.normal(40, 9, GRID.shape), -1000.0).astype(np.float32), GRID)
    pet = Volume(np.where(inside, rng.gamma(2.0, 0.6, GRID.shape), 0.0).astype(np.float32), GRID)
    written = {
        "CT": write_ct(tmp_path / "CT", ct),
        "PET": write_pet(tmp_path / "PET", pet, FAULTY_PET_VARIANTS["weight missing"]),
    }
    nodes = []
    for what, paths in written.items():
        uids = [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
        database |= dict(zip(uids, map(str, paths), strict=True))
        node = node_from_volume(read_dicom(tmp_path / what, what).volume, scene, f"2: {what}")
        node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
        nodes.append(node)
    return nodes


@pytest.fixture
def shown(widget, case_of_database):
    """The panel after it has been opened on a case of the database."""
    widget.exit()
    widget.enter()
    return widget


def test_without_a_database_there_are_no_files(scene):
    assert file_of_instance("1.2.3") == ""


def test_an_instance_that_the_database_has_not_is_none(scene, monkeypatch):
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda uid: None), raising=False)
    assert file_of_instance("1.2.3") == ""


def test_the_form_shows_what_the_header_gives_and_asks_for_the_rest(shown):
    ui = shown.ui
    assert not ui.suvFrame.isHidden()
    assert "weight (kg) to convert it" in ui.checkLabel.property("text")
    assert ui.activitySpin.property("value") == pytest.approx(352.0)
    assert ui.decaySpin.property("value") == pytest.approx(62.4, abs=0.1)
    ui.weightSpin.setValue(76.0)
    assert "converted to SUV with 76 kg, 352 MBq" in ui.checkLabel.property("text")
    assert "Rule: Bq/mL to body-weight SUV; corrected for decay to the start" in ui.checkLabel.property("text")


def test_dicom_can_be_chosen_for_a_ct_of_the_database(shown):
    ui = shown.ui
    assert ui.withDicom.isEnabled()
    assert not ui.anonymise.isEnabled()
    ui.withDicom.setChecked(True)
    assert ui.anonymise.isEnabled()
    assert "refer to the CT" in ui.withDicom.property("toolTip")


def test_why_dicom_cannot_be_chosen_stands_in_the_tooltip(widget, case_of_database, database):
    database.clear()
    widget.exit()
    widget.enter()
    assert not widget.ui.withDicom.isEnabled()
    assert widget.ui.withDicom.property("toolTip") == (
        "Not possible: 12 of the 12 DICOM files of the CT are not in the DICOM database any more."
    )


@pytest.mark.parametrize(
    ("dicom", "anonymise", "sent"),
    [
        (False, False, (False, False)),
        (False, True, (False, False)),
        (True, False, (True, False)),
        (True, True, (True, True)),
    ],
)
def test_save_sends_what_is_chosen(shown, monkeypatch, dicom, anonymise, sent):
    asked = []
    monkeypatch.setattr(shown.presenter, "save", lambda *arguments: asked.append(arguments))
    shown.ui.saveButton.setEnabled(True)  # there is nothing to save yet: what the button sends is looked at
    shown.ui.withDicom.setChecked(dicom)
    shown.ui.anonymise.setChecked(anonymise)
    shown.ui.saveButton.click()
    assert asked[0][2:] == sent


def test_the_case_has_a_name_that_the_user_sees_and_changes(shown):
    ui = shown.ui
    assert ui.caseName.property("text") == "Case"
    ui.caseName.setText("Trial 7")
    ui.caseName.editingFinished.emit()
    assert shown.presenter.case_id == "Trial 7"
    ui.caseName.setText("  ")
    ui.caseName.editingFinished.emit()
    assert ui.caseName.property("text") == "Trial 7"


def test_without_images_there_is_no_name_to_change(widget):
    assert not widget.ui.caseName.isEnabled()


@pytest.mark.real_data
@pytest.mark.skipif(not (ROOT / "pet_dicom").is_dir(), reason="MMPL_TEST_DATA names no folder with pet_dicom")
def test_a_real_series(scene):
    files = sorted((ROOT / "pet_dicom" / "PET").glob("*.dcm"))
    uids = {str(read_header(file).SOPInstanceUID): str(file) for file in files}
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET")
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    header = DicomFiles(uids.get).header(node)
    conversion = convert(header.values)
    assert conversion.values["weight_kg"] == 69.0
    assert 55 < conversion.values["decay_min"] < 65
    assert conversion.doubts == ()
    assert header.values == earliest_header(header_values(read_header(file)) for file in files)
