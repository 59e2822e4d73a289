"""One DICOM image series from a folder, as stored (rescale slope and intercept applied)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmpl.errors import GeometryError, InputError
from mmpl.io.native_stderr import captured_native_stderr

IMAGE_POSITION = "0020|0032"
SLICE_GAP_LIMIT_MM = 0.1


def read_dicom_image(folder: Path, what: str) -> sitk.Image:
    """Read the only image series of a folder.

    Parameters
    ----------
    folder : the folder whose files are the slices
    what : what the image is, for messages

    Raises
    ------
    InputError
        If the folder holds no image series, several, or one that cannot be read.
    GeometryError
        If slices are missing or unevenly spaced.
    """
    series = image_series(folder)
    if not series:
        raise InputError(f"{what} {folder} holds no DICOM images: give the folder of one image series, or a file")
    if len(series) > 1:
        choices = "; ".join(f"{uid} ({len(files)} files)" for uid, files in sorted(series.items()))
        raise InputError(
            f"{what} {folder} holds {len(series)} DICOM image series: move the one you mean into a folder "
            f"of its own; found {choices}"
        )
    (files,) = series.values()
    if len(files) < 2:
        raise InputError(f"{what} {folder} is a single slice (one DICOM image): give the whole series")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    with captured_native_stderr(f"reading {folder}"):
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise InputError(
                f"{what} {folder} is not a readable DICOM series of {len(files)} slices: export it again"
            ) from error
    _check_even_spacing(reader, len(files), folder, what)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{what} {folder} holds colour images: give the folder of the {what} series")
    return image


def image_series(folder: Path) -> dict[str, list[str]]:
    """Slices in spatial order by series instance UID (more than one geometry counts as more than one)."""
    with captured_native_stderr(f"listing {folder}"):
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        return {uid: list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in uids}


def _check_even_spacing(reader: sitk.ImageSeriesReader, count: int, folder: Path, what: str) -> None:
    """ITK takes the mean step for granted; a missing slice would shift everything beyond it."""
    positions = np.array([_floats(reader.GetMetaData(i, IMAGE_POSITION)) for i in range(count)])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    deviation = float(np.abs(steps - np.median(steps)).max())
    if deviation > SLICE_GAP_LIMIT_MM:
        raise GeometryError(
            f"{what} {folder}: slices are missing or unevenly spaced (steps of {steps.min():.2f} to "
            f"{steps.max():.2f} mm); export the whole series"
        )


def _floats(text: str) -> list[float]:
    return [float(part) for part in text.split("\\")]
