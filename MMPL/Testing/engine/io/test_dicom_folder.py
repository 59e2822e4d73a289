from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.errors import GeometryError, InputError
from mmpl.io.images import read_volume


def write_series(folder, uid, array, positions):
    """One CT file for each slice of ``array`` at the given z positions (mm)."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, (plane, z) in enumerate(zip(array, positions, strict=True)):
        image = sitk.GetImageFromArray(plane[None].astype(np.int16))
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{number + 1}",
            "0020|000e": uid,
            "0020|000d": "1.2.3",
            "0020|0013": str(number),
            "0020|0032": f"-5\\-6\\{z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|1052": "-10",
            "0028|1053": "2",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        image.SetSpacing((1.5, 1.25, 1.0))
        writer.SetFileName(str(folder / f"{uid}-{number}.dcm"))
        writer.Execute(image)


@pytest.fixture
def slices():
    return np.random.default_rng(0).integers(0, 50, (5, 6, 7)) * 2


def test_one_series_is_read(tmp_path, slices):
    write_series(tmp_path, "1.2.3.4", slices, [0, 3, 6, 9, 12])
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, slices)
    assert volume.geometry.size == (7, 6, 5)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (1.5, 1.25, 3.0))
    np.testing.assert_allclose(volume.geometry.origin_mm[2], 0)


def test_two_series_are_named(tmp_path, slices):
    write_series(tmp_path, "1.2.3.4", slices, [0, 3, 6, 9, 12])
    write_series(tmp_path, "1.2.3.5", slices[:3], [0, 3, 6])
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path)
    assert "2 CT series: choose one with --ct-series NUMBER" in str(caught.value)
    assert "5 images of 7 x 6" in str(caught.value)
    assert "3 images of 7 x 6" in str(caught.value)


def test_missing_slice(tmp_path, slices):
    write_series(tmp_path, "1.2.3.4", slices, [0, 3, 9, 12, 15])
    with pytest.raises(GeometryError, match=r"steps of 3.00 to 6.00 mm"):
        read_volume(tmp_path)


def test_single_slice(tmp_path, slices):
    write_series(tmp_path, "1.2.3.4", slices[:1], [0])
    with pytest.raises(InputError, match="single slice"):
        read_volume(tmp_path)
