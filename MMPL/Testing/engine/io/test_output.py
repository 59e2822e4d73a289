from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from mmpl.errors import InputError, OutputError
from mmpl.io import output
from mmpl.io.output import OutputFolder, make_folder, write_json_atomic, write_text_atomic


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


def write_into(target, files, error=None):
    """Write files (name -> text) through an OutputFolder, then perhaps fail."""
    with OutputFolder(target) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        if error is not None:
            raise error


def disk_full(*_args, **_kw):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_new_folder_appears_whole(tmp_path):
    target = tmp_path / "a" / "b" / "out"
    with OutputFolder(target) as folder:
        (folder / "mask.txt").write_text("1")
        (folder / "sub").mkdir()
        (folder / "sub" / "x.txt").write_text("2")
        assert not target.exists()
    assert tree(tmp_path) == {"a/b/out/mask.txt": "1", "a/b/out/sub/x.txt": "2"}


def test_a_folder_is_made_with_all_above_it_and_its_files_stay(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    (folder / "x.txt").write_text("1")
    assert make_folder(str(folder)) == folder
    assert tree(tmp_path) == {"a/b/x.txt": "1"}


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/a cannot be written \(Not a directory\): choose a folder you may"):
        make_folder(tmp_path / "file" / "a")
    monkeypatch.setattr(Path, "mkdir", disk_full)
    with pytest.raises(OutputError, match="out cannot be written: the disk is full; free some space"):
        make_folder(tmp_path / "out")


def test_new_folder_has_ordinary_rights(tmp_path):
    (tmp_path / "plain").mkdir()
    with OutputFolder(tmp_path / "out"):
        pass
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_older_results_are_replaced_and_other_files_kept(tmp_path):
    (tmp_path / "results.json").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.txt").write_text("mine too")
    with OutputFolder(tmp_path) as folder:
        (folder / "results.json").write_text("new")
        (folder / "sub").mkdir()
        (folder / "sub" / "x.txt").write_text("x")
        assert (tmp_path / "results.json").read_text(encoding="utf-8") == "old"
    assert tree(tmp_path) == {
        "results.json": "new",
        "notes.txt": "mine",
        "sub/mine.txt": "mine too",
        "sub/x.txt": "x",
    }
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_folder_that_has_come_meanwhile_is_written_into(tmp_path):
    with OutputFolder(tmp_path / "out") as folder:
        (folder / "mask.txt").write_text("mine")
        write_into(tmp_path / "out", {"mask.txt": "another's", "theirs.txt": "2"})
    assert tree(tmp_path) == {"out/mask.txt": "mine", "out/theirs.txt": "2"}


def left_by_a_killed_process(home, age_s, code="0a1b2c3d"):
    """A hidden folder as a killed process leaves it, in which nothing has changed for ``age_s``."""
    folder = home / f".out.partial-{code}"
    (folder / "dicom").mkdir(parents=True)
    (folder / "mask.txt").write_text("half")
    for path in (folder / "mask.txt", folder / "dicom", folder):
        os.utime(path, (time.time() - age_s,) * 2)
    return folder


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_killed_process_left_goes_with_the_next_results(tmp_path, beside):
    target = tmp_path / "out"
    write_into(target, {"mask.txt": "1"})
    home = tmp_path if beside else target
    old = left_by_a_killed_process(home, age_s=4000)
    at_work = left_by_a_killed_process(home, age_s=4000, code="12345678")
    os.utime(at_work / "mask.txt")  # its other files are old
    mine = home / ".out.partial-of-mine"
    mine.mkdir()
    with pytest.raises(InputError):
        write_into(target, {"mask.txt": "2"}, InputError("bad"))
    assert old.is_dir()
    write_into(target, {"mask.txt": "2"})
    assert not old.exists()
    assert at_work.is_dir()
    assert mine.is_dir()


@pytest.mark.parametrize("name", ["B" * 255, "\u674e" * 85])
def test_the_longest_name_is_a_name(tmp_path, name):
    write_into(tmp_path / name, {"a.txt": "1"})
    write_into(tmp_path / name, {"a.txt": "2"})
    write_text_atomic(tmp_path / name / name, "3")
    assert tree(tmp_path) == {f"{name}/a.txt": "2", f"{name}/{name}": "3"}


@pytest.mark.parametrize("error", [InputError("bad"), KeyboardInterrupt(), ValueError("ours")])
def test_failed_run_into_a_new_folder_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        write_into(tmp_path / "a" / "out", {"half.txt": "half"}, error)
    assert list(tmp_path.iterdir()) == []


def test_failed_run_leaves_older_results(tmp_path):
    (tmp_path / "results.json").write_text("old")
    with pytest.raises(InputError):
        write_into(tmp_path, {"results.json": "half"}, InputError("bad"))
    assert os.listdir(tmp_path) == ["results.json"]
    assert tree(tmp_path) == {"results.json": "old"}


def test_full_disk_while_writing(tmp_path):
    with pytest.raises(OutputError, match="disk is full"), OutputFolder(tmp_path / "out"):
        disk_full()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_making_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", disk_full)
    with pytest.raises(OutputError, match="disk is full"), OutputFolder(tmp_path / "out"):
        pytest.fail("the block must not run")


def test_failed_move_puts_older_results_back(tmp_path):
    """The second file cannot be moved because a folder of the user's has its name."""
    (tmp_path / "a.txt").write_text("old a")
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(OutputError):
        write_into(tmp_path, {f"{name}.txt": f"new {name}" for name in "abc"})
    assert tree(tmp_path) == {"a.txt": "old a"}
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "c.txt"]


def test_error_about_an_input_passes_through(tmp_path):
    with pytest.raises(FileNotFoundError), OutputFolder(tmp_path / "out"):
        (tmp_path / "no-such-input").read_text(encoding="utf-8")


def test_error_about_a_result_file_is_an_output_error(tmp_path):
    with pytest.raises(OutputError), OutputFolder(tmp_path / "out") as folder:
        (folder / "no-such-folder" / "x").write_text("x")


@pytest.mark.parametrize("below", [".", "below/it"])
def test_path_is_or_lies_under_a_file(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError), OutputFolder(file / below):
        pytest.fail("the block must not run")
    assert tree(tmp_path) == {"file": "mine"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system nobody can write to")
@pytest.mark.parametrize("path", ["/proc", "/proc/out"])
def test_not_writable(path):
    with pytest.raises(OutputError, match="cannot be written"), OutputFolder(path):
        pytest.fail("the block must not run")


def test_json_is_written_whole_with_nulls_for_nan(tmp_path):
    path = tmp_path / "r.json"
    write_json_atomic(path, {"a": np.float32(0.5), "b": float("nan"), "c": (1, 2), "d": "é"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 0.5, "b": None, "c": [1, 2], "d": "é"}
    assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "r.txt"
    path.write_text("old")
    owner = output.os if step == "replace" else Path
    monkeypatch.setattr(owner, step, disk_full)
    with pytest.raises(OutputError, match="disk is full"):
        write_text_atomic(path, "new")
    assert tree(tmp_path) == {"r.txt": "old"}
