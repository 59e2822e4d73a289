"""Structure sets read back by readers that share nothing with the writer."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mmpl.dicom_out.export import write_dicom
from mmpl.dicom_out.rtstruct import make_structure_set
from mmpl.geometry import Volume
from mmpl.io.dicom.crossing import crossing_planes
from mmpl.segments import SEGMENTS

SEEDS = range(50)


def inside(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centres a ray to the right leaves an odd number of times (crossing number)."""
    edges = np.stack([polygon, np.roll(polygon, -1, axis=0)], axis=1)
    upwards = np.where((edges[:, 0, 1] > edges[:, 1, 1])[:, None, None], edges[:, ::-1], edges)
    xa, ya, xb, yb = upwards.reshape(-1, 4).T[:, :, None]  # each edge is reckoned alike from both sides
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    spans = (ya > rows) != (yb > rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        leaves_at = np.where(spans, xa + (rows - ya) * (xb - xa) / (yb - ya), -np.inf)
    return (columns < leaves_at[:, :, None]).sum(axis=0) % 2 == 1


def headers_of(files) -> dict[str, tuple[int, pydicom.Dataset]]:
    """Slice number and header by SOP instance."""
    return {str(h.SOPInstanceUID): (k, h) for k, h in enumerate(pydicom.dcmread(f) for f in files)}


def masks_from(ds: pydicom.Dataset, headers, combine=np.logical_or) -> dict[str, np.ndarray]:
    """Masks by ROI name, from the contours and the CT's headers alone."""
    names = {roi.ROINumber: roi.ROIName for roi in ds.StructureSetROISequence}
    masks = {}
    for roi in ds.ROIContourSequence:
        mask = np.zeros((len(headers), 20, 24), bool)
        for contour in roi.ContourSequence:
            k, header = headers[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            points = np.reshape([float(v) for v in contour.ContourData], (-1, 3))
            away = points - [float(v) for v in header.ImagePositionPatient]
            axes = np.reshape([float(v) for v in header.ImageOrientationPatient], (2, 3))
            assert np.abs(away @ np.cross(*axes)).max() < 2e-4, "a contour leaves its image's plane"
            row_mm, column_mm = (float(v) for v in header.PixelSpacing)
            polygon = np.column_stack([away @ axes[0] / column_mm, away @ axes[1] / row_mm])
            mask[k] = combine(mask[k], inside(polygon, mask[k].shape))
        masks[names[roi.ReferencedROINumber]] = mask
    return masks


def parts(mask: np.ndarray) -> tuple[int, int]:
    """Number of 26-connected components, and of holes: parts of the background, 6-connected, not at the border."""
    background = ndimage.label(np.pad(~mask, 1, constant_values=True))[1]
    return ndimage.label(mask, np.ones((3, 3, 3)))[1], background - 1


@pytest.fixture(scope="module")
def structure_sets(a_source, awkward, an_export) -> list[tuple[np.ndarray, pydicom.Dataset]]:
    """Label maps and the structure sets that were made of them, on oblique slices."""
    source = a_source("oblique")
    export, labels = an_export(source), [awkward(seed) for seed in SEEDS]
    return [(m, make_structure_set(export, Volume(m, source.geometry))) for m in labels]


def test_no_contour_crosses_another(structure_sets):
    for _, ds in structure_sets[:10]:
        for roi in ds.ROIContourSequence:
            contours = tuple(np.reshape([float(v) for v in c.ContourData], (-1, 3)) for c in roi.ContourSequence)
            crossing, planes = crossing_planes(contours)
            assert planes > 5
            assert crossing == 0


@pytest.mark.parametrize("combine", [np.logical_or, np.logical_xor], ids=["union", "xor"])
def test_awkward_masks_come_back_exactly(a_source, structure_sets, combine):
    headers, holes = headers_of(a_source("oblique").files), 0
    for seed, (labels, ds) in enumerate(structure_sets):
        found = masks_from(ds, headers, combine)
        for label, spec in SEGMENTS.items():
            mask = labels == label
            assert np.array_equal(found[spec.name], mask), (seed, spec.name)
            assert parts(found[spec.name]) == parts(mask)
            holes += sum(ndimage.label(~np.pad(plane, 1))[1] - 1 for plane in mask)
    assert holes > 10 * len(structure_sets)  # the masks are as awkward as they are meant to be


@pytest.mark.parametrize("name", ["axial", "oblique", "flipped", "feet to head reversed", "sagittal"])
def test_masks_come_back_in_every_direction(a_source, exported, two_classes, name):
    source = a_source(name)
    found = masks_from(exported(source, two_classes)["rtstruct"], headers_of(source.files))
    assert np.array_equal(found["GTVp"], two_classes == 1)
    assert np.array_equal(found["GTVn"], two_classes == 2)


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="plastimatch is not installed")
@pytest.mark.parametrize("name", ["axial", "oblique", "flipped"])
def test_plastimatch_reads_the_same_masks(a_source, awkward, results, tmp_path, name):
    source, labels = a_source(name), awkward(7)
    write_dicom(tmp_path, source, Volume(labels, source.geometry), results)
    command = ["plastimatch", "convert", "--input", "rtstruct.dcm", "--referenced-ct", str(source.files[0].parent)]
    command += ["--output-prefix", "masks", "--prefix-format", "nrrd"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for label, spec in SEGMENTS.items():
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "masks" / f"{spec.name}.nrrd"))) > 0
        mask = labels == label
        dice = 2 * np.count_nonzero(found & mask) / (np.count_nonzero(found) + np.count_nonzero(mask))
        assert dice >= 0.98
        assert parts(found) == parts(mask)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rt_utils_reads_the_same_masks(square, awkward, results, tmp_path, seed):
    rt_utils = pytest.importorskip("rt_utils", reason="rt-utils is not installed")
    source, labels = square, np.pad(awkward(seed), ((0, 0), (2, 2), (0, 0)))  # it reads square images only
    write_dicom(tmp_path, source, Volume(labels, source.geometry), results)
    read = rt_utils.RTStructBuilder.create_from(str(source.files[0].parent), str(tmp_path / "rtstruct.dcm"))
    for label, spec in SEGMENTS.items():
        found = np.moveaxis(read.get_roi_mask_by_name(spec.name), 2, 0)
        mask = labels == label
        dice = 2 * np.count_nonzero(found & mask) / (np.count_nonzero(found) + np.count_nonzero(mask))
        assert dice >= 0.98, (spec.name, dice)


def test_rois_carry_name_type_colour_volume_and_who_drew_them(a_source, exported, two_classes):
    ds = exported(a_source(), two_classes)["rtstruct"]
    assert [roi.ROIName for roi in ds.StructureSetROISequence] == ["GTVp", "GTVn"]
    assert [o.RTROIInterpretedType for o in ds.RTROIObservationsSequence] == ["GTV", "GTV"]
    assert [list(c.ROIDisplayColor) for c in ds.ROIContourSequence] == [[213, 94, 0], [86, 180, 233]]
    assert {roi.ROIGenerationAlgorithm for roi in ds.StructureSetROISequence} == {"MANUAL"}
    voxel_ml = 0.9765625**2 * 2.5 / 1000
    voxels = [np.count_nonzero(two_classes == label) for label in (1, 2)]
    assert [float(r.ROIVolume) for r in ds.StructureSetROISequence] == pytest.approx([n * voxel_ml for n in voxels])
    assert ds.SeriesDescription == "MMPL structure set - RESEARCH USE ONLY"


def test_frame_of_reference_study_and_images_are_the_ct_s(a_source, exported, two_classes):
    source = a_source()
    ds, ct = exported(source, two_classes)["rtstruct"], [pydicom.dcmread(f) for f in source.files]
    (frame,) = ds.ReferencedFrameOfReferenceSequence
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert frame.FrameOfReferenceUID == ct[0].FrameOfReferenceUID == ds.FrameOfReferenceUID
    assert ds.StudyInstanceUID == ct[0].StudyInstanceUID
    assert series.SeriesInstanceUID == ct[0].SeriesInstanceUID
    assert [i.ReferencedSOPInstanceUID for i in series.ContourImageSequence] == [h.SOPInstanceUID for h in ct]
    assert {roi.ReferencedFrameOfReferenceUID for roi in ds.StructureSetROISequence} == {ct[0].FrameOfReferenceUID}


def test_points_are_decimal_strings_of_a_hundred_thousandth_of_a_millimetre(a_source, exported, two_classes):
    ds = exported(a_source("oblique"), two_classes)["rtstruct"]
    data = [str(v) for c in ds.ROIContourSequence[0].ContourSequence for v in c.ContourData]
    assert max(len(v) for v in data) <= 16
    assert min(len(v.partition(".")[2]) for v in data) == 5


def test_an_outline_of_more_than_64_kilobytes_stays_decimal_strings(a_source, exported, two_classes, tmp_path):
    """Explicit VR has 16 bits for their length: pydicom would write them as UN, which others need not read."""
    ds = exported(a_source("axial"), two_classes)["rtstruct"]
    contour = ds.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData, contour.NumberOfContourPoints = ["-123.45678"] * 9000, 3000
    ds.save_as(tmp_path / "large.dcm", enforce_file_format=True)
    read = pydicom.dcmread(tmp_path / "large.dcm").ROIContourSequence[0].ContourSequence[0]
    assert read["ContourData"].VR == "DS"
    assert len(read.ContourData) == 9000


def test_contours_of_a_resampled_volume_refer_to_no_image(tilted, exported, two_classes):
    ds = exported(tilted, two_classes)["rtstruct"]
    assert not any("ContourImageSequence" in c for roi in ds.ROIContourSequence for c in roi.ContourSequence)
    z = {float(c.ContourData[2]) for c in ds.ROIContourSequence[0].ContourSequence}
    assert z == {1033.5 + 2.5 * k for k in range(3, 8)}


def test_contours_of_a_multi_frame_image_refer_to_its_frames(multiframe, exported, two_classes):
    ds = exported(multiframe, two_classes)["rtstruct"]
    images = [c.ContourImageSequence[0] for c in ds.ROIContourSequence[0].ContourSequence]
    assert [i.ReferencedFrameNumber for i in images] == [12 - k for k in range(3, 8)]
    assert {i.ReferencedSOPInstanceUID for i in images} == {pydicom.dcmread(multiframe.files[0]).SOPInstanceUID}
