"""The fast extractor against pyradiomics on many masks, its memory budget, and its path without numba."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from radiomics.featureextractor import RadiomicsFeatureExtractor
from scipy import ndimage

from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.radiomics.extraction import features_of_masks
from mmpl.radiomics.fast_extractor import FastExtractor
from mmpl.radiomics.feature_set import FAMILIES, FEATURES_OF_FAMILY, FeatureSet
from mmpl.radiomics.pyradiomics_extractor import PyradiomicsExtractor, quiet_radiomics

GRID = Geometry(size=(58, 54, 61), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-20.0, 10.0, -300.0))
SET = FeatureSet(modalities=("CT",), classes=("GTVp",), families=FAMILIES, log_sigmas_mm=(2.0,))


def ball(centre_zyx, radius):
    grids = np.ogrid[tuple(slice(0, n) for n in GRID.shape)]
    return sum((g - c) ** 2 for g, c in zip(grids, centre_zyx, strict=True)) <= radius**2


def box(*slices):
    mask = np.zeros(GRID.shape, bool)
    mask[slices] = True
    return mask


def voxels(*places):
    mask = np.zeros(GRID.shape, bool)
    mask[tuple(np.transpose(places))] = True
    return mask


def speckle(share):
    return box(slice(20, 34), slice(20, 34), slice(20, 34)) & (np.random.default_rng(5).random(GRID.shape) < share)


MASKS = {
    "ball": ball((30, 27, 28), 9),
    "60 mL": ball((30, 27, 28), 24.3),
    "hole": ball((30, 27, 28), 9) & ~ball((31, 26, 28), 4),
    "two components": ball((15, 14, 15), 6) | ball((45, 40, 44), 5),
    "components that touch at a corner": box(slice(10, 14), slice(10, 14), slice(10, 14))
    | box(slice(14, 17), slice(14, 17), slice(14, 17)),
    "one slice": ball((30, 27, 28), 9) & box(slice(30, 31)),
    "one column plane": ball((30, 27, 28), 9) & box(slice(None), slice(27, 28)),
    "one row plane": ball((30, 27, 28), 9) & box(slice(None), slice(None), slice(28, 29)),
    "a line": box(30, 27, slice(10, 30)),
    "a diagonal": voxels(*[(k, k, k) for k in range(10, 24)]),
    "a broken line": box(30, 27, slice(10, 30, 3)) | box(30, 27, slice(12, 20)),
    "two voxels": voxels((20, 20, 20), (20, 20, 21)),
    "two voxels apart": voxels((20, 20, 20), (20, 21, 22)),
    "three voxels in a corner": voxels((20, 20, 20), (20, 20, 21), (20, 21, 20)),
    "lower border": box(slice(0, 8), slice(0, 9), slice(0, 7)),
    "upper border": box(slice(-7, None), slice(-9, None), slice(-8, None)),
    "sparse speckle": speckle(0.1),
    "dense speckle": speckle(0.6),
    "shell": ball((30, 27, 28), 10) & ~ball((30, 27, 28), 8),
    "beside air": box(slice(20, 35), slice(2, 14), slice(20, 35)),
    "checkerboard": box(slice(20, 30), slice(20, 30), slice(20, 30)) & (np.indices(GRID.shape).sum(axis=0) % 2 == 0),
    "thin plate, tilted": np.abs(np.indices(GRID.shape) - 28).max(axis=0) <= 10,
}
MASKS["thin plate, tilted"] &= np.indices(GRID.shape).sum(axis=0) == 84


@pytest.fixture(scope="module")
def ct_hu():
    noise = np.random.default_rng(1).normal(0, 1, GRID.shape)
    ct = (30 + 480 * ndimage.gaussian_filter(noise, 1)).astype(np.float32)
    ct[:, :5] = -1000.0
    return ct


@pytest.fixture(scope="module")
def case(ct_hu):
    extractor = FastExtractor(SET)
    return extractor, extractor.prepare(ct_hu, ct_hu, GRID)


def plain_pyradiomics(array, mask, feature_set=SET):
    extractor = RadiomicsFeatureExtractor(additionalInfo=False, minimumROIDimensions=1)
    extractor.disableAllFeatures()
    for family in feature_set.families:
        extractor.enableFeatureClassByName(family)
    width = feature_set.ct_bin_width_filtered
    extractor.enableImageTypes(
        Original={"binWidth": feature_set.ct_bin_width},
        LoG={"binWidth": width, "sigma": list(feature_set.log_sigmas_mm)},
        Wavelet={"binWidth": width, "wavelet": "coif1"},
    )
    with quiet_radiomics():
        return extractor.execute(image_from_volume(Volume(array, GRID)), image_from_volume(Volume(mask, GRID)), label=1)


def assert_same(ours, plain):
    """Within 1e-6, 1e-9 near zero; pyradiomics' infinite and complex values are NaN here."""
    assert len(plain) == len(ours) - 1  # the missing flag
    wrong = {}
    for name, value in plain.items():
        column = f"GTVp_{name}" if "_shape_" in name else f"GTVp_CT_{name}"
        expected = complex(value).real if np.isfinite(complex(value)) else np.nan
        if ours[column] != pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True):
            wrong[column] = (ours[column], expected)
    assert wrong == {}


@pytest.mark.parametrize("name", MASKS)
def test_every_feature_is_pyradiomics(case, ct_hu, name):
    extractor, images = case
    ours = extractor.features(images, MASKS[name], "GTVp").values
    assert_same(ours, plain_pyradiomics(ct_hu, MASKS[name]))


def test_one_voxel_is_pyradiomics(case, ct_hu):
    # its execute refuses one voxel; its feature classes do not
    one = voxels((20, 20, 20))
    slow = PyradiomicsExtractor(SET)
    expected = slow.features(slow.prepare(ct_hu, ct_hu, GRID), one, "GTVp")
    ours = case[0].features(case[1], one, "GTVp")
    assert ours.values == pytest.approx(expected.values, rel=1e-6, abs=1e-9, nan_ok=True)
    assert ours.not_computed == expected.not_computed


def test_constant_intensities_are_pyradiomics():
    ct = np.full(GRID.shape, 37.0, np.float32)
    extractor = FastExtractor(SET)
    ours = extractor.features(extractor.prepare(ct, ct, GRID), MASKS["hole"], "GTVp").values
    assert_same(ours, plain_pyradiomics(ct, MASKS["hole"]))


@pytest.mark.parametrize("spacing", [(0.9, 1.3, 2.0)])
def test_filters_and_shape_follow_the_spacing(ct_hu, spacing, monkeypatch):
    grid = Geometry(GRID.size, spacing, GRID.origin_mm)
    monkeypatch.setitem(globals(), "GRID", grid)
    extractor = FastExtractor(SET)
    ours = extractor.features(extractor.prepare(ct_hu, ct_hu, grid), MASKS["two components"], "GTVp").values
    assert_same(ours, plain_pyradiomics(ct_hu, MASKS["two components"]))


def test_a_dilated_mask_outside_the_kept_box_gives_the_same_values(ct_hu):
    extractor = FastExtractor(SET, margin_mm=2.0)
    images = extractor.prepare(ct_hu, ct_hu, GRID)
    extractor.features(images, ball((15, 14, 15), 4), "GTVp")
    first = images.box
    ours = extractor.features(images, MASKS["two components"], "GTVp").values
    assert images.box != first
    assert_same(ours, plain_pyradiomics(ct_hu, MASKS["two components"]))


@pytest.mark.parametrize("budget", [0, 1_000_000, 12_000_000])
def test_less_memory_gives_the_same_values(case, ct_hu, budget):
    extractor = FastExtractor(SET, budget_bytes=budget)
    images = extractor.prepare(ct_hu, ct_hu, GRID)
    for name in ("two components", "hole", "60 mL"):
        ours = extractor.features(images, MASKS[name], "GTVp")
        assert images.nbytes <= budget
        assert ours.values == case[0].features(case[1], MASKS[name], "GTVp").values


def test_an_edit_inside_the_kept_box_filters_nothing(case, monkeypatch):
    extractor, images = case
    extractor.features(images, MASKS["ball"], "GTVp")
    monkeypatch.setattr(images, "jobs", [])
    found = extractor.features(images, ndimage.binary_dilation(MASKS["ball"]), "GTVp")
    assert np.isfinite(found.values["GTVp_CT_wavelet-LLL_glcm_MCC"])


def test_only_the_class_that_changed_is_computed(ct_hu):
    extractor = FastExtractor(FeatureSet(modalities=("CT",), log_sigmas_mm=(), wavelet=None))
    images = extractor.prepare(ct_hu, ct_hu, GRID)
    masks = {"GTVp": MASKS["ball"], "GTVn": MASKS["lower border"]}
    features_of_masks(extractor, images, masks)
    before = extractor.features(images, masks["GTVn"].copy(), "GTVn")
    features_of_masks(extractor, images, {**masks, "GTVp": MASKS["hole"]})
    assert extractor.features(images, masks["GTVn"], "GTVn") is before
    changed = extractor.features(images, MASKS["ball"], "GTVn")
    assert changed is not before


def test_threads_do_not_change_a_value(case, ct_hu):
    extractor = FastExtractor(SET, threads=1)
    images = extractor.prepare(ct_hu, ct_hu, GRID)
    alone = extractor.features(images, MASKS["dense speckle"], "GTVp")
    together = case[0].features(case[1], MASKS["dense speckle"], "GTVp")
    assert alone == together
    assert list(alone.values) == list(together.values)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
from mmpl.geometry import Geometry
from mmpl.radiomics.compiling import HAS_NUMBA
from mmpl.radiomics.fast_extractor import FastExtractor
from mmpl.radiomics.feature_set import FAMILIES, FeatureSet
assert not HAS_NUMBA
data = np.load(sys.argv[1])
ct, mask = data["ct"], data["mask"]
grid = Geometry(ct.shape[::-1], (1, 1, 1), (0, 0, 0))
feature_set = FeatureSet(modalities=("CT",), classes=("GTVp",), families=FAMILIES, log_sigmas_mm=(2.0,))
extractor = FastExtractor(feature_set)
found = extractor.features(extractor.prepare(ct, ct, grid), mask, "GTVp").values
np.savez(sys.argv[2], names=list(found), values=list(found.values()))
"""


def test_without_numba_the_values_are_the_same(case, ct_hu, tmp_path):
    mask = MASKS["two components"] & MASKS["60 mL"] | ball((30, 27, 28), 5)
    np.savez(tmp_path / "in.npz", ct=ct_hu, mask=mask)
    subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA, tmp_path / "in.npz", tmp_path / "out.npz"],
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    found = np.load(tmp_path / "out.npz")
    ours = case[0].features(case[1], mask, "GTVp").values
    assert list(ours) == list(found["names"])
    assert dict(zip(found["names"], found["values"], strict=True)) == pytest.approx(ours, rel=1e-9, nan_ok=True)


def test_values_come_in_the_order_of_the_names(case):
    # A permuted family would still be compared name by name above, so this only guards the counts.
    extractor, images = case
    found = extractor.features(images, MASKS["ball"], "GTVp").values
    assert len(found) == 14 + 10 * sum(len(FEATURES_OF_FAMILY[f]) for f in FAMILIES if f != "shape") + 1
