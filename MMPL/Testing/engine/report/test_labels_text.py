"""Names of features and numbers, as a reader sees them."""

from __future__ import annotations

import math

import pytest

from mmpl.report.labels import label_of
from mmpl.report.text import NBSP, against_threshold, escape, fixed, percent, sentence, signed, significant, years


@pytest.mark.parametrize(
    ("feature", "label"),
    [
        ("GTVp_PT_log-sigma-3-0-mm-3D_firstorder_Mean", "GTVp, PET, LoG 3 mm: first-order Mean"),
        (
            "GTVp_CT_log-sigma-2-5-mm-3D_glcm_Imc2",
            "GTVp, CT, LoG 2.5 mm: GLCM Informational measure of correlation 2",
        ),
        ("GTVn_CT_wavelet-HLL_glszm_ZoneEntropy", "GTVn, CT, wavelet HLL: GLSZM Zone entropy"),
        ("GTVp_PT_original_firstorder_90Percentile", "GTVp, PET: first-order 90th percentile"),
        ("GTVp_original_shape_Maximum2DDiameterSlice", "GTVp: shape Maximum 2D diameter slice"),
        ("GTVp_PT_original_glrlm_RunLengthNonUniformity", "GTVp, PET: GLRLM Run length non-uniformity"),
        ("missing_GTVn", "No GTVn found"),
        ("deep_hpv", "Network, HPV score (logit)"),
        ("deep_days", "Network, RFS score (days)"),
        ("Tobacco Consumption=Unknown", "Tobacco: Unknown"),
        ("Gender=1", "Gender: male"),
        ("Treatment=7", "Treatment: 7"),
        ("Other=a_b", "Other: a b"),
        ("Age", "Age (standardised)"),
        ("something_else", "something else"),
    ],
)
def test_feature_labels(feature, label):
    assert label_of(feature) == label


def test_percentages_never_round_to_certainty():
    values = [percent(p).replace(NBSP, " ") for p in (0.0, 0.0001, 0.005, 0.834, 0.999, 1.0, None)]
    assert values == ["0 %", "< 1 %", "< 1 %", "83 %", "> 99 %", "100 %", "–"]


@pytest.mark.parametrize(
    ("probability", "threshold", "said"),
    [
        (0.731, 0.5, ("73 %", "50 %")),
        (0.5861, 0.587, ("58.6 %", "58.7 %")),
        (0.58696, 0.58704, ("58.70 %", "58.70 %")),  # a hundredth of a per cent is the most that is said
        (0.5866, 0.587, ("58.66 %", "58.70 %")),
        (0.587, 0.587, ("59 %", "59 %")),
        (0.9961, 0.9982, ("99.6 %", "99.8 %")),
    ],
)
def test_a_probability_beside_its_threshold_reads_as_above_or_below_it(probability, threshold, said):
    assert tuple(text.replace(NBSP, " ") for text in against_threshold(probability, threshold)) == said


def test_numbers_carry_a_true_minus_and_no_negative_zero():
    assert [fixed(v) for v in (-1.25, -0.04, None, math.nan)] == ["−1.2", "0.0", "–", "–"]
    assert [signed(v) for v in (0.421, -0.3, -0.001, 0.0)] == ["+0.42", "−0.30", "0.00", "0.00"]


def test_significant_digits():
    assert [significant(v) for v in (0.012345, 1234.5, 58.0, -0.742, 0, 1.23e-5)] == [
        "0.0123",
        "1234",
        "58",
        "−0.742",
        "0",
        "1.23e−05",
    ]


def test_sentences_begin_and_end():
    assert sentence("the site is unknown") == "The site is unknown."
    assert sentence("Why?") == "Why?"


def test_years_of_days():
    assert years(730.5).replace(NBSP, " ") == "2.0 years"


def test_escape_drops_control_characters_and_keeps_other_scripts():
    assert escape('<a href="x">\'&\x00\x1b\ud800é患') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;é患"
