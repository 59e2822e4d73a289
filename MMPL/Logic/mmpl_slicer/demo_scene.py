"""A whole case as a scene: images, segments, results."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
from mmpl.case import Case
from mmpl.geometry import Volume
from mmpl_slicer.results_nodes import ResultsNodes, update_results_nodes
from mmpl_slicer.segmentation import create_segmentation
from mmpl_slicer.subject_hierarchy import place_in_study
from mmpl_slicer.volumes import node_from_volume, pet_display_max, set_pet_units, show_ct, show_pet

STUDY_NAME = "FDG-PET/CT"
PET_OPACITY = 0.4
SLICE_VIEWS = ("Red", "Green", "Yellow")


@dataclass(frozen=True)
class CaseNodes:
    """The nodes of one case.

    Attributes
    ----------
    ct, pet : vtkMRMLScalarVolumeNode
    segmentation : vtkMRMLSegmentationNode with GTVp and GTVn on the CT's grid
    results : ResultsNodes
    """

    ct: object
    pet: object
    segmentation: object
    results: ResultsNodes


def build_case_scene(scene, case: Case, label_map: Volume, results: dict) -> CaseNodes:
    """Add a case to a scene: CT, PET, segments and results under one study, PET over CT in the views.

    Parameters
    ----------
    scene : vtkMRMLScene
    case : Case
    label_map : Volume of uint8 on the CT's grid, 1 = GTVp, 2 = GTVn
    results : what ``mmpl.results.Results.as_dict`` gives

    Returns
    -------
    CaseNodes

    Raises
    ------
    GeometryError, InputError
        As ``create_segmentation``.
    """
    ct, pet = add_images(scene, case.case_id, case.ct, case.pet, case.pet_units)
    segmentation = create_segmentation(label_map, ct, scene, f"{case.case_id} segmentation")
    nodes = CaseNodes(ct, pet, segmentation, update_results_nodes(scene, results))
    chart = nodes.results.chart
    series = [chart.GetNthPlotSeriesNode(i) for i in range(chart.GetNumberOfPlotSeriesNodes())]
    place_in_study(scene, (ct, pet, segmentation, *nodes.results.all(), *series), case.case_id, STUDY_NAME)
    show_fused(scene, ct, pet)
    return nodes


def add_images(scene, case_id: str, ct: Volume, pet: Volume, pet_units: str) -> tuple:
    """Add CT and PET with the windows that suit them; gives their vtkMRMLScalarVolumeNodes."""
    ct_node = node_from_volume(ct, scene, f"{case_id} CT")
    show_ct(ct_node)
    pet_node = node_from_volume(pet, scene, f"{case_id} PET")
    set_pet_units(pet_node, pet_units)
    show_pet(pet_node, pet_display_max(pet, pet_units))
    return ct_node, pet_node


def show_fused(scene, ct_node, pet_node, opacity: float = PET_OPACITY) -> None:
    """Show PET over CT in the three slice views."""
    for name in SLICE_VIEWS:
        composite = _slice_composite(scene, name)
        composite.SetBackgroundVolumeID(ct_node.GetID())
        composite.SetForegroundVolumeID(pet_node.GetID())
        composite.SetForegroundOpacity(opacity)


def _slice_composite(scene, name: str):
    """The layer settings of a slice view; outside the application they are made here."""
    node = scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")
    if node is None:
        node = slicer.vtkMRMLSliceCompositeNode()
        node.SetSingletonTag(name)
        node.SetLayoutName(name)
        node = scene.AddNode(node)
    return node
