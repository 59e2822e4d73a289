"""Rendered patients: determinism, geometry, and what CT and PET show where."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mmpl.case import GTVN, GTVP, PET_SUV
from mmpl.geometry import image_from_volume
from mmpl.phantom import generate_patient
from mmpl.phantom.factors import draw_factors
from mmpl.phantom.scanner import SCANNERS

SEED = 7


def _first_of_each_center():
    found = {}
    for index in range(200):
        found.setdefault(draw_factors(SEED, index).center_id, index)
        if len(found) == len(SCANNERS):
            break
    return [found[center_id] for center_id in sorted(found)]


@pytest.fixture(scope="module", params=_first_of_each_center(), ids=lambda index: f"patient{index}")
def patient(request):
    return generate_patient(SEED, request.param)


@pytest.fixture(scope="module")
def lps(patient):
    """CT, PET (on the CT grid) and labels as (z, y, x) arrays along L, P, S; CT spacing (z, y, x)."""
    ct = sitk.DICOMOrient(image_from_volume(patient.ct), "LPS")
    labels = sitk.DICOMOrient(image_from_volume(patient.label_map), "LPS")
    pet = sitk.Resample(image_from_volume(patient.pet), ct, sitk.Transform(), sitk.sitkLinear, 0.0)
    ct_hu, pet_suv, label_map = map(sitk.GetArrayFromImage, (ct, pet, labels))
    return ct_hu, pet_suv, label_map, ct.GetSpacing()[::-1]


def test_same_seed_and_index_give_identical_arrays():
    one, other = generate_patient(SEED, 2), generate_patient(SEED, 2)
    for name in ("ct", "pet", "label_map"):
        np.testing.assert_array_equal(getattr(one, name).array, getattr(other, name).array)
        assert getattr(one, name).geometry == getattr(other, name).geometry
    assert one.clinical == other.clinical
    assert not np.array_equal(one.pet.array, generate_patient(SEED + 1, 2).pet.array)


def test_types_and_grids(patient):
    assert patient.ct.array.dtype == np.int16
    assert patient.pet.array.dtype == np.float32
    assert patient.label_map.array.dtype == np.uint8
    assert patient.label_map.geometry == patient.ct.geometry
    assert set(np.unique(patient.label_map.array)) <= {0, GTVP, GTVN}
    ct, pet = patient.ct.geometry, patient.pet.geometry
    assert ct.size != pet.size
    assert ct.spacing_mm != pet.spacing_mm
    assert not np.allclose(ct.bounds_lps()[0], pet.bounds_lps()[0], atol=0.5)
    low = np.maximum(ct.bounds_lps()[0], pet.bounds_lps()[0])
    high = np.minimum(ct.bounds_lps()[1], pet.bounds_lps()[1])
    assert 295 < (high - low)[2] < 375
    assert patient.pet.array.min() >= 0


def test_rendered_volumes_follow_the_truth(patient):
    truth = patient.latents
    assert truth["rendered_primary_ml"] == pytest.approx(truth["primary_ml"], rel=0.30, abs=0.1)
    assert truth["rendered_nodes_ml"] == pytest.approx(sum(truth["node_ml"]), rel=0.20, abs=0.1)


def test_lesions_are_hotter_than_their_surroundings_and_soft_tissue(patient, lps):
    ct_hu, pet_suv, labels, spacing = lps
    lesion = labels > 0
    distance = ndimage.distance_transform_edt(~lesion, sampling=spacing)
    around = (distance > 8) & (distance < 15) & (ct_hu > -200) & (ct_hu < 200)
    assert pet_suv[lesion].mean() > 1.5 * pet_suv[around].mean()
    assert -20 < np.median(ct_hu[lesion]) < 130
    assert (ct_hu[lesion] < -300).mean() < 0.05
    assert (ct_hu[lesion] > 400).mean() < 0.08


def test_air_brain_and_airway_have_their_values(lps):
    ct_hu, pet_suv, labels, _ = lps
    assert ct_hu[0, 0, 0] == pytest.approx(-1000, abs=80)
    brain = _largest_hot_component_of_the_cranial_quarter(pet_suv)
    assert 20 < np.median(ct_hu[brain]) < 55
    assert 5 < np.median(pet_suv[brain]) < 12
    assert not labels[brain].any()
    # The airway: air of the neck that does not touch the outside.
    neck = slice(int(0.2 * len(ct_hu)), int(0.4 * len(ct_hu)))
    components, _ = ndimage.label(ct_hu[neck] < -700)
    outside = set(np.unique(components[:, [0, -1], :])) | set(np.unique(components[:, :, [0, -1]]))
    airway = ~np.isin(components, [*outside, 0])
    assert airway.any(axis=(1, 2)).all()
    assert np.median(pet_suv[neck][airway]) < 1.0


def _largest_hot_component_of_the_cranial_quarter(pet_suv):
    start = int(0.75 * len(pet_suv))
    slab = pet_suv[start:]
    components, count = ndimage.label((slab - slab.mean()) / slab.std() > 1.0, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(np.ones(slab.shape), components, range(1, count + 1))
    mask = np.zeros(pet_suv.shape, bool)
    mask[start:] = components == 1 + np.argmax(sizes)
    return mask


def test_brain_centres_a_box_that_holds_every_lesion(lps):
    _, pet_suv, labels, spacing = lps
    centre = np.argwhere(_largest_hot_component_of_the_cranial_quarter(pet_suv)).mean(axis=0)
    reach_mm = np.abs(np.argwhere(labels) - centre) * spacing
    assert reach_mm[:, 1:].max() < 100
    assert reach_mm[:, 0].max() < 290  # the box is 310 mm high and shifted down to fit


def test_truth_can_be_recovered_from_uptake(patient, lps):
    """Voxels well inside a lesion are hotter than voxels well outside it nearly always."""
    _, pet_suv, labels, spacing = lps
    lesion = labels > 0
    around = ndimage.distance_transform_edt(~lesion, sampling=spacing)
    shell = (around > 6) & (around < 10)
    hot = np.percentile(pet_suv[lesion], 75)
    assert (pet_suv[shell] < hot).mean() > 0.85


def test_as_case(patient):
    case = patient.as_case()
    assert case.case_id == patient.patient_id
    assert case.pet_units == PET_SUV
    assert case.ct.array.dtype == np.float32
    np.testing.assert_array_equal(case.ct.array, patient.ct.array)
    assert case.clinical == patient.clinical


def test_files_of_some_centres_are_stored_along_other_axes(patient):
    scanner = SCANNERS[patient.center_id]
    direction = np.asarray(patient.ct.geometry.direction)
    expected = np.zeros((3, 3))
    for column, (axis, flip) in enumerate(zip(scanner.ct_axes, scanner.ct_flips, strict=True)):
        expected[axis, column] = -1.0 if flip else 1.0
    np.testing.assert_array_equal(direction, expected)
