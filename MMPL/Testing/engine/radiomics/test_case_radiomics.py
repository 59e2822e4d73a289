"""Radiomics of a case whose contours change: filters once an ROI, and no pyradiomics needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mmpl.case import RoiCase
from mmpl.geometry import Geometry, Volume
from mmpl.radiomics.case_radiomics import CaseRadiomics
from mmpl.radiomics.extraction import extract_features, make_extractor
from mmpl.radiomics.feature_set import FeatureSet

GRID = Geometry((30, 28, 26), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


@pytest.fixture
def roi():
    rng = np.random.default_rng(5)
    ct = rng.normal(40, 60, GRID.shape).astype(np.float32)
    pet = rng.uniform(0, 8, GRID.shape).astype(np.float32)
    return RoiCase("case", ct, pet, GRID, (0.0, 0.0, 0.0), GRID, Volume(pet, GRID), "SUVbw")


@pytest.fixture
def label_map():
    label = np.zeros(GRID.shape, np.uint8)
    label[8:14, 8:15, 9:16] = 1
    label[16:20, 18:22, 4:9] = 2
    return label


class CountedExtractor:
    """The fast extractor, and how often it is asked for what."""

    def __init__(self):
        self.real = make_extractor("fast", FeatureSet.demo())
        self.feature_set = self.real.feature_set
        self.prepared = 0

    def prepare(self, *arguments, **settings):
        self.prepared += 1
        return self.real.prepare(*arguments, **settings)

    def __getattr__(self, name):
        return getattr(self.real, name)


def fresh(roi, label_map):
    masks = {"GTVp": label_map == 1, "GTVn": label_map == 2}
    return extract_features(roi.ct_hu, roi.pet_suv, roi.geometry, masks, FeatureSet.demo())


def test_edits_are_measured_on_images_filtered_once(roi, label_map):
    extractor = CountedExtractor()
    radiomics = CaseRadiomics(extractor)
    for size in (15, 16, 17):
        label_map[8:size, 8:15, 9:16] = 1
        assert radiomics.of(roi, label_map) == fresh(roi, label_map)
    assert extractor.prepared == 1
    # PET and CT, one LoG each, float32; the whole little ROI is the box
    assert radiomics.nbytes == 2 * 4 * roi.ct_hu.size


def test_another_roi_takes_the_first_ones_place(roi, label_map):
    extractor = CountedExtractor()
    radiomics = CaseRadiomics(extractor)
    radiomics.of(roi, label_map)
    other = replace(roi, pet_suv=roi.pet_suv + 1)
    assert radiomics.of(other, label_map) == fresh(other, label_map)
    assert extractor.prepared == 2
    assert radiomics.roi is other


def test_filters_can_run_ahead_of_the_contours(roi, label_map):
    radiomics = CaseRadiomics(make_extractor("fast", FeatureSet.demo()))
    radiomics.filter_around(roi, label_map)
    kept = radiomics.nbytes
    assert kept > 0
    assert radiomics.of(roi, label_map) == fresh(roi, label_map)
    assert radiomics.nbytes == kept


@pytest.mark.parametrize("name", ["fast", "pyradiomics"])
def test_progress_rises_to_one(name, roi, label_map):
    heard = []
    CaseRadiomics(make_extractor(name, FeatureSet.demo())).of(roi, label_map, done=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 3


WITHOUT_PYRADIOMICS = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("radiomics", "pywt"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
import numpy as np
import mmpl.pipeline, mmpl.cli
from mmpl.geometry import Geometry
from mmpl.radiomics.extraction import extract_features
from mmpl.radiomics.feature_set import FAMILIES, FeatureSet
stored = np.load(sys.argv[1])
grid = Geometry(stored["ct"].shape[::-1], (1, 1, 1), (0, 0, 0))
masks = {"GTVp": stored["label"] == 1, "GTVn": stored["label"] == 2}
values, _ = extract_features(stored["ct"], stored["pet"], grid, masks, FeatureSet(families=FAMILIES))
print(len(values), np.isfinite(list(values.values())).all())
"""


def test_neither_pyradiomics_nor_pywavelets_is_needed(roi, label_map, tmp_path):
    np.savez(tmp_path / "in.npz", ct=roi.ct_hu, pet=roi.pet_suv, label=label_map)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYRADIOMICS, tmp_path / "in.npz"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.split() == [str(len(FeatureSet.full().names()) + 4 * 14 * (14 + 5)), "True"]
