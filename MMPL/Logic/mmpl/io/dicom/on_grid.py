"""Which image of a series each slice of a volume is, where the volume was loaded by another program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmpl.dicom_source import DicomSource
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry
from mmpl.io.dicom.series import Series, list_series
from mmpl.io.dicom.slices import Slice
from mmpl.io.dicom.stack import UNEVEN_MM, UNEVEN_SHARE, stack


def images_in_slice_order(files: Sequence[Path], geometry: Geometry, name: str) -> tuple[Slice, ...]:
    """The images of a series in the order of a volume's slices, by where they lie along the volume's z axis.

    Parameters
    ----------
    files : one image a slice, in any order
    geometry : of the volume
    name : what it is, for messages: "the PET"

    Raises
    ------
    InputError
        If there is not one image a slice, all of one series.
    GeometryError
        If the images are no stack, or do not lie where the volume's slices are.
    """
    return _in_order(_one_series(files, geometry, name), geometry, name)


def source_on_grid(files: Sequence[Path], geometry: Geometry, name: str) -> DicomSource:
    """Where a volume came from, for exports: slice k of the volume is the image of file k, voxel by voxel.

    Raises
    ------
    InputError
        As :func:`images_in_slice_order`, and for an object of many frames.
    GeometryError
        If the volume's voxels are not where the images' are: it was moved, resampled or cropped.
    """
    series = _one_series(files, geometry, name)
    images = _in_order(series, geometry, name)
    if not all(_is_plane(one, geometry, k) for k, one in enumerate(images)):
        raise GeometryError(
            f"{name} is not where its DICOM images are (it was moved, resampled or cropped): results as DICOM would "
            "refer to the wrong voxels; take the images as they were loaded"
        )
    return DicomSource(tuple(one.path for one in images), geometry, True, series.frame_of_reference)


def _one_series(files: Sequence[Path], geometry: Geometry, name: str) -> Series:
    slices = geometry.size[2]
    if len(files) != slices:
        raise InputError(f"{name} has {slices} slices and its DICOM series {len(files)} files: they must agree")
    found = list_series(files).series
    if len(found) != 1 or len(found[0].slices) != slices or any(one.frame is not None for one in found[0].slices):
        raise InputError(f"the DICOM files of {name} are not {slices} images of one series: load them again")
    return found[0]


def _in_order(series: Series, geometry: Geometry, name: str) -> tuple[Slice, ...]:
    images = stack(series.slices, name).slices
    if len(images) != geometry.size[2]:
        raise InputError(f"the DICOM files of {name} hold {len(images)} different slices: load them again")
    axis = np.asarray(geometry.direction)[:, 2]
    along = (np.array([one.position for one in images]) - geometry.origin_mm) @ axis
    if along[0] > along[-1]:
        images, along = images[::-1], along[::-1]
    apart = np.abs(along - geometry.spacing_mm[2] * np.arange(len(images)))
    parallel = abs(np.dot(axis, images[0].axes[2])) > 1 - 1e-4
    if not parallel or apart.max() > geometry.spacing_mm[2] / 2:
        raise GeometryError(f"the slices of {name} do not lie where its DICOM images are: load it again")
    return images


def _is_plane(one: Slice, geometry: Geometry, k: int) -> bool:
    """Whether an image has the voxels of slice k, within what positions are rounded by."""
    row, column, _ = one.axes
    # three corners: by the first and the last alone, a plane and its transpose are the same
    corners = np.array([(0, 0), (one.columns - 1, 0), (one.columns - 1, one.rows - 1)])
    steps = corners * (one.spacing[1], one.spacing[0])
    images = np.asarray(one.position) + steps @ np.stack([row, column])
    gaps = images - geometry.physical(np.column_stack([corners, np.full(3, k)]))
    same = np.abs(gaps).max() <= max(UNEVEN_MM, UNEVEN_SHARE * geometry.spacing_mm[2])
    return bool(same) and (one.columns, one.rows) == tuple(geometry.size[:2])
