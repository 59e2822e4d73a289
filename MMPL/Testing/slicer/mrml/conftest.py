"""A MRML scene for the session, emptied between tests, and a small synthetic case."""

from __future__ import annotations

import numpy as np
import pytest

from mmpl.case import Case
from mmpl.geometry import Geometry, Volume
from mmpl.notices import Notice
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
from mmpl_slicer.bootstrap import start_scene

GTVP_CENTRE_LPS = (10.0, 5.0, 60.0)
GTVN_CENTRE_LPS = (-35.0, 15.0, 20.0)
BODY_CENTRE_LPS = (0.0, 10.0, 30.0)


@pytest.fixture(scope="session")
def session_scene(tmp_path_factory):
    return start_scene(tmp_path_factory.mktemp("scene-cache"))


@pytest.fixture
def scene(session_scene):
    session_scene.Clear(False)
    yield session_scene
    session_scene.Clear(False)


@pytest.fixture(scope="session")
def ct_volume() -> Volume:
    """A head-like ellipsoid of soft tissue with a skull, 2 x 2 x 3 mm, in air."""
    geometry = Geometry((90, 100, 80), (2.0, 2.0, 3.0), (-90.0, -90.0, -90.0))
    radius = ellipsoid_radius(geometry, BODY_CENTRE_LPS, (70.0, 85.0, 100.0))
    ct = np.where(radius < 1.0, 40.0, -1000.0)
    ct[(radius > 0.8) & (radius < 0.88)] = 900.0
    noise = np.random.default_rng(1).normal(0.0, 8.0, ct.shape)
    return Volume((ct + noise).astype(np.float32), geometry)


@pytest.fixture(scope="session")
def pet_volume() -> Volume:
    """SUV 1 in the body, SUV 9 and 6 in two lesions, 4 mm voxels on another grid."""
    geometry = Geometry((46, 52, 60), (4.0, 4.0, 4.0), (-90.0, -92.0, -88.0))
    pet = np.where(ellipsoid_radius(geometry, BODY_CENTRE_LPS, (70.0, 85.0, 100.0)) < 1.0, 1.0, 0.0)
    pet += 8.0 * np.exp(-np.log(2) * ellipsoid_radius(geometry, GTVP_CENTRE_LPS, (13.0,) * 3) ** 2)
    pet += 5.0 * np.exp(-np.log(2) * ellipsoid_radius(geometry, GTVN_CENTRE_LPS, (9.0,) * 3) ** 2)
    return Volume(pet.astype(np.float32), geometry)


@pytest.fixture(scope="session")
def label_map(ct_volume) -> Volume:
    """GTVp of 13 mm and GTVn of 9 mm radius."""
    labels = np.zeros(ct_volume.geometry.shape, dtype=np.uint8)
    labels[ellipsoid_radius(ct_volume.geometry, GTVP_CENTRE_LPS, (13.0,) * 3) <= 1.0] = 1
    labels[ellipsoid_radius(ct_volume.geometry, GTVN_CENTRE_LPS, (9.0,) * 3) <= 1.0] = 2
    return Volume(labels, ct_volume.geometry)


@pytest.fixture(scope="session")
def case(ct_volume, pet_volume) -> Case:
    return Case("CASE-1", ct_volume, pet_volume)


@pytest.fixture(scope="session")
def gtvp_centre() -> tuple[float, float, float]:
    return GTVP_CENTRE_LPS


@pytest.fixture
def results() -> dict:
    return build_results()


@pytest.fixture
def make_results():
    """A function of the steepness of the RFS curve that gives results."""
    return build_results


def build_results(scale: float = 1.0) -> dict:
    """results.json of a case: RFS falls by 10 % a year times ``scale``; unknown after 6 years."""
    days = tuple(float(d) for d in range(0, 3000, 100))
    survival = tuple(max(0.0, 1.0 - scale * 0.1 * d / 365.25) if d <= 2200 else None for d in days)
    low = tuple(None if s is None else s - 0.05 * d / 2200 for s, d in zip(survival, days, strict=True))
    high = tuple(None if s is None else min(1.0, s + 0.05 * d / 2200) for s, d in zip(survival, days, strict=True))
    primary = LesionFigures(9.2, 9.0, 8.1, 5.5, 6.1, 40.3)
    node = LesionFigures(3.05, 6.0, None, 4.0, 2.0, 9.0)
    return Results(
        case_id="CASE-1",
        bundle={"name": "test bundle", "version": "0.1", "sha256": "ab" * 32},
        inputs={},
        lesions={
            "GTVp": ClassFigures(primary, (LesionComponent(1, GTVP_CENTRE_LPS, primary),)),
            "GTVn": ClassFigures(node, (LesionComponent(1, GTVN_CENTRE_LPS, node),)),
        },
        hpv=HpvResult(0.731, 0.5, "positive", (0.7, 0.762)),
        rfs=RfsResult(
            "end of radiotherapy",
            0.42,
            "intermediate",
            1234.0,
            SurvivalCurve(days, survival, low, high),
            {"1y": 0.9, "2y": 0.8, "3y": 0.7, "5y": 0.5},
            (0.4, 0.44),
        ),
        contributions={"hpv": (Contribution("Age", 61.0, -0.02),), "rfs": ()},
        warnings=(Notice("SITE_UNKNOWN", "The primary site is unknown."),),
        timings_s={"total": 1.0},
    ).as_dict()


def ellipsoid_radius(geometry: Geometry, centre_lps, radii_mm) -> np.ndarray:
    """Distance of each voxel from a centre in units of the radii, array (z, y, x)."""
    k, j, i = np.indices(geometry.shape)
    points = geometry.physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm((points - np.asarray(centre_lps)) / np.asarray(radii_mm), axis=-1)
