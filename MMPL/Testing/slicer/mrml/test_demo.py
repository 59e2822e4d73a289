"""``mmpl demo`` and ``--mrb`` through a real scene, with hand-made models."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np
import pytest
import SimpleITK as sitk

import slicer
from mmpl.case import PET_UNKNOWN, Case
from mmpl.cli import main
from mmpl.errors import MMPLError
from mmpl.geometry import Volume
from mmpl.io.case import read_case
from mmpl.io.images import read_label_map, read_volume
from mmpl.phantom import generate_patient
from mmpl.pipeline import assess
from mmpl.progress import silent
from mmpl.report.validate import validate_results
from mmpl_slicer import demo
from mmpl_slicer.demo import Correction, largest_lesion_lps, run_demo
from mmpl_slicer.demo_scene import build_case_scene
from mmpl_slicer.editing import SegmentEditor
from mmpl_slicer.results_nodes import results_from_scene
from mmpl_slicer.scene_io import load_mrb
from mmpl_slicer.scene_plugin import write_scene
from mmpl_slicer.segmentation import label_map_from_segmentation
from mmpl_slicer.table_nodes import column_values
from mmpl_slicer.volumes import volume_from_node

FILES = {"mask.nii.gz", "segmentation.seg.nrrd", "results.json", "features.csv", "report.html"}
PICTURES = {"axial.png", "coronal.png", "sagittal.png", "surfaces.png", "rfs.png"}


@dataclass(frozen=True)
class SmallPhantom:
    """As much of a phantom patient as the demo uses."""

    patient_id: str
    ct: Volume
    pet: Volume
    label_map: Volume
    clinical: dict


@pytest.fixture(scope="module")
def small_phantom(tiny_patient) -> SmallPhantom:
    t = tiny_patient
    return SmallPhantom("TINY-1", t.ct, t.pet, t.label_map, {"Age": 61, "Gender": 1})


def only(scene, class_name: str, name: str):
    found = [n for n in slicer.util.getNodesByClass(class_name, scene) if n.GetName() == name]
    assert len(found) == 1
    return found[0]


def assert_holds_the_case(scene, case_id: str, ct: Volume, pet: Volume, label_map: Volume, results: dict) -> None:
    for name, volume in (("CT", ct), ("PET", pet)):
        back = volume_from_node(only(scene, "vtkMRMLScalarVolumeNode", f"{case_id} {name}"))
        assert np.abs(back.geometry.index_to_lps - volume.geometry.index_to_lps).max() < 1e-4
        np.testing.assert_array_equal(back.array, volume.array)
    segmentation = only(scene, "vtkMRMLSegmentationNode", f"{case_id} segmentation")
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == ["GTVp", "GTVn"]
    ct_node = only(scene, "vtkMRMLScalarVolumeNode", f"{case_id} CT")
    np.testing.assert_array_equal(label_map_from_segmentation(segmentation, ct_node).array, label_map.array)
    lesions = only(scene, "vtkMRMLTableNode", f"MMPL lesions ({case_id})")
    volumes = dict(zip(column_values(lesions, "Lesion"), column_values(lesions, "Volume (mL)"), strict=True))
    for name in ("GTVp", "GTVn"):
        assert volumes[name] == pytest.approx(results["lesions"][name]["volume_ml"], rel=1e-5)  # as CSV
    assert only(scene, "vtkMRMLTableNode", f"MMPL predictions ({case_id})").GetNumberOfRows() > 5
    chart = only(scene, "vtkMRMLPlotChartNode", f"RFS ({case_id})")
    assert "end of radiotherapy" in chart.GetXAxisTitle()
    assert results_from_scene(scene, case_id) == results


@pytest.fixture(scope="module")
def demo_run(small_phantom, tiny_bundle_path, tmp_path_factory, session_scene):
    """``mmpl demo`` on the tiny patient, through the command line: its output folder and the editor's strokes."""
    out = tmp_path_factory.mktemp("demo") / "out"
    strokes = []

    class Watched(SegmentEditor):
        def apply_labelmap(self, segment_id, mask, **options):
            before = self.mask(segment_id)
            super().apply_labelmap(segment_id, mask, **options)
            strokes.append((segment_id, options.get("mode"), before, mask, self.mask(segment_id)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SegmentEditor", Watched)
        patch.setattr(demo, "generate_patient", lambda _seed, _index: small_phantom)
        assert main(["demo", "--out", str(out), "--bundle", str(tiny_bundle_path)]) == 0
    return out, strokes


def test_the_demo_writes_everything_it_promises(demo_run):
    out, _ = demo_run
    assert {p.name for p in out.iterdir()} == FILES | {"scene.mrb", "model", "input", "pictures"}
    assert {p.name for p in (out / "model").iterdir()} == FILES
    assert {p.name for p in (out / "pictures").iterdir()} == PICTURES
    assert {p.name.split("__")[-1] for p in (out / "input").iterdir()} == {"CT.nii.gz", "PT.nii.gz", "ehr.json"}
    for folder in (out, out / "model"):
        validate_results(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def test_the_demos_pictures_show_something(demo_run):
    out, _ = demo_run
    for name in PICTURES:
        data = (out / "pictures" / name).read_bytes()
        assert struct.unpack(">II", data[16:24]) >= (480, 480)
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(out / "pictures" / name))).std() > 5


def test_the_correction_went_through_the_segment_editor(demo_run):
    out, strokes = demo_run
    assert strokes
    for segment_id, mode, before, mask, after in strokes:
        expected = before & ~mask if mode == demo.REMOVE else before | mask
        np.testing.assert_array_equal(after, expected)
        assert (after != before).any(), segment_id
    drawn, corrected = (read_label_map(folder / "mask.nii.gz") for folder in (out / "model", out))
    assert (drawn.array != corrected.array).any()


def test_the_correction_comes_closer_to_the_truth(demo_run, small_phantom):
    out, _ = demo_run
    truth = small_phantom.label_map.array
    drawn, corrected = (read_label_map(folder / "mask.nii.gz").array for folder in (out / "model", out))
    for value in (1, 2):
        assert np.count_nonzero((corrected == value) != (truth == value)) < np.count_nonzero(
            (drawn == value) != (truth == value)
        )


def test_the_demos_numbers_are_those_of_the_corrected_mask(demo_run, tiny_ensemble):
    out, _ = demo_run
    files = sorted((out / "input").iterdir())
    record = json.loads((out / "input" / "ehr.json").read_text(encoding="utf-8"))
    case = read_case(files[0].name.split("__")[0], files[0], files[1], record)
    again = assess(case, read_label_map(out / "mask.nii.gz"), tiny_ensemble).results.as_dict()
    saved = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in again.items() if k != "timings_s"} == {k: v for k, v in saved.items() if k != "timings_s"}


def test_the_demos_scene_opens_again(demo_run, scene):
    out, _ = demo_run
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    load_mrb(scene, out / "scene.mrb")
    case_id = results["case_id"]
    ct, pet = (read_volume(out / "input" / f"{case_id}__{name}.nii.gz") for name in ("CT", "PT"))
    assert_holds_the_case(scene, case_id, ct, pet, read_label_map(out / "mask.nii.gz"), results)
    chart = only(scene, "vtkMRMLPlotChartNode", f"RFS ({case_id})")
    names = [chart.GetNthPlotSeriesNode(i).GetName() for i in range(chart.GetNumberOfPlotSeriesNodes())]
    assert {"Current contours", "Model's contours"} <= set(names)


def test_the_demos_patient_with_a_model_that_finds_nothing(blind_bundle_path, tmp_path, scene):
    summary = run_demo(tmp_path / "out", blind_bundle_path, silent)
    assert "not given (no lesion is contoured)" in summary
    model, corrected = (
        json.loads((tmp_path / "out" / p / "results.json").read_text(encoding="utf-8")) for p in ("model", ".")
    )
    assert model["hpv"]["probability"] is None
    assert corrected["hpv"]["probability"] is not None
    truth = generate_patient(demo.DEMO_SEED, demo.DEMO_INDEX).label_map.array
    found = read_label_map(tmp_path / "out" / "mask.nii.gz").array
    assert not found[truth == 0].any()
    for value in np.unique(truth[truth > 0]):
        assert np.count_nonzero((found == value) & (truth == value)) > 0.9 * np.count_nonzero(truth == value)
    assert {p.name for p in (tmp_path / "out" / "pictures").iterdir()} == PICTURES


def test_a_demo_that_fails_leaves_nothing(small_phantom, tiny_bundle_path, tmp_path, scene, monkeypatch):
    def fails(*_arguments):
        raise MMPLError("no picture")

    monkeypatch.setattr(demo, "generate_patient", lambda _seed, _index: small_phantom)
    monkeypatch.setattr(demo, "write_case_pictures", fails)
    with pytest.raises(MMPLError, match="no picture"):
        run_demo(tmp_path / "out", tiny_bundle_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_drawn_where_the_lesion_is(tiny_patient):
    centre = largest_lesion_lps(tiny_patient.label_map)
    np.testing.assert_allclose(centre, (12.0, -6.0, -25.0), atol=1.0)
    nothing = tiny_patient.label_map.with_array(np.zeros_like(tiny_patient.label_map.array))
    np.testing.assert_allclose(largest_lesion_lps(nothing), (0.0, 0.0, -0.5), atol=1e-9)


def test_a_correction_of_nothing_is_no_stroke(small_phantom, scene, tiny_ensemble, monkeypatch):
    case = Case("TINY-1", small_phantom.ct, small_phantom.pet)
    results = assess(case, small_phantom.label_map, tiny_ensemble).results.as_dict()
    nodes = build_case_scene(scene, case, small_phantom.label_map, results)
    monkeypatch.setattr(SegmentEditor, "apply_labelmap", lambda *_: pytest.fail("a stroke was made"))
    corrections = demo.correct_as_a_clinician(scene, nodes, small_phantom.label_map)
    assert corrections == (Correction("GTVp", 0.0, 0.0), Correction("GTVn", 0.0, 0.0))


def test_mrb_is_written_beside_the_other_files_and_opens(tiny_files, tiny_patient, tiny_bundle_path, tmp_path, scene):
    arguments = {"ct": tiny_files["ct"], "pt": tiny_files["pt"], "bundle": tiny_bundle_path, "out": tmp_path / "out"}
    flags = [str(text) for name, value in arguments.items() for text in (f"--{name}", value)]
    assert main(["predict", "--mrb", *flags]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES | {"scene.mrb"}
    load_mrb(scene, tmp_path / "out" / "scene.mrb")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    mask = read_label_map(tmp_path / "out" / "mask.nii.gz")
    assert mask.array.any()
    assert_holds_the_case(scene, "TINY-1", tiny_patient.ct, tiny_patient.pet, mask, results)


def test_a_scene_without_a_lesion_or_units_is_written_too(tiny_patient, tiny_ensemble, tmp_path, scene):
    case = Case("TINY-1", tiny_patient.ct, tiny_patient.pet, pet_units=PET_UNKNOWN)
    nothing = tiny_patient.label_map.with_array(np.zeros_like(tiny_patient.label_map.array))
    outcome = assess(case, nothing, tiny_ensemble)
    write_scene(case, outcome, tmp_path / "scene.mrb")
    load_mrb(scene, tmp_path / "scene.mrb")
    results = json.loads(json.dumps(outcome.results.as_dict()))
    assert_holds_the_case(scene, "TINY-1", tiny_patient.ct, tiny_patient.pet, nothing, results)
