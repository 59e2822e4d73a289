"""Dose of the classes and of both together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmpl.dose.result import DoseSource, dose_of_contours
from mmpl.geometry import Geometry, Volume

GRID = Geometry((6, 1, 1), (10, 10, 10), (0, 0, 0))
DOSE = Volume(np.array([10, 20, 30, 40], np.float32).reshape(1, 1, 4), Geometry((4, 1, 1), (10, 10, 10), (0, 0, 0)))


def contours(primary, nodes):
    masks = {"GTVp": primary, "GTVn": nodes}
    masks = {name: np.array(mask, dtype=bool).reshape(1, 1, 6) for name, mask in masks.items()}
    source = DoseSource("PHYSICAL", "PLAN")
    return dose_of_contours(DOSE, masks, GRID, source=source, levels_gy=(15.0, 25.0))


def test_each_class_and_the_union():
    result, notices = contours([1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0])
    assert notices == ()
    assert [result.figures[name].mean_gy for name in ("GTVp", "GTVn", "total")] == [15, 30, 25]
    assert result.figures["total"].volume_ml == pytest.approx(4.0)  # the shared voxel once
    assert result.figures["total"].v_percent == (75.0, 50.0)


def test_what_the_dose_does_not_cover_is_said():
    result, notices = contours([0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1])
    assert [notice.text for notice in notices] == [
        "The dose grid covers 50 % of GTVp: its dose figures are of that part only.",
        "GTVn lies outside the dose grid: no dose is given for it.",
    ]
    assert {notice.code for notice in notices} == {"DOSE_PARTLY_COVERED"}
    assert result.figures["GTVp"].mean_gy == 40
    assert result.figures["GTVn"].mean_gy is None
    assert result.figures["total"].covered_share == pytest.approx(1 / 3)


def test_a_class_without_contour_has_a_reason_and_no_notice():
    result, notices = contours([1, 0, 0, 0, 0, 0], [0] * 6)
    assert notices == ()
    assert result.figures["GTVn"].reason == "the contour is empty"


def test_json_says_that_dose_is_no_model_input():
    written = json.loads(json.dumps(contours([1, 1, 0, 0, 0, 0], [0] * 6)[0].as_dict()))
    assert "no input of any model" in written["note"]
    assert written["source"] == {"units": "GY", "dose_type": "PHYSICAL", "summation_type": "PLAN"}
    assert written["levels_gy"] == [15, 25]
    assert written["GTVp"]["v_percent"] == [50, 0]
