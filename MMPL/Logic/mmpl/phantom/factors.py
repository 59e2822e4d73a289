"""What is true of a synthetic patient before anything is drawn: tumour factors, record and outcome.

Nothing here renders, so thousands of patients cost milliseconds. The order of causes is

tumour factors + clinical factors -> HPV status (probit) -> time to relapse (Weibull proportional hazards).

The weights are set so that the truth is learnable and yet leaves room for error: a test holds the oracle's
AUC and C-index, of images alone, of the record alone and of both, within windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.errors import InputError

PATIENT_PREFIX = "PHA"
CENTER_SHARES = {1: 0.28, 2: 0.22, 3: 0.18, 4: 0.15, 5: 0.11, 6: 0.06}

NO_NODES_RATE = 0.08
NO_PRIMARY_RATE = 0.04
NODE_COUNT_RATES = {1: 0.34, 2: 0.26, 3: 0.18, 4: 0.11, 5: 0.07, 6: 0.04}
PRIMARY_ML = (1.0, 40.0)
NODE_ML = (0.3, 40.0)
LESION_SUV = (2.5, 18.0)
FAINT_RATE = 0.07
FAINT_SUV = (2.5, 3.5)
SITE_RATES = {"tonsil": 0.42, "tongue_base": 0.33, "hypopharynx": 0.14, "larynx": 0.11}

MISSING_RATES = {
    "Age": 0.01,
    "Gender": 0.0,
    "Tobacco Consumption": 0.35,
    "Alcohol Consumption": 0.45,
    "Performance Status": 0.30,
    "Treatment": 0.02,
    "M-stage": 0.05,
}
HPV_MISSING_RATE = 0.04

# Small smooth primaries with large cystic nodes go together: each of these factors shares this correlation
# with one hidden phenotype, which outcome sees through them alone.
PHENOTYPE_LOADINGS = {
    "primary": -0.62,
    "nodes": 0.62,
    "heterogeneity": -0.62,
    "node_necrosis": 0.62,
    "enhancement": 0.62,
}

# Weights of the probit that draws HPV status; factors are standardised, binaries are centred.
HPV_IMAGE_WEIGHTS = {
    "log_primary_ml": -0.49,
    "log_nodes_ml": 0.49,
    "node_necrosis": 0.70,
    "heterogeneity": -0.36,
    "irregularity": -0.08,
    "enhancement": 0.84,
}
HPV_CLINICAL_WEIGHTS = {"age": -0.82, "male": 0.46, "tobacco": -1.10, "alcohol": -0.38}
HPV_NOISE_SD = 0.50
HPV_INTERCEPT = 0.30

# Weights of the log hazard of relapse.
RFS_IMAGE_WEIGHTS = {
    "log_total_ml": 0.95,
    "heterogeneity": 0.27,
    "primary_necrosis": 0.34,
    "log_suv": 0.54,
}
RFS_CLINICAL_WEIGHTS = {"age": 0.30, "tobacco": 0.36, "performance": 0.58, "m_stage": 0.60}
RFS_HPV_WEIGHT = -0.65
WEIBULL_SHAPE = 1.15
WEIBULL_SCALE_DAYS = 2500.0
RFS_DAYS = (30.0, 4500.0)
ADMINISTRATIVE_DAYS = (900.0, 4500.0)
LOSS_SCALE_DAYS = 9000.0


@dataclass(frozen=True)
class TumourFactors:
    """What the images will show. ``z`` holds the standardised factors that outcome depends on.

    Attributes
    ----------
    site : key of ``SITE_RATES``
    primary_ml : intended volume of GTVp in mL; 0 without a primary
    node_ml : intended volume of every GTVn component in mL
    irregularity : amplitude of the boundary's undulation, fraction of the radius
    heterogeneity : standard deviation of log uptake inside a lesion
    primary_necrosis, node_necrosis : volume fraction of a lesion that is a cold, dark core
    enhancement_hu : contrast of tumour over muscle
    primary_suv : median uptake of the primary's rim
    node_suv : the same for every node
    z : standardised factors by name; a factor the patient cannot show (no node, no primary) is 0
    """

    site: str
    primary_ml: float
    node_ml: tuple[float, ...]
    irregularity: float
    heterogeneity: float
    primary_necrosis: float
    node_necrosis: float
    enhancement_hu: float
    primary_suv: float
    node_suv: tuple[float, ...]
    z: dict[str, float]


@dataclass(frozen=True)
class ClinicalFactors:
    """The complete truth of a patient's record; ``standardised`` is what outcome depends on."""

    age_years: float
    male: int
    tobacco: int
    alcohol: int
    performance: int
    chemoradiotherapy: int
    m_stage: int

    @property
    def standardised(self) -> dict[str, float]:
        return {
            "age": (self.age_years - 60.0) / 9.0,
            "male": self.male - 0.78,
            "tobacco": 2.0 * (self.tobacco - 0.5),
            "alcohol": 2.0 * (self.alcohol - 0.5),
            "performance": self.performance - 0.8,
            "m_stage": float(self.m_stage),
        }


@dataclass(frozen=True)
class PatientFactors:
    """One synthetic patient, before rendering.

    Attributes
    ----------
    patient_id, center_id : as in HECKTOR
    tumour, clinical : the truth
    record : what the hospital wrote down, by HECKTOR column name; None where missing
    hpv_status : true HPV status
    hpv_recorded : the same, or None where the cohort's table lacks it
    relapse : 1 if relapse was seen, 0 if censored
    rfs_days : time to relapse or censoring
    hpv_score, log_hazard : the linear predictors that drew them
    """

    patient_id: str
    center_id: int
    tumour: TumourFactors
    clinical: ClinicalFactors
    record: dict[str, int | None]
    hpv_status: int
    hpv_recorded: int | None
    relapse: int
    rfs_days: float
    hpv_score: float
    log_hazard: float


def patient_streams(seed: int, index: int) -> tuple[np.random.Generator, ...]:
    """Independent generators (factors, anatomy, lesions, scanner) of one patient.

    They depend on ``seed`` and ``index`` alone, never on how many patients are drawn or in what order.

    Raises
    ------
    InputError
        If seed or index is negative.
    """
    if seed < 0 or index < 0:
        raise InputError(f"phantom seed {seed}, patient {index}: both must be 0 or more")
    children = np.random.SeedSequence([seed, index]).spawn(4)
    return tuple(np.random.default_rng(child) for child in children)


def draw_factors(seed: int, index: int) -> PatientFactors:
    """Draw one patient's truth, record and outcome; no rendering.

    Raises
    ------
    InputError
        If seed or index is negative.
    """
    rng = patient_streams(seed, index)[0]
    center_id = int(_choose(rng, CENTER_SHARES))
    tumour = _draw_tumour(rng)
    clinical = _draw_clinical(rng)
    hpv_score = (
        HPV_INTERCEPT + _weighted(HPV_IMAGE_WEIGHTS, tumour.z) + _weighted(HPV_CLINICAL_WEIGHTS, clinical.standardised)
    )
    hpv_status = int(hpv_score + HPV_NOISE_SD * rng.standard_normal() > 0)
    log_hazard = (
        _weighted(RFS_IMAGE_WEIGHTS, tumour.z)
        + _weighted(RFS_CLINICAL_WEIGHTS, clinical.standardised)
        + RFS_HPV_WEIGHT * (hpv_status - 0.5)
    )
    relapse, rfs_days = _draw_follow_up(rng, log_hazard)
    record = _draw_record(rng, clinical)
    hpv_recorded = None if rng.random() < HPV_MISSING_RATE else hpv_status
    return PatientFactors(
        patient_id=f"{PATIENT_PREFIX}-{index:04d}",
        center_id=center_id,
        tumour=tumour,
        clinical=clinical,
        record=record,
        hpv_status=hpv_status,
        hpv_recorded=hpv_recorded,
        relapse=relapse,
        rfs_days=rfs_days,
        hpv_score=float(hpv_score),
        log_hazard=float(log_hazard),
    )


def _choose(rng: np.random.Generator, rates: dict):
    """A key of ``rates``, drawn with its rate."""
    edges = np.cumsum(list(rates.values()))
    return list(rates)[min(int(np.searchsorted(edges / edges[-1], rng.random(), side="right")), len(rates) - 1)]


def _weighted(weights: dict[str, float], values: dict[str, float]) -> float:
    return sum(weight * values[name] for name, weight in weights.items())


def _draw_tumour(rng: np.random.Generator) -> TumourFactors:
    site = _choose(rng, SITE_RATES)
    absent = rng.random()
    has_nodes = absent >= NO_NODES_RATE
    has_primary = absent < 1.0 - NO_PRIMARY_RATE
    e = _draw_normals(rng)
    primary_ml = float(np.clip(8.5 * np.exp(0.80 * e["primary"]), *PRIMARY_ML)) if has_primary else 0.0
    node_ml = _draw_node_volumes(rng, e["nodes"]) if has_nodes else ()
    primary_suv, node_suv = _draw_uptake(rng, e["uptake"], len(node_ml))
    z = {
        "log_primary_ml": (np.log(primary_ml / 8.5) / 0.75) if has_primary else 0.0,
        "log_nodes_ml": (np.log(sum(node_ml) / 8.0) / 1.05) if has_nodes else 0.0,
        "log_total_ml": np.log((primary_ml + sum(node_ml)) / 16.5) / 0.80,
        "irregularity": e["irregularity"] if has_primary else 0.0,
        "heterogeneity": e["heterogeneity"],
        "primary_necrosis": e["primary_necrosis"] if has_primary else 0.0,
        "node_necrosis": e["node_necrosis"] if has_nodes else 0.0,
        "enhancement": e["enhancement"],
        "log_suv": np.log((primary_suv if has_primary else node_suv[0]) / 8.0) / 0.45,
    }
    return TumourFactors(
        site=site,
        primary_ml=primary_ml,
        node_ml=node_ml,
        irregularity=float(np.clip(0.13 * np.exp(0.45 * e["irregularity"]), 0.03, 0.30)),
        heterogeneity=float(np.clip(0.26 * np.exp(0.50 * e["heterogeneity"]), 0.06, 0.75)),
        primary_necrosis=float(np.clip(0.14 + 0.14 * e["primary_necrosis"], 0.0, 0.42)),
        node_necrosis=float(np.clip(0.20 + 0.19 * e["node_necrosis"], 0.0, 0.55)),
        enhancement_hu=float(np.clip(30.0 + 9.5 * e["enhancement"], 10.0, 52.0)),
        primary_suv=primary_suv,
        node_suv=node_suv,
        z={name: float(value) for name, value in z.items()},
    )


def _draw_normals(rng: np.random.Generator) -> dict[str, float]:
    """Standard normal factors by name, correlated through the hidden phenotype."""
    names = ("primary", "nodes", "uptake", "irregularity", "heterogeneity")
    names += ("primary_necrosis", "node_necrosis", "enhancement")
    phenotype = rng.standard_normal()
    loading = {name: PHENOTYPE_LOADINGS.get(name, 0.0) for name in names}
    own = rng.standard_normal(len(names))
    return {
        name: float(loading[name] * phenotype + np.sqrt(1.0 - loading[name] ** 2) * value)
        for name, value in zip(names, own, strict=True)
    }


def _draw_node_volumes(rng: np.random.Generator, burden: float) -> tuple[float, ...]:
    """Volumes in mL, largest first; ``burden`` is the patient's own shift."""
    count = _choose(rng, NODE_COUNT_RATES)
    volumes = np.clip(3.0 * np.exp(0.75 * burden + 0.70 * rng.standard_normal(count)), *NODE_ML)
    return tuple(float(v) for v in np.sort(volumes)[::-1])


def _draw_uptake(rng: np.random.Generator, level: float, nodes: int) -> tuple[float, tuple[float, ...]]:
    """SUV of the primary and of every node; nodes follow the primary loosely, a few lesions are faint."""
    suv = 8.0 * np.exp(0.42 * level)
    if rng.random() < FAINT_RATE:
        suv = rng.uniform(*FAINT_SUV)
    node_suv = 0.9 * suv * np.exp(0.22 * rng.standard_normal(nodes))
    clipped = np.clip(node_suv, *LESION_SUV)
    return float(np.clip(suv, *LESION_SUV)), tuple(float(v) for v in clipped)


def _draw_clinical(rng: np.random.Generator) -> ClinicalFactors:
    tobacco = int(rng.random() < 0.55)
    return ClinicalFactors(
        age_years=float(np.clip(60.0 + 9.0 * rng.standard_normal(), 30.0, 90.0)),
        male=int(rng.random() < 0.78),
        tobacco=tobacco,
        alcohol=int(rng.random() < (0.65 if tobacco else 0.35)),
        performance=int(_choose(rng, {0: 0.42, 1: 0.40, 2: 0.13, 3: 0.04, 4: 0.01})),
        chemoradiotherapy=int(rng.random() < 0.80),
        m_stage=int(rng.random() < 0.03),
    )


def _draw_follow_up(rng: np.random.Generator, log_hazard: float) -> tuple[int, float]:
    """Relapse flag and days: Weibull relapse against administrative and random censoring."""
    relapse_days = WEIBULL_SCALE_DAYS * (rng.exponential() * np.exp(-log_hazard)) ** (1.0 / WEIBULL_SHAPE)
    censored_days = min(rng.uniform(*ADMINISTRATIVE_DAYS), 180.0 + rng.exponential(LOSS_SCALE_DAYS))
    days = np.clip(min(relapse_days, censored_days), *RFS_DAYS)
    return int(relapse_days <= censored_days), float(np.round(days))


def _draw_record(rng: np.random.Generator, clinical: ClinicalFactors) -> dict[str, int | None]:
    truth = {
        "Age": round(clinical.age_years),
        "Gender": clinical.male,
        "Tobacco Consumption": clinical.tobacco,
        "Alcohol Consumption": clinical.alcohol,
        "Performance Status": clinical.performance,
        "Treatment": clinical.chemoradiotherapy,
        "M-stage": clinical.m_stage,
    }
    return {name: None if rng.random() < MISSING_RATES[name] else value for name, value in truth.items()}
