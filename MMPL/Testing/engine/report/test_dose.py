"""The dose in results.json and in the report."""

from __future__ import annotations

import copy
import html
import re

import numpy as np
import pytest

from mmpl.dose.result import DoseSource, dose_of_contours
from mmpl.errors import OutputError
from mmpl.geometry import Geometry, Volume
from mmpl.report.dose import dose_section
from mmpl.report.html import render_report
from mmpl.report.validate import validate_results

GRID = Geometry((8, 5, 5), (2, 2, 2), (0, 0, 0))


@pytest.fixture
def dose() -> dict:
    """A dose of 60 to 70 Gy by x in the primary; a node that it covers by half; no other."""
    array = np.broadcast_to(np.linspace(60, 70, 6, dtype=np.float32), (5, 5, 6))
    primary, node = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    primary[:, :, :4] = True
    node[:, :, 4:] = True
    return dose_of_contours(
        Volume(array, Geometry((6, 5, 5), (2, 2, 2), (0, 0, 0))),
        {"GTVp": primary, "GTVn": node},
        GRID,
        source=DoseSource("PHYSICAL", "PLAN"),
    )[0].as_dict()


def rows(text: str) -> list[list[str]]:
    """Cells of each row of a table, without tags."""
    found = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", text))
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in found]


def test_results_with_dose_without_and_with_null_are_valid(corrected, dose):
    for value in ({}, {"dose": None}, {"dose": dose}):
        validate_results(corrected | value)


def test_a_contour_without_dose_is_valid_with_its_reason(corrected, dose):
    nothing = dict.fromkeys(dose["GTVn"]) | {"volume_ml": 1.0, "covered_share": 0.0, "reason": "outside"}
    validate_results(corrected | {"dose": dose | {"GTVn": nothing}})


MUTATIONS = {
    "null without a reason": (("GTVp", "mean_gy"), None, "$.dose.GTVp"),
    "negative dose": (("GTVp", "d95_gy"), -1.0, "d95_gy"),
    "share above one": (("GTVn", "covered_share"), 1.5, "covered_share"),
    "percent above 100": (("GTVp", "v_percent", 0), 101.0, "v_percent"),
    "other units": (("source", "units"), "CGY", "units"),
    "unknown figure": (("GTVp", "d1cc_gy"), 1.0, "d1cc_gy"),
    "no note": (("note",), "", "note"),
}


@pytest.mark.parametrize(("place", "value", "words"), MUTATIONS.values(), ids=MUTATIONS)
def test_a_dose_that_cannot_be_is_refused(corrected, dose, place, value, words):
    changed = copy.deepcopy(dose)
    part = changed
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(OutputError) as caught:
        validate_results(corrected | {"dose": changed})
    assert "$.dose" in str(caught.value)
    assert words in str(caught.value)


def test_the_table_shows_what_the_results_hold(dose):
    head, primary, node, both = rows(dose_section({"dose": dose}))
    assert head[:6] == ["Contour", "Mean Gy", "Min. Gy", "Max. Gy", "D98 Gy", "D95 Gy"]
    assert head[-5:] == ["V50 %", "V60 %", "V66 %", "V70 %", "Covered %"]
    # 60, 62, 64 and 66 Gy in 25 voxels each
    doses = {"mean": "63.0", "min": "60.0", "max": "66.0", "D98": "60.0", "D95": "60.0", "D50": "64.0", "D2": "66.0"}
    assert primary == ["GTVp", *doses.values(), "100.0", "100.0", "25.0", "0.0", "100"]
    # 68 and 70 Gy in 25 voxels each, as many without dose
    doses = {"mean": "69.0", "min": "68.0", "max": "70.0", "D98": "68.0", "D95": "68.0", "D50": "70.0", "D2": "70.0"}
    assert node == ["GTVn", *doses.values(), "100.0", "100.0", "100.0", "50.0", "50.0"]
    assert both[0] == "Both"
    assert both[-1] == "75.0"


def test_the_section_says_what_the_dose_is_and_is_not(dose):
    text = dose_section({"dose": dose})
    assert text.startswith("<section>\n<h2>Dose</h2>")
    assert "no input of any model" in text
    assert "Dose in Gy; type: physical; sum: PLAN." in text


def test_a_contour_outside_has_a_sentence(dose):
    dose["GTVn"] |= {"reason": "the contour lies outside the dose grid", "mean_gy": None, "v_percent": None}
    assert rows(dose_section({"dose": dose}))[2] == ["GTVn", "The contour lies outside the dose grid."]


def test_coverage_is_never_rounded_to_all(dose):
    dose["GTVp"]["covered_share"] = 0.9999
    assert rows(dose_section({"dose": dose}))[1][-1] == "99.9"


def test_without_dose_there_is_no_section(corrected):
    assert dose_section(corrected) == ""
    assert dose_section(corrected | {"dose": None}) == ""


def test_the_report_has_the_section_where_there_is_a_dose(corrected, dose):
    def report(results):
        return render_report(results=results, before=None, lesion_pictures=[], clinical=[], generated="today")

    with_dose, without = report(corrected | {"dose": dose}), report(corrected)
    assert with_dose.replace(dose_section({"dose": dose}) + "\n", "") == without
    assert "<h2>Dose</h2>" not in without


def test_hostile_text_is_only_text(dose):
    dose["note"] = dose["source"]["summation_type"] = "<script>alert(1)</script>"
    assert "<script" not in dose_section({"dose": dose})
