"""Structures of an RTSTRUCT on an image: how large they are, in how many pieces, and whether they lie in the body."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmpl.boxes import bounding_box
from mmpl.components import connected
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.contours import Roi
from mmpl.io.dicom.rasterise import parts_on
from mmpl.io.dicom.rtstruct import check_frame_of_reference, read_structures
from mmpl.notices import STRUCTURES_INCOMPLETE, Notice
from mmpl.results import RESEARCH_USE, json_ready
from mmpl.segmentation.body import SKIN_HU

PET_SHARE_OF_MEAN = 0.25
BODY_RULES = {
    "CT": f"largest connected part above {SKIN_HU:g} HU, holes filled slice by slice",
    "PET": "largest connected part above a quarter of the mean of all voxels, holes filled slice by slice",
}
COLUMNS = ("structure", "contours, mL", "on the grid, mL", "parts", "in the body")


@dataclass(frozen=True)
class StructureFigures:
    """One structure on the image.

    Attributes
    ----------
    name : str
    contour_volume_ml : contour area times the thickness of each plane, whatever the grid; 0 without contours
    grid_volume_ml : of its voxels
    components : 26-connected parts of its voxels
    inside_body : share of its voxels that lie inside the body, 0 to 1; None without voxels
    """

    name: str
    contour_volume_ml: float
    grid_volume_ml: float
    components: int
    inside_body: float | None


@dataclass(frozen=True)
class StructuresOnImage:
    """All structures on one image.

    Attributes
    ----------
    kind : "CT" or "PET"
    body_rule : by what voxels count as body
    body_volume_ml : of the body on the image
    structures : in the file's order
    notices : what was left out or taken for granted
    """

    kind: str
    body_rule: str
    body_volume_ml: float
    structures: tuple[StructureFigures, ...]
    notices: tuple[Notice, ...]

    def as_dict(self) -> dict:
        """As JSON."""
        return json_ready({"notice": RESEARCH_USE, **dataclasses.asdict(self)})


def structures_on_image(
    rtstruct: str | Path,
    image: Volume,
    *,
    kind: str,
    image_frame_uid: str | None,
    ignore_frame_of_reference: bool = False,
) -> StructuresOnImage:
    """Lay the structures of an RTSTRUCT on an image.

    Parameters
    ----------
    rtstruct : the file
    image : Volume, CT in HU, or PET in any unit that is 0 in air
    kind : "CT" or "PET": how the body is found
    image_frame_uid : FrameOfReferenceUID of the image; None where it is unknown
    ignore_frame_of_reference : True where the user says that both share their coordinates

    Raises
    ------
    InputError
        If the file is no RTSTRUCT or holds no closed contour, or the image shows no body.
    GeometryError
        If the structures are in another frame of reference.
    """
    structures = read_structures(rtstruct)
    notices = check_frame_of_reference(structures, image_frame_uid, override=ignore_frame_of_reference)
    body = body_mask(image, kind)
    figures, more = [], []
    for roi in structures.rois:
        try:
            figures.append(figures_of(roi, image.geometry, body))
        except InputError as error:
            figures.append(StructureFigures(roi.name, 0.0, 0.0, 0, None))
            more.append(Notice(STRUCTURES_INCOMPLETE, f"Structure {roi.name!r} has no figures: {error}."))
    volume_ml = float(np.count_nonzero(body) * image.geometry.voxel_volume_ml)
    return StructuresOnImage(kind, BODY_RULES[kind], volume_ml, tuple(figures), (*structures.notices, *notices, *more))


def body_mask(image: Volume, kind: str) -> np.ndarray:
    """Where the patient is, by ``BODY_RULES``: bool array (z, y, x).

    Raises
    ------
    InputError
        If no voxel is above the threshold.
    """
    array = np.nan_to_num(image.array, nan=-np.inf)
    threshold = SKIN_HU if kind == "CT" else PET_SHARE_OF_MEAN * float(image.array[np.isfinite(image.array)].mean())
    labels, count = ndimage.label(array > threshold)
    if count == 0:
        raise InputError(f"the {kind} shows no body ({BODY_RULES[kind]}): look whether it is the image that is meant")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = labels == sizes.argmax()
    for plane in body:
        plane[...] = ndimage.binary_fill_holes(plane)
    return body


def figures_of(roi: Roi, geometry: Geometry, body: np.ndarray) -> StructureFigures:
    """Figures of one structure.

    Parameters
    ----------
    body : bool array (z, y, x) on ``geometry``
    """
    mask, contour_ml = np.zeros(geometry.shape, dtype=bool), 0.0
    for planes, near, part in parts_on(roi, geometry):
        mask[near] |= part
        contour_ml += planes.volume_ml
    box = bounding_box(mask)
    if box is None:
        return StructureFigures(roi.name, contour_ml, 0.0, 0, None)
    voxels = int(np.count_nonzero(mask))
    _, components = connected(mask[box])
    inside = np.count_nonzero(mask[box] & body[box]) / voxels
    return StructureFigures(roi.name, contour_ml, voxels * geometry.voxel_volume_ml, components, inside)


def table_text(found: StructuresOnImage) -> str:
    """A table for a terminal, then what must be known of it."""
    rows = [COLUMNS, *(_row(figures) for figures in found.structures)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    table = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    body = f"body: {found.body_rule}; {found.body_volume_ml / 1000:.1f} L on this {found.kind}"
    return "\n".join([*table, "", body, *(f"{n.code}: {n.text}" for n in found.notices), RESEARCH_USE])


def _row(figures: StructureFigures) -> tuple[str, ...]:
    inside = "-" if figures.inside_body is None else f"{100 * figures.inside_body:.1f} %"
    volumes = (f"{figures.contour_volume_ml:.1f}", f"{figures.grid_volume_ml:.1f}")
    return figures.name, *volumes, str(figures.components), inside
