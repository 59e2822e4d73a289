"""Which volume of a scene is the CT and which the PET, and whose they are."""

from __future__ import annotations

import re
import unicodedata

import slicer
from mmpl.case import PET_UNKNOWN
from mmpl.dicom_source import Patient
from mmpl_slicer.dicom_files import INSTANCES
from mmpl_slicer.subject_hierarchy import hierarchy_of
from mmpl_slicer.volumes import PET_UNITS_ATTRIBUTE, pet_units_of_node

UNNAMED = "Case"
AIR_HU = -200.0  # a CT goes below, a PET never does
KIND_WORDS = {"ct", "pt", "pet", "suv", "suvbw", "bw", "fdg", "hu", "ac", "nii", "gz", "nrrd", "mha"}
_CT_NAME = re.compile(r"(^|[^a-z])ct([^a-z]|$)", re.IGNORECASE)
_PET_NAME = re.compile(r"(^|[^a-z])(pt|pet)([^a-z]|$)|suv|fdg", re.IGNORECASE)


def guess_inputs(scene) -> tuple[object | None, object | None]:
    """The scene's CT and PET, None for what is not there, and for what may be one patient's or another's.

    A pair of one study where there is one; else the best of each, where several are as good those whose names agree.
    """
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene) if is_plain_volume(node)]
    cts = sorted((v for v in volumes if ct_score(v) > 0), key=ct_score, reverse=True)
    pets = sorted((v for v in volumes if pet_score(v) > 0), key=pet_score, reverse=True)
    pairs = [(ct, pet) for ct in cts for pet in pets if ct is not pet]
    studies = {node: _study(scene, node) for node in (*cts, *pets)}
    for ct, pet in pairs:
        if studies[ct] and studies[ct] == studies[pet]:
            return ct, pet
    best_cts = [ct for ct in cts if ct_score(ct) == ct_score(cts[0])]
    others = [pet for pet in pets if pet not in best_cts]
    best_pets = [pet for pet in others if pet_score(pet) == pet_score(others[0])]
    if len(best_cts) > 1 or len(best_pets) > 1:
        agreeing = [(ct, pet) for ct in best_cts for pet in best_pets if _stem(ct) == _stem(pet)]
        if agreeing:
            return agreeing[0]
    return tuple(best[0] if len(best) == 1 else None for best in (best_cts, best_pets))


def is_plain_volume(node) -> bool:
    """A greyscale volume with voxels: no label map, no vectors, no tensors."""
    return node.GetClassName() == "vtkMRMLScalarVolumeNode" and has_voxels(node)


def has_voxels(node) -> bool:
    image = node.GetImageData()
    return image is not None and image.GetNumberOfPoints() > 0


def ct_score(node) -> int:
    """How much speaks for a CT, 0 or less for nothing: modality 4, values 2, name 1."""
    modality, low = modality_of(node), _lowest(node)
    score = 4 * (modality == "CT") + 2 * (low < AIR_HU) + bool(_CT_NAME.search(node.GetName() or ""))
    return score - 5 * (modality not in ("", "CT")) - 2 * (low >= 0)


def pet_score(node) -> int:
    """How much speaks for a PET, 0 or less for nothing: modality or units 4, values 1, name 2."""
    modality, low = modality_of(node), _lowest(node)
    has_units = node.GetAttribute(PET_UNITS_ATTRIBUTE) is not None or pet_units_of_node(node) != PET_UNKNOWN
    stated = modality == "PT" or has_units
    score = 4 * stated + (low > AIR_HU) + 2 * bool(_PET_NAME.search(node.GetName() or ""))
    return score - 5 * (modality not in ("", "PT")) - 4 * (low < AIR_HU)


def modality_of(node) -> str:
    """DICOM modality ("CT", "PT", ...) where the subject hierarchy or the node knows it, else ""."""
    hierarchy = hierarchy_of(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    known = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    return known or node.GetAttribute("DICOM.Modality") or ""


def patient_of(node) -> Patient:
    """The patient that a node stands under in the data tree: DICOM's ID, and DICOM's name or else the item's."""
    hierarchy = hierarchy_of(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    patient = hierarchy.GetItemAncestorAtLevel(item, constants.GetDICOMLevelPatient()) if item else 0
    if not patient:
        return Patient()
    number = hierarchy.GetItemAttribute(patient, constants.GetDICOMPatientIDAttributeName())
    name = hierarchy.GetItemAttribute(patient, constants.GetDICOMPatientNameAttributeName())
    return Patient(number or "", name or hierarchy.GetItemName(patient) or "")


def told_apart(one: Patient, other: Patient) -> tuple[str, str]:
    """What tells two patients apart for a person: their IDs, their names where one has no ID."""
    return (one.id, other.id) if one.id and other.id else (one.name, other.name)


def patient_called(node) -> str:
    """What a person would tell a node's patient by: the ID, else the name, else ""."""
    patient = patient_of(node)
    return patient.id or patient.name


def case_name_of(ct_node) -> str:
    """A name for the case of a CT: what somebody has called the patient in the data tree, else the image's name.

    Where they come from DICOM, either may tell who the patient is; such a case is called "Case".
    """
    if _is_from_dicom(ct_node):
        return UNNAMED
    return patient_called(ct_node) or ct_node.GetName() or UNNAMED


def anonymous_name(case_id: str, ct_node) -> str:
    """The case's name as DICOM may have it in place of a patient; another one where it is the patient's own."""
    name = re.sub(r"[^A-Za-z0-9 ._-]", "", unicodedata.normalize("NFKD", case_id)).strip(" ._-")[:64]
    return UNNAMED if not name or (_is_from_dicom(ct_node) and case_id == patient_called(ct_node)) else name


def _is_from_dicom(node) -> bool:
    if node.GetAttribute(INSTANCES):
        return True
    hierarchy, constants = hierarchy_of(node.GetScene()), slicer.vtkMRMLSubjectHierarchyConstants
    item = hierarchy.GetItemByDataNode(node)
    patient = hierarchy.GetItemAncestorAtLevel(item, constants.GetDICOMLevelPatient()) if item else 0
    attributes = constants.GetDICOMPatientIDAttributeName(), constants.GetDICOMPatientNameAttributeName()
    return bool(patient) and any(hierarchy.GetItemAttribute(patient, name) for name in attributes)


def _study(scene, node) -> int:
    """The item of the data tree that a node stands under, 0 for the tree itself, where images of all patients stand."""
    hierarchy = hierarchy_of(scene)
    item = hierarchy.GetItemByDataNode(node)
    parent = hierarchy.GetItemParent(item) if item else 0
    return 0 if parent == hierarchy.GetSceneItemID() else parent


def _stem(node) -> tuple[str, ...]:
    """The words of a node's name that do not say what kind of image it is: a patient's number, as a rule."""
    words = re.split(r"[^a-z0-9]+", (node.GetName() or "").lower())
    return tuple(word for word in words if word and word not in KIND_WORDS)


def _lowest(node) -> float:
    return node.GetImageData().GetScalarRange()[0]
