"""The clinical form: what it offers, what is in force, what is tried."""

from __future__ import annotations

import pytest

from mmpl.errors import ClinicalError
from mmpl_slicer.patient_form import checked_value, normal_values, patient_state, tried_text, without_unusable

NAMES = ("Age", "Gender")


def test_site_and_hpv_come_first_and_then_the_bundles_fields():
    state = patient_state("A", NAMES, {}, {}, False)
    assert [field.name for field in state.fields] == ["Primary Site", "HPV Status", "Age", "Gender"]
    assert all(field.value is None for field in state.fields)
    assert all(field.options[0] == (None, "Unknown") for field in state.fields if field.options)
    assert state.tried == ""


def test_a_field_of_the_bundle_that_is_unknown_here_is_left_out():
    assert [field.name for field in patient_state("A", ("Shoe size",), {}, {}, False).fields][2:] == []


def test_a_number_has_limits_and_a_unit():
    age = patient_state("A", NAMES, {"Age": 61}, {}, False).fields[2]
    assert (age.unit, age.value, age.options) == ("years", 61, ())
    assert age.low < 61 < age.high


def test_what_differs_from_the_record_is_said_in_words():
    state = patient_state("A", NAMES, {"Age": 61, "Gender": 1}, {"Age": 70, "Gender": None}, False)
    assert [field.changed for field in state.fields] == [False, False, True, True]
    assert state.tried == "Age 70 years (on record: 61 years); Gender Unknown (on record: male)"


def test_what_is_tried_is_said_whichever_fields_a_bundle_asks_for():
    assert tried_text({"Age": 61}, {"Age": 70, "HPV Status": "positive"}) == (
        "Known p16/HPV Positive (on record: Unknown); Age 70 years (on record: 61 years)"
    )
    assert tried_text({"Age": 61}, {}) == ""


def test_a_value_that_is_the_records_in_another_spelling_is_no_change():
    assert patient_state("A", NAMES, {"Gender": "male"}, {"Gender": 1}, False).tried == ""


def test_hpv_is_as_known_only_where_it_is_known():
    assert not patient_state("A", NAMES, {}, {}, True).hpv_as_known
    state = patient_state("A", NAMES, {"HPV Status": "positive"}, {}, True)
    assert state.hpv_as_known
    assert state.known_hpv == "positive"


def test_values_are_normal():
    values = normal_values({"Gender": "female", "HPV Status": 1, "Age": "61"})
    assert (values["Gender"], values["HPV Status"], values["Age"]) == (0, "positive", 61)


@pytest.mark.parametrize(("name", "value"), [("Age", 900), ("Age", "old"), ("HPV Status", "maybe"), ("Shoe size", 43)])
def test_impossible_values_are_refused(name, value):
    with pytest.raises(ClinicalError):
        checked_value(name, value)


def test_what_cannot_be_used_is_told_apart():
    usable, dropped = without_unusable({"Age": 61, "Shoe size": 43, "HPV Status": "maybe"})
    assert usable == {"Age": 61}
    assert dropped == ["Shoe size", "HPV Status"]
