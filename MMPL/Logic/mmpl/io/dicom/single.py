"""Objects of one image: the slice that a header describes, and how its pixels are stored."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from mmpl.io.dicom.headers import PixelBytes, number, numbers, text, whole
from mmpl.io.dicom.pet_header import header_values
from mmpl.io.dicom.slices import PixelFormat, Slice


def slice_of(dataset: Dataset, path: Path, pixels: PixelBytes | None, is_pet: bool) -> Slice | str:
    """The slice; what is wrong with it in its place."""
    place = place_of(dataset, dataset, dataset, what="images")
    if isinstance(place, str):
        return place
    position, orientation, spacing = place
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if not rows or not columns:
        return "images without a size"
    return Slice(
        path=path,
        position=position,
        orientation=orientation,
        spacing=spacing,
        rows=rows,
        columns=columns,
        slope=number(dataset, "RescaleSlope"),
        intercept=number(dataset, "RescaleIntercept"),
        pixels=pixel_format(dataset, pixels, rows * columns),
        header=header_values(dataset) if is_pet else {},
        thickness_mm=number(dataset, "SliceThickness") or None,
    )


def place_of(
    of_position: Dataset, of_orientation: Dataset, of_spacing: Dataset, *, what: str
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | str:
    """Position, orientation and pixel spacing of an image or frame; what is wrong with them in their place."""
    position = numbers(of_position, "ImagePositionPatient", 3)
    orientation = numbers(of_orientation, "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        return f"{what} without a position or orientation"
    spacing = numbers(of_spacing, "PixelSpacing", 2)
    if spacing is None or min(spacing) <= 0:
        return f"{what} without a pixel spacing"
    return position, orientation, spacing


def pixel_format(dataset: Dataset, pixels: PixelBytes | None, count: int) -> PixelFormat:
    """How the pixels are stored.

    Parameters
    ----------
    pixels : size of the pixel data, None where nobody can say
    count : pixels that the object should have
    """
    allocated = whole(dataset, "BitsAllocated")
    plain = pixels is not None and pixels.length is not None
    over = pixels.length - count * (whole(dataset, "SamplesPerPixel") or 1) * (allocated or 0) // 8 if plain else 0
    return PixelFormat(
        allocated,
        whole(dataset, "BitsStored"),
        whole(dataset, "HighBit"),
        whole(dataset, "PixelRepresentation"),
        whole(dataset, "SamplesPerPixel"),
        text(dataset, "PhotometricInterpretation").upper(),
        plain=plain,
        frame=None if pixels is None else pixels.frame,
        cut=(pixels is not None and pixels.cut) or over < 0,
        spare=over > 1,  # an odd length is padded by one byte
    )
