"""``mmpl demo``: the whole story on a synthetic case, through a real Slicer scene.

Images in; contours drawn by the ensemble; the contour corrected as Slicer's Segment Editor does it; radiomics, HPV
probability and RFS recomputed from the correction; scene, masks, results and report out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.case import GTVN, GTVP, Case
from mmpl.cli import summary_of
from mmpl.earlier_files import SCENE
from mmpl.ensemble import Inference, load_ensemble
from mmpl.geometry import Volume, image_from_volume
from mmpl.io.case import read_case
from mmpl.io.output import OutputFolder, write_json_atomic
from mmpl.outputs import REPORT, write_files
from mmpl.phantom import PhantomPatient, generate_patient
from mmpl.pipeline import Outcome, PreparedCase, Stopwatch, draw_contours, measure, measure_drawing, prepare_case
from mmpl.progress import Progress
from mmpl.results import RESEARCH_USE
from mmpl.segments import SEGMENTS
from mmpl_slicer.bootstrap import start_scene
from mmpl_slicer.demo_scene import CaseNodes, build_case_scene
from mmpl_slicer.editing import REMOVE, SegmentEditor
from mmpl_slicer.pictures import write_case_pictures
from mmpl_slicer.results_nodes import update_results_nodes
from mmpl_slicer.scene_io import save_mrb
from mmpl_slicer.segmentation import label_map_from_segmentation

DEMO_SEED, DEMO_INDEX = 4242, 24  # a patient no bundle is trained or scored on
MODEL_FOLDER, INPUT_FOLDER, PICTURE_FOLDER = "model", "input", "pictures"


@dataclass(frozen=True)
class Correction:
    """What was changed by hand, for the summary: class name and volume painted and erased, mL."""

    name: str
    painted_ml: float
    erased_ml: float


def run_demo(out: Path, bundle: Path | None, progress: Progress) -> str:
    """Run the story into a folder and return a summary for the terminal.

    Parameters
    ----------
    out : folder; ``report.html``, ``results.json``, ``scene.mrb`` and the rest appear in it together
    bundle : model bundle, the bundled demo model by default

    Raises
    ------
    BundleError, OutputError
        As reading the bundle and writing the folder raise them.
    """
    progress("loading the model", 0.0)
    ensemble = load_ensemble(open_bundle(bundle or default_bundle_path()), Inference())
    with OutputFolder(out) as folder:
        progress("drawing a synthetic patient", 0.0)
        patient = generate_patient(DEMO_SEED, DEMO_INDEX)
        case = _through_files(patient, folder / INPUT_FOLDER)
        progress("preparing images", 0.0)
        watch = Stopwatch()
        prepared = prepare_case(case, ensemble, watch)
        drawing = draw_contours(prepared, ensemble, watch=watch, done=lambda f: progress("segmenting", f))
        model = measure_drawing(prepared, drawing, ensemble, watch=watch, progress=progress)

        progress("Slicer scene", 0.0)
        scene = start_scene()
        scene.Clear(0)
        nodes = build_case_scene(scene, case, model.label_map, model.results.as_dict())
        corrections = correct_as_a_clinician(scene, nodes, patient.label_map)
        corrected = _reassess(prepared, nodes, ensemble, progress)
        update_results_nodes(scene, corrected.results.as_dict(), model.results.as_dict())

        progress("writing scene, pictures and report", 0.0)
        (folder / MODEL_FOLDER).mkdir()
        write_files(folder / MODEL_FOLDER, case, model)
        write_files(folder, case, corrected, before=model)
        (folder / PICTURE_FOLDER).mkdir()
        write_case_pictures(scene, nodes, largest_lesion_lps(corrected.label_map), folder / PICTURE_FOLDER)
        save_mrb(scene, folder / SCENE)
        progress("writing scene, pictures and report", 1.0)
    return _summary(out, model, corrected, corrections)


def _through_files(patient: PhantomPatient, folder: Path) -> Case:
    """Write the images as NIfTI and read them back: the demo takes the road a user's files take."""
    folder.mkdir()
    paths = {name: folder / f"{patient.patient_id}__{name}.nii.gz" for name in ("CT", "PT")}
    for name, volume in (("CT", patient.ct), ("PT", patient.pet)):
        sitk.WriteImage(image_from_volume(volume), str(paths[name]), useCompression=True)
    record = {**patient.clinical, "Primary Site": "oropharynx"}
    write_json_atomic(folder / "ehr.json", record)
    return read_case(patient.patient_id, paths["CT"], paths["PT"], record)


def correct_as_a_clinician(scene, nodes: CaseNodes, truth: Volume) -> tuple[Correction, ...]:
    """Bring the contours closer to the truth with Segment Editor strokes, one class after the other.

    The clinician of this demo knows the phantom's true contours. They erase what lies more than a brush's
    imprecision outside the lesion and paint what the model missed.
    """
    editor = SegmentEditor(scene, nodes.segmentation, nodes.ct)
    millilitres = truth.geometry.voxel_volume_ml
    corrections = []
    for value in (GTVP, GTVN):
        spec = SEGMENTS[value]
        wanted = truth.array == value
        drawn = editor.mask(spec.id)
        paint = _strokes(wanted & ~drawn)
        erase = _strokes(drawn & ~wanted)
        if paint.any():
            editor.apply_labelmap(spec.id, paint)
        if erase.any():
            editor.apply_labelmap(spec.id, erase, mode=REMOVE)
        corrections.append(Correction(spec.name, paint.sum() * millilitres, erase.sum() * millilitres))
    return tuple(corrections)


def _strokes(mask: np.ndarray) -> np.ndarray:
    """What a brush of a few voxels would touch: thin rims are left alone."""
    return ndimage.binary_opening(mask, structure=np.ones((1, 2, 2)))


def _reassess(prepared: PreparedCase, nodes: CaseNodes, ensemble, progress: Progress) -> Outcome:
    """Read the edited segments out of the scene and measure them, from the images prepared before."""
    label_map = label_map_from_segmentation(nodes.segmentation, nodes.ct)
    label_map = Volume(label_map.array, prepared.roi.ct_geometry)
    return measure(prepared, label_map, ensemble, watch=Stopwatch(), progress=progress)


def largest_lesion_lps(label_map: Volume) -> np.ndarray:
    """Centre of GTVp, or of all there is, in LPS mm; the image's centre when there is nothing."""
    for mask in (label_map.array == GTVP, label_map.array > 0):
        if mask.any():
            return label_map.geometry.physical(np.argwhere(mask).mean(axis=0)[::-1])
    return label_map.geometry.physical((np.array(label_map.geometry.size) - 1) / 2)


def _summary(out: Path, model: Outcome, corrected: Outcome, corrections: tuple[Correction, ...]) -> str:
    changes = "; ".join(f"{c.name}: {c.painted_ml:.1f} mL painted, {c.erased_ml:.1f} mL erased" for c in corrections)
    lines = [
        "Model's contours:",
        *summary_of(model.results).splitlines()[:-1],
        f"Corrected in the Slicer scene ({changes}):",
        *summary_of(corrected.results).splitlines()[:-1],
        f"Report: {out / REPORT}",
        f"Slicer scene: {out / SCENE}",
        "Synthetic patient, model trained on synthetic patients.",
        RESEARCH_USE,
    ]
    return "\n".join(lines)
