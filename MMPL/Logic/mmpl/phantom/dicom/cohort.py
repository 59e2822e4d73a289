"""A synthetic cohort on disk as a hospital's archive would give it.

::

    OUT/phantom.json                     seed, version, what this is
    OUT/PHA-0000/CT/*.dcm                CT and PET of one study
    OUT/PHA-0000/PET/*.dcm
    OUT/PHA-0000/PHA-0000.nii.gz         truth on the CT's grid: 1 GTVp, 2 GTVn
    OUT/PHA-0000/ehr.json                clinical record, as ``mmpl predict --ehr`` takes it
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mmpl.phantom.cohort_folder import CohortOrder, write_image, write_whole
from mmpl.phantom.dicom.body import Body
from mmpl.phantom.dicom.patient import CT_FOLDER, PET_FOLDER, person_of, write_patient
from mmpl.phantom.dicom.storage import Storage
from mmpl.phantom.dicom.variant import PetVariant
from mmpl.phantom.factors import draw_factors
from mmpl.phantom.patient import PhantomPatient, generate_patient
from mmpl.progress import Progress, silent

EHR = "ehr.json"
BODY_STREAM = 4711  # after seed and index: a generator of its own, so that bodies change nothing that is drawn


def write_cohort_dicom(
    out: Path,
    cases: int,
    seed: int,
    *,
    variant: PetVariant | None = None,
    storage: Storage | None = None,
    progress: Progress = silent,
    workers: int = 1,
) -> tuple[str, ...]:
    """Write a synthetic cohort as DICOM; the folder appears under its name only when it is complete.

    Patients, images and truth are those of :func:`mmpl.phantom.write_cohort` for the same seed; weight and height
    are drawn beside them. Stopped runs and existing folders are treated as there.

    Parameters
    ----------
    out : folder to write
    cases : number of patients, at least 1
    seed : 0 or more; patient k is the same in every cohort of this seed
    variant : how every PET tells SUV; its body is replaced by each patient's
    storage : how the series of CT and PET lie on disk
    progress : told "phantom" and the fraction of patients written
    workers : processes; 1 stays in this one

    Returns
    -------
    tuple of patient IDs

    Raises
    ------
    InputError
        If ``cases`` or ``workers`` is not positive, the seed is negative, or CT or PET cannot be stored so.
    OutputError
        If ``out`` is a file or holds something else than a phantom cohort, or cannot be written.
    """
    order = CohortOrder(cases, seed, workers)
    variant, storage = variant or PetVariant(), storage or Storage()
    details = {
        "layout": "DICOM; CT and PET of one study a patient, the truth as NIfTI on the CT's grid, the record as JSON",
        "pet_variant": repr(variant),
        "storage": repr(storage),
    }
    patients = tuple(draw_factors(seed, index).patient_id for index in range(cases))
    parts = [f"{p}/{name}" for p in patients for name in (CT_FOLDER, PET_FOLDER, _truth_name(p), EHR)]
    write_whole(out, order, details, parts, partial(_write_patient, seed, variant, storage), lambda _: None, progress)
    return patients


def body_of(patient: PhantomPatient, seed: int, index: int) -> Body:
    """Weight and height of a patient: normal height by sex, body mass index about 26 kg/m2; made up."""
    rng = np.random.default_rng([seed, index, BODY_STREAM])
    male = bool(patient.latents["male"])
    height_m = float(np.clip((1.76 if male else 1.63) + 0.07 * rng.standard_normal(), 1.40, 2.05))
    bmi = float(np.clip(26.0 + 4.0 * rng.standard_normal(), 17.0, 42.0))
    return Body(round(bmi * height_m**2, 1), round(height_m, 2), "M" if male else "F")


def _truth_name(patient_id: str) -> str:
    return f"{patient_id}.nii.gz"


def _write_patient(seed: int, variant: PetVariant, storage: Storage, index: int, cohort: Path) -> None:
    """One patient's folder; one of the final name is a complete one."""
    patient_id = draw_factors(seed, index).patient_id
    final = cohort / patient_id
    if final.exists():
        return
    patient = generate_patient(seed, index)
    own = replace(variant, body=body_of(patient, seed, index))
    draft = final.with_name(f".{patient_id}")
    person = person_of(patient, own, seed)
    write_patient(draft, patient, own, _ct_storage(storage), _pet_storage(storage), person)
    write_image(draft / _truth_name(patient_id), patient.label_map)
    record = json.dumps(patient.clinical, indent=2)
    (draft / EHR).write_text(record + "\n", encoding="utf-8")
    os.replace(draft, final)


def _ct_storage(storage: Storage) -> Storage:
    return replace(storage, multiframe=False)


def _pet_storage(storage: Storage) -> Storage:
    return replace(storage, tilt_deg=0.0)
