"""Converted networks on disk: made once, made again when anything about them is off."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mmpl.network.backends import conversion_cache, openvino_cpu
from mmpl.network.backends.base import StoredNetwork
from mmpl.network.backends.choose import BackendChoice, backends
from mmpl.network.backends.conversion_cache import ConversionCache, cache_folder
from mmpl.network.config import NetworkConfig


class Converter:
    """Writes two small files; counts."""

    def __init__(self):
        self.calls = 0

    def __call__(self, network, path):
        self.calls += 1
        path.write_bytes(b"graph of " + network.what.encode())
        path.with_suffix(".bin").write_bytes(b"weights" * 100)


@pytest.fixture
def convert():
    return Converter()


def network(sha="a", outputs=None):
    return StoredNetwork(NetworkConfig.demo(), outputs, dict, sha * 64, "net")


def test_it_is_converted_once(tmp_path, convert):
    first = ConversionCache(tmp_path / "cache").path(network(), "1", convert)
    assert first.read_bytes() == b"graph of net"
    assert first.with_suffix(".bin").read_bytes() == b"weights" * 100
    assert ConversionCache(tmp_path / "cache").path(network(), "1", convert) == first
    assert convert.calls == 1
    assert sorted(p.suffix for p in first.parent.iterdir()) == [".bin", ".json", ".xml"]


def test_other_weights_heads_and_versions_have_files_of_their_own(tmp_path, convert):
    cache = ConversionCache(tmp_path)
    paths = {
        cache.path(network(), "1", convert),
        cache.path(network("b"), "1", convert),
        cache.path(network(outputs=1), "1", convert),
        cache.path(network(), "2", convert),
    }
    assert len(paths) == convert.calls == 4


@pytest.mark.parametrize("suffix", [".xml", ".bin", ".json"])
@pytest.mark.parametrize("harm", ["altered", "cut", "missing"])
def test_what_is_not_as_it_was_written_is_converted_again(suffix, harm, tmp_path, convert):
    path = ConversionCache(tmp_path).path(network(), "1", convert)
    victim, whole = path.with_suffix(suffix), path.with_suffix(suffix).read_bytes()
    if harm == "missing":
        victim.unlink()
    else:
        victim.write_bytes(whole[:-3] if harm == "cut" else whole[:-3] + b"???")
    again = ConversionCache(tmp_path).path(network(), "1", convert)
    assert convert.calls == 2
    assert again.with_suffix(suffix).read_bytes() == whole


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_files_that_vanish_while_a_process_runs_are_made_again(suffix, tmp_path, convert):
    cache = ConversionCache(tmp_path)
    cache.path(network(), "1", convert).with_suffix(suffix).unlink()
    path = cache.path(network(), "1", convert)
    assert path.with_suffix(suffix).is_file()
    assert convert.calls == 2


def test_what_killed_processes_left_is_swept_and_what_others_make_now_is_not(tmp_path, convert):
    old, new = tmp_path / "converting-old", tmp_path / "converting-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "half.bin").write_bytes(b"half")
    hours_ago = time.time() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    ConversionCache(tmp_path).path(network(), "1", convert)
    assert not old.exists()
    assert new.exists()


def test_a_conversion_that_fails_leaves_nothing(tmp_path, convert):
    def fail(network, path):
        path.write_bytes(b"half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        ConversionCache(tmp_path).path(network(), "1", fail)
    assert list(tmp_path.iterdir()) == []
    ConversionCache(tmp_path).path(network(), "1", convert)


def test_of_two_processes_that_convert_at_once_the_faster_ones_files_stay(tmp_path, convert):
    def overtaken(network, path):
        ConversionCache(tmp_path).path(network, "1", convert)
        path.write_bytes(b"the slower one's graph")
        path.with_suffix(".bin").write_bytes(b"weights" * 100)

    path = ConversionCache(tmp_path).path(network(), "1", overtaken)
    assert path.read_bytes() == b"graph of net"
    assert ConversionCache(tmp_path).path(network(), "1", convert) == path
    assert convert.calls == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_files_that_another_process_has_open_are_used_if_they_are_whole(tmp_path, convert, monkeypatch):
    """Windows does not replace an open file; here the other process finishes between our check and our move."""
    replace = os.replace

    def refuse(source, target):
        monkeypatch.setattr(os, "replace", replace)
        ConversionCache(tmp_path).path(network(), "1", convert)
        raise PermissionError(13, "in use", str(target))

    monkeypatch.setattr(os, "replace", refuse)
    path = ConversionCache(tmp_path).path(network(), "1", convert)
    assert path.read_bytes() == b"graph of net"
    assert convert.calls == 2


def test_where_nothing_can_be_written_a_temporary_folder_is_used(tmp_path, convert):
    (tmp_path / "cache").write_text("a file stands in the way", encoding="utf-8")
    cache = ConversionCache(tmp_path / "cache")
    path = cache.path(network(), "1", convert)
    assert path.is_file()
    assert tmp_path not in path.parents
    assert cache.path(network(), "1", convert) == path
    assert convert.calls == 1


def test_what_lies_intact_in_a_folder_that_is_only_read_is_used(tmp_path, convert):
    given, own = tmp_path / "given", tmp_path / "own"
    expected = ConversionCache(given).path(network(), "1", convert)
    assert ConversionCache(own, given).path(network(), "1", convert) == expected
    assert not own.exists()
    before = sorted(given.iterdir())
    assert ConversionCache(own, given).path(network("b"), "1", convert).parent == own
    expected.with_suffix(".bin").write_bytes(b"damaged")
    assert ConversionCache(own, given).path(network(), "1", convert).parent == own
    assert convert.calls == 3
    assert sorted(given.iterdir()) == before


def test_a_bundle_in_a_folder_that_cannot_be_written_brings_its_conversions(tmp_path, convert, monkeypatch):
    bundle, home = tmp_path / "bundle", tmp_path / "home"
    expected = ConversionCache(cache_folder(bundle)).path(network(), "1", convert)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setattr(conversion_cache, "_can_write", lambda folder: home in folder.parents)
    monkeypatch.setattr(openvino_cpu, "installed", lambda: True)
    monkeypatch.setattr(openvino_cpu, "available_precisions", lambda: ("fp32",))
    first = backends(BackendChoice(backend="openvino"), NetworkConfig.demo(), bundle)[0][0]
    assert first.cache.path(network(), "1", convert) == expected
    assert home in first.cache.path(network("b"), "1", convert).parents


def test_the_cache_lies_beside_the_bundle(tmp_path):
    bundle = tmp_path / "my bundle.zip"
    bundle.write_bytes(b"")
    assert cache_folder(bundle) == tmp_path / "my bundle.zip.openvino"


def test_or_in_the_users_cache_where_that_cannot_be_written(tmp_path, monkeypatch):
    bundle, home = tmp_path / "bundle", tmp_path / "home"
    (tmp_path / "bundle.openvino").write_text("a file stands in the way", encoding="utf-8")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(home))
    found = cache_folder(bundle)
    assert home in found.parents
    assert found.parent.name == "mmpl"
    assert found.name.startswith("bundle.openvino-")
    assert os.fspath(Path(found)) != os.fspath(cache_folder(tmp_path / "other" / "bundle"))
