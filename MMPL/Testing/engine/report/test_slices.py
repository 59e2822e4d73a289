"""Pictures: orientation, windowing, contours and what is shown of a correction."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from mmpl.errors import GeometryError
from mmpl.geometry import Geometry
from mmpl.report.slices import (
    PLANES,
    Scene,
    centre_voxel,
    fused_rgb,
    hot,
    lesion_pictures,
    plane_crop,
    plane_png,
    removed_lesions,
)

AXIAL, CORONAL, SAGITTAL = PLANES
GRID = Geometry((9, 9, 9), (1.0, 1.0, 1.0), (-4.0, -4.0, -4.0))


def _marked(point_lps) -> np.ndarray:
    array = np.zeros(GRID.shape)
    x, y, z = np.rint(GRID.index(point_lps)).astype(int)
    array[z, y, x] = 1
    return array


@pytest.mark.parametrize(
    ("plane", "point_lps", "row", "column"),
    [
        (AXIAL, (-3, 0, 0), 4, 1),  # the patient's right is on the left
        (AXIAL, (0, -3, 0), 1, 4),  # anterior is up
        (CORONAL, (-3, 0, 0), 4, 1),
        (CORONAL, (0, 0, 3), 1, 4),  # superior is up
        (SAGITTAL, (0, -3, 0), 4, 1),  # anterior is on the left
        (SAGITTAL, (0, 0, 3), 1, 4),
    ],
)
def test_where_a_marked_voxel_is_seen(plane, point_lps, row, column):
    picture = plane_crop(_marked(point_lps), plane, (4, 4, 4), 9, 0)
    assert np.argwhere(picture).tolist() == [[row, column]]


def test_crop_beyond_the_grid_is_padded():
    picture = plane_crop(np.ones(GRID.shape), AXIAL, (4, 0, 8), 6, -7)
    assert picture.shape == (6, 6)
    assert (picture == 1).sum() == 3 * 4  # rows y 0..2, columns x 5..8
    assert picture[0, 0] == -7


def test_ct_window_ends_at_its_edges():
    hu = np.full((4, 4), -135.0)  # 40 - 350 / 2
    assert (fused_rgb(hu, np.zeros_like(hu)) == 0).all()
    assert (fused_rgb(hu + 350, np.zeros_like(hu)) == 255).all()
    assert set(np.unique(fused_rgb(hu + 175, np.zeros_like(hu)))) <= {127, 128}


def test_overlay_opacity_and_colour():
    hu = np.full((4, 4), -1000.0)
    np.testing.assert_array_equal(fused_rgb(hu, np.full((4, 4), 10.0))[5, 5], [166] * 3)  # 65 % of white
    np.testing.assert_allclose(hot(np.array([0.0, 0.375, 0.75, 1.0])), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])


def test_a_solid_contour_has_the_segments_colour():
    labels = np.zeros((3, 100, 100), dtype=np.uint8)
    labels[:, 30:70, 30:70] = 1
    flat = np.zeros(labels.shape, dtype=np.float32)
    scene = Scene(flat, flat, labels, Geometry((100, 100, 3), (1, 1, 1), (0, 0, 0)))
    image = np.asarray(Image.open(io.BytesIO(plane_png(scene, AXIAL, (1, 50, 50), 100))))
    assert image.shape == (300, 300, 3)
    # the left border lies between voxels 29 and 30, at pixel 90; halfway down it is a straight line
    assert image[150, 90].tolist() == [213, 94, 0]
    assert image[150, 150, 0] == image[150, 150, 1]  # grey inside


def test_dashes_leave_gaps_and_solid_lines_do_not():
    labels = np.zeros((3, 100, 100), dtype=np.uint8)
    labels[:, 30:70, 30:70] = 2
    flat = np.zeros(labels.shape, dtype=np.float32)
    geometry = Geometry((100, 100, 3), (1, 1, 1), (0, 0, 0))

    def coloured(scene) -> np.ndarray:
        image = np.asarray(Image.open(io.BytesIO(plane_png(scene, AXIAL, (1, 50, 50), 100)))).astype(int)
        return np.ptp(image[110:190, 90], axis=-1) > 40

    assert coloured(Scene(flat, flat, labels, geometry)).all()
    dashed = coloured(Scene(flat, flat, np.zeros_like(labels), geometry, labels))
    assert 0.4 < dashed.mean() < 0.8


def test_centre_outside_a_crescent_moves_onto_it():
    mask = _marked((3, 0, 0)).astype(bool)
    assert centre_voxel(mask, GRID, (0, 0, 0)) == (4, 4, 7)
    assert centre_voxel(np.zeros_like(mask), GRID, (1, 0, 99)) == (8, 4, 5)


def test_pictures_of_a_corrected_case(scene, corrected):
    pictures = lesion_pictures(scene, corrected["lesions"])
    assert [p.title for p in pictures] == ["GTVp 1", "GTVn 1", "GTVn 2", "GTVn, removed by the correction"]
    primary = pictures[0].pictures
    assert [(p.plane, p.position_mm, p.side_mm) for p in primary] == [
        ("axial", 0.0, 100),
        ("coronal", 5.0, 100),
        ("sagittal", 10.0, 100),
    ]
    assert all(Image.open(io.BytesIO(p.png)).size == (300, 300) for p in primary)
    assert pictures[3].pictures[0].position_mm == -44.0


def positions(pictures) -> list[tuple[float, ...]]:
    """(sagittal, coronal, axial): where the planes cut, in mm (x, y, z)."""
    return [tuple(plane.position_mm for plane in reversed(picture.pictures)) for picture in pictures]


def nodes(*components: tuple[tuple[float, float, float], float]) -> dict:
    rows = [{"id": n, "centroid_lps_mm": at, "volume_ml": ml} for n, (at, ml) in enumerate(components, start=1)]
    return {"GTVp": {"components": []}, "GTVn": {"components": rows}}


def test_a_lesion_beyond_the_grid_has_no_picture_of_another():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:15, 5:15, 5:15] = 2
    flat = np.zeros(labels.shape, np.float32)
    scene = Scene(flat, flat, labels, Geometry((40, 40, 40), (1, 1, 1), (0, 0, 0)))
    beyond, inside = ((20.0, 20.0, 80.0), 4.0), ((9.5, 9.5, 9.5), 1.0)
    pictures = lesion_pictures(scene, nodes(beyond, inside))
    assert [(p.title, len(p.pictures)) for p in pictures] == [("GTVn 1", 0), ("GTVn 2", 3)]
    assert np.allclose(positions(pictures[1:]), 9.5, atol=0.51)
    (alone,) = lesion_pictures(scene, nodes(beyond))
    assert alone.pictures == ()
    empty = Scene(flat, flat, np.zeros_like(labels), scene.geometry)
    assert [p.pictures for p in lesion_pictures(empty, nodes(inside))] == [()]


def test_a_lesion_within_a_ring_and_the_ring_are_two_pictures():
    z, y, x = np.indices((30, 60, 60))
    radius = np.hypot(y - 30, x - 30)
    labels = np.where(((radius > 20) & (radius < 25) & (abs(z - 15) < 4)) | (radius + abs(z - 15) < 6), 2, 0)
    flat = np.zeros(labels.shape, np.float32)
    scene = Scene(flat, flat, labels.astype(np.uint8), Geometry((60, 60, 30), (1, 1, 1), (0, 0, 0)))
    ring, core = ((30.0, 30.0, 15.0), 4.9), ((30.0, 30.0, 15.0), 0.2)
    of_ring, of_core = positions(lesion_pictures(scene, nodes(ring, core)))
    assert of_core == (30, 30, 15)
    assert 20 < np.hypot(of_ring[0] - 30, of_ring[1] - 30) < 25


def test_a_lesion_that_the_grid_cuts_keeps_its_picture():
    """Two of a size: the first reaches beyond the grid, so that only its end is seen."""
    labels = np.zeros((40, 40, 60), np.uint8)
    labels[30:, 5:15, 5:15] = labels[5:25, 5:15, 40:50] = 2
    flat = np.zeros(labels.shape, np.float32)
    scene = Scene(flat, flat, labels, Geometry((60, 40, 40), (1, 1, 1), (0, 0, 0)))
    cut, whole = positions(lesion_pictures(scene, nodes(((9.5, 9.5, 39.5), 2.0), ((44.5, 9.5, 14.5), 2.0))))
    assert cut[0] < 15
    assert whole[0] > 40


def test_pictures_are_the_same_each_time(scene, corrected):
    one = {"GTVp": corrected["lesions"]["GTVp"], "GTVn": {"components": []}}
    alone = dataclasses.replace(scene, model_labels=None)
    assert lesion_pictures(alone, one) == lesion_pictures(alone, one)


def test_only_untouched_lesions_count_as_removed(scene):
    (removed,) = removed_lesions(scene, 2)
    assert not (removed & (scene.labels > 0)).any()
    assert removed.sum() < 1500


def test_a_large_lesion_gets_a_wider_picture():
    labels = np.zeros((5, 150, 150), dtype=np.uint8)
    labels[:, 10:140, 70:80] = 1
    flat = np.zeros(labels.shape, dtype=np.float32)
    scene = Scene(flat, flat, labels, Geometry((150, 150, 5), (1, 1, 1), (0, 0, 0)))
    lesions = {
        "GTVp": {"components": [{"id": 1, "centroid_lps_mm": [74.5, 75, 2], "volume_ml": 6.5}]},
        "GTVn": {"components": []},
    }
    (picture,) = lesion_pictures(scene, lesions)
    assert picture.pictures[0].side_mm == 2 * (65 + 15)


def test_pet_that_is_not_suv_is_scaled_to_itself(scene, corrected):
    one = {"GTVp": corrected["lesions"]["GTVp"], "GTVn": {"components": []}}
    suv = dataclasses.replace(scene, model_labels=None, pet_top_suv=float(np.percentile(scene.pet_suv, 99.9)))
    counts = dataclasses.replace(suv, pet_suv=4096 * scene.pet_suv, pet_top_suv=None)
    (in_suv,), (in_counts,) = lesion_pictures(suv, one), lesion_pictures(counts, one)
    assert in_counts.pet_top_suv is None
    images = [np.asarray(Image.open(io.BytesIO(p.pictures[0].png))).astype(int) for p in (in_suv, in_counts)]
    assert np.abs(images[0] - images[1]).max() <= 1


def test_a_grid_that_is_not_one_millimetre_is_refused(scene):
    coarse = dataclasses.replace(scene.geometry, spacing_mm=(2.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="1 mm grid"):
        dataclasses.replace(scene, geometry=coarse)
    with pytest.raises(GeometryError, match="every array"):
        dataclasses.replace(scene, labels=scene.labels[1:])
