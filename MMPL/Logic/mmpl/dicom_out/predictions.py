"""Measurement group of what is predicted for the patient: TID 1501 with the codes of MMPL."""

from __future__ import annotations

from highdicom.sr import (
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    TrackingIdentifier,
)

from mmpl.dicom_out.codes import (
    DAY,
    GROUP_VALUES,
    HPV_PROBABILITY,
    HPV_STATUS,
    HPV_THRESHOLD,
    NO_UNIT,
    PREDICTION,
    RESTRICTED_MEAN,
    RFS_AT,
    RFS_GROUP,
    RFS_RISK,
    STATUS_VALUES,
)
from mmpl.dicom_out.finish import Export
from mmpl.dicom_out.lesion_groups import algorithm, measurement


def prediction_group(export: Export) -> MeasurementsAndQualitativeEvaluations | None:
    """HPV and recurrence-free survival as far as they are given; None where neither is."""
    measurements, evaluations = _hpv(export.results["hpv"])
    more_measurements, more_evaluations = _rfs(export.results["rfs"])
    if not measurements + more_measurements:
        return None
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=export.uid(), identifier="Prediction"),
        finding_type=PREDICTION,
        algorithm_id=algorithm(export),
        measurements=measurements + more_measurements,
        qualitative_evaluations=evaluations + more_evaluations,
    )


def _hpv(hpv: dict) -> tuple[list[Measurement], list[QualitativeEvaluation]]:
    if hpv["probability"] is None:
        return [], []
    measurements = [
        measurement(HPV_PROBABILITY, hpv["probability"], NO_UNIT),
        measurement(HPV_THRESHOLD, hpv["threshold"], NO_UNIT),
    ]
    return measurements, [QualitativeEvaluation(HPV_STATUS, STATUS_VALUES[hpv["status"]])]


def _rfs(rfs: dict) -> tuple[list[Measurement], list[QualitativeEvaluation]]:
    if rfs["risk"] is None:
        return [], []
    at = rfs["survival_at"]
    measurements = [measurement(RFS_RISK, rfs["risk"], NO_UNIT)]
    measurements += [measurement(code, at[key], NO_UNIT) for key, code in RFS_AT.items() if at[key] is not None]
    if rfs["deep_restricted_mean_days"] is not None:
        measurements.append(measurement(RESTRICTED_MEAN, rfs["deep_restricted_mean_days"], DAY))
    groups = [] if rfs["risk_group"] is None else [QualitativeEvaluation(RFS_GROUP, GROUP_VALUES[rfs["risk_group"]])]
    return measurements, groups
