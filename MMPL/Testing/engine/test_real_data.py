"""Real PET/CT through the whole pipeline. Opt-in: MMPL_TEST_DATA names the folder that holds ``sts``.

The patients have sarcomas, not head-and-neck tumours, and the demo bundle is trained on phantoms: no accuracy is
tested here, only that real images go through, that features are finite, and that figures of their own masks agree
with an independent computation by nibabel.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.bundle.reader import default_bundle_path

ROOT = Path(os.environ.get("MMPL_TEST_DATA", "/nowhere"))
CASES = sorted(p.name for p in ROOT.glob("sts/STS_*"))

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not CASES, reason="MMPL_TEST_DATA names no folder with sts/STS_*"),
]
EXPECTED_WARNINGS = {
    "PHANTOM_BUNDLE",
    "SMALL_OVERLAP",
    "SITE_UNKNOWN",
    "CLINICAL_MISSING",
    "NO_LESION",
    "ROI_FALLBACK",
}


@pytest.mark.parametrize("name", CASES)
def test_assess_agrees_with_an_independent_computation(name, mmpl, tmp_path):
    folder = ROOT / "sts" / name
    ran = mmpl("assess", *_images(folder), "--mask", folder / "CT_mask.nii.gz", "--out", tmp_path / "out")

    assert ran.code == 0, ran.errors
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {w["code"] for w in results["warnings"]} <= EXPECTED_WARNINGS
    volume_ml, suv = _independent(folder)
    gtvp = results["lesions"]["GTVp"]
    assert gtvp["volume_ml"] == pytest.approx(volume_ml, rel=1e-5)
    assert gtvp["suv_max"] == pytest.approx(float(suv.max()), rel=1e-5)
    assert gtvp["suv_mean"] == pytest.approx(float(suv.mean()), rel=1e-5)
    assert 0 < gtvp["suv_mean"] < gtvp["suv_peak"] <= gtvp["suv_max"]
    assert 0 < gtvp["mtv_ml"] <= 1.2 * gtvp["volume_ml"]
    features = np.genfromtxt(
        tmp_path / "out" / "features.csv", delimiter=",", skip_header=1, usecols=1, filling_values=np.nan
    )
    names = [
        line.split(",")[0] for line in (tmp_path / "out" / "features.csv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    of_gtvp = [v for n, v in zip(names, features, strict=True) if n.startswith("GTVp_")]
    assert len(of_gtvp) > 300
    assert np.isfinite(of_gtvp).all()
    assert 0 <= results["hpv"]["probability"] <= 1
    assert results["rfs"]["risk"] is not None


@pytest.mark.parametrize("name", CASES)
def test_predict_goes_through_and_keeps_the_grid(name, mmpl, tmp_path):
    folder = ROOT / "sts" / name
    ran = mmpl("predict", *_images(folder), "--out", tmp_path / "out")

    assert ran.code == 0, ran.errors
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {w["code"] for w in results["warnings"]} <= EXPECTED_WARNINGS
    mask, ct = (sitk.ReadImage(str(p)) for p in (tmp_path / "out" / "mask.nii.gz", folder / "CT_image.nii.gz"))
    assert mask.GetSize() == ct.GetSize()
    assert np.allclose(mask.GetSpacing(), ct.GetSpacing(), atol=1e-5)
    assert np.allclose(mask.GetOrigin(), ct.GetOrigin(), atol=1e-4)
    assert np.allclose(mask.GetDirection(), ct.GetDirection(), atol=1e-6)


def _images(folder: Path) -> tuple:
    return "--ct", folder / "CT_image.nii.gz", "--pt", folder / "PET_image.nii.gz", "--bundle", default_bundle_path()


def _independent(folder: Path) -> tuple[float, np.ndarray]:
    """Volume in mL from the CT-grid mask, and the PET voxels whose nearest CT voxel is inside it."""
    mask, pet = (nibabel.load(folder / n) for n in ("CT_mask.nii.gz", "PET_image.nii.gz"))
    inside = np.asarray(mask.dataobj) > 0
    volume_ml = inside.sum() * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    ijk = np.indices(pet.shape).reshape(3, -1)
    to_mask = np.linalg.inv(mask.affine) @ pet.affine
    nearest = np.floor(to_mask[:3, :3] @ ijk + to_mask[:3, 3:] + 0.5 + 1e-6).astype(int)
    valid = np.all((nearest >= 0) & (nearest < np.array(inside.shape)[:, None]), axis=0)
    hit = np.zeros(ijk.shape[1], bool)
    hit[valid] = inside[tuple(nearest[:, valid])]
    return volume_ml, np.asarray(pet.dataobj).reshape(-1)[hit]
