"""The results schema accepts what ``Results.as_dict()`` yields and refuses what it cannot be."""

from __future__ import annotations

import copy
import json

import pytest
from jsonschema import Draft202012Validator

from mmpl.errors import OutputError
from mmpl.report.validate import SCHEMA_FILE, validate_results


def test_the_schema_itself_is_valid():
    Draft202012Validator.check_schema(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def test_full_null_and_reread_results_pass(corrected, model, no_lesion):
    for results in (corrected, model, no_lesion, json.loads(json.dumps(corrected))):
        validate_results(results)


def test_results_of_before_the_members_range_at_years_pass(corrected):
    del corrected["rfs"]["members_at"]
    validate_results(corrected)


def test_pet_that_is_not_suv_passes_with_null_figures(corrected):
    for figures in (corrected["lesions"]["GTVp"], *corrected["lesions"]["GTVp"]["components"]):
        figures.update(dict.fromkeys(("suv_max", "suv_peak", "suv_mean", "mtv_ml", "tlg_g")))
    validate_results(corrected)


# path to a place, the value put there, words that the error must contain
MUTATIONS = {
    "probability above one": (("hpv", "probability"), 1.2, "$.hpv.probability"),
    "probability as text": (("hpv", "probability"), "0.8", "$.hpv.probability"),
    "threshold below zero": (("hpv", "threshold"), -0.1, "$.hpv.threshold"),
    "unknown status": (("hpv", "status"), "maybe", "$.hpv.status"),
    "null probability without a reason": (("hpv", "probability"), None, "$.hpv"),
    "probability without a status": (("hpv", "status"), None, "$.hpv.status"),
    "null risk without a reason": (("rfs", "risk"), None, "$.rfs"),
    "risk without a curve": (("rfs", "curve"), None, "$.rfs.curve"),
    "risk group": (("rfs", "risk_group"), "medium", "$.rfs.risk_group"),
    "survival above one": (("rfs", "curve", "survival", 3), 1.5, "$.rfs.curve.survival[3]"),
    "survival that rises": (("rfs", "curve", "survival", 0), 0.5, "rises"),
    "a gap in the survival": (("rfs", "curve", "survival", 3), None, "null"),
    "days that fall": (("rfs", "curve", "days", 3), 1.0, "days"),
    "a band that misses the curve": (("rfs", "curve", "members_low", 5), 1.0, "outside"),
    "a year outside its members": (("rfs", "members_at", "2y"), [0.0, 0.1], "outside"),
    "members of a year that is null": (("rfs", "survival_at", "3y"), None, "outside"),
    "members in the wrong number": (("rfs", "members_at", "2y"), [0.5], "$.rfs.members_at"),
    "year that is not given": (("rfs", "survival_at"), {"1y": 0.9}, "$.rfs.survival_at"),
    "year of another name": (("rfs", "survival_at", "4y"), 0.5, "$.rfs.survival_at"),
    "negative volume": (("lesions", "GTVp", "volume_ml"), -1.0, "$.lesions.GTVp.volume_ml"),
    "a third class": (("lesions", "GTVt"), {}, "$.lesions"),
    "centroid in two dimensions": (
        ("lesions", "GTVn", "components", 0, "centroid_lps_mm"),
        [1.0, 2.0],
        "centroid",
    ),
    "component ids out of order": (("lesions", "GTVn", "components", 1, "id"), 7, "GTVn"),
    "short checksum": (("bundle", "sha256"), "abc", "$.bundle.sha256"),
    "other schema version": (("schema_version",), "2.0", "$.schema_version"),
    "unknown field": (("comment",), "x", "comment"),
    "warning without text": (("warnings", 0, "text"), "", "$.warnings[0].text"),
    "warning code in lower case": (("warnings", 0, "code"), "site unknown", "$.warnings[0].code"),
    "effect that is null": (("contributions", "rfs", 0, "effect"), None, "$.contributions.rfs[0].effect"),
    "negative time": (("timings_s", "radiomics"), -1, "$.timings_s.radiomics"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_refused_where_it_is(corrected, name):
    path, value, words = MUTATIONS[name]
    results = copy.deepcopy(corrected)
    place = results
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(OutputError) as refusal:
        validate_results(results)
    assert words in str(refusal.value)


@pytest.mark.parametrize("field", ["case_id", "notice", "hpv", "rfs", "lesions", "warnings", "bundle", "mtv_rule"])
def test_a_missing_field_is_refused(corrected, field):
    del corrected[field]
    with pytest.raises(OutputError, match=field):
        validate_results(corrected)


def test_curve_arrays_of_different_lengths_are_refused(corrected):
    corrected["rfs"]["curve"]["members_high"].pop()
    with pytest.raises(OutputError, match="different lengths"):
        validate_results(corrected)
