"""HPV members and their combination."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mmpl.errors import BundleError
from mmpl.hpv.ensemble import combine_hpv
from mmpl.hpv.forest import Forest
from mmpl.hpv.member import HpvMember
from mmpl.notices import SITE_NOT_OROPHARYNX, SITE_UNKNOWN


def a_stump(threshold, low, high):
    value = [(low + high) / 2, low, high]
    return Forest([0, -1, -1], [threshold, 0, 0], [1, -1, -1], [2, -1, -1], value, [2.0, 1.0, 1.0], [0, 3], 2)


@pytest.fixture
def members():
    first = HpvMember(("deep", "r"), [-1.0, 5.0], a_stump(0.0, 0.1, 0.7), "deep", deep_mean=2.0, deep_sd=0.5)
    second = HpvMember(("r", "deep"), [5.0, 0.0], a_stump(4.0, 0.2, 0.6), "deep")
    return (first, second)


def test_the_raw_deep_logit_is_standardised_by_the_members_own_figures(members):
    assert members[0].vector({"deep": 3.0, "r": 1.0}).tolist() == [2.0, 1.0]
    assert members[0].predict({"deep": 2.1}) == 0.7
    assert members[0].predict({"deep": 1.9}) == 0.1


@pytest.mark.parametrize("missing", [{}, {"deep": None}, {"deep": math.nan}, {"deep": math.inf}])
def test_missing_values_are_the_training_medians(members, missing):
    assert members[0].vector(missing).tolist() == [-1.0, 5.0]


def test_mean_of_members_and_additive_contributions(members):
    rows = [{"deep": 3.0, "r": 1.0}, {"deep": 0.0, "r": 1.0}]
    result, contributions, notices = combine_hpv(members, rows, threshold=0.44, site="oropharynx", known="negative")
    assert result.members == (0.7, 0.2)
    assert result.probability == pytest.approx(0.45)
    assert (result.status, result.known, notices) == ("positive", "negative", ())
    # bases 0.4 and 0.4; effects +0.3 of deep in the first member, -0.2 of r in the second
    assert result.base == pytest.approx(0.4)
    assert [(c.feature, c.value) for c in contributions] == [("deep", 1.5), ("r", 1.0)]
    assert [c.effect for c in contributions] == pytest.approx([0.15, -0.1])


def test_status_is_negative_below_the_threshold(members):
    result, _, _ = combine_hpv(members, [{}, {}], threshold=0.5, site="oropharynx")
    assert result.members == (0.1, 0.6)
    assert result.status == "negative"


def test_another_site_gives_no_probability_but_the_reason(members):
    result, contributions, notices = combine_hpv(members, [{}, {}], threshold=0.5, site="other", known="positive")
    assert (result.probability, result.status, result.base, contributions) == (None, None, None, ())
    assert "oropharynx" in result.reason
    assert result.known == "positive"
    assert [n.code for n in notices] == [SITE_NOT_OROPHARYNX]


def test_an_unknown_site_is_warned_of(members):
    result, _, notices = combine_hpv(members, [{}, {}], threshold=0.5, site=None)
    assert result.probability is not None
    assert [n.code for n in notices] == [SITE_UNKNOWN]


def test_round_trip_through_json_and_arrays(members):
    data = json.loads(json.dumps(members[0].to_dict()))
    again = HpvMember.from_dict(data, members[0].to_arrays())
    row = {"deep": 2.3, "r": 0.0}
    assert again.predict(row) == members[0].predict(row)
    assert again.contributions(row) == members[0].contributions(row)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d, a: d.pop("columns"),
        lambda d, a: d.update(columns=["deep"]),
        lambda d, a: d.update(columns=["deep", "deep"]),
        lambda d, a: d.update(deep_sd=0.0),
        lambda d, a: d.update(deep_mean=math.nan),
        lambda d, a: a.update(medians=np.array([1.0])),
        lambda d, a: a.update(medians=np.array([1.0, np.nan])),
        lambda d, a: a.pop("cover"),
    ],
)
def test_damaged_members_are_refused(members, damage):
    data, arrays = members[0].to_dict(), members[0].to_arrays()
    damage(data, arrays)
    with pytest.raises(BundleError):
        HpvMember.from_dict(data, arrays)
