"""Data sets onto disk: transfer syntax, file names, and an object that is no image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_encoder
from pydicom.uid import RawDataStorage

from mmpl.errors import InputError, OutputError
from mmpl.geometry import Volume
from mmpl.phantom.dicom.headers import Series, date_text, new_dataset, time_text
from mmpl.phantom.dicom.person import make_uid
from mmpl.phantom.dicom.storage import COMPRESSED, Storage

JPEG_2000_PIXELS = 32  # the encoder halves an image five times


def instance_numbers(slices: int, storage: Storage, series_uid: str) -> list[int]:
    """Instance Number of every slice, from 1; in position's order, or in a random one that follows from the UID."""
    numbers = np.arange(1, slices + 1)
    if storage.shuffled and slices > 1:
        rng = np.random.default_rng(int(series_uid.removeprefix("2.25.")))
        in_order = numbers.copy()
        while np.array_equal(numbers, in_order):
            rng.shuffle(numbers)
    return numbers.tolist()


def save_series(folder: Path, datasets: Iterable[Dataset], series: Series, storage: Storage) -> tuple[Path, ...]:
    """Write data sets as ``<modality><instance number>.dcm``, and the extra object if the storage has one.

    Returns
    -------
    tuple of the images' paths, in the order given

    Raises
    ------
    InputError
        If the encoder of the transfer syntax is missing.
    OutputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = tuple(_save(folder, ds, storage) for ds in datasets)
        if storage.extra_object:
            extra = _no_image(series)
            extra.save_as(folder / f"{series.modality}RAW.dcm", enforce_file_format=True)
    except OSError as error:
        raise OutputError(f"{folder}: the DICOM series cannot be written ({error}); check space and rights") from error
    return paths


def content_of(volume: Volume) -> str:
    """A digest of voxels and grid, for UIDs that change with what is in the files."""
    digest = hashlib.sha256(repr(volume.geometry).encode("utf-8"))
    digest.update(str(volume.array.dtype).encode("utf-8"))
    digest.update(np.ascontiguousarray(volume.array).tobytes())
    return digest.hexdigest()


def _save(folder: Path, ds: Dataset, storage: Storage) -> Path:
    path = folder / f"{ds.Modality}{ds.InstanceNumber:05d}.dcm"
    if storage.transfer_syntax in COMPRESSED:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        _compress(ds, storage)
    elif storage.transfer_syntax == "big endian":
        ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
    ds.file_meta.TransferSyntaxUID = storage.uid
    ds.save_as(path, enforce_file_format=True)
    return path


def _compress(ds: Dataset, storage: Storage) -> None:
    if storage.transfer_syntax == "JPEG 2000" and min(ds.Rows, ds.Columns) < JPEG_2000_PIXELS:
        raise InputError(
            f"slices of {ds.Columns} x {ds.Rows} pixels as JPEG 2000: its encoder needs {JPEG_2000_PIXELS} or more"
        )
    if not get_encoder(storage.uid).is_available:
        raise InputError(
            f"transfer syntax {storage.transfer_syntax}: pydicom has no encoder for it here; install pylibjpeg and "
            "pylibjpeg-openjpeg for JPEG 2000, pyjpegls for JPEG-LS"
        )
    ds.compress(storage.uid, generate_instance_uid=False)


def _no_image(series: Series) -> Dataset:
    """A raw data object of the same modality in a series of its own, as scanners export with their images."""
    raw = replace(
        series,
        sop_class=RawDataStorage,
        number=series.number + 100,
        description="Raw data",
        uid=make_uid("raw data", series.uid),
    )
    ds = new_dataset(raw, raw.instance_uid("raw"))
    ds.file_meta.TransferSyntaxUID = Storage().uid
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = date_text(series.began), time_text(series.began)
    ds.CreatorVersionUID = make_uid("raw data creator")
    ds.AcquisitionContextSequence = []
    return ds
