"""Label maps of a cohort: where they are, and a prediction on its truth's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.batch_folder import done_cases
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import IDENTITY, Geometry, Volume
from mmpl.io.images import IMAGE_SUFFIXES, read_label_map
from mmpl.resample import resample

MASK_OF_OUTPUT = "mask.nii.gz"
SUFFIXES = (".seg.nrrd", *sorted(IMAGE_SUFFIXES, key=len, reverse=True))
IMAGE_ENDINGS = ("__ct", "__pt", "__pet", "__ctplanning", "__rtdose")  # of a patient's images, in lower case
SAME_GRID_MM = 0.01
LAYOUTS = "PatientID.nii.gz, PatientID/mask.nii.gz or PatientID/PatientID.nii.gz"


@dataclass(frozen=True)
class LabelPair:
    """A patient's label maps on the truth's grid.

    Attributes
    ----------
    prediction, truth : uint8 arrays, shape (z, y, x): 0, 1 GTVp, 2 GTVn
    voxel_ml : volume of a voxel
    resampled : the prediction was on another grid
    outside_ml : volume of the prediction's contours that lies outside the truth's grid, in none of the arrays
    """

    prediction: np.ndarray
    truth: np.ndarray
    voxel_ml: float
    resampled: bool = False
    outside_ml: float = 0.0


def find_label_maps(folder: Path, *, what: str) -> dict[str, Path]:
    """Label map files by PatientID.

    Looks for ``PatientID.nii.gz`` (any format that is read), ``PatientID/mask.nii.gz`` as MMPL writes it, and
    ``PatientID/PatientID.nii.gz`` as HECKTOR has it; in the folder, or in its ``Task 1`` if there is one. Images beside
    them, ``PatientID__CT.nii.gz`` and the like, are passed over. Of a folder that ``mmpl batch`` wrote, the cases that
    its table calls done.

    Raises
    ------
    InputError
        If there is no such folder or no label map in it, or a patient has two.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{what} {folder} is no folder: give one that holds {LAYOUTS}")
    home = folder / "Task 1" if (folder / "Task 1").is_dir() else folder
    done = done_cases(home)
    found: dict[str, Path] = {}
    for entry in sorted(home.iterdir()):
        if done is not None and entry.name not in done:
            continue
        for path in _label_maps_of(entry):
            patient_id = entry.name if entry.is_dir() else _stem(entry.name)
            if patient_id in found:
                raise InputError(
                    f"{what} {folder}: patient '{patient_id}' has two label maps, "
                    f"{found[patient_id].relative_to(home)} and {path.relative_to(home)}; keep one"
                )
            found[patient_id] = path
    if not found:
        raise InputError(f"{what} {folder} holds no label map: expected {LAYOUTS}")
    return found


def _label_maps_of(entry: Path) -> list[Path]:
    if entry.name.startswith("."):
        return []
    if entry.is_dir():
        names = (MASK_OF_OUTPUT, *(entry.name + suffix for suffix in SUFFIXES))
        return [entry / name for name in names if (entry / name).is_file()]
    stem = _stem(entry.name)
    return [entry] if stem != entry.name and not stem.lower().endswith(IMAGE_ENDINGS) else []


def _stem(name: str) -> str:
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)]


def read_pair(patient_id: str, prediction: Path | None, truth: Path, *, resample_prediction: bool) -> LabelPair:
    """Read a patient's label maps.

    Parameters
    ----------
    patient_id : for messages
    prediction : file, or None for a patient whose prediction counts as empty
    truth : file
    resample_prediction : bring a prediction on another grid to the truth's, by nearest neighbour; what lies
        outside of it is left out and measured

    Raises
    ------
    GeometryError
        If the grids differ and ``resample_prediction`` is not asked for, or all that is predicted lies outside the
        truth's grid.
    InputError
        If a file is no label map; see ``read_label_map``.
    """
    true = read_label_map(truth, what=f"truth of {patient_id}")
    voxel_ml = true.geometry.voxel_volume_ml
    if prediction is None:
        return LabelPair(np.zeros_like(true.array), true.array, voxel_ml)
    predicted = read_label_map(prediction, what=f"prediction of {patient_id}")
    if predicted.geometry.is_close(true.geometry, SAME_GRID_MM):
        return LabelPair(predicted.array, true.array, voxel_ml)
    if not resample_prediction:
        raise GeometryError(
            f"patient {patient_id}: the prediction's grid ({_described(predicted.geometry)}) is not the truth's "
            f"({_described(true.geometry)}); give --resample to bring predictions to it"
        )
    moved: Volume = resample(predicted, true.geometry, method="nearest", fill=0)
    outside_ml = _outside_ml(patient_id, predicted, true.geometry)
    return LabelPair(moved.array, true.array, voxel_ml, resampled=True, outside_ml=outside_ml)


def _outside_ml(patient_id: str, predicted: Volume, grid: Geometry) -> float:
    """Volume of a prediction's voxels whose centres lie outside the truth's grid; refused where that is all of it."""
    found = predicted.trimmed()
    labelled = np.argwhere(found.array)[:, ::-1]  # (x, y, z)
    outside = ~grid.holds(found.geometry.physical(labelled))
    ml = int(outside.sum()) * predicted.geometry.voxel_volume_ml
    if outside.size and outside.all():
        raise GeometryError(
            f"patient {patient_id}: all that is predicted ({ml:.3f} mL) lies outside the truth's grid "
            f"({_described(grid)}), so none of it can be scored: check that both are of the same scan, or give a truth "
            "that covers the prediction"
        )
    return ml


def _described(grid: Geometry) -> str:
    size, spacing, origin = (
        " x ".join(f"{v:.6g}" for v in values) for values in (grid.size, grid.spacing_mm, grid.origin_mm)
    )
    turned = "" if np.allclose(grid.direction, IDENTITY, atol=1e-6) else ", turned axes"
    return f"{size} voxels of {spacing} mm from {origin.replace(' x ', ', ')} mm{turned}"
