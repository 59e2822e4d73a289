"""What goes wrong with DICOM series, done to a folder of one that is sound.

Every function takes the slices' paths in position's order (as ``write_pet`` and ``write_ct`` return them), changes the
files of one slice in the middle and returns the paths concerned. ``FAULTS`` holds them by words for a table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

Paths = tuple[Path, ...]


def remove_slice(paths: Paths) -> Path:
    path = _middle(paths)
    path.unlink()
    return path


def duplicate_slice(paths: Paths) -> Path:
    """The very same object once more, in another file."""
    copy = _beside(_middle(paths), "copy")
    copy.write_bytes(_middle(paths).read_bytes())
    return copy


def duplicate_slice_other_uid(paths: Paths) -> Path:
    """The same pixels at the same position as another object, as an archive that renews UIDs leaves it."""
    ds = pydicom.dcmread(_middle(paths))
    _renew(ds, "1")
    return _save(ds, _beside(_middle(paths), "again"))


def contradict_slice(paths: Paths) -> Path:
    """Other pixels at the same position."""
    ds = pydicom.dcmread(_middle(paths))
    _renew(ds, "2")
    ds.PixelData = np.frombuffer(ds.PixelData, "<i2")[::-1].tobytes()
    return _save(ds, _beside(_middle(paths), "other"))


def space_unevenly(paths: Paths, shift: float = 0.4) -> Path:
    """One slice lies off its place by a share of the distance to the next."""
    ds = pydicom.dcmread(_middle(paths))
    after = pydicom.dcmread(paths[len(paths) // 2 + 1], stop_before_pixels=True)
    here, there = (np.array(d.ImagePositionPatient, float) for d in (ds, after))
    ds.ImagePositionPatient = [f"{p:.10g}" for p in here + shift * (there - here)]
    return _save(ds, _middle(paths))


def mix_sizes(paths: Paths) -> Path:
    """One slice has two rows less."""
    ds = pydicom.dcmread(_middle(paths))
    ds.PixelData = ds.PixelData[: -2 * 2 * ds.Columns]
    ds.Rows -= 2
    return _save(ds, _middle(paths))


def mix_pixel_spacings(paths: Paths) -> Path:
    ds = pydicom.dcmread(_middle(paths))
    ds.PixelSpacing = [f"{1.5 * s:.10g}" for s in ds.PixelSpacing]
    return _save(ds, _middle(paths))


def turn_slice(paths: Paths) -> Path:
    """One slice has its columns along the normal of the others."""
    ds = pydicom.dcmread(_middle(paths))
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    ds.ImageOrientationPatient = [f"{c:.10g}" for c in (*row, *np.cross(row, column))]
    return _save(ds, _middle(paths))


def add_localiser(paths: Paths) -> Path:
    """A scout view of another plane, size and kind in the same series."""
    ds = pydicom.dcmread(_middle(paths))
    _renew(ds, "3")
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    ds.ImageOrientationPatient = [f"{c:.10g}" for c in (*row, *np.cross(row, column))]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.Rows, ds.Columns = 9, 11
    ds.PixelData = np.arange(99, dtype="<i2").tobytes()
    ds.InstanceNumber = 9999
    return _save(ds, _beside(_middle(paths), "scout"))


def truncate_pixels(paths: Paths) -> Path:
    """The file ends in the middle of the pixels, as after a broken transfer."""
    path = _middle(paths)
    content = path.read_bytes()
    ds = pydicom.dcmread(path)
    path.write_bytes(content[: len(content) - len(ds.PixelData) // 2])
    return path


def remove_slope(paths: Paths) -> Path:
    ds = pydicom.dcmread(_middle(paths))
    del ds.RescaleSlope
    return _save(ds, _middle(paths))


def empty_file(paths: Paths) -> Path:
    """One slice's file is there, with nothing in it."""
    path = _middle(paths)
    path.write_bytes(b"")
    return path


def add_text_file(paths: Paths) -> Path:
    """A text whose name ends in .dcm lies beside the slices."""
    path = _beside(paths[0], "readme")
    path.write_text("Exported from the archive.\n", encoding="utf-8")
    return path


FAULTS = {
    "a slice is missing": remove_slice,
    "a slice is there twice": duplicate_slice,
    "a slice is there twice, under two UIDs": duplicate_slice_other_uid,
    "two slices contradict each other": contradict_slice,
    "spacing is uneven": space_unevenly,
    "sizes differ": mix_sizes,
    "pixel spacings differ": mix_pixel_spacings,
    "a slice has another orientation": turn_slice,
    "a localiser is in the series": add_localiser,
    "pixels are cut off": truncate_pixels,
    "a slope is missing": remove_slope,
    "a file is empty": empty_file,
    "a text is called .dcm": add_text_file,
}


def _middle(paths: Paths) -> Path:
    return Path(paths[len(paths) // 2])


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}.dcm")


def _renew(ds: Dataset, suffix: str) -> None:
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.{suffix}{ds.SOPInstanceUID[-20:]}"


def _save(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path
