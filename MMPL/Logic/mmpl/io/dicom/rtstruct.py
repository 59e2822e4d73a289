"""GTVp and GTVn from a DICOM RT Structure Set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmpl.case import GTVN, GTVP
from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.contours import Roi
from mmpl.io.dicom.frame_of_reference import check_frames
from mmpl.io.dicom.rasterise import corners_mm, parts_on, rasterise
from mmpl.io.dicom.structure_set import StructureSet, listed, read_structures
from mmpl.notices import MASK_OUTSIDE_CT, STRUCTURES_IGNORED, Notice, between_voxels
from mmpl.segments import NAMES_OF_CLASS

__all__ = ["StructureSet", "check_frame_of_reference", "rasterise", "read_rtstruct_label_map", "read_structures"]


def check_frame_of_reference(
    structures: StructureSet, image_frame_uid: str | None, *, override: bool
) -> tuple[Notice, ...]:
    """Refuse structures that are not in the image's frame of reference; with ``override`` a notice says so.

    Raises
    ------
    GeometryError
        See :func:`mmpl.io.dicom.frame_of_reference.check_frames`.
    """
    uids = structures.frame_of_reference_uids
    return check_frames(uids, image_frame_uid, what="the structure set", override=override)


def read_rtstruct_label_map(
    path: str | Path, geometry: Geometry, *, image_frame_uid: str | None, ignore_frame_of_reference: bool = False
) -> tuple[Volume, tuple[Notice, ...]]:
    """GTVp and GTVn of an RTSTRUCT on an image's grid.

    Structures are chosen by name, whatever the case: "GTVp" and "GTVn", with a space, "-" or "_" before the last
    letter, and with a number behind. All of one class are united; where the classes overlap, GTVp wins.

    Parameters
    ----------
    path : the RTSTRUCT
    geometry : grid of the image
    image_frame_uid : FrameOfReferenceUID of the image; None for an image that has none
    ignore_frame_of_reference : True where the user says that both share their coordinates

    Returns
    -------
    (Volume, notices) : uint8, 0 background, 1 GTVp, 2 GTVn

    Raises
    ------
    InputError
        If no structure has such a name, none of those has contours, or they lie outside the image.
    GeometryError
        If the structures are in another frame of reference.
    """
    name, structures = Path(path).name, read_structures(path)
    chosen = {label: _named(structures.rois, pattern) for label, pattern in NAMES_OF_CLASS.items()}
    ours = chosen[GTVP] + chosen[GTVN]
    _check_drawn(ours, structures, name)
    frames = tuple(dict.fromkeys(roi.frame_of_reference_uid for roi in ours if roi.contours))
    used = replace(structures, frame_of_reference_uids=frames)
    notices = check_frame_of_reference(used, image_frame_uid, override=ignore_frame_of_reference)
    array, between = np.zeros(geometry.shape, dtype=np.uint8), []
    for label in (GTVN, GTVP):
        for roi in chosen[label]:
            between += _draw(roi, label, array, geometry)
    if not array.any():
        raise InputError(
            f"RTSTRUCT {name}: GTVp and GTVn have no voxel on the image: look whether both are of one patient"
        )
    beyond = tuple(notice for roi in ours for notice in _beyond(roi, geometry))
    ignored = _ignored(len(structures.rois) - len(ours))
    return Volume(array, geometry), (*structures.notices, *notices, *beyond, *between, *ignored)


def _named(rois: Sequence[Roi], pattern: re.Pattern) -> list[Roi]:
    return [roi for roi in rois if pattern.fullmatch(roi.name)]


def _draw(roi: Roi, label: int, array: np.ndarray, geometry: Geometry) -> list[Notice]:
    """Write a structure's voxels; a notice when parts of it that lie in the image have none."""
    parts, lost_ml = 0, []
    for planes, box, part in parts_on(roi, geometry):
        parts += 1
        array[box][part] = label
        if not part.any() and geometry.holds(corners_mm(planes)).any():
            lost_ml.append(planes.volume_ml)
    if not lost_ml:
        return []
    lost = f"{len(lost_ml)} of {parts} parts of structure {roi.name!r} ({sum(lost_ml):.2g} mL)"
    return [between_voxels(lost)]


def _check_drawn(ours: list[Roi], structures: StructureSet, name: str) -> None:
    if not ours:
        raise InputError(
            f"RTSTRUCT {name} holds no structure named GTVp or GTVn: rename those that are meant; found "
            f"{listed(roi.name for roi in structures.rois)}"
        )
    if not any(roi.contours for roi in ours):
        raise InputError(
            f"RTSTRUCT {name}: {listed(roi.name for roi in ours)} without a closed contour: draw it or export it again"
        )


def _beyond(roi: Roi, geometry: Geometry) -> list[Notice]:
    """A notice when a structure's contours leave the image."""
    if not roi.contours:
        return []
    outside = ~geometry.holds(np.concatenate(roi.contours))
    if not outside.any():
        return []
    text = (
        f"Structure {roi.name!r}: {outside.mean():.0%} of its contour points lie outside the image; that part is lost."
    )
    return [Notice(MASK_OUTSIDE_CT, text)]


def _ignored(count: int) -> list[Notice]:
    if not count:
        return []
    structures = "One other structure is" if count == 1 else f"{count} other structures are"
    return [Notice(STRUCTURES_IGNORED, f"{structures} neither GTVp nor GTVn by name and not read.")]
