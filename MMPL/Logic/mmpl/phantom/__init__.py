"""A synthetic head-and-neck PET/CT cohort with known truth.

``factors`` draws what is true of a patient (tumour, record, outcome), ``anatomy`` the body, ``lesions`` the
tumours, ``scanner`` the images, ``patient`` puts them together and ``cohort`` writes them.
"""

from mmpl.phantom.cohort import write_cohort
from mmpl.phantom.factors import PatientFactors, draw_factors
from mmpl.phantom.patient import PhantomPatient, generate_patient

__all__ = ["PatientFactors", "PhantomPatient", "draw_factors", "generate_patient", "write_cohort"]
