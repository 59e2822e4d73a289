"""What a bundle says of the cohort that it was trained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mmpl.training import provenance
from mmpl.training.cohort import CohortCase
from mmpl.training.folds import Split


@pytest.mark.parametrize(
    ("centers", "said"),
    [
        (["A", "B", "A"], "3 patients of 2 centres."),
        (["A", "A", "A"], "3 patients of 1 centre."),
        (["A", "", "B"], "3 patients of 2 centres (1 of an unknown one)."),
        (["", "", ""], "3 patients of unknown centres."),
    ],
)
def test_an_unknown_centre_is_none(tiny_config, tmp_path, monkeypatch, centers, said):
    monkeypatch.setattr(provenance, "load_cached", lambda path: SimpleNamespace(lost_voxels=0))
    cases = [CohortCase(f"P{n}", Path("ct"), Path("pt"), None, center) for n, center in enumerate(centers)]
    split = Split("patient", {"P0": 0, "P1": 1, "P2": 0})
    found = provenance.provenance_of(tmp_path, cases, tmp_path, tiny_config, [split], "2026-01-02")
    assert found.training_data.startswith(said)
