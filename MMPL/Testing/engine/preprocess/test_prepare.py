"""The 1 mm ROI does not depend on how a patient is stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.case import Case
from mmpl.errors import GeometryError
from mmpl.geometry import Geometry, Volume, image_from_volume, volume_from_image
from mmpl.io.case import read_case
from mmpl.notices import ROI_FALLBACK, SMALL_OVERLAP
from mmpl.preprocess.grid import common_grid
from mmpl.preprocess.prepare import label_on_ct, label_on_roi, prepare
from mmpl.resample import resample

COSINE, SINE = np.cos(np.deg2rad(9)), np.sin(np.deg2rad(9))
TILTED = np.array([[COSINE, -SINE, 0], [SINE, COSINE, 0], [0, 0, 1]])


def stored_as(volume: Volume, axes: str, flips: tuple[bool, bool, bool]) -> Volume:
    """The same voxels in space, stored in another order, by SimpleITK's own filters."""
    image = image_from_volume(volume)
    order = ["xyz".index(a) for a in axes]
    image = sitk.Flip(sitk.PermuteAxes(image, order), flips)
    return volume_from_image(image)


@pytest.fixture(scope="module")
def prepared_plain(a_case):
    return a_case, prepare(a_case)


@pytest.mark.parametrize(
    ("ct_order", "pet_order"),
    [
        (("xyz", (True, True, False)), ("xyz", (False, False, True))),
        (("zxy", (False, True, False)), ("yxz", (True, False, True))),
    ],
)
def test_flipped_and_permuted_storage_changes_nothing(prepared_plain, ct_order, pet_order):
    case, plain = prepared_plain
    other = prepare(replace(case, ct=stored_as(case.ct, *ct_order), pet=stored_as(case.pet, *pet_order)))
    assert other.ct_geometry != plain.ct_geometry
    assert other.geometry.is_close(plain.geometry, 1e-6)
    np.testing.assert_allclose(other.pet_suv, plain.pet_suv, atol=1e-5)
    np.testing.assert_allclose(other.ct_hu, plain.ct_hu, atol=5e-3)  # 1e-5 of the 900 HU spanned


def test_nrrd_and_nifti_give_the_same_roi(prepared_plain, tmp_path):
    case, plain = prepared_plain
    sitk.WriteImage(image_from_volume(case.ct), str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(image_from_volume(case.pet), str(tmp_path / "pt.nii.gz"))
    other = prepare(read_case("head", tmp_path / "ct.nrrd", tmp_path / "pt.nii.gz"))
    assert other.geometry.is_close(plain.geometry, 1e-4)
    # NIfTI keeps positions in single precision: 1e-5 mm
    np.testing.assert_allclose(other.pet_suv, plain.pet_suv, atol=2e-4)
    np.testing.assert_allclose(other.ct_hu, plain.ct_hu, atol=5e-3)


def test_shapes_ranges_and_geometry(prepared_plain):
    case, roi = prepared_plain
    assert roi.ct_hu.shape == roi.pet_suv.shape == (310, 200, 200)
    assert roi.ct_hu.dtype == roi.pet_suv.dtype == np.float32
    assert roi.geometry.spacing_mm == (1, 1, 1)
    # on the common grid's lattice, and inside it
    grid = common_grid(case.ct.geometry, case.pet.geometry)
    start = grid.index(roi.geometry.origin_mm)
    np.testing.assert_allclose(start, np.rint(start), atol=1e-9)
    assert (start >= 0).all()
    assert roi.ct_geometry == case.ct.geometry
    assert roi.pet_native is case.pet


def test_values_are_the_smooth_functions(prepared_plain):
    _, roi = prepared_plain
    z, y, x = np.meshgrid(*[np.arange(50, 60)] * 3, indexing="ij")
    px, py, pz = np.moveaxis(roi.geometry.physical(np.stack([x, y, z], axis=-1)), -1, 0)
    expected = 400 * np.sin(px / 30) + 300 * np.cos(py / 25) + 200 * np.sin(pz / 20)
    np.testing.assert_allclose(roi.ct_hu[50:60, 50:60, 50:60], expected, atol=0.5)


def test_padding_and_small_overlap():
    ct = Geometry((60, 60, 60), (2, 2, 2), (0, 0, 0))
    case = Case(
        "small",
        Volume(np.full(ct.shape, 40, np.float32), ct),
        Volume(np.full(ct.shape, 2, np.float32), ct),
    )
    roi = prepare(case)
    assert [n.code for n in roi.notices] == [ROI_FALLBACK]  # 119 mm is enough
    inside = np.isclose(roi.ct_hu, 40, atol=1e-2)
    assert inside.sum() == 119**3
    assert (roi.ct_hu[~inside] == -1024).all()
    assert (roi.pet_suv[~inside] == 0).all()
    np.testing.assert_allclose(roi.pet_suv[inside], 2, atol=1e-4)

    near = Geometry((60, 60, 30), (2, 2, 2), (0, 0, 0))  # 119 x 119 x 59 mm
    small = prepare(Case("small", Volume(np.full(near.shape, 40, np.float32), near), case.pet))
    codes = [n.code for n in small.notices]
    assert codes == [SMALL_OVERLAP, ROI_FALLBACK]
    assert "119 x 119 x 59 mm" in small.notices[0].text


def test_ct_is_clipped_and_pet_is_cleaned():
    geometry = Geometry((70, 70, 110), (3, 3, 3), (0, 0, 0))
    ct = np.full(geometry.shape, -1024, np.float32)
    ct[40:60, 30:40, 30:40] = 6000  # metal
    pet = np.zeros(geometry.shape, np.float32)
    pet[90:100, 30:40, 30:40] = 20
    roi = prepare(Case("metal", Volume(ct, geometry), Volume(pet, geometry)))
    assert (roi.ct_hu.min(), roi.ct_hu.max()) == (-1024, 3071)
    assert roi.pet_suv.min() == 0
    assert not ((roi.pet_suv > 0) & (roi.pet_suv < 1e-3)).any()


def test_metal_of_an_extended_scale_rings_no_further_than_the_usual():
    """And padding of -3024 HU no further than air."""
    geometry = Geometry((70, 70, 110), (3, 3, 3), (0, 0, 0))
    pet = Volume(np.full(geometry.shape, 2, np.float32), geometry)

    def prepared(metal, padding, dtype=np.float32):
        ct = np.full(geometry.shape, 40, dtype)
        ct[40:60, 30:40, 30:40], ct[:, :5] = metal, padding
        return prepare(Case("metal", Volume(ct, geometry), pet)).ct_hu

    usual = prepared(3071, -1024)
    assert np.array_equal(prepared(25_000, -3024), usual)
    assert np.array_equal(prepared(25_000, -3024, np.int16), usual)
    assert usual.max() == 3071


def test_no_overlap_names_the_case():
    near, far = Geometry((5, 5, 5), (1, 1, 1), (0, 0, 0)), Geometry((5, 5, 5), (1, 1, 1), (90, 0, 0))
    ones = np.ones((5, 5, 5), np.float32)
    with pytest.raises(GeometryError, match=r"^P-3: PET and CT do not overlap"):
        prepare(Case("P-3", Volume(ones, near), Volume(ones, far)))


def test_a_given_roi_is_used(prepared_plain):
    case, plain = prepared_plain
    moved = plain.geometry.cropped((0, 0, -16), plain.geometry.size)
    roi = prepare(case, roi=moved)
    assert roi.geometry == moved
    # what both hold is the same
    np.testing.assert_allclose(roi.pet_suv[16:], plain.pet_suv[:-16], atol=1e-5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.17, 1.17, 3.0), (2.0, 1.5, 2.5)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1)])
def test_labels_survive_the_way_to_the_roi_and_back(spacing, flips):
    size = (60, 60, 60)
    ct = Geometry(size, spacing, (3.3, -4.4, 5.5), np.diag(flips))
    low, _ = ct.bounds_lps()
    labels = np.zeros(ct.shape, np.uint8)
    labels[20:35, 25:40, 22:41] = 1
    labels[40:44, 30:33, 30:31] = 2
    labels[47, 12, 12] = 2  # a lone voxel
    roi = Geometry((200, 200, 310), (1, 1, 1), tuple(low - 7.4))
    back = label_on_ct(label_on_roi(Volume(labels, ct), roi), roi, ct)
    assert back.geometry == ct
    assert back.array.dtype == np.uint8
    np.testing.assert_array_equal(back.array, labels)  # Dice 1, the lone voxel included


def test_labels_outside_the_roi_are_lost_and_the_grid_is_the_cts():
    ct = Geometry((40, 40, 40), (5, 5, 5), (0, 0, 0))
    labels = Volume(np.ones(ct.shape, np.uint8), ct)
    roi = Geometry((50, 50, 50), (1, 1, 1), (20, 20, 20))  # 20..69: voxels 4..13 lie inside, 70 mm is 0.5 outside
    back = label_on_ct(label_on_roi(labels, roi), roi, ct)
    assert back.geometry == ct
    expected = np.zeros(ct.shape, np.uint8)
    expected[4:14, 4:14, 4:14] = 1
    np.testing.assert_array_equal(back.array, expected)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1, 1, -1]), TILTED], ids=["plain", "flipped", "oblique"])
@pytest.mark.parametrize("spacing", [(0.7, 0.9, 2.5), (1.0, 1.0, 2.0)])
@pytest.mark.parametrize("where", ["inside", "at the border", "beyond the ROI", "nowhere"])
def test_only_the_labelled_part_is_resampled_and_nothing_changes(direction, spacing, where):
    ct = Geometry((40, 36, 20), spacing, (3.3, -4.1, 7.7), direction)
    middle = ct.physical((np.array(ct.size) - 1) / 2)
    roi = Geometry((24, 22, 30), (1, 1, 1), tuple(np.rint(middle - 12)))
    labels = np.zeros(ct.shape, np.uint8)
    labels[8:13, 15:22, 18:25] = 1
    labels[12:15, 18:26, 20:23] = 2
    if where == "at the border":
        labels[:] = 0
        labels[:3, :5, :4] = labels[-2:, -6:, -3:] = 2
    elif where == "beyond the ROI":
        labels[:, 17:19, 5:36] = 1
    elif where == "nowhere":
        labels[:] = 0
    label_map = Volume(labels, ct)
    whole = resample(label_map, roi, method="nearest", fill=0).array
    np.testing.assert_array_equal(label_on_roi(label_map, roi), whole)
    np.testing.assert_array_equal(label_on_roi(label_map.trimmed(), roi), whole)
    back = label_on_ct(whole, roi, ct)
    np.testing.assert_array_equal(back.array, resample(Volume(whole, roi), ct, method="nearest", fill=0).array)
    assert (back.geometry, back.array.dtype) == (ct, np.uint8)


def test_a_large_ct_is_not_resampled_for_a_small_label(monkeypatch):
    ct, roi = Geometry((200, 200, 60), (1, 1, 2), (0, 0, 0)), Geometry((100, 100, 100), (1, 1, 1), (40, 40, 10))
    labels, seen = np.zeros(roi.shape, np.uint8), []
    labels[50:60, 50:60, 50:60] = 1

    def watched(volume, target, **how):
        seen.append(target.size)
        return resample(volume, target, **how)

    monkeypatch.setattr("mmpl.preprocess.prepare.resample", watched)
    assert label_on_ct(labels, roi, ct).array.sum() == 500
    assert max(max(size) for size in seen) <= 16
