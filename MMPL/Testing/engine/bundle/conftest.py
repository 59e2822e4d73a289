"""A small bundle, and ways to spoil it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

from mmpl.bundle.info import BundleInfo, MemberInfo
from mmpl.bundle.parts import Thresholds
from mmpl.bundle.reader import canonical_json
from mmpl.bundle.writer import write_bundle


@pytest.fixture
def an_info():
    roles = {role: f"m0/{role}.safetensors" for role in ("segmentation", "hpv", "rfs")}
    return BundleInfo(
        name="test-bundle",
        version="1.2.0",
        created="2025-01-31",
        description="A bundle for tests.",
        training_data="Twelve phantoms.",
        phantom=True,
        folds=2,
        intended_use="Tests only.",
        limitations=("It knows nothing.",),
        licence="Apache-2.0",
        network={"width": 4},
        preprocessing={"spacing_mm": 1.0},
        radiomics={"classes": ["firstorder"]},
        clinical=("Age", "Gender"),
        thresholds=Thresholds(GTVp=0.5, GTVn=0.4, hpv=0.6),
        risk_tertiles=(-0.25, 0.5),
        time_zero="end of radiotherapy",
        rfs_last_day=1800,
        members=(MemberInfo("m0", {**roles, "forest": "m0/forest.npz", "clinical": "m0/clinical.json"}),),
        scores={"dice": {"GTVp": 0.75}, "c_index": 0.625},
    )


@pytest.fixture
def a_payload():
    return {
        "m0/segmentation.safetensors": {"w": torch.arange(6, dtype=torch.float16).reshape(2, 3)},
        "m0/hpv.safetensors": {"w": torch.ones(2)},
        "m0/rfs.safetensors": {"w": torch.zeros(3), "b": torch.full((2,), 0.5)},
        "m0/forest.npz": {"value": np.array([0.25, 0.75]), "feature": np.array([3, -1], np.int32)},
        "m0/clinical.json": {"Age": {"median": 61}},
        "README.txt": "a note",
    }


@pytest.fixture
def a_bundle_folder(tmp_path, an_info, a_payload):
    write_bundle(tmp_path / "bundle", an_info, a_payload)
    return tmp_path / "bundle"


@pytest.fixture
def rewrite(a_bundle_folder):
    """Changes bundle.json by a function of its content."""

    def change(edit):
        raw = json.loads((a_bundle_folder / "bundle.json").read_text(encoding="utf-8"))
        edit(raw)
        (a_bundle_folder / "bundle.json").write_bytes(canonical_json(raw))

    return change


@pytest.fixture
def plant(a_bundle_folder, rewrite):
    """Adds or replaces a file and lists it with its right checksum, as an attacker would."""

    def add(rel, data):
        place = a_bundle_folder / rel
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        rewrite(lambda raw: raw["files"].update({rel: hashlib.sha256(data).hexdigest()}))

    return add
