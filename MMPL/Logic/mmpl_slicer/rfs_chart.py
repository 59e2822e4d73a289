"""The RFS curve as table, plot series and chart nodes."""

from __future__ import annotations

from mmpl.bundle.parts import CohortSurvival
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE, find_or_add, number_column, set_columns

DAYS_PER_YEAR = 365.25
CURVE_ROLE, POINTS_ROLE, CHART_ROLE = "rfs_curve", "rfs_points", "rfs_chart"
BEFORE_SUFFIX, COHORT_SUFFIX = "_before", "_cohort"

DAYS, YEARS = "Time (days)", "Time (years)"
SURVIVAL, LOW, HIGH = "RFS probability", "Lowest member", "Highest member"
COLUMNS = (DAYS, YEARS, SURVIVAL, LOW, HIGH)

BLUE, LIGHT_BLUE, GREY = (0.0, 114 / 255, 178 / 255), (0.45, 0.68, 0.85), (0.35, 0.35, 0.35)
LIGHT_GREY = (0.66, 0.66, 0.66)
LINE_STYLE_SOLID, LINE_STYLE_DASH = 1, 2  # vtkMRMLPlotSeriesNode.LineStyle*


def update_rfs_table(scene, results: dict):
    """Write the RFS curve of a case by day to its vtkMRMLTableNode, which is returned."""
    node = find_or_add(scene, "vtkMRMLTableNode", CURVE_ROLE, results["case_id"], "MMPL RFS curve")
    set_columns(node, _table_columns(curve_rows(results["rfs"])))
    return node


def update_rfs_chart(scene, results: dict, before: dict | None = None, cohort: CohortSurvival | None = None):
    """Draw the RFS curve of a case, and that of the model's contours, in its chart.

    Parameters
    ----------
    scene : vtkMRMLScene
    results, before : dictionaries of ``mmpl.results.Results.as_dict``
    cohort : Kaplan-Meier curve of the training cohort, drawn behind as far as the patient's curves reach

    Returns
    -------
    vtkMRMLPlotChartNode
    """
    case_id = results["case_id"]
    chart = find_or_add(scene, "vtkMRMLPlotChartNode", CHART_ROLE, case_id, "RFS")
    was_modifying = chart.StartModify()
    chart.RemoveAllPlotSeriesNodeIDs()
    edited = before is not None
    behind = [] if cohort is None else _cohort_series(scene, case_id, results["rfs"], cohort)
    earlier = _before_series(scene, case_id, before["rfs"]) if edited else []
    for series in behind + earlier + _current_series(scene, case_id, results["rfs"], edited):
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    _label(chart, results["rfs"])
    chart.EndModify(was_modifying)
    return chart


def curve_rows(rfs: dict) -> list[tuple[float, float, float, float, float]]:
    """(days, years, survival, lowest, highest member) as far as the curve is known.

    Rows beyond the last training event hold no survival and are left out.
    """
    curve = rfs["curve"]
    if curve is None:
        return []
    rows = zip(curve["days"], curve["survival"], curve["members_low"], curve["members_high"], strict=True)
    return [(day, day / DAYS_PER_YEAR, s, low, high) for day, s, low, high in rows if s is not None]


def step_rows(rows: list[tuple]) -> list[tuple]:
    """Rows of a step function for a plot of straight lines: each value holds until the next day."""
    steps: list[tuple] = []
    for row in rows:
        if steps:
            steps.append((*row[:2], *steps[-1][2:]))
        steps.append(row)
    return steps


def _current_series(scene, case_id: str, rfs: dict, edited: bool) -> list:
    points = _points(scene, case_id, rfs, "")
    if points is None:
        return []
    name = "Current contours" if edited else "RFS"
    return [
        _series(scene, points, SURVIVAL, name, BLUE, LINE_STYLE_SOLID, 3.0),
        _series(scene, points, LOW, "Members' minimum (not a CI)", LIGHT_BLUE, LINE_STYLE_SOLID, 1.0),
        _series(scene, points, HIGH, "Members' maximum (not a CI)", LIGHT_BLUE, LINE_STYLE_SOLID, 1.0),
    ]


def _before_series(scene, case_id: str, rfs: dict) -> list:
    points = _points(scene, case_id, rfs, BEFORE_SUFFIX)
    if points is None:
        return []
    return [_series(scene, points, SURVIVAL, "Model's contours", GREY, LINE_STYLE_DASH, 2.0)]


def _cohort_series(scene, case_id: str, rfs: dict, cohort: CohortSurvival) -> list:
    reach = max((row[0] for row in curve_rows(rfs)), default=None)
    if reach is None:
        return []
    rows = [
        (day, day / DAYS_PER_YEAR, survival, survival, survival)
        for day, survival in zip(cohort.days, cohort.survival, strict=True)
        if day <= reach
    ]
    points = _points_of(scene, case_id, step_rows(rows), POINTS_ROLE + COHORT_SUFFIX)
    name = f"Training cohort (Kaplan-Meier, n = {cohort.patients})"
    return [_series(scene, points, SURVIVAL, name, LIGHT_GREY, LINE_STYLE_SOLID, 1.5)]


def _points(scene, case_id: str, rfs: dict, suffix: str):
    """The hidden table that a curve is drawn from, as steps; None when there is no curve."""
    rows = step_rows(curve_rows(rfs))
    return _points_of(scene, case_id, rows, POINTS_ROLE + suffix) if rows else None


def _points_of(scene, case_id: str, rows: list[tuple], role: str):
    node = find_or_add(scene, "vtkMRMLTableNode", role, case_id, f"MMPL {role.replace('_', ' ')}")
    node.SetHideFromEditors(True)
    set_columns(node, _table_columns(rows))
    return node


def _table_columns(rows: list[tuple]) -> list:
    return [number_column(title, [row[i] for row in rows]) for i, title in enumerate(COLUMNS)]


def _series(scene, points, column: str, name: str, color, line_style: int, width: float):
    case_id = points.GetAttribute(CASE_ATTRIBUTE)
    role = f"{points.GetAttribute('MMPL.Role')}:{column}"
    node = find_or_add(scene, "vtkMRMLPlotSeriesNode", role, case_id, name)
    was_modifying = node.StartModify()
    node.SetName(name)
    node.SetAndObserveTableNodeID(points.GetID())
    node.SetXColumnName(YEARS)
    node.SetYColumnName(column)
    node.SetPlotType(node.PlotTypeScatter)
    node.SetMarkerStyle(node.MarkerStyleNone)
    node.SetLineStyle(line_style)
    node.SetLineWidth(width)
    node.SetColor(*color)
    node.EndModify(was_modifying)
    return node


def _label(chart, rfs: dict) -> None:
    title = "Recurrence-free survival"
    if rfs["curve"] is None:
        title += f": not given ({rfs['reason']})" if rfs["reason"] else ": not given"
    chart.SetTitle(title)
    chart.SetXAxisTitle(f"Years since {rfs['time_zero']}")
    chart.SetYAxisTitle(SURVIVAL)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 1.0)
    chart.SetLegendVisibility(True)
    chart.SetGridVisibility(True)
