"""The results as a structured report: Comprehensive 3D SR with an imaging measurement report (TID 1500)."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.seg import Segmentation
from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from mmpl.dicom_out.codes import COMMENT, PET_CT, PRIVATE_SCHEME
from mmpl.dicom_out.finish import MANUFACTURER, MODEL, Export, finish
from mmpl.dicom_out.lesion_groups import empty_groups, lesion_groups
from mmpl.dicom_out.predictions import prediction_group

DEVICE = Code("121007", "DCM", "Device")


def make_report(
    export: Export, sentences: Sequence[str], segmentation: Segmentation | None, numbers: dict[int, int]
) -> Comprehensive3DSR:
    """Measurements of each class and component, predictions, and sentences.

    Parameters
    ----------
    sentences : text of the report, without identity where that is asked for
    segmentation : whose segments the measurements are of; None when nothing is contoured
    numbers : segment number by label
    """
    content = _content(export, segmentation, numbers)
    content[0].ContentSequence.extend(_comment(text) for text in sentences)
    evidence = list(export.source.headers) + ([] if segmentation is None else [segmentation])
    report = Comprehensive3DSR(
        evidence=evidence,
        content=content,
        series_instance_uid=export.uid(),
        series_number=export.settings.series_numbers[2],
        sop_instance_uid=export.uid(),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[_scheme()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **export.equipment(),
    )
    return finish(report, export, "SR")


def _content(export: Export, segmentation: Segmentation | None, numbers: dict[int, int]) -> MeasurementReport:
    groups = [] if segmentation is None else lesion_groups(export, segmentation, numbers)
    groups += empty_groups(export, numbers)
    prediction = prediction_group(export)
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(export)),
        procedure_reported=PET_CT,
        imaging_measurements=groups + ([] if prediction is None else [prediction]),
    )


def _observer(export: Export) -> ObserverContext:
    return ObserverContext(
        observer_type=DEVICE,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=export.uid(),
            name="MMPL",
            manufacturer_name=MANUFACTURER,
            model_name=MODEL,
            serial_number=export.serial_number,
        ),
    )


def _comment(text: str) -> TextContentItem:
    return TextContentItem(CodedConcept(*COMMENT[:3]), text, RelationshipTypeValues.CONTAINS)


def _scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME, name="MMPL private codes", responsible_organization="MMPL"
    )
