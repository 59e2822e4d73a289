"""Raw clinical values: what is understood, what is Unknown, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmpl.clinical.fields import FIELDS, missing_notice, parse_record
from mmpl.errors import ClinicalError
from mmpl.notices import CLINICAL_MISSING, UNSEEN_CATEGORY


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        ("Age", "63", 63.0),
        ("Age", 63.5, 63.5),
        ("Age", np.float32(40), 40.0),
        ("Age", 0, 0.0),
        ("Age", 120, 120.0),
        ("Gender", "M", 1),
        ("Gender", "female", 0),
        ("Gender", " Male ", 1),
        ("Gender", "1.0", 1),
        ("Gender", np.int64(0), 0),
        ("Tobacco Consumption", "yes", 1),
        ("Tobacco Consumption", True, 1),
        ("Alcohol Consumption", "0.0", 0),
        ("Performance Status", "2", 2),
        ("Performance Status", 4.0, 4),
        ("Treatment", "chemoradiotherapy", 1),
        ("M-stage", "M0", 0),
        ("M-stage", "m1", 1),
        ("M-stage", "Mx", None),
    ],
)
def test_accepted_spellings(field, raw, expected):
    record, notices = parse_record({field: raw})
    assert record[field] == expected
    assert type(record[field]) is type(expected)
    assert notices == ()


@pytest.mark.parametrize("raw", [None, "", "  ", "unknown", "NaN", math.nan, np.float64("nan"), "N/A"])
@pytest.mark.parametrize("field", list(FIELDS))
def test_unknown_spellings_are_none_without_notice(field, raw):
    record, notices = parse_record({field: raw})
    assert record[field] is None
    assert notices == ()


@pytest.mark.parametrize(
    ("field", "raw"),
    [("Performance Status", 7), ("Gender", "X"), ("Gender", 2), ("Treatment", 0.5), ("M-stage", "M2")],
)
def test_a_category_never_heard_of_is_unknown_with_a_notice(field, raw):
    record, notices = parse_record({field: raw})
    assert record[field] is None
    assert [n.code for n in notices] == [UNSEEN_CATEGORY]
    assert field in notices[0].text
    assert repr(raw) in notices[0].text


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("Age", True),
        ("Age", -1),
        ("Age", 400),
        ("Age", math.inf),
        ("Age", "sixty"),
        ("Age", 10**400),
        ("Age", [63]),
        ("Gender", {"value": 1}),
        ("Gender", True),
        ("Performance Status", False),
        ("Treatment", math.inf),
        ("Treatment", "inf"),
        ("M-stage", ["M0"]),
    ],
)
def test_what_cannot_mean_anything_is_refused_by_name_and_value(field, raw):
    with pytest.raises(ClinicalError) as caught:
        parse_record({field: raw})
    assert str(caught.value).startswith(f"{field} is {raw!r}")


def test_an_unknown_field_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ClinicalError, match=r"'Weight'.*Age.*M-stage"):
        parse_record({"Weight": 80})


def test_fields_are_matched_without_regard_to_case_and_separators():
    record, _ = parse_record({"tobacco_consumption": 1, "M stage": "M1"})
    assert (record["Tobacco Consumption"], record["M-stage"]) == (1, 1)


def test_a_field_given_twice_is_refused():
    with pytest.raises(ClinicalError, match="Age is given twice"):
        parse_record({"Age": 60, "age": 61})


def test_targets_identifiers_and_site_are_no_features():
    raw = {"PatientID": "P1", "CenterID": 3, "Relapse": 1, "RFS": 200, "HPV Status": 1, "Primary Site": "x"}
    record, notices = parse_record(raw)
    assert set(record) == set(FIELDS)
    assert set(record.values()) == {None}
    assert notices == ()


def test_missing_notice_names_the_unknown_fields_only():
    record, _ = parse_record({"Age": 60, "Gender": 1})
    (notice,) = missing_notice(record)
    assert notice.code == CLINICAL_MISSING
    assert "Treatment" in notice.text
    assert "Gender" not in notice.text
    full = dict.fromkeys(FIELDS, 0)
    assert missing_notice(full) == ()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["Age"], "Unknown: Age; the training cohort's median stands in for the age"),
        (["M-stage"], "Unknown: M-stage; the models know an unknown value as such"),
        (
            ["Age", "M-stage"],
            "Unknown: Age, M-stage; the training cohort's median stands in for the age, and the models know an unknown "
            "value as such",
        ),
    ],
)
def test_missing_notice_says_what_stands_in(missing, said):
    record = {name: None if name in missing else 1 for name in FIELDS}
    assert [notice.text for notice in missing_notice(record)] == [said]
