"""A synthetic patient as Slicer's sample data: made on the computer when asked for, nothing is downloaded.

It can be loaded before anything is installed: neither the networks' libraries nor Qt are needed here.
"""

from __future__ import annotations

from mmpl.case import PET_SUV
from mmpl.phantom import generate_patient
from mmpl_slicer.demo_scene import STUDY_NAME, add_images, show_fused
from mmpl_slicer.subject_hierarchy import place_in_study

SAMPLE_SEED, SAMPLE_INDEX = 4242, 24  # the patient of the demo, whom no bundle is trained or scored on


def load_phantom(scene, seed: int = SAMPLE_SEED, index: int = SAMPLE_INDEX):
    """Add the PET/CT of a synthetic patient to a scene and show it, PET over CT.

    The same seed and index give the same patient. It takes about a second.

    Parameters
    ----------
    scene : vtkMRMLScene
    seed : the cohort's seed, 0 or more
    index : the patient's number in the cohort, 0 or more

    Returns
    -------
    (vtkMRMLScalarVolumeNode, vtkMRMLScalarVolumeNode) : the CT in HU and the PET in body-weight SUV, under one study

    Raises
    ------
    InputError
        If seed or index is negative.
    """
    patient = generate_patient(seed, index)
    ct, pet = add_images(scene, patient.patient_id, patient.ct, patient.pet, PET_SUV)
    place_in_study(scene, (ct, pet), patient.patient_id, STUDY_NAME)
    show_fused(scene, ct, pet)
    return ct, pet
