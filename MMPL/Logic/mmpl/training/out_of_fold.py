"""Out-of-fold masks, radiomics and deep scores: what the statistics are trained on.

Every patient's row comes from the networks of the fold that did not train on them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpl.network.backends.pytorch import TorchRunner
from mmpl.preprocess.field_of_view import outcome_patch
from mmpl.preprocess.network_grid import network_input
from mmpl.radiomics.case_radiomics import CaseRadiomics
from mmpl.radiomics.extraction import FAST, make_extractor
from mmpl.segmentation.plan import single_plan
from mmpl.steps import (
    expected_days,
    hpv_logit,
    label_for_measurement,
    outcome_centre,
    segment,
)
from mmpl.training.cache import load_cached, load_roi
from mmpl.training.cohort import CohortCase
from mmpl.training.stages import StageRun, trained_network


@dataclass(frozen=True)
class MaskTask:
    """Segment one case with one fold's network, cut at (GTVp, GTVn) thresholds, and measure what it found."""

    case: CohortCase
    run: StageRun
    thresholds: tuple[float, float]
    path: Path


def measure_out_of_fold(task: MaskTask) -> None:
    """Write a task's centre and radiomics as JSON, unless already there."""
    if task.path.is_file():
        return
    config = task.run.config
    roi = load_roi(task.case)
    array, spacing_mm = network_input(roi, config.network.spacing_mm), config.network.spacing_mm
    label_map = segment(
        roi,
        array,
        [TorchRunner(trained_network(task.run))],
        single_plan(array, spacing_mm),
        thresholds=task.thresholds,
    )
    on_roi = label_for_measurement(label_map, roi)
    # one image at a time: cases already run side by side
    features, _ = CaseRadiomics(make_extractor(FAST, config.feature_set, threads=1)).of(roi, on_roi)
    data = {
        "centre_zyx": outcome_centre(on_roi).tolist(),
        "features": {name: None if not np.isfinite(v) else float(v) for name, v in features.items()},
    }
    partial_path = task.path.with_suffix(".partial")
    partial_path.write_text(json.dumps(data), encoding="utf-8")
    os.replace(partial_path, task.path)


def read_measured(path: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Centre (z, y, x) on the 1 mm ROI, and radiomics columns (NaN where missing)."""
    data = json.loads(path.read_text(encoding="utf-8"))
    features = {name: float("nan") if v is None else float(v) for name, v in data["features"].items()}
    return np.array(data["centre_zyx"]), features


def deep_score(run: StageRun, cached: Path, centre_zyx_1mm: np.ndarray) -> float:
    """Raw HPV logit (stage 2) or expected days (stage 3) of a case that the fold did not train on."""
    net = TorchRunner(trained_network(run))
    array = load_cached(cached).image.astype(np.float32)
    patch = outcome_patch(array, centre_zyx_1mm, run.config.network.spacing_mm)
    if run.stage == "hpv":
        return hpv_logit(net, patch)
    return expected_days(net, patch, run.config.breaks_days)
