from __future__ import annotations

import json

import pytest
from radiomics import getFeatureClasses

from mmpl.errors import InputError
from mmpl.radiomics.feature_set import FAMILIES, FEATURES_OF_FAMILY, FeatureSet


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_the_ones_pyradiomics_does_not_deprecate(family):
    known = getFeatureClasses()[family].getFeatureNames()
    assert list(FEATURES_OF_FAMILY[family]) == [name for name, deprecated in known.items() if not deprecated]


def test_full_set_counts_every_image_once():
    # a class: 14 shape + 2 modalities x (1 + 5 + 8) images x (18 + 24 + 16 + 16); two classes, two flags
    names = FeatureSet.full().names()
    assert len(names) == 2 * (14 + 2 * 14 * 74) + 2
    assert len(set(names)) == len(names)


def test_demo_set_has_original_and_one_log():
    assert FeatureSet.demo().images() == ("original", "log-sigma-3-0-mm-3D")
    assert len(FeatureSet.demo().names()) == 2 * (14 + 2 * 2 * 74) + 2


def test_names_say_class_modality_image_family_feature():
    names = FeatureSet.full().names()
    assert names[0] == "GTVp_original_shape_Elongation"
    assert names[14] == "GTVp_CT_original_firstorder_10Percentile"
    assert "GTVp_PT_log-sigma-3-0-mm-3D_firstorder_Mean" in names
    assert "GTVn_CT_wavelet-LLL_glszm_ZoneVariance" in names
    assert names[-2:] == ["missing_GTVp", "missing_GTVn"]


def test_filtered_images_have_their_own_bin_width():
    full = FeatureSet.full()
    assert [full.bin_width(m, i) for m in ("CT", "PT") for i in ("original", "wavelet-LLH")] == [
        25.0,
        10.0,
        0.25,
        0.125,
    ]


def test_survives_json():
    demo = FeatureSet.demo()
    assert FeatureSet.from_dict(json.loads(json.dumps(demo.to_dict()))) == demo


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"modalities": ("CT", "MR")}, "modalities"),
        ({"classes": ("GTVp", "GTVp")}, "classes"),
        ({"families": ()}, "families"),
        ({"log_sigmas_mm": (0.0,)}, "log_sigmas_mm"),
        ({"log_sigmas_mm": (1, 1.0)}, "log_sigmas_mm"),
        ({"pt_bin_width": -0.25}, "pt_bin_width"),
        ({"wavelet": ""}, "wavelet"),
        ({"max_bins": 1}, "max_bins"),
        ({"max_bins": "many"}, "max_bins"),
    ],
)
def test_refuses_what_makes_no_sense(change, word):
    with pytest.raises(InputError, match=word):
        FeatureSet(**change)


def test_refuses_a_missing_or_unknown_field():
    values = FeatureSet.demo().to_dict()
    values["sigma"] = values.pop("max_bins")
    with pytest.raises(InputError, match=r"max_bins.*sigma"):
        FeatureSet.from_dict(values)


def test_refuses_an_unknown_wavelet():
    with pytest.raises(InputError, match="coiflet"):
        FeatureSet(wavelet="coiflet")
