"""Lean body mass, ideal weight and body surface, worked by hand for one man and one woman.

Man of 80 kg and 180 cm, BMI 80 / 1.8^2 = 24.6914:
    Janmahasatian  9270 * 80 / (6680 + 216 * 24.6914) = 741600 / 12013.33 = 61.7314 kg
    James          1.10 * 80 - 128 * (80 / 180)^2 = 88 - 128 * 0.197531 = 62.7160 kg
    Morgan         88 - 120 * 0.197531 = 64.2963 kg
    ideal          48.0 + 1.06 * (180 - 152) = 77.68 kg
    Du Bois        71.84 * 180^0.725 * 80^0.425 = 71.84 * 43.159 * 6.4389 = 19964 cm2
Woman of 60 kg and 165 cm, BMI 60 / 1.65^2 = 22.0386:
    Janmahasatian  9270 * 60 / (8780 + 244 * 22.0386) = 556200 / 14157.41 = 39.2868 kg
    James, Morgan  1.07 * 60 - 148 * (60 / 165)^2 = 64.2 - 148 * 0.132231 = 44.6298 kg
    ideal          45.5 + 0.91 * (165 - 152) = 57.33 kg
    Du Bois        71.84 * 165^0.725 * 60^0.425 = 71.84 * 40.521 * 5.6979 = 16587 cm2
"""

from __future__ import annotations

import pytest

from mmpl.errors import SuvError
from mmpl.io.suv.body import Body, factor_from_body_weight, factors

MAN, WOMAN = Body(80.0, 180.0, "M"), Body(60.0, 165.0, "F")
KILOGRAMS = {
    "LBMJANMA": (61.7314, 39.2868),
    "LBMJAMES128": (62.7160, 44.6298),
    "LBM": (64.2963, 44.6298),
    "IBW": (77.68, 57.33),
}


@pytest.mark.parametrize("suv_type", KILOGRAMS)
def test_masses_by_hand(suv_type):
    for body, kg in zip((MAN, WOMAN), KILOGRAMS[suv_type], strict=True):
        assert factor_from_body_weight(suv_type, body) == pytest.approx(kg / body.weight_kg, rel=2e-6)


def test_surface_by_hand():
    # SUVbsa in cm2/mL over SUVbw in g/mL: cm2 over g
    assert factor_from_body_weight("BSA", MAN) == pytest.approx(19964 / 80_000, rel=5e-5)
    assert factor_from_body_weight("BSA", WOMAN) == pytest.approx(16587 / 60_000, rel=5e-5)


def test_of_another_sex_the_mean_of_both_formulas_is_taken():
    # 80 kg, 180 cm: as a man 61.7314; as a woman 741600 / (8780 + 244 * 24.6914) = 741600 / 14804.69 = 50.0922
    other = factor_from_body_weight("LBMJANMA", Body(80.0, 180.0, "O"))
    assert other == pytest.approx((61.7314 + 50.0922) / 2 / 80, rel=2e-6)


def test_a_formula_without_a_meaning_is_refused_and_left_out():
    # James: 1.07 * 150 - 148 * (150 / 140)^2 = 160.5 - 169.9 < 0; ideal weight of 100 cm: 45.5 - 47.3 < 0
    stout = Body(150.0, 140.0, "F")
    with pytest.raises(SuvError, match=r"SUVlbm \(James\) has no meaning for 150 kg and 140 cm: check both"):
        factor_from_body_weight("LBMJAMES128", stout)
    assert set(factors(stout)) == {"SUVlbm (Janmahasatian)", "SUVibw", "SUVbsa"}
    assert "SUVibw" not in factors(Body(20.0, 100.0, "F"))
    assert len(factors(MAN)) == 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.0, 180.0, "M"), "weight 0 kg, height 180 cm: expected a positive weight"),
        ((80.0, 1.8, "M"), "height 1.8 cm: expected a positive weight and a height of 40 to 250 cm"),
        ((80.0, float("nan"), "M"), "height nan cm"),
        ((80.0, 180.0, "X"), "sex 'X': expected M, F or O"),
    ],
)
def test_a_body_that_cannot_be_is_refused(values, said):
    with pytest.raises(SuvError) as caught:
        Body(*values)
    assert said in str(caught.value)
