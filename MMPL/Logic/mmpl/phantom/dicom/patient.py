"""A synthetic patient's CT and PET as one DICOM study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from mmpl.phantom.dicom.ct import CtScan, write_ct
from mmpl.phantom.dicom.person import Person
from mmpl.phantom.dicom.pet import write_pet
from mmpl.phantom.dicom.storage import Storage
from mmpl.phantom.dicom.variant import PetVariant
from mmpl.phantom.patient import PhantomPatient

CT_FOLDER, PET_FOLDER = "CT", "PET"


@dataclass(frozen=True)
class WrittenPatient:
    """Paths of a patient's images, slice by slice along k (a multi-frame PET has one)."""

    ct: tuple[Path, ...]
    pet: tuple[Path, ...]


def write_patient(
    folder: Path,
    patient: PhantomPatient,
    variant: PetVariant | None = None,
    ct_storage: Storage | None = None,
    pet_storage: Storage | None = None,
    person: Person | None = None,
) -> WrittenPatient:
    """Write ``CT/`` and ``PET/`` of one study and one frame of reference.

    Parameters
    ----------
    folder : where the two folders go
    patient : the phantom; its sex and ID go into the headers, in place of the variant's
    variant : how the PET tells SUV
    ct_storage, pet_storage : how the series lie on disk
    person : whose they are; by default the patient's ID and a birth date that fits the age

    Raises
    ------
    InputError, OutputError
        As :func:`write_pet` and :func:`write_ct` do.
    """
    variant = of_patient(variant or PetVariant(), patient)
    person = person or person_of(patient, variant)
    # the CT comes right before the PET, as on every PET/CT
    scan = CtScan(variant.scan_start - timedelta(minutes=1), variant.manufacturer, variant.timezone)
    return WrittenPatient(
        ct=write_ct(Path(folder) / CT_FOLDER, patient.ct, ct_storage, person, variant.body, scan=scan),
        pet=write_pet(Path(folder) / PET_FOLDER, patient.pet, variant, pet_storage, person),
    )


def person_of(patient: PhantomPatient, variant: PetVariant, seed: int = 0) -> Person:
    """The phantom's ID, a birth date that gives its age, and a visit that began before the injection."""
    began = variant.injected_at - timedelta(minutes=30)
    born = began.date().replace(day=1, year=began.year - round(patient.latents["age_years"]))
    return Person(patient.patient_id, born, began, seed)


def of_patient(variant: PetVariant, patient: PhantomPatient) -> PetVariant:
    """The variant with the patient's sex."""
    sex = "M" if patient.latents["male"] else "F"
    return replace(variant, body=replace(variant.body, sex=sex))
