"""Arrays that pass between the processes."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.worker.arrays import read_label_map, read_volume, write_label_map, write_volume

TURNED = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


def test_a_volume_comes_back_as_it_was(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = Volume(array, Geometry((4, 3, 2), (0.9, 1.1, 3.0), (1, -2, 3), TURNED))
    back = read_volume(tmp_path, write_volume(tmp_path, "ct.npy", volume))
    np.testing.assert_array_equal(back.array, array)
    assert back.geometry == volume.geometry


def test_of_a_label_map_only_the_labelled_box_is_written(tmp_path):
    label_map = np.zeros((40, 50, 60), np.uint8)
    label_map[10:12, 20:25, 30:31] = 2
    message = write_label_map(tmp_path, "edit.npy", label_map)
    assert np.load(tmp_path / "edit.npy").shape == (2, 5, 1)
    np.testing.assert_array_equal(read_label_map(tmp_path, message, label_map.shape), label_map)


def test_an_empty_label_map_comes_back_empty(tmp_path):
    message = write_label_map(tmp_path, "edit.npy", np.zeros((4, 5, 6), np.uint8))
    assert not read_label_map(tmp_path, message, (4, 5, 6)).any()


def test_contours_of_another_grid_are_refused(tmp_path):
    label_map = np.zeros((9, 9, 9), np.uint8)
    label_map[7:9, 4, 4] = 1
    message = write_label_map(tmp_path, "edit.npy", label_map)
    with pytest.raises(InputError, match="leave the CT's grid"):
        read_label_map(tmp_path, message, (8, 9, 9))


@pytest.mark.parametrize("name", ["../ct.npy", "/etc/passwd", "missing.npy"])
def test_only_files_of_the_folder_are_read(tmp_path, name):
    np.save(tmp_path / "ct.npy", np.zeros((1, 1, 1)))
    (tmp_path / "inner").mkdir()
    with pytest.raises(InputError, match="array"):
        read_label_map(tmp_path / "inner", {"file": name, "start_zyx": [0, 0, 0]}, (4, 4, 4))


def test_a_pickle_is_not_read(tmp_path):
    np.save(tmp_path / "edit.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_label_map(tmp_path, {"file": "edit.npy", "start_zyx": [0]}, (4,))
