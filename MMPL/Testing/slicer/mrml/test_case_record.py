"""What a scene remembers of a case, saved and read back."""

from __future__ import annotations

import pytest

import slicer
from mmpl_slicer.case_record import (
    CT,
    PET,
    SEGMENTATION,
    CaseData,
    CaseRecord,
    add_record,
    find_orphan,
    find_record,
    records,
    unique_case_id,
)
from mmpl_slicer.results_nodes import RESULTS_ROLE, keep_results, results_from_scene
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.separate_cases import separate_cases
from mmpl_slicer.volumes import node_from_volume

DATA = CaseData(
    clinical={"Age": 61, "Primary Site": None},
    what_if={"Age": 62.5},
    hpv_as_known=True,
    suv={"weight_kg": 80.0, "decay_min": None},
    grids={"ct": {"size": [2, 3, 4], "origin_mm": [0.1, -2.5, 1 / 3]}},
    used_anyway="The CT is of patient 'Ä \"1\"; <b> & c:d', %20\n",
    measured="ab12",
    model_digests={1: "x", 2: ""},
    model_name="demo",
    model_basis="cd34",
    deep_is_current=False,
    deep_is_new=False,
    turn=3,
)


@pytest.fixture
def images(scene, ct_volume, pet_volume):
    return (
        scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT"),
        scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET"),
    )


def test_data_comes_back_from_json():
    assert CaseData.from_json(DATA.to_json()) == DATA


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "null", '{"clinical": 3, "turn": "x", "hpv_as_known": 1}'])
def test_damaged_data_counts_as_absent(text):
    assert CaseData.from_json(text) == CaseData()


def test_what_a_later_version_added_is_left_out():
    assert CaseData.from_json('{"version": 9, "clinical": {"Age": 61}, "new": 1}') == CaseData(clinical={"Age": 61})


def test_what_is_tried_comes_before_the_record():
    assert DATA.clinical_in_force == {"Age": 62.5, "Primary Site": None}


def test_a_record_survives_a_scene_bundle(scene, images, tmp_path):
    record = add_record(scene, *images, 'Müller; "A" <1>', DATA)
    save_mrb(scene, tmp_path / "case.mrb")
    load_mrb(scene, tmp_path / "case.mrb")
    (again,) = records(scene)
    assert again.node is not record.node
    assert again.case_id == 'Müller; "A" <1>'
    assert again.data == DATA
    assert [again.get(role).GetName() for role in (CT, PET)] == ["CT", "PET"]
    assert again.get(SEGMENTATION) is None


def test_a_case_is_found_by_its_images(scene, images):
    ct, pet = images
    record = add_record(scene, ct, pet, "A")
    assert find_record(scene, ct, pet).node is record.node
    assert find_record(scene, pet, ct) is None
    assert find_orphan(scene, ct, pet) is None


@pytest.mark.parametrize("lost", [0, 1], ids=["CT", "PET"])
def test_a_case_that_has_lost_an_image_is_found_by_one_that_lies_there(scene, ct_volume, pet_volume, lost):
    volumes = ct_volume, pet_volume
    nodes = [node_from_volume(volume, scene, "image") for volume in volumes]
    grids = {name: volume.geometry.to_dict() for name, volume in zip(("ct", "pet"), volumes, strict=True)}
    record = add_record(scene, *nodes, "A", CaseData(grids=grids))
    scene.RemoveNode(nodes[lost])
    again, other = (node_from_volume(volumes[n], scene, "another") for n in (lost, 1 - lost))
    pair, wrong = ([node, nodes[1]] if lost == 0 else [nodes[0], node] for node in (again, other))
    assert find_record(scene, *pair) is None
    assert find_orphan(scene, *pair).node is record.node
    assert find_orphan(scene, *wrong) is None
    assert find_orphan(scene, again, again) is None


@pytest.mark.parametrize("grid", [None, "x", {}, {"size": [1], "spacing_mm": 2, "origin_mm": [0], "direction": [1]}])
def test_a_grid_that_is_unknown_or_damaged_is_no_ones(ct_volume, grid):
    data = CaseData(grids={} if grid is None else {"ct": grid})
    assert not data.lay_on("ct", ct_volume.geometry)


def test_names_are_unique(scene, images):
    ct, pet = images
    assert [add_record(scene, ct, pet, "A").case_id for _ in range(3)] == ["A", "A (2)", "A (3)"]
    assert unique_case_id("B", {"A"}) == "B"


def test_the_case_chosen_last_has_the_highest_turn(scene, images):
    first, second = add_record(scene, *images, "A"), add_record(scene, *images, "B")
    assert first.data.turn < second.data.turn
    first = CaseRecord(first.node)
    first.take_turn(scene)
    assert [record.data.turn for record in records(scene)] == [3, 2]
    first.take_turn(scene)
    assert first.data.turn == 3


def test_results_are_sealed(scene, results):
    node = keep_results(scene, results)
    assert results_from_scene(scene, "CASE-1") == results
    node.SetText(node.GetText().replace("\n", "\r\n"))  # what a text file may go through
    assert results_from_scene(scene, "CASE-1") == results
    node.SetText(node.GetText().replace("0.731", "0.131"))
    assert results_from_scene(scene, "CASE-1") is None


@pytest.mark.parametrize("made_anew", [False, True])
def test_two_cases_of_one_name_are_told_apart_with_their_nodes(scene, images, results, made_anew):
    ours = add_record(scene, *images, "CASE-1")
    keep_results(scene, results)
    # as another scene brings them
    other_images = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("CT", "PET")]
    if not made_anew:
        add_record(scene, *other_images, "CASE-1").rename("CASE-1")
    text = scene.AddNewNodeByClass("vtkMRMLTextNode", "results.json")
    text.CopyContent(slicer.util.getNode("MMPL results.json*"))
    text.SetAttribute("MMPL.Role", RESULTS_ROLE)
    text.SetAttribute("MMPL.CaseId", "CASE-1")
    if made_anew:  # it was deleted there, and comes after the others
        add_record(scene, *other_images, "CASE-1").rename("CASE-1")
    separate_cases(scene)
    assert [record.case_id for record in records(scene)] == ["CASE-1", "CASE-1 (2)"]
    assert ours.case_id == "CASE-1"
    assert results_from_scene(scene, "CASE-1") == results
    assert results_from_scene(scene, "CASE-1 (2)") == {**results, "case_id": "CASE-1 (2)"}
