"""Read a DICOM Segmentation as a label map, on the CT's grid where its frames lie on it, else on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mmpl.case import GTVN, GTVP
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.notices import SEG_FRACTIONAL, Notice
from mmpl.segments import SEGMENTS

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
HALF = 0.5
ON_GRID_VOXELS = 0.02  # how far a frame's corners may lie off the grid's voxels


@dataclass(frozen=True)
class ReadSegmentation:
    """A segmentation as read.

    Attributes
    ----------
    label_map : Volume, uint8, array (z, y, x): 0 background, 1 GTVp, 2 GTVn; on the CT's grid or on its own
    frame_of_reference_uid : the coordinates it is given in; must be the CT's. Empty where the file does not say.
    notices : what the reader should know
    """

    label_map: Volume
    frame_of_reference_uid: str
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class _Frame:
    """One plane: pixel (0, 0) in LPS mm, and the mask of each label in it."""

    position: np.ndarray
    masks: dict[int, np.ndarray]


@dataclass(frozen=True)
class _Plane:
    """What all frames have in common: axes of columns and rows in LPS, pixel sizes (x, y), shape (y, x)."""

    across: np.ndarray
    down: np.ndarray
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    between_mm: float | None

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.across, self.down)


def read_seg(path: str | Path, ct: Geometry) -> ReadSegmentation:
    """Read contours from a DICOM Segmentation: segments labelled "GTVp" and "GTVn", in any case of letters.

    Where the two overlap, GTVp wins. Planes without a frame are empty. Of a fractional segmentation, voxels of at
    least one half belong to the segment.

    Parameters
    ----------
    path : DICOM file, binary, fractional or label map segmentation
    ct : grid of the CT

    Returns
    -------
    ReadSegmentation; whether its frame of reference is the CT's is the caller's to check

    Raises
    ------
    InputError
        If it is no such file, is damaged, or a segment has another name.
    GeometryError
        If its frames are neither on the CT's grid nor on a regular one of their own.
    """
    name = Path(path).name
    ds = _read(Path(path), name)
    labels = _labels(ds, name)
    plane = _common_plane(ds, name)
    frames = _frames(ds, labels, name)
    label_map = _on_grid(frames, plane, ct)
    if label_map is None:
        label_map = _on_own_grid(frames, plane, name)
    notices = (_fractional(name),) if _is_fractional(ds) else ()
    return ReadSegmentation(label_map, str(ds.get("FrameOfReferenceUID") or ""), notices)


def _read(path: Path, name: str) -> Dataset:
    try:
        ds = pydicom.dcmread(path)
    except (OSError, InvalidDicomError) as error:
        raise InputError(f"mask {name} cannot be read as DICOM: look whether the file is there and whole") from error
    if ds.get("SOPClassUID") not in (SEGMENTATION_STORAGE, LABEL_MAP_STORAGE):
        raise InputError(
            f"mask {name} is no DICOM Segmentation: give one, or an RT Structure Set or an image of labels"
        )
    return ds


def _labels(ds: Dataset, name: str) -> dict[int, int]:
    """Label by segment number."""
    labels, unknown = {}, []
    for segment in ds.SegmentSequence:
        text = str(segment.get("SegmentLabel") or "")
        matches = [label for label, spec in SEGMENTS.items() if text.strip().lower() == spec.name.lower()]
        if matches:
            labels[int(segment.SegmentNumber)] = matches[0]
        elif int(segment.SegmentNumber) != 0:  # 0 may describe the background of a label map
            unknown.append(f'"{text}"')
    if unknown:
        raise InputError(
            f'mask {name} has segments named {", ".join(unknown)}: name the segments "GTVp" and "GTVn" and delete '
            "the others"
        )
    return labels


def _is_fractional(ds: Dataset) -> bool:
    return ds.get("SegmentationType") == "FRACTIONAL"


def _fractional(name: str) -> Notice:
    text = f"The segmentation {name} is fractional: voxels of at least {HALF:g} were taken as part of a segment."
    return Notice(SEG_FRACTIONAL, text)


def _common_plane(ds: Dataset, name: str) -> _Plane:
    frames = ds.PerFrameFunctionalGroupsSequence
    cosines = np.array([_values(ds, f, "PlaneOrientationSequence", "ImageOrientationPatient", name) for f in frames])
    pixels = np.array([_values(ds, f, "PixelMeasuresSequence", "PixelSpacing", name) for f in frames])
    if np.abs(cosines - cosines[0]).max() > 1e-4 or np.abs(pixels - pixels[0]).max() > 1e-4:
        raise GeometryError(f"mask {name} has frames of several directions or pixel sizes: export it as one volume")
    measures = _group(ds, frames[0], "PixelMeasuresSequence")
    between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return _Plane(
        across=cosines[0, :3],
        down=cosines[0, 3:],
        spacing_mm=(pixels[0, 1], pixels[0, 0]),
        shape=(int(ds.Rows), int(ds.Columns)),
        between_mm=float(between) if between else None,
    )


def _group(ds: Dataset, frame: Dataset, sequence: str) -> Dataset | None:
    """A functional group's item, the frame's own or the one that all share."""
    for holder in (frame, *ds.get("SharedFunctionalGroupsSequence", ())):
        if holder.get(sequence):
            return holder[sequence].value[0]
    return None


def _values(ds: Dataset, frame: Dataset, sequence: str, keyword: str, name: str) -> list[float]:
    item = _group(ds, frame, sequence)
    if item is None or not item.get(keyword):
        raise GeometryError(f"mask {name} has no {keyword} for a frame: export it again with positions")
    return [float(v) for v in item[keyword].value]


def _frames(ds: Dataset, labels: dict[int, int], name: str) -> list[_Frame]:
    groups = ds.PerFrameFunctionalGroupsSequence
    pixels = _pixels(ds, name)
    if pixels.shape[0] != len(groups):
        raise InputError(f"mask {name} holds {pixels.shape[0]} frames and describes {len(groups)}: export it again")
    full = float(ds.get("MaximumFractionalValue", 1)) if _is_fractional(ds) else 1.0
    frames = []
    for group, image in zip(groups, pixels, strict=True):
        position = np.array(_values(ds, group, "PlanePositionSequence", "ImagePositionPatient", name))
        if ds.SOPClassUID == LABEL_MAP_STORAGE:
            masks = {label: image == number for number, label in labels.items()}
        else:
            number = int(_group(ds, group, "SegmentIdentificationSequence").ReferencedSegmentNumber)
            masks = {labels[number]: image >= HALF * full}
        frames.append(_Frame(position, masks))
    return frames


def _pixels(ds: Dataset, name: str) -> np.ndarray:
    """Frames, shape (n, y, x)."""
    try:
        pixels = ds.pixel_array
    except (AttributeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"mask {name} has no readable frames: export it again, uncompressed") from error
    return pixels[None] if pixels.ndim == 2 else pixels


def _on_grid(frames: Sequence[_Frame], plane: _Plane, grid: Geometry) -> Volume | None:
    """The label map on a grid whose voxels the frames' pixels are; None where they are not.

    Frames may be smaller than the grid's slices; what they hold must lie inside it.
    """
    labels = np.zeros(grid.shape, np.uint8)
    places = [_place(frame.position, plane, grid) for frame in frames]
    if any(place is None for place in places):
        return None
    for label in (GTVN, GTVP):  # GTVp last: it wins
        for frame, (i, j, k) in zip(frames, places, strict=True):
            if label in frame.masks:
                labels[k, j : j + plane.shape[0], i : i + plane.shape[1]][frame.masks[label]] = label
    return Volume(labels, grid)


def _place(position: np.ndarray, plane: _Plane, grid: Geometry) -> np.ndarray | None:
    """Index (i, j, k) of a frame's first pixel, if its four corners are the voxels that they should be."""
    rows, columns = plane.shape
    x, y = plane.across * plane.spacing_mm[0], plane.down * plane.spacing_mm[1]
    steps = np.array([(0, 0, 0), (columns - 1, 0, 0), (0, rows - 1, 0), (columns - 1, rows - 1, 0)])
    corners = grid.index(position + steps[:, :1] * x + steps[:, 1:2] * y)
    first = np.round(corners[0]).astype(int)
    fits = np.abs(corners - (first + steps)).max() <= ON_GRID_VOXELS
    inside = (first >= 0).all() and (first + steps[3] < grid.size).all()
    return first if fits and inside else None


def _on_own_grid(frames: Sequence[_Frame], plane: _Plane, name: str) -> Volume:
    """The label map on the regular grid that the frames span."""
    positions = np.array([f.position for f in frames])
    heights = positions @ plane.normal
    between = _spacing(heights, plane.between_mm, name)
    lowest = int(np.argmin(heights))
    direction = np.column_stack([plane.across, plane.down, plane.normal])
    slices = int(np.round((heights.max() - heights.min()) / between)) + 1
    size = (plane.shape[1], plane.shape[0], slices)
    own = Geometry(size, (*plane.spacing_mm, between), positions[lowest], direction)
    label_map = _on_grid(frames, plane, own)
    if label_map is None:
        raise GeometryError(f"mask {name} has frames that are not on one regular grid: export it as one volume")
    return label_map


def _spacing(heights: np.ndarray, said_mm: float | None, name: str) -> float:
    """Distance of planes in mm: the smallest gap, or what the file says where all frames are of one plane."""
    gaps = np.diff(np.sort(heights))
    gaps = gaps[gaps > 1e-3]
    if len(gaps):
        return _smallest_step(gaps, said_mm)
    if said_mm is None:
        raise GeometryError(f"mask {name} has one plane and no slice thickness: export it as a volume")
    return said_mm


def _smallest_step(gaps: np.ndarray, said_mm: float | None) -> float:
    """What the file says where all gaps are multiples of it (planes left out), else the smallest gap."""
    if said_mm is not None:
        steps = np.maximum(np.round(gaps / said_mm), 1)
        if np.abs(gaps - steps * said_mm).max() < ON_GRID_VOXELS * said_mm:
            return float(gaps.sum() / steps.sum())
    return float(gaps.min())
