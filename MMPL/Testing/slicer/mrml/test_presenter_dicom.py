"""A case from the DICOM database: its SUV, its name, its results as DICOM, and the scene that it is saved in."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest

import slicer
from mmpl.phantom.dicom import FAULTY_PET_VARIANTS, PET_VARIANTS, Person, write_ct, write_pet
from mmpl_slicer.case_record import records
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.segmentation import create_segmentation
from mmpl_slicer.subject_hierarchy import hierarchy_of, place_in_study
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE
from mmpl_slicer.volume_guess import anonymous_name, case_name_of
from mmpl_slicer.volumes import node_from_volume, vtk_matrix

PERSON = Person("SMITH-4711")


@pytest.fixture
def load(scene, load_dicom, tiny_patient, tmp_path):
    """Writes the tiny patient as DICOM and loads both by Slicer's reader, under the patient's name and ID."""

    def loaded(variant=PET_VARIANTS["plain"]):
        hu = np.maximum(tiny_patient.ct.array, -1024.0)
        written = {
            "CT": write_ct(tmp_path / "CT", tiny_patient.ct.with_array(hu), person=PERSON),
            "PET": write_pet(tmp_path / "PET", tiny_patient.pet, variant, person=PERSON),
        }
        nodes = [load_dicom(paths, f"2: {what} {PERSON.patient_id}") for what, paths in written.items()]
        place_in_study(scene, nodes, PERSON.name, "study")
        hierarchy = hierarchy_of(scene)
        patient = hierarchy.GetItemParent(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes[0])))
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", PERSON.patient_id)
        hierarchy.SetItemAttribute(patient, "DICOM.PatientName", PERSON.name)
        return nodes

    return loaded


@pytest.fixture
def front(make_front, shared_client, dicom, clock):
    return make_front(make_client=lambda: shared_client, clock=clock, dicom=dicom)


@pytest.fixture
def with_mask(front, load, scene, tiny_patient):
    """The case chosen, with contours of somebody's own: nothing has to be segmented."""
    ct, pet = load()
    front.presenter.choose_inputs(ct, pet)
    front.presenter.choose_segmentation(create_segmentation(tiny_patient.label_map, ct, scene, "mine"))
    return front


def save(front, folder, **how) -> dict:
    front.presenter.save(str(folder), **how)
    front.until(lambda: not front.presenter.running)
    assert front.state.message == ""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def texts(front) -> list[str]:
    return [line.text for line in front.state.inputs.lines]


# --- SUV ----------------------------------------------------------------------------------------------------------


def test_a_pet_of_the_database_is_suv_without_typing_as_on_the_command_line(with_mask, tmp_path, tiny_patient):
    assert any("converted to SUV with 76 kg, 352 MBq, 62.4167 min" in text for text in texts(with_mask))
    assert [field.from_header for field in with_mask.state.inputs.suv_fields] == [True] * 3
    results = save(with_mask, tmp_path / "out")
    provenance = results["inputs"]["pet"]["provenance"]
    assert provenance["suv"]["sources"]["weight_kg"] == "PatientWeight"
    assert provenance["suv"] == with_mask.presenter.report.conversion.record()
    inside = tiny_patient.pet.array.max()
    assert results["lesions"]["GTVp"]["suv_max"] == pytest.approx(inside, rel=0.05)


def test_another_typed_weight_is_another_case_for_the_worker(with_mask):
    presenter = with_mask.presenter
    presenter.update_now()
    with_mask.settle()
    before = presenter.results["lesions"]["GTVp"]["suv_max"]
    presenter.set_suv_field("weight_kg", 38.0)
    assert any("was typed as 38, the header says 76" in text for text in texts(with_mask))
    assert not with_mask.state.results.current
    with_mask.settle()
    assert presenter.results["lesions"]["GTVp"]["suv_max"] == pytest.approx(before / 2)
    warned = [one["text"] for one in presenter.results["warnings"] if one["code"] == "SUV_DOUBT"]
    assert any("was typed as 38" in text for text in warned)


def test_a_pet_whose_files_were_repaired_is_read_anew(front, load, database):
    ct, pet = load(PET_VARIANTS["not decay-corrected, five beds"])
    front.presenter.choose_inputs(ct, pet)
    assert len(set(front.presenter.report.conversion.factor)) == 5  # one a bed
    headers = [pydicom.dcmread(file) for file in database.files.values()]
    start = min(header.AcquisitionTime for header in headers if header.Modality == "PT")
    for header in headers:
        header.FrameOfReferenceUID = "1.2.3"
        if header.Modality == "PT":
            header.PatientWeight, header.AcquisitionTime, header.ActualFrameDuration = "152", start, "120000"
        header.save_as(header.filename)
    front.presenter.choose_inputs(ct, None)
    front.presenter.choose_inputs(ct, pet)
    assert any("with 152 kg" in text for text in texts(front))
    assert len(set(front.presenter.report.conversion.factor)) == 1
    assert front.presenter.desk.dicom.frame_of_reference(pet) == "1.2.3"


def test_a_scene_and_back_has_the_same_suv_though_values_were_typed(front, load, make_front, dicom, scene, tmp_path):
    ct, pet = load(FAULTY_PET_VARIANTS["weight missing"])
    front.presenter.choose_inputs(ct, pet)
    front.presenter.set_suv_field("weight_kg", 76.0)
    before = front.presenter.report.conversion
    assert before.factor > 0
    save_mrb(scene, tmp_path / "case.mrb")
    front.presenter.close()
    scene.Clear(False)
    load_mrb(scene, tmp_path / "case.mrb")
    again = make_front(dicom=dicom)
    again.presenter.restore()
    assert again.presenter.report.conversion == before


def test_a_scene_opened_where_the_files_are_not_has_the_same_suv(front, load, make_front, scene, tmp_path):
    ct, pet = load(PET_VARIANTS["not decay-corrected, five beds"])
    front.presenter.choose_inputs(ct, pet)
    front.presenter.keep_clinical()
    before = front.presenter.report.conversion
    assert len(before.factor) == 40
    save_mrb(scene, tmp_path / "case.mrb")
    front.presenter.close()
    scene.Clear(False)
    load_mrb(scene, tmp_path / "case.mrb")
    again = make_front()  # without a DICOM database
    again.presenter.restore()
    assert again.presenter.report.conversion == before
    assert any("DICOM header was read when this case was made" in line.text for line in again.state.inputs.lines)
    again.presenter.set_suv_field("weight_kg", 60.0)  # what the header said is not known any more
    assert again.presenter.report.pet_units == "unknown"
    again.presenter.set_suv_field("weight_kg", None)
    assert again.presenter.report.conversion == before


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda kept: kept["conversion"].update(factor=-1.0), id="by somebody"),
        pytest.param(lambda kept: kept.pop("of"), id="of nobody knows which PET"),
    ],
)
def test_a_kept_conversion_that_is_spoilt_is_not_used(front, load, make_front, scene, spoil):
    ct, pet = load()
    front.presenter.choose_inputs(ct, pet)
    front.presenter.keep_clinical()
    (record,) = records(scene)
    spoil(record.data.converted)
    record.save()
    front.presenter.close()
    again = make_front()
    again.presenter.choose_inputs(ct, pet)
    assert again.presenter.report.asks_for_suv
    assert again.presenter.report.conversion.factor is None


def test_what_the_header_of_a_deleted_pet_said_is_not_said_of_another(
    front, load, load_dicom, database, scene, tmp_path
):
    ct, pet = load()
    front.presenter.choose_inputs(ct, pet)
    front.presenter.keep_clinical()
    (record,) = records(scene)
    files = [database.files[uid] for uid in pet.GetAttribute("DICOM.instanceUIDs").split()]
    scene.RemoveNode(pet)
    for file in files:
        image = pydicom.dcmread(file)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        image.PatientWeight = 38.0
        image.save_as(file)
    other = load_dicom(files, "another PET")
    database.files.clear()  # it was loaded elsewhere
    front.presenter.choose_inputs(ct, other)
    assert front.presenter.record.node is record.node  # it takes the deleted one's place
    assert front.presenter.report.pet_units == "unknown"
    assert front.state.inputs.suv_fields[0].value is None


# --- one space for both ---------------------------------------------------------------------------------------


@pytest.fixture
def apart(load, database):
    """CT and PET of two sessions: each has a frame of reference of its own."""
    ct, pet = load()
    for uid in pet.GetAttribute("DICOM.instanceUIDs").split():
        image = pydicom.dcmread(database.files[uid])
        image.FrameOfReferenceUID = "1.2.3.4"
        image.save_as(database.files[uid])
    return ct, pet


def test_images_of_two_frames_of_reference_are_objected_to_and_can_be_used_all_the_same(front, apart, make_front):
    front.presenter.choose_inputs(*apart)
    assert not front.state.inputs.usable
    assert front.state.inputs.can_use_anyway
    assert any("CT and PET have different frames of reference, so that nothing says" in text for text in texts(front))
    front.presenter.use_anyway()
    assert front.state.inputs.usable
    assert any(text.endswith("if they were registered. Used anyway, as you said.") for text in texts(front))
    front.presenter.close()
    elsewhere = make_front()  # without a DICOM database
    elsewhere.presenter.choose_inputs(*apart)
    assert elsewhere.state.inputs.usable


def test_a_transform_between_two_frames_of_reference_is_enough(front, apart):
    move(apart[0])
    front.presenter.choose_inputs(*apart)
    assert front.state.inputs.usable
    apart[1].SetAndObserveTransformNodeID(apart[0].GetTransformNodeID())  # it moves both: nothing between them
    front.presenter._inputs.check()
    assert not front.presenter.report.usable


def test_an_image_made_in_slicer_has_no_frame_of_reference_to_object_to(front, apart):
    apart[1].SetAttribute("DICOM.instanceUIDs", None)
    front.presenter.choose_inputs(*apart)
    assert front.presenter.report.objection == ""


def test_two_patients_and_two_frames_of_reference_are_one_objection(front, apart, scene):
    place_in_study(scene, apart[1:], "JONES", "another study")
    front.presenter.choose_inputs(*apart)
    assert (
        "and they have different frames of reference: choose images of one patient." in front.presenter.report.objection
    )


# --- the case's name ----------------------------------------------------------------------------------------------


def test_neither_the_patients_name_nor_id_becomes_the_cases_name(with_mask, scene, tmp_path):
    assert with_mask.state.save.case_name == "Case"
    results = save(with_mask, tmp_path / "out")
    assert results["case_id"] == "Case"
    for file in (tmp_path / "out").rglob("*"):
        assert "SMITH" not in file.name
        assert b"SMITH" not in file.read_bytes()
    names = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLNode", scene) if n.GetAttribute(CASE_ATTRIBUTE)]
    assert names
    assert not any("SMITH" in name for name in names)
    assert "SMITH" not in with_mask.presenter.engine.log


def test_a_typed_name_goes_everywhere_and_results_stay_current(with_mask, scene, tmp_path):
    presenter = with_mask.presenter
    presenter.update_now()
    with_mask.settle()
    presenter.rename_case("  Trial   7 ")
    assert presenter.case_id == with_mask.state.save.case_name == "Trial 7"
    assert with_mask.state.results.current
    assert with_mask.state.results.chart_id  # found under its new name
    assert presenter.results["case_id"] == "Trial 7"
    owners = {n.GetAttribute(CASE_ATTRIBUTE) for n in slicer.util.getNodesByClass("vtkMRMLNode", scene)} - {None}
    assert owners == {"Trial 7"}
    assert save(with_mask, tmp_path / "out")["case_id"] == "Trial 7"


def test_two_cases_never_share_a_name(front, load, scene, tiny_patient):
    ct, pet = load()
    front.presenter.choose_inputs(ct, pet)
    front.presenter.rename_case("A")
    other = node_from_volume(tiny_patient.pet, scene, "another PET")
    front.presenter.choose_inputs(ct, other)
    front.presenter.keep_clinical()
    front.presenter.rename_case("A")
    assert front.presenter.case_id == "A (2)"
    front.presenter.rename_case(" ")
    assert front.presenter.case_id == "A (2)"


def test_a_name_is_not_changed_under_a_run(with_mask):
    with_mask.presenter.update_now()
    with_mask.presenter.rename_case("B")
    assert with_mask.state.message == "The case is being measured: give it another name once the numbers are there."
    assert with_mask.presenter.case_id == "Case"
    with_mask.settle()


def test_what_users_called_a_patient_or_an_image_names_the_case(scene, tiny_patient):
    ct = node_from_volume(tiny_patient.ct, scene, "CT head")
    assert case_name_of(ct) == "CT head"
    place_in_study(scene, (ct,), "Volunteer 3", "study")
    assert case_name_of(ct) == "Volunteer 3"
    ct.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    assert case_name_of(ct) == "Case"


def test_an_anonymised_export_has_a_name_that_dicom_allows_and_never_the_patients(load):
    ct, _pet = load()
    assert anonymous_name("Case (2)", ct) == "Case 2"
    assert anonymous_name("Müller/7", ct) == "Muller7"
    assert anonymous_name("(?)", ct) == "Case"
    assert anonymous_name(PERSON.patient_id, ct) == "Case"  # the name of a case of earlier versions
    assert len(anonymous_name("x" * 80, ct)) == 64


# --- results as DICOM ---------------------------------------------------------------------------------------------


def objects_in(folder) -> dict:
    return {ds.Modality: ds for ds in map(pydicom.dcmread, folder.iterdir())}


def test_saved_as_dicom_too(with_mask, tmp_path):
    assert with_mask.state.save.no_dicom == ""
    save(with_mask, tmp_path / "out", with_dicom=True)
    assert with_mask.state.save.text == f"Saved to {tmp_path / 'out'}, as DICOM in its folder dicom"
    objects = objects_in(tmp_path / "out" / "dicom")
    assert set(objects) == {"SEG", "RTSTRUCT", "SR"}
    assert {str(one.PatientID) for one in objects.values()} == {PERSON.patient_id}
    save(with_mask, tmp_path / "again", with_dicom=True, anonymise=True)
    anonymous = objects_in(tmp_path / "again" / "dicom")
    assert {str(one.PatientID) for one in anonymous.values()} == {"Case"}
    assert not {str(one.StudyInstanceUID) for one in anonymous.values()} & {
        str(one.StudyInstanceUID) for one in objects.values()
    }


def test_what_is_left_of_an_earlier_save_is_said(with_mask, tmp_path):
    def saved(**how) -> str:
        with_mask.presenter.save(str(tmp_path / "out"), **how)
        with_mask.until(lambda: not with_mask.presenter.running)
        return with_mask.state.message

    assert saved(with_dicom=True, with_scene=True) == ""
    left = ", ".join(f"dicom/{name}" for name in ("segmentation.dcm", "rtstruct.dcm", "report.dcm"))
    assert saved(with_scene=True).startswith(f"{tmp_path / 'out'}: {left} are of an earlier result, not of this one")
    assert saved(with_dicom=True).startswith(f"{tmp_path / 'out'}: scene.mrb is of an earlier result")


def test_without_the_choice_there_is_no_dicom(with_mask, tmp_path):
    save(with_mask, tmp_path / "out")
    assert not (tmp_path / "out" / "dicom").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda ct, database: ct.SetAttribute("DICOM.instanceUIDs", None), "the CT was not loaded from the DICOM data"),
        (
            lambda ct, database: ct.SetAttribute(
                "DICOM.instanceUIDs", " ".join(ct.GetAttribute("DICOM.instanceUIDs").split()[1:])
            ),
            "the CT has 50 slices and its DICOM series 49 files: they must agree",
        ),
        (
            lambda ct, database: database.files.pop(ct.GetAttribute("DICOM.instanceUIDs").split()[3]),
            "1 of the 50 DICOM files of the CT are not in the DICOM database any more",
        ),
        (lambda ct, database: move(ct), "the CT lies under a transform"),
    ],
    ids=["no DICOM", "files and slices", "a file is gone", "moved"],
)
def test_why_dicom_is_not_possible_is_said(front, load, database, spoil, said):
    ct, pet = load()
    spoil(ct, database)
    front.presenter.choose_inputs(ct, pet)
    assert front.state.save.no_dicom.startswith(said)


def move(ct) -> None:
    transform = ct.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = np.eye(4)
    matrix[0, 3] = 5.0
    transform.SetMatrixTransformToParent(vtk_matrix(matrix))
    ct.SetAndObserveTransformNodeID(transform.GetID())


def test_files_that_have_gone_since_are_said_and_nothing_is_written(with_mask, database, tmp_path):
    database.files.clear()
    with_mask.presenter.save(str(tmp_path / "out"), with_dicom=True)
    assert with_mask.state.message == (
        "Results cannot be written as DICOM: 50 of the 50 DICOM files of the CT are not in the DICOM database any more."
    )
    assert not (tmp_path / "out").exists()
    assert not with_mask.presenter.running


def test_without_a_ct_there_is_no_dicom(front):
    assert front.state.save.no_dicom == "there is no CT yet"
