"""Both extractors: the same columns, values, notices and refusals."""

from __future__ import annotations

import logging
import sys
from functools import partial

import numpy as np
import pytest
from radiomics.featureextractor import RadiomicsFeatureExtractor
from radiomics.glcm import RadiomicsGLCM
from scipy import ndimage

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.notices import FEATURE_NAN, PET_NOT_SUV
from mmpl.radiomics import pyradiomics_extractor
from mmpl.radiomics.extraction import EXTRACTORS, extract_features, features_of_masks, make_extractor
from mmpl.radiomics.feature_set import FAMILIES, FeatureSet
from mmpl.radiomics.pyradiomics_extractor import PyradiomicsExtractor, quiet_radiomics

GRID = Geometry(size=(40, 37, 45), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-20.0, 10.0, -300.0))
SMALL = FeatureSet(log_sigmas_mm=(), wavelet=None)


def ball(centre_zyx, radius):
    z, y, x = np.ogrid[tuple(slice(0, n) for n in GRID.shape)]
    cz, cy, cx = centre_zyx
    return (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= radius**2


# pyradiomics' own pieces agree with its whole to the last digits; our kernels sum in another order
TOLERANCE = {"pyradiomics": {"rel": 1e-9, "abs": 1e-300}, "fast": {"rel": 1e-6, "abs": 1e-9}}


@pytest.fixture(scope="module", params=EXTRACTORS)
def extractor(request):
    return request.param


@pytest.fixture(scope="module")
def extract(extractor):
    return partial(extract_features, extractor=extractor)


@pytest.fixture(scope="module")
def ct_hu():
    noise = np.random.default_rng(1).normal(0, 1, GRID.shape)
    ct = (30 + 60 * ndimage.gaussian_filter(noise, 1) * 8).astype(np.float32)
    ct[:, :4] = -1000.0
    return ct


@pytest.fixture(scope="module")
def masks():
    p = ball((25, 18, 20), 7) & ~ball((26, 18, 20), 2)
    return {"GTVp": p, "GTVn": ball((8, 8, 9), 4) | ball((12, 26, 30), 3)}


@pytest.fixture(scope="module")
def pet_suv(masks):
    noise = np.random.default_rng(2).normal(0, 0.2, GRID.shape)
    lesions = 9.0 * masks["GTVp"] + 5.0 * masks["GTVn"]
    return np.clip(1 + ndimage.gaussian_filter(lesions + noise, 1.5), 0, None).astype(np.float32)


@pytest.fixture
def demo_values(extract, ct_hu, pet_suv, masks):
    return extract(ct_hu, pet_suv, GRID, masks, FeatureSet.demo())


def pyradiomics_values(array, mask, width, width_filtered):
    """The whole of pyradiomics on the whole ROI."""
    extractor = RadiomicsFeatureExtractor(additionalInfo=False)
    extractor.disableAllFeatures()
    for family in FAMILIES:
        extractor.enableFeatureClassByName(family)
    extractor.enableImageTypes(
        Original={"binWidth": width},
        LoG={"binWidth": width_filtered, "sigma": [1.0, 3.0]},
        Wavelet={"binWidth": width_filtered, "wavelet": "coif1"},
    )
    with quiet_radiomics():
        return extractor.execute(image_from_volume(Volume(array, GRID)), image_from_volume(Volume(mask, GRID)), label=1)


def test_values_are_those_of_pyradiomics_on_the_whole_roi(extractor, extract, ct_hu, pet_suv, masks):
    feature_set = FeatureSet(families=FAMILIES, log_sigmas_mm=(1, 3))
    ours, notices = extract(ct_hu, pet_suv, GRID, masks, feature_set)
    compared = 0
    for class_name, mask in masks.items():
        for modality, array, widths in (("CT", ct_hu, (25, 10)), ("PT", pet_suv, (0.25, 0.125))):
            for name, value in pyradiomics_values(array, mask, *widths).items():
                shape = "_shape_" in name
                column = f"{class_name}_{name}" if shape else f"{class_name}_{modality}_{name}"
                assert ours[column] == pytest.approx(float(value), **TOLERANCE[extractor]), column
                compared += 1
    assert compared == len(ours) - 2 + 2 * 14  # all but the flags; shape met with CT and with PET
    assert notices == ()


def test_many_gray_levels_give_the_glcm_of_plain_pyradiomics(monkeypatch, masks):
    # Hundreds of levels, many rare: where the eps in pyradiomics' MCC can be seen.
    ct = np.random.default_rng(3).uniform(-1000, 3000, GRID.shape).astype(np.float32)
    feature_set = FeatureSet(modalities=("CT",), families=("glcm",), log_sigmas_mm=(), wavelet=None, ct_bin_width=20.0)
    ours, _ = extract_features(ct, ct, GRID, masks, feature_set, extractor="fast")
    fast, _ = extract_features(ct, ct, GRID, masks, feature_set, extractor="pyradiomics")
    monkeypatch.setattr(pyradiomics_extractor, "FastGLCM", RadiomicsGLCM)
    slow, _ = extract_features(ct, ct, GRID, masks, feature_set, extractor="pyradiomics")
    assert fast == pytest.approx(slow, rel=1e-10)
    assert ours == pytest.approx(slow, rel=1e-7)


IBSI_VALUES = {  # code: reference value, "3D, averaged" where there is a choice
    "firstorder_Mean": 2.15,  # Q4LE
    "firstorder_Variance": 3.05,  # ECT3
    "firstorder_Skewness": 1.08,  # KE2M
    "firstorder_Energy": 567.0,  # N8CA
    "firstorder_Entropy": 1.27,  # TLU2
    "glcm_MaximumProbability": 0.503,  # GYBY
    "glcm_JointAverage": 2.14,  # 60VM
    "glcm_SumSquares": 3.10,  # UR99
    "glcm_JointEntropy": 2.40,  # TU9B
    "glcm_DifferenceEntropy": 1.56,  # NTRS
    "glcm_JointEnergy": 0.303,  # 8ZQL
    "glcm_Contrast": 5.32,  # ACUI
    "glcm_Idm": 0.618,  # WF0Z
    "glcm_Correlation": 0.157,  # NI2N
    "glcm_ClusterProminence": 145.0,  # AE86
    "glcm_Imc2": 0.520,  # JN9H
    "glrlm_ShortRunEmphasis": 0.705,  # 22OV
    "glrlm_LongRunEmphasis": 3.06,  # W4KF
    "glrlm_GrayLevelNonUniformity": 21.8,  # R5YN
    "glrlm_RunEntropy": 2.43,  # HJ9O
    "glszm_SmallAreaEmphasis": 0.255,  # 5QRC
    "glszm_LargeAreaEmphasis": 550.0,  # 48P8
    "glszm_ZonePercentage": 0.0676,  # P30P
    "glszm_ZoneEntropy": 2.32,  # GU8N
    "ngtdm_Coarseness": 0.0296,  # QCDE
    "ngtdm_Strength": 0.763,  # 1X9X
    "gldm_DependenceEntropy": 4.40,  # FCBV
}


@pytest.fixture(scope="module")
def ibsi_features(extract, ibsi_image, ibsi_mask):
    feature_set = FeatureSet(
        modalities=("PT",),
        classes=("GTVp",),
        families=FAMILIES,
        log_sigmas_mm=(),
        wavelet=None,
        pt_bin_width=1.0,
    )
    image = ibsi_image.array
    return extract(image, image, ibsi_image.geometry, {"GTVp": ibsi_mask.array}, feature_set)[0]


@pytest.mark.parametrize("name", IBSI_VALUES)
def test_digital_phantom_has_ibsi_reference_values(ibsi_features, name):
    assert ibsi_features[f"GTVp_PT_original_{name}"] == pytest.approx(IBSI_VALUES[name], rel=4e-3)


def test_digital_phantom_has_ibsi_shape(ibsi_features):
    assert ibsi_features["GTVp_original_shape_MeshVolume"] == pytest.approx(556, abs=4)  # RNU0
    assert ibsi_features["GTVp_original_shape_VoxelVolume"] == pytest.approx(592, abs=4)  # YEKZ
    assert ibsi_features["GTVp_original_shape_Maximum3DDiameter"] == pytest.approx(13.1, abs=0.1)  # L0JK


def test_columns_come_in_the_order_of_the_set(demo_values):
    values, _ = demo_values
    assert list(values) == FeatureSet.demo().names()


def test_nothing_is_filtered_that_the_set_does_not_have(ct_hu, pet_suv):
    images = PyradiomicsExtractor(FeatureSet.demo()).prepare(ct_hu, pet_suv, GRID).images
    assert set(images) == {(m, i) for m in ("CT", "PT") for i in ("original", "log-sigma-3-0-mm-3D")}


def test_images_filtered_once_serve_any_mask(extract, extractor, ct_hu, pet_suv, masks):
    chosen = make_extractor(extractor, FeatureSet.demo())
    images = chosen.prepare(ct_hu, pet_suv, GRID)
    for edited in (masks, {**masks, "GTVp": ndimage.binary_dilation(masks["GTVp"])}):
        again, _ = features_of_masks(chosen, images, edited)
        fresh, _ = extract(ct_hu, pet_suv, GRID, edited, FeatureSet.demo())
        assert again == fresh


def test_ct_is_clipped_before_anything_else(extract, ct_hu, pet_suv, masks):
    metal = ct_hu.copy()
    metal[25, 18, 24] = 20000.0
    values, _ = extract(metal, pet_suv, GRID, masks, SMALL)
    assert values["GTVp_CT_original_firstorder_Maximum"] == 3071.0
    assert metal[25, 18, 24] == 20000.0  # the caller's array is left alone


def test_empty_class_is_nan_and_flagged_without_a_notice(extract, ct_hu, pet_suv, masks):
    empty = {**masks, "GTVn": np.zeros(GRID.shape, bool)}
    values, notices = extract(ct_hu, pet_suv, GRID, empty, SMALL)
    node = [v for name, v in values.items() if name.startswith("GTVn_")]
    tumour = [v for name, v in values.items() if name.startswith("GTVp_")]
    assert len(node) == 14 + 2 * 74
    assert np.isnan(node).all()
    assert np.isfinite(tumour).all()
    assert (values["missing_GTVp"], values["missing_GTVn"]) == (0.0, 1.0)
    assert notices == ()


def test_one_voxel_has_intensities_but_no_texture(extract, ct_hu, pet_suv, masks):
    one = np.zeros(GRID.shape, bool)
    one[20, 20, 20] = True
    values, notices = extract(ct_hu, pet_suv, GRID, {**masks, "GTVn": one}, SMALL)
    assert values["GTVn_CT_original_firstorder_Mean"] == ct_hu[20, 20, 20]
    assert values["GTVn_original_shape_VoxelVolume"] == 1.0
    assert np.isnan(values["GTVn_original_shape_Elongation"])
    assert np.isnan([v for n, v in values.items() if n.startswith("GTVn") and "_gl" in n]).all()
    (notice,) = notices
    n_nan = sum(np.isnan(v) for v in values.values())
    assert n_nan == 2 + 2 * (24 + 16 + 16)
    assert notice.code == FEATURE_NAN
    assert notice.text.startswith(f"{n_nan} of {len(values)} radiomics features")
    assert "56 of GTVn PT original: contour too small" in notice.text


def test_a_set_of_shapes_alone_reads_no_image(extract, ct_hu, pet_suv, masks):
    shapes = FeatureSet(families=("shape",), log_sigmas_mm=(), wavelet=None)
    values, notices = extract(ct_hu, pet_suv, GRID, masks, shapes)
    whole, _ = extract(ct_hu, pet_suv, GRID, masks, SMALL)
    assert len(values) == 2 * (14 + 1)
    assert values == {name: whole[name] for name in values}
    assert notices == ()


def test_too_many_gray_levels_give_nan(extract, ct_hu, pet_suv, masks):
    feature_set = FeatureSet(log_sigmas_mm=(), wavelet=None, max_bins=4)
    values, (notice,) = extract(ct_hu, pet_suv, GRID, masks, feature_set)
    assert np.isnan(values["GTVp_CT_original_glcm_Contrast"])
    assert np.isfinite(values["GTVp_original_shape_MeshVolume"])
    assert "74 of GTVp CT original: too many gray levels" in notice.text


@pytest.mark.parametrize(("highest", "computed"), [(0.99, True), (1.0, False)])
def test_bins_are_counted_as_pyradiomics_makes_them(extract, masks, highest, computed):
    # bin edges at multiples of 0.25: [0, 1) needs four, 1.0 itself opens a fifth
    pet = np.where(np.arange(GRID.size[0]) % 2 == 0, 0.0, highest) * np.ones(GRID.shape)
    feature_set = FeatureSet(modalities=("PT",), log_sigmas_mm=(), wavelet=None, max_bins=4)
    values, _ = extract(pet, pet.astype(np.float32), GRID, masks, feature_set)
    assert np.isfinite(values["GTVp_PT_original_firstorder_Mean"]) == computed


def test_voxel_without_value_makes_that_image_nan(extract, ct_hu, pet_suv, masks):
    broken = pet_suv.copy()
    broken[25, 18, 24] = np.nan
    values, (notice,) = extract(ct_hu, broken, GRID, masks, SMALL)
    assert np.isnan(values["GTVp_PT_original_firstorder_Mean"])
    assert np.isfinite(values["GTVn_PT_original_firstorder_Mean"])
    assert np.isfinite(values["GTVp_CT_original_firstorder_Mean"])
    assert "GTVp PT original: voxels without a value" in notice.text


def test_pet_that_is_not_suv_leaves_its_features_empty(extract, ct_hu, pet_suv, masks):
    values, (notice,) = extract(ct_hu, pet_suv, GRID, masks, SMALL, pet_is_suv=False)
    assert notice.code == PET_NOT_SUV
    assert all(np.isnan(v) == ("_PT_" in name) for name, v in values.items())


def test_roi_too_small_for_a_filter_says_so(extract):
    grid = Geometry((3, 3, 3), (1, 1, 1), (0, 0, 0))
    image = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    feature_set = FeatureSet(classes=("GTVp",), log_sigmas_mm=(1,), wavelet=None)
    values, (notice,) = extract(image, image, grid, {"GTVp": image >= 0}, feature_set)
    assert np.isnan(values["GTVp_CT_log-sigma-1-0-mm-3D_firstorder_Mean"])
    assert values["GTVp_CT_original_firstorder_Mean"] == 13.0
    assert "region too small for the filter" in notice.text


def test_refuses_arrays_of_another_grid(extract, ct_hu, pet_suv, masks):
    with pytest.raises(GeometryError, match="PET of shape"):
        extract(ct_hu, pet_suv[1:], GRID, masks, SMALL)
    with pytest.raises(GeometryError, match="GTVn mask of shape"):
        extract(ct_hu, pet_suv, GRID, {**masks, "GTVn": masks["GTVn"][:, 1:]}, SMALL)


def test_refuses_a_label_map_and_a_missing_mask(extract, ct_hu, pet_suv, masks):
    with pytest.raises(InputError, match="GTVp mask is uint8"):
        extract(ct_hu, pet_suv, GRID, {**masks, "GTVp": masks["GTVp"].astype(np.uint8)}, SMALL)
    with pytest.raises(InputError, match="GTVn"):
        extract(ct_hu, pet_suv, GRID, {"GTVp": masks["GTVp"]}, SMALL)


def test_says_nothing_itself(extract, ct_hu, pet_suv, masks, caplog, recwarn):
    one = np.zeros(GRID.shape, bool)
    one[20, 20, 20] = True
    with caplog.at_level(logging.WARNING):
        extract(ct_hu, pet_suv, GRID, {**masks, "GTVn": one}, SMALL)
    assert caplog.records == []
    assert len(recwarn) == 0


def test_leaves_logging_as_it_was(ct_hu, pet_suv, masks, caplog):
    logger = logging.getLogger("radiomics")
    before = logger.level, logger.propagate, [list(h.filters) for h in logger.handlers]
    extract_features(ct_hu, pet_suv, GRID, masks, SMALL, extractor="pyradiomics")
    assert (logger.level, logger.propagate, [list(h.filters) for h in logger.handlers]) == before
    logger.warning("still heard")
    assert caplog.messages == ["still heard"]


def test_refuses_an_extractor_that_is_not_there(monkeypatch):
    with pytest.raises(InputError, match="extractor 'quick'"):
        make_extractor("quick", SMALL)
    monkeypatch.setitem(sys.modules, "radiomics", None)
    with pytest.raises(InputError, match="not installed"):
        make_extractor("pyradiomics", SMALL)
