"""Small images on disk."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mmpl.geometry import Geometry, Volume

COS, SIN = np.cos(0.3), np.sin(0.3)


@pytest.fixture
def oblique_geometry():
    return Geometry((14, 12, 10), (1.5, 1.25, 3.0), (-10.0, 20.0, -300.0), ((COS, -SIN, 0), (SIN, COS, 0), (0, 0, 1)))


@pytest.fixture
def a_label_map(oblique_geometry):
    array = np.zeros(oblique_geometry.shape, np.uint8)
    array[2:4, 3:5, 4:9] = 1
    array[6:8, 7:9, 1:3] = 2
    return Volume(array, oblique_geometry)


@pytest.fixture
def noise():
    """Values that do not compress well, so that half a file is half the voxels."""
    return np.random.default_rng(0).integers(-1000, 1000, (20, 24, 28)).astype(np.int16)


@pytest.fixture
def noise_file(tmp_path, noise):
    """Writes the noise in a format, compressed or not, and returns the path."""

    def write(name: str, compressed: bool):
        path = tmp_path / name
        sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), compressed)
        return path

    return write


def _set_values(paths, **values) -> None:
    for path in paths:
        ds = pydicom.dcmread(path)
        for keyword, value in values.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
        ds.save_as(path)


@pytest.fixture(scope="session")
def every():
    """Sets values of DICOM files; None takes one out."""
    return _set_values
