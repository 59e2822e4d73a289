"""Images and contours on their way to the worker and back: ``.npy`` files in the folder that both know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl.io.suv import Conversion
from mmpl_slicer.contours import Contours, contours_of_label_map
from mmpl_slicer.volumes import geometry_of_node

PART_BYTES = 4 << 20


@dataclass(frozen=True)
class CaseSource:
    """The images that a case is made of, as they are now.

    Attributes
    ----------
    case_id : name of the case
    ct, pet : vtkMRMLScalarVolumeNode
    conversion : what a header or typed values make of the PET; None where the engine judges or ``pet_units`` says
    pet_units : units to state, None to let the engine judge
    """

    case_id: str
    ct: object
    pet: object
    conversion: Conversion | None = None
    pet_units: str | None = None

    @property
    def fingerprint(self) -> tuple:
        """Changes whenever the worker's copy would be out of date."""
        images = tuple((n.GetID(), n.GetImageData().GetMTime(), repr(geometry_of_node(n))) for n in (self.ct, self.pet))
        return (self.case_id, images, self.conversion, self.pet_units)


def contours_name(number: int) -> str:
    return f"contours-{number}.npy"


def read_contours_file(folder: Path, told: dict, geometry: Geometry) -> Contours:
    """The contours that a worker's answer names.

    Raises
    ------
    InputError
        If they are not on this grid or cannot be read.
    """
    try:
        labels = np.load(folder / told["file"], allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"the worker's contours cannot be read: {error}") from error
    ends = np.add(told["start_zyx"], labels.shape)
    if np.any(np.greater(ends, geometry.shape)):
        raise InputError("the worker's contours lie on another grid than the CT: segment again")
    return contours_of_label_map(labels, told["start_zyx"])


def write_in_parts(path: Path, array: np.ndarray, part_bytes: int = PART_BYTES) -> Iterator[None]:
    """Write a ``.npy`` file a part at a time; the array is not copied as a whole."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        )
        rows = max(1, part_bytes // max(1, array[:1].nbytes)) if array.ndim else 1
        for first in range(0, len(array), rows):
            file.write(memoryview(np.ascontiguousarray(array[first : first + rows])).cast("B"))
            yield
