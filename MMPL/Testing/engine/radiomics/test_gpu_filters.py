"""The GPU's filters, run on the CPU by PyTorch: the same values to the last bit."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from mmpl.geometry import Geometry
from mmpl.radiomics import gpu_filters
from mmpl.radiomics.extraction import features_of_masks
from mmpl.radiomics.fast_extractor import FastExtractor
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.radiomics.laplacian import laplacian_of_gaussian
from mmpl.radiomics.wavelet import wavelet_bands

SHAPE = (30, 27, 33)
BOXES = {
    "inside": (slice(8, 20), slice(5, 19), slice(10, 21)),
    "whole": tuple(slice(0, n) for n in SHAPE),
    "last planes": (slice(25, 30), slice(20, 27), slice(28, 33)),
    "one voxel": (slice(3, 4), slice(4, 5), slice(5, 6)),
}


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(2).normal(0, 300, SHAPE).astype(np.float32)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 2.5)])
def test_laplacians_are_those_of_the_cpu_to_the_last_bit(image, box, spacing):
    sigmas = (1.0, 2.0, 5.0)
    found = gpu_filters.laplacians_of_gaussian(image, spacing, sigmas, box, "cpu")
    for sigma, one in zip(sigmas, found, strict=True):
        np.testing.assert_array_equal(one, laplacian_of_gaussian(image, spacing, sigma, box))


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_wavelet_bands_are_those_of_the_cpu_to_the_last_bit(image, box):
    found, expected = gpu_filters.wavelet_bands(image, box, "cpu"), wavelet_bands(image, box)
    assert list(found) == list(expected)
    for name, band in expected.items():
        np.testing.assert_array_equal(found[name], band)


@pytest.fixture
def masks():
    mask = np.zeros(SHAPE, bool)
    mask[8:20, 6:18, 9:22] = True
    return {"GTVp": mask, "GTVn": np.roll(mask, 4, axis=1)}


def features(image, masks, device):
    """Through an extractor that takes PyTorch's CPU for a GPU, or none."""
    extractor = FastExtractor(FeatureSet.full(), device="cpu")
    extractor.device = device
    images = extractor.prepare(image, np.abs(image) / 100, Geometry(SHAPE[::-1], (1, 1, 1), (0, 0, 0)))
    return features_of_masks(extractor, images, masks)[0]


def test_an_extractor_on_a_device_gives_the_same_columns(image, masks):
    assert features(image, masks, "cpu") == pytest.approx(features(image, masks, None), rel=0, abs=0, nan_ok=True)


def test_without_memory_on_the_device_the_cpu_filters(image, masks, monkeypatch):
    asked = []

    def full(*arguments):
        asked.append(arguments)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gpu_filters, "laplacians_of_gaussian", full)
    monkeypatch.setattr(gpu_filters, "wavelet_bands", full)
    found = features(image, masks, "cpu")
    assert len(asked) == 4  # PET and CT, Laplacians and wavelets
    assert found == pytest.approx(features(image, masks, None), rel=0, abs=0, nan_ok=True)


def test_a_gpu_is_used_where_pytorch_finds_one(monkeypatch):
    assert FastExtractor(FeatureSet.demo(), device="cpu").device is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_filters, "_works", lambda device: True)
    assert FastExtractor(FeatureSet.demo()).device == "cuda"
    monkeypatch.setattr(gpu_filters, "_works", lambda device: False)  # too old a card, or full
    assert FastExtractor(FeatureSet.demo()).device is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert FastExtractor(FeatureSet.demo()).device is None
    monkeypatch.setitem(sys.modules, "torch", None)
    assert FastExtractor(FeatureSet.demo()).device is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_real_gpu_gives_the_same_bits(image):
    box = BOXES["inside"]
    for sigma, one in zip(
        (1.0, 3.0), gpu_filters.laplacians_of_gaussian(image, (1, 1, 1), (1.0, 3.0), box, "cuda"), strict=True
    ):
        np.testing.assert_array_equal(one, laplacian_of_gaussian(image, (1, 1, 1), sigma, box))
    for name, band in gpu_filters.wavelet_bands(image, box, "cuda").items():
        np.testing.assert_array_equal(band, wavelet_bands(image, box)[name])
