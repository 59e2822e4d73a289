"""Where nodes stand in Slicer's data tree: patient, study, and beside the image they belong to."""

from __future__ import annotations

import slicer


def hierarchy_of(scene):
    """The scene's subject hierarchy node."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def item_of(scene, node) -> int:
    """Subject hierarchy item of a node; created at the top when the application has not made it."""
    hierarchy = hierarchy_of(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    return item


def place_beside(scene, node, sibling) -> None:
    """Give a node the same parent (study or folder) as another node."""
    hierarchy = hierarchy_of(scene)
    parent = hierarchy.GetItemParent(item_of(scene, sibling))
    hierarchy.SetItemParent(item_of(scene, node), parent)


def take_out(scene, node) -> None:
    """Take a node out of the tree; it stays in the scene."""
    hierarchy = hierarchy_of(scene)
    hierarchy.RemoveItem(hierarchy.GetItemByDataNode(node), False, False)


def place_in_study(scene, nodes, patient_name: str, study_name: str) -> int:
    """Put nodes under patient / study, which are made when absent; returns the study's item."""
    hierarchy = hierarchy_of(scene)
    patient = hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), patient_name)
    if patient == hierarchy.GetInvalidItemID():
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), patient_name)
    study = hierarchy.GetItemChildWithName(patient, study_name)
    if study == hierarchy.GetInvalidItemID():
        study = hierarchy.CreateStudyItem(patient, study_name)
    for node in nodes:
        hierarchy.SetItemParent(item_of(scene, node), study)
    return study
