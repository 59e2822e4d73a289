"""Is a segmentation of the patient whose images are chosen? Said in words, before it is measured on them."""

from __future__ import annotations

from mmpl.dicom_source import Patient
from mmpl_slicer.case_record import CT, SEGMENTATION, records
from mmpl_slicer.table_nodes import CASE_ATTRIBUTE
from mmpl_slicer.volume_guess import patient_of, told_apart


def objection_to(node, ct_node, pet_node) -> str:
    """Why a segmentation cannot be measured on these images, in one sentence; "" for no reason that is known.

    It is the patient's under whom it stands in the data tree, else that of the case it was made for. What belongs to
    nobody is not objected to.
    """
    images = _patients_of_images(ct_node, pet_node)
    whose = _whose(node)
    if _is_anothers(whose, images):
        names = told_apart(whose, images[0])
        return (
            f"{node.GetName()!r} is of patient {names[0]!r}, the images are of {names[1]!r}: choose another "
            "segmentation, or put this one under its patient in the Data module."
        )
    for record in records(node.GetScene()):
        ct = record.get(CT)
        if record.get(SEGMENTATION) is node and ct is not None and _is_anothers(patient_of(ct), images):
            return (
                f"{node.GetName()!r} is the segmentation of case {record.case_id!r}, which is another patient's: "
                "clone it in the Data module and choose the copy."
            )
    return ""


def _patients_of_images(ct_node, pet_node) -> tuple[Patient, ...]:
    """The CT's patient; the PET's too where both are one though they are named as two, which the user has said."""
    of_ct, of_pet = patient_of(ct_node), patient_of(pet_node)
    return (of_ct, of_pet) if of_pet.is_another(of_ct) else (of_ct,)


def _is_anothers(patient: Patient, images: tuple[Patient, ...]) -> bool:
    return all(patient.is_another(one) for one in images)


def _whose(node) -> Patient:
    own = patient_of(node)
    if own != Patient():
        return own
    for record in records(node.GetScene()):
        if record.case_id == node.GetAttribute(CASE_ATTRIBUTE) and record.get(CT) is not None:
            return patient_of(record.get(CT))
    return Patient()
