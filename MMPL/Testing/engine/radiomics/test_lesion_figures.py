from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mmpl.errors import InputError
from mmpl.geometry import Geometry, Volume
from mmpl.radiomics.lesion_figures import PEAK_RADIUS_MM, class_figures, suv_peak
from mmpl.results import LesionFigures

CT_GRID = Geometry(size=(40, 40, 40), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0))
PET_GRID = Geometry(size=(10, 10, 10), spacing_mm=(4.0, 4.0, 4.0), origin_mm=(1.5, 1.5, 1.5))


def mask_of(*boxes, grid=CT_GRID):
    """Boxes are (z0, z1, y0, y1, x0, x1), half open."""
    array = np.zeros(grid.shape, dtype=bool)
    for z0, z1, y0, y1, x0, x1 in boxes:
        array[z0:z1, y0:y1, x0:x1] = True
    return Volume(array, grid)


def pet_of(background=1.0, grid=PET_GRID, **voxels):
    array = np.full(grid.shape, background, dtype=np.float32)
    for name, value in voxels.items():
        i, j, k = (int(c) for c in name[1:])  # "v123" is voxel i = 1, j = 2, k = 3
        array[k, j, i] = value
    return Volume(array, grid)


def test_uptake_is_read_from_the_pet_voxels_inside():
    # The box covers PET voxels i = 1, 2; j = 1; k = 1 exactly: 8 x 4 x 4 mm.
    mask = mask_of((4, 8, 4, 8, 4, 12))
    figures = class_figures(mask, pet_of(v111=10.0, v211=4.0, v311=99.0)).total
    assert figures.volume_ml == pytest.approx(0.128)
    assert figures.suv_max == 10.0
    assert figures.suv_mean == 7.0
    assert figures.mtv_ml == pytest.approx(0.064)  # 4.0 < 41 % of 10
    assert figures.tlg_g == pytest.approx(0.64)


def test_mtv_threshold_is_inclusive_and_can_be_changed():
    mask = mask_of((4, 8, 4, 8, 4, 12))
    pet = pet_of(v111=8.0, v211=4.0)
    assert class_figures(mask, pet, mtv_fraction=0.5).total.mtv_ml == pytest.approx(0.128)
    assert class_figures(mask, pet, mtv_fraction=0.5).total.tlg_g == pytest.approx(0.128 * 6.0)
    assert class_figures(mask, pet, mtv_fraction=0.51).total.mtv_ml == pytest.approx(0.064)


def test_each_lesion_has_its_own_threshold_and_the_total_adds_them():
    small, large = (4, 8, 4, 8, 4, 12), (24, 28, 24, 28, 24, 40)
    pet = pet_of(v111=20.0, v211=19.0, v666=3.0, v766=2.0, v866=1.0, v966=0.5)
    found = class_figures(mask_of(small, large), pet)
    assert [c.id for c in found.components] == [1, 2]
    first, second = (c.figures for c in found.components)
    assert (first.volume_ml, second.volume_ml) == pytest.approx((0.256, 0.128))
    assert (first.suv_max, second.suv_max) == (3.0, 20.0)
    assert first.mtv_ml == pytest.approx(2 * 0.064)  # 3 and 2, not 1 < 1.23; all under 41 % of 20
    assert second.mtv_ml == pytest.approx(2 * 0.064)
    assert found.total.mtv_ml == pytest.approx(4 * 0.064)
    assert found.total.tlg_g == pytest.approx(0.064 * (3 + 2 + 20 + 19))
    assert found.total.suv_max == 20.0
    assert found.total.suv_mean == pytest.approx((20 + 19 + 3 + 2 + 1 + 0.5) / 6)
    assert found.total.volume_ml == pytest.approx(0.384)


def test_centroids_are_in_lps_millimetres():
    grid = Geometry((20, 20, 20), (2, 1, 3), (-30, 50, -400), ((0, -1, 0), (1, 0, 0), (0, 0, 1)))
    (lesion,) = class_figures(mask_of((3, 6, 10, 11, 4, 6), grid=grid), None).components
    # index (4.5, 10, 4): x = -30 - 10, y = 50 + 9, z = -400 + 12
    assert lesion.centroid_lps_mm == pytest.approx((-40.0, 59.0, -388.0))


def test_voxels_that_touch_by_a_corner_are_one_lesion():
    corner = mask_of((4, 8, 4, 8, 4, 8), (8, 12, 8, 12, 8, 12))
    gap = mask_of((4, 8, 4, 8, 4, 8), (9, 13, 8, 12, 8, 12))
    assert len(class_figures(corner, None).components) == 1
    assert len(class_figures(gap, None).components) == 2


def test_without_suv_only_the_volume_is_given():
    found = class_figures(mask_of((4, 8, 4, 8, 4, 8)), None)
    assert found.total == LesionFigures(pytest.approx(0.064), None, None, None, None, None)
    assert found.components[0].figures == found.total


def test_no_lesion_has_volume_zero_and_no_uptake():
    found = class_figures(mask_of(), pet_of())
    assert found.total == LesionFigures(0.0, None, None, None, None, None)
    assert found.components == ()


def test_lesion_between_pet_voxel_centres_takes_the_voxel_it_lies_in():
    # PET centres lie at 1.5, 5.5, ... mm; the lesion is the CT voxel at (7, 4, 4), in PET voxel (1, 1, 1).
    found = class_figures(mask_of((4, 5, 4, 5, 7, 8)), pet_of(v111=6.0))
    assert found.total.volume_ml == pytest.approx(0.001)
    assert found.total.suv_max == 6.0
    assert found.total.mtv_ml == pytest.approx(0.001)  # no more than the lesion itself
    assert found.total.tlg_g == pytest.approx(0.006)


def test_a_pet_voxel_around_specks_is_counted_once():
    """Two specks in PET voxel (1, 1, 1); one in (3, 1, 1), whose centre the solid lesion holds."""
    solid, specks = (4, 8, 4, 8, 14, 16), [(4, 5, 4, 5, 4, 5), (4, 5, 4, 5, 7, 8), (4, 5, 4, 5, 12, 13)]
    found = class_figures(mask_of(solid, *specks), pet_of(v111=6.0, v311=10.0))
    solid, *specks = (c.figures for c in found.components)
    assert (solid.volume_ml, solid.mtv_ml, solid.tlg_g) == pytest.approx((0.032, 0.064, 0.64))
    assert [(one.suv_max, one.mtv_ml) for one in specks] == [
        (6.0, pytest.approx(0.001)),
        (6.0, pytest.approx(0.001)),
        (10.0, pytest.approx(0.001)),
    ]
    assert found.total.mtv_ml == pytest.approx(0.064 + 3 * 0.001)
    assert found.total.tlg_g == pytest.approx(0.64 + 0.001 * (6 + 6 + 10))
    assert found.total.suv_mean == pytest.approx((6 + 10) / 2)


def test_lesion_outside_the_pet_has_no_uptake():
    pet = Volume(np.full((5, 5, 5), 2.0, np.float32), Geometry((5, 5, 5), (4, 4, 4), (1.5, 1.5, 1.5)))
    inside, outside = (4, 8, 4, 8, 4, 8), (30, 38, 30, 38, 30, 38)
    found = class_figures(mask_of(inside, outside), pet)
    assert [c.figures.suv_max for c in found.components] == [None, 2.0]
    assert found.total.suv_max == 2.0
    assert found.total.volume_ml == pytest.approx(0.064 + 0.512)


def test_voxels_without_value_are_left_out():
    found = class_figures(mask_of((4, 8, 4, 8, 4, 12)), pet_of(v111=np.nan, v211=4.0)).total
    assert (found.suv_max, found.suv_mean) == (4.0, 4.0)
    assert np.isfinite(found.suv_peak)


def test_no_uptake_at_all_is_no_metabolic_volume():
    found = class_figures(mask_of((4, 8, 4, 8, 4, 12)), pet_of(background=0.0)).total
    assert (found.suv_max, found.mtv_ml, found.tlg_g) == (0.0, 0.0, 0.0)


def test_peak_of_the_ibsi_phantom(ibsi_image, ibsi_mask):
    found = class_figures(ibsi_mask, ibsi_image)
    assert found.total.suv_peak == pytest.approx(3.1, abs=0.05)  # 0F91, very strong consensus: 3.10


def test_local_peak_of_the_ibsi_phantom(ibsi_image):
    # VJGA centres the sphere on the highest voxel inside, the best one where several share the value:
    # the mask leaves the one 9 out, so the 6s.
    sixes = np.argwhere(ibsi_image.array == 6)[:, ::-1]
    assert suv_peak(ibsi_image, sixes) == pytest.approx(2.6, abs=0.05)


def test_peak_sphere_takes_voxel_centres_within_one_millilitre():
    # 4 mm voxels: the centre, 6 at 4 mm and 12 at 5.66 mm are inside 6.2 mm; the 8 at 6.93 mm are not.
    assert pytest.approx(6.2035, abs=1e-4) == PEAK_RADIUS_MM
    pet = pet_of(background=0.0, v555=19.0, v666=1000.0, v665=38.0)
    assert suv_peak(pet, np.array([[5, 5, 5]])) == pytest.approx((19 + 38) / 19)


def test_peak_counts_only_voxels_of_the_image():
    # At the corner: the centre, 3 at 4 mm and 3 at 5.66 mm.
    assert suv_peak(pet_of(background=2.0, v000=9.0), np.array([[0, 0, 0]])) == pytest.approx((9 + 6 * 2) / 7)


def test_peak_on_unequal_spacing_agrees_with_asking_every_voxel():
    grid = Geometry((9, 8, 7), (2.0, 3.0, 5.0), (0, 0, 0))
    array = np.random.default_rng(4).gamma(2.0, 2.0, grid.shape)
    centres = np.argwhere(array > 4)[:, ::-1]
    z, y, x = np.indices(grid.shape)
    means = [
        array[(2 * (x - i)) ** 2 + (3 * (y - j)) ** 2 + (5 * (z - k)) ** 2 <= PEAK_RADIUS_MM**2].mean()
        for i, j, k in centres
    ]
    assert suv_peak(Volume(array, grid), centres) == pytest.approx(max(means), rel=1e-12)


def brute_force(mask, pet):
    """SUVmax, SUVmean and voxel count by asking for every PET voxel in turn."""
    inside = []
    for k, j, i in np.ndindex(pet.array.shape):
        x, y, z = np.round(mask.geometry.index(pet.geometry.physical((i, j, k)))).astype(int)
        if all(0 <= c < n for c, n in zip((x, y, z), mask.geometry.size, strict=True)) and mask.array[z, y, x]:
            inside.append(float(pet.array[k, j, i]))
    return max(inside), np.mean(inside), len(inside)


def test_oblique_pet_agrees_with_asking_every_voxel():
    a, b = np.deg2rad(20), np.deg2rad(-35)
    rotate_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    rotate_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    grid = Geometry((14, 13, 12), (3.1, 3.3, 3.7), (-3.0, 11.0, 4.0), rotate_z @ rotate_x)
    rng = np.random.default_rng(0)
    pet = Volume(rng.gamma(2.0, 2.0, grid.shape).astype(np.float32), grid)
    blobs, _ = ndimage.label(ndimage.gaussian_filter(rng.normal(size=CT_GRID.shape), 4) > 0.02)
    mask = Volume(blobs == np.argmax(np.bincount(blobs.ravel())[1:]) + 1, CT_GRID)
    found = class_figures(mask, pet, mtv_fraction=1e-9).total
    suv_max, suv_mean, count = brute_force(mask, pet)
    assert count > 90
    assert found.suv_max == suv_max
    assert found.suv_mean == pytest.approx(suv_mean)
    assert found.mtv_ml == pytest.approx(count * 3.1 * 3.3 * 3.7 / 1000)


def test_refuses_a_label_map_and_an_impossible_fraction():
    label_map = Volume(np.ones(CT_GRID.shape, np.uint8), CT_GRID)
    with pytest.raises(InputError, match="uint8"):
        class_figures(label_map, None)
    with pytest.raises(InputError, match="MTV fraction 41"):
        class_figures(mask_of(), None, mtv_fraction=41)


def test_pet_centres_on_faces_of_ct_voxels_do_not_hang_on_how_the_mask_is_cropped():
    # the usual case: 512 x 0.977 mm and 128 x 3.908 mm over the same field of view
    ct = Geometry((128, 128, 20), (0.977, 0.977, 3.27), (-250.1123, -249.6123, -103.3))
    corner = np.array(ct.origin_mm) - 0.977 / 2
    pet_grid = Geometry((32, 32, 20), (3.908, 3.908, 3.27), (*(corner[:2] + 3.908 / 2), -103.3))
    pet = Volume(np.random.default_rng(0).uniform(1, 9, pet_grid.shape).astype(np.float32), pet_grid)
    for x in range(20, 60, 3):
        mask = np.zeros(ct.shape, bool)
        mask[6:12, 40:61, x : x + 23] = True
        whole = Volume(mask, ct)
        figures = class_figures(whole, pet)
        for start in ((0, 0, 0), (3, 7, 2), (11, 5, 1)):
            part = ct.cropped(start, np.array(ct.size) - start)
            cropped = Volume(mask[start[2] :, start[1] :, start[0] :], part)
            again = class_figures(cropped.trimmed(), pet).total
            assert (again.suv_mean, again.mtv_ml, again.tlg_g) == (
                figures.total.suv_mean,
                figures.total.mtv_ml,
                figures.total.tlg_g,
            )


@pytest.mark.parametrize("flips", [(1, 1, -1), (1, -1, 1), (-1, 1, 1), (-1, -1, 1), (-1, -1, -1)])
def test_figures_do_not_hang_on_the_direction_of_storage(flips):
    """PET of 4 mm shares its borders with a CT of 1 x 1 x 2 mm, so that its centres lie on faces of CT voxels."""
    ct = Geometry((60, 60, 30), (1.0, 1.0, 2.0), (0.5, 0.5, 1.0))
    pet_grid = Geometry((15, 15, 15), (4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    rng = np.random.default_rng(3)
    pet = Volume(rng.uniform(1, 9, pet_grid.shape).astype(np.float32), pet_grid)
    mask = np.zeros(ct.shape, bool)
    mask[8:15, 18:42, 22:30] = True
    array = mask[tuple(slice(None, None, flip) for flip in reversed(flips))]
    ends = [0 if flip > 0 else n - 1 for flip, n in zip(flips, ct.size, strict=True)]
    flipped = Geometry(ct.size, ct.spacing_mm, ct.physical(ends), np.diag(np.array(flips, float)))
    straight, turned = (class_figures(volume, pet).total for volume in (Volume(mask, ct), Volume(array, flipped)))
    assert (turned.suv_mean, turned.mtv_ml, turned.tlg_g, turned.suv_max) == (
        straight.suv_mean,
        straight.mtv_ml,
        straight.tlg_g,
        straight.suv_max,
    )
