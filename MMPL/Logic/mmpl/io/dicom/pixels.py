"""Voxels of a stack of slices: values of each slice by its own rescale slope, on an even grid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from mmpl.errors import InputError
from mmpl.file_names import check_spelling
from mmpl.geometry import Geometry, Volume
from mmpl.io.dicom.headers import UNREADABLE
from mmpl.io.dicom.slices import Slice
from mmpl.io.dicom.stack import Stack
from mmpl.io.dicom.stored import check_stored
from mmpl.io.native_stderr import captured_native_stderr


def read_stack(stack: Stack, name: str, kind: str) -> Volume:
    """The volume, float32; with a tilted gantry, as if its slices lay above each other (see :func:`straightened`).

    Parameters
    ----------
    name : what it is, for messages
    kind : "CT" or "PET"

    Raises
    ------
    InputError
        If pixels are missing, damaged, in colour or in a compression that cannot be read, two different images lie
        in one place, or a file's name is no text.
    """
    check_stored(stack.slices, name, kind)
    _check_doubles(stack, name)
    array = (
        _multi_frame(stack.slices, name) if stack.slices[0].frame is not None else _single_frames(stack.slices, name)
    )
    return Volume(array, stack.geometry)


def _check_doubles(stack: Stack, name: str) -> None:
    """Copies of an image do no harm; two images of one place are of two times or reconstructions."""
    for one, other in stack.doubles:
        if one.frame is not None or not np.array_equal(_read([one], name), _read([other], name)):
            raise InputError(
                f"{name}: {len(stack.doubles)} images lie where another one does and differ from it (several times, "
                "gates or reconstructions in one series): export one of them"
            )


def _single_frames(slices: Sequence[Slice], name: str) -> np.ndarray:
    array = _read(slices, name)
    expected = (len(slices), slices[0].rows, slices[0].columns)
    if array.shape != expected:
        raise InputError(f"{name}: its pixels are not those of a stack of single-valued images; export it again")
    return array


def _read(slices: Sequence[Slice], name: str) -> np.ndarray:
    """By GDCM, which applies each file's own slope and intercept; the volume's type must hold them all."""
    for one in slices:
        check_spelling(one.path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(one.path) for one in slices])
    reader.SetOutputPixelType(sitk.sitkFloat32)
    with captured_native_stderr(f"reading {name}"):
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise InputError(
                f"{name} is not a readable DICOM series of {len(slices)} slices: "
                "pixels are missing, damaged or compressed in an unknown way; export it again"
            ) from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{name} holds colour images: give the series of the images themselves")
    return sitk.GetArrayFromImage(image)


def _multi_frame(slices: Sequence[Slice], name: str) -> np.ndarray:
    """By pydicom: GDCM knows one slope a file, an enhanced object one a frame."""
    import pydicom

    arrays = {}
    for path in {one.path for one in slices}:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arrays[path] = pydicom.dcmread(path).pixel_array
        except (*UNREADABLE, RuntimeError) as error:
            raise InputError(
                f"{name}: the pixels of a multi-frame object cannot be read (missing, damaged or compressed in an "
                "unknown way): export it again"
            ) from error
    frames = []
    for one in slices:
        stored = arrays[one.path]
        stored = stored[one.frame] if stored.ndim == 3 else stored
        if stored.shape != (one.rows, one.columns):
            raise InputError(f"{name}: its pixels are not those of a stack of single-valued images; export it again")
        frames.append(stored * (one.slope if one.slope is not None else 1.0) + (one.intercept or 0.0))
    return np.stack(frames).astype(np.float32)


def straightened(volume: Volume, shift_mm: tuple[float, float], outside: float) -> Volume:
    """A sheared stack on a grid of perpendicular axes that holds all of it; linear within each slice.

    Parameters
    ----------
    volume : slices as if they lay above each other
    shift_mm : (x, y) by which each slice is displaced from the one before
    outside : value of what no slice shows
    """
    g = volume.geometry
    steps = np.asarray(shift_mm) / g.spacing_mm[:2]
    count = g.size[2]
    ends = steps * (count - 1)
    start = np.floor(np.minimum(0.0, ends)).astype(int)
    size = np.array(g.size[:2]) + np.ceil(np.abs(ends)).astype(int)
    array = np.full((count, size[1], size[0]), np.float32(outside))
    for k in range(count):
        _place(array[k], volume.array[k], steps * k - start, outside)
    origin = g.physical((*start, 0))
    return Volume(array, Geometry((*size, count), g.spacing_mm, origin, g.direction))


def _place(target: np.ndarray, plane: np.ndarray, offset_xy: np.ndarray, outside: float) -> None:
    """Put a plane at a fractional offset into a larger one, linearly."""
    whole = np.floor(offset_xy + 1e-9).astype(int)
    fx, fy = offset_xy - whole
    padded = np.pad(plane.astype(np.float64), 1, constant_values=outside)
    moved = (1 - fx) * padded[:, 1:] + fx * padded[:, :-1]
    moved = (1 - fy) * moved[1:, :] + fy * moved[:-1, :]
    rows, columns = moved.shape
    y, x = whole[1], whole[0]
    rows, columns = min(rows, target.shape[0] - y), min(columns, target.shape[1] - x)
    target[y : y + rows, x : x + columns] = moved[:rows, :columns]
