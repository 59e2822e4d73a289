"""What headers say of stored pixels, before they are believed: format, length, rescale slope and intercept."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.uid import RLELossless

from mmpl.errors import InputError
from mmpl.io.dicom.codestream import rle_segments
from mmpl.io.dicom.headers import UNREADABLE, whole
from mmpl.io.dicom.slices import PixelFormat, Slice


def check_stored(slices: Sequence[Slice], name: str, kind: str) -> None:
    """Refuse what cannot be read rightly.

    Raises
    ------
    InputError
        If files are cut short, in colour, in an impossible pixel format, or without a usable rescale slope.
    """
    files = {one.path: one.pixels for one in slices}
    short = sum(pixels.cut for pixels in files.values())
    if short:
        raise InputError(f"{name}: {short} of {len(files)} files are cut short: copy or export the series again")
    if any(pixels.coloured for pixels in files.values()):
        raise InputError(f"{name} holds colour images: give the series of the images themselves")
    if any(pixels.photometric == "MONOCHROME1" for pixels in files.values()):  # readers do not agree on its values
        raise InputError(f"{name}: images have inverted grey values (MONOCHROME1): export the series as MONOCHROME2")
    if not all(pixels.possible for pixels in files.values()):
        raise InputError(
            f"{name}: an image's pixel format (BitsAllocated, BitsStored, HighBit, PixelRepresentation, "
            "SamplesPerPixel) is missing or cannot be: export the series again"
        )
    if any(frame and (frame.rows, frame.columns) != (one.rows, one.columns) for one, frame in _frames(slices)):
        raise InputError(f"{name}: compressed images are not of the size that Rows and Columns say: export it again")
    _check_rescale(slices, name, kind)


def _frames(slices: Sequence[Slice]):
    return [(one, one.pixels.frame) for one in slices]


def _check_rescale(slices: Sequence[Slice], name: str, kind: str) -> None:
    for one in slices:
        if one.slope is not None and one.slope <= 0:
            raise InputError(f"{name}: an image has the rescale slope {one.slope:g}: export the series again")
    if kind == "PET" and any(one.slope is None for one in slices):
        raise InputError(f"{name}: an image has no rescale slope (RescaleSlope): export the series again")
    for keyword, values in (
        ("slope (RescaleSlope)", [one.slope for one in slices]),
        ("intercept (RescaleIntercept)", [one.intercept for one in slices]),
    ):
        if len({value is None for value in values}) > 1:
            raise InputError(f"{name}: only some images have a rescale {keyword}: export the series again")


def remarks_on_stored(slices: Sequence[Slice], kind: str) -> list[str]:
    """Sentences about what can be read but should not be so."""
    found = []
    files = {one.path: one.pixels for one in slices}
    spare = sum(pixels.spare for pixels in files.values())
    if spare:
        found.append(f"{kind}: {spare} of {len(files)} files hold more pixels than their size (Rows, Columns) needs.")
    if len({pixels.key for pixels in files.values()}) > 1:
        found.append(f"{kind}: its images are not all stored in one pixel format: look whether all are shown alike.")
    if _rle_size_is_wrong(slices[len(slices) // 2]):
        found.append(f"{kind}: its compressed images (RLE) hold more pixels, or of more bits, than their header says.")
    over = sum(_bits_beyond(path, pixels) for path, pixels in files.items())
    if over:
        found.append(f"{kind}: in {over} of {len(files)} files, pixels have more bits than BitsStored says.")
    return found + (_of_pet(slices) if kind == "PET" else _of_ct(slices, kind))


def _of_pet(slices: Sequence[Slice]) -> list[str]:
    if any(one.intercept is None for one in slices):
        return ["PET: its images have no rescale intercept, which is taken for 0: check the export."]
    if all(one.intercept == 0 for one in slices):
        return []
    return ["PET: a rescale intercept is not 0, which a PET's must be: check the export."]


def _of_ct(slices: Sequence[Slice], kind: str) -> list[str]:
    lacking = [
        word for word, value in (("slope", slices[0].slope), ("intercept", slices[0].intercept)) if value is None
    ]
    if lacking:
        return [f"{kind}: its images have no rescale {' and '.join(lacking)}: look whether its values are HU."]
    if len({(one.slope, one.intercept) for one in slices}) > 1:
        return [f"{kind}: its images differ in rescale slope or intercept: look whether its values are HU everywhere."]
    return []


def _bits_beyond(path: Path, pixels: PixelFormat) -> bool:
    """Whether plainly stored pixels use bits above BitsStored, but for the sign."""
    if pixels.frame is not None:
        return pixels.frame.bits > pixels.stored
    if not pixels.plain or pixels.stored >= pixels.allocated:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            order = "<" if dataset.original_encoding[1] else ">"
            content = dataset.PixelData
    except UNREADABLE:
        return True
    size = pixels.allocated // 8
    words = np.frombuffer(content[: len(content) // size * size], f"{order}u{size}")
    return _uses_more(words, pixels)


def _uses_more(words: np.ndarray, pixels: PixelFormat) -> bool:
    """Whether unsigned words have bits above BitsStored that do not carry a sign on."""
    fine = words >> words.dtype.type(pixels.stored) == 0
    if pixels.representation == 1:
        signs = 2 ** (pixels.allocated - pixels.stored + 1) - 1
        fine |= words >> words.dtype.type(pixels.stored - 1) == signs
    return not fine.all()


def _rle_size_is_wrong(one: Slice) -> bool:
    """Whether an image compressed by run lengths, which has no header of its own, unpacks to something else."""
    if one.pixels.plain:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(one.path)
            if dataset.file_meta.TransferSyntaxUID != RLELossless:
                return False
            frames = whole(dataset, "NumberOfFrames") or 1
            segments = rle_segments(get_frame(dataset.PixelData, one.frame or 0, number_of_frames=frames))
    except UNREADABLE:
        return True
    count, size = one.rows * one.columns, one.pixels.allocated // 8
    if segments is None or len(segments) != size or any(len(s) not in (count, count + 1) for s in segments):
        return True  # a segment of odd length is padded
    words = np.stack([np.frombuffer(s[:count], np.uint8) for s in segments], axis=1).copy().view(f">u{size}")
    return one.pixels.stored < one.pixels.allocated and _uses_more(words.astype(f"u{size}"), one.pixels)
