"""A corrected oropharyngeal case, built through the results dataclasses themselves."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from mmpl.geometry import Geometry
from mmpl.notices import SITE_UNKNOWN, Notice
from mmpl.report.slices import Scene
from mmpl.results import (
    ClassFigures,
    Contribution,
    HpvResult,
    LesionComponent,
    LesionFigures,
    Results,
    RfsResult,
    SurvivalCurve,
)

TIME_ZERO = "end of radiotherapy"
GRID = {
    "ct": {"size": (512, 512, 184), "spacing_mm": (0.977, 0.977, 2.0), "origin_mm": (-249.5, -402.0, -310.0)},
    "pet": {"size": (200, 200, 92), "spacing_mm": (4.07, 4.07, 4.0), "origin_mm": (-407.0, -560.0, -310.0)},
    "pet_units": "SUVbw",
    "suv": {
        "from": "DICOM header",
        "decay_correction": "START",
        "injected_dose_bq": 3.51e8,
        "weight_kg": 78.0,
        "uptake_time_s": 3720.0,
    },
}
HPV_FEATURES = (
    ("deep_hpv", 1.42, 0.131),
    ("GTVp_PT_log-sigma-3-0-mm-3D_firstorder_Mean", 4.318, 0.046),
    ("Tobacco Consumption=0", 1.0, 0.038),
    ("GTVn_CT_original_shape_Sphericity", 0.742, -0.033),
    ("GTVp_PT_wavelet-HLL_glszm_SmallAreaLowGrayLevelEmphasis", 0.00182, 0.027),
    ("Age", -0.21, 0.021),
    ("GTVp_CT_log-sigma-2-0-mm-3D_glcm_Imc2", 0.611, -0.017),
    ("GTVn_PT_original_firstorder_90Percentile", 9.84, 0.012),
    ("Alcohol Consumption=Unknown", 1.0, -0.009),
    ("GTVp_CT_original_glrlm_GrayLevelNonUniformityNormalized", 0.0931, 0.008),
    ("GTVp_PT_original_glcm_MCC", None, -0.006),
    ("Gender=1", 1.0, 0.004),
    ("Performance Status=1", 1.0, 0.003),
    ("GTVn_PT_wavelet-LLH_glcm_Idmn", 0.981, -0.001),
)
RFS_FEATURES = (
    ("deep_days", 1910.0, -0.312),
    ("hpv_probability", 0.834, -0.241),
    ("GTVn_PT_original_shape_MeshVolume", 14210.0, 0.187),
    ("GTVp_PT_log-sigma-5-0-mm-3D_firstorder_Maximum", 6.12, 0.094),
    ("M-stage=1", 0.0, 0.051),
)


def _figures(volume, suv_max) -> LesionFigures:
    return LesionFigures(volume, suv_max, 0.86 * suv_max, 0.55 * suv_max, 0.48 * volume, 0.31 * volume * suv_max)


def _component(id_, centroid, volume, suv_max) -> LesionComponent:
    return LesionComponent(id_, centroid, _figures(volume, suv_max))


def _curve(rate: float, spread: float) -> SurvivalCurve:
    """Exponential-like steps every 60 days that end with the last training event on day 1860."""
    days = np.arange(0, 2401, 60)
    known = days <= 1860
    mean = np.exp(-rate * days / 365.25)
    low, high = mean - spread * (1 - mean), mean + spread * (1 - mean)

    def values(array):
        return tuple(float(v) if k else None for v, k in zip(array, known, strict=True))

    return SurvivalCurve(tuple(float(d) for d in days), values(mean), values(low), values(high))


def _rfs(rate: float, risk: float) -> RfsResult:
    at = {f"{y}y": math.exp(-rate * y) for y in (1, 2, 3, 5)}
    members = tuple(risk + 0.05 * k for k in range(-5, 5))
    spread = {year: (s - 0.35 * (1 - s), s + 0.35 * (1 - s)) for year, s in at.items()}
    return RfsResult(TIME_ZERO, risk, "intermediate", 1904.0, _curve(rate, 0.35), at, members, members_at=spread)


def _results(hpv: float, rate: float, risk: float, gtvp, gtvn, shift: float) -> Results:
    members = tuple(float(v) for v in np.clip(hpv + np.array([-9, -6, -4, -3, -1, 1, 2, 4, 7, 9]) / 100, 0, 1))
    return Results(
        case_id="MDA-047",
        bundle={
            "name": "hecktor-2025",
            "version": "1.2.0",
            "sha256": "0123456789abcdef" * 4,
            "phantom": False,
            "licence": "CC BY-NC 4.0",
            "members": 10,
        },
        inputs=GRID,
        lesions={
            "GTVp": ClassFigures(_figures(sum(c.figures.volume_ml for c in gtvp), 15.2), gtvp),
            "GTVn": ClassFigures(_figures(sum(c.figures.volume_ml for c in gtvn), 11.7), gtvn),
        },
        hpv=HpvResult(hpv, 0.52, "positive", members, base=0.61),
        rfs=_rfs(rate, risk),
        contributions={
            "hpv": tuple(Contribution(f, v, e + shift * e) for f, v, e in HPV_FEATURES),
            "rfs": tuple(Contribution(f, v, e + shift * e) for f, v, e in RFS_FEATURES),
        },
        warnings=(
            Notice(
                SITE_UNKNOWN,
                "The tumour site is not given; the HPV model is meant for oropharyngeal primaries",
            ),
        ),
        timings_s={"preprocess": 3.42, "segmentation": 48.9, "radiomics": 6.05, "prediction": 0.31},
    )


@pytest.fixture
def corrected() -> dict:
    """Results with the clinician's contours: one primary, two nodes."""
    gtvp = (_component(1, (10.0, 5.0, 0.0), 23.42, 15.2),)
    gtvn = (_component(1, (-30.0, 10.0, -25.0), 12.1, 11.7), _component(2, (32.0, 12.0, -30.0), 0.94, 5.3))
    return _results(0.834, 0.12, 0.08, gtvp, gtvn, 0.0).as_dict()


@pytest.fixture
def model() -> dict:
    """Results with the model's own contours: a larger first node, no second one, and one that was removed."""
    gtvp = (_component(1, (10.0, 5.0, 0.0), 23.42, 15.2),)
    gtvn = (_component(1, (-29.0, 11.0, -24.0), 14.2, 11.7), _component(2, (-38.0, 40.0, -44.0), 1.3, 3.9))
    return _results(0.788, 0.14, 0.21, gtvp, gtvn, 0.25).as_dict()


@pytest.fixture
def no_lesion(corrected) -> dict:
    """Results where nothing was found."""
    empty = {"volume_ml": 0.0, "components": []} | dict.fromkeys(("suv_max", "suv_peak", "suv_mean", "mtv_ml", "tlg_g"))
    reason = "No primary tumour and no lymph node was found, so there is nothing to measure."
    results = copy.deepcopy(corrected)
    results["lesions"] = {"GTVp": empty, "GTVn": copy.deepcopy(empty)}
    results["hpv"] |= {"probability": None, "status": None, "members": [], "base": None, "reason": reason}
    results["rfs"] |= {"risk": None, "risk_group": None, "deep_restricted_mean_days": None, "curve": None}
    results["rfs"] |= {"survival_at": {}, "members_at": {}, "members": [], "reason": reason}
    results["contributions"] = {"hpv": [], "rfs": []}
    results["warnings"] = [{"code": "NO_LESION", "text": reason}]
    return results


def _radius2(geometry: Geometry, centre_lps, radii_mm) -> np.ndarray:
    """Squared distance in units of the ellipsoid's radii, shape (z, y, x)."""
    axes = np.ogrid[tuple(slice(n) for n in geometry.shape)]
    x, y, z = (
        ((axis + origin - centre) / radius) ** 2
        for axis, origin, centre, radius in zip(axes[::-1], geometry.origin_mm, centre_lps, radii_mm, strict=True)
    )
    return z + y + x


def ball(geometry: Geometry, centre_lps, radii_mm) -> np.ndarray:
    """Ellipsoid mask, shape (z, y, x)."""
    return _radius2(geometry, centre_lps, radii_mm) <= 1


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A neck-like cylinder with a spine, a primary and two nodes that fit the results above."""
    geometry = Geometry((160, 170, 140), (1.0, 1.0, 1.0), (-80.0, -75.0, -85.0))
    ct = np.full(geometry.shape, -1000.0, dtype=np.float32)
    noise = np.random.default_rng(3).normal(0, 12, geometry.shape).astype(np.float32)
    ct[ball(geometry, (0, 10, -15), (72, 78, 400))] = -90
    ct[ball(geometry, (0, 10, -15), (66, 72, 400))] = 45
    ct[ball(geometry, (0, 45, -15), (16, 14, 400))] = 420
    ct[ball(geometry, (0, 8, -15), (7, 9, 400))] = -1000
    ct += noise
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[ball(geometry, (10, 5, 0), (15, 17, 20))] = 1
    labels[ball(geometry, (-30, 10, -25), (12, 12, 19))] = 2
    labels[ball(geometry, (32, 12, -30), (6, 6, 6))] = 2
    model = np.where(labels == 1, labels, 0).astype(np.uint8)
    model[ball(geometry, (-29, 11, -24), (13, 14, 20))] = 2
    model[ball(geometry, (-38, 40, -44), (7, 6, 7))] = 2
    pet = np.full(geometry.shape, 0.9, dtype=np.float32) * (ct > -500)
    for centre, radii, peak in (
        ((10, 5, 0), (17, 19, 22), 14.0),
        ((-30, 10, -25), (14, 14, 20), 11.0),
        ((32, 12, -30), (8, 8, 8), 5.0),
        ((-38, 40, -44), (8, 8, 8), 3.5),
    ):
        pet += (peak * np.exp(-1.5 * _radius2(geometry, centre, radii))).astype(np.float32)
    return Scene(ct, pet, labels, geometry, model)
