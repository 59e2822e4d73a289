"""Out-of-fold masks are measured once for the thresholds they are cut at."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmpl.preprocess.prepare import label_on_roi
from mmpl.training import out_of_fold
from mmpl.training.cohort import CohortCase
from mmpl.training.out_of_fold import (
    DeepScoreTask,
    MaskTask,
    deep_scores_of,
    measure_out_of_fold,
    read_measured,
    read_score,
)
from mmpl.training.stages import HPV, RFS, SEGMENTATION, StageRun


@pytest.fixture
def cuts(tiny_patient, monkeypatch):
    """The thresholds that masks were cut at; above 0.5 nothing of the true mask is left."""
    made = []

    def cut(run, patient_id, roi, thresholds) -> np.ndarray:
        made.append(thresholds)
        truth = label_on_roi(tiny_patient.label_map, roi.geometry)
        return truth if max(thresholds) <= 0.5 else np.zeros_like(truth)

    monkeypatch.setattr(out_of_fold, "unseen_labels", cut)
    return made


def test_measured_again_only_when_cut_elsewhere(tmp_path, tiny_config, tiny_files, cuts):
    case = CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], None, "1")
    task = MaskTask(case, StageRun(tiny_config, tmp_path, 0, SEGMENTATION), (0.5, 0.4), tmp_path / "measured.json")
    for _ in range(2):
        measure_out_of_fold(task)
    assert cuts == [(0.5, 0.4)]
    _, features = read_measured(task.path)
    assert features["GTVp_original_shape_MeshVolume"] > 0

    measure_out_of_fold(replace(task, thresholds=(0.6, 0.6)))
    assert cuts == [(0.5, 0.4), (0.6, 0.6)]
    assert read_measured(task.path)[1] != features

    older = json.loads(task.path.read_text(encoding="utf-8"))
    del older["thresholds"]  # files of earlier versions do not say
    task.path.write_text(json.dumps(older), encoding="utf-8")
    measure_out_of_fold(task)
    assert cuts[2:] == [(0.5, 0.4)]
    assert read_measured(task.path)[1] == features


def test_what_was_drawn_is_counted_against_the_label(tmp_path, tiny_config, tiny_files, cuts):
    case = CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], tiny_files["mask"], "1")
    task = MaskTask(case, StageRun(tiny_config, tmp_path, 0, SEGMENTATION), (0.5, 0.4), tmp_path / "measured.json")
    measure_out_of_fold(task)
    whole = read_score(task.path)
    assert whole.gtvp.shared == whole.gtvp.predicted == whole.gtvp.truth > 0
    assert whole.voxel_ml == pytest.approx(0.001)
    measure_out_of_fold(replace(task, thresholds=(0.6, 0.6)))
    nothing = read_score(task.path)
    assert (nothing.gtvp.shared, nothing.gtvp.predicted, nothing.gtvp.truth) == (0, 0, whole.gtvp.truth)
    assert nothing.gtvn_detection.fn == whole.gtvn_detection.tp > 0


def test_without_a_label_or_of_an_earlier_version_there_are_no_counts(tmp_path, tiny_config, tiny_files, cuts):
    case = CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], None, "1")
    task = MaskTask(case, StageRun(tiny_config, tmp_path, 0, SEGMENTATION), (0.5, 0.4), tmp_path / "measured.json")
    measure_out_of_fold(task)
    assert read_score(task.path) is None
    stored = json.loads(task.path.read_text(encoding="utf-8"))
    del stored["score"]
    task.path.write_text(json.dumps(stored), encoding="utf-8")
    assert read_score(task.path) is None


def test_deep_scores_are_kept_patient_by_patient(tmp_path, tiny_config, monkeypatch):
    """A run that is stopped goes on with the next patient; a contour of another centre is scored anew."""
    given = iter([(0.5, 700.0), (0.25, 900.0), (float("nan"), 1.0), (0.75, 800.0)])
    monkeypatch.setattr(out_of_fold, "load_cached", lambda path: SimpleNamespace(image=np.zeros(1)))
    monkeypatch.setattr(out_of_fold, "trained_runner", lambda run: None)
    monkeypatch.setattr(out_of_fold, "deep_scores", lambda *arguments, **settings: next(given))
    runs = tuple(StageRun(tiny_config, tmp_path, 0, stage) for stage in (HPV, RFS))
    task = DeepScoreTask("P1", runs, tmp_path, np.array([1.0, 2.0, 3.0]), tmp_path / "P1.json")
    assert [deep_scores_of(task) for _ in range(2)] == [(0.5, 700.0)] * 2
    elsewhere = replace(task, centre_zyx_1mm=np.array([1.0, 2.0, 4.0]))
    assert [deep_scores_of(elsewhere) for _ in range(2)] == [(0.25, 900.0)] * 2
    assert np.isnan(deep_scores_of(task)[0])  # not kept: the next is made anew
    assert deep_scores_of(task) == (0.75, 800.0)
