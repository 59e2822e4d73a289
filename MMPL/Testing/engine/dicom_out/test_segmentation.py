"""Segmentations read back by highdicom's and dcmqi's readers, and by MMPL's."""

import shutil
import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from mmpl.dicom_out.export import write_dicom
from mmpl.dicom_out.settings import ExportSettings
from mmpl.geometry import Volume
from mmpl.io.dicom.seg import read_seg

SEGIMAGE2ITKIMAGE = shutil.which("segimage2itkimage", path=str(Path(sys.executable).parent))
NAMES = ["axial", "oblique", "flipped", "feet to head reversed", "sagittal"]


def by_highdicom(ds: pydicom.Dataset, source, shape) -> np.ndarray:
    """Label map from the frames that refer to each of the CT's images."""
    seg = highdicom.seg.Segmentation.from_dataset(ds)
    images = [str(pydicom.dcmread(f).SOPInstanceUID) for f in source.files]
    frames = seg.get_pixels_by_source_instance(images, assert_missing_frames_are_empty=True)
    labels = np.zeros(shape, np.uint8)
    for column, number in enumerate(seg.segment_numbers):
        label = {"GTVp": 1, "GTVn": 2}[seg.get_segment_description(number).segment_label]
        labels[frames[..., column] > 0] = label
    return labels


@pytest.mark.parametrize("name", NAMES)
def test_the_label_map_comes_back_exactly(a_source, awkward, results, tmp_path, name):
    source, labels = a_source(name), awkward(11)
    write_dicom(tmp_path, source, Volume(labels, source.geometry), results)
    found = read_seg(tmp_path / "segmentation.dcm", source.geometry)
    assert found.label_map.geometry == source.geometry
    assert np.array_equal(found.label_map.array, labels)
    assert np.array_equal(by_highdicom(pydicom.dcmread(tmp_path / "segmentation.dcm"), source, labels.shape), labels)


@pytest.mark.skipif(SEGIMAGE2ITKIMAGE is None, reason="dcmqi is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_dcmqi_reads_the_same_voxels_in_the_same_places(a_source, two_classes, results, tmp_path, name):
    source = a_source(name)
    write_dicom(tmp_path, source, Volume(two_classes, source.geometry), results)
    command = [SEGIMAGE2ITKIMAGE, "--inputDICOM", "segmentation.dcm", "--outputDirectory", ".", "-t", "nrrd"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for number, label in ((1, 1), (2, 2)):
        image = sitk.ReadImage(str(tmp_path / f"{number}.nrrd"))
        at = [image.TransformIndexToPhysicalPoint(tuple(int(v) for v in i)) for i in voxels(image)]
        truth = source.geometry.physical(np.argwhere(two_classes == label)[:, ::-1])
        assert len(at) == len(truth)
        assert np.abs(np.sort(np.round(at, 2), axis=0) - np.sort(np.round(truth, 2), axis=0)).max() < 0.011


def voxels(image: sitk.Image) -> np.ndarray:
    """(i, j, k) of what is not zero."""
    return np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1]


def test_segments_carry_codes_colours_and_who_drew_them(a_source, exported, two_classes, results):
    results["segmentation"] = {"plan": {}}
    gtvp, gtvn = exported(a_source(), two_classes)["segmentation"].SegmentSequence
    assert (gtvp.SegmentLabel, gtvn.SegmentLabel) == ("GTVp", "GTVn")
    assert gtvp.SegmentedPropertyTypeCodeSequence[0].CodeValue == "86049000"
    assert gtvn.SegmentedPropertyTypeCodeSequence[0].CodeValue == "14799000"
    assert gtvp.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert gtvp.AnatomicRegionSequence[0].CodeValue == "774007"
    assert gtvn.AnatomicRegionSequence[0].CodeValue == "59441001"
    assert gtvp.SegmentAlgorithmType == "AUTOMATIC"
    assert gtvp.SegmentAlgorithmName == "MMPL tiny"
    assert gtvp.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
    # sRGB (213, 94, 0) in CIELab, by the published sRGB matrix and white point D65
    lightness, a, b = (v / 65535 for v in gtvp.RecommendedDisplayCIELabValue)
    assert [100 * lightness, 255 * a - 128, 255 * b - 128] == pytest.approx([54.19, 43.27, 63.28], abs=0.1)


@pytest.mark.parametrize(
    ("drawn", "corrected", "kind"),
    [({"plan": {}}, False, "AUTOMATIC"), (None, True, "SEMIAUTOMATIC"), (None, False, "MANUAL")],
)
def test_who_drew_the_contours(a_source, exported, two_classes, results, drawn, corrected, kind):
    results["segmentation"] = drawn
    written = exported(a_source(), two_classes, settings=ExportSettings(contours_corrected=corrected))
    assert {s.SegmentAlgorithmType for s in written["segmentation"].SegmentSequence} == {kind}
    assert {r.ROIGenerationAlgorithm for r in written["rtstruct"].StructureSetROISequence} == {kind}
    assert ("SegmentAlgorithmName" in written["segmentation"].SegmentSequence[0]) == (kind != "MANUAL")


@pytest.mark.parametrize(("corrected", "kind"), [(False, "AUTOMATIC"), (True, "SEMIAUTOMATIC")])
def test_the_bundle_that_drew_is_named_where_another_has_measured(
    a_source, exported, two_classes, results, corrected, kind
):
    results["segmentation"] = None
    drawn_by = {"name": "other", "version": "7", "sha256": "0" * 64}
    settings = ExportSettings(contours_corrected=corrected, drawn_by=drawn_by)
    written = exported(a_source(), two_classes, settings=settings)
    segment = written["segmentation"].SegmentSequence[0]
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == (kind, "MMPL other")
    roi = written["rtstruct"].StructureSetROISequence[0]
    assert (roi.ROIGenerationAlgorithm, roi.ROIGenerationDescription) == (kind, "MMPL other 7")


def test_each_frame_refers_to_the_image_it_lies_on(a_source, exported, two_classes):
    source = a_source("flipped")
    ct = {h.SOPInstanceUID: h for h in (pydicom.dcmread(f) for f in source.files)}
    seg = exported(source, two_classes)["segmentation"]
    assert seg.NumberOfFrames == 5 + 5  # GTVp in slices 3 to 7, GTVn in 0 to 3 and 10
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        position = ct[image.ReferencedSOPInstanceUID].ImagePositionPatient
        assert [float(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient] == pytest.approx(list(position))


def test_frames_of_a_resampled_volume_lie_in_its_own_planes(tilted, results, two_classes, tmp_path):
    write_dicom(tmp_path, tilted, Volume(two_classes, tilted.geometry), results)
    seg, ct = pydicom.dcmread(tmp_path / "segmentation.dcm"), pydicom.dcmread(tilted.files[0])
    found = read_seg(tmp_path / "segmentation.dcm", tilted.geometry)
    assert np.array_equal(found.label_map.array, two_classes)
    assert found.frame_of_reference_uid == ct.FrameOfReferenceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == ct.SeriesInstanceUID
    for frame in seg.PerFrameFunctionalGroupsSequence:
        images = [i for d in frame.get("DerivationImageSequence", ()) for i in d.SourceImageSequence]
        assert "YES" not in {i.SpatialLocationsPreserved for i in images}


def test_frames_of_a_multi_frame_image_refer_to_its_frames(multiframe, results, two_classes, tmp_path):
    write_dicom(tmp_path, multiframe, Volume(two_classes, multiframe.geometry), results)
    found = read_seg(tmp_path / "segmentation.dcm", multiframe.geometry)
    assert np.array_equal(found.label_map.array, two_classes)
    seg = pydicom.dcmread(tmp_path / "segmentation.dcm")
    frames = {
        f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for f in seg.PerFrameFunctionalGroupsSequence
        if f.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
    }
    assert frames == {12 - k for k in range(3, 8)}  # stored from the last slice to the first


def test_a_class_alone_is_segment_one(a_source, results, two_classes, tmp_path):
    source = a_source()
    nodes = np.where(two_classes == 2, 2, 0).astype(np.uint8)
    write_dicom(tmp_path, source, Volume(nodes, source.geometry), results)
    seg = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert [(s.SegmentNumber, s.SegmentLabel) for s in seg.SegmentSequence] == [(1, "GTVn")]
    assert np.array_equal(read_seg(tmp_path / "segmentation.dcm", source.geometry).label_map.array, nodes)
