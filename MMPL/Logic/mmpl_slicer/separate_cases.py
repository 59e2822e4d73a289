"""Names of cases: kept apart where a scene that is added to another brings one that is taken, and given anew."""

from __future__ import annotations

import slicer
from mmpl_slicer.case_record import CT, MODEL, PET, SEGMENTATION, CaseRecord, records, unique_case_id
from mmpl_slicer.results_nodes import results_of_node, write_results
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE


def separate_cases(scene) -> None:
    """Give a case whose name an earlier one has a name of its own, and all of its nodes with it.

    A case's images are there before its other nodes, and an added scene comes last: what stands after the first node of
    the second case of a name belongs to that one, also before its record, which may have been made anew.
    """
    taken: set[str] = set()
    of_earlier: list = []
    for record in records(scene):
        case_id = record.case_id
        if case_id in taken:
            unique = unique_case_id(case_id, taken | {other.case_id for other in records(scene)})
            nodes = slicer.util.getNodesByClass("vtkMRMLNode", scene)
            first = min(nodes.index(node) for node in _nodes_of(record) if node not in of_earlier)
            _rename(nodes[first:], record, case_id, unique)
            case_id = unique
        taken.add(case_id)
        of_earlier += _nodes_of(record)


def _nodes_of(record: CaseRecord) -> list:
    """A case's record, and what it refers to."""
    referred = (record.get(role) for role in (CT, PET, SEGMENTATION, MODEL))
    return [record.node, *(node for node in referred if node is not None)]


def rename_case(scene, record: CaseRecord, wanted: str) -> str:
    """Give a case another name, with a number where another case has it; returns the name."""
    old = record.case_id
    new = unique_case_id(wanted, {other.case_id for other in records(scene) if other.node is not record.node})
    _rename(slicer.util.getNodesByClass("vtkMRMLNode", scene), record, old, new)
    return new


def _rename(nodes, record: CaseRecord, old: str, new: str) -> None:
    for node in nodes:
        if node.GetAttribute(CASE_ATTRIBUTE) != old:
            continue
        node.SetAttribute(CASE_ATTRIBUTE, new)
        if node.IsA("vtkMRMLTextNode") and (results := results_of_node(node)) is not None:
            write_results(node, {**results, "case_id": new})
    record.rename(new)
