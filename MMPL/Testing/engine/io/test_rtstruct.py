"""RTSTRUCT: contours to voxels by hand-worked shapes, and what is refused or named."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.io.dicom.contours import Roi, parts_of
from mmpl.io.dicom.rtstruct import (
    check_frame_of_reference,
    rasterise,
    read_rtstruct_label_map,
    read_structures,
)

FRAME, OTHER_FRAME = "1.2.826.0.1.77", "1.2.826.0.1.78"
GRID = Geometry((20, 20, 8), (1, 1, 1), (0, 0, 0))


def square(low, high, z=0.0):
    """Corners of an axis-aligned square or rectangle at a height."""
    (x0, y0), (x1, y1) = np.broadcast_to(low, 2), np.broadcast_to(high, 2)
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=float)


def roi_of(*contours, spacing_mm=None, name="A"):
    return Roi(1, name, tuple(np.asarray(c, dtype=float) for c in contours), spacing_mm)


def drawn_ml(roi, single_plane_mm=1.0):
    return sum(planes.volume_ml for planes in parts_of(roi, single_plane_mm))


def sequence_item(**values) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def contour(points, kind="CLOSED_PLANAR") -> Dataset:
    data = [f"{v:.6f}" for v in np.asarray(points, dtype=float).ravel()]
    return sequence_item(ContourGeometricType=kind, NumberOfContourPoints=len(data) // 3, ContourData=data)


@pytest.fixture
def write_rtstruct(tmp_path):
    """Writes structures, a list of (name, contour items), and returns the path; ``change`` may alter the object."""

    def write(structures, frame=FRAME, change=lambda data: None):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.1"
        data.SeriesInstanceUID, data.StudyInstanceUID, data.Modality = "1.2.826.0.1.2", "1.2.826.0.1.3", "RTSTRUCT"
        series = sequence_item(SeriesInstanceUID="1.2.826.0.1.9")
        study = sequence_item(RTReferencedSeriesSequence=[series])
        data.ReferencedFrameOfReferenceSequence = [
            sequence_item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])
        ]
        data.StructureSetROISequence = [
            sequence_item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=frame)
            for n, (name, _) in enumerate(structures, start=1)
        ]
        data.ROIContourSequence = [
            sequence_item(ReferencedROINumber=n, ContourSequence=list(items))
            for n, (_, items) in enumerate(structures, start=1)
        ]
        change(data)
        path = tmp_path / "structures.dcm"
        data.save_as(path, enforce_file_format=True)
        return path

    return write


def label_map(path, geometry=GRID, frame=FRAME, **options):
    return read_rtstruct_label_map(path, geometry, image_frame_uid=frame, **options)


# --- voxels -------------------------------------------------------------------------------------------


def test_a_square_holds_the_voxels_whose_centres_it_holds():
    grid = Geometry((10, 10, 4), (1, 1, 2), (0, 0, 0))
    roi = roi_of(square((1.6, 2.5), (6.4, 5.5), 2.0), square((1.6, 2.5), (6.4, 5.5), 4.0))
    expected = np.zeros(grid.shape, dtype=bool)
    expected[1:3, 3:6, 2:7] = True
    np.testing.assert_array_equal(rasterise(roi, grid), expected)
    assert drawn_ml(roi) == pytest.approx(4.8 * 3.0 * 4.0 / 1000, rel=1e-12)


def test_a_centre_on_a_border_belongs_to_the_side_of_larger_coordinates():
    left, right = (roi_of(square((a, 2), (a + 4, 6)), spacing_mm=1) for a in (2, 6))
    mask = rasterise(left, GRID)
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[0, 2:6, 2:6] = True
    np.testing.assert_array_equal(mask, expected)
    assert not (mask & rasterise(right, GRID)).any()


def test_rounding_moves_no_centre_over_a_border():
    grid = Geometry((60, 60, 4), (0.1, 0.1, 0.1), (-3.1, -3.1, -0.1))
    for start in np.round(np.arange(-3.0, 2.0, 0.1), 1):
        roi = roi_of(*(square(start, start + 0.4, z) for z in (0.05, 0.15)))
        mask = rasterise(roi, grid)
        assert mask.any(axis=(1, 2)).tolist() == [False, True, True, False]
        assert mask[1].sum() == 16


def test_a_circle_has_its_area():
    n, radius = 720, 20.0
    angle = 2 * np.pi * np.arange(n) / n
    circle = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(n)], axis=1)
    roi, grid = roi_of(circle, spacing_mm=2.0), Geometry((201, 201, 1), (0.25, 0.25, 2), (-25.03, -25.01, 0))
    assert drawn_ml(roi) == pytest.approx(0.5 * n * radius**2 * np.sin(2 * np.pi / n) * 2e-3, rel=1e-9)
    assert drawn_ml(roi) == pytest.approx(np.pi * radius**2 * 2e-3, rel=1e-4)
    assert rasterise(roi, grid).sum() * grid.voxel_volume_ml == pytest.approx(np.pi * radius**2 * 2e-3, rel=1e-3)


KEYHOLE = np.array(
    [
        *[(0.5, 0.5), (10.5, 0.5), (10.5, 10.5), (0.5, 10.5), (0.5, 5.3), (3.5, 5.3)],
        *[(3.5, 7.5), (7.5, 7.5), (7.5, 3.5), (3.5, 3.5), (3.5, 5.3), (0.5, 5.3)],
    ]
)
DONUT_WITH_CHANNEL = np.column_stack([KEYHOLE, np.zeros(len(KEYHOLE))])
DONUTS = {
    "two contours": [square(0.5, 10.5), square(3.5, 7.5)],
    "hole first": [square(3.5, 7.5), square(0.5, 10.5)],
    "keyhole": [DONUT_WITH_CHANNEL],
}


@pytest.mark.parametrize("contours", DONUTS.values(), ids=DONUTS)
def test_a_donut_has_a_hole(contours):
    roi = roi_of(*contours, spacing_mm=1.0)
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[0, 1:11, 1:11] = True
    expected[0, 4:8, 4:8] = False
    np.testing.assert_array_equal(rasterise(roi, GRID), expected)
    assert drawn_ml(roi) == pytest.approx(0.084, rel=1e-12)


def test_an_island_in_a_hole_counts_again():
    roi = roi_of(square(0.5, 10.5), square(2.5, 8.5), square(4.5, 6.5), spacing_mm=1.0)
    assert rasterise(roi, GRID).sum() == 100 - 36 + 4
    assert drawn_ml(roi) == pytest.approx(0.068, rel=1e-12)


def test_two_parts_in_one_plane():
    roi = roi_of(square(0.5, 3.5), square(10.5, 14.5), spacing_mm=1.0)
    assert rasterise(roi, GRID).sum() == 9 + 16
    assert drawn_ml(roi) == pytest.approx(0.025, rel=1e-12)


def filled_slices(planes_z, slices_z):
    """Positions of the grid's slices that a column drawn at some heights reaches."""
    step = slices_z[1] - slices_z[0]
    grid = Geometry((4, 4, len(slices_z)), (1, 1, step), (0, 0, slices_z[0]))
    mask = rasterise(roi_of(*(square(0.5, 2.5, z) for z in planes_z)), grid)
    assert set(np.unique(mask.sum(axis=(1, 2)))) <= {0, 4}
    return [z for z, plane in zip(slices_z, mask, strict=True) if plane.any()]


def test_a_plane_reaches_half_way_to_its_neighbours_and_half_a_step_at_the_ends():
    assert filled_slices([0, 3], range(-4, 8)) == [-1, 0, 1, 2, 3, 4]


def test_a_gap_between_planes_is_not_filled():
    assert filled_slices([0, 2, 4, 20, 22], range(-3, 26)) == [-1, 0, 1, 2, 3, 4, 19, 20, 21, 22]


BESIDE = {
    "the same planes": (np.arange(8) * 3.0, np.arange(8) * 3.0),
    "rounded otherwise": (np.arange(8) * 3.0, np.arange(8) * 3.0 + 0.06),
    "another series": (np.arange(8) * 3.0, np.arange(8) * 3.0 + 1.5),
    "every second slice": (np.arange(0, 8, 2) * 3.0, np.arange(8) * 3.0),
    "twice as many planes": (np.arange(8) * 3.0, np.arange(16) * 1.5),
    "other heights": (np.arange(8) * 3.0, np.arange(8) * 3.0 + 40.0),
}


@pytest.mark.parametrize(("left_z", "right_z"), BESIDE.values(), ids=BESIDE)
def test_nodes_side_by_side_take_nothing_from_each_other(left_z, right_z):
    """Left and right nodes are one structure, and need not be drawn on the same planes."""
    left, right = ([square(x, x + 5, z) for z in heights] for x, heights in ((0.5, left_z), (10.5, right_z)))
    grid = Geometry((20, 20, 70), (1, 1, 1), (0, 0, -3.1))
    apart = [roi_of(*contours, spacing_mm=3.0) for contours in (left, right)]
    together = roi_of(*left, *right, spacing_mm=3.0)
    expected = rasterise(apart[0], grid) | rasterise(apart[1], grid)
    np.testing.assert_array_equal(rasterise(together, grid), expected)
    assert expected[:, 1:6, 1:6].sum() == 25 * 24
    assert drawn_ml(together) == pytest.approx(sum(map(drawn_ml, apart)), rel=1e-12)


def test_what_lies_beside_is_told_by_outlines_that_overlap_in_turn():
    steps = [square((x, 0.5), (x + 4, 4.5), z) for z, x in enumerate((0.5, 3.5, 6.5, 9.5))]  # one that leans
    beside = [square((0.5, 9.5), (4.5, 13.5), z + 0.5) for z in range(4)]
    parts = parts_of(roi_of(*steps, *beside), 1.0)
    assert [len(planes.slabs) for planes in parts] == [4, 4]


def test_parts_above_each_other_are_two():
    parts = parts_of(roi_of(*(square(0.5, 3.5, z) for z in (0, 1, 2, 9, 10, 11, 12))), 1.0)
    assert [len(planes.slabs) for planes in parts] == [3, 4]


def test_of_two_median_steps_the_lower_counts():
    assert filled_slices([0, 3, 9], range(-3, 14)) == [-1, 0, 1, 2, 3, 4, 8, 9, 10]


def test_rounded_positions_leave_no_crack():
    assert filled_slices([0, 3.26, 6.54, 9.81], [0.25 * k for k in range(40)]) == [0.25 * k for k in range(40)]


def test_a_slice_has_the_shape_of_the_nearest_plane():
    roi = roi_of(*(square((0.5, 0.5), (1.5 + z, 3.5), z) for z in range(7)))
    mask = rasterise(roi, Geometry((10, 4, 2), (1, 1, 3), (0, 0, 1)))
    assert mask.sum(axis=(1, 2)).tolist() == [3 * 2, 3 * 5]


def test_the_order_of_voxels_in_memory_does_not_matter():
    roi = roi_of(*(square(2, 6 + z, z) for z in range(4)))
    flipped = Geometry(GRID.size, GRID.spacing_mm, (19, 19, 7), -np.eye(3))
    np.testing.assert_array_equal(rasterise(roi, flipped), rasterise(roi, GRID)[::-1, ::-1, ::-1])


def rotation(axis, degrees):
    turned = np.cross(np.eye(3), np.asarray(axis, dtype=float) / np.linalg.norm(axis))
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * turned + (1 - np.cos(angle)) * turned @ turned


@pytest.mark.parametrize("degrees", [0.5, 20, 70])
def test_an_oblique_grid_through_axial_contours(degrees):
    grid = Geometry((30, 28, 26), (0.9, 0.8, 1.1), (-12, -11, -13), rotation((1, 2, 0.5), degrees))
    low, high, heights = np.array([-4.3, -5.1]), np.array([6.2, 3.7]), np.arange(-4.0, 6.0, 2.0)
    mask = rasterise(roi_of(*(square(low, high, z) for z in heights)), grid)
    k, j, i = np.indices(grid.shape)
    x, y, z = np.moveaxis(grid.physical(np.stack([i, j, k], axis=-1)), -1, 0)
    box = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1]) & (z > -5) & (z < 5)
    assert box.sum() > 500
    np.testing.assert_array_equal(mask, box)


def test_contours_and_grid_turned_together_give_the_same_voxels():
    contours = [square((2.3, 3.4), (11.6 + z, 9.7), z) for z in np.arange(0.3, 6, 1.0)]
    turn = rotation((1, -1, 2), 35)
    turned = roi_of(*(c @ turn.T for c in contours))
    expected = rasterise(roi_of(*contours), GRID)
    assert expected.sum() > 100
    grid = Geometry(GRID.size, GRID.spacing_mm, GRID.origin_mm, turn)
    np.testing.assert_array_equal(rasterise(turned, grid), expected)
    assert drawn_ml(turned) == pytest.approx(drawn_ml(roi_of(*contours)), rel=1e-9)


def test_sagittal_contours_on_an_axial_grid():
    heights = (3.0, 4.0, 5.0, 6.0)
    roi = roi_of(*([[x, 2.5, 1.5], [x, 9.5, 1.5], [x, 9.5, 4.5], [x, 2.5, 4.5]] for x in heights))
    expected = np.zeros(GRID.shape, dtype=bool)
    expected[2:5, 3:10, 3:7] = True
    np.testing.assert_array_equal(rasterise(roi, GRID), expected)


def test_contours_outside_the_grid_have_no_voxel():
    assert not rasterise(roi_of(square(50, 60), spacing_mm=1), GRID).any()


def test_planes_that_are_not_parallel_are_refused():
    upright = [[0, 3, 0], [9, 3, 0], [9, 3, 9], [0, 3, 9]]
    with pytest.raises(InputError, match=r"'A' do not lie in parallel planes: export"):
        rasterise(roi_of(square(1, 9), upright), GRID)


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="plastimatch is not installed")
def test_plastimatch_draws_the_same_voxels(write_rtstruct, tmp_path):
    grid = Geometry((60, 50, 9), (1.3, 1.1, 3.0), (-40, -30, -12))
    angle = 2 * np.pi * np.arange(90) / 90

    def blob(z):
        radius = (15 + 4 * np.sin(3 * angle)) * np.sqrt(1 - (z / 12) ** 2)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(90, z)], axis=1)

    path = write_rtstruct([("blob", [contour(blob(z)) for z in (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0)])])
    sitk.WriteImage(image_from_volume(Volume(np.zeros(grid.shape, np.int16), grid)), str(tmp_path / "grid.mha"))
    call = ["plastimatch", "convert", "--input", path, "--fixed", tmp_path / "grid.mha", "--prefix-format", "mha"]
    subprocess.run([*call, "--output-prefix", tmp_path / "masks"], check=True, capture_output=True, timeout=120)
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "masks" / "blob.mha"))) > 0
    (roi,) = read_structures(path).rois
    ours = rasterise(roi, grid)
    assert ours.sum() > 1000
    np.testing.assert_array_equal(ours, theirs)


# --- reading ------------------------------------------------------------------------------------------


def test_structures_are_read_as_written(write_rtstruct):
    path = write_rtstruct([("GTVp", [contour(square(1, 4))]), ("Spinal Cord", [contour(square(5, 7, 2))])])
    structures = read_structures(path)
    assert [(roi.number, roi.name) for roi in structures.rois] == [(1, "GTVp"), (2, "Spinal Cord")]
    np.testing.assert_allclose(structures.rois[1].contours[0], square(5, 7, 2))
    assert structures.frame_of_reference_uids == (FRAME,)
    assert structures.referenced_series_uids == ("1.2.826.0.1.9",)
    assert structures.notices == ()


def test_a_name_in_another_script_survives(write_rtstruct):
    path = write_rtstruct(
        [("Tumör 患者", [contour(square(1, 4))])],
        change=lambda data: setattr(data, "SpecificCharacterSet", "ISO_IR 192"),
    )
    assert read_structures(path).rois[0].name == "Tumör 患者"


BAD_CONTOURS = {
    "two points": (contour(square(1, 4)[:2]), "1 with fewer than 3 points"),
    "on a line": (contour([[0, 0, 0], [1, 1, 0], [2, 2, 0]]), "1 with no area"),
    "odd count": (sequence_item(ContourGeometricType="CLOSED_PLANAR", ContourData=["1", "2", "3", "4"]), "in threes"),
    "no data": (sequence_item(ContourGeometricType="CLOSED_PLANAR"), "1 with fewer than 3 points"),
    "open": (contour(square(1, 4), "OPEN_PLANAR"), "1 of type OPEN_PLANAR"),
    "point": (contour([[1, 2, 3]], "POINT"), "1 of type POINT"),
    "no type": (sequence_item(ContourData=["1", "2", "3"]), "1 of type unknown"),
    "twice": (contour(square(6, 9)), "1 given twice"),
}


@pytest.mark.parametrize(("bad", "words"), BAD_CONTOURS.values(), ids=BAD_CONTOURS)
def test_a_contour_that_cannot_be_is_left_out_and_named(write_rtstruct, bad, words):
    structures = read_structures(write_rtstruct([("GTVp", [contour(square(6, 9)), bad])]))
    assert len(structures.rois[0].contours) == 1
    (notice,) = structures.notices
    assert notice.code == "STRUCTURES_INCOMPLETE"
    assert "'GTVp': 1 of 2 contours were left out" in notice.text
    assert words in notice.text


@pytest.mark.parametrize("wrong", [b"1e999", b"NaN  ", b"1,5  "])
def test_a_coordinate_that_is_no_number_is_named(write_rtstruct, wrong):
    path = write_rtstruct([("GTVp", [contour(square(6, 9)), contour(square(1, 3.333333))])])
    assert b"3.333333" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"3.333333", wrong.ljust(8)))
    structures = read_structures(path)
    assert len(structures.rois[0].contours) == 1
    assert "1 with a coordinate that is not a finite number" in structures.notices[0].text


BLOB = np.array([(1.24, 1.31), (9.47, 2.06), (6.04, 5.28), (9.13, 9.42), (2.18, 8.77)])
BLOB = np.column_stack([BLOB, np.full(len(BLOB), 2.0)])
NOTCHED_BELOW = np.array([(0.5, 0.5, 0), (5.5, 5.5, 0), (10.5, 0.5, 0), (10.5, 10.5, 0), (0.5, 10.5, 0)])
NOTCHED_RIGHT = np.array([(0.5, 0.5, 0), (10.5, 0.5, 0), (5.5, 5.5, 0), (10.5, 10.5, 0), (0.5, 10.5, 0)])
REPEATS = {
    "begun elsewhere": np.roll(BLOB, 2, axis=0),
    "run backwards": BLOB[::-1],
    "rounded": np.round(BLOB, 1),
    "closed by its first point": np.concatenate([BLOB, BLOB[:1]]),
    "with points between the corners": np.stack([BLOB, (BLOB + np.roll(BLOB, -1, axis=0)) / 2], axis=1).reshape(-1, 3),
    "all of it": np.roll(np.round(BLOB, 1), 3, axis=0)[::-1],
}


@pytest.mark.parametrize("again", REPEATS.values(), ids=REPEATS)
@pytest.mark.parametrize("turned", [np.eye(3), np.eye(3)[[1, 2, 0]]], ids=["axial", "sagittal"])
def test_an_outline_given_twice_does_not_cancel_however_it_is_written(write_rtstruct, again, turned):
    once, both = ([contour(points @ turned) for points in shapes] for shapes in ([BLOB], [BLOB, again]))
    alone = read_structures(write_rtstruct([("A", once)])).rois[0]
    structures = read_structures(write_rtstruct([("A", both)]))
    assert drawn_ml(structures.rois[0]) == drawn_ml(alone) > 0.04
    (notice,) = structures.notices
    assert "'A': 1 of 2 contours were left out (1 given twice)" in notice.text


def test_of_three_equal_outlines_one_is_left(write_rtstruct):
    same = [contour(BLOB), contour(BLOB[::-1]), contour(np.round(BLOB, 1))]
    structures = read_structures(write_rtstruct([("A", same)]))
    assert len(structures.rois[0].contours) == 1
    assert "2 of 3 contours were left out (2 given twice)" in structures.notices[0].text


NO_REPEATS = {
    **DONUTS,
    "a thin ring": [square(0.5, 10.5), square(0.65, 10.35)],
    "the border of a keyhole": [DONUT_WITH_CHANNEL, square(0.5, 10.5)],
    "the hole of a keyhole": [DONUT_WITH_CHANNEL, square(3.5, 7.5)],
    "the next plane": [BLOB, BLOB + np.array([0, 0, 0.08])],
    "the same corners in another order": [NOTCHED_BELOW, NOTCHED_RIGHT],
    "a box of the same size": [BLOB, square((1.24, 1.31), (9.47, 9.42), 2.0)],
}


@pytest.mark.parametrize("outlines", NO_REPEATS.values(), ids=NO_REPEATS)
def test_holes_and_keyholes_are_no_repeats(write_rtstruct, outlines):
    structures = read_structures(write_rtstruct([("A", list(map(contour, outlines)))]))
    assert len(structures.rois[0].contours) == len(outlines)


def test_xor_contours_may_cancel(write_rtstruct):
    twice = [contour(square(1, 4), "CLOSEDPLANAR_XOR")] * 2
    structures = read_structures(write_rtstruct([("GTVp", [*twice, contour(square(6, 9), "CLOSEDPLANAR_XOR")])]))
    assert structures.notices == ()
    assert rasterise(structures.rois[0], GRID).sum() == 9


def test_structures_without_contours_or_name_and_equal_names_are_named(write_rtstruct):
    structures = read_structures(
        write_rtstruct([("cord", [contour(square(1, 4))]), ("cord", []), ("", [contour(square(1, 4))])])
    )
    assert [roi.name for roi in structures.rois] == ["cord", "cord", "ROI 3"]
    assert [notice.text for notice in structures.notices] == [
        "Structure 'cord' has no contours.",
        "A structure has no name and is called 'ROI 3' here.",
        "2 structures have the name 'cord'.",
    ]


def test_contours_of_a_structure_in_two_items_are_joined(write_rtstruct):
    def split(data):
        data.ROIContourSequence.append(
            sequence_item(ReferencedROINumber=1, ContourSequence=[contour(square(1, 4, 1)), contour(square(1, 4))])
        )

    structures = read_structures(write_rtstruct([("A", [contour(square(1, 4))])], change=split))
    assert [points[0, 2] for points in structures.rois[0].contours] == [0.0, 1.0]
    (notice,) = structures.notices
    assert "1 of 3 contours were left out (1 given twice)" in notice.text


def test_a_number_that_two_structures_have_is_named(write_rtstruct):
    def renumber(data):
        data.StructureSetROISequence[1].ROINumber = 1

    path = write_rtstruct([("GTVp", [contour(square(1, 4))]), ("cord", [])], change=renumber)
    structures = read_structures(path)
    (notice,) = [n for n in structures.notices if "number" in n.text]
    assert (notice.code, notice.text) == (
        "STRUCTURES_INCOMPLETE",
        "2 structures have the number 1 ('GTVp', 'cord'): its contours are taken for those of the last one, look "
        "whether they are.",
    )
    assert [roi.name for roi in structures.rois if roi.contours] == ["cord"]


CROSSING = {
    "corners": [square(0.5, 6.5), square(3.5, 9.5)],
    "as a cross": [square((0.5, 4.5), (10.5, 6.5)), square((2.5, 0.5), (4.5, 10.5))],
    "borders on one line": [square((0.5, 0.5), (6.5, 6.5)), square((3.5, 0.5), (9.5, 6.5))],
    "one of three": [square(0.5, 9.5), square(2.5, 4.5), square((7.5, 2.5), (12.5, 4.5))],
}


@pytest.mark.parametrize("outlines", CROSSING.values(), ids=CROSSING)
def test_contours_that_cross_are_named(write_rtstruct, outlines):
    apart = [contour(square(1, 4, 1)), contour(square(6, 9, 1))]
    structures = read_structures(write_rtstruct([("A", [*map(contour, outlines), *apart])]))
    (notice,) = structures.notices
    assert (notice.code, notice.text) == (
        "STRUCTURES_INCOMPLETE",
        "Structure 'A': on 1 of 2 planes, contours overlap and none lies inside the other: what they share is left "
        "out, look whether it belongs to the structure.",
    )


def test_what_crossing_contours_share_is_left_out(write_rtstruct):
    path = write_rtstruct([("A", [contour(square(0.5, 6.5)), contour(square(3.5, 9.5))])])
    assert rasterise(read_structures(path).rois[0], GRID).sum() == 36 + 36 - 2 * 9


NOT_CROSSING = {
    **DONUTS,
    "island in a hole": [square(0.5, 10.5), square(2.5, 8.5), square(4.5, 6.5)],
    "apart": [square(0.5, 3.5), square(5.5, 9.5)],
    "a common border": [square((0.5, 0.5), (4.5, 9.5)), square((4.5, 2.5), (9.5, 6.5))],
    "a common border, rounded": [square((0.5, 0.5), (4.55, 9.5)), square((4.5, 2.5), (9.5, 6.5))],
    "a common corner": [square(0.5, 4.5), square(4.5, 9.5)],
    "a hole at the border": [square(0.5, 9.5), square((0.5, 2.5), (4.5, 6.5))],
    "in a hole of a keyhole": [DONUT_WITH_CHANNEL, square(4.5, 6.5)],
    "on other planes": [square(0.5, 6.5), square(3.5, 9.5, 1.0)],
    "two holes": [square(0.5, 9.5), square(1.5, 3.5), square(5.5, 7.5)],
}


@pytest.mark.parametrize("outlines", NOT_CROSSING.values(), ids=NOT_CROSSING)
def test_contours_that_are_nested_or_only_touch_are_not_named(write_rtstruct, outlines):
    assert read_structures(write_rtstruct([("A", list(map(contour, outlines)))])).notices == ()


def test_contours_that_are_meant_to_be_xored_may_cross(write_rtstruct):
    items = [contour(outline, "CLOSEDPLANAR_XOR") for outline in CROSSING["corners"]]
    assert read_structures(write_rtstruct([("A", items)])).notices == ()


def test_contours_of_an_undeclared_structure_are_kept(write_rtstruct):
    path = write_rtstruct([("A", [contour(square(1, 4))])], change=lambda data: data.StructureSetROISequence.clear())
    structures = read_structures(path)
    assert structures.rois[0].name == "ROI 1"
    assert structures.frame_of_reference_uids == (FRAME,)


def test_a_structure_in_one_plane_is_as_thick_as_the_others_steps(write_rtstruct):
    column = [contour(square(1, 4, z)) for z in (0.0, 2.5, 5.0)]
    single = read_structures(write_rtstruct([("A", column), ("B", [contour(square(6, 8, 2.5))])])).rois[1]
    assert drawn_ml(single, 99.0) == pytest.approx(4 * 2.5 / 1000, rel=1e-12)
    assert rasterise(single, GRID).any(axis=(1, 2)).nonzero()[0].tolist() == [2, 3]


def test_two_planes_far_apart_are_two_slices_where_the_others_say_so(write_rtstruct):
    column = [contour(square(1, 4, z)) for z in (0.0, 1.0, 2.0, 3.0)]
    pair = [contour(square(6, 8, z)) for z in (0.0, 6.0)]
    apart = read_structures(write_rtstruct([("A", column), ("B", pair)])).rois[1]
    assert rasterise(apart, GRID).any(axis=(1, 2)).nonzero()[0].tolist() == [0, 6]
    assert drawn_ml(apart, 99.0) == pytest.approx(2 * 4 / 1000, rel=1e-12)


def test_alone_it_is_as_thick_as_the_grids_slices(write_rtstruct):
    (single,) = read_structures(write_rtstruct([("B", [contour(square(6, 8, 2.5))])])).rois
    grid = Geometry((20, 20, 3), (1, 1, 4), (0, 0, 0))
    assert rasterise(single, grid).sum() * grid.voxel_volume_ml == pytest.approx(4 * 4 / 1000)


def test_planes_that_are_unusually_near_are_named_and_lose_nothing(write_rtstruct):
    """A lesion drawn again on another series: the small steps are not the usual ones."""
    heights = [z + d for z in (0.0, 3.0, 6.0, 9.0) for d in (0.0, 0.1)]
    found = read_structures(write_rtstruct([("GTVn", [contour(square(0.5, 4.5, z)) for z in heights])]))
    (roi,), (notice,) = found.rois, found.notices
    assert notice.text.startswith("Structure 'GTVn': it has planes 0.1 mm apart, where 2.9 mm are usual")
    assert roi.spacing_mm == pytest.approx(2.9)
    assert drawn_ml(roi) == pytest.approx(16 * (9.1 + 2.9) / 1000, rel=1e-9)


def test_parts_between_the_voxels_are_named(write_rtstruct):
    """A small node drawn on a finer series, alone and beside a larger one."""
    small = [contour(square((14.2, 14.2), (14.8, 14.8), z)) for z in (2.0, 3.0)]
    large = [contour(square(0.5, 4.5, z)) for z in (2.0, 3.0)]
    for structures, parts in (([("GTVp", large), ("GTVn", small)], 1), ([("GTVn", large + small)], 2)):
        volume, notices = label_map(write_rtstruct(structures))
        assert volume.array.any()
        assert [notice.code for notice in notices] == ["MASK_BETWEEN_VOXELS"]
        assert f"1 of {parts} parts of structure 'GTVn' (0.00072 mL) hold no voxel centre" in notices[0].text


def test_no_closed_contour_is_refused(write_rtstruct):
    with pytest.raises(InputError, match=r"structures\.dcm holds no closed contour \(structures: 'GTVp'\): export"):
        read_structures(write_rtstruct([("GTVp", [contour([[1, 2, 3]], "POINT")])]))


def test_no_structure_is_refused(write_rtstruct):
    with pytest.raises(InputError, match=r"no closed contour \(structures: none\)"):
        read_structures(write_rtstruct([]))


def test_what_is_no_structure_set_is_refused(write_rtstruct, tmp_path):
    def become_an_image(data):
        data.SOPClassUID, data.Modality = "1.2.840.10008.5.1.4.1.1.2", "CT"

    with pytest.raises(InputError, match="no RT Structure Set \\(its modality is CT\\): give another file"):
        read_structures(write_rtstruct([("A", [contour(square(1, 4))])], change=become_an_image))
    (tmp_path / "notes.txt").write_text("not DICOM")
    with pytest.raises(InputError, match=r"notes\.txt is not a readable DICOM file"):
        read_structures(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_structures(tmp_path)
    with pytest.raises(InputError, match=r"none\.dcm does not exist"):
        read_structures(tmp_path / "none.dcm")


@pytest.mark.parametrize("undefined", [False, True], ids=["defined lengths", "undefined lengths"])
def test_a_file_that_ends_too_early_never_loses_contours_silently(write_rtstruct, undefined):
    def lengths(data):
        data["ROIContourSequence"].is_undefined_length = undefined
        data.ROIContourSequence[0]["ContourSequence"].is_undefined_length = undefined
        for item in (*data.ROIContourSequence, *data.ROIContourSequence[0].ContourSequence):
            item.is_undefined_length_sequence_item = undefined

    path = write_rtstruct([("A", [contour(square(1, 4, z)) for z in range(3)])], change=lengths)
    whole = path.read_bytes()
    refused = 0
    for size in range(400, len(whole), 7):
        path.write_bytes(whole[:size])
        try:
            assert len(read_structures(path).rois[0].contours) == 3
        except InputError:
            refused += 1
    assert refused > 50


# --- label map ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GTVp", "gtvp", "GTV-P", "GTV_p", "GTV p", "GTVp1", " GTVp_2 "])
def test_spellings_of_the_primary(write_rtstruct, name):
    volume, notices = label_map(write_rtstruct([(name, [contour(square(0.5, 4.5))])]))
    assert np.bincount(volume.array.ravel()).tolist()[1:] == [16]
    assert notices == ()


@pytest.mark.parametrize("name", ["GTV", "GTVt", "GTVnode", "GTVpMR", "PGTVp", "CTVp", "GTVp+n", "GTV--p"])
def test_other_names_are_not_taken_for_it(write_rtstruct, name):
    with pytest.raises(InputError) as caught:
        label_map(write_rtstruct([(name, [contour(square(0.5, 4.5))])]))
    assert f"no structure named GTVp or GTVn: rename those that are meant; found '{name}'" in str(caught.value)


def test_nodes_are_united_and_the_primary_wins(write_rtstruct):
    path = write_rtstruct(
        [
            ("GTVp", [contour(square(0.5, 4.5))]),
            ("GTV-N1", [contour(square(2.5, 6.5))]),
            ("GTV-N2", [contour(square(10.5, 12.5))]),
            ("cord", [contour(square(10.5, 12.5))]),
            ("brain", [contour(square(10.5, 12.5))]),
        ]
    )
    volume, (notice,) = label_map(path)
    assert volume.array.dtype == np.uint8
    assert np.bincount(volume.array.ravel()).tolist()[1:] == [16, 16 - 4 + 4]
    assert (notice.code, notice.text) == (
        "STRUCTURES_IGNORED",
        "2 other structures are neither GTVp nor GTVn by name and not read.",
    )


def test_a_class_without_contours_is_refused_alone_and_named_beside_another(write_rtstruct):
    with pytest.raises(InputError, match="'GTVp' without a closed contour: draw it"):
        label_map(write_rtstruct([("GTVp", []), ("cord", [contour(square(1, 4))])]))
    volume, notices = label_map(write_rtstruct([("GTVp", []), ("GTVn", [contour(square(0.5, 4.5))])]))
    assert np.bincount(volume.array.ravel()).tolist()[1:] == [0, 16]
    assert notices[0].text == "Structure 'GTVp' has no contours."


def test_contours_beyond_the_image(write_rtstruct):
    with pytest.raises(InputError, match="have no voxel on the image"):
        label_map(write_rtstruct([("GTVp", [contour(square(40, 45))])]))
    _, (notice,) = label_map(write_rtstruct([("GTVp", [contour(square((15.5, 2.5), (25.5, 5.5)))])]))
    assert notice.code == "MASK_OUTSIDE_CT"
    assert "50% of its contour points lie outside the image" in notice.text


# --- frame of reference -------------------------------------------------------------------------------


def test_another_frame_of_reference_is_refused_without_printing_it(write_rtstruct):
    path = write_rtstruct([("GTVp", [contour(square(0.5, 4.5))])])
    with pytest.raises(GeometryError) as caught:
        label_map(path, frame=OTHER_FRAME)
    message = str(caught.value)
    assert message.startswith("the structure set is in another frame of reference than the image")
    assert "--ignore-frame-of-reference" in message
    assert FRAME not in message
    assert OTHER_FRAME not in message


def test_with_override_it_is_a_notice(write_rtstruct):
    path = write_rtstruct([("GTVp", [contour(square(0.5, 4.5))])])
    volume, (notice,) = label_map(path, frame=OTHER_FRAME, ignore_frame_of_reference=True)
    assert volume.array.sum() == 16
    assert notice.code == "FRAME_OF_REFERENCE_IGNORED"
    assert FRAME not in notice.text


UNKNOWN = {
    "image": (FRAME, None, "the image does not say its frame of reference"),
    "structures": ("", FRAME, "the structure set does not say its frame of reference"),
}


@pytest.mark.parametrize(("theirs", "images", "words"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_frame_is_refused_too(write_rtstruct, theirs, images, words):
    structures = read_structures(write_rtstruct([("GTVp", [contour(square(1, 4))])], frame=theirs))
    with pytest.raises(GeometryError, match=words):
        check_frame_of_reference(structures, images, override=False)
    (notice,) = check_frame_of_reference(structures, images, override=True)
    assert words[1:] in notice.text


def test_only_the_frames_of_the_structures_that_are_used_count(write_rtstruct):
    def move_the_cord(data):
        data.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = OTHER_FRAME

    structures = [("GTVp", [contour(square(0.5, 4.5))]), ("cord", [contour(square(1, 4))])]
    path = write_rtstruct(structures, change=move_the_cord)
    assert label_map(path)[0].array.sum() == 16
    with pytest.raises(GeometryError):
        check_frame_of_reference(read_structures(path), FRAME, override=False)


def test_the_file_is_read_the_same_by_pydicom(write_rtstruct):
    path = write_rtstruct([("A", [contour(square(1, 4))])])
    stored = pydicom.dcmread(path).ROIContourSequence[0].ContourSequence[0].ContourData
    np.testing.assert_array_equal(read_structures(path).rois[0].contours[0].ravel(), np.array(stored, dtype=float))
