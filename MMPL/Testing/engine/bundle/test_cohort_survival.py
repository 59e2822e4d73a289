"""The training cohort's curve in a bundle: optional, and refused when it cannot be one."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mmpl.bundle.card import model_card
from mmpl.bundle.parts import CohortSurvival
from mmpl.bundle.peek import peek
from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.bundle.writer import write_bundle, zip_bundle
from mmpl.errors import BundleError
from mmpl.phantom.cohort import _table_row
from mmpl.phantom.factors import draw_factors
from mmpl.training.kaplan_meier import kaplan_meier

CURVE = CohortSurvival((0, 10.0, 20.0), (1, 0.5, 0.5), (4, 4, 1), 4, 2)


@pytest.fixture
def a_folder_with_a_curve(tmp_path, an_info, a_payload):
    write_bundle(tmp_path / "c", dataclasses.replace(an_info, cohort_survival=CURVE), a_payload)
    return tmp_path / "c"


def test_a_bundle_without_a_curve_opens_and_says_nothing_of_it(a_bundle_folder):
    assert "cohort_survival" not in json.loads((a_bundle_folder / "bundle.json").read_text(encoding="utf-8"))
    bundle = open_bundle(a_bundle_folder)
    assert bundle.info.cohort_survival is None
    assert "Kaplan" not in bundle.text("MODEL_CARD.md")


def test_a_bundle_without_a_curve_keeps_its_identity_when_packed(a_bundle_folder, tmp_path):
    bundle = open_bundle(a_bundle_folder)
    zip_bundle(bundle, tmp_path / "b.zip")
    assert open_bundle(tmp_path / "b.zip").sha256 == bundle.sha256


def test_a_curve_comes_back_as_written(a_folder_with_a_curve, tmp_path):
    bundle = open_bundle(a_folder_with_a_curve)
    assert bundle.info.cohort_survival == CURVE
    zip_bundle(bundle, tmp_path / "c.zip")
    assert open_bundle(tmp_path / "c.zip").sha256 == bundle.sha256


def test_the_model_card_counts_patients_and_relapses(an_info):
    card = model_card(dataclasses.replace(an_info, cohort_survival=CURVE))
    assert "Patients with follow-up: 4, of whom 2 relapsed; the last was followed for 20 days." in card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"survival": [1, 0.5]}, "3 days, 2 values and 3 numbers at risk"),
        ({"days": [5, 10, 20]}, "begins at day 5"),
        ({"survival": [0.9, 0.5, 0.5]}, "begins at day 0 with 0.9"),
        ({"at_risk": [3, 3, 1]}, "3 at risk"),
        ({"days": [0, 20, 10]}, "days that do not ascend"),
        ({"survival": [1, 0.5, 0.6]}, "values that rise"),
        ({"at_risk": [4, 1, 4]}, "numbers at risk that rise"),
        ({"events": 5}, "5 events in 4 patients"),
    ],
)
def test_a_curve_that_cannot_be_one_is_refused_by_both_readers(a_folder_with_a_curve, changes, said):
    place = a_folder_with_a_curve / "bundle.json"
    raw = json.loads(place.read_text(encoding="utf-8"))
    raw["cohort_survival"].update(changes)
    place.write_text(json.dumps(raw), encoding="utf-8")
    for read in (open_bundle, peek):
        with pytest.raises(BundleError, match="cohort_survival") as caught:
            read(a_folder_with_a_curve)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "curve",
    [
        None,
        [],
        {},
        {**dataclasses.asdict(CURVE), "days": [-1, 10, 20]},
        {**dataclasses.asdict(CURVE), "survival": [1, 1.5, 0.5]},
        {**dataclasses.asdict(CURVE), "patients": 0},
        {**dataclasses.asdict(CURVE), "more": 1},
    ],
)
def test_a_curve_of_another_form_breaks_the_schema(a_folder_with_a_curve, curve):
    place = a_folder_with_a_curve / "bundle.json"
    raw = {**json.loads(place.read_text(encoding="utf-8")), "cohort_survival": curve}
    place.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleError, match="does not follow its schema at cohort_survival"):
        open_bundle(a_folder_with_a_curve)


def test_the_demo_bundles_curve_is_that_of_the_phantoms_it_was_trained_on():
    """Outcomes cost no rendering: the cohort's table, drawn again."""
    bundle = open_bundle(default_bundle_path())
    rows = [_table_row(draw_factors(20250, index), 2) for index in range(300)]
    drawn = kaplan_meier([float(row[-1]) for row in rows], [row[-2] for row in rows])
    assert bundle.info.cohort_survival == drawn
    trained_on = [bundle.json(member.files["rfs_statistics"])["event_times"] for member in bundle.info.members]
    assert set().union(*trained_on) == {float(row[-1]) for row in rows if row[-2]}
    assert bundle.text("MODEL_CARD.md") == model_card(bundle.info)
