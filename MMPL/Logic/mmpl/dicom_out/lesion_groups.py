"""Measurement groups of the lesions: TID 1411, one a class and one a component, each of the class's segment."""

from __future__ import annotations

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.coding import Code as DicomCode

from mmpl.dicom_out.codes import FIGURES, MILLILITRE, VOLUME
from mmpl.dicom_out.finish import Export
from mmpl.dicom_out.segmentation import dicom_code
from mmpl.segments import SEGMENTS, SegmentSpec


def lesion_groups(
    export: Export, segmentation: Segmentation, numbers: dict[int, int]
) -> list[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """Groups of the classes that are contoured: the total first, then its components.

    Parameters
    ----------
    numbers : segment number by label
    """
    groups = []
    for label, number in numbers.items():
        spec, lesions = SEGMENTS[label], export.results["lesions"][SEGMENTS[label].name]
        groups.append(_group(export, segmentation, spec, number, spec.name, lesions))
        groups += [
            _group(export, segmentation, spec, number, f"{spec.name} {c['id']}", c) for c in lesions["components"]
        ]
    return groups


def empty_groups(export: Export, numbers: dict[int, int]) -> list[MeasurementsAndQualitativeEvaluations]:
    """Groups of the classes that are not contoured: a volume of nothing, and no segment to refer to.

    They are there also because a measurement report must hold a group.
    """
    return [
        MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid=export.tracking_uids[spec.name], identifier=spec.name),
            finding_category=dicom_code(spec.category),
            finding_type=dicom_code(spec.type),
            finding_sites=[FindingSite(dicom_code(spec.region))],
            algorithm_id=algorithm(export),
            measurements=[measurement(VOLUME, 0.0, MILLILITRE)],
        )
        for label, spec in SEGMENTS.items()
        if label not in numbers
    ]


def _group(export: Export, segmentation: Segmentation, spec: SegmentSpec, number: int, name: str, figures: dict):
    tracking_uid = export.tracking_uids[spec.name] if name == spec.name else export.uid()
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracking_uid, identifier=name),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_series=SourceSeriesForSegmentation(str(export.source.first.SeriesInstanceUID)),
        ),
        finding_category=dicom_code(spec.category),
        finding_type=dicom_code(spec.type),
        finding_sites=[FindingSite(dicom_code(spec.region))],
        algorithm_id=algorithm(export),
        measurements=[
            measurement(f.concept, figures[f.key], f.unit, f.derivation) for f in FIGURES if figures[f.key] is not None
        ],
    )


def algorithm(export: Export) -> AlgorithmIdentification:
    """Who measured: name and version of the bundle, and its checksum."""
    checksum = f"sha256 {export.results['bundle']['sha256']}"
    return AlgorithmIdentification(export.algorithm_name, export.algorithm_version, parameters=[checksum])


def measurement(concept: DicomCode, value: float, unit: DicomCode, derivation: DicomCode | None = None) -> Measurement:
    """A coded number; decimal strings hold 16 characters, of which ten digits are taken."""
    return Measurement(concept, float(f"{value:.10g}"), unit, derivation=derivation)
