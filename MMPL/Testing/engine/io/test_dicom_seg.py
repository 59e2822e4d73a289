"""Segmentations made here by highdicom, or altered with pydicom, as other programs write them."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmpl.dicom_source import DicomSource, Patient
from mmpl.errors import GeometryError, InputError
from mmpl.geometry import Geometry
from mmpl.io.dicom.label_map import read_dicom_label_map
from mmpl.io.dicom.seg import SEG_FRACTIONAL, read_seg

CT = Geometry((8, 6, 5), (1.5, 1.5, 3.0), (-20.0, 10.0, 55.0))
STUDY, FRAME = generate_uid(), generate_uid()
MASS = Code("4147007", "SCT", "Mass")


def ct_header(k: int, series: str, geometry: Geometry) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, series, FRAME
    ds.Modality = "CT"
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(ds, keyword, "")
    ds.StudyDate = ds.StudyTime = ""
    ds.Rows, ds.Columns = geometry.shape[1:]
    direction = np.asarray(geometry.direction)
    ds.ImagePositionPatient = [f"{v:.9g}" for v in geometry.physical((0, 0, k))]
    ds.ImageOrientationPatient = [f"{v:.9g}" for v in direction[:, :2].T.ravel()]
    ds.PixelSpacing, ds.SliceThickness = list(geometry.spacing_mm[1::-1]), geometry.spacing_mm[2]
    return ds


def segment(number: int, name: str):
    return highdicom.seg.SegmentDescription(number, name, MASS, MASS, "MANUAL")


@pytest.fixture
def a_seg(tmp_path):
    """Writes a segmentation; ``masks`` by segment name, shape (z, y, x)."""

    def write(masks: dict[str, np.ndarray], geometry: Geometry = CT, kind: str = "BINARY", **options) -> Path:
        series = generate_uid()
        seg = highdicom.seg.Segmentation(
            source_images=[ct_header(k, series, geometry) for k in range(geometry.size[2])],
            pixel_array=np.stack(list(masks.values()), axis=-1),
            segmentation_type=kind,
            segment_descriptions=[segment(n, name) for n, name in enumerate(masks, 1)],
            series_instance_uid=generate_uid(),
            series_number=1,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="test",
            manufacturer_model_name="test",
            software_versions="1",
            device_serial_number="1",
            **options,
        )
        path = tmp_path / "seg.dcm"
        seg.save_as(path)
        return path

    return write


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    """Two that share two voxels of slice 3; slices 0 and 2 are empty."""
    gtvp, gtvn = np.zeros((2, 5, 6, 8), np.uint8)
    gtvp[1, 2, 3:6] = gtvp[3, 1:4, 4] = 1
    gtvn[3, 2:5, 4] = gtvn[4, 5, 7] = 1
    return {"GTVp": gtvp, "GTVn": gtvn}


@pytest.fixture
def labels(masks) -> np.ndarray:
    return np.where(masks["GTVp"] == 1, 1, np.where(masks["GTVn"] == 1, 2, 0))


def test_gtvp_wins_where_segments_overlap(a_seg, masks, labels):
    found = read_seg(a_seg(masks), CT)
    assert found.label_map.array.dtype == np.uint8
    assert found.label_map.geometry == CT
    assert np.array_equal(found.label_map.array, labels)
    assert found.frame_of_reference_uid == FRAME
    assert found.notices == ()


def test_names_are_read_in_any_case_and_order(a_seg, masks, labels):
    path = a_seg({"gtvN": masks["GTVn"], " GTVP ": masks["GTVp"]})
    assert np.array_equal(read_seg(path, CT).label_map.array, labels)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_frames_that_are_left_out_are_empty(a_seg, masks, labels, syntax):
    whole = read_seg(a_seg(masks, omit_empty_frames=False, transfer_syntax_uid=syntax), CT)
    assert np.array_equal(whole.label_map.array, labels)


def test_a_label_map_segmentation_is_read_too(a_seg, masks, labels):
    alone = {"GTVp": masks["GTVp"], "GTVn": (labels == 2).astype(np.uint8)}
    assert np.array_equal(read_seg(a_seg(alone, kind="LABELMAP"), CT).label_map.array, labels)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_nodes_in_segments_of_their_own_are_one_class(a_seg, labels, kind):
    first, second = (labels == 2).astype(np.uint8), np.zeros(labels.shape, np.uint8)
    first[4], second[4] = 0, labels[4] == 2
    assert first.any()
    assert second.any()
    path = a_seg({"GTVp": (labels == 1).astype(np.uint8), "GTVn": first, "gtvn": second}, kind=kind)
    assert np.array_equal(read_seg(path, CT).label_map.array, labels)


def test_a_fractional_segmentation_is_cut_at_one_half_and_says_so(a_seg):
    share = np.zeros((5, 6, 8), np.float32)
    share[2, 3, 1:5] = (0.2, 0.49, 0.51, 1.0)
    found = read_seg(a_seg({"GTVp": share}, kind="FRACTIONAL"), CT)
    assert [tuple(i) for i in np.argwhere(found.label_map.array)] == [(2, 3, 3), (2, 3, 4)]
    (notice,) = found.notices
    assert (notice.code, notice.text) == (
        SEG_FRACTIONAL,
        "The segmentation is fractional: voxels of at least 0.5 were taken as part of a segment.",
    )


def test_frames_on_another_grid_make_their_own(a_seg, masks, labels):
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(a_seg(masks, shifted), CT)
    grid = found.label_map.geometry
    assert grid.spacing_mm == pytest.approx(CT.spacing_mm)
    truth = shifted.physical(np.argwhere(labels)[:, ::-1])
    assert np.allclose(grid.physical(np.argwhere(found.label_map.array)[:, ::-1]), truth, atol=1e-6)


def test_an_own_grid_runs_along_the_normal_where_the_ct_runs_against_it(a_seg, masks, labels):
    turned = Geometry(CT.size, CT.spacing_mm, CT.origin_mm, np.diag([1.0, 1.0, -1.0]))
    path = a_seg(masks, turned)
    assert np.array_equal(read_seg(path, turned).label_map.array, labels)
    own = read_seg(path, CT).label_map
    assert own.geometry.direction[2][2] == 1.0
    truth = turned.physical(np.argwhere(labels)[:, ::-1])[::-1]
    found = own.geometry.physical(np.argwhere(own.array)[:, ::-1])
    assert np.allclose(sorted(map(tuple, found)), sorted(map(tuple, truth)))


def test_smaller_frames_lie_where_they_belong(a_seg, masks, labels):
    part = CT.cropped((2, 1, 1), (6, 5, 4))
    inner = {name: mask[1:5, 1:6, 2:8] for name, mask in masks.items()}
    assert np.array_equal(read_seg(a_seg(inner, part), CT).label_map.array, labels)


def test_a_single_plane_takes_the_thickness_that_the_file_says(a_seg, masks):
    one = {"GTVp": np.where(np.arange(5)[:, None, None] == 3, masks["GTVp"], 0).astype(np.uint8)}
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(a_seg(one, shifted), CT).label_map
    assert found.geometry.size == (8, 6, 1)
    assert found.geometry.spacing_mm == (1.5, 1.5, 3.0)
    assert found.geometry.origin_mm == pytest.approx((-20.4, 10.0, 64.0))


def test_planes_left_out_do_not_widen_an_own_grid(a_seg):
    mask = np.zeros((5, 6, 8), np.uint8)
    mask[[0, 4], 2, 2] = 1
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(a_seg({"GTVp": mask}, shifted), CT).label_map
    assert found.geometry.spacing_mm[2] == pytest.approx(3.0)
    assert [int(k) for k in np.argwhere(found.array)[:, 0]] == [0, 4]


@pytest.mark.parametrize(
    ("theirs", "ours", "fits"),
    [
        (("A-1", "DOE^JANE"), ("", "DOE^JANE"), True),
        (("", "DOE^JANE"), ("A-1", "DOE^JANE"), True),
        (("", "DOE^JANE"), ("A-1", ""), True),
        (("", "ROE^RICHARD"), ("A-1", "DOE^JANE"), False),
        (("A-1", "DOE^JANE"), ("A-2", "DOE^JANE"), False),
    ],
)
def test_contours_are_of_the_ct_s_patient_by_id_and_id_or_name_and_name(a_seg, masks, theirs, ours, fits):
    def name_the_patient(ds):
        ds.PatientID, ds.PatientName = theirs

    path = altered(a_seg(masks), name_the_patient)
    source = DicomSource((), CT, frame_of_reference=FRAME, patient=Patient(*ours))
    if fits:
        assert read_dicom_label_map(path, CT, source)[1] == ()
    else:
        with pytest.raises(InputError, match="the segmentation is of another patient than the CT"):
            read_dicom_label_map(path, CT, source)


def say_thickness_only(ds):
    """Planes 3 mm apart and 1.5 mm thick, as the file of a CT with gaps between its slices has it."""
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.pop("SpacingBetweenSlices", None)
    measures.SliceThickness = 1.5


def test_planes_are_as_far_apart_as_they_lie_however_thin_they_are(a_seg):
    mask = np.zeros((5, 6, 8), np.uint8)
    mask[:, 2, 2] = 1
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(altered(a_seg({"GTVp": mask}, shifted), say_thickness_only), CT).label_map
    assert found.geometry.spacing_mm[2] == pytest.approx(3.0)
    assert np.array_equal(found.array, mask)


def test_two_planes_far_apart_are_as_thick_as_the_file_says(a_seg):
    """One gap alone does not tell whether planes between them were left out: 12 mm thick ones would be guessed."""
    mask = np.zeros((5, 6, 8), np.uint8)
    mask[[0, 4], 2, 2] = 1
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(altered(a_seg({"GTVp": mask}, shifted), say_thickness_only), CT).label_map
    assert found.geometry.spacing_mm[2] == pytest.approx(1.5)
    assert [int(k) for k in np.argwhere(found.array)[:, 0]] == [0, 8]


def test_a_single_plane_without_a_distance_is_as_thick_as_the_file_says(a_seg):
    mask = np.zeros((5, 6, 8), np.uint8)
    mask[3, 2, 2] = 1
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    found = read_seg(altered(a_seg({"GTVp": mask}, shifted), say_thickness_only), CT).label_map
    assert (found.geometry.size[2], found.geometry.spacing_mm[2]) == (1, 1.5)


def test_segments_of_other_names_are_refused_by_name(a_seg, masks):
    path = a_seg({"GTVp": masks["GTVp"], "Parotid": masks["GTVn"], "Cord": masks["GTVn"]})
    with pytest.raises(InputError, match='segments named "Parotid", "Cord": name the segments "GTVp" and "GTVn"'):
        read_seg(path, CT)


def test_another_object_is_refused(tmp_path):
    ct_header(0, generate_uid(), CT).save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=r"mask ct\.dcm is no DICOM Segmentation"):
        read_seg(tmp_path / "ct.dcm", CT)


def test_a_file_that_is_no_dicom_is_refused_without_its_folder(tmp_path):
    (tmp_path / "seg.dcm").write_text("no")
    for path in (tmp_path / "seg.dcm", tmp_path / "none.dcm"):
        with pytest.raises(InputError, match="cannot be read as DICOM") as caught:
            read_seg(path, CT)
        assert str(tmp_path) not in str(caught.value)


def altered(path: Path, change) -> Path:
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)
    return path


def test_frames_that_are_cut_off_are_refused(a_seg, masks):
    def cut(ds):
        ds.PixelData = ds.PixelData[:4]

    with pytest.raises(InputError, match=r"mask seg\.dcm has no readable frames"):
        read_seg(altered(a_seg(masks), cut), CT)


def test_frames_without_a_position_are_refused(a_seg, masks):
    def lose(ds):
        del ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence

    with pytest.raises(GeometryError, match=r"mask seg\.dcm has no ImagePositionPatient for a frame"):
        read_seg(altered(a_seg(masks), lose), CT)


def test_planes_at_irregular_distances_are_refused(a_seg, masks):
    def move(ds):
        for frame in ds.PerFrameFunctionalGroupsSequence:
            position = frame.PlanePositionSequence[0].ImagePositionPatient
            position[2] = position[2] + (0.7 if position[2] > 66 else 0.0)

    with pytest.raises(GeometryError, match="frames that are not on one regular grid"):
        read_seg(altered(a_seg(masks), move), CT)


def test_frames_of_several_directions_are_refused(a_seg, masks):
    def turn(ds):
        frame = ds.PerFrameFunctionalGroupsSequence[0]
        frame.PlaneOrientationSequence = [Dataset()]
        frame.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, 1]

    with pytest.raises(GeometryError, match="frames of several directions"):
        read_seg(altered(a_seg(masks), turn), CT)


def test_a_single_plane_without_thickness_is_refused(a_seg, masks):
    def lose(ds):
        measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        for keyword in ("SliceThickness", "SpacingBetweenSlices"):
            measures.pop(keyword, None)

    one = {"GTVp": np.where(np.arange(5)[:, None, None] == 3, masks["GTVp"], 0).astype(np.uint8)}
    shifted = Geometry(CT.size, CT.spacing_mm, (-20.4, 10.0, 55.0))
    with pytest.raises(GeometryError, match="one plane and no slice thickness"):
        read_seg(altered(a_seg(one, shifted), lose), CT)


def first_frame(ds) -> Dataset:
    return ds.PerFrameFunctionalGroupsSequence[0]


def without_segments(ds):
    del ds.SegmentSequence


def without_frames(ds):
    del ds.PerFrameFunctionalGroupsSequence


def without_segment_of_a_frame(ds):
    del first_frame(ds).SegmentIdentificationSequence


def without_number_of_a_frame(ds):
    del first_frame(ds).SegmentIdentificationSequence[0].ReferencedSegmentNumber


def of_another_segment(ds):
    first_frame(ds).SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


def without_a_number(ds):
    del ds.SegmentSequence[1].SegmentNumber


def with_a_number_twice(ds):
    ds.SegmentSequence[1].SegmentNumber = 1


def without_a_name(ds):
    del ds.SegmentSequence[1].SegmentLabel


def without_rows(ds):
    del ds.Rows


DAMAGED = [
    (without_segments, "describes no segments: export it again"),
    (without_frames, "does not describe its frames: export it again"),
    (without_segment_of_a_frame, "has a frame that does not say its segment: export it again"),
    (without_number_of_a_frame, "has a frame that does not say its segment: export it again"),
    (of_another_segment, "has a frame of segment 7, which it does not describe: export it again"),
    (without_a_number, "does not number each of its segments differently: export it again"),
    (with_a_number_twice, "does not number each of its segments differently: export it again"),
    (without_a_name, 'has a segment without a name: name the segments "GTVp" and "GTVn"'),
    (without_rows, "does not describe its frames: export it again"),
]


@pytest.mark.parametrize(("change", "words"), DAMAGED, ids=[change.__name__ for change, _ in DAMAGED])
def test_what_is_missing_is_said_in_one_sentence(a_seg, masks, change, words):
    with pytest.raises(InputError) as caught:
        read_seg(altered(a_seg(masks), change), CT)
    assert str(caught.value) == f"mask seg.dcm {words}"


def test_voxels_of_a_label_map_that_no_segment_has_are_refused(a_seg, masks, labels):
    def lose(ds):
        ds.SegmentSequence = [item for item in ds.SegmentSequence if item.SegmentLabel != "GTVn"]

    alone = {"GTVp": masks["GTVp"], "GTVn": (labels == 2).astype(np.uint8)}
    with pytest.raises(InputError, match="has voxels of segment 2, which it does not describe: export it again"):
        read_seg(altered(a_seg(alone, kind="LABELMAP"), lose), CT)


def test_a_fractional_segmentation_without_its_largest_value_is_refused(a_seg, masks):
    def lose(ds):
        del ds.MaximumFractionalValue

    path = a_seg({"GTVp": masks["GTVp"].astype(np.float32)}, kind="FRACTIONAL")
    with pytest.raises(InputError, match="is fractional and does not say its largest value"):
        read_seg(altered(path, lose), CT)


def test_a_file_that_ends_too_early_is_refused_wherever_it_ends(a_seg, masks):
    path = a_seg(masks)
    whole = path.read_bytes()
    sentences = set()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"^mask seg\.dcm ") as caught:
            read_seg(path, CT)
        sentences.add(str(caught.value))
    assert "mask seg.dcm ends too early, so parts are missing: copy or export it again" in sentences
    assert not any('""' in sentence for sentence in sentences)
