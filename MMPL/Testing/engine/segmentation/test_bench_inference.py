"""bench/inference.py: what a resumed agreement runs, and what the table of costs says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[4] / "bench" / "inference.py"
NEW = {"ours, halo 16": 16, "ours, halo 0": 0}  # rows that earlier versions' files lack


@pytest.fixture(scope="module")
def inference():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("bench_inference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


@pytest.fixture
def agreement(inference, tiny_patient, monkeypatch):
    """The tiny patient in place of phantoms, and members that draw the same cube under every plan; ``ran`` is noted."""
    module = sys.modules["inference_agreement"]
    ran = []

    def cube(roi) -> np.ndarray:
        labels = np.zeros(roi.geometry.shape, np.uint8)
        labels[100:110, 90:100, 90:100] = 1
        return labels

    def noted(roi, array, members, plan, *, thresholds, account):
        ran.append(plan.settings.halo)
        account.voxels = 7
        return cube(roi)

    patient = SimpleNamespace(
        patient_id="TINY-1", ct=tiny_patient.ct, pet=tiny_patient.pet, label_map=tiny_patient.label_map
    )
    monkeypatch.setattr(module, "generate_patient", lambda seed, index: patient)
    monkeypatch.setattr(module, "segment_on_roi", noted)
    monkeypatch.setattr(module, "paper_moved", lambda prepared, ensemble: (cube(prepared.roi), 8))
    return SimpleNamespace(module=module, ran=ran)


def test_a_resumed_agreement_runs_the_plans_that_are_missing(agreement, tiny_bundle_path, tmp_path):
    path, module = tmp_path / "0000.json", agreement.module
    task = (0, str(tiny_bundle_path), "pytorch", path)
    assert not module.is_complete(path)
    module.score(task)
    assert module.is_complete(path)
    assert len(agreement.ran) == len(module.NAMES) - 1  # the moved windows go another way
    whole = json.loads(path.read_text(encoding="utf-8"))

    older = json.loads(path.read_text(encoding="utf-8"))
    older["voxels"]["ours"] = 99  # as an earlier version measured it
    for rows in (older["voxels"], *older["classes"].values()):
        for name in NEW:
            del rows[name]
    path.write_text(json.dumps(older), encoding="utf-8")
    assert not module.is_complete(path)
    agreement.ran.clear()
    module.score(task)
    assert sorted(agreement.ran) == [*sorted(NEW.values()), 32, 32]  # and the two that all are compared with
    whole["voxels"]["ours"] = 99
    assert json.loads(path.read_text(encoding="utf-8")) == whole
    assert set(module.summarise([path])["voxels_of_paper"]) == set(module.NAMES)


def test_what_was_predicted_stands_beside_what_was_measured(inference):
    row = {"wall_s": 2.0, "cpu_s": 4.0, "peak_gb": 3.0}
    ours = {
        **row,
        "backend": "b",
        "regions": [],
        "boxes": [],
        "preview_s": 1.0,
        "predicted_s": 1.5,
        "predicted_gb": 2.5,
    }
    table = {name: ours if name.startswith("ours") else row for name in inference.JOBS}
    text = inference._cost_text(table)
    assert (
        "ours, ten members: predicted 1.5 s, measured 2.0 s; a pass predicted 2.50 GB, the process measured 3.00 GB"
        in text
    )


def test_the_members_of_the_whole_case_draw_what_is_hot(inference, mmpl, tiny_files, tmp_path, read_mask, results_of):
    """Else later members, radiomics and outcome models would have nothing to do, and the case would cost too little."""
    whole, narrow = sys.modules["inference_whole"], sys.modules["inference_card_case"].NARROW
    bundle = whole.make_bundle(tmp_path / "bundle", narrow, 3)
    out = tmp_path / "out"
    images = ("--ct", tiny_files["ct"], "--pt", tiny_files["pt"])
    ran = mmpl("predict", *images, "--bundle", bundle.path, "--site", "oropharynx", "--out", out)
    assert ran.code == 0, ran.err
    assert set(np.unique(read_mask(out).array)) == {0, 1}
    features = (out / "features.csv").read_text(encoding="utf-8").splitlines()
    assert sum(not line.endswith(",") for line in features) > 2000  # the whole feature set of one class
    row = {"wall_s": 2.0, "cpu_s": 4.0, "peak_gb": 3.0, "timings_s": results_of(out)["timings_s"], "warnings": ["w"]}
    text = inference._whole_text({"every further case": row})
    assert "every further case: 2.0 s, 4.0 CPU s, 3.00 GB (" in text
    assert "segmentation" in text


def test_one_part_is_measured_alone(inference, monkeypatch, tmp_path, capsys):
    """Only what is asked for: the costs take forty minutes, and agreement is of a bundle of its own."""
    ran = []
    monkeypatch.setattr(inference.cost, "make_case", lambda folder: ran.append("case"))
    monkeypatch.setattr(inference, "_agreement", lambda arguments: pytest.fail("agreement was not asked for"))
    row = {"wall_s": 2.0, "cpu_s": 4.0, "peak_gb": 3.0}
    monkeypatch.setattr(inference.cost, "job", lambda name, folder: ran.append(name) or row)
    monkeypatch.setattr(
        sys, "argv", ["inference.py", "--run", str(tmp_path), "--parts", "growth", "--json", str(tmp_path / "t.json")]
    )
    assert inference.main() == 0
    assert ran[0] == "case"
    assert "plain" not in ran
    assert set(json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))) == {"machine", "growth"}
    assert "Cost of one" not in capsys.readouterr().out
