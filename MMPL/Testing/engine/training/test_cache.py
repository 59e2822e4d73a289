"""Cached arrays: the same preparation as inference, what the ROI loses, and when a case is prepared again."""

from __future__ import annotations

import errno
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpl.case import RoiCase
from mmpl.errors import InputError, OutputError, TrainingError
from mmpl.geometry import Geometry, Volume
from mmpl.io.case import read_case
from mmpl.preprocess.network_grid import network_input
from mmpl.preprocess.prepare import prepare
from mmpl.training import cache as training_cache
from mmpl.training import cache_entry
from mmpl.training.cache import CachedCase, build_cache, cache_case, load_cached, lost_label_voxels
from mmpl.training.cache_entry import HIDDEN_FOR_S, read_description, remove_leftovers, sha256_of, write_entry
from mmpl.training.cohort import CohortCase

SPACING_MM = 10.0


@pytest.fixture(scope="module")
def on_disk(tiny_files):
    return CohortCase("TINY-1", tiny_files["ct"], tiny_files["pt"], tiny_files["mask"], "1")


@pytest.fixture(scope="module")
def entry(on_disk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cached")
    cache_case(on_disk, folder / "TINY-1", SPACING_MM)
    assert [p.name for p in folder.iterdir()] == ["TINY-1"]  # nothing partial stays
    return folder / "TINY-1"


@pytest.fixture(scope="module")
def cached(entry):
    return load_cached(entry)


def test_image_is_what_inference_sees(cached, tiny_files):
    roi = prepare(read_case("TINY-1", tiny_files["ct"], tiny_files["pt"]))
    expected = network_input(roi, SPACING_MM)
    assert cached.image.dtype == np.float16
    assert cached.image.shape == (2, 31, 20, 20)
    np.testing.assert_array_equal(cached.image, expected.astype(np.float16))


def test_labels_keep_their_volume(cached, tiny_patient):
    """The shares times the network voxel's volume are the contour's volume."""
    voxel_ml = tiny_patient.label_map.geometry.voxel_volume_ml
    for channel, value in enumerate((1, 2)):
        true_ml = np.count_nonzero(tiny_patient.label_map.array == value) * voxel_ml
        assert cached.label[channel].sum() / 255 * (SPACING_MM / 10) ** 3 == pytest.approx(true_ml, rel=0.03)
    assert cached.lost_voxels == 0


def test_arrays_stay_in_their_files(cached):
    for array in (cached.image, cached.label):
        assert isinstance(array.base, np.memmap)
        assert type(array) is np.ndarray
        assert not array.flags.writeable


def test_the_description_tells_files_apart(entry, on_disk):
    stored = json.loads((entry / "case.json").read_text(encoding="utf-8"))
    assert stored["format"] == cache_entry.FORMAT
    assert stored["spacing_mm"] == SPACING_MM
    assert set(stored["sources"]) == {"ct", "pt", "label"}
    stat = on_disk.ct_path.stat()
    assert stored["sources"]["ct"] == {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": sha256_of(on_disk.ct_path),
    }
    for name, state in stored["arrays"].items():
        assert state == {"size": (entry / name).stat().st_size, "sha256": sha256_of(entry / name)}


def test_lost_voxels_by_hand():
    ct = Geometry((10, 10, 10), (5, 5, 5), (0, 0, 0))
    roi_grid = Geometry((30, 30, 30), (1, 1, 1), (0, 0, 0))  # 0..29 mm: CT voxels 0..5
    pet = Volume(np.ones((1, 1, 1), np.float32), Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0)))
    empty = np.zeros(roi_grid.shape, np.float32)
    roi = RoiCase("c", empty, empty, roi_grid, (0, 0, 0), ct, pet, "SUVbw")
    labels = np.zeros(ct.shape, np.uint8)
    assert lost_label_voxels(Volume(labels, ct), roi) == 0
    labels[4, 4, 4:8] = 1  # x = 20, 25 inside; 30, 35 outside
    labels[9, 0, 0] = 2
    assert lost_label_voxels(Volume(labels, ct), roi) == 3


# --- when a case is prepared again --------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Two cases of a few bytes; preparing one gives its CT's first byte. The list grows with each preparation."""
    made = []

    def quick(case, spacing_mm):
        made.append(case.patient_id)
        value = case.ct_path.read_bytes()[0]
        label = None if case.label_path is None else np.ones((2, 2, 2, 2), np.uint8)
        return CachedCase(np.full((2, 2, 2, 2), value, np.float16), label, 5)

    monkeypatch.setattr(training_cache, "prepare_case", quick)
    cases = []
    for name in ("A", "B"):
        files = [tmp_path / "data" / f"{name}{kind}" for kind in ("ct", "pt", "label")]
        files[0].parent.mkdir(exist_ok=True)
        for file in files:
            file.write_bytes(b"\x01" + file.name.encode())
        cases.append(CohortCase(name, *files, "1"))
    return cases, made


@pytest.fixture
def built(sources, tmp_path):
    cases, made = sources
    folder = tmp_path / "cache"
    assert build_cache(cases, folder, SPACING_MM) == ["A", "B"]
    made.clear()
    return cases, made, folder


def test_cached_cases_are_not_prepared_again(sources, tmp_path):
    cases, made = sources
    told = []
    build_cache(cases, tmp_path / "cache", SPACING_MM, progress=lambda step, fraction: told.append((step, fraction)))
    assert told == [("preparing cases", share) for share in (0.0, 0.5, 1.0)]
    assert build_cache(cases, tmp_path / "cache", SPACING_MM) == []
    assert made == ["A", "B"]
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == ["A", "B"]
    assert load_cached(tmp_path / "cache" / "B").lost_voxels == 5


@pytest.mark.parametrize("role", ["ct_path", "pt_path", "label_path"])
def test_a_changed_file_is_prepared_again_and_no_other(built, role):
    cases, made, folder = built
    path = getattr(cases[1], role)
    path.write_bytes(b"\x07" + path.read_bytes()[1:])  # of the same length
    os.utime(path, ns=(0, 0))
    assert build_cache(cases, folder, SPACING_MM) == made == ["B"]
    assert load_cached(folder / "B").image[0, 0, 0, 0] == (7 if role == "ct_path" else 1)
    assert build_cache(cases, folder, SPACING_MM) == []


def test_files_of_the_same_size_and_time_are_trusted(built):
    cases, made, folder = built
    stat = cases[0].ct_path.stat()
    cases[0].ct_path.write_bytes(b"\x09" + cases[0].ct_path.read_bytes()[1:])
    os.utime(cases[0].ct_path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert build_cache(cases, folder, SPACING_MM) == made == []


def test_a_copied_file_is_read_once_and_then_trusted(built, monkeypatch):
    cases, made, folder = built
    os.utime(cases[0].ct_path, ns=(0, 10**9))
    assert build_cache(cases, folder, SPACING_MM) == made == []
    assert read_description(folder / "A").sources["ct"].mtime_ns == 10**9
    monkeypatch.setattr(training_cache, "source_state", lambda path: pytest.fail(f"{path} is read again"))
    assert build_cache(cases, folder, SPACING_MM) == []


def test_another_spacing_or_format_is_prepared_again(built, monkeypatch):
    cases, made, folder = built
    assert build_cache(cases[:1], folder, 4.0) == ["A"]
    assert read_description(folder / "A").spacing_mm == 4.0
    monkeypatch.setattr(training_cache, "FORMAT", cache_entry.FORMAT + 1)
    assert build_cache(cases[1:], folder, SPACING_MM) == ["B"]
    assert made == ["A", "B"]


def test_contours_that_came_or_went_are_noticed(built):
    cases, _, folder = built
    bare = replace(cases[0], label_path=None)
    assert build_cache([bare], folder, SPACING_MM) == ["A"]
    assert load_cached(folder / "A").label is None
    assert build_cache(cases[:1], folder, SPACING_MM) == ["A"]
    assert load_cached(folder / "A").label is not None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("image.npy", _truncate, "image.npy has 157 of 160 bytes"),
        ("label.npy", Path.unlink, "label.npy is missing"),
        ("case.json", _truncate, "case.json does not describe a case"),
        ("case.json", lambda p: p.write_text("[]", encoding="utf-8"), "case.json does not describe a case"),
        ("case.json", lambda p: p.write_bytes(b"\xff"), "case.json does not describe a case"),
        ("case.json", Path.unlink, "case.json cannot be read (No such file or directory)"),
    ],
)
def test_a_damaged_entry_is_said_and_made_again(built, caplog, name, damage, said):
    cases, made, folder = built
    damage(folder / "A" / name)
    with pytest.raises(TrainingError, match="give the same command again, which makes it anew"):
        load_cached(folder / "A")
    with caplog.at_level(logging.WARNING):
        assert build_cache(cases, folder, SPACING_MM) == made == ["A"]
    assert [r.getMessage() for r in caplog.records] == [f"cache {folder / 'A'}: {said}; it is made again"]
    np.testing.assert_array_equal(load_cached(folder / "A").image, 1)


def test_checksums_are_compared_when_asked_for(built, caplog):
    cases, made, folder = built
    path = folder / "A" / "image.npy"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert build_cache(cases, folder, SPACING_MM) == []
    assert build_cache(cases, folder, SPACING_MM, verify=True) == made == ["A"]
    assert path.read_bytes() == data
    assert "image.npy does not match its checksum; it is made again" in caplog.text


def test_a_file_in_the_place_of_an_entry_gives_way(sources, tmp_path):
    cases, _ = sources
    (tmp_path / "A").write_text("no folder", encoding="utf-8")
    assert build_cache(cases[:1], tmp_path, SPACING_MM) == ["A"]
    assert load_cached(tmp_path / "A").lost_voxels == 5


def test_a_case_that_cannot_be_prepared_leaves_nothing(on_disk, tmp_path):
    broken = replace(on_disk, ct_path=tmp_path / "none.nii.gz")
    broken.ct_path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        build_cache([broken], tmp_path / "cache", SPACING_MM)
    assert list((tmp_path / "cache").iterdir()) == []


# --- writing ------------------------------------------------------------------------------------------


def _entry(path: Path, value: float = 1.0) -> None:
    image = np.full((2, 3, 3, 3), value)
    write_entry(path, image, np.full(image.shape, value), spacing_mm=4.0, lost_voxels=int(value), sources={})


def test_a_full_disk_is_one_sentence_and_leaves_the_old_entry(tmp_path, monkeypatch):
    _entry(tmp_path / "A", 3)
    write = Path.write_bytes

    def full(path, data):
        if path.name == "label.npy":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError) as raised:
        _entry(tmp_path / "A", 4)
    assert str(raised.value) == (
        f"cache {tmp_path / 'A'} cannot be written: the disk is full; a case takes 0 MB, free some space and give the "
        "same command again"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["A"]
    np.testing.assert_array_equal(load_cached(tmp_path / "A").image, 3)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written \(Not a directory\): choose a folder"):
        _entry(tmp_path / "file" / "A")
    with pytest.raises(OutputError, match=r"cache cannot be written \(.*\): choose a folder"):
        build_cache([], tmp_path / "file" / "cache", SPACING_MM)


def test_two_processes_may_write_the_same_case(tmp_path):
    """Whichever comes last: the entry is one of theirs, and whole."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: _entry(tmp_path / "A", n % 4), range(40)))
    assert [p.name for p in tmp_path.iterdir()] == ["A"]
    case = load_cached(tmp_path / "A")
    assert set(np.unique(case.image)) == set(np.unique(case.label)) == {case.lost_voxels}


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    _entry(tmp_path / "A")
    for name in (".B.partial-0123abcd", ".A.old-0123abcd"):
        (tmp_path / name).mkdir()
    now_s = (tmp_path / ".B.partial-0123abcd").stat().st_mtime
    remove_leftovers(tmp_path, now_s + HIDDEN_FOR_S - 60)
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path, now_s + HIDDEN_FOR_S + 60)
    assert [p.name for p in tmp_path.iterdir()] == ["A"]
