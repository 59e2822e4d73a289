"""From a finished run to a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.bundle.info import BundleInfo, MemberInfo
from mmpl.bundle.parts import CohortSurvival, Thresholds
from mmpl.bundle.reader import Bundle
from mmpl.bundle.writer import write_bundle
from mmpl.clinical.fields import FIELDS
from mmpl.ensemble import (
    ENCODER,
    HPV,
    HPV_FOREST,
    HPV_STATISTICS,
    RFS,
    RFS_STATISTICS,
    SEGMENTATION,
    InferenceSettings,
)
from mmpl.training.config import TrainingConfig
from mmpl.training.ensemble_statistics import EnsembleStatistics
from mmpl.training.stages import StageRun

INTENDED_USE = (
    "Research on head-and-neck FDG-PET/CT: contour proposals for GTVp and GTVn that a clinician corrects, "
    "an HPV probability for oropharyngeal primaries, and recurrence-free survival. Not a medical device."
)
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Provenance:
    """What the bundle says of where it comes from.

    Attributes
    ----------
    description, training_data : sentences for the model card
    phantom : True when trained on synthetic patients
    folds : of each split, of the one with the most where they differ
    time_zero : what RFS days count from
    created : ISO date
    limitations : sentences for the model card
    """

    description: str
    training_data: str
    phantom: bool
    folds: int
    time_zero: str
    created: str
    limitations: tuple[str, ...]


def assemble(
    folder: Path,
    config: TrainingConfig,
    runs: Sequence[Mapping[str, StageRun]],
    statistics: EnsembleStatistics,
    mask_thresholds: tuple[float, float],
    search_threshold: float | None,
    provenance: Provenance,
    scores: Mapping[str, object],
    cohort_survival: CohortSurvival,
) -> Bundle:
    """Write the bundle of a run whose networks and statistics are ready.

    Parameters
    ----------
    runs : per fold, stage name -> StageRun
    mask_thresholds : (GTVp, GTVn)
    search_threshold : probability below which searching members find nothing possible; None: all members search
    scores : figures for the model card
    cohort_survival : of the patients that the RFS models were trained on
    """
    payload: dict[str, object] = {}
    members = []
    for fold, (stages, fitted) in enumerate(zip(runs, statistics.members, strict=True)):
        name = f"member_{fold}"
        files = {
            SEGMENTATION: f"{name}/segmentation.safetensors",
            HPV: f"{name}/hpv.safetensors",
            RFS: f"{name}/rfs.safetensors",
            ENCODER: f"{name}/encoder.json",
            HPV_STATISTICS: f"{name}/hpv.json",
            HPV_FOREST: f"{name}/hpv_forest.npz",
            RFS_STATISTICS: f"{name}/rfs.json",
        }
        for stage in (SEGMENTATION, HPV, RFS):
            payload[files[stage]] = stages[stage].weights()
        payload[files[ENCODER]] = fitted.encoder.to_dict()
        payload[files[HPV_STATISTICS]] = fitted.hpv.to_dict()
        payload[files[HPV_FOREST]] = fitted.hpv.to_arrays()
        payload[files[RFS_STATISTICS]] = fitted.rfs.to_dict()
        members.append(MemberInfo(name, files))
    info = BundleInfo(
        name=config.name,
        version=config.version,
        created=provenance.created,
        description=provenance.description,
        training_data=provenance.training_data,
        phantom=provenance.phantom,
        folds=provenance.folds,
        intended_use=INTENDED_USE,
        limitations=provenance.limitations,
        licence=LICENCE,
        network=config.network.to_dict(),
        preprocessing=InferenceSettings(config.overlap, config.breaks_days, search_threshold).to_dict(),
        radiomics=config.feature_set.to_dict(),
        clinical=tuple(FIELDS),
        thresholds=Thresholds(*mask_thresholds, hpv=statistics.hpv_threshold),
        risk_tertiles=statistics.risk_tertiles,
        time_zero=provenance.time_zero,
        rfs_last_day=statistics.rfs_last_day,
        members=tuple(members),
        scores=dict(scores),
        cohort_survival=cohort_survival,
    )
    return write_bundle(folder, info, payload)
