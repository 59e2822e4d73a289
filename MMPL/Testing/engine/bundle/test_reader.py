from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest
import torch

from mmpl.bundle import safety, store
from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.errors import BundleError


class Bomb:
    """Runs code when unpickled."""

    armed = True

    def __reduce__(self):
        return (exec, ("from pathlib import Path; Path('pwned').touch()",))


@pytest.fixture(autouse=True)
def no_code_ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "pwned").exists()


def refusal(path):
    with pytest.raises(BundleError) as caught:
        open_bundle(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def zipped(folder, path, prefix="", extra=()):
    """Zip of a folder, plus (name or ZipInfo, bytes) entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
        for name, data in extra:
            archive.writestr(name, data)
    return path


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


# -- good bundles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "zip", "zip with a folder in it"])
def test_content_comes_back(a_bundle_folder, tmp_path, an_info, form):
    path = a_bundle_folder
    if form != "folder":
        path = zipped(a_bundle_folder, tmp_path / "b.zip", "" if form == "zip" else "bundle/")
    bundle = open_bundle(path)
    assert bundle.info == an_info
    assert bundle.json("m0/clinical.json") == {"Age": {"median": 61}}
    assert bundle.text("README.txt") == "a note"
    arrays = bundle.arrays("m0/forest.npz")
    np.testing.assert_array_equal(arrays["value"], [0.25, 0.75])
    assert arrays["feature"].dtype == np.int32
    tensors = bundle.tensors("m0/segmentation.safetensors")
    assert torch.equal(tensors["w"], torch.tensor([[0, 1, 2], [3, 4, 5]], dtype=torch.float16))


def test_sha256_is_that_of_bundle_json(a_bundle_folder, tmp_path):
    expected = hashlib.sha256((a_bundle_folder / "bundle.json").read_bytes()).hexdigest()
    assert open_bundle(a_bundle_folder).sha256 == expected
    assert open_bundle(zipped(a_bundle_folder, tmp_path / "b.zip")).sha256 == expected


def test_sha256_does_not_depend_on_layout_of_the_json(a_bundle_folder):
    before = open_bundle(a_bundle_folder).sha256
    file = a_bundle_folder / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")), indent=4))
    assert open_bundle(a_bundle_folder).sha256 == before


def test_file_that_is_not_there_is_named(a_bundle_folder):
    with pytest.raises(BundleError, match=r"no file m0/none\.json"):
        open_bundle(a_bundle_folder).json("m0/none.json")


def test_file_changed_after_opening_is_noticed(a_bundle_folder):
    bundle = open_bundle(a_bundle_folder)
    (a_bundle_folder / "m0/clinical.json").write_text("{}")
    with pytest.raises(BundleError, match="checksum"):
        bundle.json("m0/clinical.json")


# -- incomplete or altered -----------------------------------------------------------------------------


def test_nothing_there(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none")


def test_folder_without_bundle_json(tmp_path):
    (tmp_path / "b").mkdir()
    assert "no bundle.json" in refusal(tmp_path / "b")


def test_neither_folder_nor_zip(tmp_path):
    (tmp_path / "b.zip").write_text("x")
    assert "neither a folder nor a zip" in refusal(tmp_path / "b.zip")


def test_wrong_checksum(a_bundle_folder):
    file = a_bundle_folder / "m0/forest.npz"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert "m0/forest.npz does not match its checksum" in refusal(a_bundle_folder)


def test_missing_file(a_bundle_folder):
    (a_bundle_folder / "m0/hpv.safetensors").unlink()
    assert "lacks m0/hpv.safetensors" in refusal(a_bundle_folder)


def test_extra_file(a_bundle_folder):
    (a_bundle_folder / "more.json").write_text("{}")
    assert "holds more.json, which its bundle.json does not list" in refusal(a_bundle_folder)


@pytest.mark.parametrize("text", ["{", "", '{"name": NaN}', "[" * 100_000])
def test_bundle_json_is_no_json(a_bundle_folder, text):
    (a_bundle_folder / "bundle.json").write_text(text)
    assert "not valid JSON" in refusal(a_bundle_folder)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda raw: raw.pop("thresholds"), "'thresholds' is a required property"),
        (lambda raw: raw.update(surprise=1), "'surprise' was unexpected"),
        (lambda raw: raw["thresholds"].update(hpv=1.5), "thresholds/hpv"),
        (lambda raw: raw.update(phantom="no"), "schema at phantom"),
        (lambda raw: raw.update(members=[]), "schema at members"),
        (lambda raw: raw["members"][0]["files"].pop("rfs"), "'rfs' is a required property"),
        (lambda raw: raw.update(risk_tertiles=[1, 0]), "must ascend"),
        (lambda raw: raw.update(risk_tertiles=[1]), "schema at risk_tertiles"),
        (lambda raw: raw.update(members=raw["members"] * 2), "share a name"),
        (lambda raw: raw["members"][0]["files"].update(forest="m1/x.npz"), "names m1/x.npz as its forest"),
        (lambda raw: raw.update(format_version="9.0"), "format version '9.0', this MMPL reads '1.0'"),
        (lambda raw: raw["files"].update({"README.txt": "abc"}), "schema at files/README.txt"),
    ],
)
def test_schema_is_kept(a_bundle_folder, rewrite, edit, says):
    rewrite(edit)
    assert says in refusal(a_bundle_folder)


# -- unsafe --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_zip", [False, True])
def test_what_file_managers_leave_is_passed_over(a_bundle_folder, as_zip, tmp_path):
    sha256 = open_bundle(a_bundle_folder).sha256
    for name in (".DS_Store", "m0/Thumbs.db", "m0/desktop.ini", "._bundle.json"):
        (a_bundle_folder / name).write_bytes(b"\0\0\0\1Bud1")
    where = a_bundle_folder
    if as_zip:
        where = tmp_path / "bundle.zip"
        with zipfile.ZipFile(where, "w") as archive:
            for file in (p for p in sorted(a_bundle_folder.rglob("*")) if p.is_file()):
                archive.write(file, f"model/{file.relative_to(a_bundle_folder).as_posix()}")
            archive.writestr("__MACOSX/model/._bundle.json", b"\0\5\x16\7")
    assert open_bundle(where).sha256 == sha256


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "pt", "pth", "joblib", "bin", "npy", "py", "so", "dll", "zip"])
def test_kind_of_file_that_may_run_code(a_bundle_folder, plant, suffix):
    plant(f"m0/model.{suffix}", pickle.dumps(Bomb()))
    assert f"'m0/model.{suffix}', a kind of file that is not allowed" in refusal(a_bundle_folder)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["m0/clinical.json", "README.txt"])
def test_pickle_under_another_name(a_bundle_folder, plant, name, protocol):
    plant(name, pickle.dumps(Bomb(), protocol=protocol))
    assert f"{name} is a pickle" in refusal(a_bundle_folder)


def test_torch_archive_under_another_name(a_bundle_folder, plant):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer)
    plant("README.txt", buffer.getvalue())
    assert "README.txt is a pickle or an archive" in refusal(a_bundle_folder)


@pytest.mark.parametrize("content", [pickle.dumps(Bomb()), b"", b"\x00" * 100, b"\xff" * 100])
def test_safetensors_that_is_none(a_bundle_folder, plant, content):
    plant("m0/rfs.safetensors", content)
    assert "m0/rfs.safetensors is not a safetensors file" in refusal(a_bundle_folder)


@pytest.mark.parametrize(
    "array",
    [
        np.array([Bomb()], dtype=object),
        np.array([(1, Bomb())], dtype=[("a", "i4"), ("b", "O")]),
    ],
)
def test_npz_with_python_objects(a_bundle_folder, plant, array):
    plant("m0/forest.npz", npz_bytes(fine=np.ones(3), bad=array))
    text = refusal(a_bundle_folder)
    assert "m0/forest.npz (bad.npy) holds Python objects" in text


def test_npz_with_a_pickle_in_it(a_bundle_folder, plant, tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb()))
    plant("m0/forest.npz", (tmp_path / "x").read_bytes())
    assert "m0/forest.npz (data.pkl) is not a numpy array" in refusal(a_bundle_folder)


def test_npz_of_a_size_that_no_array_has(a_bundle_folder, plant, tmp_path):
    """Nothing at all, times more than a size can be."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {10**30}), }}".encode()
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("a.npy", npy)
    plant("m0/forest.npz", (tmp_path / "x").read_bytes())
    with pytest.raises(BundleError, match=r"m0/forest\.npz"):
        open_bundle(a_bundle_folder).arrays("m0/forest.npz")


def test_npz_that_promises_too_much(a_bundle_folder, plant, tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("a.npy", npy)
    plant("m0/forest.npz", (tmp_path / "x").read_bytes())
    assert "promises more data" in refusal(a_bundle_folder)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (b"\x93NUMPY", "is not a numpy array"),
        (b"\x93NUMPY\x01\x00", "is not a numpy array"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': ()}    ", "has a damaged header"),
        (b"\x93NUMPY\x01\x00\x20\x00{'descr': (), 'shape': (1,)}      ", "has a damaged header"),
        (b"\x93NUMPY\x01\x00\x20\x00{'descr': [], 'shape': 'abc'}     ", "has a damaged header"),
    ],
)
def test_npz_whose_array_has_no_header_that_can_be(entry, says):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", entry)
    with pytest.raises(BundleError, match=says):
        safety.check_content("a.npz", buffer.getvalue(), "b")


def test_npz_that_is_none(a_bundle_folder, plant):
    plant("m0/forest.npz", pickle.dumps(Bomb()))
    assert "m0/forest.npz is not an npz file" in refusal(a_bundle_folder)


def test_npz_that_unpacks_to_too_much(a_bundle_folder, monkeypatch):
    monkeypatch.setattr(safety, "SIZE_LIMIT_BYTES", 100)
    assert "m0/forest.npz unpacks to more than" in refusal(a_bundle_folder)


OUTSIDE = [
    "../x.json",
    "m0/../../x.json",
    "/etc/x.json",
    "C:/x.json",
    "C:x.json",
    "m0\\..\\x.json",
    "//host/x.json",
]


@pytest.mark.parametrize("rel", OUTSIDE)
def test_listed_path_that_leaves_the_bundle(a_bundle_folder, rewrite, tmp_path, rel):
    data = b"{}"
    (tmp_path / "x.json").write_bytes(data)
    rewrite(lambda raw: raw["files"].update({rel: hashlib.sha256(data).hexdigest()}))
    assert "a path that leaves it" in refusal(a_bundle_folder)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_link(a_bundle_folder, tmp_path, target):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text("{}")
    os.symlink(outside if target == "folder" else outside / "x.json", a_bundle_folder / "link.json")
    assert "holds the link 'link.json'" in refusal(a_bundle_folder)


@pytest.mark.parametrize("rel", OUTSIDE)
def test_zip_entry_that_leaves_the_bundle(a_bundle_folder, tmp_path, rel):
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[(rel, b"{}")])
    before = sorted(tmp_path.rglob("*"))
    assert "a path that leaves it" in refusal(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_zip_with_a_link(a_bundle_folder, tmp_path):
    entry = zipfile.ZipInfo("link.json")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[(entry, "/etc/passwd")])
    assert "holds the link 'link.json'" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_two_files_of_one_name(a_bundle_folder, tmp_path):
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[("README.txt", b"other")])
    assert "two files of one name" in refusal(path)


def test_zip_with_an_extra_file(a_bundle_folder, tmp_path):
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[("more.json", b"{}")])
    assert "holds more.json" in refusal(path)


def test_zip_bomb(a_bundle_folder, tmp_path, monkeypatch):
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[("zeros.txt", bytes(1 << 20))])
    monkeypatch.setattr(store, "SIZE_LIMIT_BYTES", 1 << 20)
    assert path.stat().st_size < 1 << 19
    assert "unpacks to" in refusal(path)


def test_zip_that_lies_about_a_size(a_bundle_folder, tmp_path):
    """The directory's size of a 1 MiB entry set to 10 bytes: no more than that is ever inflated."""
    path = zipped(a_bundle_folder, tmp_path / "b.zip", extra=[("zeros.txt", bytes(1 << 20))])
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"zeros.txt"))
    path.write_bytes(data[: at + 24] + (10).to_bytes(4, "little") + data[at + 28 :])
    refusal(path)


def test_zip_in_an_uncommon_compression(a_bundle_folder, tmp_path):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.write(a_bundle_folder / "bundle.json", "bundle.json")
    assert "uncommon compression" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "value", "name"),
    [
        (6, 70, b"bundle.json"),  # needs version 7.0 of zip
        (8, 0x800, b"bundl\xff.json"),  # says that the name is UTF-8
    ],
)
def test_zip_of_a_kind_that_cannot_be_read(tmp_path, offset, value, name):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", "{}")
    data = bytearray(path.read_bytes().replace(b"bundle.json", name))
    at = data.index(b"PK\x01\x02") + offset
    data[at : at + 2] = value.to_bytes(2, "little")
    path.write_bytes(data)
    assert "is a zip that cannot be read (" in refusal(path)


def test_zip_whose_file_has_another_name_than_the_list_says(a_bundle_folder, tmp_path):
    """The name before the data says that it is UTF-8 and is none."""
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b\xfc.json", "{}")
        archive.write(a_bundle_folder / "bundle.json", "bundle.json")
    data = path.read_bytes()
    path.write_bytes(data.replace("b\xfc.json".encode(), b"b\xff\xff.json", 1))
    with pytest.raises(BundleError, match="is damaged in the zip"):
        store.ZipStore(path).read("b\xfc.json")


@pytest.mark.parametrize("byte", range(0, 40, 3))
def test_damaged_zip(a_bundle_folder, tmp_path, byte):
    """One byte of the compressed bundle.json, which follows a 30-byte header and the name."""
    path = zipped(a_bundle_folder, tmp_path / "b.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("bundle.json").header_offset + 30 + len("bundle.json")
    data = bytearray(path.read_bytes())
    data[start + byte] ^= 0xFF
    path.write_bytes(data)
    assert "bundle.json is damaged in the zip" in refusal(path)


# -- the demo bundle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["Resources/Bundles/mmpl-demo", "Logic/mmpl/resources/mmpl-demo"])
def test_demo_bundle_is_found(tmp_path, monkeypatch, place):
    module = tmp_path / "Logic" / "mmpl" / "bundle" / "store.py"
    monkeypatch.setattr(store, "__file__", str(module))
    with pytest.raises(BundleError, match="pass --bundle"):
        default_bundle_path()
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "bundle.json").write_text("{}")
    assert default_bundle_path() == tmp_path / place
