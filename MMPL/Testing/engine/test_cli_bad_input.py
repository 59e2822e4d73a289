"""What a user can get wrong: exit code 2, one line on standard error, the output folder as it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl import cli
from mmpl.geometry import Geometry, Volume

OLD_FILES = {"results.json": "old results", "notes/mine.txt": "keep"}


@pytest.fixture
def refused(on_tiny, tmp_path, contents):
    """Runs a command that must be refused, without and with an output folder of old files; returns its line."""

    def run(command: str = "predict", *flags: str, **options) -> str:
        before = contents(tmp_path)
        first = on_tiny(command, *flags, **options)
        assert contents(tmp_path) == before
        for name, text in OLD_FILES.items():
            (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "out" / name).write_text(text)
        before = contents(tmp_path)
        ran = on_tiny(command, *flags, **options)
        assert contents(tmp_path) == before
        assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1), ran
        assert (first.code, first.errors) == (2, ran.errors)
        assert ran.errors[0].startswith(f"mmpl {command}: ")
        return ran.errors[0]

    return run


# images --------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_missing(refused, tmp_path):
    line = refused(ct=tmp_path / "absent.nii.gz")
    assert "CT" in line
    assert "absent.nii.gz does not exist" in line


def test_a_file_that_is_no_image(refused, tmp_path):
    (tmp_path / "text.nii.gz").write_text("not an image")
    assert "is not a readable image" in refused(pt=tmp_path / "text.nii.gz")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4")
    assert "is not an image MMPL reads" in refused(pt=tmp_path / "paper.pdf")


def test_a_folder_without_images(refused, tmp_path):
    (tmp_path / "series").mkdir()
    assert "holds no CT images: it is empty" in refused(ct=tmp_path / "series")


@pytest.mark.parametrize("share", [0.05, 0.6, 0.999])
def test_a_truncated_gzip(share, refused, tiny_files, tmp_path):
    data = tiny_files["ct"].read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(data[: int(share * len(data))])
    assert "cut short" in refused(ct=tmp_path / "ct.nii.gz")


def test_an_empty_file(refused, tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    assert "is empty" in refused(ct=tmp_path / "ct.nii.gz")


def test_four_dimensions(refused, tiny_patient, tmp_path):
    frame = sitk.GetImageFromArray(tiny_patient.pet.array)
    sitk.WriteImage(sitk.JoinSeries(frame, frame), str(tmp_path / "pet.nii.gz"))
    assert "has four dimensions" in refused(pt=tmp_path / "pet.nii.gz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_many_voxels_without_a_value(value, refused, tiny_patient, save_image, tmp_path):
    array = tiny_patient.pet.array.copy()
    array[:5] = value
    line = refused(pt=save_image(tiny_patient.pet.with_array(array), tmp_path / "pet.nii.gz"))
    assert "voxels are NaN or infinite" in line


def test_a_constant_pet(refused, tiny_patient, save_image, tmp_path):
    flat = tiny_patient.pet.with_array(np.zeros_like(tiny_patient.pet.array))
    assert "the PET is constant" in refused(pt=save_image(flat, tmp_path / "pet.nii.gz"))


def test_pet_and_ct_apart(refused, tiny_patient, save_image, tmp_path):
    pet = tiny_patient.pet
    away = Volume(pet.array, replace(pet.geometry, origin_mm=(-62.0, -58.0, 500.0)))
    line = refused(pt=save_image(away, tmp_path / "pet.nii.gz"))
    assert "do not overlap" in line
    assert "head-foot" in line


def test_an_image_without_voxels(refused, tmp_path):
    header = "ObjectType = Image\nNDims = 3\nDimSize = 0 4 4\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    (tmp_path / "ct.mha").write_text(header)
    assert "CT" in refused(ct=tmp_path / "ct.mha")


def test_a_single_slice(refused, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.eye(9, dtype=np.float32)[None]), str(tmp_path / "ct.nii"))
    assert "single slice" in refused(ct=tmp_path / "ct.nii")


# masks ---------------------------------------------------------------------------------------------------------------


def test_labels_that_mean_nothing(refused, tiny_patient, save_image, tmp_path):
    mask = tiny_patient.label_map.with_array(tiny_patient.label_map.array * np.uint8(3))
    line = refused("assess", mask=save_image(mask, tmp_path / "mask.nii.gz"))
    assert "holds the values 3, 6" in line
    assert "1 (GTVp)" in line


def test_a_mask_beside_the_ct(refused, tiny_patient, save_image, tmp_path):
    mask = Volume(tiny_patient.label_map.array, Geometry((60, 56, 50), (2.0, 2.0, 3.0), (900.0, 0.0, 0.0)))
    assert "mask does not overlap the CT" in refused("assess", mask=save_image(mask, tmp_path / "mask.nii.gz"))


def test_a_mask_that_is_missing_or_a_folder(refused, tmp_path):
    assert "does not exist" in refused("assess", mask=tmp_path / "absent.nii.gz")
    assert "is a folder" in refused("assess", mask=tmp_path)


# clinical record -----------------------------------------------------------------------------------------------------

RECORDS = {
    "unknown field": ('{"Agee": 61}', "'Agee' is not a field MMPL knows"),
    "text for a number": ('{"Age": "old"}', "Age is 'old'"),
    "truth value for a number": ('{"Age": true}', "Age is True"),
    "out of range": ('{"Age": 250}', "between 0 and 120 years"),
    "number for a site": ('{"Primary Site": 3}', "Primary Site is 3"),
    "strange HPV status": ('{"HPV Status": "perhaps"}', "HPV Status is 'perhaps'"),
    "twice": ('{"Age": 61, "age": 62}', "Age is given twice"),
    "not JSON": ("{'Age': 61}", "is not valid JSON"),
    "NaN": ('{"Age": NaN}', "write null"),
    "nested": ('{"Age": {"value": 61}}', '"Age" holds an object'),
    "list": ("[61]", "holds a list, not an object"),
    "not text": (b"\xff\xfe\x00", "is not UTF-8 text"),
}


@pytest.mark.parametrize(("content", "message"), RECORDS.values(), ids=RECORDS.keys())
def test_a_clinical_record(content, message, refused, tmp_path):
    (tmp_path / "ehr.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(ehr=tmp_path / "ehr.json")


def test_a_clinical_record_is_looked_at_before_the_images(refused, tmp_path):
    (tmp_path / "ehr.json").write_text('{"Age": 250}')
    assert "Age is 250" in refused(ehr=tmp_path / "ehr.json", ct=tmp_path / "absent.nii.gz")


# bundles -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def a_bundle(tiny_bundle_path, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_bundle_path, tmp_path / "bundle"))


@pytest.fixture
def rewrite(a_bundle):
    """Changes bundle.json by a function of its content."""

    def change(edit) -> None:
        raw = json.loads((a_bundle / "bundle.json").read_text(encoding="utf-8"))
        edit(raw)
        (a_bundle / "bundle.json").write_text(json.dumps(raw))

    return change


@pytest.fixture
def plant(a_bundle, rewrite):
    """Puts a file into the bundle and lists it with its right checksum."""

    def add(rel: str, data: bytes) -> None:
        (a_bundle / rel).write_bytes(data)
        rewrite(lambda raw: raw["files"].update({rel: hashlib.sha256(data).hexdigest()}))

    return add


def test_a_bundle_that_is_missing_or_none(refused, tmp_path):
    assert "does not exist" in refused(bundle=tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "is not an MMPL bundle" in refused(bundle=tmp_path / "empty")
    (tmp_path / "file.zip").write_text("no zip")
    assert "neither a folder nor a zip" in refused(bundle=tmp_path / "file.zip")


def test_a_bundle_that_was_altered(a_bundle, refused):
    path = a_bundle / "member_0" / "segmentation.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "does not match its checksum" in refused(bundle=a_bundle)


def test_a_bundle_that_lacks_a_file(a_bundle, refused):
    (a_bundle / "member_1" / "hpv_forest.npz").unlink()
    assert "lacks member_1/hpv_forest.npz" in refused(bundle=a_bundle)


class Boom:
    """Would leave a trace if it were ever unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["member_0/extra.pkl", "member_0/extra.json"])
def test_a_bundle_with_a_pickle_in_it(name, a_bundle, plant, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plant(name, pickle.dumps(Boom()))
    assert "do not use this bundle" in refused(bundle=a_bundle)
    assert not (tmp_path / "unpickled").exists()


def test_a_bundle_with_a_pickle_in_an_array(a_bundle, plant, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "objects.npz", medians=np.array([Boom()], dtype=object))
    plant("member_0/hpv_forest.npz", (tmp_path / "objects.npz").read_bytes())
    assert "holds Python objects" in refused(bundle=a_bundle)
    assert not (tmp_path / "unpickled").exists()


def test_a_bundle_with_a_path_that_leaves_it(a_bundle, rewrite, refused, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    rewrite(lambda raw: raw["files"].update({"../secret.json": hashlib.sha256(b"{}").hexdigest()}))
    assert "a path that leaves it" in refused(bundle=a_bundle)


def test_a_bundle_with_a_link(a_bundle, refused, tmp_path):
    (a_bundle / "member_0" / "link.json").symlink_to(tmp_path / "anything.json")
    assert "a path that leaves it" in refused(bundle=a_bundle)


SETTINGS = {
    "network of another type": (lambda raw: raw["network"].update(spacing_mm="eight"), "'network'"),
    "network key": (lambda raw: raw["network"].pop("dropout"), "dropout"),
    "network size": (lambda raw: raw["network"].update(hidden_units=5), "weights are of another network"),
    "radiomics": (lambda raw: raw["radiomics"].update(families=["shape", "magic"]), "magic"),
    "radiomics of another type": (lambda raw: raw["radiomics"].update(log_sigmas_mm=3), "'radiomics'"),
    "columns nothing gives": (lambda raw: raw["radiomics"].update(families=["shape"]), "expects the column"),
    "overlap": (lambda raw: raw["preprocessing"].update(overlap=1.0), "overlap"),
    "breaks": (
        lambda raw: raw["preprocessing"].update(breaks_days=[0, 900, 400, 2000]),
        "rising days, the first 0",
    ),
    "late breaks": (lambda raw: raw["preprocessing"].update(breaks_days=[100, 900]), "rising days, the first 0"),
    "no settings": (lambda raw: raw.update(preprocessing={}), "overlap and breaks_days"),
    "a role without a file": (lambda raw: raw["members"][0]["files"].pop("encoder"), "no file for 'encoder'"),
}


@pytest.mark.parametrize(("edit", "message"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_bundle_whose_settings_do_not_fit(edit, message, a_bundle, rewrite, refused):
    rewrite(edit)
    assert message in refused(bundle=a_bundle)


# output --------------------------------------------------------------------------------------------------------------


def test_an_output_that_is_a_file_or_under_one(on_tiny, tmp_path, contents):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        ran = on_tiny("predict", out=out)
        assert (ran.code, len(ran.errors)) == (2, 1)
        assert ran.errors[0].startswith(f"mmpl predict: output {out}")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can write")
def test_an_output_that_cannot_be_written(on_tiny):
    ran = on_tiny("predict", out="/proc/self/out")
    assert (ran.code, len(ran.errors)) == (2, 1)
    assert "cannot be written" in ran.errors[0]


def test_a_full_disk_leaves_the_output_as_it_was(refused, monkeypatch):
    def full(_path, _features):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmpl.outputs.write_features_csv", full)
    assert "the disk is full" in refused("assess")


@pytest.mark.parametrize("step", ["mmpl.pipeline.lesion_figures", "mmpl.outputs.write_features_csv"])
def test_ctrl_c_leaves_no_output(step, on_tiny, tmp_path, contents, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupted)
    ran = on_tiny("assess")
    said = [line for line in ran.errors if not line.startswith("preparing images: ")]  # which took long
    assert (ran.code, said) == (130, ["mmpl assess: stopped; nothing was written"])
    assert contents(tmp_path) == {}


def test_ctrl_c_says_what_a_command_leaves(mmpl, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmpl.phantom.write_cohort", stop)
    ran = mmpl("phantom", "--out", tmp_path / "out", "--cases", 1, "--seed", 1)
    assert (ran.code, ran.out) == (130, "")
    assert ran.errors == ["mmpl phantom: stopped; the same command goes on from there"]


def test_the_documentation_says_what_every_command_leaves():
    text = (Path(__file__).resolve().parents[3] / "docs" / "usage.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| 130 |"))
    said = [set(re.findall(r"`(\w+)`", part)) for part in row.split("; ")]
    commands = next(action.choices for action in cli._parser()._actions if action.dest == "command")
    left = {name: parser.get_default("when_stopped") for name, parser in commands.items()}
    assert said == [{n for n in left if left[n] == what} for what in (cli.NOTHING_WRITTEN, cli.RESUMABLE)]


def test_a_scene_without_slicer_is_refused_before_the_work(refused, monkeypatch):
    monkeypatch.setattr("mmpl.plugins.entry_points", lambda **_: ())
    assert "'scene' is not installed" in refused("predict", "--mrb")


# usage ---------------------------------------------------------------------------------------------------------------


PREDICT = ("predict", "--ct", "a", "--pt", "b", "--out", "c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: command"),
        (("predikt",), "'predikt'"),
        (("predict",), "--ct, --pt, --out"),
        (("predict", "--ct"), "expected one argument"),
        (("assess", "--ct", "a", "--pt", "b", "--out", "c"), "--mask"),
        ((*PREDICT, "--fast"), "--fast"),
        (("phantom", "--out", "c", "--cases", "many", "--seed", "1"), "'many'"),
        (("batch", "--workers", "0"), "--workers: '0' is no number of processes: give 1 or more"),
        (("scan", "--workers", "-2"), "--workers: '-2' is no number of processes: give 1 or more"),
        (("phantom", "--workers", "two"), "--workers: 'two' is no number of processes: give 1 or more"),
        ((*PREDICT, "--case-id", "\udcff"), r"argument --case-id: \udcff is not valid UTF-8"),
        ((*PREDICT, "--site", "\udcff"), r"argument --site: \udcff is not valid UTF-8"),
        (
            ("batch", "--data", "a", "--bundle", "b", "--out", "c", "--site", "\udcff"),
            r"argument --site: \udcff is not",
        ),
    ],
)
def test_usage(arguments, message, mmpl, tmp_path, monkeypatch, contents):
    monkeypatch.chdir(tmp_path)
    ran = mmpl(*arguments)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert message in ran.errors[0]
    assert "--help" in ran.errors[0]
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("phantom", "--out", "c", "--cases", "0", "--seed", "1"), "0"),
        (("phantom", "--out", "c", "--cases", "1", "--seed", "-1"), "-1"),
        (("train", "--data", "absent", "--out", "run"), "absent"),
        (("train", "--data", ".", "--out", "run", "--config", "absent.yaml"), "absent.yaml"),
    ],
)
def test_the_other_commands_refuse_in_one_line_too(arguments, message, mmpl, tmp_path, monkeypatch, contents):
    monkeypatch.chdir(tmp_path)
    ran = mmpl(*arguments)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1), ran
    assert message in ran.errors[0]
    assert contents(tmp_path) == {}


def test_a_program_of_its_own_writes_one_line_and_no_traceback(tiny_files, tiny_bundle_path, tmp_path):
    (tmp_path / "pet.nii.gz").write_bytes(gzip.compress(b"nonsense"))
    arguments = ["predict", "--ct", tiny_files["ct"], "--pt", tmp_path / "pet.nii.gz"]
    arguments += ["--bundle", tiny_bundle_path, "--out", tmp_path / "out"]
    ran = subprocess.run([sys.executable, "-m", "mmpl", *map(str, arguments)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert "Traceback" not in ran.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pet.nii.gz"]
