"""Cached arrays: the same preparation as inference, and what the ROI loses."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.case import RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_case
from mmpl.preprocess.network_grid import network_input
from mmpl.preprocess.prepare import prepare
from mmpl.training import cache as training_cache
from mmpl.training.cache import build_cache, cache_case, load_cached, lost_label_voxels
from mmpl.training.cohort import CohortCase

SPACING_MM = 10.0


@pytest.fixture(scope="module")
def on_disk(tiny_files):
    return CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], tiny_files["mask"], "1")


@pytest.fixture(scope="module")
def cached(on_disk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cached")
    cache_case(on_disk, folder / "TINY-1.npz", SPACING_MM)
    assert [p.name for p in folder.iterdir()] == ["TINY-1.npz"]  # no partial file stays
    return load_cached(folder / "TINY-1.npz")


def test_image_is_what_inference_sees(cached, tiny_files):
    roi = prepare(read_case("TINY-1", tiny_files["ct"], tiny_files["pt"]))
    expected = network_input(roi, SPACING_MM)
    assert cached.image.dtype == np.float16
    assert cached.image.shape == (2, 31, 20, 20)
    np.testing.assert_array_equal(cached.image, expected.astype(np.float16))


def test_labels_keep_their_volume(cached, tiny_patient):
    """The shares times the network voxel's volume are the contour's volume."""
    voxel_ml = tiny_patient.label_map.geometry.voxel_volume_ml
    for channel, value in enumerate((1, 2)):
        true_ml = np.count_nonzero(tiny_patient.label_map.array == value) * voxel_ml
        assert cached.label[channel].sum() / 255 * (SPACING_MM / 10) ** 3 == pytest.approx(true_ml, rel=0.03)
    assert cached.lost_voxels == 0


def test_a_case_without_contours_has_no_label(on_disk, tmp_path):
    bare = CohortCase("TINY-1", on_disk.ct_path, on_disk.pt_path, None, "1")
    cache_case(bare, tmp_path / "x.npz", SPACING_MM)
    assert load_cached(tmp_path / "x.npz").label is None


def test_lost_voxels_by_hand():
    ct = Geometry((10, 10, 10), (5, 5, 5), (0, 0, 0))
    roi_grid = Geometry((30, 30, 30), (1, 1, 1), (0, 0, 0))  # 0..29 mm: CT voxels 0..5
    pet = Volume(np.ones((1, 1, 1), np.float32), Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0)))
    empty = np.zeros(roi_grid.shape, np.float32)
    roi = RoiCase("c", empty, empty, roi_grid, (0, 0, 0), ct, pet, "SUVbw")
    labels = np.zeros(ct.shape, np.uint8)
    assert lost_label_voxels(Volume(labels, ct), roi) == 0
    labels[4, 4, 4:8] = 1  # x = 20, 25 inside; 30, 35 outside
    labels[9, 0, 0] = 2
    assert lost_label_voxels(Volume(labels, ct), roi) == 3


def test_cached_cases_are_not_prepared_again(on_disk, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(training_cache, "cache_case", lambda case, path, spacing: made.append(path.name))
    (tmp_path / "A.npz").touch()
    cases = [CohortCase(n, on_disk.ct_path, on_disk.pt_path, None, "1") for n in ("A", "B", "C")]
    told = []
    build_cache(cases, tmp_path, SPACING_MM, progress=lambda step, fraction: told.append((step, fraction)))
    assert made == ["B.npz", "C.npz"]
    assert told == [("preparing cases", 0.5), ("preparing cases", 1.0)]
