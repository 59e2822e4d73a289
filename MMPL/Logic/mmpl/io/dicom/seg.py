"""Read a DICOM Segmentation as a label map, on the CT's grid where its frames lie on it, else on its own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.headers import UNREADABLE, functional_group, is_whole, number, numbers, sequence, text, whole
from mmpl.io.dicom.seg_grid import Frame, Plane, on_grid, on_own_grid
from mmpl.notices import SEG_FRACTIONAL, Notice
from mmpl.segments import SEGMENTS

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
HALF = 0.5
FRACTIONAL = Notice(
    SEG_FRACTIONAL, f"The segmentation is fractional: voxels of at least {HALF:g} were taken as part of a segment."
)


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
    label_map = on_grid(frames, plane, ct)
    if label_map is None:
        label_map = on_own_grid(frames, plane, name)
    notices = (FRACTIONAL,) if _is_fractional(ds) else ()
    return ReadSegmentation(label_map, text(ds, "FrameOfReferenceUID"), notices)


def _read(path: Path, name: str) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path)
            uid, complete = text(ds, "SOPClassUID"), is_whole(ds)
    except UNREADABLE as error:
        raise InputError(f"mask {name} cannot be read as DICOM: look whether the file is there and whole") from error
    if not complete:
        raise InputError(f"mask {name} ends too early, so parts are missing: copy or export it again")
    if uid not in (SEGMENTATION_STORAGE, LABEL_MAP_STORAGE):
        raise InputError(
            f"mask {name} is no DICOM Segmentation: give one, or an RT Structure Set or an image of labels"
        )
    return ds


def _labels(ds: Dataset, name: str) -> dict[int, int]:
    """Label by segment number."""
    segments = sequence(ds, "SegmentSequence")
    if not segments:
        raise InputError(f"mask {name} describes no segments: export it again")
    named = [(whole(segment, "SegmentNumber"), text(segment, "SegmentLabel")) for segment in segments]
    repeated = len({number for number, _ in named}) < len(named)
    if repeated or any(number is None for number, _ in named):
        raise InputError(f"mask {name} does not number each of its segments differently: export it again")
    named = [(number, label) for number, label in named if number != 0]  # 0: the background of a label map
    if not all(label for _, label in named):
        raise InputError(f'mask {name} has a segment without a name: name the segments "GTVp" and "GTVn"')
    numbers_of = {spec.name.lower(): label for label, spec in SEGMENTS.items()}
    unknown = [f'"{label}"' for _, label in named if label.lower() not in numbers_of]
    if unknown:
        raise InputError(
            f'mask {name} has segments named {", ".join(unknown)}: name the segments "GTVp" and "GTVn" and delete '
            "the others"
        )
    return {number: numbers_of[label.lower()] for number, label in named}


def _is_fractional(ds: Dataset) -> bool:
    return text(ds, "SegmentationType") == "FRACTIONAL"


def _full(ds: Dataset, name: str) -> float:
    """The value of a pixel that belongs to its segment as a whole."""
    if not _is_fractional(ds):
        return 1.0
    full = number(ds, "MaximumFractionalValue")
    if full is None or full <= 0:
        raise InputError(f"mask {name} is fractional and does not say its largest value: export it again as binary")
    return full


def _common_plane(ds: Dataset, name: str) -> Plane:
    frames, shape = sequence(ds, "PerFrameFunctionalGroupsSequence"), (whole(ds, "Rows"), whole(ds, "Columns"))
    if not frames or None in shape:
        raise InputError(f"mask {name} does not describe its frames: export it again")
    cosines = np.array([_values(ds, f, "PlaneOrientationSequence", "ImageOrientationPatient", 6, name) for f in frames])
    pixels = np.array([_values(ds, f, "PixelMeasuresSequence", "PixelSpacing", 2, name) for f in frames])
    if np.abs(cosines - cosines[0]).max() > 1e-4 or np.abs(pixels - pixels[0]).max() > 1e-4:
        raise GeometryError(f"mask {name} has frames of several directions or pixel sizes: export it as one volume")
    measures = _group(ds, frames[0], "PixelMeasuresSequence")
    return Plane(
        across=cosines[0, :3],
        down=cosines[0, 3:],
        spacing_mm=(pixels[0, 1], pixels[0, 0]),
        shape=shape,
        between_mm=number(measures, "SpacingBetweenSlices") or None,
        thickness_mm=number(measures, "SliceThickness") or None,
    )


def _group(ds: Dataset, frame: Dataset, keyword: str) -> Dataset:
    return functional_group(frame, sequence(ds, "SharedFunctionalGroupsSequence"), keyword)


def _values(ds: Dataset, frame: Dataset, group: str, keyword: str, count: int, name: str) -> tuple[float, ...]:
    found = numbers(_group(ds, frame, group), keyword, count)
    if found is None:
        raise GeometryError(f"mask {name} has no {keyword} for a frame: export it again with positions")
    return found


def _frames(ds: Dataset, labels: dict[int, int], name: str) -> list[Frame]:
    groups = sequence(ds, "PerFrameFunctionalGroupsSequence")
    pixels = _pixels(ds, name)
    if pixels.shape[0] != len(groups):
        raise InputError(f"mask {name} holds {pixels.shape[0]} frames and describes {len(groups)}: export it again")
    is_label_map, full = text(ds, "SOPClassUID") == LABEL_MAP_STORAGE, _full(ds, name)
    if is_label_map:
        _check_values(ds, pixels, labels, name)
    frames = []
    for group, image in zip(groups, pixels, strict=True):
        position = np.array(_values(ds, group, "PlanePositionSequence", "ImagePositionPatient", 3, name))
        if is_label_map:
            of_class = {label: [v for v, other in labels.items() if other == label] for label in labels.values()}
            masks = {label: np.isin(image, values) for label, values in of_class.items()}
        else:
            masks = {labels[_segment_of(ds, group, labels, name)]: image >= HALF * full}
        frames.append(Frame(position, masks))
    return frames


def _segment_of(ds: Dataset, frame: Dataset, labels: dict[int, int], name: str) -> int:
    found = whole(_group(ds, frame, "SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    if found is None:
        raise InputError(f"mask {name} has a frame that does not say its segment: export it again")
    if found not in labels:
        raise InputError(f"mask {name} has a frame of segment {found}, which it does not describe: export it again")
    return found


def _check_values(ds: Dataset, pixels: np.ndarray, labels: dict[int, int], name: str) -> None:
    """Refuse a label map with voxels of no segment; 0 and the padding value are background."""
    unknown = set(np.unique(pixels).tolist()) - {0, whole(ds, "PixelPaddingValue"), *labels}
    if unknown:
        raise InputError(
            f"mask {name} has voxels of segment {min(unknown)}, which it does not describe: export it again"
        )


def _pixels(ds: Dataset, name: str) -> np.ndarray:
    """Frames, shape (n, y, x)."""
    try:
        pixels = ds.pixel_array
    except (*UNREADABLE, RuntimeError) as error:
        raise InputError(f"mask {name} has no readable frames: export it again, uncompressed") from error
    return pixels[None] if pixels.ndim == 2 else pixels
