"""A case saved as .mrb and opened in an empty scene."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import vtk

import slicer
from mmpl.errors import InputError, OutputError
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS
from mmpl_slicer.demo_scene import build_case_scene
from mmpl_slicer.results_nodes import results_from_scene, update_results_nodes
from mmpl_slicer.scene_io import load_mrb, save_mrb
from mmpl_slicer.segmentation import label_map_from_segmentation
from mmpl_slicer.subject_hierarchy import hierarchy_of, item_of
from mmpl_slicer.table_nodes import column_values
from mmpl_slicer.volumes import node_from_volume, pet_units_of_node, volume_from_node


def only(scene, class_name: str, name: str):
    found = [n for n in slicer.util.getNodesByClass(class_name, scene) if n.GetName() == name]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def reopened(scene, case, label_map, results, tmp_path):
    """The scene after a case was built, saved, closed and opened again."""
    build_case_scene(scene, case, label_map, results)
    path = save_mrb(scene, tmp_path / "case.mrb")
    scene.Clear(False)
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    load_mrb(scene, path)
    return scene


def test_images_come_back_with_voxels_geometry_display_and_units(reopened, case):
    for name, volume in (("CASE-1 CT", case.ct), ("CASE-1 PET", case.pet)):
        back = volume_from_node(only(reopened, "vtkMRMLScalarVolumeNode", name))
        assert np.abs(back.geometry.index_to_lps - volume.geometry.index_to_lps).max() < 1e-6
        np.testing.assert_array_equal(back.array, volume.array)
    ct = only(reopened, "vtkMRMLScalarVolumeNode", "CASE-1 CT")
    pet = only(reopened, "vtkMRMLScalarVolumeNode", "CASE-1 PET")
    assert ct.GetDisplayNode().GetWindow() == 350.0
    assert pet.GetDisplayNode().GetColorNode().GetName() == "PET-Heat"
    assert pet_units_of_node(pet) == "SUVbw"


def test_segments_come_back_with_names_colours_codes_and_voxels(reopened, label_map):
    node = only(reopened, "vtkMRMLSegmentationNode", "CASE-1 segmentation")
    assert list(node.GetSegmentation().GetSegmentIDs()) == ["GTVp", "GTVn"]
    for spec in SEGMENTS.values():
        segment = node.GetSegmentation().GetSegment(spec.id)
        terminology = vtk.mutable("")
        segment.GetTag("TerminologyEntry", terminology)
        assert segment.GetName() == spec.name
        np.testing.assert_allclose(segment.GetColor(), spec.color, atol=1e-5)
        assert str(terminology) == spec.terminology_tag
    ct = only(reopened, "vtkMRMLScalarVolumeNode", "CASE-1 CT")
    np.testing.assert_array_equal(label_map_from_segmentation(node, ct).array, label_map.array)


def test_tables_chart_and_results_come_back(reopened, results):
    lesions = only(reopened, "vtkMRMLTableNode", "MMPL lesions (CASE-1)")
    assert column_values(lesions, "Volume (mL)") == [9.2, 9.2, 3.05, 3.05]
    assert column_values(lesions, "Lesion") == ["GTVp", "GTVp 1", "GTVn", "GTVn 1"]
    chart = only(reopened, "vtkMRMLPlotChartNode", "RFS (CASE-1)")
    assert chart.GetXAxisTitle() == "Years since end of radiotherapy"
    series = chart.GetNthPlotSeriesNode(0)
    values = column_values(series.GetTableNode(), series.GetYColumnName())
    assert values[-1] == pytest.approx(1 - 220 / 365.25)
    assert results_from_scene(reopened, "CASE-1") == results


def test_results_of_a_reopened_scene_are_updated_in_place(reopened, make_results):
    count = reopened.GetNumberOfNodes()
    update_results_nodes(reopened, make_results(1.5))
    assert reopened.GetNumberOfNodes() == count
    assert results_from_scene(reopened, "CASE-1") == make_results(1.5)


def test_views_and_data_tree_come_back(reopened):
    ct = only(reopened, "vtkMRMLScalarVolumeNode", "CASE-1 CT")
    pet = only(reopened, "vtkMRMLScalarVolumeNode", "CASE-1 PET")
    for name in ("Red", "Green", "Yellow"):
        view = reopened.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
        assert (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()) == (ct.GetID(), pet.GetID())
    hierarchy = hierarchy_of(reopened)
    study = hierarchy.GetItemParent(item_of(reopened, ct))
    segmentation = only(reopened, "vtkMRMLSegmentationNode", "CASE-1 segmentation")
    assert hierarchy.GetItemName(study) == "FDG-PET/CT"
    assert hierarchy.GetItemName(hierarchy.GetItemParent(study)) == "CASE-1"
    assert hierarchy.GetItemParent(item_of(reopened, segmentation)) == study


def test_an_oblique_image_keeps_its_geometry(scene, tmp_path):
    turn = ((0.6, -0.8, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
    geometry = Geometry((5, 6, 7), (0.9765625, 1.3, 3.27), (-123.4, 56.789, 1012.5), turn)
    volume = Volume(np.arange(210, dtype=np.int16).reshape(geometry.shape), geometry)
    node_from_volume(volume, scene, "oblique")
    load_mrb(scene, save_mrb(scene, tmp_path / "oblique.mrb"))
    back = volume_from_node(only(scene, "vtkMRMLScalarVolumeNode", "oblique"))
    assert np.abs(back.geometry.index_to_lps - geometry.index_to_lps).max() < 1e-6
    np.testing.assert_array_equal(back.array, volume.array)


def test_saving_replaces_a_file_whole_and_leaves_nothing_else(scene, ct_volume, tmp_path):
    path = tmp_path / "made" / "case.mrb"
    save_mrb(scene, path)
    small = path.stat().st_size
    node_from_volume(ct_volume, scene, "CT")
    save_mrb(scene, path)
    assert path.stat().st_size > small
    assert zipfile.is_zipfile(path)
    assert [p.name for p in path.parent.iterdir()] == ["case.mrb"]


@pytest.fixture
def on_disk(scene, tmp_path):
    """A function that puts a node's data into a file of its own, as Slicer's Save does; gives the file."""

    def put(node, name: str):
        storage = scene.AddNode(node.CreateDefaultStorageNode())
        storage.SetFileName(str(tmp_path / name))
        node.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(node)
        return tmp_path / name

    return put


def unsaved(scene) -> list[str]:
    """Names of the nodes that Slicer's Save dialog would tick."""
    nodes = vtk.vtkCollection()
    scene.GetStorableNodesModifiedSinceRead(nodes)
    return [nodes.GetItemAsObject(n).GetName() for n in range(nodes.GetNumberOfItems())]


def test_edits_that_are_not_in_their_own_file_stay_unsaved(scene, on_disk, tmp_path):
    saved, edited = (scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("saved", "edited"))
    for node in (saved, edited):
        own = on_disk(node, f"{node.GetName()}.seg.nrrd")
    content = own.read_bytes()
    edited.GetSegmentation().AddEmptySegment("GTVp", "GTVp")
    scene.AddNewNodeByClass("vtkMRMLTableNode", "never saved")
    assert unsaved(scene) == ["edited", "never saved"]
    save_mrb(scene, tmp_path / "copy.mrb")
    assert unsaved(scene) == ["edited", "never saved"]
    assert scene.GetModifiedSinceRead()
    assert own.read_bytes() == content
    assert edited.GetStorageNode().GetFileName() == str(own)


def test_a_save_that_fails_leaves_edits_unsaved(scene, on_disk, tmp_path, monkeypatch):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "edited")
    on_disk(node, "edited.seg.nrrd")
    node.GetSegmentation().AddEmptySegment("GTVp", "GTVp")
    monkeypatch.setattr("mmpl_slicer.scene_io.os.replace", full_disk)
    with pytest.raises(OutputError):
        save_mrb(scene, tmp_path / "copy.mrb")
    assert unsaved(scene) == ["edited"]


def test_file_names_stay_as_they_were(scene, on_disk, tmp_path):
    scene.SetURL(str(tmp_path / "mine.mrml"))
    scene.SetRootDirectory(str(tmp_path))
    hidden, new = (scene.AddNewNodeByClass("vtkMRMLTableNode", name) for name in ("hidden", "hidden, without a file"))
    own = on_disk(hidden, "hidden.tsv")
    for node in (hidden, new):
        node.SetHideFromEditors(True)
    for _ in range(2):
        save_mrb(scene, tmp_path / "copy.mrb")
        assert hidden.GetStorageNode().GetFileName() == str(own)
        assert not new.GetStorageNode().GetFileName()
    assert (scene.GetURL(), scene.GetRootDirectory()) == (str(tmp_path / "mine.mrml"), str(tmp_path))


def test_a_series_of_files_stays_listed(scene, on_disk, ct_volume, tmp_path):
    node = node_from_volume(ct_volume, scene, "CT")
    on_disk(node, "CT.nrrd")
    node.SetHideFromEditors(True)
    names = [str(tmp_path / f"{n}.dcm") for n in range(3)]
    node.GetStorageNode().ResetFileNameList()
    for name in names:
        node.GetStorageNode().AddFileName(name)
    save_mrb(scene, tmp_path / "copy.mrb")
    storage = node.GetStorageNode()
    assert [storage.GetNthFileName(n) for n in range(storage.GetNumberOfFileNames())] == names


def full_disk(_source, _target):
    raise OSError(28, "No space left on device")


def test_a_save_that_fails_keeps_the_old_file(scene, tmp_path, monkeypatch):
    path = save_mrb(scene, tmp_path / "case.mrb")
    before = path.read_bytes()
    monkeypatch.setattr("mmpl_slicer.scene_io.os.replace", full_disk)
    with pytest.raises(OutputError, match=r"case\.mrb: No space left on device"):
        save_mrb(scene, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["case.mrb"]


def test_a_folder_that_cannot_be_made_is_named(scene, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written to"):
        save_mrb(scene, tmp_path / "file" / "case.mrb")


def test_another_ending_is_refused(scene, tmp_path):
    with pytest.raises(OutputError, match=r"must end in \.mrb"):
        save_mrb(scene, tmp_path / "case.zip")


def test_what_is_no_bundle_is_refused_and_the_scene_stays(scene, ct_volume, tmp_path):
    node = node_from_volume(ct_volume, scene, "CT")
    (tmp_path / "bad.mrb").write_text("not a zip")
    with pytest.raises(InputError, match="is not a Slicer scene bundle"):
        load_mrb(scene, tmp_path / "bad.mrb")
    with pytest.raises(InputError, match="does not exist"):
        load_mrb(scene, tmp_path / "absent.mrb")
    assert scene.IsNodePresent(node)
