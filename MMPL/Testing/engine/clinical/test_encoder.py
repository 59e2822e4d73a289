"""Clinical encoder: one-hot with Unknown, median and z-score, all from the training rows."""

from __future__ import annotations

import copy
import json
import math

import pytest

from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.clinical.fields import FIELDS, parse_record, without_value
from mmpl.errors import BundleError
from mmpl.notices import UNSEEN_CATEGORY


def a_record(**values):
    return parse_record({name.replace("_", " "): v for name, v in values.items()})[0]


@pytest.fixture
def encoder():
    rows = [
        a_record(Age=50, Gender="M", Performance_Status=0),
        a_record(Age=60, Gender="F", Performance_Status=1),
        a_record(Age=None, Gender="M", Performance_Status=1),
        a_record(Age=80, Gender=None, Performance_Status=2),
    ]
    return ClinicalEncoder.fit(rows)


def test_columns_have_the_training_levels_and_unknown(encoder):
    assert encoder.columns_of("Age") == ("Age",)
    assert encoder.columns_of("Gender") == ("Gender=0", "Gender=1", "Gender=Unknown")
    assert encoder.columns_of("Performance Status")[-2:] == (
        "Performance Status=2",
        "Performance Status=Unknown",
    )
    assert encoder.columns_of("Treatment") == ("Treatment=Unknown",)


def test_age_is_imputed_by_the_median_then_standardised(encoder):
    # ages 50, 60, 80 -> median 60; with it 50, 60, 60, 80: mean 62.5, sd sqrt(118.75)
    row = encoder.encode(a_record(Age=80))
    assert row["Age"] == pytest.approx((80 - 62.5) / 118.75**0.5)
    assert encoder.encode(a_record())["Age"] == pytest.approx((60 - 62.5) / 118.75**0.5)


def test_each_field_has_exactly_one_level_set(encoder):
    for record in (a_record(), a_record(Gender="F", Performance_Status=2, Treatment=1)):
        row = encoder.encode(record)
        assert list(row) == list(encoder.columns)
        for field in ("Gender", "Performance Status", "Treatment"):
            assert sum(row[c] for c in encoder.columns_of(field)) == 1.0


def test_a_level_unseen_in_training_is_unknown_with_a_notice(encoder):
    record = a_record(Performance_Status=4)
    assert encoder.encode(record)["Performance Status=Unknown"] == 1.0
    (notice,) = encoder.unseen(record)
    assert (notice.code, "4" in notice.text) == (UNSEEN_CATEGORY, True)
    said = "Performance Status: the value did not occur in the training data; it is taken as Unknown"
    assert without_value(notice.text) == said
    assert encoder.unseen(a_record(Performance_Status=2)) == ()


def test_a_continuous_field_never_known_in_training_has_no_column():
    encoder = ClinicalEncoder.fit([a_record(Gender="M"), a_record(Gender="F")])
    assert encoder.columns_of("Age") == ()
    assert "Age" not in encoder.encode(a_record(Age=60))


def test_equal_ages_do_not_divide_by_zero():
    encoder = ClinicalEncoder.fit([a_record(Age=60), a_record(Age=60)])
    assert encoder.encode(a_record(Age=61))["Age"] == 1.0


def test_json_round_trip(encoder):
    again = ClinicalEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("categorical"),
        lambda d: d["continuous"]["Age"].update(sd=0.0),
        lambda d: d["continuous"]["Age"].update(mean="nan"),
        lambda d: d["categorical"].update({"Gender": [0, 5]}),
        lambda d: d["categorical"].update({"Gender": [0, math.inf]}),  # 1e999 in JSON
        lambda d: d["categorical"].pop("Gender"),
        lambda d: d["continuous"].update({"Weight": {"median": 1, "mean": 1, "sd": 1}}),
        lambda d: d.update(continuous=[1, 2]),
    ],
)
def test_damaged_encoders_are_refused(encoder, damage):
    data = copy.deepcopy(encoder.to_dict())
    damage(data)
    with pytest.raises(BundleError):
        ClinicalEncoder.from_dict(data)


def test_every_field_is_encoded():
    records = [dict.fromkeys(FIELDS, 0), dict.fromkeys(FIELDS, 1)]
    assert set(ClinicalEncoder.fit(records).fields) == set(FIELDS)
