"""Results as the panel says them."""

from __future__ import annotations

import pytest

from mmpl.report.text import sentence
from mmpl_slicer.results_text import class_row, lesion_rows, results_state


def shown(results):
    return results_state(results, current=True, stale_text="", chart_id="", deep_note="")


def plain(text: str) -> str:
    """With ordinary spaces: no line breaks before a per cent sign."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_hpv_and_rfs_in_one_line_each(results):
    state = shown(results)
    assert plain(state.hpv_text) == "HPV positive: probability 73 % (members 70 % to 76 %), threshold 50 %"
    assert state.rfs_text == "Risk group: intermediate (risk +0.42; higher = earlier relapse)"
    assert (state.hpv_probability, state.hpv_low, state.hpv_high, state.hpv_threshold) == (0.731, 0.7, 0.762, 0.5)
    assert tuple((time, plain(value)) for time, value in state.survival) == (
        ("1 year", "90 %"),
        ("2 years", "80 %"),
        ("3 years", "70 %"),
        ("5 years", "50 %"),
    )
    assert state.warnings == ("The primary site is unknown.",)


def test_a_probability_just_below_the_threshold_reads_so(results):
    results["hpv"] |= {"status": "negative", "probability": 0.5861, "threshold": 0.587, "members": []}
    assert plain(shown(results).hpv_text) == "HPV negative: probability 58.6 %, threshold 58.7 %"


def test_what_is_not_given_says_why(results):
    results["hpv"] |= {"probability": None, "status": None, "members": [], "reason": "no lesion is contoured"}
    results["rfs"] |= {"risk": None, "risk_group": None, "reason": "no lesion is contoured"}
    results["rfs"]["survival_at"] = dict.fromkeys(results["rfs"]["survival_at"])
    state = shown(results)
    assert state.hpv_text == "HPV: not given, no lesion is contoured"
    assert state.rfs_text == "RFS: not given, no lesion is contoured"
    assert (state.hpv_low, state.hpv_high, state.risk_group) == (None, None, "")
    assert {value for _, value in state.survival} == {"not given"}


def test_a_known_status_stands_beside_the_prediction(results):
    results["hpv"]["known"] = "negative"
    assert shown(results).hpv_known == "On record: HPV negative"


def test_drivers_are_shares_of_the_largest_and_zeros_are_left_out(results):
    terms = [("a", 1.0, -0.04), ("b", None, 0.01), ("c", 3.0, 0.0)]
    results["contributions"]["hpv"] = [{"feature": f, "value": v, "effect": e} for f, v, e in terms]
    first, second = shown(results).hpv_drivers
    assert (plain(first.effect), plain(second.effect)) == ("-4.0 %", "+1.0 %")
    assert abs(first.share) == pytest.approx(1.0)
    assert second.share / first.share == pytest.approx(-0.25)
    assert (first.value, second.value) == ("1", "")


def test_lesions_are_named_by_class_and_number(results):
    rows = lesion_rows(results)
    assert [row.name for row in rows] == ["GTVp 1", "GTVn 1"]
    assert (rows[0].volume, rows[0].suv_max, rows[0].mtv) == ("9.2 mL", "9.0", "6.1 mL")
    assert rows[0].centre_lps == (10.0, 5.0, 60.0)


def test_a_class_without_figures_is_blank():
    row = class_row(2, None, "empty", can_return=False)
    assert (row.name, row.volume, row.suv_max, row.mtv) == ("GTVn", "", "", "")


@pytest.mark.parametrize(
    ("words", "read"),
    [("", ""), ("bundle x\n is gone", "Bundle x is gone."), ("Done.", "Done."), ("5 mm: why?", "5 mm: why?")],
)
def test_errors_are_read_as_sentences(words, read):
    assert sentence(words) == read
