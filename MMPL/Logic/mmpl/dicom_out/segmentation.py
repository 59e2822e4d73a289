"""The label map as a DICOM Segmentation (PS3.3 A.51), written by highdicom."""

from __future__ import annotations

import numpy as np
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import ExplicitVRLittleEndian

from mmpl.dicom_out.finish import Export, finish
from mmpl.geometry import Geometry, Volume
from mmpl.segments import SEGMENTS, Code, SegmentSpec

ARTIFICIAL_INTELLIGENCE = DicomCode("123109", "DCM", "Artificial Intelligence")


def segment_numbers(label_map: Volume) -> dict[int, int]:
    """Segment number by label, for the labels that are there; DICOM wants numbers without a gap from 1 on."""
    present = [label for label in SEGMENTS if (label_map.array == label).any()]
    return {label: number for number, label in enumerate(present, 1)}


def make_segmentation(export: Export, label_map: Volume) -> Segmentation:
    """A binary segmentation, each frame with the CT image that it lies on.

    Where the volume was resampled from its images (gantry tilt), frames lie in the volume's own planes, in the CT's
    frame of reference, and the images are referenced as a series only.

    Parameters
    ----------
    label_map : Volume, uint8, with at least one voxel of a class
    """
    numbers = segment_numbers(label_map)
    lookup = np.zeros(256, np.uint8)
    for label, number in numbers.items():
        lookup[label] = number
    seg = Segmentation(
        source_images=list(export.source.headers),
        pixel_array=lookup[label_map.array],
        segmentation_type="BINARY",
        segment_descriptions=[_description(export, SEGMENTS[label], n) for label, n in numbers.items()],
        series_instance_uid=export.uid(),
        series_number=export.settings.series_numbers[0],
        sop_instance_uid=export.uid(),
        instance_number=1,
        content_label="MMPL",
        content_description="GTVp and GTVn, for research use only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_planes(export),
        **export.equipment(),
    )
    _own_dimension_uid(seg, export.uid())
    return finish(seg, export, "SEG")


def _description(export: Export, spec: SegmentSpec, number: int) -> SegmentDescription:
    drawn_by_mmpl = export.algorithm_type != "MANUAL"
    algorithm = AlgorithmIdentificationSequence(
        name=export.drawing_name, version=export.drawing_version, family=ARTIFICIAL_INTELLIGENCE
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=spec.name,
        segmented_property_category=dicom_code(spec.category),
        segmented_property_type=dicom_code(spec.type),
        algorithm_type=export.algorithm_type,
        algorithm_identification=algorithm if drawn_by_mmpl else None,
        tracking_uid=export.tracking_uids[spec.name],
        tracking_id=spec.name,
        anatomic_regions=[dicom_code(spec.region)],
        display_color=CIELabColor.from_rgb(*(round(255 * c) for c in spec.color)),
    )


def dicom_code(code: Code) -> DicomCode:
    return DicomCode(code.value, code.scheme, code.meaning)


def _planes(export: Export) -> dict:
    """Where frames lie; nothing where each is one of the source's images."""
    if "ImagePositionPatient" in export.source.first and export.source.slices[0] is not None:
        return {}
    geometry = export.source.geometry
    return {
        "plane_positions": [_position(geometry, k) for k in range(geometry.size[2])],
        "plane_orientation": PlaneOrientationSequence("PATIENT", np.asarray(geometry.direction)[:, :2].T.ravel()),
        "pixel_measures": PixelMeasuresSequence(
            pixel_spacing=geometry.spacing_mm[1::-1],
            slice_thickness=geometry.spacing_mm[2],
            spacing_between_slices=geometry.spacing_mm[2],
        ),
    }


def _position(geometry: Geometry, k: int) -> PlanePositionSequence:
    return PlanePositionSequence("PATIENT", geometry.physical((0, 0, k)))


def _own_dimension_uid(seg: Segmentation, uid: str) -> None:
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
