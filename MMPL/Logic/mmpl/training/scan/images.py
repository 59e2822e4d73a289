"""The images of one patient: by their headers, or in full, as training will use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmpl.case import PET_SUV, Case
from mmpl.errors import GeometryError, InputError
from mmpl.file_names import check_spelling
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_case
from mmpl.io.images import read_label_map
from mmpl.io.native_stderr import captured_native_stderr
from mmpl.io.pet_units import why_not_suv
from mmpl.notices import PET_NOT_SUV
from mmpl.preprocess.grid import common_grid
from mmpl.preprocess.prepare import prepare
from mmpl.training.cache import lost_label_voxels
from mmpl.training.layout import CohortCase
from mmpl.training.scan.problems import Problem

LEAVE_OUT = "or leave the patient out"  # what to do else stands in the text


@dataclass(frozen=True)
class ImageCheck:
    """Looks at one patient's images; places are told from the cohort's folder."""

    case: CohortCase
    folder: Path

    def problem(self, code: str, path: Path, text: str, remedy: str = LEAVE_OUT) -> Problem:
        return Problem(code, self.case.patient_id, path.relative_to(self.folder).as_posix(), text, remedy)

    def headers(self) -> list[Problem]:
        """What sizes and positions tell; a few milliseconds a file."""
        case, problems = self.case, []
        ct, pet = (self._tried(problems, "IMAGE_UNREADABLE", p, header_geometry) for p in (case.ct_path, case.pt_path))
        label = None
        if case.label_path is not None:
            label = self._tried(problems, "LABEL_UNREADABLE", case.label_path, header_geometry)
        return problems + self._grids(ct, pet, label)

    def in_full(self) -> list[Problem]:
        """Everything that preparing the case will meet; seconds a patient."""
        case, problems = self.case, []
        read = self._tried(problems, "IMAGE_UNREADABLE", case.ct_path.parent, lambda _: _read(case))
        label = None
        if case.label_path is not None:
            label = self._label(problems)
        if read is None:
            return problems
        problems += self._grids(read.ct.geometry, read.pet.geometry, label.geometry if label else None)
        if read.pet_units != PET_SUV:
            text = f"the PET is not in SUV ({why_not_suv(read.pet.array)})"
            problems.append(self.problem("PET_NOT_SUV", case.pt_path, text, "convert it, or leave the patient out"))
        if any(p.code == "IMAGES_APART" for p in problems):
            return problems
        return problems + self._prepared(read, label)

    def _tried(self, problems: list[Problem], code: str, path: Path, read: Callable):
        """What ``read`` gives; None, and a problem, where it cannot."""
        try:
            return read(path)
        except InputError as error:
            problems.append(self.problem(code, path, str(error).replace(f"{self.folder}/", "")))
            return None

    def _label(self, problems: list[Problem]) -> Volume | None:
        path = self.case.label_path
        label = self._tried(problems, "LABEL_UNREADABLE", path, lambda p: read_label_map(p, what="label map"))
        if label is None and "holds the values" in problems[-1].text:
            last = problems.pop()
            problems.append(self.problem("LABEL_VALUES", path, last.text))
        if label is not None and not label.array.any():
            problems.append(self.problem("LABEL_EMPTY", path, "the label map is empty", "check that it is meant to be"))
        return label

    def _grids(self, ct: Geometry | None, pet: Geometry | None, label: Geometry | None) -> list[Problem]:
        problems = []
        if ct is not None and pet is not None:
            self._tried(problems, "IMAGES_APART", self.case.pt_path, lambda _: common_grid(ct, pet, case_id="images"))
        if ct is None or label is None or label.is_close(ct, tolerance_mm=0.1):
            return problems
        if _apart(ct, label):
            text = "the label map does not lie within the CT"
            return [*problems, self.problem("LABEL_APART", self.case.label_path, text)]
        text = (
            f"the label map has another grid ({_size(label)}) than the CT ({_size(ct)}); nearest neighbours are taken"
        )
        return [*problems, self.problem("LABEL_OTHER_GRID", self.case.label_path, text, "check that they fit")]

    def _prepared(self, read: Case, label: Volume | None) -> list[Problem]:
        roi = prepare(read)
        problems = [
            self.problem("IMAGE_UNUSUAL", self.case.ct_path, notice.text.rstrip("."), "look at the images")
            for notice in roi.notices
            if notice.code != PET_NOT_SUV
        ]
        lost = 0 if label is None else lost_label_voxels(label, roi)
        if lost:
            text = f"{lost} of {np.count_nonzero(label.array)} label voxels lie outside the region of interest"
            remedy = "look whether the head is in the PET's field of view; they are not trained on"
            problems.append(self.problem("LABEL_OUTSIDE_ROI", self.case.label_path, text, remedy))
        return problems


def _read(case: CohortCase) -> Case:
    return read_case(case.patient_id, case.ct_path, case.pt_path)


def header_geometry(path: Path) -> Geometry:
    """An image's grid without its voxels.

    Raises
    ------
    InputError
        If there is no header, or it is not that of a volume.
    """
    check_spelling(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or export it again")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with captured_native_stderr(f"reading the header of {path}"):
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path} is not a readable image: copy or export it again") from error
    size, dimension = reader.GetSize(), reader.GetDimension()
    if dimension not in (3, 4) or (dimension == 4 and size[3] != 1) or min(size[:3]) < 2:
        raise InputError(f"{path} is no volume ({' x '.join(map(str, size))}): give a single three-dimensional image")
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))[:3, :3]
    try:
        return Geometry(size[:3], reader.GetSpacing()[:3], reader.GetOrigin()[:3], direction)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from error


def _apart(first: Geometry, second: Geometry) -> bool:
    (low, high), (other_low, other_high) = first.bounds_lps(), second.bounds_lps()
    return bool(np.any(np.minimum(high, other_high) < np.maximum(low, other_low)))


def _size(geometry: Geometry) -> str:
    voxels, spacing = (" x ".join(f"{v:g}" for v in axes) for axes in (geometry.size, geometry.spacing_mm))
    return f"{voxels} voxels of {spacing} mm"
