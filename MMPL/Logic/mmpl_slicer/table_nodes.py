"""Finding MMPL's own nodes again, and filling table nodes."""

from __future__ import annotations

import math

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

import slicer

ROLE_ATTRIBUTE = "MMPL.Role"
CASE_ATTRIBUTE = "MMPL.CaseId"
NOT_GIVEN = "not given"


def find(scene, class_name: str, role: str, case_id: str):
    """The node that plays a role for a case, None when the scene has none."""
    for node in slicer.util.getNodesByClass(class_name, scene):
        if node.GetAttribute(ROLE_ATTRIBUTE) == role and node.GetAttribute(CASE_ATTRIBUTE) == case_id:
            return node
    return None


def find_or_add(scene, class_name: str, role: str, case_id: str, name: str):
    """The node that plays a role for a case, added when the scene has none."""
    node = find(scene, class_name, role, case_id)
    if node is not None:
        return node
    node = scene.AddNewNodeByClass(class_name, f"{name} ({case_id})")
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetAttribute(CASE_ATTRIBUTE, case_id)
    return node


def number_column(title: str, values) -> vtk.vtkDoubleArray:
    """A column of numbers; None becomes NaN."""
    numbers = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    column = numpy_to_vtk(numbers, deep=True)
    column.SetName(title)
    return column


def text_column(title: str, values) -> vtk.vtkStringArray:
    """A column of words."""
    column = vtk.vtkStringArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(str(value))
    return column


def set_columns(node, columns) -> None:
    """Replace a table node's columns with new ones of equal length, in one modification."""
    with slicer.util.NodeModify(node):
        node.RemoveAllColumns()
        table = vtk.vtkTable()
        for column in columns:
            table.AddColumn(column)
        node.SetAndObserveTable(table)
        for column in columns:
            node.SetColumnType(column.GetName(), column.GetDataType())


def column_values(node, title: str) -> list:
    """Values of a table node's column, by its title."""
    column = node.GetTable().GetColumnByName(title)
    return [column.GetValue(row) for row in range(column.GetNumberOfValues())]
