"""One synthetic patient: factors, body, lesions and scan, put together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from mmpl.case import GTVN, GTVP, PET_SUV, Case
from mmpl.geometry import Volume
from mmpl.phantom.anatomy import draw_anatomy
from mmpl.phantom.factors import PatientFactors, draw_factors, patient_streams
from mmpl.phantom.lesions import draw_lesions
from mmpl.phantom.scanner import SCANNERS, acquire, lesion_volume_ml


@dataclass(frozen=True)
class PhantomPatient:
    """A synthetic patient with known truth.

    Attributes
    ----------
    patient_id, center_id : as in HECKTOR
    ct : Volume, HU, int16
    pet : Volume, body-weight SUV, float32, on its own grid
    label_map : Volume on the CT's grid, uint8: 1 GTVp, 2 GTVn
    clinical : record by HECKTOR column name; None where missing
    hpv_status : true HPV status, 0 or 1
    relapse : 1 if relapse was seen, 0 if censored
    rfs_days : days to relapse or censoring
    latents : true factors by name, for tests and analysis
    """

    patient_id: str
    center_id: int
    ct: Volume
    pet: Volume
    label_map: Volume
    clinical: dict[str, int | None]
    hpv_status: int
    relapse: int
    rfs_days: float
    latents: dict[str, object]

    def as_case(self) -> Case:
        """The patient as the engine's input: CT as float32, PET in SUV, the record as written."""
        ct = self.ct.with_array(self.ct.array.astype(np.float32))
        provenance = {"source": "MMPL phantom, synthetic"}
        return Case(self.patient_id, ct, self.pet, PET_SUV, dict(self.clinical), provenance)


def generate_patient(seed: int, index: int) -> PhantomPatient:
    """Synthesise one patient; the same seed and index give identical arrays.

    Parameters
    ----------
    seed : the cohort's seed, 0 or more
    index : the patient's number in the cohort, 0 or more

    Raises
    ------
    InputError
        If seed or index is negative.
    """
    factors = draw_factors(seed, index)
    _, anatomy_rng, lesion_rng, scanner_rng = patient_streams(seed, index)
    scanner = SCANNERS[factors.center_id]
    anatomy = draw_anatomy(
        anatomy_rng,
        male=factors.clinical.male,
        metal=anatomy_rng.random() < scanner.metal_rate,
        contrast_hu=scanner.contrast_hu,
    )
    lesions = draw_lesions(lesion_rng, factors.tumour, anatomy)
    scan = acquire(scanner_rng, scanner, anatomy, lesions)
    return PhantomPatient(
        patient_id=factors.patient_id,
        center_id=factors.center_id,
        ct=scan.ct,
        pet=scan.pet,
        label_map=scan.label_map,
        clinical=factors.record,
        hpv_status=factors.hpv_status,
        relapse=factors.relapse,
        rfs_days=factors.rfs_days,
        latents=_latents(factors, scan.label_map),
    )


def _latents(factors: PatientFactors, label_map: Volume) -> dict[str, object]:
    return {
        **dataclasses.asdict(factors.tumour),
        **dataclasses.asdict(factors.clinical),
        "hpv_score": factors.hpv_score,
        "log_hazard": factors.log_hazard,
        "rendered_primary_ml": lesion_volume_ml(label_map, GTVP),
        "rendered_nodes_ml": lesion_volume_ml(label_map, GTVN),
    }
