"""Images and label maps from files, checked before anything is computed from them."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmpl.case import CLASS_NAMES, GTVN, GTVP
from mmpl.errors import GeometryError, InputError
from mmpl.file_names import check_spelling
from mmpl.geometry import Volume, geometry_of_image
from mmpl.io.integrity import check_stored_data
from mmpl.io.native_stderr import captured_native_stderr
from mmpl.notices import VOXELS_NOT_FINITE, Notice
from mmpl.segments import SEGMENTS

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or a DICOM folder"
COMPLEX_TYPES = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)
NOT_FINITE_LIMIT = 0.01
BACKGROUND = {"CT": -1024.0, "PET": 0.0}
SEGMENT_KEY = re.compile(r"Segment(\d{1,6})_")


def read_volume(path: str | Path, *, what: str = "CT") -> Volume:
    """Read a three-dimensional image.

    Parameters
    ----------
    path : NIfTI, NRRD or MetaImage file, or a DICOM folder that holds one image series
    what : what the image is ("CT", "PET", ...), for messages

    Returns
    -------
    Volume, float32, array (z, y, x)

    Raises
    ------
    InputError
        If there is no such image, or it is damaged, empty, not a volume or has several values a voxel.
    GeometryError
        If the header's spacing or direction is impossible.
    """
    path = Path(path)
    if is_dicom(path):
        return read_dicom(path, what).volume
    image = _read_image(path, what)
    return _volume(image, _float32_array(image), path, what)


def is_dicom(path: Path) -> bool:
    """True for a folder, and for a file that begins as a DICOM file does."""
    return path.is_dir() or is_dicom_file(path)


def is_dicom_file(path: Path) -> bool:
    """True for a file that begins as a DICOM file does."""
    if not path.is_file() or path.name.lower().endswith(IMAGE_SUFFIXES):
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path, what: str, wanted: str | None = None):
    """A series of a folder or multi-frame file as :class:`mmpl.io.dicom.read.DicomVolume`; PET where ``what`` is."""
    from mmpl.io.dicom.choose import choose  # pydicom takes its time
    from mmpl.io.dicom.read import read_series
    from mmpl.io.dicom.series import list_series

    series, notices = choose(list_series(path), "PET" if what == "PET" else "CT", str(path), wanted)
    read = read_series(series, f"{what} {path}")
    return replace(read, notices=(*notices, *read.notices))


def read_label_map(path: str | Path, *, what: str = "mask") -> Volume:
    """Read contours: 0 background, 1 GTVp, 2 GTVn.

    A segmentation saved by 3D Slicer (``.seg.nrrd``) is read by its segments' names, "GTVp" and "GTVn";
    where the two overlap, GTVp wins. Older versions of Slicer name neither layer nor value: there each segment has a
    layer of its own, and its voxels are 1.

    Parameters
    ----------
    path : NIfTI, NRRD or MetaImage file
    what : what the image is, for messages

    Returns
    -------
    Volume, uint8, array (z, y, x)

    Raises
    ------
    InputError
        As :func:`read_volume`, and if a voxel is not 0, 1 or 2, or a segment has another name or none, or is not in
        the file.
    GeometryError
        If the header's spacing or direction is impossible.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{what} {path} is a folder: give one label map file, NIfTI, NRRD or MetaImage")
    image = _read_image(path, what, several_values_allowed=path.name.lower().endswith(".seg.nrrd"))
    if any(SEGMENT_KEY.match(key) for key in image.GetMetaDataKeys()):
        return _volume(image, _labels_of_segments(image, path, what), path, what)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(_several_values(image, path, what))
    values = sitk.GetArrayViewFromImage(image)
    known = values == 0
    for label in CLASS_NAMES:
        known |= values == label
    if not known.all():
        raise InputError(
            f"{what} {path} holds the values {_listed(values[~known])}: only 0 (background), "
            "1 (GTVp) and 2 (GTVn) are understood; relabel it"
        )
    return _volume(image, values.astype(np.uint8), path, what)


def check_finite(volume: Volume, what: str) -> tuple[Volume, Notice | None]:
    """Replace a few NaN or infinite voxels by air; refuse an image with many.

    Parameters
    ----------
    volume : Volume, float
    what : "CT" (air is -1024 HU) or "PET" (air is 0)

    Returns
    -------
    (Volume, Notice or None) : the same volume when all its voxels are finite

    Raises
    ------
    InputError
        If 1 % of the voxels or more are not finite.
    """
    bad = ~np.isfinite(volume.array)
    count = int(np.count_nonzero(bad))
    if count == 0:
        return volume, None
    if count >= NOT_FINITE_LIMIT * bad.size:
        raise InputError(
            f"{what}: {count} of {bad.size} voxels are NaN or infinite, more than "
            f"{NOT_FINITE_LIMIT:.0%}; export the image again"
        )
    air = BACKGROUND[what]
    text = (
        f"{count} of {bad.size} {what} voxels were NaN or infinite and were set to {air:g}; "
        "look whether they lie near a lesion."
    )
    array = np.where(bad, np.float32(air), volume.array)
    return volume.with_array(array), Notice(VOXELS_NOT_FINITE, text)


def check_varies(volume: Volume, what: str) -> None:
    """Raise InputError when every voxel has the same value.

    Parameters
    ----------
    volume : Volume, finite
    what : "CT" or "PET"
    """
    low = volume.array.min()
    if low == volume.array.max():
        raise InputError(f"the {what} is constant: every voxel is {low:g}, so it shows nothing; check the export")


def _read_image(path: Path, what: str, *, several_values_allowed: bool = False) -> sitk.Image:
    """SimpleITK image with three axes of at least two voxels."""
    if not path.exists():
        raise InputError(f"{what} {path} does not exist: check the path")
    if not path.name.lower().endswith(IMAGE_SUFFIXES):
        raise InputError(f"{what} {path} is not an image MMPL reads: give {FORMATS}")
    try:
        image = _read_checked(path, what)
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror}") from error
    _check_header(image, path, what)
    if image.GetPixelID() in COMPLEX_TYPES:
        raise InputError(f"{what} {path} has complex values: give a plain scalar image")
    if image.GetNumberOfComponentsPerPixel() != 1 and not several_values_allowed:
        raise InputError(_several_values(image, path, what))
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    return image


def _read_checked(path: Path, what: str) -> sitk.Image:
    """Read while another thread checks that the file is whole: zlib lets go of the interpreter lock."""
    check_spelling(path)
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path} is empty (0 bytes): copy or export it again")
    with ThreadPoolExecutor(1) as pool, captured_native_stderr(f"reading {path}"):
        whole = pool.submit(check_stored_data, path, what)
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            whole.result()  # a truncated file says more than SimpleITK does
            raise _read_error(path, what, str(error)) from error
        return _with_nan(image, whole.result())


def _with_nan(image: sitk.Image, index: np.ndarray) -> sitk.Image:
    """Put NaN back where the NIfTI reader wrote 0 for a voxel that is not finite."""
    array = sitk.GetArrayViewFromImage(image)
    index = index[index < array.size]
    if not len(index) or image.GetNumberOfComponentsPerPixel() != 1 or array.dtype.kind != "f":
        return image
    array = sitk.GetArrayFromImage(image)
    array.flat[index] = np.nan
    mended = sitk.GetImageFromArray(array, isVector=False)
    mended.CopyInformation(image)
    return mended


def _read_error(path: Path, what: str, message: str) -> InputError:
    if "direction" in message or "spacing" in message or "orthonormal" in message:
        return GeometryError(
            f"{what} {path} has an impossible geometry in its header (its axes are not three perpendicular "
            "directions with a positive spacing); export it again without shear"
        )
    return InputError(f"{what} {path} is not a readable image: give {FORMATS}")


def _check_header(image: sitk.Image, path: Path, what: str) -> None:
    size = image.GetSize()
    if min(size) == 0:
        raise InputError(f"{what} {path} has no voxels (size {_times(size)}): export it again")
    if len(size) == 4 and size[3] != 1:
        raise InputError(f"{what} {path} has four dimensions ({_times(size)}): give a single three-dimensional frame")
    if len(size) not in (3, 4) or min(size[:3]) < 2:
        raise InputError(f"{what} {path} is a single slice ({_times(size)}): give the whole volume")


def _several_values(image: sitk.Image, path: Path, what: str) -> str:
    return (
        f"{what} {path} has {image.GetNumberOfComponentsPerPixel()} values a voxel (colour or vector): "
        "give a plain scalar image"
    )


def _volume(image: sitk.Image, array: np.ndarray, path: Path, what: str) -> Volume:
    try:
        return Volume(array, geometry_of_image(image))
    except GeometryError as error:
        raise GeometryError(f"{what} {path}: {error}") from error


def _float32_array(image: sitk.Image) -> np.ndarray:
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which check_finite reports
        return sitk.GetArrayViewFromImage(image).astype(np.float32)


def _labels_of_segments(image: sitk.Image, path: Path, what: str) -> np.ndarray:
    """Label map of a Slicer segmentation: segments share layers, told apart by their label value."""
    layers = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() == 1:
        layers = layers[..., None]
    masks = {label: np.zeros(layers.shape[:3], bool) for label in (GTVN, GTVP)}
    for name, layer, value in _segments(image, f"{what} {path}"):
        label = _label_of_name(name)
        if label is None:
            said = f'named "{name}"' if name else "without a name"
            raise InputError(
                f'{what} {path} has a segment {said}: name the segments "GTVp" and "GTVn" and delete the others'
            )
        masks[label] |= layers[..., layer] == value
    labels = np.zeros(layers.shape[:3], np.uint8)
    for label, mask in masks.items():  # GTVp last: it wins
        labels[mask] = label
    return labels


def _segments(image: sitk.Image, file: str) -> list[tuple[str, int, int]]:
    """Name ("" where there is none), layer and label value of each segment in a .seg.nrrd header."""
    tags = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if SEGMENT_KEY.match(key)}
    layers = image.GetNumberOfComponentsPerPixel()
    found = []
    for index in sorted({int(SEGMENT_KEY.match(key)[1]) for key in tags}):
        prefix = f"Segment{index}_"
        own_layer = "0" if layers == 1 and prefix + "LabelValue" in tags else str(index)
        layer = _whole(tags.get(prefix + "Layer", own_layer))
        value = _whole(tags.get(prefix + "LabelValue", "1"))
        if layer is None or layer >= layers or not value:
            raise InputError(
                f"{file} does not say which voxels its segment {index + 1} is (Layer and LabelValue must be whole "
                f"numbers, below {layers} and above 0): save it again with 3D Slicer"
            )
        found.append((tags.get(prefix + "Name", "").strip(), layer, value))
    if len({(layer, value) for _, layer, value in found}) < len(found):
        raise InputError(f"{file} has segments that are the same voxels: save it again with 3D Slicer")
    return found


def _whole(text: str) -> int | None:
    """A header's number without sign; None for anything else."""
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def _label_of_name(name: str) -> int | None:
    matches = (label for label, spec in SEGMENTS.items() if name.strip().lower() == spec.name.lower())
    return next(matches, None)


def _listed(values: np.ndarray, most: int = 8) -> str:
    found = sorted({float(v) for v in np.unique(values)}, key=lambda v: (math.isnan(v), v))
    shown = ", ".join(f"{v:g}" for v in found[:most])
    return shown + (f" and {len(found) - most} more" if len(found) > most else "")


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in size)
