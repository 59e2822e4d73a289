from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpl.bundle import writer
from mmpl.bundle.card import model_card
from mmpl.bundle.reader import open_bundle
from mmpl.bundle.writer import write_bundle, zip_bundle
from mmpl.errors import BundleError, OutputError


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_content_gives_same_bytes(tmp_path, an_info, a_payload):
    first = write_bundle(tmp_path / "a", an_info, a_payload)
    second = write_bundle(tmp_path / "b", an_info, dict(reversed(a_payload.items())))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert first.sha256 == second.sha256


def test_other_content_gives_another_sha256(tmp_path, an_info, a_payload):
    first = write_bundle(tmp_path / "a", an_info, a_payload)
    a_payload["m0/hpv.safetensors"] = {"w": torch.ones(2) * 2}
    assert write_bundle(tmp_path / "b", an_info, a_payload).sha256 != first.sha256


def test_numpy_values_in_info_are_written_as_numbers(tmp_path, an_info, a_payload):
    info = dataclasses.replace(an_info, risk_tertiles=(np.float32(-0.5), np.float64(0.25)), folds=np.int64(3))
    read = write_bundle(tmp_path / "a", info, a_payload).info
    assert (read.risk_tertiles, read.folds) == ((-0.5, 0.25), 3)


def test_zip_holds_the_same_bundle(tmp_path, an_info, a_payload):
    bundle = write_bundle(tmp_path / "a", an_info, a_payload)
    zip_bundle(bundle, tmp_path / "a.zip")
    zip_bundle(bundle, tmp_path / "b.zip")
    packed = open_bundle(tmp_path / "a.zip")
    assert packed.sha256 == bundle.sha256
    assert packed.info == bundle.info
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_older_bundle_is_replaced_as_a_whole(tmp_path, an_info, a_payload):
    write_bundle(tmp_path / "a", an_info, a_payload)
    del a_payload["README.txt"]
    write_bundle(tmp_path / "a", an_info, a_payload)
    assert "README.txt" not in content(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_other_folder_is_not_overwritten(tmp_path, an_info, a_payload):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="not a bundle"):
        write_bundle(tmp_path, an_info, a_payload)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("owner", ["write_bytes", "rename"])
def test_full_disk_keeps_the_older_bundle(tmp_path, monkeypatch, an_info, a_payload, owner):
    before = write_bundle(tmp_path / "a", an_info, a_payload)
    real = os.rename
    moves = iter([real, None, real, real])  # the second move, of the new folder into place, fails

    def full(*args):
        move = next(moves) if owner == "rename" else None
        if move is not None:
            return move(*args)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer.os if owner == "rename" else Path, owner, full)
    a_payload["README.txt"] = "another"
    with pytest.raises(OutputError, match="No space left"):
        write_bundle(tmp_path / "a", an_info, a_payload)
    monkeypatch.undo()
    assert open_bundle(tmp_path / "a").sha256 == before.sha256
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("rel", "value", "says"),
    [
        ("m0/model.pkl", b"x", "not allowed"),
        ("../x.json", {}, "leaves it"),
        ("m0/x.npz", {"a": np.array([None])}, "Python objects"),
        ("m0/x.safetensors", b"x", "not a safetensors file"),
        ("MODEL_CARD.md", "mine", "leave them out"),
    ],
)
def test_what_could_not_be_opened_is_not_written(tmp_path, an_info, a_payload, rel, value, says):
    with pytest.raises(BundleError, match=says):
        write_bundle(tmp_path / "a", an_info, {**a_payload, rel: value})
    assert list(tmp_path.iterdir()) == []


def test_member_without_its_file(tmp_path, an_info, a_payload):
    del a_payload["m0/forest.npz"]
    with pytest.raises(BundleError, match=r"names m0/forest\.npz as its forest"):
        write_bundle(tmp_path / "a", an_info, a_payload)


def test_bundle_json_lists_every_file(a_bundle_folder):
    raw = json.loads((a_bundle_folder / "bundle.json").read_text(encoding="utf-8"))
    assert set(raw["files"]) == set(content(a_bundle_folder)) - {"bundle.json"}


def test_model_card_says_what_matters(a_bundle_folder):
    card = open_bundle(a_bundle_folder).text("MODEL_CARD.md")
    for expected in (
        "# test-bundle 1.2.0",
        "research use only",
        "Trained on synthetic phantoms",
        "Twelve phantoms.",
        "Tests only.",
        "It knows nothing.",
        "Apache-2.0",
        "1 members over 2 folds of the patients",
        "GTVp 0.5, GTVn 0.4, HPV 0.6",
        "low up to -0.25, high above 0.5",
        "end of radiotherapy",
        "day 1800",
        "sibling folds",
        "HPV probability, of forests trained on classes made equal: a score on the scale of equally many",
        "| dice.GTVp | 0.75 |",
        "| c_index | 0.625 |",
    ):
        assert expected in card


def test_model_card_counts_folds_by_split(an_info):
    members = an_info.members * 4  # of two folds
    card = model_card(dataclasses.replace(an_info, members=members))
    assert "4 members, 2 folds of each of 2 splits of the patients (" in card
    uneven = model_card(dataclasses.replace(an_info, members=an_info.members * 5))  # folds by hand, 3 and 2
    assert "; 5 members (" in uneven


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["centre"], "2 members over 2 centre-out folds ("),
        (["patient"], "2 members over 2 patient folds ("),
        (["centre", "patient"], "4 members over 2 patient folds and 2 centre-out folds ("),
    ],
)
def test_model_card_says_what_kind_of_folds(an_info, splits, said):
    scores = {"out_of_fold": {name: {"auc": 0.5} for name in splits}}
    card = model_card(dataclasses.replace(an_info, members=an_info.members * 2 * len(splits), scores=scores))
    assert said in card


def test_phantom_warning_is_for_phantoms_only(an_info):
    real = model_card(dataclasses.replace(an_info, phantom=False))
    assert "synthetic" not in real.lower()
