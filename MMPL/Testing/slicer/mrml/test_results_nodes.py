"""Results as tables, series, chart and text, in place."""

from __future__ import annotations

import json
import math

import pytest

import slicer
from mmpl_slicer.results_nodes import results_from_scene, update_results_nodes
from mmpl_slicer.rfs_chart import curve_rows, step_rows
from mmpl_slicer.table_nodes import column_values


def series_of(chart) -> dict:
    return {
        chart.GetNthPlotSeriesNode(i).GetName(): chart.GetNthPlotSeriesNode(i)
        for i in range(chart.GetNumberOfPlotSeriesNodes())
    }


def test_lesion_table_holds_classes_and_components(scene, results):
    table = update_results_nodes(scene, results).lesions
    assert column_values(table, "Lesion") == ["GTVp", "GTVp 1", "GTVn", "GTVn 1"]
    assert column_values(table, "Volume (mL)") == [9.2, 9.2, 3.05, 3.05]
    assert column_values(table, "TLG (g)") == [40.3, 40.3, 9.0, 9.0]
    assert column_values(table, "S (mm)")[1] == 60.0
    assert math.isnan(column_values(table, "S (mm)")[0])
    assert math.isnan(column_values(table, "SUVpeak")[2])


def test_prediction_table_says_what_the_results_say(scene, results):
    table = update_results_nodes(scene, results).predictions
    said = dict(zip(column_values(table, "Item"), column_values(table, "Value"), strict=True))
    assert said["HPV probability"] == "0.731"
    assert said["HPV status (predicted)"] == "positive"
    assert said["RFS time zero"] == "end of radiotherapy"
    assert said["RFS risk (higher = earlier relapse)"] == "0.420"
    assert said["RFS probability at 3y"] == "0.700"
    assert said["Warning SITE_UNKNOWN"] == "The primary site is unknown."
    assert "research use only" in said["Notice"]


def test_a_prediction_that_is_not_given_says_why(scene, results):
    results["hpv"].update(probability=None, status=None, reason="no lesion was found")
    results["rfs"].update(risk=None, curve=None, reason="no lesion was found")
    nodes = update_results_nodes(scene, results)
    said = dict(zip(column_values(nodes.predictions, "Item"), column_values(nodes.predictions, "Value"), strict=True))
    assert said["HPV probability"] == "not given: no lesion was found"
    assert said["RFS risk (higher = earlier relapse)"] == "not given: no lesion was found"
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == 0
    assert nodes.chart.GetTitle() == "Recurrence-free survival: not given (no lesion was found)"
    assert nodes.curve.GetNumberOfRows() == 0


def test_curve_table_ends_with_the_last_known_day(scene, results):
    table = update_results_nodes(scene, results).curve
    days = column_values(table, "Time (days)")
    assert days == [float(day) for day in range(0, 2201, 100)]
    assert column_values(table, "Time (years)")[-1] == pytest.approx(2200 / 365.25)
    assert column_values(table, "RFS probability")[0] == 1.0
    assert column_values(table, "Lowest member")[-1] == pytest.approx(1 - 220 / 365.25 - 0.05)


def test_steps_hold_each_value_until_the_next_day():
    curve = {"days": [0, 10, 30, 40], "survival": [1.0, 0.8, 0.5, None]}
    curve["members_low"] = curve["members_high"] = curve["survival"]
    steps = step_rows(curve_rows({"curve": curve}))
    assert [(row[0], row[2]) for row in steps] == [(0, 1.0), (10, 1.0), (10, 0.8), (30, 0.8), (30, 0.5)]


def test_chart_axes_name_time_zero_and_stay_between_0_and_1(scene, results):
    chart = update_results_nodes(scene, results).chart
    assert chart.GetXAxisTitle() == "Years since end of radiotherapy"
    assert chart.GetYAxisTitle() == "RFS probability"
    assert chart.GetYAxisRange() == (0.0, 1.0)
    assert set(series_of(chart)) == {"RFS", "Members' minimum (not a CI)", "Members' maximum (not a CI)"}


def test_the_models_contours_are_dashed_beside_the_current_ones(scene, results, make_results):
    nodes = update_results_nodes(scene, make_results(1.5), before=results)
    series = series_of(nodes.chart)
    assert series["Model's contours"].GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleDash
    assert series["Current contours"].GetLineStyle() == slicer.vtkMRMLPlotSeriesNode.LineStyleSolid
    before = column_values(series["Model's contours"].GetTableNode(), "RFS probability")
    current = column_values(series["Current contours"].GetTableNode(), "RFS probability")
    assert before[-1] == pytest.approx(1 - 220 / 365.25)
    assert current[-1] == pytest.approx(1 - 330 / 365.25)


def test_updating_changes_nodes_in_place(scene, results, make_results):
    first = update_results_nodes(scene, results, before=results)
    count = scene.GetNumberOfNodes()
    second = update_results_nodes(scene, make_results(2.0), before=results)
    assert scene.GetNumberOfNodes() == count
    assert [a is b for a, b in zip(first.all(), second.all(), strict=True)] == [True] * 5
    assert column_values(second.curve, "RFS probability")[10] == pytest.approx(1 - 200 / 365.25)


def test_without_before_the_dashed_line_goes(scene, results):
    update_results_nodes(scene, results, before=results)
    chart = update_results_nodes(scene, results).chart
    assert "Model's contours" not in series_of(chart)


def test_two_cases_have_their_own_nodes(scene, results):
    one = update_results_nodes(scene, results)
    two = update_results_nodes(scene, {**results, "case_id": "CASE-2"})
    assert not {node.GetID() for node in one.all()} & {node.GetID() for node in two.all()}


def test_provenance_and_document(scene, results):
    nodes = update_results_nodes(scene, results)
    for node in nodes.all():
        assert node.GetAttribute("MMPL.CaseId") == "CASE-1"
        assert node.GetAttribute("MMPL.Bundle") == "test bundle 0.1"
        assert node.GetAttribute("MMPL.BundleSha256") == "ab" * 32
    assert json.loads(nodes.document.GetText()) == results
    assert results_from_scene(scene, "CASE-1") == results
    assert results_from_scene(scene, "CASE-9") is None
