"""A phantom's PET and CT as DICOM series, written the way scanners do.

The PET's SUV is known, so these series are what a reader of SUV is tested with. The way from SUV to header
(``activity``) comes from the definition of SUV, the DICOM standard and the vendors' conformance statements; nothing
of the reader is used here. ``PetVariant`` is what a header says, ``Storage`` how the files lie on disk;
``PET_VARIANTS`` and ``FAULTY_PET_VARIANTS`` name the cases a reader meets.
"""

from mmpl.phantom.dicom.body import Body
from mmpl.phantom.dicom.cohort import write_cohort_dicom
from mmpl.phantom.dicom.ct import CtScan, write_ct
from mmpl.phantom.dicom.patient import WrittenPatient, write_patient
from mmpl.phantom.dicom.person import Person
from mmpl.phantom.dicom.pet import write_pet
from mmpl.phantom.dicom.storage import TRANSFER_SYNTAXES, Storage
from mmpl.phantom.dicom.variant import PetVariant
from mmpl.phantom.dicom.variants import FAULTY_PET_VARIANTS, PET_VARIANTS

__all__ = [
    "FAULTY_PET_VARIANTS",
    "PET_VARIANTS",
    "TRANSFER_SYNTAXES",
    "Body",
    "CtScan",
    "Person",
    "PetVariant",
    "Storage",
    "WrittenPatient",
    "write_cohort_dicom",
    "write_ct",
    "write_patient",
    "write_pet",
]
