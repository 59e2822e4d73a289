"""Results as MRML nodes: tables, the RFS chart and results.json, updated in place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import vtk

import slicer
from mmpl.bundle.parts import CohortSurvival
from mmpl_slicer.rfs_chart import CHART_ROLE, update_rfs_chart, update_rfs_table
from mmpl_slicer.table_nodes import NOT_GIVEN, find, find_or_add, number_column, set_columns, text_column

RESULTS_ROLE = "results.json"
MODEL_RESULTS_ROLE = "model results.json"
LESIONS_ROLE = "lesions"
PREDICTIONS_ROLE = "predictions"
SEAL_ATTRIBUTE = "MMPL.Seal"  # fingerprint of what was written: a text that someone has changed is nobody's results


@dataclass(frozen=True)
class ResultsNodes:
    """The nodes that show one case's results.

    Attributes
    ----------
    lesions : vtkMRMLTableNode, one row per class and per component
    predictions : vtkMRMLTableNode, HPV and RFS figures in words
    curve : vtkMRMLTableNode, RFS by day; without rows when no RFS is given
    chart : vtkMRMLPlotChartNode
    document : vtkMRMLTextNode, the text of results.json
    """

    lesions: object
    predictions: object
    curve: object
    chart: object
    document: object

    def all(self) -> tuple:
        return (self.lesions, self.predictions, self.curve, self.chart, self.document)


def update_results_nodes(
    scene, results: dict, before: dict | None = None, cohort: CohortSurvival | None = None
) -> ResultsNodes:
    """Show results in the scene, in the nodes that this case already has, else in new ones.

    Parameters
    ----------
    scene : vtkMRMLScene
    results : what ``mmpl.results.Results.as_dict`` gives, for the contours as they are
    before : the same for the model's own contours, drawn dashed beside the current curve
    cohort : Kaplan-Meier curve of the training cohort, drawn behind

    Returns
    -------
    ResultsNodes
    """
    nodes = []
    for part in results_in_parts(scene, results, before, cohort):
        nodes += part
    return ResultsNodes(**dict(nodes))


def results_in_parts(
    scene, results: dict, before: dict | None = None, cohort: CohortSurvival | None = None
) -> Iterator[list[tuple[str, object]]]:
    """:func:`update_results_nodes` in parts that a front end is not kept long by; gives the nodes by name."""
    yield _with_provenance(results, document=keep_results(scene, results))
    lesions, predictions = _update_lesions(scene, results), _update_predictions(scene, results)
    yield _with_provenance(results, lesions=lesions, predictions=predictions)
    yield _with_provenance(results, curve=update_rfs_table(scene, results))
    yield _with_provenance(results, chart=update_rfs_chart(scene, results, before, cohort))


def _with_provenance(results: dict, **nodes) -> list[tuple[str, object]]:
    for node in nodes.values():
        _set_provenance(node, results)
    return list(nodes.items())


def results_from_scene(scene, case_id: str, role: str = RESULTS_ROLE) -> dict | None:
    """The results that a scene holds for a case, None when there are none or someone has changed their text."""
    node = find(scene, "vtkMRMLTextNode", role, case_id)
    return None if node is None else results_of_node(node)


def results_of_node(node) -> dict | None:
    """The results in a text node, None when someone has changed them."""
    try:
        results = json.loads(node.GetText() or "")
    except ValueError:
        return None
    return results if node.GetAttribute(SEAL_ATTRIBUTE) == _seal(results) else None


def chart_of(scene, case_id: str):
    """The RFS chart of a case, None when there is none."""
    return find(scene, "vtkMRMLPlotChartNode", CHART_ROLE, case_id)


def _update_lesions(scene, results: dict):
    node = find_or_add(scene, "vtkMRMLTableNode", LESIONS_ROLE, results["case_id"], "MMPL lesions")
    rows = [row for name, figures in results["lesions"].items() for row in _lesion_rows(name, figures)]
    columns = [text_column("Lesion", [name for name, _, _ in rows])]
    for key, title in (
        ("volume_ml", "Volume (mL)"),
        ("suv_max", "SUVmax"),
        ("suv_peak", "SUVpeak"),
        ("suv_mean", "SUVmean"),
        ("mtv_ml", "MTV (mL)"),
        ("tlg_g", "TLG (g)"),
    ):
        columns.append(number_column(title, [figures[key] for _, figures, _ in rows]))
    for axis, title in enumerate(("L (mm)", "P (mm)", "S (mm)")):
        columns.append(number_column(title, [centre[axis] for _, _, centre in rows]))
    set_columns(node, columns)
    return node


def _lesion_rows(name: str, figures: dict) -> list[tuple[str, dict, list]]:
    """(title, figures, LPS centroid) of a class and of each of its components."""
    rows = [(name, figures, [None] * 3)]
    for component in figures["components"]:
        rows.append((f"{name} {component['id']}", component, component["centroid_lps_mm"]))
    return rows


def _update_predictions(scene, results: dict):
    node = find_or_add(scene, "vtkMRMLTableNode", PREDICTIONS_ROLE, results["case_id"], "MMPL predictions")
    rows = _hpv_rows(results["hpv"]) + _rfs_rows(results["rfs"]) + _origin_rows(results)
    set_columns(
        node,
        [text_column("Item", [item for item, _ in rows]), text_column("Value", [value for _, value in rows])],
    )
    return node


def _hpv_rows(hpv: dict) -> list[tuple[str, str]]:
    rows = [
        ("HPV probability", _number(hpv["probability"], "{:.3f}", hpv["reason"])),
        ("HPV threshold", _number(hpv["threshold"], "{:.3f}")),
        ("HPV status (predicted)", hpv["status"] or NOT_GIVEN),
    ]
    if hpv["known"]:
        rows.append(("HPV status (record)", hpv["known"]))
    return rows


def _rfs_rows(rfs: dict) -> list[tuple[str, str]]:
    rows = [
        ("RFS time zero", rfs["time_zero"]),
        ("RFS risk (higher = earlier relapse)", _number(rfs["risk"], "{:.3f}", rfs["reason"])),
        ("RFS risk group", rfs["risk_group"] or NOT_GIVEN),
        ("RFS deep score (days; a rank, no forecast)", _number(rfs["deep_restricted_mean_days"], "{:.0f}")),
    ]
    for year, survival in rfs["survival_at"].items():
        rows.append((f"RFS probability at {year}", _number(survival, "{:.3f}")))
    return rows


def _origin_rows(results: dict) -> list[tuple[str, str]]:
    rows = [("Model", _bundle_name(results)), ("MTV rule", results["mtv_rule"])]
    rows += [(f"Warning {warning['code']}", warning["text"]) for warning in results["warnings"]]
    return [*rows, ("Notice", results["notice"])]


def keep_results(scene, results: dict, role: str = RESULTS_ROLE):
    """Keep results in the scene as the text of a node, which is returned."""
    node = find_or_add(scene, "vtkMRMLTextNode", role, results["case_id"], f"MMPL {role}")
    write_results(node, results)
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
    return node


def write_results(node, results: dict) -> None:
    """Make results a text node's text, and seal it."""
    node.SetEncoding(vtk.VTK_ENCODING_UTF_8)
    node.SetText(json.dumps(results, indent=2, ensure_ascii=False))
    node.SetAttribute(SEAL_ATTRIBUTE, _seal(results))


def _seal(results: object) -> str:
    text = json.dumps(results, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _set_provenance(node, results: dict) -> None:
    node.SetAttribute("MMPL.SchemaVersion", results["schema_version"])
    node.SetAttribute("MMPL.Bundle", _bundle_name(results))
    node.SetAttribute("MMPL.BundleSha256", str(results["bundle"].get("sha256") or ""))
    node.SetAttribute("MMPL.Notice", results["notice"])


def _bundle_name(results: dict) -> str:
    return f"{results['bundle']['name']} {results['bundle']['version']}"


def _number(value: float | None, pattern: str, reason: str | None = None) -> str:
    if value is None:
        return f"{NOT_GIVEN}: {reason}" if reason else NOT_GIVEN
    return pattern.format(value)
