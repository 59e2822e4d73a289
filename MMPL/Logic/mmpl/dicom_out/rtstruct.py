"""The label map as an RT Structure Set (PS3.3 A.19), written with pydicom.

How the outlines are drawn, and why no library does it, is said in :mod:`mmpl.dicom_out.outlines`.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from mmpl.dicom_out.finish import MANUFACTURER, MODEL, Export, finish
from mmpl.dicom_out.headers import UTF_8, SliceReference
from mmpl.dicom_out.outlines import outlines
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS, SegmentSpec
from mmpl.version import __version__

DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"  # what RT Referenced Study Sequence refers to, retired but required
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip


def make_structure_set(export: Export, label_map: Volume) -> Dataset:
    """ROIs named GTVp and GTVn, one of each class that has voxels.

    Parameters
    ----------
    label_map : Volume, uint8, with at least one voxel of a class
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # the explicit one has no decimal strings above 64 kB
    ds.SpecificCharacterSet = UTF_8
    ds.SOPClassUID, ds.SOPInstanceUID = RTStructureSetStorage, export.uid()
    for keyword in PATIENT_AND_STUDY:
        if keyword in export.source.first:
            ds[keyword] = export.source.first[keyword]
    _add_series(ds, export)
    _add_references(ds, export)
    specs = [spec for label, spec in SEGMENTS.items() if (label_map.array == label).any()]
    ds.StructureSetROISequence = [_roi(export, label_map, spec) for spec in specs]
    ds.ROIContourSequence = [_contours(export, label_map, spec) for spec in specs]
    ds.RTROIObservationsSequence = [_observation(spec) for spec in specs]
    ds.ApprovalStatus = "UNAPPROVED"
    return finish(ds, export, "RTSTRUCT")


def _add_series(ds: Dataset, export: Export) -> None:
    ds.Modality = "RTSTRUCT"
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = export.uid(), export.settings.series_numbers[1], 1
    ds.OperatorsName = ""
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL
    ds.DeviceSerialNumber, ds.SoftwareVersions = export.serial_number, __version__
    ds.StructureSetLabel = "MMPL"
    ds.StructureSetDescription = f"{export.algorithm_name} {export.algorithm_version}, for research use only"
    # Type 2: empty rather than a dummy where no date is to be written
    ds.StructureSetDate = "" if export.anonymous else export.date
    ds.StructureSetTime = "" if export.anonymous else export.time


def _add_references(ds: Dataset, export: Export) -> None:
    first = export.source.first
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = [_image(h.SOPClassUID, h.SOPInstanceUID) for h in export.source.headers]
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = DETACHED_STUDY, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.FrameOfReferenceUID = first.FrameOfReferenceUID
    ds.PositionReferenceIndicator = ""


def _roi(export: Export, label_map: Volume, spec: SegmentSpec) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = spec.label, spec.name
    roi.ReferencedFrameOfReferenceUID = export.source.frame_of_reference
    roi.ROIGenerationAlgorithm = export.algorithm_type
    if export.algorithm_type != "MANUAL":
        roi.ROIGenerationDescription = f"{export.drawing_name} {export.drawing_version}"[:64]
    voxel_ml = float(np.prod(label_map.geometry.spacing_mm)) / 1000
    roi.ROIVolume = f"{np.count_nonzero(label_map.array == spec.label) * voxel_ml:.8g}"
    return roi


def _observation(spec: SegmentSpec) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = spec.label
    observation.RTROIInterpretedType = "GTV"
    observation.ROIInterpreter = ""
    return observation


def _contours(export: Export, label_map: Volume, spec: SegmentSpec) -> Dataset:
    roi = Dataset()
    roi.ROIDisplayColor = [round(255 * c) for c in spec.color]
    roi.ReferencedROINumber = spec.label
    mask = label_map.array == spec.label
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    roi.ContourSequence = [
        _contour(outline, int(k), label_map.geometry, export.source.slices[k])
        for k in slices
        for outline in outlines(mask[k])
    ]
    for number, contour in enumerate(roi.ContourSequence, 1):
        contour.ContourNumber = number
    return roi


def _contour(outline: np.ndarray, k: int, geometry: Geometry, image: SliceReference | None) -> Dataset:
    contour = Dataset()
    if image is not None:
        contour.ContourImageSequence = [_image(image.sop_class_uid, image.sop_instance_uid, image.frame)]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(outline)
    points_lps = geometry.physical(np.column_stack([outline, np.full(len(outline), k)]))
    contour.ContourData = [f"{v:.5f}" for v in points_lps.ravel()]  # 1e-5 mm; decimal strings end at 16 characters
    return contour


def _image(sop_class_uid: str, sop_instance_uid: str, frame: int | None = None) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    if frame is not None:
        image.ReferencedFrameNumber = frame
    return image
